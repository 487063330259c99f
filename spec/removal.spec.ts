import fs, {
  chownSync,
  type Dirent,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Place } from '../lib/directory/place.ts';
import { removal } from '../lib/directory/remove.ts';
import { canMount, outputOf, startScript } from './helpers/child.ts';
import { allPasses } from './helpers/passes.ts';
import { remove } from './helpers/remove.ts';
import { canActAsRoot, giveAway, withoutRights } from './helpers/rights.ts';
import { addToTree, makeTree, modesBelow, type TreeShape } from './helpers/tree.ts';

const root = new Place(undefined, '.');
const script = fileURLToPath(new URL('helpers/removal-child.js', import.meta.url));

/** A directory that is there, and has nothing in it. */
const isEmpty = (path: string): boolean => existsSync(path) && readdirSync(path).length === 0;

for (const { backend, title, openTree } of allPasses) {
  const test = suite(`removal (${title})`);

  /** Remove `d` of a tree, and do something at each step. */
  const removeDuring = (tree: string, meanwhile: () => void): void => {
    const held = openTree(tree);
    try {
      for (const _step of removal(held.goTo(root), 'd', join(tree, 'd'), () => true)) meanwhile();
    } finally {
      held.close();
    }
  };

  /** The same, where something happens once, as soon as a directory has been emptied. */
  const removeWhere = (tree: string, emptied: string, happen: () => void): void => {
    let isOver = false;
    removeDuring(tree, () => {
      if (isOver || !isEmpty(join(tree, emptied))) return;
      isOver = true;
      happen();
    });
    assert.ok(isOver);
  };

  /** The error that removing `d` of a tree ends with, as nobody. */
  const failureAsNobody = (tree: string): Promise<NodeJS.ErrnoException | undefined> =>
    withoutRights(() => {
      const held = openTree(tree);
      try {
        remove(held.goTo(root), 'd', join(tree, 'd'));
        return undefined;
      } catch (error) {
        return error as NodeJS.ErrnoException;
      } finally {
        held.close();
      }
    });

  /** A tree of nobody's but for some of its entries, which are root's. */
  const partlyRoots = (shape: TreeShape, ...entries: string[]): string => {
    const tree = makeTree(shape);
    giveAway(tree);
    for (const entry of entries) chownSync(join(tree, entry), 0, 0);
    return tree;
  };

  for (const where of ['d', 'd/e']) {
    test(`what is put into ${where} after it was listed is removed, too, but not for ever`, () => {
      for (const most of [3, Number.POSITIVE_INFINITY]) {
        const tree = makeTree({ 'd/e/f': 0o600 });
        let puttings = 0;
        const act = () =>
          removeDuring(tree, () => {
            if (puttings === most || !isEmpty(join(tree, where))) return;
            puttings += 1;
            writeFileSync(join(tree, where, `late${puttings}`), '');
          });
        if (most === 3) {
          act();
          assert.is(puttings, 3);
          assert.equal(readdirSync(tree), []);
        } else {
          assert.throws(
            act,
            ({ code, path }: NodeJS.ErrnoException) => code === 'ENOTEMPTY' && path === join(tree, where),
          );
          assert.ok(puttings > 3 && puttings < 20, `${puttings}`);
        }
      }
    });

    test(`${where} that is moved away meanwhile is left where it is`, () => {
      const tree = makeTree({ 'd/e/f': 0o600 });
      removeWhere(tree, where, () => renameSync(join(tree, where), join(tree, 'moved')));
      assert.equal(readdirSync(tree), ['moved']);
    });
  }

  test('a link or file that takes the place of the emptied directory goes, too, and nothing that it leads to', () => {
    const outside = makeTree({ f: 0o600 });
    for (const put of [
      (path: string) => symlinkSync(outside, path),
      (path: string) => writeFileSync(path, ''),
    ]) {
      const tree = makeTree({ 'd/f': 0o600 });
      removeWhere(tree, 'd', () => {
        renameSync(join(tree, 'd'), join(tree, 'moved'));
        put(join(tree, 'd'));
      });
      assert.equal(readdirSync(tree), ['moved']);
    }
    assert.equal(readdirSync(outside), ['f']);
  });

  test('another directory that takes the place of the emptied one stays', () => {
    const tree = makeTree({ 'd/f': 0o600 });
    removeWhere(tree, 'd', () => {
      renameSync(join(tree, 'd'), join(tree, 'moved'));
      mkdirSync(join(tree, 'd'));
    });
    assert.equal(readdirSync(tree).sort(), ['d', 'moved']);
  });

  test('what is gone or another entry once it has been listed is no failure', () => {
    const outside = makeTree({ 'd/f': 0o600 });
    const shape: TreeShape = { 'd/a': 0o600, 'd/b': 0o600, 'd/x/f': 0o600, 'd/y/f': 0o600 };
    const put: Record<string, (path: string) => void> = {
      a: (path) => addToTree(path, { 'e/f': 0o600 }),
      b: (path) => addToTree(path, { 'e/f': 0o600 }),
      x: (path) => writeFileSync(path, ''),
      y: (path) => symlinkSync(join(outside, 'd'), path),
    };
    for (const isExchanged of [false, true]) {
      const tree = makeTree(shape);
      let steps = 0;
      removeDuring(tree, () => {
        steps += 1;
        // At the first step nothing is listed; at the second one entry has been met.
        if (steps !== 2) return;
        for (const name of readdirSync(join(tree, 'd'))) {
          rmSync(join(tree, 'd', name), { recursive: true });
          if (isExchanged) put[name]?.(join(tree, 'd', name));
        }
      });
      assert.equal(readdirSync(tree), []);
    }
    assert.equal(modesBelow(outside), { '.': '755', d: '755', 'd/f': '600' });
  });

  test('others have their turn where a slice is over, and nowhere else', () => {
    const depth = 20;
    const tree = makeTree({ [`${'d/'.repeat(depth)}`]: 0o700, 'e/f': 0o600 });
    const held = openTree(tree);
    const steps = (name: string, isOver: boolean) =>
      [...removal(held.goTo(root), name, join(tree, name), () => isOver)].length;
    assert.is(steps('e', false), 0);
    assert.ok(steps('d', true) >= 2 * depth, 'each directory is emptied, and removed');
    held.close();
    assert.equal(readdirSync(tree), []);
  });

  test('the first entry that could not be removed is told by its path, be it the directory itself', async () => {
    if (!canActAsRoot('to have what others may not remove')) return;
    for (const [shape, roots, path] of [
      [{ d: 0o600 }, ['.'], 'd'],
      [{ 'd/f': 0o600, 'd/': 0o700 }, ['d'], 'd'],
      [{ 'd/e/f': 0o600, 'd/e/': 0o700 }, ['d/e'], 'd/e'],
      [{ 'd/f': 0o600, 'd/e/f': 0o600 }, ['d', 'd/e'], 'd/f'],
    ] as const) {
      const tree = partlyRoots(shape, ...roots);
      const error = await failureAsNobody(tree);
      assert.equal([error?.code, error?.path], ['EACCES', join(tree, path)]);
    }
  });

  test("another's directory that may be written to is emptied as it is", async () => {
    if (!canActAsRoot('to have a directory of another')) return;
    const tree = partlyRoots({ 'd/e/f': 0o600, 'd/e/': 0o077 }, 'd/e');
    assert.is(await failureAsNobody(tree), undefined);
    assert.equal(readdirSync(tree), []);
  });

  if (backend !== 'native') {
    test('a directory is removed where listings do not tell the kinds of entries', () => {
      const tree = makeTree({ 'd/e/f': 0o600, 'd/f': 0o600 });
      const { readdirSync: original } = fs;
      const no = () => false;
      const untold = { isFile: no, isDirectory: no, isSymbolicLink: no };
      const read = (...parameters: unknown[]) =>
        (original as (...parameters: unknown[]) => Dirent[])(...parameters).map((entry) =>
          typeof entry === 'object' ? Object.assign(entry, untold) : entry,
        );
      Object.assign(fs, { readdirSync: read });
      syncBuiltinESMExports();
      try {
        removeDuring(tree, () => {});
      } finally {
        Object.assign(fs, { readdirSync: original });
        syncBuiltinESMExports();
      }
      assert.equal(readdirSync(tree), []);
    });
  }

  if (title !== 'anchored, working directory lent') {
    test('what is mounted stays, with everything in it, and the rest goes', async () => {
      if (!canMount) return console.log('  skipped: it takes root, unshare and mount on Linux');
      const shape = { 'd/m/': 0o755, 'd/n/f': 0o600, 'd/f': 0o600, 'm/': 0o755, 'f/f': 0o600 };
      const mounted = { code: 'ERR_PERMWALK_CROSS_DEVICE' };
      const tmpfs = 'for at in "$1/m" "$1/d/m"; do mount -t tmpfs none "$at"; : > "$at/f"; done';
      const elsewhere = makeTree({ f: 0o600 });
      const bind = `for at in "$1/m" "$1/d/m"; do mount --bind "${elsewhere}" "$at"; done`;
      // By path, what is mounted of the same device cannot be seen.
      for (const setUp of backend === 'path' ? [tmpfs] : [tmpfs, bind]) {
        const tree = makeTree(shape);
        const child = startScript(script, [backend, tree, 'd', 'm', 'f'], { root: tree, setUp });
        assert.equal(JSON.parse(await outputOf(child)), {
          failures: { d: { ...mounted, path: join(tree, 'd/m') }, m: { ...mounted, path: join(tree, 'm') } },
          left: ['d', 'd/m', 'd/m/f', 'm', 'm/f'],
        });
      }
      assert.equal(readdirSync(elsewhere), ['f']);
    });
  }

  test.run();
}
