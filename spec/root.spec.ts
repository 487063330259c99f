import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createPace } from '../lib/pace.ts';
import { holdDirectory } from '../lib/root/held.ts';
import { type LinkResolution, resolveLink } from '../lib/root/links.ts';
import {
  decodeName,
  encodeName,
  isEntryOf,
  isWithin,
  joinPath,
  nameOf,
  parentOf,
} from '../lib/root/names.ts';
import { openRoot, openUnlinkedRoot } from '../lib/root/open.ts';
import { openPathRoot } from '../lib/root/path.ts';
import {
  errorCode,
  isSameInode,
  type Root,
  renamed,
  swapped,
  symlinkInPath,
  typeOf,
  type UnsafePathError,
} from '../lib/root/root.ts';
import { walk } from '../lib/root/walk.ts';
import { isRoot } from './helpers/child.ts';
import { allPasses } from './helpers/passes.ts';
import { giveAway, withoutRights } from './helpers/rights.ts';
import { canRunOn, canUseByteNames } from './helpers/runtime.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

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

const errors = suite('root: errors');

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
});

errors('only a text that an error has is the code of a system error', () => {
  assert.is(errorCode(Object.assign(new Error('broken'), { code: 'EIO' })), 'EIO');
  for (const error of [Object.assign(new Error('broken'), { code: 5 }), new Error('no'), { code: 'EIO' }])
    assert.is(errorCode(error), undefined);
  for (const error of ['EIO', null, undefined]) assert.is(errorCode(error), undefined);
});

errors('a system error names the path that the caller knows, anything else stays as it is', () => {
  const system = { code: 'EIO', syscall: 'open', path: '/proc/self/fd/3/f' };
  const error = Object.assign(new Error("EIO: i/o error, open '/proc/self/fd/3/f'"), system);
  assert.is(renamed(error, 'd/f'), error);
  assert.is(error.message, 'EIO: i/o error, open "d/f"');
  assert.is(error.path, 'd/f');
  for (const facts of [{ syscall: 'fstat' }, { path: '/f' }, {}]) {
    const other = Object.assign(new Error('EIO: i/o error, fstat'), facts);
    assert.is(renamed(other, 'd/f'), other);
    assert.is(other.message, 'EIO: i/o error, fstat');
    assert.is('path' in other && other.path, 'path' in facts && facts.path);
  }
  for (const thrown of [system, 'text', null, undefined]) assert.is(renamed(thrown, 'd/f'), thrown);
  assert.is(system.path, '/proc/self/fd/3/f');
});

errors.run();

const inodes = suite('root: inodes');

inodes('the same number on another device is another inode', () => {
  const tree = makeTree({ f: 0o600 });
  const stats = statSync(tree);
  assert.ok(isSameInode(stats, statSync(tree)));
  assert.not.ok(isSameInode(stats, statSync(join(tree, 'f'))));
  assert.not.ok(isSameInode(stats, Object.assign(statSync(tree), { dev: stats.dev + 1 })));
});

inodes.run();

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

/** A directory's entry that something is mounted on, as any Linux has one: `/dev/pts`, say. */
function someMountPoint(): string | undefined {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  return mounted.find((path) => /^(\/[\w.-]+){2,}$/.test(path) && existsSync(path));
}

for (const { backend, title, open } of allPasses) {
  const test = suite(`root (${title})`);

  const resolve = (tree: string, path: string): LinkResolution => {
    const root = open(tree);
    try {
      return resolveLink(root, path, root.readlink(path));
    } finally {
      root.close();
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
      'a/link': { kind: 'inside', path: 'a/b/f' },
      'a/up': { kind: 'inside', path: 'a/b/f' },
      'a/directory': { kind: 'inside', path: 'a/b' },
      'a/dot': { kind: 'inside', path: 'a' },
      'a/root': { kind: 'inside', path: '.' },
      'a/above': { kind: 'outside' },
      'a/aboveAndBack': { kind: 'outside' },
      'a/absolute': { kind: 'outside' },
      'a/gone': { kind: 'dangling', missing: 'a/b/no/such' },
      'a/throughFile': { kind: 'dangling', missing: 'a/b/f/x' },
      'a/slashFile': { kind: 'dangling', missing: 'a/b/f' },
      'a/chain': { kind: 'inside', path: 'a/b/f' },
      'a/through': { kind: 'inside', path: 'a/b/f' },
      'a/loop': { kind: 'loop' },
      'a/throughOut': { kind: 'outside' },
      'a/goneUp': { kind: 'dangling', missing: 'a/b/f' },
      'a/goneOdd': { kind: 'dangling', missing: 'a/no/such' },
      'a/goneToRoot': { kind: 'dangling', missing: '.' },
      'a/goneAbove': { kind: 'outside' },
      goneAbove: { kind: 'outside' },
      'a/dots': { kind: 'inside', path: 'a/b' },
      'long/name/link': { kind: 'inside', path: 'long/file' },
      'a/absoluteInside': { kind: 'inside', path: 'a/b/f' },
      'a/absoluteOdd': { kind: 'inside', path: 'a/b' },
      absoluteAbove: { kind: 'outside' },
      parent: { kind: 'outside' },
      inside: { kind: 'inside', path: 'a/b' },
      besides: { kind: 'outside' },
      prefix: { kind: 'outside' },
      self: { kind: 'inside', path: '.' },
    };
    for (const [path, resolution] of Object.entries(expected))
      assert.equal(resolve(tree, path), resolution, path);
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
    assert.equal(resolve(tree, 'l1'), { kind: 'inside', path: 'f' });
    assert.equal(resolve(tree, 'l2'), { kind: 'loop' });
    let looks = 0;
    const root = open(tree);
    const counting: Root = Object.assign(Object.create(root), {
      path: root.path,
      readlink: (path: string) => root.readlink(path),
      lstat: (path: string) => {
        looks += 1;
        return root.lstat(path);
      },
    });
    resolveLink(counting, 'l3', root.readlink('l3'));
    root.close();
    assert.is(looks, 2048);
  });

  test('says that it cannot know where a link leads through what may not be searched', async () => {
    const tree = makeTree({ 'closed/': 0o600, 'closed/f': 0o600, link: '-> closed/f' });
    giveAway(tree);
    assert.equal(await withoutRights(() => resolve(tree, 'link')), { kind: 'unknown' });
  });

  test('says who is at fault where a link cannot be followed', () => {
    const tree = makeTree({ link: '-> f', f: 0o600 });
    const root = open(tree);
    const broken = Object.assign(new Error('EIO: broken'), { code: 'EIO' });
    const failing: Root = {
      ...root,
      path: root.path,
      lstat: () => {
        throw broken;
      },
    };
    try {
      assert.throws(
        () => resolveLink(failing, 'link', 'f'),
        (error: Error) => error === broken,
      );
      for (const code of ['ENOENT', 'ENOTDIR']) {
        broken.code = code;
        assert.equal(resolveLink(failing, 'link', 'f'), { kind: 'dangling', missing: 'f' }, code);
      }
    } finally {
      root.close();
    }
  });

  test('chmod decides on the very thing that it changes', () => {
    const tree = makeTree({ 'd/f': 0o600, link: '-> d/f' });
    const root = open(tree);
    try {
      const { before, after } = root.chmod('d/f', (found) => (found.mode & 0o777) | 0o044);
      assert.is(before.mode & 0o777, 0o600);
      assert.is((after ?? 0) & 0o777, 0o644);
      const untouched = root.chmod('d/f', () => undefined);
      assert.is(untouched.before.mode & 0o777, 0o644);
      assert.is(untouched.after, undefined);
      const seen: string[] = [];
      root.chmod('link', (found) => {
        seen.push(typeOf(found));
        return undefined;
      });
      assert.equal(seen, ['symlink']);
      assert.throws(() => root.chmod('gone', () => 0o777), /ENOENT.*"gone"/);
      root.enter('d');
      root.chmod('d', () => 0o700);
      root.chmod('.', () => 0o711);
      assert.is(modeOf(tree, 'd'), 0o700);
      assert.is(modeOf(tree), 0o711);
    } finally {
      root.close();
    }
  });

  test('enter says what a directory is now, were it open all along', () => {
    const tree = makeTree({ 'd/e/': 0o700 });
    const root = open(tree);
    const permissions = (path: string) => root.enter(path).mode & 0o777;
    try {
      for (const mode of [0o700, 0o711, 0o755]) {
        for (const path of ['d/e', 'd', '.']) chmodSync(join(tree, path), mode);
        for (const path of ['d/e', 'd', '.', 'd/e']) assert.is(permissions(path), mode, path);
      }
    } finally {
      root.close();
    }
  });

  test('chmod tells the mode that was left, not the one that was asked for', async () => {
    const tree = makeTree({ f: 0o600, 'd/': 0o700 });
    const root = open(tree);
    try {
      for (const path of ['f', 'd']) {
        assert.is((root.chmod(path, () => 0o1750).after ?? 0) & 0o7777, modeOf(tree, path));
        giveAway(join(tree, path));
        // Who is not of its group cannot give an entry setgid (chmod(2)).
        const { after = 0 } = await withoutRights(() => root.chmod(path, () => 0o2710));
        assert.is(after & 0o7777, modeOf(tree, path), path);
        if (isRoot) assert.is(after & 0o7777, 0o710, path);
        assert.is((root.chmod(path, () => 0o750).after ?? 0) & 0o7777, 0o750);
      }
    } finally {
      root.close();
    }
  });

  test('changes what its owner may not read', async () => {
    const tree = makeTree({ f: 0o200, 'd/': 0o300, g: 0o000 });
    giveAway(tree);
    await withoutRights(() => {
      const root = open(tree);
      try {
        for (const path of ['f', 'd', 'g']) {
          const mode = modeOf(tree, path);
          const left = root.chmod(path, () => undefined);
          assert.is(left.before.mode & 0o777, mode, path);
          assert.is(left.after, undefined, path);
          assert.is(modeOf(tree, path), mode, path);
          const { before, after = 0 } = root.chmod(path, (found) => (found.mode & 0o777) | 0o100);
          assert.is(before.mode & 0o777, mode, path);
          assert.is(after & 0o777, mode | 0o100, path);
          assert.is(modeOf(tree, path), mode | 0o100, path);
        }
      } finally {
        root.close();
      }
    });
  });

  test('what lies on another device is a mount point', () => {
    const tree = makeTree({ f: 0o600 });
    const root = open(tree);
    const stats = statSync(join(tree, 'f'));
    try {
      assert.is(root.isMountPoint('f', stats), false);
      assert.is(root.isMountPoint('f', Object.assign(statSync(tree), { dev: stats.dev + 1 })), true);
    } finally {
      root.close();
    }
  });

  test('leaves nothing open', async () => {
    if (!existsSync('/proc/self/fd')) return;
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const tree = makeTree({ 'a/b/f': 'content', 'c/g': 0o600, 'c/l': '-> g' });
    const before = descriptors();
    const root = open(tree);
    const opened = descriptors();
    for (let times = 0; times < 3; times += 1) {
      root.rewind();
      assert.is(descriptors(), opened);
      for (const path of ['a/b', 'c', '.']) {
        root.list(path, 1);
        root.enter(path);
        root.chmod(path, () => 0o755);
        root.sync(path);
        assert.throws(() => root.read(`${path}/a`, 1));
      }
      const within = descriptors();
      root.read('a/b/f', 1);
      root.sync('a/b/f');
      root.readlink('c/l');
      root.chmod('c/g', () => 0o600);
      assert.throws(() =>
        root.chmod('c/g', () => {
          throw new Error('no');
        }),
      );
      root.enter('.');
      assert.is(descriptors(), within);
    }
    root.close();
    assert.is(descriptors(), before);
  });

  test('goes down a tree deeper than it holds open, and up again', () => {
    const tree = tempDirectory();
    const paths = makeDeep(tree);
    const before = openDescriptors();
    const root = open(tree);
    const opened = openDescriptors();
    const inode = (path: string) => statSync(join(tree, path)).ino;
    const zigzag = paths.slice(-5).flatMap((path) => [paths.at(-1) ?? '', path]);
    try {
      for (let times = 0; times < 2; times += 1) {
        for (const path of [...paths, ...paths.toReversed(), ...zigzag]) {
          assert.is(root.lstat(`${path}/f`)?.ino, inode(`${path}/f`), path);
          assert.is(root.enter(path).ino, inode(path), path);
          assert.ok(openDescriptors() - opened <= MOST_OPEN, `${openDescriptors() - opened} open`);
        }
        root.enter(paths.at(-1) ?? '');
        root.rewind();
        assert.is(openDescriptors(), opened);
      }
      root.enter(paths.at(-1) ?? '');
    } finally {
      root.close();
    }
    assert.is(openDescriptors(), before);
  });

  test('what lies elsewhere is found, whatever became of the way back', () => {
    const tree = makeTree({ 'x/f': 0o600 });
    const paths = makeDeep(tree);
    const root = open(tree);
    const way = paths.slice(1, -1).map((path) => join(tree, path));
    try {
      for (const path of way.toReversed()) {
        root.enter(paths.at(-1) ?? '');
        renameSync(path, join(tree, 'moved'));
        renameSync(dirname(path), join(tree, 'above'));
        assert.ok(root.lstat('x/f')?.isFile(), path);
        renameSync(join(tree, 'above'), dirname(path));
        renameSync(join(tree, 'moved'), path);
      }
    } finally {
      root.close();
    }
  });

  test('never goes through a link, in any method', () => {
    const outside = makeTree({ f: 0o600, 'd/f': 0o600 });
    const tree = makeTree({ 'd/f': 0o600 });
    symlinkSync(outside, join(tree, 'out'));
    symlinkSync('d', join(tree, 'in'));
    const root = open(tree);
    try {
      for (const through of ['out', 'in']) {
        for (const act of [
          () => root.list(through),
          () => root.enter(through),
          () => root.lstat(`${through}/f`),
          () => root.chmod(`${through}/f`, () => 0o777),
          () => root.read(`${through}/f`, 10),
          () => root.readlink(`${through}/f`),
          () => root.sync(`${through}/f`),
          () => root.enter(`${through}/d`),
        ]) {
          assert.throws(act, (error: { reason?: string }) => error.reason === 'symlink-in-path');
        }
      }
      assert.is(modeOf(outside, 'f'), 0o600);
    } finally {
      root.close();
    }
  });

  if (backend === 'anchored') {
    test('what something is mounted on is a mount point, were it of the same device', () => {
      const mountPoint = someMountPoint();
      if (mountPoint === undefined) return console.log('  skipped: nothing is mounted two levels deep');
      const root = open(dirname(mountPoint));
      const stats = statSync(root.path);
      try {
        assert.is(root.isMountPoint(basename(mountPoint), stats), true, mountPoint);
        assert.is(root.isMountPoint(`${basename(mountPoint)}/f`, stats), false);
      } finally {
        root.close();
      }
    });

    test('a directory that was gone into is the one that is changed, whatever takes its name', () => {
      const tree = makeTree({ 'd/f': 0o600, 'd/': 0o700 });
      const root = open(tree);
      try {
        root.enter('d');
        renameSync(join(tree, 'd'), join(tree, 'moved'));
        mkdirSync(join(tree, 'd'), { mode: 0o700 });
        root.chmod('d', () => 0o711);
        assert.is(modeOf(tree, 'moved'), 0o711);
        assert.is(modeOf(tree, 'd'), 0o700);
      } finally {
        root.close();
      }
    });

    test('on the way up, what was moved away leads nowhere else', () => {
      const tree = tempDirectory();
      const paths = makeDeep(tree);
      const moved = join(tree, 'moved');
      const root = open(tree);
      try {
        root.enter(paths.at(-1) ?? '');
        for (const path of paths.slice(1).toReversed()) {
          const above = dirname(path);
          renameSync(join(tree, path), moved);
          assert.is(root.lstat(`${above}/f`)?.ino, statSync(join(tree, above, 'f')).ino, path);
          assert.throws(() => root.lstat(`${path}/f`), /ENOENT/);
          renameSync(moved, join(tree, path));
        }
      } finally {
        root.close();
      }
    });

    test('a name that leads elsewhere is no entry', () => {
      const tree = makeTree({ 'd/f': 0o600 });
      const root = open(tree);
      const isRefusal = (error: unknown) =>
        error instanceof RangeError && / is no entry$/.test(error.message);
      try {
        for (const name of ['..', '.', '']) {
          for (const act of [
            () => root.lstat(`d/${name}`),
            () => root.chmod(`d/${name}`, () => 0o777),
            () => root.list(`d/${name}`),
            () => root.enter(`d/${name}/x`),
            () => root.readlink(`d/${name}`),
            () => root.read(`d/${name}/f`, 1),
          ]) {
            assert.throws(act, isRefusal, `${act} with ${JSON.stringify(name)}`);
          }
        }
        assert.throws(() => root.lstat('..'), isRefusal);
        assert.throws(() => root.list('..'), /"\.\." is no entry/);
      } finally {
        root.close();
      }
      const held = holdDirectory(tree);
      for (const name of ['..', '.', '']) assert.throws(() => held.openRoot(name), isRefusal);
      held.close();
    });
  }

  test('lists as many entries as it is asked for', () => {
    const tree = makeTree(
      Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`d/f${index}`, 0o600])),
    );
    const root = open(tree);
    const count = (most?: number) => new Set(root.list('d', most).map(({ name }) => name)).size;
    try {
      assert.ok(root.lstat('d/f0'));
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
      assert.ok(root.lstat('d/f0'));
      assert.is(count(), 10, 'after it was looked into');
      assert.is(count(10), 10);
      assert.ok(count(4) <= 4);
      assert.ok(root.list('d').some(({ name }) => name === '\udcff'));
      assert.ok(root.list('d').every((entry) => entry.isFile()));
    } finally {
      root.close();
    }
  });

  test('names in its errors what the caller named', () => {
    const tree = makeTree({ 'd/f': 0o600, f: 0o600 });
    const root = open(tree);
    const acts: [string, string, () => unknown][] = [
      ['gone', 'ENOENT', () => root.list('gone')],
      ['d/gone', 'ENOENT', () => root.enter('d/gone')],
      ['gone/f', 'ENOENT', () => root.lstat('gone/f')],
      ['f/f', 'ENOTDIR', () => root.lstat('f/f')],
      ['f', 'ENOTDIR', () => root.enter('f')],
      ['f', 'ENOTDIR', () => root.list('f')],
      ['d/gone', 'ENOENT', () => root.readlink('d/gone')],
      ['d/f', 'EINVAL', () => root.readlink('d/f')],
      ['d/gone', 'ENOENT', () => root.read('d/gone', 1)],
      ['gone/f', 'ENOENT', () => root.sync('gone/f')],
      ['d/gone', 'ENOENT', () => root.chmod('d/gone', () => 0o700)],
      ['gone/f', 'ENOENT', () => root.chmod('gone/f', () => 0o700)],
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
      assert.is(root.lstat('gone'), undefined);
    } finally {
      root.close();
    }
  });

  test('finds a directory anew after rewind', () => {
    const tree = makeTree({ 'a/f': 0o600 });
    const root = open(tree);
    try {
      root.enter('a');
      renameSync(join(tree, 'a'), join(tree, 'old'));
      mkdirSync(join(tree, 'a'));
      writeFileSync(join(tree, 'a/new'), '');
      root.rewind();
      assert.equal(
        root.list('a').map(({ name }) => name),
        ['new'],
      );
    } finally {
      root.close();
    }
  });

  test('syncs files and directories, and opens nothing else', () => {
    const tree = makeTree({ f: 'content', 'd/f': 'x', l: '-> f', dangling: '-> nowhere' });
    execFileSync('mkfifo', [join(tree, 'fifo')]);
    const root = open(tree);
    try {
      for (const path of ['.', 'f', 'd', 'd/f', 'l', 'dangling', 'fifo', 'gone']) root.sync(path);
      assert.throws(
        () => root.sync('gone/f'),
        (error: { code?: string }) => error.code === 'ENOENT',
      );
    } finally {
      root.close();
    }
  });

  test('syncs what may be written to and not read, and nothing that may be neither', async () => {
    const tree = makeTree({ writable: 0o200, closed: 0o000, 'd/f': 0o600, 'd/': 0o300 });
    giveAway(tree);
    await withoutRights(() => {
      const root = open(tree);
      try {
        root.sync('writable');
        for (const [path, code] of [
          ['closed', 'EACCES'],
          ['d', 'EISDIR'],
        ] as const) {
          assert.throws(
            () => root.sync(path),
            (error: NodeJS.ErrnoException) => error.code === code && error.path === path,
          );
        }
      } finally {
        root.close();
      }
    });
  });

  test('reads the start of a file, and of nothing else', () => {
    const tree = makeTree({ f: 'content', 'd/f': 'x', l: '-> f' });
    const root = open(tree);
    try {
      assert.is(Buffer.from(root.read('f', 4)).toString(), 'cont');
      assert.is(Buffer.from(root.read('f', 400)).toString(), 'content');
      assert.is(root.read('f', 0).length, 0);
      execFileSync('mkfifo', [join(tree, 'fifo')]);
      for (const path of ['d', 'fifo']) {
        assert.throws(
          () => root.read(path, 4),
          (error: NodeJS.ErrnoException) =>
            error.code === 'EINVAL' && error.message === 'EINVAL: not a regular file',
        );
      }
      assert.throws(
        () => root.read('l', 4),
        (error: NodeJS.ErrnoException) => error.code === 'ELOOP',
      );
    } finally {
      root.close();
    }
  });

  test.run();
}

const opening = suite('open');

const canPretend = canRunOn(['node'], 'its platform cannot be replaced');

/** What the code does where there is no `/proc`, whatever the system. */
function elsewhere<T>(act: () => T): T {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
  Object.defineProperty(process, 'platform', { ...platform, value: 'freebsd' });
  try {
    return act();
  } finally {
    Object.defineProperty(process, 'platform', platform);
  }
}

opening('a root that is a link is resolved once; where it must be none, it is refused', () => {
  const tree = makeTree({ f: 0o600 });
  const link = join(makeTree({ link: `-> ${tree}` }), 'link');
  const root = openRoot(link);
  assert.is(root.path, tree);
  root.close();
  const unlinked = openUnlinkedRoot(tree);
  assert.is(unlinked.path, tree);
  assert.ok(unlinked.lstat('f')?.isFile());
  unlinked.close();
  for (const path of [link, join(link, '..', 'link')]) {
    assert.throws(
      () => openUnlinkedRoot(path),
      (error: UnsafePathError) => error.reason === 'symlink-in-path' && error.path === path,
    );
  }
});

opening('only a directory, and not the root of the file system', () => {
  const file = join(makeTree({ f: 0o600 }), 'f');
  for (const open of [openRoot, openUnlinkedRoot]) {
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
  if (canPretend) assert.throws(() => elsewhere(() => openRoot(file)), /not a directory, open /);
  const link = join(makeTree({ link: `-> ${dirname(file)}` }), 'link');
  assert.throws(
    () => openPathRoot(link),
    (error: UnsafePathError) => error.reason === 'symlink-in-path' && error.path === '.',
  );
});

/** Ways to hold a directory. */
const kinds: [name: string, on: <T>(act: () => T) => T][] = [['as the system can', (act) => act()]];
if (canPretend) kinds.push(['by its path', elsewhere]);

for (const [name, on] of kinds) {
  opening(`a directory is held, and a root in it (${name})`, () => {
    const parent = makeTree({ 'held/tree/f': 0o600, 'held/link': '-> tree', link: '-> held', f: 0o600 });
    const before = openDescriptors();
    const held = on(() => holdDirectory(join(parent, 'held')));
    assert.is(held.path, join(parent, 'held'));
    assert.is(held.stats().ino, statSync(held.path).ino);
    assert.ok(held.stats().isDirectory());
    assert.equal(readdirSync(held.inside('.')).sort(), ['link', 'tree']);
    assert.equal(readdirSync(held.inside('tree')), ['f']);
    if (on === elsewhere) assert.is(held.inside('tree'), join(held.path, 'tree'));
    const root = on(() => held.openRoot('tree'));
    assert.is(root.path, join(held.path, 'tree'));
    assert.ok(root.lstat('f')?.isFile());
    root.close();
    for (const open of [
      () => on(() => held.openRoot('link')),
      () => on(() => holdDirectory(join(parent, 'link'))),
    ])
      assert.throws(open, (error: UnsafePathError) => error.reason === 'symlink-in-path');
    held.close();
    assert.throws(() => on(() => holdDirectory(join(parent, 'gone'))), /ENOENT/);
    assert.is(openDescriptors(), before);
  });
}

opening('a directory that is held stays the one that was opened, whatever takes its name', () => {
  const parent = makeTree({ 'held/tree/f': 0o600 });
  const held = holdDirectory(join(parent, 'held'));
  renameSync(held.path, join(parent, 'moved'));
  mkdirSync(held.path);
  assert.is(held.path, join(parent, 'held'));
  if (process.platform === 'linux') {
    assert.equal(readdirSync(held.inside('tree')), ['f']);
    const root = held.openRoot('tree');
    assert.ok(root.lstat('f')?.isFile());
    root.close();
  }
  held.close();
});

opening('the backend is the one that the system has', () => {
  const tree = makeTree({ f: 0o600 });
  const roots: [expected: string, root: Root][] = [
    [process.platform === 'linux' ? 'anchored' : 'path', openRoot(tree)],
  ];
  if (canPretend) roots.push(['path', elsewhere(() => openRoot(tree))]);
  if (canPretend) roots.push(['path', elsewhere(() => openUnlinkedRoot(tree))]);
  for (const [expected, root] of roots) {
    assert.is(root.backend, expected);
    root.close();
  }
});

opening.run();

const walking = suite('walk');

/** A walk over a tree, with what it met in its order. */
async function walked(tree: string, start = '.', descend = (_path: string) => true): Promise<string[]> {
  const root = openRoot(tree);
  const met: string[] = [];
  const pace = createPace(undefined, () => undefined);
  try {
    const visitor = {
      enter: (path: string) => {
        met.push(`${path}/`);
        return root.list(path);
      },
      descend,
      visit: (path: string) => met.push(path),
    };
    await walk(start, visitor, pace);
  } finally {
    root.close();
  }
  return met;
}

// These are readdirp's own members, replaced by ours: a version that calls others must fail here.
walking('meets everything once, directories before their entries, links as links', async () => {
  const outside = makeTree({ 'never/f': 0o600 });
  const tree = makeTree({ 'a/b/f': 0o600, 'a/g': 0o600, 'c/h': 0o600, link: '-> a', out: `-> ${outside}` });
  const met = await walked(tree);
  assert.equal([...met].sort(), ['./', 'a/', 'a/b/', 'a/b/f', 'a/g', 'c/', 'c/h', 'link', 'out']);
  const position = (path: string) => met.indexOf(path);
  assert.ok(position('a/') < position('a/b/') && position('a/b/') < position('a/b/f'));
  assert.ok(position('a/') < position('a/g'));
});

walking('lists each directory only when it gets there', async () => {
  const tree = makeTree({ 'a/f': 0o600, 'b/': 0o700 });
  const met: string[] = [];
  const root = openRoot(tree);
  const pace = createPace(undefined, () => undefined);
  const visitor = {
    enter: (path: string) => {
      met.push(`list ${path}`);
      return root.list(path);
    },
    descend: () => true,
    visit: (path: string) => {
      met.push(path);
      // What is made in a directory that was found and not yet listed is met.
      for (const name of ['a', 'b'])
        if (!met.includes(`list ${name}`)) writeFileSync(join(tree, name, 'late'), '');
    },
  };
  writeFileSync(join(tree, 'first'), '');
  await walk('.', visitor, pace);
  root.close();
  assert.ok(met.includes('a/late') && met.includes('b/late'), met.join());
});

walking('begins below the root and leaves out what it is told to', async () => {
  const tree = makeTree({ 'a/b/f': 0o600, 'a/c/g': 0o600, 'x/y': 0o600 });
  assert.equal((await walked(tree, 'a')).sort(), ['a/', 'a/b/', 'a/b/f', 'a/c/', 'a/c/g']);
  assert.equal((await walked(tree, '.', (path) => path !== 'a')).sort(), ['./', 'x/', 'x/y']);
});

walking('rejects with the very thing that the visitor or the pace throws', async () => {
  const tree = makeTree({ 'a/f': 0o600, 'b/f': 0o600 });
  const root = openRoot(tree);
  const calm = createPace(undefined, () => undefined);
  const entering = { enter: (path: string) => root.list(path), descend: () => true, visit: () => undefined };
  for (const thrown of [new Error('no'), 'no', undefined, null]) {
    const fail = () => {
      throw thrown;
    };
    const hurried = { isOver: () => true, pause: () => Promise.reject(thrown) };
    for (const [visitor, pace] of [
      [{ ...entering, enter: fail }, calm],
      [{ ...entering, descend: fail }, calm],
      [{ ...entering, visit: fail }, calm],
      [entering, hurried],
    ] as const) {
      let caught: unknown = 'nothing';
      await walk('.', visitor, pace).catch((error: unknown) => {
        caught = error;
      });
      assert.is(caught, thrown);
    }
  }
  root.close();
});

walking('meets nothing more once it has rejected', async () => {
  const tree = makeTree({ 'a/f': 0o600, 'b/f': 0o600, 'c/f': 0o600 });
  const root = openRoot(tree);
  const pace = createPace(undefined, () => undefined);
  const entered: string[] = [];
  const visitor = {
    enter: (path: string) => {
      entered.push(path);
      if (path !== '.') throw new Error('enough');
      return root.list(path);
    },
    descend: () => true,
    visit: () => undefined,
  };
  const rejection = await walk('.', visitor, pace).catch((error: Error) => error.message);
  assert.is(rejection, 'enough');
  // Long enough for one that went on: a whole other walk.
  await walked(tree);
  root.close();
  assert.is(entered.length, 2, entered.join());
});

walking('lets the pace decide before each directory and after each entry, whatever it is', async () => {
  const tree = makeTree({ 'a/b/f': 0o600, 'a/g': 0o600, 'c/': 0o700, 'd/': 0o700, link: '-> a' });
  for (const isOver of [true, false]) {
    const root = openRoot(tree);
    const log: string[] = [];
    const note = (what: string) => {
      log.push(what);
      return what !== 'descend c';
    };
    const visitor = {
      enter: (path: string) => {
        note('enter');
        return root.list(path);
      },
      descend: (path: string) => note(`descend ${path}`),
      visit: (path: string) => note(`visit ${path}`),
    };
    const pace = {
      isOver: () => isOver,
      pause: async () => {
        note('pause');
      },
    };
    await walk('.', visitor, pace);
    root.close();
    const unpaused = log.filter((what, index) => {
      if (what === 'enter') return log[index - 1] !== 'pause';
      return what !== 'pause' && log[index + 1] !== 'pause';
    });
    assert.is(log.filter((what) => what.startsWith('descend')).length, 4);
    if (isOver) assert.equal(unpaused, []);
    else assert.not.ok(log.includes('pause'));
  }
});

walking('needs no working directory', async () => {
  const tree = makeTree({ 'a/f': 0o600 });
  const before = process.cwd();
  const gone = tempDirectory();
  process.chdir(gone);
  rmdirSync(gone);
  try {
    assert.throws(() => process.cwd());
    assert.equal(await walked(tree), ['./', 'a/', 'a/f']);
  } finally {
    process.chdir(before);
  }
});

walking('does not hold more than it needs: an emptied directory may be removed behind it', async () => {
  const tree = tempDirectory();
  for (let index = 0; index < 300; index += 1) mkdirSync(join(tree, `d${index}`));
  const root = openRoot(tree);
  const pace = createPace(undefined, () => undefined);
  const visitor = {
    enter: (path: string) => {
      const entries = root.list(path);
      if (path !== '.') rmdirSync(join(tree, path));
      return entries;
    },
    descend: () => true,
    visit: () => undefined,
  };
  await walk('.', visitor, pace);
  root.close();
  assert.equal(readdirSync(tree), []);
});

walking.run();
