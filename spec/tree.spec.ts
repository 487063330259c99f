/** The way through a tree: which directories are opened, closed and found again. They are made up here, and count. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory } from '../lib/directory/directory.ts';
import type { EntryStats } from '../lib/directory/entry-stats.ts';
import { Place } from '../lib/directory/place.ts';
import { Tree } from '../lib/directory/tree.ts';

const test = suite('tree');

/** Directories that are there under any name. */
class Disk {
  readonly open = new Set<string>();
  opened = 0;
  foundAgain = 0;
  looks = 0;
  /** Whether no directory knows its parent any more. */
  isMoved = false;

  directory(path: string): Directory {
    assert.not.ok(this.open.has(path), `${path} is open already`);
    this.open.add(path);
    return Object.assign(Object.create(null) as Directory, {
      path,
      opened: { mode: 0o700 } as EntryStats,
      stats: () => {
        assert.ok(this.open.has(path), `${path} is closed`);
        this.looks += 1;
        return { mode: 0o755 } as EntryStats;
      },
      openDirectory: (name: string) => {
        assert.ok(this.open.has(path), `${path} is closed`);
        this.opened += 1;
        return this.directory(`${path}/${name}`);
      },
      openParent: (known: { path: string }) => {
        assert.ok(this.open.has(path), `${path} is closed`);
        assert.is(`${known.path}/`, path.slice(0, path.lastIndexOf('/') + 1));
        this.foundAgain += 1;
        return this.isMoved ? undefined : this.directory(known.path);
      },
      close: () => assert.ok(this.open.delete(path), `${path} is closed twice`),
    });
  }
}

function make(mostOpen?: number): { disk: Disk; tree: Tree; root: Place } {
  const disk = new Disk();
  const directory = disk.directory('');
  const tree = new Tree(
    '/tree',
    directory,
    () => directory.close(),
    mostOpen === undefined ? {} : { mostOpen },
  );
  return { disk, tree, root: new Place(undefined, '.') };
}

const pathOf = (directory: Directory) => (directory as Directory & { path: string }).path;
/** The place of a path: made anew, or the same as for the same path before. */
const placeOf = (root: Place, names: readonly string[], known = new Map<string, Place>()) =>
  names.reduce((above, name) => {
    const path = above.pathOf(name);
    const place = known.get(path) ?? new Place(above, name);
    known.set(path, place);
    return place;
  }, root);
const paths = fc.array(fc.array(fc.constantFrom('a', 'b'), { maxLength: 6 }), { maxLength: 12 });

test('from one place to the next no more is opened than their ways differ in, whoever made the places', () => {
  const property = fc.property(paths, fc.boolean(), (all, isAnew) => {
    const { disk, tree, root } = make();
    const known = new Map<string, Place>();
    let before: readonly string[] = [];
    for (const names of all) {
      const path = names.map((name) => `/${name}`).join('');
      const place = isAnew ? placeOf(root, names) : placeOf(root, names, known);
      const differs = names.findIndex((name, index) => name !== before[index]);
      disk.opened = 0;
      assert.is(pathOf(tree.goTo(place)), path);
      assert.is(disk.opened, differs === -1 ? 0 : names.length - differs, `${before} to ${names}`);
      assert.is(disk.open.size, names.length + 1, 'what is left is closed');
      before = names;
    }
    tree.close();
    assert.is(disk.open.size, 0);
  });
  fc.assert(property);
});

test('no more than so many are open, and what is not found again from below is from the root', () => {
  const most = fc.integer({ min: 2, max: 4 });
  const property = fc.property(paths, most, fc.boolean(), fc.boolean(), (all, mostOpen, isMoved, isAnew) => {
    const { disk, tree, root } = make(mostOpen);
    const known = new Map<string, Place>();
    disk.isMoved = isMoved;
    for (const names of all) {
      const place = isAnew ? placeOf(root, names) : placeOf(root, names, known);
      assert.is(pathOf(tree.goTo(place)), names.map((name) => `/${name}`).join(''));
      assert.ok(disk.open.size <= mostOpen, `${[...disk.open]}`);
    }
    tree.close();
    assert.is(disk.open.size, 0);
  });
  fc.assert(property);
});

test('the lowest ones stay open, with the root; further up they are found from below', () => {
  const { disk, tree, root } = make(3);
  tree.goTo(placeOf(root, ['a', 'b', 'c', 'd']));
  assert.equal([...disk.open], ['', '/a/b/c', '/a/b/c/d']);
  tree.goTo(placeOf(root, ['a']));
  assert.equal([[...disk.open], disk.opened, disk.foundAgain], [['', '/a'], 4, 2]);
  tree.rewind();
  assert.equal([...disk.open], ['']);
});

test('what was opened just now is not looked at once more; what was open before is', () => {
  const { disk, tree, root } = make();
  const [a, b] = [placeOf(root, ['a']), placeOf(root, ['b'])];
  const modeOf = (place: Place) => tree.enter(place).stats.mode;
  assert.equal([modeOf(a), disk.looks], [0o700, 0]);
  assert.equal([modeOf(a), disk.looks], [0o755, 1]);
  assert.equal([modeOf(b), disk.looks], [0o700, 1]);
  assert.equal([modeOf(root), disk.looks], [0o755, 2]);
  assert.equal([modeOf(a), disk.looks], [0o700, 2]);
});

test.run();
