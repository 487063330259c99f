/** A link that takes the place of a file, one call at a time: what each of them may find, and what is done then. */
import { readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory } from '../lib/directory/directory.ts';
import { errorCode, systemError } from '../lib/directory/errors.ts';
import { holdDirectory } from '../lib/directory/open.ts';
import { isInnerTarget, type Restoration, restoreLink } from '../lib/directory/restore-link.ts';
import { makeTree } from './helpers/tree.ts';

const test = suite('restoring a link');

const broken = systemError('EIO', 'broken', 'call', 'l');
const denied = systemError('EACCES', 'denied', 'call', 'l');
const fail = (): never => {
  throw broken;
};

type Calls = Pick<Directory, 'lstat' | 'symlink' | 'rename'>;

interface Outcome extends Restoration {
  /** Everything that is there afterwards: contents, and texts of links. Our own name is `*`. */
  readonly found: Record<string, string>;
}

/**
 * Restore `l`, a link to `f`. Names can be exchanged, on any system.
 *
 * @param instead makes something that takes the place of calls, given these and the path of the directory
 */
function restore(instead: (calls: Calls, root: string) => Partial<Calls>, mayReplace = () => true): Outcome {
  const root = makeTree({ l: 'f' });
  const directory = holdDirectory(root);
  const rename = directory.rename.bind(directory);
  const calls: Calls = {
    lstat: directory.lstat.bind(directory),
    symlink: directory.symlink.bind(directory),
    rename(name, to, newName, kind) {
      if (kind !== 'exchange') return rename(name, to, newName, kind);
      rename(name, to, 'aside');
      rename(newName, to, name);
      return rename('aside', to, newName);
    },
  };
  Object.defineProperty(directory, 'renames', { value: new Set(['replace', 'no-replace', 'exchange']) });
  Object.assign(directory, calls, instead(calls, root));
  try {
    const outcome = restoreLink(directory, 'l', 'f', mayReplace);
    const found = readdirSync(root, { withFileTypes: true }).map((entry) => {
      const path = join(root, entry.name);
      const text = entry.isSymbolicLink() ? `-> ${readlinkSync(path)}` : readFileSync(path, 'utf8');
      return [entry.name.replace(/^\.permwalk-link-[\w-]{16}$/, '*'), text];
    });
    return { ...outcome, found: Object.fromEntries(found) };
  } finally {
    directory.close();
  }
}

/** A file system that can exchange no names, though it was thought to. */
const withoutExchange =
  (rename: Calls['rename']): Calls['rename'] =>
  (name, to, newName, kind) => {
    if (kind === 'exchange') throw systemError('ENOTSUP', 'not supported', 'rename', name);
    rename(name, to, newName, kind);
  };

test('a text leads below the root where it goes up at its start alone, and a link can hold it', () => {
  const inner: [target: string, depth: number][] = [
    ['.', 0],
    ['..', 1],
    ['.//../..', 2],
    ['../a/...', 1],
    ['x'.repeat(4095), 0],
  ];
  for (const [target, depth] of inner) assert.ok(isInnerTarget(target, depth), target);
  const outer: typeof inner = [
    ['..', 0],
    ['../..', 1],
    ['a/..', 1],
    ['../a/..', 2],
    ['/', 3],
    ['/a', 3],
    ['x'.repeat(4096), 0],
    ['é'.repeat(2048), 0],
    ['a\ud800', 0],
  ];
  for (const [target, depth] of outer) assert.not.ok(isInnerTarget(target, depth), target);
});

test('it is made, and nothing is left beside it', () => {
  const { found, isRestored, error, left } = restore(() => ({}));
  assert.equal([found, isRestored, error, left], [{ l: '-> f' }, true, undefined, undefined]);
});

test('beside a file that may not be replaced nothing is made', () => {
  const { found, isRestored, error, left } = restore(
    () => ({ symlink: () => assert.unreachable() }),
    () => false,
  );
  assert.equal([found, isRestored, error, left], [{ l: 'f' }, false, undefined, undefined]);
});

test('where the exchange fails, the file is not replaced without one', () => {
  const { found, isRestored, error, left } = restore(({ rename }) => ({
    rename: (name, to, newName, kind) => (kind === 'exchange' ? fail() : rename(name, to, newName, kind)),
  }));
  assert.equal([found, isRestored, error, left], [{ l: 'f' }, false, broken, undefined]);
});

test('where names cannot be exchanged after all, the link is renamed over the file', () => {
  const { found, isRestored } = restore(({ rename }) => ({ rename: withoutExchange(rename) }));
  assert.equal([found, isRestored], [{ l: '-> f' }, true]);
});

for (const why of [undefined, denied]) {
  test(`a file that cannot be put back keeps the name that it has (${why?.message})`, () => {
    let isExchanged = false;
    const { found, isRestored, error, left } = restore(
      ({ lstat, rename }) => ({
        lstat(name) {
          if (isExchanged && why !== undefined) throw why;
          return lstat(name);
        },
        rename(name, to, newName, kind) {
          if (isExchanged && kind === 'exchange') fail();
          rename(name, to, newName, kind);
          isExchanged = true;
        },
      }),
      () => !isExchanged,
    );
    assert.equal([found, isRestored], [{ l: '-> f', '*': 'f' }, false]);
    assert.equal([error, left?.error], [why ?? broken, broken], 'what came first is told');
    assert.match(left?.name ?? '', /^\.permwalk-link-/);
    assert.match(left?.advice ?? '', /move it back/);
  });
}

test('whoever cannot look whether a rename was made does not say so', () => {
  let hasFailed = false;
  const { found, isRestored, error, left } = restore(({ lstat }) => ({
    lstat: (name) => (hasFailed ? fail() : lstat(name)),
    rename: withoutExchange(() => {
      hasFailed = true;
      throw denied;
    }),
  }));
  assert.equal([found, isRestored, error], [{ l: 'f', '*': '-> f' }, false, denied]);
  assert.is(left?.error, broken);
  assert.match(left?.advice ?? '', /remove it/);
});

test('a link that another process put in the place of ours is left alone, and told', () => {
  const { found, isRestored, error, left } = restore((_, root) => ({
    rename: withoutExchange((name) => {
      rmSync(join(root, name));
      symlinkSync('precious', join(root, name));
      throw denied;
    }),
  }));
  assert.equal([found, isRestored, error], [{ l: 'f', '*': '-> precious' }, false, denied]);
  assert.is(errorCode(left?.error), 'ERR_PERMWALK_SWAPPED');
});

test.run();
