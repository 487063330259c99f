import { Place } from '../directory/place.ts';
import type { Tree } from '../directory/tree.ts';
import { runInSlices, Slices } from '../slices.ts';

/** fsync every file and directory of a tree. */
export async function syncTree(tree: Tree, signal: AbortSignal | undefined): Promise<void> {
  const slices = new Slices();
  try {
    await runInSlices(syncSteps(tree, slices), slices, signal);
  } finally {
    tree.rewind();
  }
}

function* syncSteps(tree: Tree, slices: Slices): Generator<void> {
  const places = [new Place(undefined, '.')];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    const directory = tree.goTo(place);
    directory.sync('.');
    const listing = directory.list();
    while (listing.next()) {
      const { name, type } = listing;
      if (type === 'directory') places.push(new Place(place, name));
      else if (type === 'file') directory.sync(name);
      if (slices.isOver()) yield;
    }
  }
}
