import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openTree } from '../lib/directory/open.ts';
import { Place } from '../lib/directory/place.ts';
import type { Tree } from '../lib/directory/tree.ts';
import { exploreBelow, walk } from '../lib/pass/walk.ts';
import { pause, runAtOnce, runInSlices, Slices } from '../lib/slices.ts';
import { makeTree, tempDirectory } from './helpers/tree.ts';

/** Slices that are always over, or never. */
class Hurried extends Slices {
  override isOver(): boolean {
    return true;
  }
}
class Calm extends Slices {
  override isOver(): boolean {
    return false;
  }
}

const root = new Place(undefined, '.');

/** Directories and other entries of a directory. */
function listed(tree: Tree, place: Place): { directories: Place[]; others: string[] } {
  const listing = tree.goTo(place).list();
  const directories: Place[] = [];
  const others: string[] = [];
  while (listing.next()) {
    if (listing.type === 'directory') directories.push(new Place(place, listing.name));
    else others.push(place.pathOf(listing.name));
  }
  return { directories, others };
}

interface Walking {
  start?: Place;
  slices?: Slices;
  descend?: (path: string) => boolean;
}

/** A walk over a tree, with what it met in its order. */
async function walked(
  path: string,
  { start = root, slices = new Slices(), descend }: Walking = {},
): Promise<string[]> {
  const tree = openTree(path);
  const met: string[] = [];
  function* explore(place: Place): Generator<void, Place[]> {
    met.push(`${place.path}/`);
    yield;
    const { directories, others } = listed(tree, place);
    met.push(...others);
    return directories.filter((below) => descend?.(below.path) ?? true);
  }
  try {
    await walk(start, (place) => runInSlices(exploreBelow(place, explore, slices), slices));
  } finally {
    tree.close();
  }
  return met;
}

const walking = suite('walk');

// These are readdirp's own members, replaced by ours: a version that calls others must fail here.
for (const [how, slices] of [
  ['one directory a step', new Hurried()],
  ['everything in one step', new Calm()],
] as const) {
  walking(`meets everything once, directories before their entries, links as links (${how})`, async () => {
    const outside = makeTree({ 'never/f': 0o600 });
    const tree = makeTree({ 'a/b/f': 0o600, 'a/g': 0o600, 'c/h': 0o600, link: '-> a', out: `-> ${outside}` });
    const met = await walked(tree, { slices });
    assert.equal([...met].sort(), ['./', 'a/', 'a/b/', 'a/b/f', 'a/g', 'c/', 'c/h', 'link', 'out']);
    const position = (path: string) => met.indexOf(path);
    assert.ok(position('a/') < position('a/b/') && position('a/b/') < position('a/b/f'));
    assert.ok(position('a/') < position('a/g'));
  });

  walking(`lists each directory only when it gets there (${how})`, async () => {
    const path = makeTree({ 'a/f': 0o600, 'b/': 0o700 });
    const met: string[] = [];
    const tree = openTree(path);
    function* explore(place: Place): Generator<void, Place[]> {
      met.push(`list ${place.path}`);
      yield;
      const { directories, others } = listed(tree, place);
      met.push(...others);
      // What is made in a directory that was found and not yet listed is met.
      for (const name of ['a', 'b']) {
        if (!met.includes(`list ${name}`)) writeFileSync(join(path, name, 'late'), '');
      }
      return directories;
    }
    await walk(root, (place) => runInSlices(exploreBelow(place, explore, slices), slices));
    tree.close();
    assert.ok(met.includes('a/late') && met.includes('b/late'), met.join());
  });

  walking(`begins below the root and leaves out what it is told to (${how})`, async () => {
    const tree = makeTree({ 'a/b/f': 0o600, 'a/c/g': 0o600, 'x/y': 0o600 });
    const start = new Place(root, 'a');
    assert.equal((await walked(tree, { start, slices })).sort(), ['a/', 'a/b/', 'a/b/f', 'a/c/', 'a/c/g']);
    const descend = (path: string) => path !== 'a';
    assert.equal((await walked(tree, { descend, slices })).sort(), ['./', 'x/', 'x/y']);
  });
}

walking('rejects with the very thing that the exploration throws, at once or later', async () => {
  for (const thrown of [new Error('no'), 'no', undefined, null]) {
    const fail = () => {
      throw thrown;
    };
    for (const explore of [
      () => Promise.reject(thrown),
      async () => fail(),
      fail,
      (place: Place) => (place === root ? Promise.resolve([new Place(root, 'a')]) : Promise.reject(thrown)),
    ]) {
      let caught: unknown = 'nothing';
      await walk(root, explore).catch((error: unknown) => {
        caught = error;
      });
      assert.is(caught, thrown);
    }
  }
});

walking('meets nothing more once it has rejected', async () => {
  const path = makeTree({ 'a/f': 0o600, 'b/f': 0o600, 'c/f': 0o600 });
  const tree = openTree(path);
  const entered: string[] = [];
  const explore = async (place: Place) => {
    entered.push(place.path);
    if (place !== root) throw new Error('enough');
    return listed(tree, place).directories;
  };
  const rejection = await walk(root, explore).catch((error: Error) => error.message);
  assert.is(rejection, 'enough');
  // Long enough for one that went on: a whole other walk.
  await walked(path, { slices: new Hurried() });
  tree.close();
  assert.is(entered.length, 2, entered.join());
});

walking('a step goes down depth first until the slice is over, and hands on what is left', () => {
  const path = makeTree({ 'a/b/c/f': 0o600, 'a/d/': 0o700, 'e/f': 0o600 });
  const tree = openTree(path);
  const step = (slices: Slices) => {
    const met: string[] = [];
    function* explore(place: Place): Generator<void, Place[]> {
      met.push(place.path);
      yield;
      return listed(tree, place).directories.sort((one, other) => (one.name < other.name ? 1 : -1));
    }
    const left = runAtOnce(exploreBelow(root, explore, slices)).map((place) => place.path);
    return { met, left };
  };
  assert.equal(step(new Calm()), { met: ['.', 'a', 'a/b', 'a/b/c', 'a/d', 'e'], left: [] });
  assert.equal(step(new Hurried()), { met: ['.'], left: ['e', 'a'] });
  const twice = new (class extends Slices {
    #asked = 0;
    override isOver(): boolean {
      this.#asked += 1;
      return this.#asked === 2;
    }
  })();
  assert.equal(step(twice), { met: ['.', 'a'], left: ['e', 'a/d', 'a/b'] });
  tree.close();
});

walking('a step explores one directory at least, however short the slice', async () => {
  const path = makeTree({ 'a/b/f': 0o600, 'c/': 0o700 });
  assert.equal((await walked(path, { slices: new Hurried() })).sort(), ['./', 'a/', 'a/b/', 'a/b/f', 'c/']);
});

walking('does not explore a directory before it is its turn', async () => {
  const log: string[] = [];
  const explore = async (place: Place) => {
    log.push(`begin ${place.path}`);
    await new Promise((resolve) => setImmediate(resolve));
    log.push(`end ${place.path}`);
    return place === root ? ['a', 'b', 'c'].map((name) => new Place(root, name)) : [];
  };
  await walk(root, explore);
  const begun = log.filter((what) => what.startsWith('begin'));
  assert.is(begun.length, 4);
  for (const [index, what] of log.entries()) {
    assert.is(what.startsWith('begin'), index % 2 === 0, log.join());
    if (index % 2 === 1) assert.is(what, log[index - 1]?.replace('begin', 'end'));
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
  const path = tempDirectory();
  for (let index = 0; index < 300; index += 1) mkdirSync(join(path, `d${index}`));
  const tree = openTree(path);
  await walk(root, async (place) => {
    const { directories } = listed(tree, place);
    if (place !== root) rmdirSync(join(path, place.path));
    return directories;
  });
  tree.close();
  assert.equal(readdirSync(path), []);
});

walking('goes 10,000 directories deep, in steps or in one', async () => {
  const DEPTH = 10_000;
  for (const slices of [new Hurried(), new Calm()]) {
    let deepest = 0;
    function* explore(place: Place): Generator<void, Place[]> {
      deepest = place.depth;
      yield;
      return place.depth < DEPTH ? [new Place(place, 'd')] : [];
    }
    await walk(root, (place) => Promise.resolve(runAtOnce(exploreBelow(place, explore, slices))));
    assert.is(deepest, DEPTH);
  }
});

walking.run();

const slicing = suite('slices');

function* counting(to: number, done: number[] = []): Generator<void, number> {
  for (let count = 1; count <= to; count += 1) {
    done.push(count);
    yield;
  }
  return to;
}

slicing('work in one go is done when it returns, and throws what it throws', () => {
  const done: number[] = [];
  assert.is(runAtOnce(counting(3, done)), 3);
  assert.equal(done, [1, 2, 3]);
  const thrown = new Error('no');
  const failing = (function* (): Generator<void> {
    yield;
    throw thrown;
  })();
  assert.throws(
    () => runAtOnce(failing),
    (error: unknown) => error === thrown,
  );
});

slicing('the event loop has its turn after each slice, and the caller is told before', async () => {
  const log: string[] = [];
  const work = (function* (): Generator<void, string> {
    for (const slice of ['one', 'two', 'three']) {
      log.push(slice);
      setImmediate(() => log.push('turn'));
      yield;
    }
    return 'done';
  })();
  const slices = new Slices();
  assert.is(await runInSlices(work, slices, undefined, () => log.push('told')), 'done');
  assert.equal(log, ['one', 'told', 'turn', 'two', 'told', 'turn', 'three', 'told', 'turn']);
});

slicing('a slice is over some time after it began, and a new one begins with the next', async () => {
  const slices = new Slices();
  let questions = 0;
  while (!slices.isOver()) questions += 1;
  assert.ok(questions >= 7, 'the clock is not asked each time');
  slices.begin();
  assert.not(slices.isOver());
  while (!slices.isOver());
  await pause(slices, undefined);
  assert.not(slices.isOver());
});

slicing('an abort ends the work with its reason, whatever that is', async () => {
  for (const reason of [new Error('enough'), 'enough', null]) {
    const controller = new AbortController();
    const done: number[] = [];
    const work = runInSlices(counting(100, done), new Slices(), controller.signal, () => {
      if (done.length === 3) controller.abort(reason);
    });
    let caught: unknown = 'nothing';
    await work.catch((error: unknown) => {
      caught = error;
    });
    assert.is(caught, reason);
    assert.is(done.length, 3);
  }
});

slicing('what the work or the caller throws ends it', async () => {
  for (const thrown of [new Error('no'), undefined]) {
    const failing = (function* (): Generator<void> {
      yield;
      throw thrown;
    })();
    const onPause = () => {
      throw thrown;
    };
    for (const work of [
      () => runInSlices(failing, new Slices()),
      () => runInSlices(counting(3), new Slices(), undefined, onPause),
    ]) {
      let caught: unknown = 'nothing';
      await work().catch((error: unknown) => {
        caught = error;
      });
      assert.is(caught, thrown);
    }
  }
});

slicing.run();
