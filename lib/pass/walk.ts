import type { Place } from '../directory/place.ts';
import type { Slices } from '../slices.ts';

/** Deals with one directory, and gives those in it that are to be gone into. */
export type Explore = (place: Place) => Generator<void, Place[]>;

/** Go down from a directory, depth first, for about a slice; what is left is to be gone into by whoever drives the walk. */
export function* exploreBelow(place: Place, explore: Explore, slices: Slices): Generator<void, Place[]> {
  const left = [place];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    for (const below of yield* explore(next)) left.push(below);
    if (slices.isOver()) break;
  }
  return left;
}

/**
 * Explore a directory and everything below it, directories before their entries. Most trees are explored before the first slice
 * is over: readdirp is loaded for the others.
 *
 * Rejects with whatever `explore` rejects with; the stream is destroyed then.
 */
export async function walk(start: Place, explore: (place: Place) => Promise<Place[]>): Promise<void> {
  const left = await explore(start);
  if (left.length === 0) return;
  const { TreeStream } = await import('./tree-stream.ts');
  const goOn = async (place: Place) => (place === start ? left : explore(place));
  await new Promise<void>((resolve, reject) => {
    const stop = (error: unknown) => {
      reject(error);
      stream.destroy();
    };
    const stream = new TreeStream(start, goOn, stop);
    // Nothing of ours is only warned about: what cannot be listed has been reported by the pass.
    stream.on('warn', stop);
    stream.on('error', reject);
    stream.on('end', resolve);
    stream.resume();
  });
}
