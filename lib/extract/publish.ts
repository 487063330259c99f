import { chmod, lstat, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Directory } from '../directory/directory.ts';
import { errorCode, symlinkInPath } from '../directory/errors.ts';
import { Place } from '../directory/place.ts';
import type { Tree } from '../directory/tree.ts';
import { runInSlices, Slices } from '../pass/slices.ts';
import type { HeldDirectory } from './held.ts';
import { exists, isTaken, PREVIOUS, putBack, removeInside, type Staging, TREE } from './staging.ts';

/** How often another process may publish its tree between our two renames. */
const MAX_COLLISIONS = 100;

/** What {@link publish} does if the destination exists. */
export type Existing = 'error' | 'keep' | 'replace';

/**
 * Rename a finished tree to the destination.
 *
 * With `'replace'`, the old tree is moved aside first, and put back if the next rename fails.
 *
 * @returns what was done; `undefined` if the destination exists and stays (`'error'`, `'keep'`)
 */
export async function publish(
  { held, tree }: Staging,
  destination: string,
  existing: Existing,
): Promise<'created' | 'replaced' | undefined> {
  for (let collisions = 0; ; collisions += 1) {
    // An extractor that is still running may have replaced its directory by a link, and others may have removed it.
    if (!(await lstat(held.inside(TREE))).isDirectory()) throw symlinkInPath(tree);
    const isReplacing = existing === 'replace' && (await moveAside(held, destination));
    // rename would replace an empty directory, which may belong to somebody.
    if (!isReplacing && (await exists(destination))) {
      if (existing !== 'replace') return undefined;
      continue;
    }
    try {
      await moveDirectory(held.inside(TREE), destination);
      return isReplacing || collisions > 0 ? 'replaced' : 'created';
    } catch (error) {
      await putBack(held, destination);
      if (!isTaken(error) || collisions >= MAX_COLLISIONS) throw error;
      if (existing !== 'replace') return undefined;
    }
  }
}

/** As {@link publish}, then fsync the parent. If the parent cannot be opened, nothing is moved. */
export async function publishDurably(
  staging: Staging,
  destination: string,
  existing: Existing,
): Promise<'created' | 'replaced' | undefined> {
  const parent = await open(dirname(destination), 'r');
  try {
    const outcome = await publish(staging, destination, existing);
    await parent.sync();
    return outcome;
  } finally {
    await parent.close();
  }
}

/** Move the old tree aside; false if there is none. An older one that was moved aside before is removed. */
async function moveAside(held: HeldDirectory, destination: string): Promise<boolean> {
  await removeInside(held, PREVIOUS);
  try {
    await moveDirectory(destination, held.inside(PREVIOUS));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Rename a directory. Its owner needs write permission on it, because its `..` changes (rename(2), EACCES). */
async function moveDirectory(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const stats = errorCode(error) === 'EACCES' ? await lstat(from) : undefined;
    if (!stats?.isDirectory() || (stats.mode & 0o200) !== 0) throw error;
    const mode = stats.mode & 0o7777;
    await chmod(from, mode | 0o200);
    try {
      await rename(from, to);
      await chmod(to, mode);
    } catch (failure) {
      await chmod(from, mode).catch(() => undefined);
      throw failure;
    }
  }
}

/** fsync every file and directory of a tree. */
export async function syncTree({ held }: Staging, signal: AbortSignal | undefined): Promise<void> {
  const tree = held.openTree(TREE);
  const slices = new Slices();
  try {
    await runInSlices(syncSteps(tree, slices), slices, signal);
  } finally {
    tree.close();
  }
}

function* syncSteps(tree: Tree, slices: Slices): Generator<void> {
  const places = [new Place(undefined, '.')];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    const directory: Directory = tree.goTo(place);
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
