/**
 * What another user, or another process, does beside a destination while `wrapExtractor` is at work. Here each does it at the
 * moment that suits it; `spec/soak` has them race.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { swapped } from '../lib/directory/errors.ts';
import { Destination } from '../lib/extract/destination.ts';
import { keep } from '../lib/extract/keep.ts';
import {
  type ApplyOptions,
  applyPermissions,
  UnresolvedEntriesError,
  type WrapOptions,
  wrapExtractor,
} from '../lib/index.ts';
import { around, type Call } from './helpers/around.ts';
import { canMount, isRoot, NOBODY, outputOf } from './helpers/child.ts';
import { elsewhere as withoutDescriptors } from './helpers/elsewhere.ts';
import { leftover } from './helpers/leftover.ts';
import { bundledLibrary } from './helpers/library.ts';
import { impatient, reasonsOf } from './helpers/passes.ts';
import { giveAway, withoutRights } from './helpers/rights.ts';
import { canRunOn, javascriptCommand } from './helpers/runtime.ts';
import { addToTree, makeTree, modeOf, modesBelow, tempDirectory } from './helpers/tree.ts';

async function rejection(promise: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

/** Extract one file to `app` in a directory; the extractor does something else before it ends. */
function extractTo(
  directory: string,
  options: WrapOptions<string>,
  meanwhile: (treePath: string) => unknown = () => {},
) {
  const extract = wrapExtractor(
    async (_: string, to: string) => {
      writeFileSync(join(to, 'new'), 'new');
      await meanwhile(to);
    },
    { manifest: false, ...options },
  );
  return extract('archive', join(directory, 'app'));
}

const contentOf = (...path: string[]) => readFileSync(join(...path), 'utf8');
const stagingIn = (directory: string) =>
  readdirSync(directory).filter((name) => name.startsWith('.permwalk-'));
const allExisting = ['error', 'keep', 'replace'] as const;

const test = suite('wrapExtractor, attacked');

test("'keep' refuses a link that is put at the destination meanwhile", async () => {
  const victim = makeTree({ 'sub/key': 0o600, 'sub/': 0o700 });
  const before = modesBelow(victim);
  const directory = tempDirectory();
  const link = () => symlinkSync(victim, join(directory, 'app'));
  const error = await rejection(extractTo(directory, { existing: 'keep', mode: 'a+rwX' }, link));
  assert.is((error as { reason?: string }).reason, 'symlink-in-path');
  assert.is(error.code, 'ERR_PERMWALK_SYMLINK_IN_PATH');
  assert.is(error.path, join(directory, 'app'));
  assert.equal(modesBelow(victim), before);
  assert.equal(readdirSync(directory), ['app']);
});

test("'in-place' refuses a link that is put at the destination meanwhile", async () => {
  const victim = makeTree({ 'sub/key': 0o600 });
  const directory = tempDirectory();
  const link = (to: string) => {
    renameSync(to, join(directory, 'moved'));
    symlinkSync(victim, to);
  };
  const error = await rejection(extractTo(directory, { publish: 'in-place', mode: 'a+rwX' }, link));
  assert.is(error.code, 'ERR_PERMWALK_SYMLINK_IN_PATH');
  assert.is(modeOf(victim, 'sub/key'), 0o600);
});

test("'in-place' extracts nothing through a link that is there", async () => {
  const directory = tempDirectory();
  // It leads nowhere: what leads to a directory is resolved when the call is made.
  symlinkSync('nowhere', join(directory, 'app'));
  const extract = wrapExtractor(() => assert.unreachable('it was called'), {
    manifest: false,
    publish: 'in-place',
    existing: 'replace',
  });
  const error = await rejection(extract('none', join(directory, 'app')));
  assert.is(error.code, 'ERR_PERMWALK_SYMLINK_IN_PATH');
});

test('a parent that is exchanged for a link: nothing elsewhere is touched', async () => {
  for (const existing of allExisting) {
    const base = tempDirectory();
    addToTree(base, { 'p/': 0o755, 'sys/app/libc.so': 'important' });
    if (existing !== 'error') addToTree(base, { 'p/app/old': 'old' });
    const before = modesBelow(join(base, 'sys'));
    const swap = () => {
      renameSync(join(base, 'p'), join(base, 'q'));
      symlinkSync('sys', join(base, 'p'));
    };
    // 'keep' extracts nothing where something is there: it is swapped while the manifest is made.
    const extract = wrapExtractor((_: string, to: string) => writeFileSync(join(to, 'new'), ''), {
      existing,
      mode: 'a+rwX',
      manifest: () => {
        swap();
        return ['old'];
      },
      retry: false,
      strict: false,
    });
    const outcome = await extract('archive', join(base, 'p/app')).then(
      (report) => report.outcome,
      (error: NodeJS.ErrnoException) => error.code,
    );
    // The extractor goes by path: there is no staging directory where the path leads by now.
    assert.is(outcome, existing === 'keep' ? 'kept' : 'ENOENT', existing);
    assert.equal(modesBelow(join(base, 'sys')), before, existing);
    assert.equal(stagingIn(join(base, 'q')), [], existing);
    if (existing !== 'error') assert.is(contentOf(base, 'q/app/old'), 'old');
  }
});

test('a parent that is exchanged while the extractor runs: the call rejects, and nothing is published', async () => {
  for (const [existing, isLink] of allExisting.flatMap((each) => [
    [each, true] as const,
    [each, false] as const,
  ])) {
    const base = tempDirectory();
    addToTree(base, { 'p/': 0o755, 'sys/app/libc.so': 'important' });
    if (existing === 'replace') addToTree(base, { 'p/app/old': 'old' });
    const swap = () => {
      renameSync(join(base, 'p'), join(base, 'q'));
      if (isLink) symlinkSync('sys', join(base, 'p'));
      else mkdirSync(join(base, 'p'));
    };
    const error = await rejection(extractTo(join(base, 'p'), { existing, mode: 'a+rwX' }, swap));
    assert.is(error.code, 'ERR_PERMWALK_SWAPPED');
    assert.is(error.path, join(base, 'p/app'));
    assert.equal(readdirSync(join(base, 'sys')), ['app']);
    assert.is(contentOf(base, 'sys/app/libc.so'), 'important');
    assert.equal(readdirSync(join(base, 'q')), existing === 'replace' ? ['app'] : []);
  }
});

test('a staging directory that is exchanged for another one: nothing is published from there', async () => {
  for (const mode of [0o700, 0o777]) {
    const directory = tempDirectory();
    const exchange = (to: string) => {
      const staging = join(to, '..');
      renameSync(staging, join(directory, 'moved'));
      addToTree(staging, { 'tree/planted': 'x', 'tree/': 0o755 });
      chmodSync(staging, mode);
    };
    const error = await rejection(extractTo(directory, {}, exchange));
    assert.is(error.code, 'ERR_PERMWALK_SWAPPED');
    assert.not.ok(existsSync(join(directory, 'app')));
    const [planted] = stagingIn(directory);
    assert.ok(existsSync(join(directory, planted ?? '', 'tree/planted')), 'what is not ours stays');
    assert.equal(readdirSync(join(directory, 'moved')), [], 'what was ours is emptied');
  }
});

test('after an abort only what was held is removed, and not what has its name by then', async () => {
  const directory = tempDirectory();
  const controller = new AbortController();
  let release = () => {};
  const ended = new Promise<void>((resolve) => {
    release = resolve;
  });
  let staging = '';
  const running = extractTo(directory, { signal: controller.signal }, (to) => {
    staging = join(to, '..');
    controller.abort();
    return ended;
  });
  assert.is(await rejection(running), controller.signal.reason);
  renameSync(staging, join(directory, 'moved'));
  addToTree(staging, { precious: 'precious' });
  addToTree(join(directory, 'moved'), { 'tree/late': 'x' });
  release();
  while (readdirSync(join(directory, 'moved')).length > 0) await nextTurn();
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  assert.is(contentOf(staging, 'precious'), 'precious');
});

test('what is only named like a leftover of ours is never touched', async () => {
  const directory = tempDirectory();
  chmodSync(directory, 0o777);
  addToTree(directory, {
    '.permwalk-important/data': 'precious',
    '.permwalk-abcdefgh/old-1/app/new': 'evil',
    '.permwalk-abcdefgh/tree/': 0o755,
  });
  chmodSync(join(directory, '.permwalk-abcdefgh'), 0o700);
  const planted = [await leftover(directory, { 'old-1/app/new': 'evil', 'tree/': 0o755 })];
  // Another user may put a socket of its own into a directory of ours that it can write to.
  chmodSync(planted[0] as string, 0o733);
  if (isRoot) {
    const foreign = await leftover(directory, { 'old-1/app/new': 'evil', 'tree/': 0o755 });
    chownSync(foreign, NOBODY, NOBODY);
    planted.push(foreign);
  }
  assert.is((await extractTo(directory, { existing: 'keep' })).outcome, 'created');
  assert.is(contentOf(directory, 'app/new'), 'new');
  assert.is(contentOf(directory, '.permwalk-important/data'), 'precious');
  for (const path of [...planted, join(directory, '.permwalk-abcdefgh')]) {
    assert.is(contentOf(path, 'old-1/app/new'), 'evil');
  }
});

test('nothing else has its turn between the two renames of a replacement', async () => {
  const directory = tempDirectory();
  addToTree(directory, { 'app/old': 'old' });
  let turns = 0;
  const noted: number[] = [];
  const noting =
    (original: Call): Call =>
    (from, to) => {
      if (/\/(app|tree)$/.test(`${from}`)) {
        noted.push(turns);
        queueMicrotask(() => {
          turns += 1;
        });
      }
      return original(from, to);
    };
  await around('renameSync', noting, () => extractTo(directory, { existing: 'replace' }));
  assert.equal(noted, [0, 0]);
});

test("'keep' verifies anew where another process replaces the tree meanwhile", async () => {
  for (const strict of [true, false]) {
    const directory = tempDirectory();
    const names = Array.from({ length: 20 }, (_, index) => `f${index}`);
    const make = (name: string) =>
      addToTree(join(directory, name), Object.fromEntries(names.map((each) => [each, 0o600])));
    make('app');
    let replacements = 0;
    const replace = () => {
      if (replacements === 3) return;
      replacements += 1;
      make('next');
      rmSync(join(directory, 'app'), { recursive: true });
      renameSync(join(directory, 'next'), join(directory, 'app'));
    };
    const kept = await extractTo(directory, {
      existing: 'keep',
      manifest: names,
      mode: 'a+r',
      onChange: replace,
      retry: impatient,
      strict,
    });
    assert.is(kept.outcome, 'kept');
    assert.ok(kept.ok);
    assert.is(replacements, 3);
    assert.is(modeOf(directory, 'app/f19'), 0o644);
  }
});

test("'keep' gives up where another process replaces the tree again and again", async () => {
  const directory = tempDirectory();
  const make = (name: string) => addToTree(join(directory, name), { f: 0o600 });
  make('app');
  let replacements = 0;
  const replace = () => {
    replacements += 1;
    make('next');
    rmSync(join(directory, 'app'), { recursive: true });
    renameSync(join(directory, 'next'), join(directory, 'app'));
  };
  const options = { existing: 'keep', manifest: false, mode: 'a+r', onChange: replace } as const;
  assert.is((await extractTo(directory, options)).outcome, 'kept');
  assert.is(replacements, 20);
});

/** Verify what is at `app` in a directory, as `existing: 'keep'` does, and do something whenever it is opened. */
async function keepIn(
  directory: string,
  options: ApplyOptions,
  {
    hold = (path: string) => new Destination(path),
    before = (_count: number): unknown => undefined,
    after = () => {},
  } = {},
) {
  const destination = hold(join(directory, 'app'));
  const openRoot = destination.openRoot.bind(destination);
  let opened = 0;
  destination.openRoot = () => {
    opened += 1;
    before(opened);
    try {
      return openRoot();
    } finally {
      after();
    }
  };
  try {
    const outcome = await keep(destination, { retry: false, ...options }).catch((error: unknown) => error);
    return { outcome, opened };
  } finally {
    destination.release();
  }
}

test("'keep' looks anew where nothing is there when it opens the tree, and another one comes", async () => {
  for (const options of [{ manifest: ['new'] }, {}]) {
    const directory = tempDirectory();
    addToTree(directory, { 'app/old': 0o600 });
    const before = (count: number) => count === 1 && rmSync(join(directory, 'app'), { recursive: true });
    const after = () => addToTree(directory, { 'app/new': 0o600 });
    const { outcome, opened } = await keepIn(directory, options, { before, after });
    assert.is((outcome as { outcome?: string }).outcome, 'kept');
    assert.is(opened, 2);
  }
});

test("'keep' looks anew where the tree was exchanged while it was opened", async () => {
  const directory = tempDirectory();
  addToTree(directory, { 'app/new': 0o600 });
  // Where a directory is held by its path, that is seen by two looks.
  const before = (count: number) => {
    if (count === 1) throw swapped(join(directory, 'app'));
  };
  const { outcome, opened } = await keepIn(directory, { manifest: ['new'] }, { before });
  assert.is((outcome as { outcome?: string }).outcome, 'kept');
  assert.is(opened, 2);
});

test("'keep' refuses a link at once, were it gone by the next look", async () => {
  const directory = tempDirectory();
  const victim = makeTree({ f: 0o600 });
  addToTree(directory, { 'app/f': 0o600, 'next/f': 0o600 });
  const exchange = (count: number) => {
    rmSync(join(directory, 'app'), { recursive: true });
    if (count === 1) symlinkSync(victim, join(directory, 'app'));
    else renameSync(join(directory, 'next'), join(directory, 'app'));
  };
  const { outcome, opened } = await keepIn(directory, { mode: 'a+r' }, { before: exchange });
  assert.is((outcome as { code?: string }).code, 'ERR_PERMWALK_SYMLINK_IN_PATH');
  assert.is(opened, 1);
});

test("'keep' sees by path, too, that the tree was replaced", async () => {
  for (const hold of [undefined, (path: string) => withoutDescriptors(() => new Destination(path))]) {
    const directory = tempDirectory();
    const shape = { 'a/f': 0o600, 'b/f': 0o600 };
    addToTree(join(directory, 'app'), shape);
    addToTree(join(directory, 'next'), shape);
    const onChange = () => {
      if (!existsSync(join(directory, 'next'))) return;
      renameSync(join(directory, 'app'), join(directory, 'moved'));
      renameSync(join(directory, 'next'), join(directory, 'app'));
    };
    const { outcome, opened } = await keepIn(directory, { mode: 'a+r', onChange }, { hold });
    assert.is((outcome as { outcome?: string }).outcome, 'kept');
    assert.is(opened, 2);
    assert.equal(modesBelow(join(directory, 'app')), {
      '.': '755',
      a: '755',
      'a/f': '644',
      b: '755',
      'b/f': '644',
    });
  }
});

test("'keep' hands on an error of the caller's, and one of a tree that nobody replaces, at once", async () => {
  const directory = tempDirectory();
  addToTree(directory, { 'app/f': 0o600, 'next/f': 0o600 });
  const missing = await keepIn(directory, { manifest: ['gone'] });
  assert.instance(missing.outcome, UnresolvedEntriesError);
  assert.is(missing.opened, 1);
  const failure = new Error('enough');
  const onChange = () => {
    renameSync(join(directory, 'app'), join(directory, 'moved'));
    renameSync(join(directory, 'next'), join(directory, 'app'));
    throw failure;
  };
  assert.equal(await keepIn(directory, { mode: 'a+r', onChange }), { outcome: failure, opened: 1 });
});

test("'keep' gives up where each tree that replaces another one lacks something", async () => {
  const directory = tempDirectory();
  addToTree(directory, { 'app/f': 0o600 });
  const onChange = () => {
    rmSync(join(directory, 'app'), { recursive: true });
    addToTree(directory, { 'app/f': 0o600 });
  };
  const before = (count: number) => assert.ok(count <= 20);
  const options = { manifest: ['f', 'gone'], mode: 'a+r', onChange } as const;
  const { outcome, opened } = await keepIn(directory, options, { before });
  assert.instance(outcome, UnresolvedEntriesError);
  assert.is(opened, 20);
});

test("'keep' extracts where the tree is gone by then", async () => {
  const directory = tempDirectory();
  addToTree(directory, { 'app/f': 0o600 });
  const report = await extractTo(directory, {
    existing: 'keep',
    mode: 'a+r',
    onChange: ({ path }) => {
      if (path === 'f') rmSync(join(directory, 'app'), { recursive: true });
    },
  });
  assert.is(report.outcome, 'created');
});

test('an archive in the destination is known by whatever way leads to it', async () => {
  const directory = tempDirectory();
  addToTree(directory, { 'real/app/sub/a.zip': 'archive', 'real/app/l': '-> sub' });
  symlinkSync('real', join(directory, 'cache'));
  symlinkSync('real/app/sub/a.zip', join(directory, 'link.zip'));
  const ways = ['real/app/sub/a.zip', 'cache/app/sub/a.zip', 'cache/app/l/../sub/a.zip', 'link.zip'];
  for (const way of ways) {
    const extract = wrapExtractor(() => assert.unreachable(), { existing: 'replace', manifest: false });
    const error = await rejection(extract(join(directory, way), join(directory, 'cache/app')));
    assert.instance(error, RangeError, way);
    assert.match(error.message, /would remove the archive/);
  }
  linkSync(join(directory, 'real/app/sub/a.zip'), join(directory, 'other.zip'));
  const extract = wrapExtractor(() => undefined, { existing: 'replace', manifest: false });
  assert.is((await extract(join(directory, 'other.zip'), join(directory, 'cache/app'))).outcome, 'replaced');
});

test('links that lead into the staging directory are unresolved, and the way out is said', async () => {
  const directory = tempDirectory();
  const make = (to: string) => {
    mkdirSync(join(to, 'bin'));
    writeFileSync(join(to, 'bin/tool'), '');
    symlinkSync(join(to, 'bin/tool'), join(to, 'absolute'));
    symlinkSync(`../../../${to.split('/').slice(-2).join('/')}/bin/tool`, join(to, 'bin/around'));
    symlinkSync('bin/tool', join(to, 'relative'));
    symlinkSync('/etc', join(to, 'outside'));
  };
  const error = await rejection(extractTo(directory, { danglingLinks: 'error' }, make));
  assert.instance(error, UnresolvedEntriesError);
  const { report } = error as UnresolvedEntriesError;
  assert.equal(reasonsOf(report), ['absolute: dangling-link', 'bin/around: dangling-link']);
  for (const { message, code } of report.unresolved) {
    assert.is(code, 'ERR_PERMWALK_STAGING_LINK');
    assert.match(message, /set publish to 'in-place'$/);
  }
  const skipped = await extractTo(directory, { danglingLinks: 'skip' }, make);
  assert.ok(skipped.links.some(({ path, kind }) => path === 'absolute' && kind === 'dangling'));
  const inPlace = await extractTo(directory, { publish: 'in-place', existing: 'replace' }, (to) => {
    rmSync(join(to, 'absolute'));
    symlinkSync(join(to, 'bin/tool'), join(to, 'absolute'));
  });
  assert.not.ok(inPlace.links.some(({ path }) => path === 'absolute'));
});

test('a tree that the extractor makes anew only after it has returned is waited for', async () => {
  const directory = tempDirectory();
  const late = (to: string) => {
    rmSync(to, { recursive: true });
    setTimeout(() => addToTree(to, { f: 'x' }), 20);
  };
  const report = await extractTo(directory, { manifest: ['f'] }, late);
  assert.is(report.outcome, 'created');
  assert.ok(report.settle.rounds > 0);
  const gone = await rejection(
    extractTo(directory, { manifest: ['f'], existing: 'replace', retry: impatient, strict: false }, (to) =>
      rmSync(to, { recursive: true }),
    ),
  );
  assert.is(gone.code, 'ENOENT');
  assert.equal(readdirSync(directory), ['app']);
  assert.is(contentOf(directory, 'app/f'), 'x');
});

test('names are printable in messages and warnings', async () => {
  const name = 'x\u001b]0;t\u0007\u009b31m\u202e\u2028';
  const directory = tempDirectory();
  addToTree(directory, { [`${name}/app/f`]: 'x' });
  const isPrintable = (text: string) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text);
  const failures = [
    rejection(extractTo(join(directory, name), {})),
    rejection(
      applyPermissions(directory, {
        manifest: [name, `${name}/gone`],
        retry: false,
        ignore: [`${name}/app`],
      }),
    ),
    rejection(applyPermissions(directory, { manifest: [`a/../${name}`] })),
  ];
  for (const failure of failures) {
    const { message } = await failure;
    assert.ok(isPrintable(message), JSON.stringify(message));
    assert.match(message, String.raw`\u009b31m\u202e\u2028`);
  }
});

test('nothing is left where descriptors are used up', async () => {
  const directory = tempDirectory();
  await extractTo(directory, {});
  rmSync(join(directory, 'app'), { recursive: true });
  const { ulimit = 0 } = {
    ulimit: Number(spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).stdout),
  };
  if (!(ulimit > 0 && ulimit <= 65536)) return console.log('  skipped: too many descriptors to use them up');
  const held: number[] = [];
  const useUp = () => {
    try {
      for (;;) held.push(openSync('/dev/null', 'r'));
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, 'EMFILE');
    }
  };
  const outcomes = new Set<string>();
  try {
    for (let free = 0; free < 12; free += 1) {
      useUp();
      for (let count = 0; count < free; count += 1) closeSync(held.pop() as number);
      const outcome = await extractTo(directory, {}).then(
        (report) => report.outcome,
        (error: NodeJS.ErrnoException) => String(error.code),
      );
      outcomes.add(outcome);
      // To look takes a descriptor, too.
      for (let count = 0; count < 2; count += 1) closeSync(held.pop() as number);
      assert.equal(readdirSync(directory), outcome === 'created' ? ['app'] : [], `${free} free: ${outcome}`);
      rmSync(join(directory, 'app'), { recursive: true, force: true });
    }
  } finally {
    for (const fd of held) closeSync(fd);
  }
  assert.equal([...outcomes].sort(), ['EMFILE', 'created']);
});

test('a destination whose parent is not ours to write to says what to do', async () => {
  const directory = tempDirectory();
  giveAway(directory);
  chmodSync(directory, 0o555);
  const error = await withoutRights(() => rejection(extractTo(directory, {})));
  assert.is(error.code, 'EACCES');
  assert.match(error.message, "set publish to 'in-place'");
  chmodSync(directory, 0o755);
});

test('a path near PATH_MAX is served, and one that staging makes too long says what to do', async () => {
  if (process.platform !== 'linux') return console.log('  skipped: PATH_MAX is another one');
  const base = tempDirectory();
  let directory = base;
  // The staging directory's tree takes 24 more than its parent; the file in it four.
  const most = 4095 - 24 - 4;
  while (directory.length + 256 < most) directory = join(directory, 'd'.repeat(200));
  directory = join(directory, 'd'.repeat(most - directory.length - 1));
  mkdirSync(directory, { recursive: true });
  assert.is((await extractTo(directory, {})).outcome, 'created');
  // One more than there is room for: the system counts the NUL, too.
  const longer = `${directory.slice(0, -1)}${'e'.repeat(6)}`;
  mkdirSync(longer);
  const error = await rejection(extractTo(longer, {}));
  assert.is(error.code, 'ENAMETOOLONG');
  assert.match(error.message, "set publish to 'in-place'");
  assert.equal(readdirSync(longer), []);
});

test.run();

const elsewhere = suite('wrapExtractor, beside other owners');

const library = bundledLibrary();
const childScript = fileURLToPath(new URL('helpers/extract-child.js', import.meta.url));

/** Start an extraction that goes on until it is killed. */
async function startHanging(destination: string, before: string[] = []) {
  const task = JSON.stringify({ archive: 'x', destination, options: { manifest: false }, hang: true });
  const [program = '', ...args] = [...before, ...javascriptCommand, childScript, library, task];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const staging = line
    .toString()
    .replace('extracting ', '')
    .trim()
    .replace(/\/tree$/, '');
  const end = async () => {
    const closed = once(child, 'close');
    // Not child.kill: some runtimes do it once only.
    process.kill(child.pid as number, 'SIGKILL');
    await closed;
  };
  return { child, staging, end };
}

if (process.platform !== 'linux') console.log('  skipped: process namespaces need Linux');
else {
  const namespaces: [string, string[]][] = [['the same namespace', []]];
  if (canMount) {
    namespaces.push(['another process namespace', ['unshare', '-p', '-f', '--mount-proc', '--kill-child']]);
    namespaces.push(['another network namespace', ['unshare', '-n']]);
  }
  for (const [name, before] of namespaces) {
    elsewhere(`a live owner in ${name} is never disturbed, a dead one is cleared up after`, async () => {
      const directory = tempDirectory();
      const { child, staging, end } = await startHanging(join(directory, 'other'), before);
      try {
        addToTree(staging, { 'tree/f': 'x' });
        if (before.length === 0) process.kill(child.pid as number, 'SIGSTOP');
        for (let times = 0; times < 3; times += 1) {
          await extractTo(directory, { existing: 'replace' });
          assert.equal(readdirSync(staging).length, 2, name);
          assert.ok(existsSync(join(staging, 'tree/f')));
        }
      } finally {
        await end();
      }
      await rejection(extractTo(directory, {}));
      assert.equal(readdirSync(directory), ['app']);
    });
  }

  elsewhere('its socket does not keep a process alive', async () => {
    if (!canRunOn(['node', 'bun'], 'it looks for packages where the script is')) return;
    const directory = tempDirectory();
    const script = `
      import { wrapExtractor } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
      wrapExtractor(() => new Promise(() => {}), { manifest: false })('x', ${JSON.stringify(join(directory, 'app'))});
      setImmediate(() => console.log('turned'));`;
    writeFileSync(join(directory, 'script.mjs'), script);
    const [program, ...args] = javascriptCommand;
    const child = spawn(program, [...args, join(directory, 'script.mjs')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // Node says with 13 that something is awaited at its end for ever; here nothing is.
    assert.match(await outputOf(child), 'turned');
    await extractTo(directory, {});
    assert.equal(stagingIn(directory), []);
  });
}

elsewhere.run();
