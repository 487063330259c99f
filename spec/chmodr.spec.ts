import { chmodSync, cpSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as original from 'chmodr';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chmodr, chmodrSync } from '../lib/compat/chmodr.ts';
import { isRoot } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { makeTree, modeOf, modesBelow, tempDirectory } from './helpers/tree.ts';

const mode = fc.integer({ min: 0, max: 0o777 });
/** Modes of directories that anybody can work in, and of files with special bits. */
const shape = fc.dictionary(
  fc.constantFrom('f', 'g', 'd/f', 'd/e/f', 'd/e/g', 'x/y/z/f'),
  fc.integer({ min: 0, max: 0o7777 }),
);

const forms = {
  chmodr: { ours: chmodr, theirs: original.chmodr },
  chmodrSync: {
    ours: async (path: string, wanted: number | string) => chmodrSync(path, wanted),
    theirs: async (path: string, wanted: number) => original.chmodrSync(path, wanted),
  },
};

for (const [name, { ours, theirs }] of Object.entries(forms)) {
  const test = suite(name);

  if (!isRoot) console.log('  skipped: chmodr itself is held up by modes that are not for root');
  else {
    test('has the results of chmodr 2 on trees without links', async () => {
      await fc.assert(
        fc.asyncProperty(shape, mode, fc.integer({ min: 0, max: 0o7777 }), async (files, wanted, before) => {
          const tree = makeTree({ ...files, 'd/': before });
          const copy = tempDirectory();
          cpSync(tree, copy, { recursive: true });
          for (const path of ['.', 'd', ...Object.keys(files)]) {
            chmodSync(join(copy, path), path in files ? (files[path] ?? 0) : modeOf(tree, path));
          }
          await ours(tree, wanted);
          await theirs(copy, wanted);
          assert.equal(modesBelow(tree), modesBelow(copy));
        }),
        { numRuns: extent({ short: 30, full: 150 }) },
      );
    });
  }

  test('gives a file the mode itself, also through a link that is named', async () => {
    const root = makeTree({ f: 0o600, 'd/g': 0o600 });
    await ours(join(root, 'f'), 0o640);
    assert.is(modeOf(root, 'f'), 0o640);
    symlinkSync('d', join(root, 'link'));
    await ours(join(root, 'link'), 0o644);
    assert.is(modeOf(root, 'd/g'), 0o644);
  });

  test('never follows a link, where chmodr changes what it leads to or fails', async () => {
    const outside = makeTree({ secret: 0o600 });
    const root = makeTree({ f: 0o600, dangling: '-> nowhere' });
    symlinkSync(join(outside, 'secret'), join(root, 'link'));
    await ours(root, 0o755);
    assert.is(modeOf(outside, 'secret'), 0o600);
    assert.is(modeOf(root, 'f'), 0o755);
    if (process.platform === 'linux') {
      const failure = await theirs(root, 0o755).then(
        () => undefined,
        (error: NodeJS.ErrnoException) => error,
      );
      assert.is(failure?.code, 'ENOENT');
      await theirs(makeTree({ link: `-> ${outside}/secret` }), 0o755);
      assert.is(modeOf(outside, 'secret'), 0o755);
    }
  });

  test('reads strings of digits as octal, as fs.chmod does', async () => {
    for (const [wanted, file, directory] of [
      ['644', 0o644, 0o755],
      ['0640', 0o640, 0o750],
      ['7', 0o007, 0o007],
    ] as const) {
      const root = makeTree({ f: 0o600, 'd/g': 0o600 });
      await ours(root, wanted);
      // The root has that mode, too, by which not everybody may look below it.
      chmodSync(root, 0o700);
      assert.equal([modeOf(root, 'f'), modeOf(root, 'd')], [file, directory], wanted);
      chmodSync(join(root, 'f'), 0o600);
      await ours(join(root, 'f'), wanted);
      assert.is(modeOf(root, 'f'), file);
    }
  });

  test('takes a mode as stat has it', async () => {
    for (const [wanted, file, directory] of [
      [0o100644, 0o644, 0o755],
      [0o040700, 0o700, 0o700],
      ['100640', 0o640, 0o750],
    ] as const) {
      const root = makeTree({ f: 0o600, 'd/g': 0o600 });
      await ours(root, wanted);
      assert.equal([modeOf(root, 'd/g'), modeOf(root, 'd')], [file, directory]);
    }
    const root = makeTree({ f: 0o640, g: 0o600 });
    await ours(root, statSync(join(root, 'f')).mode);
    assert.is(modeOf(root, 'g'), 0o640);
  });

  // chmodr's own tests, but for those in which functions of fs are replaced by others that fail.
  test('does what the tests of chmodr ask for', async () => {
    const root = makeTree({ 'a/b/c/d': '', 'a/b/d': '', 'a/b/e/': 0o755, 'a/c': '', b: '' });
    await ours(root, 0o700);
    for (const path of ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'a/b/d', 'a/b/e', 'a/c', 'b']) {
      assert.is(statSync(join(root, path)).mode & 0o777, 0o700, path);
    }
    const linked = makeTree({ 'sh-link': '-> /bin/sh' });
    const before = statSync('/bin/sh').mode;
    await ours(linked, 0o700);
    assert.is(statSync(linked).mode & 0o777, 0o700);
    await ours(linked, 0o644);
    assert.is(statSync('/bin/sh').mode, before);
  });

  test('refuses a missing or wrong mode before anything is touched', async () => {
    const root = makeTree({ f: 0o640, 'd/': 0o750 });
    const before = modesBelow(root);
    for (const wrong of [
      undefined,
      null,
      Number.NaN,
      0.5,
      '',
      '0o644',
      '888',
      '07777 ',
      'u+x',
      {},
      [],
      true,
    ]) {
      for (const path of [root, join(root, 'f'), join(root, 'gone')]) {
        const call = async () => ours(path, wrong as number);
        const error = await call().then(
          () => undefined,
          (failure: Error) => failure,
        );
        assert.instance(error, TypeError, String(wrong));
        assert.match(error?.message ?? '', /^mode: expected a number \(0o644\) or octal digits/);
      }
    }
    assert.equal(modesBelow(root), before);
  });

  test('says what is wrong', async () => {
    const root = makeTree({ f: 0o600 });
    const failure = async (path: string, wanted: unknown) => {
      try {
        await ours(path, wanted as number);
      } catch (error) {
        return error as NodeJS.ErrnoException;
      }
      throw new Error('expected an error');
    };
    assert.instance(await failure(root, 0o4755), RangeError);
    assert.instance(await failure(root, {}), TypeError);
    assert.instance(await failure('/', 0o755), RangeError);
    assert.is((await failure(join(root, 'gone'), 0o755)).code, 'ENOENT');
    assert.is(modeOf(root, 'f'), 0o600);
  });

  test.run();
}
