import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { linkSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { digestAtOnce } from '../lib/directory/digest.ts';
import type { Directory } from '../lib/directory/directory.ts';
import { errorCode } from '../lib/directory/errors.ts';
import { openNative } from '../lib/directory/native/native.ts';
import { type NativeCallName, watchNativeCalls } from './helpers/native-calls.ts';
import { hasNative } from './helpers/passes.ts';
import { makeTree } from './helpers/tree.ts';

// Files that are read natively: what is opened, by which calls, and what others do between them.

const test = suite('native files');

if (hasNative) {
  const watched = watchNativeCalls();
  const CALLS: readonly NativeCallName[] = ['openat', 'statx', 'openat', 'close', 'pread64', 'close'];
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

  test('a file is opened through a descriptor that names it', () => {
    const root = makeTree({ f: 'content' });
    assert.equal(reading(root, 'f'), { value: digestOf('content'), calls: CALLS });
  });

  test('what is no file is not opened', () => {
    const root = makeTree({ 'd/': 0o755, l: '-> f', f: 'content' });
    execFileSync('mkfifo', [join(root, 'pipe')]);
    for (const name of ['d', 'l', 'pipe', 'nothing']) {
      const { value, calls } = reading(root, name);
      assert.is(value, name === 'nothing' ? 'ENOENT' : 'EINVAL', name);
      // To name what is there opens nothing.
      assert.equal(
        calls,
        CALLS.slice(0, name === 'nothing' ? 1 : 2).concat(name === 'nothing' ? [] : 'close'),
        name,
      );
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
      for (let position = 0; position < CALLS.length; position += 1) {
        const root = makeTree({ f: 'content' });
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
    const root = makeTree({ f: 'content' });
    const before = open();
    for (const position of CALLS.keys()) {
      const { value } = reading(root, 'f', () => watched.begin(position, 'fails'));
      assert.is(value, digestOf('content'), `${CALLS[position]} fails (call ${position})`);
    }
    const { value } = reading(root, 'f', () => watched.failAll('pread64'));
    assert.equal([value, open()], [digestOf('content'), before]);
  });
} else {
  console.log('  skipped: no native calls here');
}

test.run();
