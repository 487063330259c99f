import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory } from '../lib/directory/directory.ts';
import { errorCode } from '../lib/directory/errors.ts';
import { move } from '../lib/directory/move.ts';
import { Place } from '../lib/directory/place.ts';
import { allPasses } from './helpers/passes.ts';
import { canActAsRoot, giveAway, withoutRights } from './helpers/rights.ts';
import { canRunOn } from './helpers/runtime.ts';
import { makeTree, modeOf, type TreeShape } from './helpers/tree.ts';

const root = new Place(undefined, '.');
const canCount =
  existsSync('/proc/self/fd') && canRunOn(['node', 'bun'], 'it opens descriptors of its own at any time');
const openDescriptors = (): number => (canCount ? readdirSync('/proc/self/fd').length : 0);

for (const { title, openTree } of allPasses) {
  const test = suite(`move (${title})`);

  /** Have nobody do something with the directories `a` and `b` of a tree of nobody's, but for some entries that are root's. */
  const asNobody = (
    shape: TreeShape,
    act: (a: Directory, b: Directory) => void,
    ...roots: string[]
  ): Promise<string> => {
    const path = makeTree({ 'a/': 0o755, 'b/': 0o755, ...shape });
    giveAway(path);
    for (const entry of roots) chownSync(join(path, entry), 0, 0);
    return withoutRights(() => {
      const tree = openTree(path);
      const top = tree.goTo(root);
      const [a, b] = [top.openDirectory('a'), top.openDirectory('b')];
      try {
        act(a, b);
      } finally {
        for (const each of [a, b, tree]) each.close();
      }
      return path;
    });
  };

  const isCode = (code: string) => (error: unknown) => errorCode(error) === code;

  test('a file that may not be moved says so, and keeps its mode', async () => {
    const path = await asNobody({ 'a/f': 0o400, 'b/': 0o555 }, (a, b) =>
      assert.throws(() => move(a, 'f', b, 'f'), isCode('EACCES')),
    );
    assert.is(modeOf(path, 'a/f'), 0o400);
  });

  test('no mode is changed where w on the directory is not what is missing', async () => {
    if (!canActAsRoot('to have what others may not change')) return;
    // Who is not its owner may not change its mode, which would be another error.
    await asNobody(
      { 'a/d/f': 0o600, 'a/d/': 0o777, 'b/': 0o555 },
      (a, b) => assert.throws(() => move(a, 'd', b, 'd'), isCode('EACCES')),
      'a/d',
    );
    await asNobody(
      { 'a/d/': 0o555, 'a/e/f': 0o600 },
      (a) => assert.throws(() => move(a, 'd', a, 'e'), isCode('ENOTEMPTY')),
      'a/d',
    );
  });

  test('leaves no directory open, be it moved or not', async () => {
    await asNobody({ 'a/d/': 0o555, 'a/e/': 0o555, 'b/e/f': 0o600 }, (a, b) => {
      const before = openDescriptors();
      move(a, 'd', b, 'd');
      assert.throws(() => move(a, 'e', b, 'e'), isCode('ENOTEMPTY'));
      assert.is(openDescriptors(), before);
    });
  });

  test.run();
}
