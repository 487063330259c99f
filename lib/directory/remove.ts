import type { Directory } from './directory.ts';
import { errorCode, located } from './errors.ts';
import { treeOf } from './open.ts';
import { Place } from './place.ts';

const OWNER_ALL = 0o700;

/**
 * Remove an entry of a held directory with everything below it. Each directory is opened without following a link, and its
 * entries are removed by name, so nothing outside can be reached, whoever renames meanwhile. A directory of ours that lacks w or x is
 * opened up first. What is gone already is no error.
 *
 * @throws the system's error for the first entry that cannot be removed
 */
export function remove(parent: Directory, name: string): void {
  const found = parent.lstat(name);
  if (found === undefined) return;
  if (found.type !== 'directory') return gone(() => parent.unlink(name));
  let directory: Directory;
  try {
    directory = parent.openDirectory(name);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  empty(directory, name);
  gone(() => parent.removeDirectory(name));
}

/** Remove everything in a directory, which is closed then. */
export function empty(top: Directory, path = '.'): void {
  const tree = treeOf(path, top);
  const stack: { place: Place; isListed: boolean }[] = [
    { place: new Place(undefined, '.'), isListed: false },
  ];
  try {
    for (let next = stack.at(-1); next !== undefined; next = stack.at(-1)) {
      const { place } = next;
      if (next.isListed) {
        stack.pop();
        const { parent } = place;
        if (parent !== undefined) gone(() => tree.goTo(parent).removeDirectory(place.name));
        continue;
      }
      next.isListed = true;
      for (const name of removeFiles(tree.goTo(place), place)) {
        stack.push({ place: new Place(place, name), isListed: false });
      }
    }
  } finally {
    tree.close();
  }
}

/** Remove what is no directory in a directory; the names of those that are. */
function removeFiles(directory: Directory, place: Place): string[] {
  const { mode, uid } = directory.opened;
  if ((mode & OWNER_ALL) !== OWNER_ALL && uid === process.geteuid?.()) {
    directory.chmod('.', (found) => (found.mode & 0o7777) | OWNER_ALL);
  }
  const directories: string[] = [];
  try {
    const listing = directory.list();
    while (listing.next()) {
      const { name, type } = listing;
      if (type === 'directory') directories.push(name);
      else gone(() => directory.unlink(name));
    }
  } catch (error) {
    throw located(error, place.path);
  }
  return directories;
}

/** Do it, unless somebody has already. */
function gone(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
