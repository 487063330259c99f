import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeName } from '../lib/directory/names.ts';
import { type ManifestEntry, type PermissionChange, stageTree, wrapExtractor } from '../lib/index.ts';
import type { ApplyOptions } from '../lib/options.ts';
import type { PermissionProgress } from '../lib/report.ts';
import { canMount, isRoot, NOBODY, passInChild } from './helpers/child.ts';
import { allPasses, impatient, reasonsOf } from './helpers/passes.ts';
import { canActAsRoot, giveAway, withoutRights } from './helpers/rights.ts';
import { canUseByteNames } from './helpers/runtime.ts';
import { addToTree, entriesBelow, makeTree, modeOf, type TreeShape, tempDirectory } from './helpers/tree.ts';

const patient = { retries: 20, minTimeout: 1, factor: 1, maxTimeout: 5, maxRetryTime: 60_000 };
const link = (path: string, linkTarget: string): ManifestEntry => ({ path, type: 'symlink', linkTarget });
const restoring = { flattenedLinks: 'restore', strict: false, retry: impatient, umask: 0o022 } as const;

/** A macOS framework and a directory of libraries as Pillow has one, their links flattened. */
const links: Record<string, string> = {
  'F.framework/F': 'Versions/Current/F',
  'F.framework/Resources': 'Versions/Current/Resources',
  'F.framework/Versions/Current': 'A',
  'PIL/.dylibs/libwebp.dylib': 'libwebp.7.dylib',
  'PIL/current.so': './../PIL//core.so',
};
const shape: TreeShape = {
  'F.framework/Versions/A/F': '#!/bin/sh\n',
  'F.framework/Versions/A/Resources/Info.plist': 'plist',
  'PIL/.dylibs/libwebp.7.dylib': 'webp',
  'PIL/core.so': 'core',
  ...links,
};
const manifest: ManifestEntry[] = [
  { path: 'F.framework/Versions/A/F', type: 'file', mode: 0o755, size: 10 },
  { path: 'F.framework/Versions/A/Resources/Info.plist', type: 'file' },
  { path: 'PIL/.dylibs/libwebp.7.dylib', type: 'file' },
  { path: 'PIL/core.so', type: 'file' },
  ...Object.entries(links).map(([path, target]) => link(path, target)),
];

/** Something that happens while the pass waits, after so many rounds. */
function afterRounds(rounds: number, act: () => void): (progress: PermissionProgress) => void {
  let seen = 0;
  return ({ phase }) => {
    if (phase === 'settle') seen += 1;
    if (phase === 'settle' && seen === rounds) act();
  };
}

/** Text of a link, or content of a file. */
function textAt(root: string, path: string): string {
  const full = join(root, path);
  return lstatSync(full).isSymbolicLink() ? `-> ${readlinkSync(full)}` : readFileSync(full, 'utf8');
}

/** What is left of our own work: nothing, always. */
function leftIn(root: string): string[] {
  return entriesBelow(root).flatMap(([path]) => (path.includes('.permwalk-') ? [path] : []));
}

for (const { title, backend, apply } of allPasses) {
  const test = suite(`flattened links: ${title}`);

  test('a whole tree comes back, and is told', async () => {
    for (const verify of ['size', 'presence'] as const) {
      for (const discover of [false, true]) {
        const told: PermissionChange[] = [];
        const options: ApplyOptions = { ...restoring, manifest, verify, discover, danglingLinks: 'error' };
        const root = makeTree(shape);
        const onChange = (change: PermissionChange) => told.push(change);
        const report = await apply(root, { ...options, onChange });
        assert.equal(reasonsOf(report), []);
        const { restored, links: found, changed, visited, unlisted } = report.counts;
        assert.equal([restored, found, changed, unlisted], [5, 5, 1, 0]);
        assert.is(visited, changed + report.counts.unchanged + found);
        assert.equal(report.links, []);
        assert.is(report.settle.rounds, 0);
        for (const [path, target] of Object.entries(links)) assert.is(textAt(root, path), `-> ${target}`);
        assert.is(readFileSync(join(root, 'F.framework/Resources/Info.plist'), 'utf8'), 'plist');
        assert.equal(leftIn(root), []);
        const restorations = told.flatMap(({ path, linkTarget }) => (linkTarget ? [[path, linkTarget]] : []));
        assert.equal(Object.fromEntries(restorations), links);
        assert.is(told.length, 5 + 1);
        const again = await apply(root, options);
        assert.equal([again.counts.restored, again.counts.links, again.ok], [0, 5, true]);
      }
    }
  });

  test("without the option they are unresolved, as with 'error'", async () => {
    const root = makeTree(shape);
    for (const options of [{}, { flattenedLinks: 'error' } as const]) {
      const report = await apply(root, { manifest, strict: false, ...options });
      assert.equal(
        reasonsOf(report),
        Object.keys(links).map((path) => `${path}: link-flattened`),
      );
      assert.is(report.counts.restored, 0);
      assert.match(report.unresolved[0]?.message ?? '', "set flattenedLinks to 'restore'");
      for (const [path, target] of Object.entries(links)) assert.is(textAt(root, path), target);
    }
  });

  test('a dry run says what the run does, and does nothing', async () => {
    const tree = {
      ...shape,
      'real-link': '-> F.framework/Resources/Info.plist',
      gone: 'nowhere',
      evil: '/x',
    };
    const all = [...manifest, link('gone', 'nowhere'), link('evil', '/x')];
    for (const danglingLinks of ['defer', 'skip', 'error'] as const) {
      const root = makeTree(tree);
      const outcome = async (dryRun: boolean) => {
        const told: string[] = [];
        const onChange = (change: PermissionChange) => told.push(JSON.stringify(change));
        const options = { ...restoring, manifest: all, danglingLinks, discover: true, dryRun, onChange };
        const { counts, links: found, unresolved } = await apply(root, options);
        return { counts, found, reasons: reasonsOf({ unresolved }), told: told.sort() };
      };
      const dry = await outcome(true);
      assert.is(textAt(root, 'F.framework/F'), links['F.framework/F']);
      assert.equal(dry, await outcome(false), danglingLinks);
      assert.is(dry.counts.restored, 6);
    }
  });

  test('a text that comes late is waited for, with either option', async () => {
    for (const flattenedLinks of ['error', 'restore'] as const) {
      for (const start of ['', 'tar']) {
        const root = makeTree({ l: start, target: 0o644 });
        const onProgress = afterRounds(2, () =>
          appendFileSync(join(root, 'l'), 'target'.slice(start.length)),
        );
        const options = { ...restoring, flattenedLinks, retry: patient, onProgress };
        const report = await apply(root, { ...options, manifest: [link('l', 'target')] });
        assert.ok(report.settle.rounds > 0);
        const isRestored = flattenedLinks === 'restore';
        assert.equal(reasonsOf(report), isRestored ? [] : ['l: link-flattened']);
        assert.is(textAt(root, 'l'), isRestored ? '-> target' : 'target');
        assert.equal([report.counts.restored, report.settle.recovered > 0], [Number(isRestored), isRestored]);
      }
    }
  });

  test('what it leads to and never comes is waited for once', async () => {
    for (const dryRun of [false, true]) {
      const root = makeTree({ l: 'gone', 'real-link': '-> gone' });
      const entries = ['gone', link('l', 'gone'), link('real-link', 'gone')];
      const retry = { retries: 3, minTimeout: 1, maxTimeout: 1 };
      const report = await apply(root, { ...restoring, manifest: entries, retry, dryRun });
      assert.equal(reasonsOf(report), ['gone: missing', 'l: dangling-link', 'real-link: dangling-link']);
      assert.equal([report.settle.rounds, report.unresolved.map(({ attempts }) => attempts)], [3, [4, 4, 4]]);
    }
  });

  test('what is only the start of a text is waited for, and unresolved', async () => {
    for (const content of ['', 'targe']) {
      const root = makeTree({ l: content });
      const report = await apply(root, { ...restoring, manifest: [link('l', 'target')] });
      assert.equal(reasonsOf(report), ['l: type-mismatch']);
      const [entry] = report.unresolved;
      assert.ok((entry?.attempts ?? 0) > 1);
      assert.equal(entry?.actual, { type: 'file', size: content.length });
      assert.equal(entry?.expected, { type: 'symlink', linkTarget: 'target' });
      assert.is(textAt(root, 'l'), content);
    }
    const root = makeTree({ l: 'tax', m: 'target\n' });
    const report = await apply(root, { ...restoring, manifest: [link('l', 'target'), link('m', 'target')] });
    assert.equal(reasonsOf(report), ['l: type-mismatch', 'm: type-mismatch']);
    assert.is(report.settle.rounds, 0, 'no start of it: nothing more can come');
  });

  test('a link is made once everything else is there, and what waits for it is found', async () => {
    const root = makeTree({ 'd/l': '../late', through: '-> d/l' });
    const atRound: string[] = [];
    const onProgress = afterRounds(2, () => {
      atRound.push(textAt(root, 'd/l'));
      writeFileSync(join(root, 'late'), '');
    });
    const entries = [link('d/l', '../late'), link('through', 'd/l'), 'late'];
    const report = await apply(root, { ...restoring, retry: patient, manifest: entries, onProgress });
    assert.equal(atRound, ['../late']);
    assert.equal([reasonsOf(report), report.links, report.counts.restored], [[], [], 1]);
  });

  test('links that were there lead where they do once files have become links', async () => {
    const tree = {
      'd/gone': 'nowhere',
      'd/top': '..',
      'd/deep': 'a/b',
      'd/a/b/f': '',
      ...{ 'd/dangles': '-> gone', 'd/outside': '-> top/../x', 'd/inside': '-> deep/f' },
      'd/in-deep': '-> deep/../../../f',
      f: '',
    };
    const entries = Object.entries(tree).map(([path, content]) =>
      path.endsWith('f') || path === 'f' || path === 'd/in-deep'
        ? path
        : link(path, content.replace(/^-> /, '')),
    );
    for (const discover of [false, true]) {
      for (const danglingLinks of ['defer', 'skip'] as const) {
        for (const dryRun of [true, false]) {
          const listed = discover ? entries.filter((entry) => entry !== 'd/in-deep') : entries;
          const options = { ...restoring, manifest: listed, danglingLinks, discover };
          const root = makeTree(tree);
          const report = await apply(root, { ...options, dryRun });
          assert.equal([reasonsOf(report), report.counts.restored, report.counts.links], [[], 3, 7]);
          const kinds = report.links.map(({ path, kind }) => `${path}: ${kind}`);
          assert.equal(kinds, ['d/dangles: dangling', 'd/gone: dangling', 'd/outside: outside']);
          if (!dryRun) assert.equal((await apply(root, options)).links, report.links);
        }
      }
    }
  });

  test('a link through one that is still a file does not wait for what is there', async () => {
    const tree = { 'b/l/a': '../x/y', 'b/x/y/f': '', 'b/l/l/m': '-> ../a/..' };
    const entries = [link('b/l/a', '../x/y'), 'b/x/y/f', link('b/l/l/m', '../a/..')];
    for (const dryRun of [true, false]) {
      const report = await apply(makeTree(tree), { ...restoring, manifest: entries, dryRun });
      assert.equal([reasonsOf(report), report.links, report.settle.rounds], [[], [], 0]);
    }
  });

  test('a directory that is closed at the end is written to before', async () => {
    const root = makeTree({ 'd/l': 'f', 'd/f': 0o644 });
    const entries: ManifestEntry[] = [{ path: 'd', type: 'directory', mode: 0o555 }, link('d/l', 'f')];
    const options = { ...restoring, mode: 'manifest', manifest: entries } as const;
    assert.ok((await apply(root, options)).ok);
    assert.equal([textAt(root, 'd/l'), modeOf(root, 'd')], ['-> f', 0o555]);
  });

  const outer: [path: string, target: string][] = [
    ['l', '..'],
    ['l', '../x'],
    ['l', '/etc/passwd'],
    ['d/l', '../..'],
    ['d/l', '../../x'],
    ['d/l', 'up/../../x'],
    ['d/l', 'sub/../f'],
    ['d/l', './sub/./..'],
    ['d/l', '.././../x'],
    ['d/l', 'out/passwd'],
    ['d/l', '../d/out'],
    ['d/l', 'in/out/x'],
    ['d/l', 'l'],
    ['d/l', 'loop/x'],
    ['d/sub/l', '../../../x'],
  ];
  const asNobody = canActAsRoot('to work as another user') ? test : test.skip;
  asNobody('a directory that its owner cannot write to is told of by a dry run, too', async () => {
    const at = (mode: number, to?: number): [number, ManifestEntry[], string[]] => [
      mode,
      [to === undefined ? { path: 'd' } : { path: 'd', type: 'directory', mode: to }, link('d/l', 'f')],
      to === undefined || to === mode ? ['d/l: permission-denied'] : [],
    ];
    for (const [mode, entries, expected] of [
      at(0o555),
      at(0o555, 0o555),
      at(0o555, 0o755),
      at(0o755, 0o555),
    ]) {
      const root = makeTree({ 'd/f': 'x', 'd/l': 'f', 'd/': mode });
      giveAway(root);
      chmodSync(join(root, 'd'), mode);
      const options: ApplyOptions = { ...restoring, manifest: entries, mode: 'manifest', retry: false };
      const [dry, real] = await withoutRights(async () => [
        await apply(root, { ...options, dryRun: true }),
        await apply(root, options),
      ]);
      const where = `${mode.toString(8)} ${JSON.stringify(entries[0])}`;
      assert.equal([reasonsOf(dry), reasonsOf(real)], [expected, expected], where);
      assert.equal(dry.counts, real.counts, where);
      assert.is(dry.unresolved[0]?.message, real.unresolved[0]?.message, where);
      assert.equal(leftIn(root), []);
    }
  });

  asNobody('a directory that becomes writable for its owner alone is written to', async () => {
    const root = makeTree({ 'd/f': 'x', 'd/l': 'f' });
    giveAway(root);
    chmodSync(join(root, 'd'), 0o555);
    const entries: ManifestEntry[] = [{ path: 'd', type: 'directory', mode: 0o700 }, link('d/l', 'f')];
    const report = await withoutRights(() =>
      apply(root, { ...restoring, manifest: entries, mode: 'manifest' }),
    );
    assert.equal(reasonsOf(report), []);
    assert.is(report.counts.restored, 1);
    assert.is(modeOf(root, 'd'), 0o700);
  });

  test('a link that may lead out, or in a circle, is not made', async () => {
    const tree: TreeShape = { 'd/sub/f': 0o644, 'd/out': '-> /etc', 'd/in': '-> ../d', 'd/loop': '-> loop' };
    for (const [path, target] of outer) {
      const root = makeTree({ ...tree, [path]: target });
      for (const dryRun of [true, false]) {
        const report = await apply(root, { ...restoring, manifest: [link(path, target)], dryRun });
        assert.equal(reasonsOf(report), [`${path}: link-flattened`], target);
        assert.match(report.unresolved[0]?.message ?? '', /its target (?:may lead|leads) (?:out|in)/);
        assert.equal([textAt(root, path), report.counts.restored], [target, 0], target);
        assert.equal(leftIn(root), []);
      }
    }
  });

  const inner: [path: string, target: string][] = [
    ['l', '.'],
    ['l', 'd/'],
    ['l', '.../x'],
    ['l', 'nowhere/at/all'],
    ['d/l', '..'],
    ['d/l', '.././/./d'],
    ['d/l', 'in/f'],
    ['d/sub/l', '../..'],
    ['d/sub/l', '../../d/sub/f'],
  ];
  test('a link that stays inside is made', async () => {
    for (const [path, target] of inner) {
      const root = makeTree({ 'd/sub/f': 0o644, 'd/in': '-> ../d', [path]: target });
      const report = await apply(root, { ...restoring, manifest: [link(path, target)] });
      assert.equal([reasonsOf(report), textAt(root, path)], [[], `-> ${target}`]);
    }
  });

  test('links that lead out together are not made, in whichever order they come', async () => {
    const pairs: Record<string, string>[] = [
      { 'p/q/dirlink': '../../r', 'p/q/l': 'dirlink/../../x' },
      { a: 'b/out', b: 'd' },
      { b: 'a/out', a: 'd' },
      { a: 'b/x', b: 'c', c: 'd/out' },
      { a: 'b', b: 'a' },
    ];
    const expected = [['p/q/l'], ['a'], ['b'], ['a', 'b', 'c'], ['a', 'b']];
    for (const [index, texts] of pairs.entries()) {
      const entries = Object.entries(texts).map(([path, target]) => link(path, target));
      for (const order of [entries, [...entries].reverse()]) {
        const root = makeTree({ 'd/out': '-> /etc', 'r/f': 0o644, ...texts });
        const report = await apply(root, { ...restoring, manifest: order });
        const refused = (expected[index] ?? []).map((path) => `${path}: link-flattened`);
        assert.equal(reasonsOf(report), refused, JSON.stringify(texts));
        assert.is(report.counts.restored, entries.length - refused.length);
      }
    }
  });

  test('a file with another name stays, and so does one of another user', async () => {
    const root = makeTree({ linked: 'f', foreign: 'f', f: 0o644 });
    linkSync(join(root, 'linked'), join(root, 'other'));
    if (isRoot) chownSync(join(root, 'foreign'), NOBODY, NOBODY);
    else console.log('  skipped: only root can give a file away');
    const report = await apply(root, { ...restoring, manifest: [link('linked', 'f'), link('foreign', 'f')] });
    const expected = ['foreign: link-flattened', 'linked: link-flattened'];
    assert.equal(reasonsOf(report), isRoot ? expected : expected.slice(1));
    assert.is(textAt(root, 'linked'), 'f');
    if (!isRoot) return;
    assert.is(textAt(root, 'foreign'), 'f');
    assert.match(report.unresolved[0]?.message ?? '', 'belongs to another user');
    assert.match(report.unresolved[1]?.message ?? '', 'has other names, too');
  });

  test("with verify 'none' nothing is restored", async () => {
    const root = makeTree({ l: 'f', f: 0o644 });
    const options = { ...restoring, manifest: [link('l', 'f')], verify: 'none' } as const;
    assert.ok((await apply(root, options)).ok, 'nothing is looked at');
    const report = await apply(root, { ...options, discover: true });
    assert.equal([reasonsOf(report), textAt(root, 'l')], [['l: link-flattened'], 'f']);
  });

  test('what is ignored stays', async () => {
    const root = makeTree({ 'a/l': 'f', 'b/l': 'f' });
    const entries = [link('a/l', 'f'), link('b/l', 'f')];
    const report = await apply(root, { ...restoring, manifest: entries, ignore: 'a' });
    assert.equal([report.ok, report.counts.restored, textAt(root, 'a/l')], [true, 1, 'f']);
  });

  test('a file that cannot be replaced is named with what the system says, and nothing is left', async () => {
    const target = 'x/'.repeat(2047);
    const root = makeTree({ l: target, 'd/m': 'f' });
    const long = await apply(root, { ...restoring, manifest: [link('l', `${target}y`), link('d/m', 'f')] });
    assert.equal(reasonsOf(long), ['l: type-mismatch']);
    assert.equal([textAt(root, 'l'), textAt(root, 'd/m'), leftIn(root)], [target, '-> f', []]);
  });

  const withBytes = canUseByteNames() && process.platform === 'linux' ? test : test.skip;
  withBytes('names and texts that are not UTF-8 come back', async () => {
    const root = tempDirectory();
    const [name, target] = ['l\udcff', '\udce9t\udce9'];
    writeFileSync(encodeName(`${root}/${name}`), encodeName(target));
    const report = await apply(root, { ...restoring, manifest: [link(name, target)] });
    assert.equal([reasonsOf(report), report.counts.restored], [[], 1]);
    const text = readlinkSync(encodeName(`${root}/${name}`), { encoding: 'buffer' });
    assert.equal(Buffer.from(text), encodeName(target));
    // Text that no link could be read back as.
    for (const odd of ['a\ud800b', '\udcc3\udca9']) {
      writeFileSync(join(root, 'odd'), encodeName(odd));
      const refused = await apply(root, { ...restoring, manifest: [link('odd', odd)] });
      assert.equal(reasonsOf(refused), ['odd: link-flattened']);
      assert.ok(lstatSync(join(root, 'odd')).isFile());
    }
  });

  test('an error of onChange ends the pass, and nothing is left open or lying about', async () => {
    const root = makeTree({ a: 'f', b: 'f' });
    const onChange = () => {
      throw new Error('enough');
    };
    const options = { ...restoring, manifest: [link('a', 'f'), link('b', 'f')], onChange };
    const error = await apply(root, options).catch((thrown) => thrown);
    assert.equal([error.message, textAt(root, 'a'), textAt(root, 'b')], ['enough', '-> f', 'f']);
    assert.equal(leftIn(root), []);
  });

  if (canMount && title === backend) {
    test('a file that something is mounted on stays', async () => {
      const root = makeTree({ l: 'f', f: 0o644, 'd/l': 'f' });
      const elsewhere = makeTree({ l: 'f' });
      const setUp = `mount --bind "${elsewhere}/l" "$1/l"`;
      const options = { ...restoring, manifest: [link('l', 'f'), link('d/l', 'f')] };
      const { report } = await passInChild({ root, backend, options, setUp });
      // The path backend does not see a bind mount of the same device; the kernel does.
      const reason = backend === 'path' ? 'io-error' : 'link-flattened';
      assert.equal(report && reasonsOf(report), [`l: ${reason}`]);
      assert.equal([textAt(root, 'd/l'), leftIn(root)], ['-> f', []]);
    });
  }

  test.run();
}

const around = suite('flattened links: around an extractor');

/** Flattens links, as most extractors do. */
const flatten = (_: string, directory: string) => addToTree(directory, shape);

around('wrapExtractor and stageTree publish the whole tree', async () => {
  const parent = tempDirectory();
  const extract = wrapExtractor(flatten, { manifest, flattenedLinks: 'restore' });
  const report = await extract('archive', join(parent, 'wrapped'));
  assert.equal([report.counts.restored, report.outcome, report.links], [5, 'created', []]);
  const options = { manifest, flattenedLinks: 'restore' } as const;
  await stageTree(join(parent, 'staged'), options, ({ directory }) => flatten('', directory));
  for (const name of ['wrapped', 'staged']) {
    for (const [path, target] of Object.entries(links)) {
      assert.is(textAt(join(parent, name), path), `-> ${target}`);
    }
    assert.equal(leftIn(join(parent, name)), []);
  }
});

around('a tree that is kept is repaired, too, and calls with another option do not share one', async () => {
  const parent = tempDirectory();
  const destination = join(parent, 'app');
  const extract = wrapExtractor(flatten, { manifest, strict: false });
  await extract('archive', destination);
  assert.is(textAt(destination, 'F.framework/F'), 'Versions/Current/F');
  const kept = { manifest, existing: 'keep', key: 'one' } as const;
  const repair = { ...kept, flattenedLinks: 'restore' } as const;
  const [first, second] = await Promise.all([
    stageTree(destination, { ...kept, strict: false }, () => assert.unreachable()),
    stageTree(destination, repair, () => assert.unreachable()),
  ]);
  assert.equal([first.counts.restored, second.counts.restored], [0, 5]);
});

around.run();
