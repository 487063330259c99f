import { chmodSync, linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UnresolvedEntryError } from '../lib/errors.ts';
import type { PermissionChange, PermissionCounts, PermissionReport } from '../lib/report.ts';
import { UnresolvedEntriesError } from '../lib/report.ts';
import { allPasses, impatient, reasonsOf, rejectedReport } from './helpers/passes.ts';
import { makeTree, modeOf, modesBelow, tempDirectory } from './helpers/tree.ts';

/** Everything that must be true of any report. */
function checkSums({ counts, unresolved, ok }: PermissionReport): void {
  const { visited, changed, unchanged, links, special } = counts;
  assert.is(visited, changed + unchanged + links + special);
  assert.is(ok, unresolved.length === 0);
}

function counts(report: PermissionReport): Partial<PermissionCounts> {
  checkSums(report);
  return Object.fromEntries(Object.entries(report.counts).filter(([, count]) => count > 0));
}

for (const { backend, title, apply } of allPasses) {
  const test = suite(`apply (${title})`);

  test('adds exec bits to what globs name, where there is r, and takes none away', async () => {
    const root = makeTree({
      'bin/run': 0o644,
      'bin/.hidden': 0o600,
      'bin/unreadable': 0o200,
      'lib/data': 0o640,
      'lib/tool': 0o755,
    });
    const report = await apply(root, { executable: 'bin/*', umask: 0o022 });
    assert.equal(modesBelow(root), {
      '.': '755',
      bin: '755',
      lib: '755',
      'bin/run': '755',
      'bin/.hidden': '700',
      'bin/unreadable': '200',
      'lib/data': '640',
      'lib/tool': '755',
    });
    assert.equal(counts(report), { visited: 8, changed: 2, unchanged: 6 });
    assert.is(report.backend, backend);
    assert.is(report.root, root);
  });

  test('adds exec bits to what the manifest marks, and to directories, under the umask', async () => {
    const root = makeTree({ 'a/': 0o744, 'a/run': 0o644, 'a/data': 0o644 });
    const manifest = [
      { path: 'a/run', type: 'file', mode: 0o100755 },
      { path: 'a/data', type: 'file', mode: 0o100644 },
    ] as const;
    const report = await apply(root, { manifest, umask: 0o077 });
    assert.is(modeOf(root, 'a/run'), 0o744);
    assert.is(modeOf(root, 'a/data'), 0o644);
    assert.is(modeOf(root, 'a'), 0o744, 'x for group and others is masked');
    assert.equal(counts(report), { visited: 4, changed: 1, unchanged: 3 });
    assert.equal(counts(await apply(root, { manifest, umask: 0o022 })), {
      visited: 4,
      changed: 2,
      unchanged: 2,
    });
    assert.is(modeOf(root, 'a'), 0o755);
  });

  test("'manifest' sets exactly the manifest's modes and leaves unknown ones alone", async () => {
    const root = makeTree({
      'a/run': 0o600,
      'a/secret': 0o777,
      'a/unknown': 0o604,
      'a/none': 0o644,
      'a/setuid': 0o4777,
    });
    const manifest = [
      { path: 'a', type: 'directory', mode: 0o700 },
      { path: 'a/run', mode: 0o755 },
      { path: 'a/secret', mode: 0o600 },
      { path: 'a/unknown' },
      { path: 'a/none', mode: 0 },
      { path: 'a/setuid', mode: 0o4755 },
    ] as const;
    await apply(root, { manifest, mode: 'manifest', umask: 0o022 });
    assert.equal(modesBelow(root), {
      '.': '755',
      a: '700',
      'a/run': '755',
      'a/secret': '600',
      'a/unknown': '604',
      'a/none': '0',
      'a/setuid': '755',
    });
  });

  test('a number is the mode of files, and directories get x where it has r', async () => {
    const root = makeTree({ 'a/f': 0o777, 'a/g': 0o4755, 'd/': 0o2700 });
    await apply(root, { mode: 0o640 });
    assert.equal(modesBelow(root), { '.': '750', a: '750', d: '2750', 'a/f': '640', 'a/g': '640' });
  });

  test('a symbolic mode works on everything', async () => {
    const root = makeTree({ 'a/f': 0o600, 'a/x': 0o700, 'a/': 0o700 });
    await apply(root, { mode: 'u+rwX,go+rX' });
    assert.equal(modesBelow(root), { '.': '755', a: '755', 'a/f': '644', 'a/x': '755' });
  });

  test('executable globs add x in every mode', async () => {
    const root = makeTree({ 'bin/f': 0o600, 'lib/f': 0o600 });
    await apply(root, { mode: 0o644, executable: ['bin/**'], umask: 0 });
    assert.is(modeOf(root, 'bin/f'), 0o755);
    assert.is(modeOf(root, 'lib/f'), 0o644);
  });

  test('never touches and never enters what is ignored', async () => {
    const root = makeTree({
      'keep/f': 0o600,
      'skip/f': 0o600,
      'skip/deep/f': 0o600,
      '.git/hooks/h': 0o600,
      'keep/x.pyc': 0o600,
    });
    const report = await apply(root, { mode: 'a+rX', ignore: ['skip/', '.git', '**/*.pyc'] });
    assert.is(modeOf(root, 'keep/f'), 0o644);
    assert.is(modeOf(root, 'skip/f'), 0o600);
    assert.is(modeOf(root, 'skip/deep/f'), 0o600);
    assert.is(modeOf(root, '.git/hooks/h'), 0o600);
    assert.is(modeOf(root, 'keep/x.pyc'), 0o600);
    assert.equal(counts(report), { visited: 3, changed: 1, unchanged: 2, ignored: 3 });
  });

  test('ignores manifest paths too: not waited for, not missing', async () => {
    const root = makeTree({ 'a/f': 0o644 });
    const manifest = [{ path: 'a/f', mode: 0o755 }, { path: 'tests/gone', mode: 0o755 }, 'tests/'];
    const report = await apply(root, { manifest, ignore: 'tests' });
    assert.is(modeOf(root, 'a/f'), 0o755);
    assert.is(report.counts.ignored, 1);
    assert.is(report.settle.rounds, 0);
  });

  test('a negated glob takes back what the globs before it named', async () => {
    const root = makeTree({ 'bin/run': 0o644, 'bin/run.txt': 0o644 });
    await apply(root, { executable: ['bin/*', '!**/*.txt'], umask: 0 });
    assert.is(modeOf(root, 'bin/run'), 0o755);
    assert.is(modeOf(root, 'bin/run.txt'), 0o644);
  });

  test('discover counts and matches what the manifest does not name', async () => {
    const root = makeTree({ 'a/f': 0o644, 'a/extra': 0o644, 'b/more': 0o644 });
    const options = { manifest: ['a/f'], executable: '**', umask: 0 };
    const without = await apply(root, options);
    assert.equal(counts(without), { visited: 3, changed: 1, unchanged: 2 });
    assert.is(modeOf(root, 'a/extra'), 0o644);
    const report = await apply(root, { ...options, discover: true });
    assert.equal(counts(report), { visited: 6, changed: 2, unchanged: 4, unlisted: 3 });
    assert.is(modeOf(root, 'a/extra'), 0o755);
    assert.is(modeOf(root, 'b/more'), 0o755);
  });

  test('dryRun changes nothing and says what would change', async () => {
    const root = makeTree({ 'a/f': 0o644, 'a/': 0o700, 'b/': 0o777, 'b/g': 0o666 });
    const before = modesBelow(root);
    const planned: PermissionChange[] = [];
    const done: PermissionChange[] = [];
    const dry = await apply(root, {
      mode: 'a+rx,go-w',
      dryRun: true,
      onChange: (change) => planned.push(change),
    });
    assert.equal(modesBelow(root), before);
    assert.ok(dry.dryRun);
    const wet = await apply(root, { mode: 'a+rx,go-w', onChange: (change) => done.push(change) });
    assert.equal(planned, done);
    assert.equal(dry.counts, wet.counts);
    assert.equal(done.length, 4);
    assert.equal(counts(await apply(root, { mode: 'a+rx,go-w' })), { visited: 5, unchanged: 5 });
  });

  test('a directory that loses bits comes after what is in it', async () => {
    const root = makeTree({ 'a/b/f': 0o755, 'a/g': 0o755 });
    const order: string[] = [];
    await apply(root, { mode: 'a-x', onChange: ({ path }) => order.push(path) });
    const position = (path: string) => order.indexOf(path);
    assert.ok(position('a/b/f') < position('a/b'));
    assert.ok(position('a/b') < position('a'));
    assert.ok(position('a/g') < position('a'));
    assert.is(order.at(-1), '.');
    assert.is(modeOf(root), 0o644);
  });

  test('keeps setuid and setgid in executable mode', async () => {
    const root = makeTree({ 'bin/su': 0o4644, 'bin/': 0o3755 });
    await apply(root, { executable: '**', umask: 0o022 });
    assert.is(modeOf(root, 'bin/su'), 0o4755);
    assert.is(modeOf(root, 'bin'), 0o3755);
  });

  test('verify: presence, size, none', async () => {
    const root = makeTree({ 'a/f': { content: 'abc' }, 'a/run': { content: 'abc' } });
    const manifest = [
      { path: 'a/f', type: 'file', size: 5 },
      { path: 'a/run', type: 'file', size: 3, mode: 0o755 },
    ] as const;
    const bySize = await rejectedReport(apply(root, { manifest, retry: impatient }));
    assert.equal(reasonsOf(bySize), ['a/f: size-mismatch']);
    assert.equal(bySize.unresolved[0]?.expected, { type: 'file', size: 5 });
    assert.equal(bySize.unresolved[0]?.actual, { type: 'file', size: 3 });
    assert.is(modeOf(root, 'a/run'), 0o755, 'the rest is done');
    assert.ok((await apply(root, { manifest, verify: 'presence' })).ok);
    rmSync(join(root, 'a/f'));
    const byPresence = await rejectedReport(apply(root, { manifest, verify: 'presence', retry: impatient }));
    assert.equal(reasonsOf(byPresence), ['a/f: missing']);
    const none = await apply(root, { manifest, verify: 'none' });
    assert.equal(counts(none), { visited: 3, unchanged: 3 });
    rmSync(join(root, 'a/run'));
    const wanted = await rejectedReport(apply(root, { manifest, verify: 'none', retry: impatient }));
    assert.equal(reasonsOf(wanted), ['a/run: missing'], 'what gets a mode must be there');
  });

  for (const verify of ['presence', 'size'] as const) {
    for (const discover of [false, true]) {
      test(`wrong types are final at once (verify ${verify}, discover ${discover})`, async () => {
        const root = makeTree({
          file: 'x',
          'directory/f': 0o644,
          link: '-> file',
          flat: 'target.so',
          other: 'something else',
          right: '-> file',
          wrong: '-> directory',
        });
        const manifest = [
          { path: 'file', type: 'directory' },
          { path: 'directory', type: 'file' },
          { path: 'link', type: 'file' },
          { path: 'flat', type: 'symlink', linkTarget: 'target.so' },
          { path: 'other', type: 'symlink', linkTarget: 'target.so' },
          { path: 'right', type: 'symlink', linkTarget: 'file' },
          { path: 'wrong', type: 'symlink', linkTarget: 'file' },
        ] as const;
        const report = await rejectedReport(apply(root, { manifest, verify, discover }));
        checkSums(report);
        assert.equal(reasonsOf(report), [
          'directory: type-mismatch',
          'file: type-mismatch',
          'flat: link-flattened',
          'link: type-mismatch',
          'other: type-mismatch',
          'wrong: link-mismatch',
        ]);
        assert.is(report.settle.rounds, 0);
        const wrong = report.unresolved.at(-1) as UnresolvedEntryError;
        assert.equal(wrong.expected, { type: 'symlink', linkTarget: 'file' });
        assert.equal(wrong.actual, { type: 'symlink', linkTarget: 'directory' });
        assert.is(report.unresolved[2]?.target, 'target.so');
      });

      test(`a path through a link is never resolved (verify ${verify}, discover ${discover})`, async () => {
        const outside = makeTree({ f: 0o600, 'sub/g': 0o600 });
        const root = makeTree({ 'real/f': 0o600, 'a/inside': '-> ../real', 'a/outside': `-> ${outside}` });
        const manifest = ['a/inside/f', 'a/outside/f', 'a/outside/sub/g', 'real/f'].map((path) => ({
          path,
          type: 'file' as const,
          mode: 0o755,
        }));
        const report = await rejectedReport(apply(root, { manifest, verify, discover }));
        assert.equal(reasonsOf(report), [
          'a/inside/f: symlink-in-path',
          'a/outside/f: symlink-in-path',
          'a/outside/sub/g: symlink-in-path',
        ]);
        assert.is(modeOf(outside, 'f'), 0o600);
        assert.is(modeOf(outside, 'sub/g'), 0o600);
        assert.is(modeOf(root, 'real/f'), 0o700);
        assert.is(report.settle.rounds, 0);
      });
    }
  }

  test('hard links: apply, skip, error', async () => {
    const make = () => {
      const root = makeTree({ f: 0o644, single: 0o644 });
      linkSync(join(root, 'f'), join(root, 'g'));
      return root;
    };
    const applied = make();
    assert.equal(counts(await apply(applied, { mode: 'a+x' })), {
      visited: 4,
      changed: 2,
      unchanged: 2,
      hardLinked: 1,
    });
    const skipped = make();
    const skip = await apply(skipped, { mode: 'a+x', hardLinks: 'skip' });
    assert.equal(counts(skip), { visited: 2, changed: 1, unchanged: 1, ignored: 2 });
    assert.is(modeOf(skipped, 'f'), 0o644);
    assert.is(modeOf(skipped, 'single'), 0o755);
    const refused = make();
    const report = await rejectedReport(apply(refused, { mode: 'a+x', hardLinks: 'error' }));
    assert.equal(reasonsOf(report), ['f: hard-linked', 'g: hard-linked']);
    assert.equal(report.unresolved[0]?.expected, { mode: 0o755 });
    assert.is(modeOf(refused, 'f'), 0o644);
    assert.ok((await apply(refused, { mode: 'a+r', hardLinks: 'error' })).ok, 'only a change is refused');
  });

  test('a dry run counts the names of one file as the real run does', async () => {
    const root = makeTree({ f: 0o644 });
    linkSync(join(root, 'f'), join(root, 'g'));
    const dry = await apply(root, { mode: 'a+x', dryRun: true });
    const wet = await apply(root, { mode: 'a+x' });
    assert.equal(dry.counts, wet.counts);
    assert.is(wet.counts.changed, 1);
  });

  test('a link has no mode that would have to be looked at', async () => {
    const root = makeTree({ f: 0o644 });
    const manifest = [{ path: 'gone', type: 'symlink', mode: 0o777 } as const];
    assert.ok((await apply(root, { manifest, verify: 'none' })).ok);
  });

  test('maxEntries stops the pass with an error', async () => {
    const root = makeTree({ 'a/f': 0o600, 'a/g': 0o600, 'a/h': 0o600 });
    await apply(root, { mode: 'a+r', maxEntries: 5, dryRun: true });
    for (const options of [{ maxEntries: 4 }, { maxEntries: 2, manifest: ['a/f', 'a/g'] }]) {
      try {
        await apply(root, { mode: 'a+r', ...options });
        assert.unreachable();
      } catch (error) {
        assert.instance(error, RangeError);
        assert.is((error as { code?: string }).code, 'ERR_PERMWALK_MAX_ENTRIES');
        assert.match((error as Error).message, 'maxEntries');
      }
      assert.is(modeOf(root, 'a/f'), 0o600);
    }
    const both = await apply(root, { mode: 'a+r', maxEntries: 5, manifest: ['a/f', 'a/g'], discover: true });
    assert.is(both.counts.visited, 5, 'an entry that is listed and found counts once');
  });

  test('a root that is a link is resolved once', async () => {
    const root = makeTree({ f: 0o600 });
    const link = join(tempDirectory(), 'link');
    symlinkSync(root, link);
    const report = await apply(link, { mode: 'a+r' });
    assert.is(report.root, root);
    assert.is(modeOf(root, 'f'), 0o644);
  });

  test('refuses / and what is no directory, and says when nothing is there', async () => {
    const root = makeTree({ f: 0o600 });
    const rejection = async (path: string) => {
      try {
        await apply(path, { mode: 'a+r' });
      } catch (error) {
        return error as Error & { code?: string };
      }
      throw new Error('expected a rejection');
    };
    assert.instance(await rejection('/'), RangeError);
    assert.instance(await rejection('/tmp/..'), RangeError);
    assert.is((await rejection(join(root, 'f'))).code, 'ENOTDIR');
    assert.is((await rejection(join(root, 'gone'))).code, 'ENOENT');
    assert.is(modeOf(root, 'f'), 0o600);
  });

  test('strict: false resolves with the same report that strict rejects with', async () => {
    const root = makeTree({ f: 0o644 });
    const options = { manifest: ['f', 'gone'], retry: false } as const;
    const lenient = await apply(root, { ...options, strict: false });
    assert.not.ok(lenient.ok);
    try {
      await apply(root, options);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, UnresolvedEntriesError);
      assert.instance(error, AggregateError);
      const { report, errors, message } = error as UnresolvedEntriesError;
      assert.equal(errors, report.unresolved);
      // A report may have a million: each costs what it says, and no more.
      for (const error of errors) assert.not.match(error.stack ?? '', /\n\s+at |@/);
      assert.match(new Error('other').stack ?? '', 'apply.spec');
      assert.match(message, '1 missing');
      assert.match(message, '"gone"');
      const plain = (of: PermissionReport) =>
        JSON.stringify(of, (name, value) => (name.endsWith('Ms') ? undefined : value));
      assert.is(plain(report), plain(lenient));
    }
  });

  test('the JSON of a report is complete', async () => {
    const root = makeTree({ f: 'abc', dangling: '-> nowhere' });
    const manifest = [{ path: 'f', type: 'file', size: 4 }, 'gone/below'] as const;
    const report = await apply(root, { manifest, retry: false, strict: false, discover: true });
    const json = JSON.parse(JSON.stringify(report));
    assert.equal(Object.keys(json), [
      'root',
      'ok',
      'backend',
      'modes',
      'dryRun',
      'counts',
      'links',
      'unlisted',
      'unresolved',
      'settle',
      'warnings',
      'durationMs',
    ]);
    assert.equal(json.links, [{ path: 'dangling', target: 'nowhere', kind: 'dangling' }]);
    const [size, gone] = json.unresolved;
    assert.equal(Object.keys(size), [
      'path',
      'reason',
      'code',
      'expected',
      'actual',
      'attempts',
      'elapsedMs',
      'message',
    ]);
    assert.equal([size.path, size.reason, size.code], ['f', 'size-mismatch', 'ERR_PERMWALK_SIZE_MISMATCH']);
    assert.equal([gone.path, gone.reason, gone.code], ['gone/below', 'missing', 'ENOENT']);
  });

  test('what a callback throws rejects the pass, and no descriptor stays open', async () => {
    const root = makeTree({ 'a/b/f': 0o600, 'a/b/g': 0o600 });
    for (const name of ['onChange', 'onProgress'] as const) {
      const failure = new Error(name);
      const thrower = () => {
        throw failure;
      };
      try {
        await apply(root, { mode: 'a+r', [name]: thrower });
        assert.unreachable();
      } catch (error) {
        assert.is(error, failure);
      }
    }
  });

  test('names that objects have by themselves are plain paths', async () => {
    const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];
    const root = makeTree(Object.fromEntries(names.map((name) => [`${name}/${name}`, 0o600])));
    const manifest = names.map((name) => ({ path: `${name}/${name}`, mode: 0o755 }));
    await apply(root, { manifest, umask: 0o022, discover: true });
    for (const name of names) assert.is(modeOf(root, name, name), 0o700);
  });

  test('a file on the way of a manifest path is no directory', async () => {
    const root = makeTree({ a: 'x' });
    const report = await rejectedReport(apply(root, { manifest: ['a/b/c'], retry: impatient }));
    assert.equal(reasonsOf(report), ['a/b/c: missing']);
    assert.is(report.unresolved[0]?.code, 'ENOTDIR');
  });

  test('empty trees and empty manifests are fine', async () => {
    const root = tempDirectory();
    chmodSync(root, 0o755);
    assert.equal(counts(await apply(root)), { visited: 1, unchanged: 1 });
    assert.equal(counts(await apply(root, { manifest: [] })), { visited: 1, unchanged: 1 });
    mkdirSync(join(root, 'd'));
    writeFileSync(join(root, 'd/f'), '');
    assert.equal(counts(await apply(root, { manifest: [], discover: true })), {
      visited: 3,
      unchanged: 3,
      unlisted: 2,
    });
  });

  test('an async iterable is a manifest too', async () => {
    const root = makeTree({ 'a/f': 0o644 });
    async function* entries() {
      yield 'a/';
      yield { path: 'a/f', mode: 0o755 };
    }
    await apply(root, { manifest: entries(), umask: 0 });
    assert.is(modeOf(root, 'a/f'), 0o755);
  });

  test('among files that change, each is held against the manifest, and counted once', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const root = makeTree(Object.fromEntries(names.map((name) => [name, { mode: 0o600, content: '12' }])));
    writeFileSync(join(root, 'c'), '123');
    rmSync(join(root, 'd'));
    chmodSync(join(root, 'e'), 0o644);
    const changes: string[] = [];
    const report = await apply(root, {
      manifest: names.map((path) => ({ path, type: 'file', size: 2 }) as const),
      mode: 'go+r',
      retry: false,
      strict: false,
      onChange: ({ path }) => changes.push(path),
    });
    assert.equal(reasonsOf(report), ['c: size-mismatch', 'd: missing']);
    assert.equal(counts(report), { visited: 5, changed: 3, unchanged: 2 });
    assert.equal(changes, ['a', 'b', 'f']);
    assert.is(modeOf(root, 'c'), 0o600);
  });

  test('changed files that have more names are counted, once a file, and told', async () => {
    for (const options of [{}, { dryRun: true }, { manifest: ['f', 'd/g', 'alone', 'right', 'right2'] }]) {
      const root = makeTree({ f: 0o600, 'd/': 0o755, alone: 0o600, right: 0o644 });
      linkSync(join(root, 'f'), join(root, 'd/g'));
      linkSync(join(root, 'right'), join(root, 'right2'));
      const changes: unknown[] = [];
      const report = await apply(root, {
        mode: 'go+r',
        ...options,
        onChange: ({ names = 1, from, to }) => changes.push([names, from, to]),
      });
      assert.equal(changes.sort(), [
        [1, 0o600, 0o644],
        [2, 0o600, 0o644],
      ]);
      assert.is(report.counts.hardLinked, 1);
      assert.is(report.counts.changed, 2);
      const { visited, changed, unchanged, links, special } = report.counts;
      assert.is(visited, changed + unchanged + links + special, 'it stands beside the sum');
    }
  });

  test('a mode that would come out otherwise a second time is applied once', async () => {
    const shape = { 'd/': 0o070, f: 0o040 };
    const expected = { d: '500', f: '400' };
    for (const options of [{}, { manifest: ['d/', 'f', 'never'], retry: impatient, strict: false }]) {
      const root = makeTree(shape);
      await apply(root, { mode: 'g=u,u+rX,g-w', ...options });
      const { '.': _, ...below } = modesBelow(root);
      assert.equal(below, expected);
    }
  });

  test.run();
}
