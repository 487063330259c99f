import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openChecked } from '../lib/directory/checked.ts';
import { errorCode, UnsafePathError } from '../lib/directory/errors.ts';
import { isAnyRefused } from '../lib/directory/no-follow.ts';
import { openTree } from '../lib/directory/open.ts';
import { readManifest } from '../lib/manifest/read.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { runPass } from '../lib/pass/apply.ts';
import { around, type Call } from './helpers/around.ts';
import { type PathTree, whenReading } from './helpers/by-path.ts';
import { type FaultCode, type WatchedCalls, watchCalls } from './helpers/faults.ts';
import { makeFifo } from './helpers/fifo.ts';
import { watchNativeCalls } from './helpers/native-calls.ts';
import { allPasses, openAnchored, pathPass } from './helpers/passes.ts';
import { giveAway, withoutRights } from './helpers/rights.ts';
import { packTar } from './helpers/tar.ts';
import { makeTree, modeOf, modesBelow } from './helpers/tree.ts';
import { deepPaths, deepSwapped, directoryCourse, names } from './soak/course.ts';

// One exchange at one moment each, where it hurts most; attack.spec.ts exchanges at full speed.

const deepest = deepPaths.at(-1) as string;

/** For what must be refused before a mode is decided. */
function undecided(): number {
  throw new Error('asked for a mode');
}

if (process.platform === 'linux') {
  const test = suite('race (anchored)');

  test('a directory that was moved out while work was below it leads to nothing outside', () => {
    const { root: tree, outside } = directoryCourse();
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

/** A tree with one directory that has been listed through the path root. */
function listed(): { tree: string; outside: string; root: PathTree } {
  const { root: tree, outside } = directoryCourse();
  const root = pathPass.open(tree);
  assert.is(root.list('swapped').length, names.length);
  assert.ok(root.lstat('swapped/c000')?.type === 'file');
  return { tree, outside, root };
}

/** Every call on what is in the directory is refused, before the mode is decided. */
function assertRefused(root: PathTree, codes: readonly string[]): void {
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
      (error: unknown) =>
        error instanceof UnsafePathError && error.path === '.' && error.reason === 'symlink-in-path',
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
    assert.ok(found.type === 'symlink');
    return undefined;
  });
  assert.ok(before.type === 'symlink');
  assert.is(after, undefined);
  root.close();
  assert.is(modeOf(outside, 'c000'), 0o600);
});

/** A directory that is held by path, one beside it, and what takes the place of the first. */
function heldByPath() {
  const tree = makeTree({ 'd/f': 0o600, 'd/e/': 0o700, 'to/g': 0o600 });
  const outside = makeTree({ f: 0o600, 'e/': 0o700 });
  utimesSync(join(outside, 'f'), 1, 1);
  const root = openChecked(tree);
  const [directory, beside] = [root.openDirectory('d'), root.openDirectory('to')];
  const swap = () => {
    renameSync(join(tree, 'd'), join(tree, 'aside'));
    symlinkSync(outside, join(tree, 'd'));
  };
  return { tree, outside, root, directory, beside, swap };
}

type Held = ReturnType<typeof heldByPath>;

const isLink = (error: unknown) => errorCode(error) === 'ERR_PERMWALK_SYMLINK_IN_PATH';

const deeds: Record<string, (held: Held) => unknown> = {
  makeDirectory: ({ directory }) => directory.makeDirectory('made', 0o700),
  symlink: ({ directory }) => directory.symlink('made', 'nowhere'),
  'rename out': ({ directory, beside }) => directory.rename('f', beside, 'f'),
  'rename in': ({ directory, beside }) => beside.rename('g', directory, 'g'),
  unlink: ({ directory }) => directory.unlink('f'),
  removeDirectory: ({ directory }) => directory.removeDirectory('e'),
  touch: ({ directory }) => directory.touch('f'),
  listen: async ({ directory }) => (await directory.listen('made')).close(),
  connect: ({ directory }) => directory.connect('f'),
};

for (const [name, act] of Object.entries(deeds)) {
  test(`${name} in a directory that became a link is refused, and reaches nothing elsewhere`, async () => {
    const held = heldByPath();
    held.swap();
    await (async () => act(held))().then(
      () => assert.unreachable(name),
      (error: unknown) => assert.ok(isLink(error), `${error}`),
    );
    assert.equal(readdirSync(held.outside).sort(), ['e', 'f']);
    assert.equal(modesBelow(held.outside), { '.': '755', e: '700', f: '600' });
    assert.is(statSync(join(held.outside, 'f')).mtimeMs, 1000);
    assert.ok(existsSync(join(held.tree, 'to/g')));
  });
}

for (const [call, name] of [
  ['mkdirSync', 'makeDirectory'],
  ['symlinkSync', 'symlink'],
  ['renameSync', 'rename out'],
  ['renameSync', 'rename in'],
] as const) {
  test(`${name} in a directory that becomes a link right before the call is told`, async () => {
    const held = heldByPath();
    let calls = 0;
    const first =
      (original: Call): Call =>
      (...parameters) => {
        calls += 1;
        if (calls === 1) held.swap();
        return original(...parameters);
      };
    await around(call, first, () => assert.throws(() => deeds[name]?.(held), isLink));
    assert.ok(calls > 0);
  });
}

test('a directory that lies in another one than before has no parent', () => {
  const { tree, root, directory, swap } = heldByPath();
  const below = directory.openDirectory('e');
  assert.is(below.openParent(directory), directory);
  assert.is(below.openParent(root), undefined);
  swap();
  assert.is(below.openParent(directory), undefined);
  assert.ok(existsSync(join(tree, 'aside/e')));
});

test('a link that takes the place of a file right before it is opened is not followed', () => {
  const { tree, error } = changedMeanwhile((tree) => {
    renameSync(join(tree, 'swapped/c000'), join(tree, 'aside'));
    // Who follows it finds nothing there.
    symlinkSync('nowhere', join(tree, 'swapped/c000'));
  });
  assert.is(errorCode(error), 'ERR_PERMWALK_SWAPPED');
  assert.is(modeOf(tree, 'aside') & 0o111, 0);
});

/** What changing `swapped/c000` comes to where something happens before it is opened. */
function changedMeanwhile(event: FaultCode | ((tree: string) => void)): { tree: string; error: unknown } {
  const { tree, root } = listed();
  const watched = watchCalls();
  try {
    watched.begin();
    root.chmod('swapped/c000', () => undefined);
    const position = watched.calls.findIndex(({ name }) => name === 'open');
    assert.ok(position > 0);
    watched.begin(position, typeof event === 'string' ? event : () => event(tree));
    root.chmod('swapped/c000', () => 0o711);
    return { tree, error: undefined };
  } catch (error) {
    return { tree, error };
  } finally {
    watched.end();
    watched.restore();
    root.close();
  }
}

test('a file that is exchanged between the look at it and its opening is refused', () => {
  const exchanges: ((path: string, tree: string) => void)[] = [
    (path, tree) => symlinkSync(join(tree, 'swapped/c001'), path),
    (path) => writeFileSync(path, '', { mode: 0o600 }),
    (path, tree) => linkSync(join(tree, 'swapped/c001'), path),
  ];
  for (const exchange of exchanges) {
    const { tree, error } = changedMeanwhile((tree) => {
      const path = join(tree, 'swapped/c000');
      renameSync(path, join(tree, 'aside'));
      exchange(path, tree);
    });
    assert.instance(error, UnsafePathError);
    assert.is((error as UnsafePathError).code, 'ERR_PERMWALK_SWAPPED');
    assert.is((error as UnsafePathError).path, 'swapped/c000');
    for (const path of ['aside', 'swapped/c000', 'swapped/c001']) {
      assert.is(statSync(join(tree, path)).mode & 0o111, 0, path);
    }
  }
});

test('a file that is exchanged between the look at it and its opening is not read', () => {
  const { tree, root } = listed();
  const path = join(tree, 'swapped/c000');
  const watched = watchCalls();
  try {
    watched.begin();
    root.read('swapped/c000', 10);
    const position = watched.calls.findIndex(({ name }) => name === 'open');
    watched.begin(position, () => {
      renameSync(path, join(tree, 'aside'));
      writeFileSync(path, 'another');
    });
    assert.throws(
      () => root.read('swapped/c000', 10),
      (error: UnsafePathError) => error.code === 'ERR_PERMWALK_SWAPPED' && error.path === 'swapped/c000',
    );
    assert.equal(watched.leaked, []);
  } finally {
    watched.end();
    watched.restore();
    root.close();
  }
});

test('what cannot be opened is changed by its name only where it may not be read', () => {
  for (const [code, expected] of [
    ['EACCES', undefined],
    ['EIO', 'EIO'],
    ['ENOENT', 'ENOENT'],
    ['ELOOP', 'ERR_PERMWALK_SWAPPED'],
  ] as const) {
    const { tree, error } = changedMeanwhile(code);
    assert.is(errorCode(error), expected, code);
    assert.is(modeOf(tree, 'swapped/c000') & 0o111, expected === undefined ? 0o111 : 0, code);
  }
});

test('what is exchanged while it is changed by its name is told', async () => {
  const { tree, root } = listed();
  giveAway(dirname(tree));
  chmodSync(join(tree, 'swapped/c000'), 0o000);
  const exchange = () => {
    renameSync(join(tree, 'swapped/c000'), join(tree, 'swapped/aside'));
    writeFileSync(join(tree, 'swapped/c000'), '', { mode: 0o600 });
    return 0o711;
  };
  await withoutRights(() => {
    assert.throws(
      () => root.chmod('swapped/c000', exchange),
      (error: unknown) => errorCode(error) === 'ERR_PERMWALK_SWAPPED',
    );
  });
  assert.is(modeOf(tree, 'swapped/aside'), 0o000);
  root.close();
});

test('a directory that is exchanged while a file in it is changed by its name leads nowhere', async () => {
  const { tree, outside, root } = listed();
  giveAway(dirname(tree));
  giveAway(outside);
  chmodSync(join(tree, 'swapped/c000'), 0o000);
  const exchange = () => {
    renameSync(join(tree, 'swapped'), join(tree, 'aside'));
    symlinkSync(outside, join(tree, 'swapped'));
    return 0o711;
  };
  await withoutRights(() => {
    assert.throws(
      () => root.chmod('swapped/c000', exchange),
      (error: unknown) => errorCode(error) === 'ERR_PERMWALK_SYMLINK_IN_PATH',
    );
  });
  assert.is(modeOf(outside, 'c000'), 0o600);
  root.close();
});

test('of several directories that were exchanged the uppermost is told', () => {
  const [tree, outside] = [makeTree({ 'a/b/f': 0o600 }), makeTree({ 'a/b/f': 0o600 })];
  const directory = openChecked(tree).openDirectory('a');
  renameSync(tree, `${tree}-aside`);
  symlinkSync(outside, tree);
  assert.throws(
    () => directory.openDirectory('b'),
    (error: UnsafePathError) => error.reason === 'symlink-in-path' && error.path === '.',
  );
});

test('what lies below the root of a tree is told by its path from there', () => {
  const tree = makeTree({ 'held/root/d/f': 0o600 });
  const top = openChecked(tree).openDirectory('held').openRoot('root');
  const below = top.openDirectory('d');
  for (const [path, directory, expected] of [
    ['held/root/d', below, 'd'],
    ['held/root', top, '.'],
  ] as const) {
    renameSync(join(tree, path), join(tree, 'aside'));
    mkdirSync(join(tree, path));
    assert.throws(
      () => directory.stats(),
      (error: UnsafePathError) => error.code === 'ERR_PERMWALK_SWAPPED' && error.path === expected,
    );
    renameSync(join(tree, 'aside'), join(tree, path));
  }
});

test('a link above a directory that is held is refused where the system can, and leads nowhere else', async () => {
  const tree = makeTree({ 'a/b/f': 0o600, 'a/b/l': '-> f' });
  giveAway(tree);
  await withoutRights(() => {
    const held = openChecked(tree).openDirectory('a').openDirectory('b');
    renameSync(join(tree, 'a'), join(tree, 'aside'));
    symlinkSync('aside', join(tree, 'a'));
    const isRefusal = (error: UnsafePathError) => error.reason === 'symlink-in-path' && error.path === 'a';
    const assertRefused = (act: () => unknown) =>
      isAnyRefused() ? assert.throws(act, isRefusal, `${act}`) : act();
    for (const act of [
      () => held.list(),
      () => held.readlink('l'),
      () => held.open('f').close(),
      () => held.chmod('f', () => undefined),
      () => held.sync('f'),
    ])
      assertRefused(act);
    // What may not be read cannot be opened to have the system look.
    chmodSync(join(tree, 'aside/b'), 0o300);
    assertRefused(() => held.readlink('l'));
  });
});

for (const { title, open } of allPasses) {
  test(`what is exchanged while its mode is decided is changed itself, not what came in its place (${title})`, () => {
    const { root: tree, outside } = directoryCourse();
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

const restless = suite('race: an entry that never is what it was');

for (const { title, openTree: openTested } of allPasses) {
  restless(`is given up, and told (${title})`, async () => {
    const root = makeTree({ f: { mode: 0o644, content: '#!/bin/sh' } });
    let reads = 0;
    const report = await runPass(root, { detect: true, strict: false }, (path) =>
      whenReading(openTested(path), () => {
        reads += 1;
        assert.ok(reads < 1000, 'it is looked at for ever');
        throw Object.assign(new Error('no file'), { code: 'EINVAL' });
      }),
    );
    assert.equal(
      report.unresolved.map(({ path, reason, code }) => [path, reason, code]),
      [['f', 'unsafe-path', 'ERR_PERMWALK_SWAPPED']],
    );
    assert.ok(reads > 1);
  });
}

restless.run();

/** Calls of one backend under our hands, and a pass that makes them. */
function interleaved({ backend, apply }: (typeof allPasses)[number]): {
  watched: Omit<WatchedCalls, 'calls' | 'leaked' | 'restore'> & { readonly calls: readonly unknown[] };
  restore: () => void;
  apply: typeof apply;
} {
  if (backend !== 'native') {
    const watched = watchCalls();
    return { watched, apply, restore: () => watched.restore() };
  }
  const watched = watchNativeCalls();
  const begin = (position?: number, event?: FaultCode | (() => void)) =>
    watched.begin(position, event as () => void);
  return {
    watched: { ...watched, begin, calls: watched.calls },
    restore: () => undefined,
    apply: (root, options = {}) =>
      runPass(root, options, (path) => openTree(path, { native: watched.source })),
  };
}

/** A tree whose file something happens to. */
interface Course {
  tree: string;
  root: string;
  file: string;
}

type Begin = (position: number, act: () => void) => void;
/** Run the pass on a new course, with something done before one of its calls; `begin` has more done before a later one. */
type Attempt = (position: number, act: (course: Course, begin: Begin) => void) => Promise<Course>;

/** Count the calls of a pass, and have something done before them. */
async function betweenCalls(
  pass: (typeof allPasses)[number],
  options: ApplyOptions,
  makeCourse: () => Course,
  work: (attempt: Attempt, calls: number) => Promise<void>,
): Promise<void> {
  const { watched, restore, apply } = interleaved(pass);
  try {
    watched.begin();
    await apply(makeCourse().root, options);
    watched.end();
    const { length } = watched.calls;
    const attempt: Attempt = async (position, act) => {
      const course = makeCourse();
      watched.begin(position, () => act(course, (next, more) => watched.begin(next, more)));
      await apply(course.root, { ...options, strict: false });
      watched.end();
      return course;
    };
    await work(attempt, length);
  } finally {
    watched.end();
    restore();
  }
}

for (const pass of process.platform === 'linux' ? allPasses : []) {
  const between = suite(`race: between any two calls (${pass.title})`);

  for (const [how, options] of Object.entries<ApplyOptions>({
    'a walk': { mode: 'a+rx' },
    'a manifest': { mode: 'a+rx', manifest: ['a', { path: 'b', size: 0 }], retry: false },
  })) {
    between(`a FIFO that takes the place of a file is not changed by ${how}`, async () => {
      const makeCourse = () => {
        const tree = makeTree({ 'root/a': 0o600, 'root/b': 0o600 });
        // In a directory of ours a mode may be changed by name.
        chmodSync(join(tree, 'root'), 0o777);
        makeFifo(join(tree, 'fifo'));
        return { tree, root: join(tree, 'root'), file: join(tree, 'root/b') };
      };
      await betweenCalls(pass, options, makeCourse, async (attempt, length) => {
        let unchanged = 0;
        for (let position = 0; position < length; position += 1) {
          const { tree, file } = await attempt(position, (course) => {
            renameSync(course.file, join(course.tree, 'aside'));
            renameSync(join(course.tree, 'fifo'), course.file);
          });
          if (!existsSync(join(tree, 'aside'))) continue;
          assert.is(modeOf(file), 0o644, `before call ${position}`);
          if (modeOf(tree, 'aside') === 0o600) unchanged += 1;
        }
        assert.ok(unchanged > 0 && unchanged < length, 'it came before and after the change');
      });
    });
  }

  for (const hardLinks of ['skip', 'error'] as const) {
    between(`a hard link that comes and goes is not changed with hardLinks: '${hardLinks}'`, async () => {
      const options: ApplyOptions = { mode: 'a+rx', hardLinks };
      const makeCourse = () => {
        const tree = makeTree({ 'root/f': 0o600, outside: 0o600 });
        return { tree, root: join(tree, 'root'), file: join(tree, 'root/f') };
      };
      await betweenCalls(pass, options, makeCourse, async (attempt, length) => {
        let taken = 0;
        for (let position = 0; position < 3 * length; position += 1) {
          const { tree } = await attempt(Math.floor(position / 3), (course, begin) => {
            renameSync(course.file, join(course.tree, 'aside'));
            linkSync(join(course.tree, 'outside'), course.file);
            begin(position % 3, () => {
              renameSync(join(course.tree, 'aside'), course.file);
              taken += 1;
            });
          });
          assert.is(modeOf(tree, 'outside'), 0o600, `${position}`);
        }
        assert.ok(taken > length);
      });
    });
  }

  between('an absolute hard link of an archive changes no file outside that takes its place', async () => {
    const archive = join(makeTree({}), 'a.tar');
    const [name, mode, content] = ['f', '0000755', 'hi'];
    writeFileSync(
      archive,
      packTar([
        { name, mode, content },
        { name: 'g', flag: '1', link: '/f' },
      ]),
    );
    const options: ApplyOptions = { manifest: await readManifest(archive), umask: 0, retry: false };
    const makeCourse = () => {
      const file = { mode: 0o644, content };
      const tree = makeTree({ 'root/f': file, 'root/g': file, outside: file });
      return { tree, root: join(tree, 'root'), file: join(tree, 'root/g') };
    };
    await betweenCalls(pass, options, makeCourse, async (attempt, length) => {
      for (let position = 0; position < length; position += 1) {
        const { tree } = await attempt(position, (course) => {
          renameSync(course.file, join(course.tree, 'aside'));
          linkSync(join(course.tree, 'outside'), course.file);
        });
        assert.is(modeOf(tree, 'outside'), 0o644, `before call ${position} of ${length}`);
      }
    });
  });

  between.run();
}
