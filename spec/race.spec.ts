import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ManifestEntry } from '../lib/manifest/manifest.ts';
import type { ApplyOptions } from '../lib/options.ts';
import type { PermissionChange } from '../lib/report.ts';
import { errorCode, type Root, UnsafePathError } from '../lib/root/root.ts';
import { whileExchanging } from './helpers/exchange.ts';
import { defaultPass, openAnchored, passes, pathPass, type TestedPass } from './helpers/passes.ts';
import { modeOf, tempDirectory } from './helpers/tree.ts';

const CANARIES = 200;
/** Files of the tree have the names of canaries, so that whoever follows a link finds one. */
const names = Array.from({ length: CANARIES }, (_, index) => `c${String(index).padStart(3, '0')}`);
/** A size that no file of the tree has: seen in a report, it was seen outside. */
const CANARY_SIZE = 4242;
const INSIDE_SIZE = 10;
/** Directories in one another, more than the anchored root keeps open, so that it has to find some again. */
const deepPaths = Array.from({ length: 40 }, (_, level) =>
  Array.from({ length: level + 1 }, (_, above) => `d${above}`).join('/'),
);
const deepSwapped = deepPaths[9] as string;
const deepest = deepPaths.at(-1) as string;
const SWAPPED_FILES = 20;
const RACE_MS = 3000;
const MAX_PLAIN_WALKS = 5000;

type Pair = readonly [string, string];

/** A tree, canaries outside, and the names in both that are to be exchanged. */
interface Course {
  root: string;
  outside: string;
  pairs: Pair[];
  /** Paths of everything in the tree, directories with a `/` at their end. */
  paths: string[];
}

function emptyCourse(): Course {
  const scratch = tempDirectory();
  const root = join(scratch, 'tree');
  const outside = join(scratch, 'outside');
  mkdirSync(root);
  mkdirSync(outside, { mode: 0o700 });
  for (const name of names) writeFileSync(join(outside, name), 'o'.repeat(CANARY_SIZE), { mode: 0o600 });
  return { root, outside, pairs: [], paths: [] };
}

function addDirectory({ root, paths }: Course, path: string, fileNames: readonly string[]): void {
  mkdirSync(join(root, path));
  paths.push(`${path}/`);
  for (const name of fileNames) {
    writeFileSync(join(root, path, name), 'i'.repeat(INSIDE_SIZE), { mode: 0o644 });
    paths.push(`${path}/${name}`);
  }
}

/** Have a name of the tree exchanged with a link that leads to `target`, below the directory outside. */
function addPair({ root, outside, pairs }: Course, path: string, link: string, target: string): void {
  symlinkSync(join(outside, target), link);
  pairs.push([join(root, path), link]);
}

/** Files only, each of which is exchanged with a link to a file outside. */
function makeFileCourse(): Course {
  const course = emptyCourse();
  const swapped = names.slice(0, SWAPPED_FILES);
  addDirectory(course, 'files', swapped);
  for (const name of swapped) addPair(course, `files/${name}`, join(course.outside, `link-${name}`), name);
  return course;
}

/** Directories and files that are exchanged with links to what is outside. */
function makeCourse(): Course {
  const course = makeFileCourse();
  const { root, outside } = course;
  addDirectory(course, 'swapped', names);
  addDirectory(course, 'a', names.slice(0, 20));
  addDirectory(course, 'a/b', names.slice(0, 5));
  addDirectory(course, 'a/b/swapped', names.slice(0, 50));
  for (const path of deepPaths) addDirectory(course, path, names.slice(0, 3));
  // What is exchanged with a name outside has canaries for siblings then: whoever trusts `..` finds them.
  addPair(course, 'swapped', join(outside, 'link'), '');
  addPair(course, deepSwapped, join(outside, 'deep-link'), '');
  addPair(course, 'a/b/swapped', join(root, 'a/b/link'), '');
  addPair(course, 'a/c001', join(root, 'a/file-link'), 'c001');
  return course;
}

/** Whatever shows that a canary was touched, by name: any chmod sets ctime, even one that changes nothing. */
function canaries({ outside }: Course): Map<string, string> {
  return new Map(
    names.map((name) => {
      const { mode, ctimeNs, size } = lstatSync(join(outside, name), { bigint: true });
      return [name, `${mode.toString(8)} ${ctimeNs} ${size}`];
    }),
  );
}

function changedCanaries(course: Course, before: Map<string, string>): string[] {
  const after = canaries(course);
  return names.filter((name) => after.get(name) !== before.get(name));
}

/** Make reading anything outside show: a time of access before that of the change is brought up to date. */
function armAccessTimes({ outside }: Course): () => string[] {
  const paths = [outside, ...names.map((name) => join(outside, name))];
  const long = new Date(0);
  for (const path of paths) utimesSync(path, long, new Date());
  return () => paths.filter((path) => lstatSync(path).atimeMs !== 0);
}

/** What everyone writes first: readdir, lstat, chmod. It skips links, and is fooled all the same. */
function plainWalk(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const stats = lstatSync(path);
    if (stats.isSymbolicLink()) continue;
    if (stats.isDirectory()) plainWalk(path);
    else chmodSync(path, 0o755);
  }
}

/** Files and directories that this process has open by a path. Pipes and the like are not of interest. */
function openPaths(): string[] {
  if (process.platform !== 'linux') return [];
  const descriptors = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one that the listing itself was made with.
      return '';
    }
  });
  return descriptors.filter((path) => path.startsWith('/') && !path.startsWith('/proc/')).sort();
}

/** Run passes while names are exchanged. Whatever they are, nothing outside may change, nor even be read. */
async function race(
  course: Course,
  { apply, backend }: TestedPass,
  turns: readonly ApplyOptions[],
): Promise<void> {
  const readOutside = armAccessTimes(course);
  const before = canaries(course);
  const exchanged = course.pairs.map(([path]) => path.slice(course.root.length + 1));
  let passCount = 0;
  let metAsLink = 0;
  let changesOfExchanged = 0;
  const onChange = ({ path }: PermissionChange) => {
    if (exchanged.some((name) => `${path}/`.startsWith(`${name}/`))) changesOfExchanged += 1;
  };

  const exchanges = await whileExchanging(course.pairs, async () => {
    const opened = openPaths();
    const end = performance.now() + RACE_MS;
    while (performance.now() < end || passCount < turns.length) {
      const turn = turns[passCount % turns.length];
      const options: ApplyOptions = { strict: false, retry: false, umask: 0o022, onChange, ...turn };
      const report = await apply(course.root, options);
      passCount += 1;
      assert.is(report.backend, backend);
      for (const { path, actual } of report.unresolved) assert.is.not(actual?.size, CANARY_SIZE, path);
      const linked = [...report.links, ...report.unresolved];
      if (linked.some(({ path }) => exchanged.includes(path))) metAsLink += 1;
    }
    assert.equal(openPaths(), opened, 'no descriptor is left open');
  });

  const figures = `${passCount} passes, ${metAsLink} of them met a link; ${exchanges} exchanges; ${changesOfExchanged} changes of what was exchanged`;
  console.log(`\n  ${backend}: ${figures}`);
  assert.equal(changedCanaries(course, before), [], 'nothing outside was changed');
  assert.equal(readOutside(), [], 'nothing outside was read');
  assert.ok(passCount >= 10 && exchanges >= 1000, figures);
  assert.ok(metAsLink > 0 && changesOfExchanged > 0, figures);
}

/** Takes bits away again, so that the pass after it has something to do everywhere. */
const reset: ApplyOptions = { mode: 'a=r,u+wX' };
const tinyRetry = { retries: 1, minTimeout: 1, maxTimeout: 1, maxRetryTime: 10, randomize: false };

/** What the tree is while nothing is exchanged. */
function manifestOf({ paths }: Course): ManifestEntry[] {
  return paths.map((path) =>
    path.endsWith('/')
      ? { path, type: 'directory', mode: 0o755 }
      : { path, type: 'file', mode: 0o755, size: INSIDE_SIZE },
  );
}

/** A manifest that takes what is exchanged for links: a file in their place is read, to see whether it is one. */
function linkManifestOf({ root, outside, pairs }: Course): ManifestEntry[] {
  return pairs.map(([path]) => ({
    path: path.slice(root.length + 1),
    type: 'symlink',
    linkTarget: outside,
  }));
}

/** For what must be refused before a mode is decided. */
function undecided(): number {
  throw new Error('asked for a mode');
}

const harness = suite('race: the harness');

for (const [kind, make] of [
  ['files', makeFileCourse],
  ['directories and files', makeCourse],
] as const) {
  harness(`catches a walk with readdir, lstat and chmod that changes what is outside: ${kind}`, async () => {
    const course = make();
    const before = canaries(course);
    let walks = 0;
    let caught: string[] = [];
    const exchanges = await whileExchanging(course.pairs, () => {
      while (caught.length === 0 && walks < MAX_PLAIN_WALKS) {
        try {
          plainWalk(course.root);
        } catch {
          // It stumbles over what has just been exchanged: that is the other thing that is wrong with it.
        }
        walks += 1;
        caught = changedCanaries(course, before);
      }
    });
    console.log(`\n  plain: ${walks} walks; ${exchanges} exchanges; ${caught.length} canaries changed`);
    assert.ok(caught.length > 0);
  });
}

harness.run();

if (process.platform === 'linux') {
  const test = suite('race (anchored)');

  test('a walk, with and without globs, changes nothing outside', async () => {
    await race(makeCourse(), defaultPass, [
      {},
      reset,
      { executable: ['**/c*'] },
      reset,
      { mode: 'a+rX', danglingLinks: 'error' },
      { mode: 0o640, retry: tinyRetry },
    ]);
  });

  test('a manifest, in every mode, changes nothing outside', async () => {
    const course = makeCourse();
    const manifest = manifestOf(course);
    await race(course, defaultPass, [
      { manifest },
      { manifest, ...reset },
      { manifest, mode: 'manifest', verify: 'none' },
      { manifest, mode: 0o600, verify: 'presence' },
      { manifest, mode: 'a+rX', retry: tinyRetry },
      { manifest, ...reset, discover: true },
      { manifest: course.paths, mode: 'u+x', executable: '**', discover: true },
      { manifest: linkManifestOf(course), discover: true, ...reset },
    ]);
  });

  test('a directory that was moved out while work was below it leads to nothing outside', () => {
    const { root: tree, outside } = makeCourse();
    const above = deepSwapped.slice(0, deepSwapped.lastIndexOf('/'));
    const root = openAnchored(tree);
    root.chmod(`${deepest}/c000`, () => 0o711);
    renameSync(join(tree, deepSwapped), join(outside, 'moved'));
    symlinkSync(outside, join(tree, deepSwapped));
    root.chmod(`${above}/c000`, () => 0o711);
    assert.is(modeOf(tree, above, 'c000'), 0o711, 'found again, though not by `..`');
    assert.throws(
      () => root.chmod(`${deepSwapped}/c000`, undecided),
      (error: unknown) => errorCode(error) === 'ERR_PERMWALK_SYMLINK_IN_PATH',
    );
    root.close();
    assert.is(modeOf(outside, 'c000'), 0o600);
  });

  test.run();
}

const test = suite('race (path)');

test('a file that is exchanged with a link changes nothing outside', async () => {
  const course = makeFileCourse();
  const manifest = manifestOf(course);
  await race(course, pathPass, [
    { mode: 'a+rX' },
    reset,
    { executable: '**' },
    { mode: 0o600 },
    { manifest, mode: 'manifest', retry: tinyRetry },
    { manifest: linkManifestOf(course), ...reset, discover: true },
  ]);
});

/** A tree with one directory that has been listed through the path root. */
function listed(): { tree: string; outside: string; root: Root } {
  const { root: tree, outside } = makeCourse();
  const root = pathPass.open(tree);
  assert.is(root.list('swapped').length, names.length);
  assert.ok(root.lstat('swapped/c000')?.isFile());
  return { tree, outside, root };
}

/** Every call on what is in the directory is refused, before the mode is decided. */
function assertRefused(root: Root, codes: readonly string[]): void {
  const isRefusal = (error: unknown) =>
    error instanceof UnsafePathError && codes.includes(error.code) && error.path === 'swapped';
  assert.throws(() => root.chmod('swapped/c000', undecided), isRefusal);
  assert.throws(() => root.chmod('swapped/sub/c000', undecided), isRefusal);
  assert.throws(() => root.enter('swapped'), isRefusal);
  assert.throws(() => root.list('swapped'), isRefusal);
  assert.throws(() => root.read('swapped/c000', 10), isRefusal);
}

test('a directory that became a link after it was listed is refused', () => {
  const { tree, outside, root } = listed();
  mkdirSync(join(outside, 'sub'));
  writeFileSync(join(outside, 'sub/c000'), '', { mode: 0o600 });
  renameSync(join(tree, 'swapped'), join(tree, 'aside'));
  symlinkSync(outside, join(tree, 'swapped'));
  assertRefused(root, ['ERR_PERMWALK_SYMLINK_IN_PATH']);
  root.rewind();
  assertRefused(root, ['ERR_PERMWALK_SYMLINK_IN_PATH']);
  root.close();
  assert.is(modeOf(outside, 'c000'), 0o600);
});

test('a directory that became another directory after it was listed is refused until it is found anew', () => {
  const { tree, outside, root } = listed();
  mkdirSync(join(outside, 'sub'));
  writeFileSync(join(outside, 'sub/c000'), '', { mode: 0o600 });
  renameSync(join(tree, 'swapped'), join(tree, 'aside'));
  renameSync(outside, join(tree, 'swapped'));
  assertRefused(root, ['ERR_PERMWALK_SWAPPED']);
  assert.is(modeOf(tree, 'swapped/c000'), 0o600);
  root.rewind();
  root.chmod('swapped/c000', () => 0o640);
  assert.is(modeOf(tree, 'swapped/c000'), 0o640);
  root.close();
});

test('a root that became a link after it was opened is refused', () => {
  const { tree, outside, root } = listed();
  mkdirSync(join(outside, 'swapped'));
  writeFileSync(join(outside, 'swapped/c000'), '', { mode: 0o600 });
  renameSync(tree, `${tree}-aside`);
  symlinkSync(outside, tree);
  for (const path of ['c000', 'swapped/c000', '.']) {
    assert.throws(
      () => root.chmod(path, () => 0o755),
      (error: unknown) => error instanceof UnsafePathError && error.path === '.',
      path,
    );
  }
  root.close();
  assert.is(modeOf(outside), 0o700);
  assert.is(modeOf(outside, 'c000'), 0o600);
  assert.is(modeOf(outside, 'swapped/c000'), 0o600);
});

test('a file that became a link after it was looked at is not changed, and its target is not asked for', () => {
  const { tree, outside, root } = listed();
  renameSync(join(tree, 'swapped/c000'), join(tree, 'aside'));
  symlinkSync(join(outside, 'c000'), join(tree, 'swapped/c000'));
  const { before, after } = root.chmod('swapped/c000', (found) => {
    assert.ok(found.isSymbolicLink());
    return undefined;
  });
  assert.ok(before.isSymbolicLink());
  assert.is(after, undefined);
  root.close();
  assert.is(modeOf(outside, 'c000'), 0o600);
});

for (const { backend, open } of passes) {
  test(`what is exchanged while its mode is decided is changed itself, not what came in its place (${backend})`, () => {
    const { root: tree, outside } = makeCourse();
    const root = open(tree);
    root.list('swapped');
    root.chmod('swapped/c000', () => {
      renameSync(join(tree, 'swapped/c000'), join(tree, 'aside'));
      symlinkSync(join(outside, 'c000'), join(tree, 'swapped/c000'));
      return 0o711;
    });
    assert.is(modeOf(tree, 'aside'), 0o711);
    root.chmod('swapped/c001', () => {
      renameSync(join(tree, 'swapped'), join(tree, 'moved'));
      symlinkSync(outside, join(tree, 'swapped'));
      return 0o711;
    });
    assert.is(modeOf(tree, 'moved/c001'), 0o711);
    root.close();
    assert.is(modeOf(outside, 'c000'), 0o600);
    assert.is(modeOf(outside, 'c001'), 0o600);
  });
}

test.run();
