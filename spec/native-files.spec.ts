import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, linkSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { digestAtOnce } from '../lib/directory/digest.ts';
import type { Directory } from '../lib/directory/directory.ts';
import { errorCode } from '../lib/directory/errors.ts';
import { openNative } from '../lib/directory/native/native.ts';
import { isRoot, NOBODY } from './helpers/child.ts';
import { type NativeCallName, watchNativeCalls } from './helpers/native-calls.ts';
import { hasNative } from './helpers/passes.ts';
import { makeTree } from './helpers/tree.ts';

// Files that are read natively: what is opened, by which calls, and what others do between them.

const test = suite('native files');

if (hasNative) {
  const watched = watchNativeCalls();
  const BY_NAME: readonly NativeCallName[] = ['statx', 'openat', 'statx', 'pread64', 'close'];
  const BY_INODE: readonly NativeCallName[] = ['openat', 'statx', 'openat', 'close', 'pread64', 'close'];
  const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

  function holding<T>(root: string, act: (directory: Directory) => T): T {
    const directory = openNative(root, undefined, watched.source);
    if (directory === undefined) throw new Error('no anchored backend here');
    try {
      return act(directory);
    } finally {
      directory.close();
    }
  }

  /** The digest of a file, or the code of what keeps it from being made. */
  function read(directory: Directory, name: string): string | undefined {
    try {
      const file = directory.open(name);
      try {
        return digestAtOnce(file, 'sha256');
      } finally {
        file.close();
      }
    } catch (error) {
      return errorCode(error);
    }
  }

  /** The calls that it takes to read a file, and what was read. */
  function reading(root: string, name: string, begin = () => watched.begin()) {
    return holding(root, (directory) => {
      begin();
      const value = read(directory, name);
      watched.end();
      return { value, calls: [...watched.calls] };
    });
  }

  test('by name where only root or we can put anything, else by inode', () => {
    const root = makeTree({ f: 'content' });
    const value = digestOf('content');
    for (const mode of [0o700, 0o755, 0o1755]) {
      chmodSync(root, mode);
      assert.equal(reading(root, 'f'), { value, calls: BY_NAME }, mode.toString(8));
    }
    for (const mode of [0o770, 0o775, 0o757, 0o1777]) {
      chmodSync(root, mode);
      assert.equal(reading(root, 'f'), { value, calls: BY_INODE }, mode.toString(8));
    }
    chmodSync(root, 0o755);
    if (!isRoot) return console.log('  skipped: only root can give a directory to somebody else');
    chownSync(root, NOBODY, NOBODY);
    assert.equal(reading(root, 'f'), { value, calls: BY_INODE });
  });

  test('what is no file is not opened', () => {
    for (const mode of [0o755, 0o777]) {
      const root = makeTree({ 'd/': 0o755, l: '-> f', f: 'content' });
      execFileSync('mkfifo', [join(root, 'pipe')]);
      chmodSync(root, mode);
      for (const name of ['d', 'l', 'pipe', 'nothing']) {
        const { value, calls } = reading(root, name);
        assert.is(value, name === 'nothing' ? 'ENOENT' : 'EINVAL', name);
        assert.not.ok(calls.includes('pread64'), name);
        // To name what is there (O_PATH) opens nothing.
        assert.is(calls.filter((call) => call === 'openat').length, Number(mode === 0o777), name);
      }
    }
  });

  test('what others put in its place between two calls is not read', () => {
    const outside = makeTree({ secret: 'secret' });
    execFileSync('mkfifo', [join(outside, 'pipe')]);
    const put: Record<string, (path: string) => void> = {
      link: (path) => symlinkSync(join(outside, 'secret'), path),
      FIFO: (path) => linkSync(join(outside, 'pipe'), path),
    };
    for (const [what, act] of Object.entries(put)) {
      for (let position = 0; position < BY_INODE.length; position += 1) {
        const root = makeTree({ f: 'content' });
        chmodSync(root, 0o777);
        const exchange = () => {
          rmSync(join(root, 'f'));
          act(join(root, 'f'));
        };
        const { value } = reading(root, 'f', () => watched.begin(position, exchange));
        assert.is(value, position === 0 ? 'EINVAL' : digestOf('content'), `${what} before call ${position}`);
      }
    }
  });

  test('what fails is done again, and no descriptor is left open', () => {
    const open = () => readdirSync('/proc/self/fd').length;
    for (const [mode, calls] of [
      [0o755, BY_NAME],
      [0o777, BY_INODE],
    ] as const) {
      const root = makeTree({ f: 'content' });
      chmodSync(root, mode);
      const before = open();
      for (const position of calls.keys()) {
        const { value } = reading(root, 'f', () => watched.begin(position, 'fails'));
        assert.is(value, digestOf('content'), `${calls[position]} fails (call ${position})`);
      }
      const { value } = reading(root, 'f', () => watched.failAll('pread64'));
      assert.equal([value, open()], [digestOf('content'), before]);
    }
  });
} else {
  console.log('  skipped: no native calls here');
}

test.run();
