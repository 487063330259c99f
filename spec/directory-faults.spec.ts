import { unlinkSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory } from '../lib/directory/directory.ts';
import { errorCode } from '../lib/directory/errors.ts';
import { neverNative } from '../lib/directory/native/load.ts';
import { openTree } from '../lib/directory/open.ts';
import { Place } from '../lib/directory/place.ts';
import { type FaultCode, watchCalls } from './helpers/faults.ts';
import { allPasses } from './helpers/passes.ts';
import { canUseByteNames } from './helpers/runtime.ts';
import { makeTree, modeOf, type TreeShape } from './helpers/tree.ts';

const root = new Place(undefined, '.');
const shape: TreeShape = { f: 'content', 'd/e/': 0o755, l: '-> f' };
const codes: readonly FaultCode[] = ['EIO', 'EMFILE'];

/** What a call of a directory comes to, once for each fault of each of its system calls. */
function eachFault(
  act: () => unknown,
  tell: (outcome: { value?: unknown; error?: unknown }, code: FaultCode, call: string) => void,
): void {
  const watched = watchCalls();
  try {
    watched.begin();
    act();
    watched.end();
    const calls = watched.calls.map(({ name, path }) => `${name} ${path}`);
    for (const [position, call] of calls.entries()) {
      for (const code of codes) {
        watched.begin(position, code);
        let outcome: Parameters<typeof tell>[0];
        try {
          outcome = { value: act() };
        } catch (error) {
          outcome = { error };
        }
        watched.end();
        assert.equal(watched.leaked, [], `${act}: ${code} of ${call}`);
        tell(outcome, code, call);
      }
    }
  } finally {
    watched.end();
    watched.restore();
  }
}

for (const { backend, title, openTree: open } of allPasses) {
  // Native calls do not go through node:fs, and a working directory changes which calls are made.
  if (backend === 'native' || title.includes('lent')) continue;
  const test = suite(`faults of a directory (${title})`);

  /** Do something with the directory of a tree's root. */
  const holding = (path: string, act: (directory: Directory) => void): void => {
    const tree = open(path);
    try {
      act(tree.goTo(root));
    } finally {
      tree.close();
    }
  };

  test('a call that fails is told, and leaves nothing open', () => {
    const tree = makeTree(shape);
    holding(tree, (directory) => {
      for (const act of [
        () => directory.openDirectory('d').close(),
        () => directory.openRoot('d').close(),
        () => directory.open('f').close(),
        () => directory.chmod('f', () => undefined),
        () => directory.chmod('d', () => undefined),
        () => directory.sync('f'),
        () => directory.sync('d'),
        () => directory.sync('.'),
        () => directory.stats(),
        () => directory.readlink('l'),
      ]) {
        eachFault(act, ({ error }, code, call) =>
          assert.is(errorCode(error), code, `${act}: ${call}: ${error}`),
        );
      }
    });
  });

  test('a mode that was changed is told, though the look at it fails once', () => {
    const tree = makeTree({ f: 0o600, 'd/': 0o700 });
    holding(tree, (directory) => {
      for (const name of ['f', 'd']) {
        let mode = 0o1700;
        eachFault(
          () => {
            mode += 1;
            // What special bits become is looked at.
            return directory.chmod(name, () => mode).after;
          },
          ({ value, error }, code) => {
            if (error === undefined) assert.is(value, mode);
            else assert.is(errorCode(error), code);
            assert.is(modeOf(tree, name) === mode, error === undefined, `${name}: ${error}`);
          },
        );
      }
    });
  });

  test('an entry that is gone once its name of bytes was read is not listed', () => {
    if (!canUseByteNames() || process.platform !== 'linux') return;
    const tree = makeTree({});
    const path = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff])]);
    const watched = watchCalls();
    try {
      holding(tree, (directory) => {
        writeFileSync(path, '');
        watched.begin();
        assert.is(directory.list().size, 1);
        const position = watched.calls.findIndex(({ name, path }) => name === 'lstat' && path !== tree);
        watched.begin(position, () => unlinkSync(path));
        assert.is(directory.list().size, 0);
      });
    } finally {
      watched.end();
      watched.restore();
    }
  });

  test('a parent that cannot be held is none', () => {
    const tree = makeTree(shape);
    holding(tree, (directory) => {
      const below = directory.openDirectory('d');
      const act = () => {
        const parent = below.openParent(directory);
        if (parent !== directory) parent?.close();
        return parent !== undefined;
      };
      eachFault(act, ({ value }, _code, call) => assert.is(value, false, call));
      assert.is(act(), true);
      below.close();
    });
  });

  test.run();
}

if (process.platform === 'linux') {
  const test = suite('faults of opening a tree');

  test('a tree is held in another way or not at all, and nothing stays open', () => {
    const path = makeTree(shape);
    const act = () => {
      const tree = openTree(path, { native: neverNative });
      tree.close();
      return tree.backend;
    };
    const outcomes = new Map<string, Set<unknown>>();
    eachFault(act, ({ value, error }, code, call) => {
      if (error !== undefined) assert.is(errorCode(error), code);
      const known = outcomes.get(call) ?? new Set();
      outcomes.set(call, known.add(error === undefined ? value : 'error'));
    });
    assert.equal(new Set([...outcomes.values()].flatMap((each) => [...each])), new Set(['error', 'path']));
    // What proves that `/proc` can be used; `/` is looked at before, too, for no root may be it.
    for (const call of ['statfs /proc', 'readlink /proc/self'])
      assert.equal([...(outcomes.get(call) ?? [])], ['path'], call);
    assert.equal(outcomes.get('stat /'), new Set(['error', 'path']));
  });

  test.run();
}
