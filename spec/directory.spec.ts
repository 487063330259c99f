import { execFileSync } from 'node:child_process';
import fs, {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openChecked } from '../lib/directory/checked.ts';
import type { Directory } from '../lib/directory/directory.ts';
import { isExact, isSameEntry, toEntryStats, toExactStats } from '../lib/directory/entry-stats.ts';
import {
  crossDevice,
  errorCode,
  located,
  swapped,
  symlinkInPath,
  systemError,
  transientCodes,
  UnsafePathError,
} from '../lib/directory/errors.ts';
import { move } from '../lib/directory/move.ts';
import {
  decodeName,
  encodeName,
  isEntryOf,
  isWithin,
  joinPath,
  nameOf,
  parentOf,
} from '../lib/directory/names.ts';
import { openNative } from '../lib/directory/native/native.ts';
import { holdDirectory, openDirectory, openTree, realRootPath, treeOf } from '../lib/directory/open.ts';
import { isSamePlace, Place } from '../lib/directory/place.ts';
import { removal } from '../lib/directory/remove.ts';
import { type LinkResolution, LinkResolver } from '../lib/directory/resolve-link.ts';
import type { Tree } from '../lib/directory/tree.ts';
import { runAtOnce } from '../lib/slices.ts';
import { byPath, entriesOf } from './helpers/by-path.ts';
import { isRoot } from './helpers/child.ts';
import { elsewhere } from './helpers/elsewhere.ts';
import { extent } from './helpers/extent.ts';
import { makeFifo } from './helpers/fifo.ts';
import { allPasses } from './helpers/passes.ts';
import { remove } from './helpers/remove.ts';
import { giveAway, withoutRights } from './helpers/rights.ts';
import { canRunOn, canUseByteNames } from './helpers/runtime.ts';
import { makeTree, modeOf, modesBelow, tempDirectory } from './helpers/tree.ts';

const names = suite('names');

names('bytes become text and the same bytes again, whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = decodeName(bytes);
      assert.equal(Buffer.from(encodeName(text)), Buffer.from(bytes));
    }),
    { numRuns: 2000 },
  );
});

names('bytes that are not UTF-8 leave the characters beside them as they are', () => {
  for (const text of ['é', '日', '🙂', '\ufeffx']) {
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from([0xff]), Buffer.from(text)]);
    assert.is(decodeName(bytes), `${text}\udcff${text}`);
  }
  for (const text of ['é', '\ud7ff', '\ue000', '！', '🙂']) {
    for (const byte of [0x80, 0xff]) {
      const name = `${text}${String.fromCharCode(0xdc00 + byte)}${text}`;
      const bytes = [Buffer.from(text), Buffer.from([byte]), Buffer.from(text)];
      assert.equal(encodeName(name), Buffer.concat(bytes), JSON.stringify(name));
    }
  }
});

names('a surrogate that stands for no byte is no name of bytes', () => {
  for (const text of ['\ud800', '\udc7f', '\udd00', '\udfff']) {
    assert.equal(encodeName(`a${text}`), Buffer.from('a\ufffd'), JSON.stringify(text));
  }
});

names('UTF-8 stays the text that it is', () => {
  assert.is(decodeName(Buffer.from('\ufefff')), '\ufefff', 'a byte order mark is part of the name');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.is(decodeName(Buffer.from(text)), text);
      assert.is(encodeName(text), text);
    }),
  );
});

names('paths are taken apart and put together', () => {
  assert.is(parentOf('a'), '.');
  assert.is(parentOf('a/b/c'), 'a/b');
  assert.is(nameOf('a'), 'a');
  assert.is(nameOf('a/b'), 'b');
  assert.is(joinPath('.', 'a'), 'a');
  assert.is(joinPath('a', 'b'), 'a/b');
  assert.ok(isWithin('.', 'a'));
  assert.ok(isWithin('a', 'a'));
  assert.ok(isWithin('a', 'a/b'));
  assert.not.ok(isWithin('a', 'ab'));
  assert.not.ok(isWithin('a/b', 'a'));
  assert.not.ok(isWithin('b', 'a/b'));
  assert.ok(isEntryOf('.', 'a'));
  assert.ok(isEntryOf('a/b', 'a/b/c'));
  for (const path of ['a', 'b/a', 'a/b/c', 'ab/c']) assert.not.ok(isEntryOf('a', path), path);
  for (const path of ['a/b', './a']) assert.not.ok(isEntryOf('', path) || isEntryOf('b', path), path);
});

names.run();

const places = suite('directory: places');

/** The place of a path, made anew. */
function placeOf(path: string): Place {
  const root = new Place(undefined, '.');
  return path === '.' ? root : path.split('/').reduce((above, name) => new Place(above, name), root);
}

places('a place tells its path, its depth, and what it lies below', () => {
  const root = new Place(undefined, '.');
  const a = new Place(root, 'a');
  const b = new Place(a, 'b');
  assert.equal([root.path, a.path, b.path], ['.', 'a', 'a/b']);
  assert.equal([root.depth, a.depth, b.depth], [0, 1, 2]);
  assert.equal([root.length, a.length, b.length, new Place(b, '🙂').length], [0, 1, 3, 6]);
  assert.equal([root.pathOf('f'), b.pathOf('f')], ['f', 'a/b/f']);
  assert.equal([b.pathOf('f'), a.pathOf('f'), b.pathOf('g')], ['a/b/f', 'a/f', 'a/b/g']);
  for (const above of [root, a, b, placeOf('a'), placeOf('a/b')]) assert.ok(b.isWithin(above), above.path);
  for (const beside of [new Place(root, 'b'), placeOf('b/b'), new Place(b, 'c')])
    assert.not.ok(b.isWithin(beside), beside.path);
});

places('places that were made by different lookups are the same where their paths are', () => {
  const paths = ['.', 'a', 'b', 'a/a', 'a/b', 'b/b', 'a/b/c', 'b/b/c'];
  for (const one of paths) {
    for (const other of paths) {
      assert.is(isSamePlace(placeOf(one), placeOf(other)), one === other, `${one} and ${other}`);
    }
  }
});

places('the path of a place that is 100,000 deep is put together without recursion', () => {
  let place = new Place(undefined, '.');
  for (let depth = 0; depth < 100_000; depth += 1) place = new Place(place, 'd');
  assert.is(place.path, 'd/'.repeat(100_000).slice(0, -1));
});

places.run();

const errors = suite('directory: errors');

errors('an unsafe path says what is wrong with which component', () => {
  const facts = ({ name, reason, code, path, message }: UnsafePathError) => ({
    name,
    reason,
    code,
    path,
    message,
  });
  assert.equal(facts(symlinkInPath('a\nb')), {
    name: 'UnsafePathError',
    reason: 'symlink-in-path',
    code: 'ERR_PERMWALK_SYMLINK_IN_PATH',
    path: 'a\nb',
    message: 'ERR_PERMWALK_SYMLINK_IN_PATH: will not follow the link "a\\nb"',
  });
  assert.equal(facts(swapped('a')), {
    name: 'UnsafePathError',
    reason: 'unsafe-path',
    code: 'ERR_PERMWALK_SWAPPED',
    path: 'a',
    message: 'ERR_PERMWALK_SWAPPED: replaced during processing: "a"',
  });
  assert.equal(facts(crossDevice('a')), {
    name: 'UnsafePathError',
    reason: 'unsafe-path',
    code: 'ERR_PERMWALK_CROSS_DEVICE',
    path: 'a',
    message: 'ERR_PERMWALK_CROSS_DEVICE: will not enter the mount point (crossDevice) "a"',
  });
});

errors('an unsafe path is named once by its whole path, and keeps it', () => {
  for (const error of [symlinkInPath('b'), swapped('b'), crossDevice('b')]) {
    const known = located(error, 'a/b') as UnsafePathError;
    assert.instance(known, UnsafePathError);
    assert.equal([known.path, known.code, known.reason], ['a/b', error.code, error.reason]);
    assert.is(known.message, error.message.replace('"b"', '"a/b"'));
    assert.is(located(known, 'a/b/c'), known);
  }
});

errors('only a text that an error has is the code of a system error', () => {
  assert.is(errorCode(Object.assign(new Error('broken'), { code: 'EIO' })), 'EIO');
  for (const error of [Object.assign(new Error('broken'), { code: 5 }), new Error('no'), { code: 'EIO' }])
    assert.is(errorCode(error), undefined);
  for (const error of ['EIO', null, undefined]) assert.is(errorCode(error), undefined);
});

errors('an error that libuv has no name for is found by its number', () => {
  const unnamed = (number: number) => {
    const text = `Unknown system error -${number}`;
    const error = new Error(`${text}: ${text}, open '/proc/self/fd/3/f'`);
    return Object.assign(error, { code: text, errno: -number, syscall: 'open', path: '/proc/self/fd/3/f' });
  };
  for (const name of ['ESTALE', 'EDQUOT', 'EDEADLK'] as const) {
    assert.is(errorCode(unnamed(constants.errno[name])), name);
  }
  if (process.platform === 'linux') assert.is(errorCode(unnamed(116)), 'ESTALE');
  assert.ok(transientCodes.has(errorCode(unnamed(constants.errno.ESTALE)) ?? ''), 'and it is tried again');
  assert.is(errorCode(unnamed(99_999)), 'Unknown system error -99999');
  const { errno: _, ...numberless } = unnamed(116);
  assert.is(errorCode(Object.assign(new Error('no'), numberless)), 'Unknown system error -116');
});

errors('a system error names the path that the caller knows, anything else stays as it is', () => {
  const system = { code: 'EIO', syscall: 'open', path: '/proc/self/fd/3/f' };
  const error = Object.assign(new Error("EIO: i/o error, open '/proc/self/fd/3/f'"), system);
  assert.is(located(error, 'd/f'), error);
  assert.is(error.message, 'EIO: i/o error, open "d/f"');
  assert.is(error.path, 'd/f');
  for (const facts of [{ syscall: 'fstat' }, { path: '/f' }, {}]) {
    const other = Object.assign(new Error('EIO: i/o error, fstat'), facts);
    assert.is(located(other, 'd/f'), other);
    assert.is(other.message, 'EIO: i/o error, fstat');
    assert.is('path' in other && other.path, 'path' in facts && facts.path);
  }
  for (const thrown of [system, 'text', null, undefined]) assert.is(located(thrown, 'd/f'), thrown);
  assert.is(system.path, '/proc/self/fd/3/f');
});

errors('a system error that was noted for a directory keeps its path for what is below', () => {
  const error = systemError('ENOENT', 'no such file or directory', 'lstat', 'f');
  assert.is(error.message, 'ENOENT: no such file or directory, lstat "f"');
  const [first, second] = [located(error, 'd/f'), located(error, 'd/f/g')] as NodeJS.ErrnoException[];
  assert.is(first, error);
  assert.is(second, error);
  assert.equal([first?.path, first?.message], ['d/f', 'ENOENT: no such file or directory, lstat "d/f"']);
});

errors.run();

const identity = suite('directory: identity');

identity('the same number on another device is another entry', () => {
  const tree = makeTree({ f: 0o600 });
  const stats = statSync(tree);
  assert.ok(isSameEntry(stats, statSync(tree)));
  assert.not.ok(isSameEntry(stats, statSync(join(tree, 'f'))));
  assert.not.ok(isSameEntry(stats, Object.assign(statSync(tree), { dev: stats.dev + 1 })));
});

/** What the call that gives bigints says of a file. */
const bigStats = (dev: bigint, ino: bigint) => ({
  mode: 0o104751n,
  size: 12n,
  nlink: 3n,
  uid: 1000n,
  dev,
  ino,
  mtimeNs: 1_700_000_000_001_000_000n,
  ctimeNs: 1_700_000_000_002_000_000n,
});

identity('numbers above 2^53 are compared exactly', () => {
  const numbers = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    fc.constantFrom(2n ** 60n, 2n ** 60n + 1n, 2n ** 64n - 1n, 2n ** 64n - 2n),
  );
  fc.assert(
    fc.property(numbers, numbers, numbers, numbers, (dev, ino, otherDev, otherIno) => {
      const one = toExactStats(bigStats(dev, ino));
      for (const [otherD, otherI] of [
        [dev, ino],
        [otherDev, ino],
        [dev, otherIno],
        [dev, ino ^ 1n],
        [dev ^ 1n, ino],
      ] as const) {
        const other = toExactStats(bigStats(otherD, otherI));
        assert.is(isSameEntry(one, other), otherD === dev && otherI === ino);
        assert.is(isSameEntry(other, one), otherD === dev && otherI === ino);
      }
      assert.is(BigInt(one.ino), ino);
      assert.is(BigInt(one.dev), dev);
    }),
  );
});

identity('numbers that are small are the same from both calls', () => {
  const file = join(makeTree({ f: { mode: 0o640, content: 'content' } }), 'f');
  const [numbers, exact] = [toEntryStats(lstatSync(file)), toExactStats(lstatSync(file, { bigint: true }))];
  assert.ok(isSameEntry(numbers, exact));
  for (const name of ['type', 'mode', 'size', 'nlink', 'uid', 'dev', 'ino'] as const) {
    assert.is(exact[name], numbers[name], name);
  }
  for (const name of ['mtimeMs', 'ctimeMs'] as const)
    assert.ok(Math.abs(exact[name] - numbers[name]) < 0.001, `${name} ${exact[name]} ${numbers[name]}`);
  for (const ino of [2 ** 53 - 1, 1]) assert.ok(isExact({ dev: 1, ino }));
  for (const ino of [2 ** 53, 2 ** 64])
    assert.not.ok(isExact({ dev: 1, ino }) || isExact({ dev: ino, ino: 1 }));
});

identity('the facts of an entry are its own, special bits with them', () => {
  const { type, mode, size, nlink, uid } = toExactStats(bigStats(1n, 2n ** 60n + 1n));
  assert.equal(
    { type, mode, size, nlink, uid },
    { type: 'file', mode: 0o4751, size: 12, nlink: 3, uid: 1000 },
  );
  const tree = makeTree({ f: 0o600, 'd/': 0o1755, l: '-> f' });
  execFileSync('mkfifo', ['-m', '600', join(tree, 'p')]);
  const facts = ['f', 'd', 'l', 'p'].map((name) => {
    const found = toEntryStats(lstatSync(join(tree, name)));
    return [found.type, found.type === 'symlink' ? 0 : found.mode];
  });
  assert.equal(facts, [
    ['file', 0o600],
    ['directory', 0o1755],
    ['symlink', 0],
    ['other', 0o600],
  ]);
});

/** Added to an inode number: all of a disk are the same as floating-point numbers. */
const ALL_ALIKE = 2n ** 80n;

type StatFunction = (path: never, options?: { bigint?: boolean }) => unknown;

/** Have each inode number be larger by so much, as overlayfs, FUSE and NTFS have them. */
function withLargeInodes<T>(offset: bigint, act: () => T): T {
  const table = fs as unknown as Record<string, StatFunction>;
  const originals = new Map<string, StatFunction>();
  for (const name of ['statSync', 'lstatSync', 'fstatSync']) {
    const original = table[name] as StatFunction;
    originals.set(name, original);
    table[name] = (path, options) => {
      const found = original(path, { ...options, bigint: true }) as { ino: bigint } | undefined;
      if (found === undefined) return undefined;
      const ino = found.ino + offset;
      if (options?.bigint === true) return Object.assign(found, { ino });
      return Object.assign(original(path, options) as object, { ino: Number(ino) });
    };
  }
  syncBuiltinESMExports();
  try {
    return act();
  } finally {
    for (const [name, original] of originals) table[name] = original;
    syncBuiltinESMExports();
  }
}

for (const { backend, title, openTree: open } of allPasses) {
  // Native calls do not go through node:fs.
  if (backend === 'native') continue;
  identity(`a tree with inode numbers above 2^53 is worked on like any other (${title})`, () => {
    const root = makeTree({ 'd/e/f': { mode: 0o600, content: 'content' } });
    withLargeInodes(2n ** 60n, () => {
      const tree = byPath(open(root));
      try {
        const ino = tree.lstat('d/e/f')?.ino;
        assert.is(typeof ino, 'bigint');
        assert.is(ino, BigInt(fs.lstatSync(join(root, 'd/e/f'), { bigint: true }).ino));
        tree.chmod('d/e/f', () => 0o640);
        assert.is(Buffer.from(tree.read('d/e/f', 4)).toString(), 'cont');
        tree.enter('d');
      } finally {
        tree.close();
      }
    });
    assert.is(modeOf(root, 'd/e/f'), 0o640);
  });
}

identity('what differs only below the precision of a number is another entry (path)', () => {
  const tree = makeTree({ f: 0o600, 'd/f': 0o600 });
  withLargeInodes(ALL_ALIKE, () => {
    const held = openChecked(tree);
    const directory = held.openDirectory('d');
    renameSync(join(tree, 'd'), join(tree, 'aside'));
    mkdirSync(join(tree, 'd'));
    writeFileSync(join(tree, 'd/f'), '', { mode: 0o600 });
    const [seen, now] = [directory.opened.ino, held.lstat('d')?.ino];
    assert.is(Number(seen), Number(now), 'they are too near to each other');
    assert.is.not(seen, now);
    assert.throws(
      () => directory.chmod('f', () => 0o777),
      (error: unknown) => errorCode(error) === 'ERR_PERMWALK_SWAPPED',
    );
  });
  assert.is(modeOf(tree, 'd/f'), 0o600);
});

identity('a root whose inode number is near that of `/` is not taken for it', () => {
  const tree = makeTree({});
  const [{ dev }, top] = [statSync(tree), statSync('/')];
  if (dev !== top.dev) return console.log('  skipped: temporary files lie on another file system than `/`');
  withLargeInodes(ALL_ALIKE, () => assert.is(realRootPath(tree), tree));
  return withLargeInodes(ALL_ALIKE, () => assert.throws(() => realRootPath('/'), RangeError));
});

identity.run();

/** How many descriptors are open, where that can be told. */
const openDescriptors = (): number => (canCount ? readdirSync('/proc/self/fd').length : 0);
const canCount =
  existsSync('/proc/self/fd') && canRunOn(['node', 'bun'], 'it opens descriptors of its own at any time');

/** More than are held open on the way to where the work is. */
const DEPTH = 60;
const MOST_OPEN = 28;

/** Directories one in another, each with a file `f` in it, and their paths, the uppermost first. */
function makeDeep(tree: string): string[] {
  const paths = Array.from({ length: DEPTH }, (_, index) => `d${'/d'.repeat(index)}`);
  for (const path of paths) {
    mkdirSync(join(tree, path));
    writeFileSync(join(tree, path, 'f'), '');
  }
  return paths;
}

/** What something is mounted on. */
const mountPoints = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');

/** Everything that a link resolver says of a link, and how many looks that took. */
function follow(
  resolver: LinkResolver,
  place: Place,
  target: string,
): { found: LinkResolution; looks: number } {
  const steps = resolver.resolve(place, target);
  let looks = 0;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return { found: step.value, looks };
    looks += 1;
  }
}

const root = new Place(undefined, '.');

for (const { backend, title, open, openTree: openAsTree } of allPasses) {
  const test = suite(`directory (${title})`);

  const isCode = (code: string) => (error: unknown) => errorCode(error) === code;

  /** Do something with the directory of a tree's root. */
  const holding = <T>(path: string, act: (directory: Directory, tree: Tree) => T): T => {
    const tree = openAsTree(path);
    try {
      return act(tree.goTo(root), tree);
    } finally {
      tree.close();
    }
  };

  const resolve = (path: string, link: string): LinkResolution => {
    const tree = open(path);
    try {
      const resolver = new LinkResolver(tree.tree);
      return runAtOnce(resolver.resolve(tree.place(parentOf(link)), tree.readlink(link)));
    } finally {
      tree.close();
    }
  };

  test('says where a link leads without leaving the root', () => {
    const tree = makeTree({
      'a/b/f': 0o644,
      'a/link': '-> b/f',
      'a/up': '-> ../a/./b//f',
      'a/directory': '-> b/',
      'a/dot': '-> .',
      'a/root': '-> ..',
      'a/above': '-> ../..',
      'a/aboveAndBack': '-> ../../x/a/b/f',
      'a/absolute': '-> /etc/passwd',
      'a/gone': '-> b/no/such',
      'a/throughFile': '-> b/f/x',
      'a/slashFile': '-> b/f/',
      'a/chain': '-> link',
      'a/through': '-> directory/f',
      'a/loop': '-> loop2',
      'a/loop2': '-> ./loop',
      'a/throughOut': '-> absolute/x',
      'a/goneUp': '-> no/../b/f',
      'a/goneOdd': '-> no//./such/',
      'a/goneToRoot': '-> no/../..',
      'a/goneAbove': '-> no/../../..',
      goneAbove: '-> no/../../x',
      'a/dots': '-> ./.././/a/b',
      'long/name/link': '-> ../file',
      'long/file': 0o644,
    });
    symlinkSync(`${tree}/a/b/f`, join(tree, 'a/absoluteInside'));
    symlinkSync(`/.${tree.replaceAll('/', '//./')}//.//a/./b/`, join(tree, 'a/absoluteOdd'));
    symlinkSync(`${tree}/a/../..`, join(tree, 'absoluteAbove'));
    symlinkSync(tree.split('/').slice(0, -1).join('/'), join(tree, 'parent'));
    symlinkSync(join(tree, 'a/b'), join(tree, 'inside'));
    symlinkSync(`${tree}/../${tree.split('/').at(-1)}x`, join(tree, 'besides'));
    symlinkSync(`${tree}x`, join(tree, 'prefix'));
    symlinkSync(tree, join(tree, 'self'));
    const expected: Record<string, LinkResolution> = {
      'a/link': { kind: 'inside' },
      'a/up': { kind: 'inside' },
      'a/directory': { kind: 'inside' },
      'a/dot': { kind: 'inside' },
      'a/root': { kind: 'inside' },
      'a/above': { kind: 'outside' },
      'a/aboveAndBack': { kind: 'outside' },
      'a/absolute': { kind: 'outside' },
      'a/gone': { kind: 'dangling', missing: 'a/b/no/such' },
      'a/throughFile': { kind: 'dangling', missing: 'a/b/f/x' },
      'a/slashFile': { kind: 'dangling', missing: 'a/b/f' },
      'a/chain': { kind: 'inside' },
      'a/through': { kind: 'inside' },
      'a/loop': { kind: 'loop' },
      'a/throughOut': { kind: 'outside' },
      'a/goneUp': { kind: 'dangling', missing: 'a/b/f' },
      'a/goneOdd': { kind: 'dangling', missing: 'a/no/such' },
      'a/goneToRoot': { kind: 'dangling', missing: '.' },
      'a/goneAbove': { kind: 'outside' },
      goneAbove: { kind: 'outside' },
      'a/dots': { kind: 'inside' },
      'long/name/link': { kind: 'inside' },
      'a/absoluteInside': { kind: 'inside' },
      'a/absoluteOdd': { kind: 'inside' },
      absoluteAbove: { kind: 'outside' },
      parent: { kind: 'outside' },
      inside: { kind: 'inside' },
      besides: { kind: 'outside' },
      prefix: { kind: 'outside' },
      self: { kind: 'inside' },
    };
    for (const [path, resolution] of Object.entries(expected))
      assert.equal(resolve(tree, path), resolution, path);
    // One resolver for all: what it remembers of the way to one link changes nothing for the next.
    const all = open(tree);
    try {
      const resolver = new LinkResolver(all.tree);
      for (const paths of [Object.keys(expected), Object.keys(expected).reverse()]) {
        for (const path of paths) {
          const { found } = follow(resolver, all.place(parentOf(path)), all.readlink(path));
          assert.equal(found, expected[path], path);
        }
      }
    } finally {
      all.close();
    }
  });

  test('what is missing at the end of several links is told by where the last one stands', () => {
    const tree = makeTree({
      'a/x': '-> ../b/y',
      'b/y': '-> c/no/such',
      'b/c/': 0o755,
      far: '-> a/../b/y/further',
    });
    assert.equal(resolve(tree, 'a/x'), { kind: 'dangling', missing: 'b/c/no/such' });
    assert.equal(resolve(tree, 'far'), { kind: 'dangling', missing: 'b/c/no/such/further' });
  });

  test('follows forty links and says loop at the next', () => {
    const shape: Record<string, string> = { l0: 'end' };
    for (let index = 1; index <= 41; index += 1) shape[`l${index}`] = `-> l${index - 1}`;
    const tree = makeTree(shape);
    assert.is(resolve(tree, 'l40').kind, 'inside');
    assert.is(resolve(tree, 'l41').kind, 'loop');
  });

  test('follows links through as many names as a path can have, however many links they are in', () => {
    const names = 'd/../'.repeat(800);
    const tree = makeTree({ 'd/': 0o755, f: 0o644, l0: `-> ${names}f` });
    for (let index = 1; index <= 3; index += 1) symlinkSync(`${names}l${index - 1}`, join(tree, `l${index}`));
    assert.equal(resolve(tree, 'l1'), { kind: 'inside' });
    assert.equal(resolve(tree, 'l2'), { kind: 'loop' });
    holding(tree, (_directory, held) => {
      const { found, looks } = follow(new LinkResolver(held), root, readlinkSync(join(tree, 'l3')));
      assert.is(found.kind, 'loop');
      assert.is(looks, 2048);
    });
  });

  test('remembers the directories on the way: the next link costs one look', () => {
    const tree = makeTree({ 'a/b/c/d/e/f': 0o644, 'a/b/c/d/e/g': 0o644 });
    holding(tree, (_directory, held) => {
      const resolver = new LinkResolver(held);
      assert.equal(follow(resolver, root, 'a/b/c/d/e/f'), { found: { kind: 'inside' }, looks: 6 });
      assert.equal(follow(resolver, root, 'a/b/c/d/e/g'), { found: { kind: 'inside' }, looks: 1 });
      // It holds them: to know them again it has to be told to look anew.
      resolver.rewind();
      renameSync(join(tree, 'a'), join(tree, 'moved'));
      assert.equal(follow(resolver, root, 'a/b/c/d/e/g').found, { kind: 'dangling', missing: 'a/b/c/d/e/g' });
    });
  });

  // Looks are counted above all backends: the short run has them on one.
  const testOnce = title === allPasses[0]?.title || extent({ short: false, full: true }) ? test : () => {};
  testOnce('all links of a pass have a budget of looks, and what is past it is a loop', () => {
    const FREE = 200_000;
    const EACH = 64;
    const tree = makeTree({ 'd/': 0o755, f: 0o644 });
    const long = `${'d/../'.repeat(2000)}f`;
    holding(tree, (_directory, held) => {
      const resolver = new LinkResolver(held);
      let looked = 0;
      let links = 0;
      for (let found: LinkResolution = { kind: 'inside' }; found.kind === 'inside'; links += 1) {
        const { found: next, looks } = follow(resolver, root, long);
        looked += looks;
        found = next;
        assert.ok(next.kind === 'inside' || next.kind === 'loop');
      }
      assert.is(looked, FREE + links * EACH);
      assert.is(links, 1 + Math.floor(FREE / (2001 - EACH)));
      for (let index = 0; index < 3; index += 1) {
        assert.equal(follow(resolver, root, 'd/../f'), { found: { kind: 'inside' }, looks: 2 });
        assert.is(follow(resolver, root, long).found.kind, 'loop', 'a long one is too long still');
      }
    });
  });

  test('says that it cannot know where a link leads through what may not be searched', async () => {
    const tree = makeTree({ 'closed/': 0o600, 'closed/f': 0o600, link: '-> closed/f' });
    giveAway(tree);
    assert.equal(await withoutRights(() => resolve(tree, 'link')), { kind: 'unknown' });
  });

  test('says who is at fault where a link cannot be followed', () => {
    const tree = makeTree({ 'd/f': 0o600 });
    const broken = Object.assign(new Error('EIO: broken'), { code: 'EIO' });
    const failing = {
      path: tree,
      isHeld: () => false,
      goTo: () => ({
        lstat: () => {
          throw broken;
        },
      }),
      fork: () => failing,
    };
    const resolver = new LinkResolver(failing as unknown as Tree);
    assert.throws(
      () => follow(resolver, root, 'f'),
      (error: Error) => error === broken,
    );
    for (const code of ['ENOENT', 'ENOTDIR']) {
      broken.code = code;
      assert.equal(follow(resolver, root, 'f').found, { kind: 'dangling', missing: 'f' }, code);
    }
    broken.code = 'EACCES';
    assert.equal(follow(resolver, root, 'f').found, { kind: 'unknown' });
  });

  test('a directory on the way that became a link is followed as a link, and never left', () => {
    const outside = makeTree({ 'b/f': 0o600 });
    const tree = makeTree({ 'a/b/f': 0o600 });
    holding(tree, (_directory, held) => {
      const resolver = new LinkResolver(held);
      assert.equal(follow(resolver, root, 'a/b/f').found, { kind: 'inside' });
      renameSync(join(tree, 'a'), join(tree, 'aside'));
      symlinkSync(outside, join(tree, 'a'));
      resolver.rewind();
      assert.equal(follow(resolver, root, 'a/b/f').found, { kind: 'outside' });
    });
  });

  test('chmod decides on the very thing that it changes', () => {
    const tree = makeTree({ 'd/f': 0o600, link: '-> d/f' });
    const held = open(tree);
    try {
      const { before, after } = held.chmod('d/f', (found) => found.mode | 0o044);
      assert.is(before.mode, 0o600);
      assert.is(after, 0o644);
      const untouched = held.chmod('d/f', () => undefined);
      assert.is(untouched.before.mode, 0o644);
      assert.is(untouched.after, undefined);
      const seen: string[] = [];
      held.chmod('link', (found) => {
        seen.push(found.type);
        return undefined;
      });
      assert.equal(seen, ['symlink']);
      assert.throws(() => held.chmod('gone', () => 0o777), /ENOENT.*"gone"/);
      held.enter('d');
      held.chmod('d', () => 0o700);
      held.chmod('.', () => 0o711);
      assert.is(modeOf(tree, 'd'), 0o700);
      assert.is(modeOf(tree), 0o711);
    } finally {
      held.close();
    }
  });

  test('enter says what a directory is now, were it open all along', () => {
    const tree = makeTree({ 'd/e/': 0o700 });
    const held = open(tree);
    try {
      for (const mode of [0o700, 0o711, 0o755]) {
        for (const path of ['d/e', 'd', '.']) chmodSync(join(tree, path), mode);
        for (const path of ['d/e', 'd', '.', 'd/e']) assert.is(held.enter(path).mode, mode, path);
        assert.is(held.tree.rootStats().mode, mode);
      }
    } finally {
      held.close();
    }
  });

  test('a link is read in a directory that may be searched, and not read', async () => {
    const tree = makeTree({ 'd/l': '-> target', 'd/': 0o300 });
    giveAway(tree);
    await withoutRights(() => {
      const held = open(tree);
      assert.is(held.readlink('d/l'), 'target');
      held.close();
    });
  });

  test('what a directory was when it was opened is remembered, and what it is now is looked at', () => {
    const tree = makeTree({ 'd/': 0o700 });
    holding(tree, (directory) => {
      const below = directory.openDirectory('d');
      chmodSync(join(tree, 'd'), 0o711);
      assert.equal([below.opened.mode, below.stats().mode], [0o700, 0o711]);
      assert.equal([below.opened.type, below.opened.ino], ['directory', statSync(join(tree, 'd')).ino]);
      below.close();
    });
  });

  test('chmod tells the mode that was left, not the one that was asked for', async () => {
    const tree = makeTree({ f: 0o600, 'd/': 0o700 });
    const held = open(tree);
    try {
      for (const path of ['f', 'd']) {
        assert.is(held.chmod(path, () => 0o1750).after, modeOf(tree, path));
        giveAway(join(tree, path));
        // Who is not of its group cannot give an entry setgid (chmod(2)).
        const { after = 0 } = await withoutRights(() => held.chmod(path, () => 0o2710));
        assert.is(after, modeOf(tree, path), path);
        if (isRoot) assert.is(after, 0o710, path);
        assert.is(held.chmod(path, () => 0o750).after, 0o750);
      }
    } finally {
      held.close();
    }
  });

  test('special bits that stay are looked at again right before they are set', () => {
    const tree = makeTree({ f: 0o4644 });
    const held = open(tree);
    const asked: number[] = [];
    try {
      const { before, after } = held.chmod('f', (found) => {
        asked.push(found.mode);
        // Another process takes the bit away while the mode is decided.
        if (asked.length === 1) chmodSync(join(tree, 'f'), 0o644);
        return found.mode | 0o111;
      });
      assert.equal(asked, [0o4644, 0o644]);
      assert.equal([before.mode, after, modeOf(tree, 'f')], [0o644, 0o755, 0o755]);
    } finally {
      held.close();
    }
  });

  test('a mode is decided on once where no special bit is at stake, or none has changed', () => {
    for (const [mode, meanwhile] of [
      [0o600, 0o640],
      [0o4600, 0o4600],
    ] as const) {
      const tree = makeTree({ f: mode });
      const held = open(tree);
      let decisions = 0;
      held.chmod('f', (found) => {
        decisions += 1;
        chmodSync(join(tree, 'f'), meanwhile);
        return found.mode | 0o100;
      });
      held.close();
      assert.is(decisions, 1);
    }
  });

  test('who changes special bits again and again does not keep the pass for ever', () => {
    const tree = makeTree({ f: 0o4644 });
    const held = open(tree);
    let decisions = 0;
    try {
      held.chmod('f', (found) => {
        decisions += 1;
        chmodSync(join(tree, 'f'), decisions % 2 === 1 ? 0o6644 : 0o4644);
        return found.mode | 0o111;
      });
      assert.ok(decisions < 20, `${decisions}`);
    } finally {
      held.close();
    }
  });

  test('changes what its owner may not read', async () => {
    const tree = makeTree({ f: 0o200, 'd/': 0o300, g: 0o000 });
    giveAway(tree);
    await withoutRights(() => {
      const held = open(tree);
      try {
        for (const path of ['f', 'd', 'g']) {
          const mode = modeOf(tree, path);
          const left = held.chmod(path, () => undefined);
          assert.is(left.before.mode, mode, path);
          assert.is(left.after, undefined, path);
          assert.is(modeOf(tree, path), mode, path);
          const { before, after } = held.chmod(path, (found) => found.mode | 0o100);
          assert.is(before.mode, mode, path);
          assert.is(after, mode | 0o100, path);
          assert.is(modeOf(tree, path), mode | 0o100, path);
        }
      } finally {
        held.close();
      }
    });
  });

  test('what lies on another device is a mount point', () => {
    const tree = makeTree({ f: 0o600, 'd/': 0o700 });
    holding(tree, (directory) => {
      const found = directory.lstat('f');
      assert.ok(found !== undefined);
      assert.is(directory.isMountPoint('f', found), false);
      const elsewhere = { ...found, dev: Number(found.dev) + 1 };
      assert.is(directory.isMountPoint('f', elsewhere), true);
      const below = directory.openDirectory('d');
      assert.is(below.isMountPoint('.', below.opened), false);
      assert.is(below.isMountPoint('.', elsewhere), true, 'the root decides, however deep it is');
      below.close();
    });
  });

  test('leaves nothing open', async () => {
    if (!existsSync('/proc/self/fd')) return;
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const tree = makeTree({ 'a/b/f': 'content', 'c/g': 0o600, 'c/l': '-> g', file: 0o600 });
    const before = descriptors();
    const held = open(tree);
    const opened = descriptors();
    for (let times = 0; times < 3; times += 1) {
      held.rewind();
      assert.is(descriptors(), opened);
      for (const path of ['a/b', 'c', '.']) {
        held.list(path, 1);
        held.enter(path);
        held.chmod(path, () => 0o755);
        held.sync(path);
        assert.throws(() => held.read(`${path}/a`, 1));
      }
      const within = descriptors();
      held.read('a/b/f', 1);
      held.sync('a/b/f');
      held.readlink('c/l');
      held.chmod('c/g', () => 0o600);
      assert.throws(() =>
        held.chmod('c/g', () => {
          throw new Error('no');
        }),
      );
      held.enter('.');
      assert.is(descriptors(), within);
      held.rewind();
      const top = held.tree.goTo(root);
      for (const act of [
        () => top.open('a'),
        () => top.open('gone'),
        () => top.openDirectory('gone'),
        () => top.openDirectory('file'),
        () => top.chmod('gone', () => 0o700),
      ]) {
        assert.throws(act, `${act}`);
      }
      const below = top.openDirectory('a');
      const deeper = below.openDirectory('b');
      const parent = deeper.openParent(below);
      assert.ok(parent !== undefined && isSameEntry(parent.opened, below.opened));
      assert.is(deeper.openParent(top), undefined, 'it is not the one that is known');
      if (parent !== below) parent.close();
      deeper.close();
      below.close();
      assert.is(descriptors(), opened);
    }
    held.close();
    assert.is(descriptors(), before);
  });

  test('goes down a tree deeper than it holds open, and up again', () => {
    const tree = tempDirectory();
    const paths = makeDeep(tree);
    const before = openDescriptors();
    const held = open(tree);
    const opened = openDescriptors();
    const inode = (path: string) => statSync(join(tree, path)).ino;
    const zigzag = paths.slice(-5).flatMap((path) => [paths.at(-1) ?? '', path]);
    try {
      for (let times = 0; times < 2; times += 1) {
        for (const path of [...paths, ...paths.toReversed(), ...zigzag]) {
          assert.is(held.lstat(`${path}/f`)?.ino, inode(`${path}/f`), path);
          assert.is(held.enter(path).ino, inode(path), path);
          assert.ok(held.tree.isHeld(held.place(path)), path);
          assert.ok(openDescriptors() - opened <= MOST_OPEN, `${openDescriptors() - opened} open`);
        }
        held.enter(paths.at(-1) ?? '');
        held.rewind();
        assert.is(openDescriptors(), opened);
        assert.not(held.tree.isHeld(held.place(paths.at(-1) ?? '')));
      }
      held.enter(paths.at(-1) ?? '');
    } finally {
      held.close();
    }
    assert.is(openDescriptors(), before);
  });

  test('a second chain through a tree goes its own way, with descriptors of its own', () => {
    const tree = tempDirectory();
    const paths = makeDeep(tree);
    const deepest = paths.at(-1) ?? '';
    const before = openDescriptors();
    const held = open(tree);
    try {
      held.enter(deepest);
      const opened = openDescriptors();
      const fork = byPath(held.tree.fork(4));
      for (const path of [...paths, ...paths.toReversed()]) {
        assert.is(fork.lstat(`${path}/f`)?.ino, statSync(join(tree, path, 'f')).ino, path);
        assert.ok(openDescriptors() - opened <= 4 + 2, `${openDescriptors() - opened} open`);
      }
      fork.enter(deepest);
      fork.close();
      assert.is(openDescriptors(), opened);
      assert.ok(held.tree.isHeld(held.place(deepest)), 'the first one stays where it is');
      assert.is(held.lstat(`${deepest}/f`)?.type, 'file');
      byPath(held.tree.fork(4)).enter(deepest);
    } finally {
      held.close();
    }
    assert.is(openDescriptors(), before, 'what was not closed goes with the tree');
  });

  test('a place that was made anew leads to the same directory', () => {
    const tree = makeTree({ 'a/b/f': 0o600, 'a/c/f': 0o640 });
    holding(tree, (_directory, held) => {
      for (const [path, mode] of [
        ['a/b', 0o600],
        ['a/b', 0o600],
        ['a/c', 0o640],
        ['a', undefined],
        ['a/b', 0o600],
      ] as const)
        assert.is(held.goTo(placeOf(path)).lstat('f')?.mode, mode, path);
    });
  });

  test('what lies elsewhere is found, whatever became of the way back', () => {
    const tree = makeTree({ 'x/f': 0o600 });
    const paths = makeDeep(tree);
    const held = open(tree);
    const way = paths.slice(1, -1).map((path) => join(tree, path));
    try {
      for (const path of way.toReversed()) {
        held.enter(paths.at(-1) ?? '');
        renameSync(path, join(tree, 'moved'));
        renameSync(dirname(path), join(tree, 'above'));
        assert.is(held.lstat('x/f')?.type, 'file', path);
        renameSync(join(tree, 'above'), dirname(path));
        renameSync(join(tree, 'moved'), path);
      }
    } finally {
      held.close();
    }
  });

  test('never goes through a link, in any method', () => {
    const outside = makeTree({ f: 0o600, 'd/f': 0o600 });
    const tree = makeTree({ 'd/f': 0o600 });
    symlinkSync(outside, join(tree, 'out'));
    symlinkSync('d', join(tree, 'in'));
    const held = open(tree);
    const below = (path: string) => held.tree.goTo(held.place(path));
    try {
      for (const through of ['out', 'in']) {
        for (const act of [
          () => held.list(through),
          () => held.enter(through),
          () => held.lstat(`${through}/f`),
          () => held.chmod(`${through}/f`, () => 0o777),
          () => held.read(`${through}/f`, 10),
          () => held.readlink(`${through}/f`),
          () => held.sync(`${through}/f`),
          () => held.enter(`${through}/d`),
          () => held.isMountPoint(`${through}/f`, held.tree.rootStats()),
          () => below(through).makeDirectory('new', 0o700),
          () => below(through).symlink('new', 'target'),
          () => below(through).rename('f', below('.'), 'new'),
          () => below(through).unlink('f'),
          () => below(through).removeDirectory('d'),
          () => below('.').openDirectory(through),
          () => below('.').rename('d', below(through), 'new'),
        ]) {
          assert.throws(act, (error: { reason?: string }) => error.reason === 'symlink-in-path');
        }
      }
      assert.equal(modesBelow(outside), { '.': '755', d: '755', 'd/f': '600', f: '600' });
    } finally {
      held.close();
    }
  });

  test('what is done to a link by its name is done to the link', () => {
    const outside = makeTree({ f: { mode: 0o600, content: 'content' }, 'd/f': 0o600 });
    const tree = makeTree({});
    for (const name of ['f', 'd', 'gone']) symlinkSync(join(outside, name), join(tree, name));
    const isCode =
      (...codes: string[]) =>
      (error: unknown) =>
        codes.includes(errorCode(error) ?? '');
    holding(tree, (directory) => {
      for (const name of ['f', 'd', 'gone']) {
        assert.is(directory.lstat(name)?.type, 'symlink');
        assert.throws(() => directory.open(name), isCode('EINVAL'));
        directory.sync(name);
        assert.throws(() => directory.makeDirectory(name, 0o700), isCode('EEXIST'));
        assert.throws(() => directory.symlink(name, 'new'), isCode('EEXIST'));
        assert.throws(() => directory.removeDirectory(name), isCode('ENOTDIR'));
      }
      directory.rename('f', directory, 'gone');
      assert.is(readlinkSync(join(tree, 'gone')), join(outside, 'f'));
      for (const name of ['d', 'gone']) directory.unlink(name);
    });
    assert.equal(readdirSync(tree), []);
    assert.is(readFileSync(join(outside, 'f'), 'utf8'), 'content');
    assert.equal(modesBelow(outside), { '.': '755', d: '755', 'd/f': '600', f: '600' });
  });

  test('makes, renames and removes by name', () => {
    const tree = makeTree({ 'a/f': 'content', 'b/': 0o755 });
    const umask = process.umask(0o022);
    try {
      holding(tree, (top) => {
        const [a, b] = [top.openDirectory('a'), top.openDirectory('b')];
        a.makeDirectory('d', 0o777);
        assert.is(modeOf(tree, 'a/d'), 0o755, 'less the umask');
        b.makeDirectory('private', 0o700);
        assert.is(modeOf(tree, 'b/private'), 0o700);
        a.symlink('l', '../anything at all');
        assert.is(readlinkSync(join(tree, 'a/l')), '../anything at all');
        assert.is(a.readlink('l'), '../anything at all');
        assert.throws(() => a.makeDirectory('l', 0o700), isCode('EEXIST'));

        a.rename('f', b, 'g');
        assert.is(readFileSync(join(tree, 'b/g'), 'utf8'), 'content');
        a.rename('d', b, 'e');
        a.rename('l', a, 'm');
        assert.equal(readdirSync(join(tree, 'a')), ['m']);
        assert.equal(readdirSync(join(tree, 'b')).sort(), ['e', 'g', 'private']);
        a.rename('m', b, 'g');
        assert.is(readlinkSync(join(tree, 'b/g')), '../anything at all', 'a rename replaces');
        assert.throws(() => b.rename('g', b, 'e'), isCode('EISDIR'));
        assert.throws(() => b.rename('gone', b, 'e'), isCode('ENOENT'));

        assert.throws(() => b.unlink('gone'), isCode('ENOENT'));
        assert.throws(
          () => b.unlink('e'),
          (error: unknown) => /^(EISDIR|EPERM)$/.test(errorCode(error) ?? ''),
        );
        assert.throws(() => b.removeDirectory('g'), isCode('ENOTDIR'));
        b.unlink('g');
        b.removeDirectory('e');
        writeFileSync(join(tree, 'b/private/f'), '');
        assert.throws(
          () => b.removeDirectory('private'),
          (error: unknown) => /^(ENOTEMPTY|EEXIST)$/.test(errorCode(error) ?? ''),
        );
        assert.equal(readdirSync(join(tree, 'b')), ['private']);
        a.close();
        b.close();
      });
    } finally {
      process.umask(umask);
    }
  });

  test('what a rename cannot do is refused, never done otherwise', () => {
    const tree = makeTree({ one: '1', two: '2' });
    holding(tree, (directory) => {
      assert.ok(directory.renames.has('replace'));
      for (const kind of ['no-replace', 'exchange'] as const) {
        if (directory.renames.has(kind)) continue;
        assert.throws(() => directory.rename('one', directory, 'two', kind), RangeError);
      }
    });
    assert.is(readFileSync(join(tree, 'two'), 'utf8'), '2');
    assert.is(readFileSync(join(tree, 'one'), 'utf8'), '1');
  });

  test('names of any bytes are made, read, renamed and removed', () => {
    if (!canUseByteNames() || process.platform !== 'linux') return;
    const tree = makeTree({});
    const name = 'n\udcff';
    const path = (text: string) => Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(text, 'latin1')]);
    holding(tree, (directory) => {
      directory.makeDirectory(name, 0o700);
      assert.ok(lstatSync(path('n\xff')).isDirectory());
      const below = directory.openDirectory(name);
      below.symlink('l\udcfe', 't\udcfd');
      assert.equal(readlinkSync(path('n\xff/l\xfe'), { encoding: 'buffer' }), Buffer.from('t\xfd', 'latin1'));
      assert.is(below.readlink('l\udcfe'), 't\udcfd');
      assert.is(below.lstat('l\udcfe')?.type, 'symlink');
      below.rename('l\udcfe', directory, 'm\udcfc');
      assert.equal(
        entriesOf(directory.list())
          .map((entry) => entry.name)
          .sort(),
        ['m\udcfc', name],
      );
      directory.unlink('m\udcfc');
      below.sync('.');
      below.close();
      directory.chmod(name, () => 0o711);
      directory.removeDirectory(name);
    });
    assert.equal(readdirSync(tree), []);
  });

  test('a listing tells the facts of each entry now, and that one is gone', () => {
    const tree = makeTree({ a: 0o600, b: 0o640, 'c/': 0o700 });
    holding(tree, (directory) => {
      const listing = directory.list();
      assert.is(listing.size, 3);
      rmSync(join(tree, 'b'));
      chmodSync(join(tree, 'a'), 0o644);
      const found = new Map<string, unknown>();
      while (listing.next()) found.set(listing.name, listing.stats()?.mode);
      assert.not(listing.next());
      assert.equal(Object.fromEntries(found), { a: 0o644, b: undefined, c: 0o700 });
    });
  });

  test('a name that leads elsewhere is no entry', () => {
    const tree = makeTree({ 'd/f': 0o600, 'd/e/': 0o700 });
    const held = open(tree);
    const isRefusal = (error: unknown) =>
      error instanceof RangeError && / is not the name of an entry$/.test(error.message);
    try {
      for (const name of ['..', '.', '']) {
        for (const act of [
          () => held.list(`d/${name}`),
          () => held.enter(`d/${name}/x`),
          () => held.readlink(`d/${name}`),
          () => held.read(`d/${name}`, 1),
          () => held.read(`d/${name}/f`, 1),
        ]) {
          assert.throws(act, isRefusal, `${act} with ${JSON.stringify(name)}`);
        }
      }
      assert.throws(() => held.lstat('..'), isRefusal);
      assert.throws(() => held.list('..'), /"\.\." is not the name of an entry/);
      const directory = held.tree.goTo(held.place('d'));
      for (const name of ['..', '.', '', 'e/..', 'e/f', '/', '../d']) {
        for (const act of [
          () => directory.lstat(name),
          () => directory.readlink(name),
          () => directory.openDirectory(name),
          () => directory.open(name),
          () => directory.makeDirectory(name, 0o700),
          () => directory.symlink(name, 'target'),
          () => directory.rename(name, directory, 'new'),
          () => directory.rename('f', directory, name),
          () => directory.unlink(name),
          () => directory.removeDirectory(name),
        ]) {
          assert.throws(act, isRefusal, `${act} with ${JSON.stringify(name)}`);
        }
        if (name === '.') continue;
        assert.throws(() => directory.chmod(name, () => 0o777), isRefusal);
        assert.throws(() => directory.sync(name), isRefusal);
      }
    } finally {
      held.close();
    }
    assert.equal(modesBelow(tree), { '.': '755', d: '755', 'd/e': '700', 'd/f': '600' });
  });

  test('the root of a tree is no mount point of its own', () => {
    if (process.platform !== 'linux') return;
    const path = mountPoints().find(
      (path) =>
        dirname(path) !== '/' && existsSync(path) && statSync(path).dev !== statSync(dirname(path)).dev,
    );
    if (path === undefined) return console.log('  skipped: nothing is mounted two levels deep');
    holding(dirname(path), (directory) => {
      const root = directory.openRoot(basename(path));
      const below = directory.openDirectory(basename(path));
      assert.equal(
        [root, below].map((held) => held.isMountPoint('.', held.opened)),
        [false, true],
        path,
      );
      root.close();
      below.close();
    });
  });

  if (backend !== 'path') {
    test('a directory that was gone into is the one that is changed, whatever takes its name', () => {
      const tree = makeTree({ 'd/f': 0o600, 'd/': 0o700 });
      const outside = tempDirectory();
      holding(tree, (top, held) => {
        const { directory } = held.enter(placeOf('d'));
        renameSync(join(tree, 'd'), join(tree, 'moved'));
        mkdirSync(join(tree, 'd'), { mode: 0o700 });
        directory.chmod('.', () => 0o711);
        directory.chmod('f', () => 0o640);
        directory.makeDirectory('new', 0o700);
        directory.symlink('link', 'target');
        directory.rename('f', directory, 'g');
        directory.sync('.');
        assert.equal(
          entriesOf(directory.list())
            .map(({ name }) => name)
            .sort(),
          ['g', 'link', 'new'],
        );
        directory.rename('link', top, 'link');
        directory.removeDirectory('new');
        directory.unlink('g');
        // What is moved out of the tree is the directory that it was, too, and leads to nothing beside it.
        renameSync(join(tree, 'moved'), join(outside, 'moved'));
        directory.makeDirectory('new', 0o700);
      });
      assert.equal(modesBelow(outside), {
        '.': modeOf(outside).toString(8),
        moved: '711',
        'moved/new': '700',
      });
      assert.equal(modesBelow(tree), { '.': '755', d: '700' });
      assert.is(readlinkSync(join(tree, 'link')), 'target');
    });

    test('on the way up, what was moved away leads nowhere else', () => {
      const tree = tempDirectory();
      const paths = makeDeep(tree);
      const moved = join(tree, 'moved');
      const held = open(tree);
      try {
        held.enter(paths.at(-1) ?? '');
        for (const path of paths.slice(1).toReversed()) {
          const above = dirname(path);
          renameSync(join(tree, path), moved);
          assert.is(held.lstat(`${above}/f`)?.ino, statSync(join(tree, above, 'f')).ino, path);
          assert.throws(() => held.lstat(`${path}/f`), /ENOENT/);
          renameSync(moved, join(tree, path));
        }
      } finally {
        held.close();
      }
    });
  }

  test('lists as many entries as it is asked for', () => {
    const tree = makeTree(
      Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`d/f${index}`, 0o600])),
    );
    const held = open(tree);
    const count = (most?: number) => new Set(held.list('d', most).map(({ name }) => name)).size;
    try {
      assert.ok(held.lstat('d/f0'));
      for (const [most, expected] of [
        [0, 0],
        [4, 4],
        [9, 9],
        [10, 9],
        [undefined, 9],
      ] as const)
        assert.is(count(most), expected);
      if (!canUseByteNames()) return;
      writeFileSync(Buffer.concat([Buffer.from(`${tree}/d/`), Buffer.from([0xff])]), '');
      assert.is(count(), 10);
      assert.ok(held.lstat('d/f0'));
      assert.is(count(), 10, 'after it was looked into');
      assert.is(count(10), 10);
      assert.ok(count(4) <= 4);
      assert.ok(held.list('d').some(({ name }) => name === '\udcff'));
      assert.ok(held.list('d').every((entry) => entry.type === 'file'));
    } finally {
      held.close();
    }
  });

  test('names in its errors the entry or directory that is at fault, as the caller names it', () => {
    const tree = makeTree({ 'd/f': 0o600, f: 0o600 });
    const held = open(tree);
    const acts: [string, string, () => unknown][] = [
      ['gone', 'ENOENT', () => held.list('gone')],
      ['d/gone', 'ENOENT', () => held.enter('d/gone')],
      ['gone', 'ENOENT', () => held.lstat('gone/f')],
      ['f', 'ENOTDIR', () => held.lstat('f/f')],
      ['f', 'ENOTDIR', () => held.enter('f')],
      ['f', 'ENOTDIR', () => held.list('f')],
      ['d/gone', 'ENOENT', () => held.readlink('d/gone')],
      ['d/f', 'EINVAL', () => held.readlink('d/f')],
      ['d/gone', 'ENOENT', () => held.read('d/gone', 1)],
      ['gone', 'ENOENT', () => held.sync('gone/f')],
      ['d/gone', 'ENOENT', () => held.chmod('d/gone', () => 0o700)],
      ['gone', 'ENOENT', () => held.chmod('gone/f', () => 0o700)],
      ['d', 'EINVAL', () => held.read('d', 1)],
    ];
    try {
      for (const [path, code, act] of acts) {
        assert.throws(act, (error: NodeJS.ErrnoException) => {
          assert.is(error.code, code, `${act}`);
          assert.is(error.path, path, `${act}`);
          assert.ok(error.syscall, `${act}`);
          assert.ok(
            error.message.startsWith(`${code}: `) && !error.message.includes('/proc/'),
            error.message,
          );
          return true;
        });
      }
      assert.is(held.lstat('gone'), undefined);
    } finally {
      held.close();
    }
  });

  test('finds a directory anew after rewind', () => {
    const tree = makeTree({ 'a/f': 0o600 });
    const held = open(tree);
    try {
      held.enter('a');
      renameSync(join(tree, 'a'), join(tree, 'old'));
      mkdirSync(join(tree, 'a'));
      writeFileSync(join(tree, 'a/new'), '');
      held.rewind();
      assert.equal(
        held.list('a').map(({ name }) => name),
        ['new'],
      );
    } finally {
      held.close();
    }
  });

  test('syncs files and directories, and opens nothing else', () => {
    const tree = makeTree({ f: 'content', 'd/f': 'x', l: '-> f', dangling: '-> nowhere' });
    makeFifo(join(tree, 'fifo'));
    const held = open(tree);
    try {
      for (const path of ['.', 'f', 'd', 'd/f', 'l', 'dangling', 'fifo', 'gone']) held.sync(path);
      assert.throws(
        () => held.sync('gone/f'),
        (error: { code?: string }) => error.code === 'ENOENT',
      );
    } finally {
      held.close();
    }
  });

  test('syncs what may be written to and not read, and nothing that may be neither', async () => {
    const tree = makeTree({ writable: 0o200, closed: 0o000, 'd/f': 0o600, 'd/': 0o300 });
    giveAway(tree);
    await withoutRights(() => {
      const held = open(tree);
      try {
        held.sync('writable');
        for (const [path, code] of [
          ['closed', 'EACCES'],
          ['d', 'EACCES'],
        ] as const) {
          assert.throws(
            () => held.sync(path),
            (error: NodeJS.ErrnoException) => error.code === code && error.path === path,
          );
        }
      } finally {
        held.close();
      }
    });
  });

  test('reads the start of a file, and of nothing else', () => {
    const tree = makeTree({ f: 'content', 'd/f': 'x', l: '-> f' });
    const held = open(tree);
    try {
      assert.is(Buffer.from(held.read('f', 4)).toString(), 'cont');
      assert.is(Buffer.from(held.read('f', 400)).toString(), 'content');
      assert.is(held.read('f', 0).length, 0);
      makeFifo(join(tree, 'fifo'));
      for (const path of ['d', 'fifo', 'l']) {
        assert.throws(
          () => held.read(path, 4),
          (error: NodeJS.ErrnoException) =>
            error.code === 'EINVAL' &&
            error.path === path &&
            error.message === `EINVAL: not a regular file, open ${JSON.stringify(path)}`,
        );
      }
      assert.throws(() => held.read('gone', 4), /ENOENT/);
    } finally {
      held.close();
    }
  });

  test('an open file is the one that was opened, and tells its facts', () => {
    const tree = makeTree({ f: { mode: 0o640, content: 'content' } });
    holding(tree, (directory) => {
      const file = directory.open('f');
      const { type, mode, size } = file.stats;
      assert.equal({ type, mode, size }, { type: 'file', mode: 0o640, size: 7 });
      renameSync(join(tree, 'f'), join(tree, 'g'));
      writeFileSync(join(tree, 'f'), 'another');
      assert.is(Buffer.from(file.read(100)).toString(), 'content');
      assert.is(Buffer.from(file.read(3)).toString(), 'con', 'from its start');
      file.close();
    });
  });

  test('removes an entry with everything below it, and nothing that links lead to', () => {
    const outside = makeTree({ f: { mode: 0o600, content: 'content' }, 'd/f': 0o600 });
    const tree = makeTree({
      f: 0o600,
      kept: 0o600,
      'd/a/b/c/f': 0o000,
      'd/a/b/c/': 0o755,
      'd/a/l': `-> ${outside}`,
      'd/l': `-> ${outside}/f`,
      'd/self': '-> .',
      link: `-> ${outside}/d`,
    });
    makeFifo(join(tree, 'd/fifo'));
    const before = openDescriptors();
    holding(tree, (directory) => {
      const within = openDescriptors();
      for (const name of ['f', 'd', 'link', 'gone']) remove(directory, name, join(tree, name));
      // A runtime may close one of its own meanwhile.
      assert.ok(openDescriptors() <= within);
    });
    assert.ok(openDescriptors() <= before);
    assert.equal(readdirSync(tree), ['kept']);
    assert.is(readFileSync(join(outside, 'f'), 'utf8'), 'content');
    assert.equal(modesBelow(outside), { '.': '755', d: '755', 'd/f': '600', f: '600' });
  });

  test('removes what its owner closed, as its owner may', async () => {
    const tree = makeTree({
      'd/': 0o400,
      'd/x/': 0o500,
      'd/x/y/': 0o000,
      'd/f': 0o000,
      'd/x/f': 0o600,
      'd/x/y/f': 0o600,
    });
    giveAway(tree);
    await withoutRights(() => holding(tree, (directory) => remove(directory, 'd', join(tree, 'd'))));
    assert.equal(readdirSync(tree), []);
  });

  test('removes a tree deeper than it holds open', () => {
    const tree = tempDirectory();
    const paths = makeDeep(tree);
    for (const path of paths) mkdirSync(join(tree, path, 'side'));
    const before = openDescriptors();
    holding(tree, (directory) => remove(directory, 'd', join(tree, 'd')));
    assert.equal(readdirSync(tree), []);
    assert.is(openDescriptors(), before);
  });

  test('removes in steps, so that others have their turn', () => {
    const tree = makeTree(
      Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`d/${index % 5}/f${index}`, 0o600])),
    );
    holding(tree, (directory) => {
      let steps = 0;
      for (const _step of removal(directory, 'd', join(tree, 'd'), () => true)) steps += 1;
      assert.ok(steps >= 50, `${steps} steps`);
    });
    assert.equal(readdirSync(tree), []);
  });

  test('removes what is put in meanwhile, too, and gives up on who never stops', () => {
    for (const times of [3, Number.POSITIVE_INFINITY]) {
      const tree = makeTree({ 'd/e/f': 0o600 });
      let puttings = 0;
      const act = () => {
        holding(tree, (directory) => {
          for (const _step of removal(directory, 'd', join(tree, 'd'), () => true)) {
            if (puttings >= times || !existsSync(join(tree, 'd/e'))) continue;
            puttings += 1;
            writeFileSync(join(tree, 'd/e', `late${puttings}`), '');
          }
        });
      };
      if (times === 3) {
        act();
        assert.equal(readdirSync(tree), []);
      } else {
        assert.throws(act, isCode('ENOTEMPTY'));
        assert.ok(puttings > 3);
      }
    }
  });

  test('what takes the place of a directory that is being removed is removed, and not entered', () => {
    const outside = makeTree({ f: 0o600, 'd/f': 0o600 });
    const tree = makeTree({ 'd/e/f': 0o600, 'd/g/f': 0o600 });
    holding(tree, (directory) => {
      let isExchanged = false;
      for (const _step of removal(directory, 'd', join(tree, 'd'), () => true)) {
        if (isExchanged) continue;
        isExchanged = true;
        for (const name of ['e', 'g']) {
          renameSync(join(tree, 'd', name), join(tree, name));
          symlinkSync(outside, join(tree, 'd', name));
        }
      }
      assert.ok(isExchanged);
    });
    assert.not.ok(existsSync(join(tree, 'd')));
    assert.equal(readdirSync(outside).sort(), ['d', 'f']);
    assert.equal(readdirSync(join(outside, 'd')), ['f']);
  });

  test('tells what could not be removed by its path', async () => {
    if (!isRoot) return console.log('  skipped: only root can have what others may not remove');
    const tree = makeTree({ 'd/e/f': 0o600, 'd/g/f': 0o600, 'd/e/': 0o755, 'd/': 0o755 });
    giveAway(tree);
    execFileSync('chown', ['root', join(tree, 'd/e')]);
    await withoutRights(() => {
      holding(tree, (directory) => {
        assert.throws(
          () => remove(directory, 'd', join(tree, 'd')),
          (error: NodeJS.ErrnoException) =>
            error.code === 'EACCES' &&
            error.path === join(tree, 'd/e/f') &&
            error.message.includes(error.path),
        );
      });
    });
    assert.ok(existsSync(join(tree, 'd/e/f')));
    assert.equal(readdirSync(join(tree, 'd')), ['e'], 'the rest is gone');
  });

  test('moves a directory that its owner may not write to, and leaves its mode', async () => {
    for (const mode of [0o555, 0o500, 0o1550, 0o755]) {
      const tree = makeTree({ 'a/d/f': 0o600, 'a/d/': mode, 'b/': 0o755 });
      giveAway(tree);
      await withoutRights(() =>
        holding(tree, (directory) => {
          const [a, b] = [directory.openDirectory('a'), directory.openDirectory('b')];
          move(a, 'd', b, 'e');
          assert.is(modeOf(tree, 'b/e'), mode);
          assert.throws(() => move(a, 'gone', b, 'e'), isCode('ENOENT'));
          for (const each of [a, b]) each.close();
        }),
      );
      assert.equal(readdirSync(join(tree, 'a')), []);
    }
  });

  test('what cannot be moved keeps its mode', async () => {
    for (const mode of [0o500, 0o700]) {
      const tree = makeTree({ 'a/d/': mode, 'b/': 0o555 });
      giveAway(tree);
      await withoutRights(() =>
        holding(tree, (directory) => {
          const [a, b] = [directory.openDirectory('a'), directory.openDirectory('b')];
          assert.throws(() => move(a, 'd', b, 'e'), isCode('EACCES'));
          for (const each of [a, b]) each.close();
        }),
      );
      assert.is(modeOf(tree, 'a/d'), mode);
    }
  });

  test('a Unix socket answers as long as it is listened on', async () => {
    const tree = makeTree({ f: 0o600, 'd/': 0o755, l: '-> s' });
    const opened = openAsTree(tree);
    const directory = opened.goTo(root);
    const listener = await directory.listen('s');
    assert.ok(directory.isSocket('s'));
    for (const name of ['f', 'd', 'l', 'gone']) assert.not.ok(directory.isSocket(name), name);
    assert.is(directory.lstat('s')?.type, 'other');
    directory.rename('s', directory, 't');
    await directory.connect('t');
    utimesSync(join(tree, 't'), 0, 0);
    directory.touch('t');
    assert.ok(Date.now() - (directory.lstat('t')?.mtimeMs ?? 0) < 60_000);
    listener.close();
    for (const [name, code] of [
      ['t', 'ECONNREFUSED'],
      ['gone', 'ENOENT'],
    ] as const) {
      const error = await directory.connect(name).catch((thrown: unknown) => thrown);
      assert.is(errorCode(error), code);
    }
    for (const name of ['', '..', 'a/b']) assert.throws(() => directory.isSocket(name), RangeError);
    opened.close();
  });

  test('a Unix socket whose path is too long for one is refused where it goes by path', async () => {
    const long = join(tempDirectory(), 'x'.repeat(100));
    mkdirSync(long);
    const opened = openAsTree(long);
    const directory = opened.goTo(root);
    const outcome = await directory.listen('s').then(
      (listener) => {
        assert.ok(directory.isSocket('s'));
        listener.close();
      },
      (error: unknown) => errorCode(error),
    );
    assert.is(outcome, directory.backend === 'path' ? 'ENAMETOOLONG' : undefined);
    assert.equal(readdirSync(long), []);
    opened.close();
  });

  test.run();
}

const opening = suite('open');

opening('a root that is a link is resolved once', () => {
  const tree = makeTree({ f: 0o600 });
  const link = join(makeTree({ link: `-> ${tree}` }), 'link');
  assert.is(realRootPath(link), tree);
  const opened = openTree(link);
  assert.is(opened.path, tree);
  assert.is(opened.goTo(root).lstat('f')?.type, 'file');
  opened.close();
  const directory = openDirectory(link);
  assert.is(directory.lstat('f')?.type, 'file');
  directory.close();
});

opening('only a directory, and not the root of the file system', () => {
  const file = join(makeTree({ f: 0o600 }), 'f');
  for (const open of [openTree, openDirectory, realRootPath]) {
    assert.throws(
      () => open(file),
      (error: NodeJS.ErrnoException) =>
        error.code === 'ENOTDIR' &&
        error.path === file &&
        error.syscall === 'open' &&
        error.message === `ENOTDIR: not a directory, open ${JSON.stringify(file)}`,
    );
    assert.throws(
      () => open('/'),
      (error: Error) =>
        error instanceof RangeError &&
        error.message === 'root "/" is the root of the file system: name a directory below it',
    );
    assert.throws(() => open(`${file}gone`), /ENOENT/);
  }
  assert.throws(() => elsewhere(() => openTree(file)), /not a directory, open /);
});

/** Ways to hold a directory. */
const kinds: [name: string, on: <T>(act: () => T) => T][] = [
  ['as the system can', (act) => act()],
  ['by its path', elsewhere],
];

for (const [name, on] of kinds) {
  opening(`a directory is held, and a tree in it (${name})`, () => {
    const parent = makeTree({ 'held/tree/f': 0o600, 'held/link': '-> tree', link: '-> held', f: 0o600 });
    const path = join(parent, 'held');
    const before = openDescriptors();
    const held = on(() => holdDirectory(path));
    assert.is(held.stats().ino, statSync(path).ino);
    assert.is(held.stats().type, 'directory');
    const tree = on(() => treeOf(join(path, 'tree'), held.openDirectory('tree')));
    assert.is(tree.path, join(path, 'tree'));
    assert.is(tree.goTo(root).lstat('f')?.type, 'file');
    tree.close();
    for (const open of [
      () => on(() => held.openDirectory('link')),
      () => on(() => holdDirectory(join(parent, 'link'))),
    ])
      assert.throws(open, (error: UnsafePathError) => error.reason === 'symlink-in-path');
    held.close();
    assert.throws(() => on(() => holdDirectory(join(parent, 'gone'))), /ENOENT/);
    assert.throws(
      () => on(() => holdDirectory(join(parent, 'f'))),
      (error: unknown) => errorCode(error) === 'ENOTDIR',
    );
    assert.is(openDescriptors(), before);
  });
}

opening('a link on the way to a real path is refused', () => {
  const tree = makeTree({ 'd/e/': 0o700, link: '-> d' });
  for (const path of ['link', 'link/e']) {
    if (process.platform === 'linux') {
      assert.throws(
        () => openNative(join(tree, path)),
        (error: unknown) => error instanceof UnsafePathError && error.path === join(tree, path),
        path,
      );
    }
  }
  assert.throws(
    () => openChecked(join(tree, 'link')),
    (error: unknown) =>
      error instanceof UnsafePathError && error.reason === 'symlink-in-path' && error.path === '.',
  );
});

opening('a directory that is held stays the one that was opened, whatever takes its name', () => {
  const parent = makeTree({ 'held/tree/f': 0o600 });
  const path = join(parent, 'held');
  const held = holdDirectory(path);
  renameSync(path, join(parent, 'moved'));
  mkdirSync(path);
  if (process.platform === 'linux') {
    const tree = held.openDirectory('tree');
    assert.is(tree.lstat('f')?.type, 'file');
    tree.close();
  }
  held.close();
});

opening('what cannot be done across backends is a TypeError', () => {
  if (process.platform !== 'linux') return;
  const tree = makeTree({ f: 0o600 });
  const [anchored, checked] = [holdDirectory(tree), openChecked(tree)];
  assert.throws(() => anchored.rename('f', checked, 'g'), TypeError);
  assert.throws(() => checked.rename('f', anchored, 'g'), TypeError);
  anchored.close();
  assert.equal(readdirSync(tree), ['f']);
});

opening('the backend is the one that the system has', () => {
  const tree = makeTree({ f: 0o600 });
  const opened: [expected: string, held: Tree | Directory][] = [
    [process.platform === 'linux' ? 'anchored' : 'path', openTree(tree)],
    [process.platform === 'linux' ? 'anchored' : 'path', holdDirectory(tree)],
    ['path', elsewhere(() => openTree(tree))],
    ['path', elsewhere(() => holdDirectory(tree))],
  ];
  for (const [expected, held] of opened) {
    assert.is(held.backend, expected);
    held.close();
  }
});

opening.run();
