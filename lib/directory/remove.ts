import { type Directory, type Listing, SELF } from './directory.ts';
import { type Identity, isSameEntry } from './entry-stats.ts';
import { crossDevice, crossDeviceCode, errorCode, located, UnsafePathError } from './errors.ts';
import { openTreeIn } from './open.ts';
import { Place } from './place.ts';
import type { Tree } from './tree.ts';

const OWNER_ALL = 0o700;
/** How often a directory is emptied again that somebody puts something in meanwhile. */
const MAX_TRIES = 8;

/** What keeps a removal from being whole; the first is thrown at its end. */
interface Failures {
  count: number;
  first?: unknown;
}

/** A directory on the way. */
interface Doomed {
  readonly place: Place;
  identity?: Identity;
  tries: number;
  isListed: boolean;
  /** How much had failed before it was listed. */
  failures: number;
}

/**
 * Remove an entry of a held directory with everything below it, in steps: yields when `isOver` says that a slice is over. Each
 * directory is opened without following a link, and its entries are removed by name, so nothing outside can be reached, whoever
 * renames meanwhile. No mount is entered. A directory of this user that lacks r, w or x gets them first. An entry that is already gone
 * is no error. An entry that cannot be removed stays, and the rest goes.
 *
 * @param path its real path, for errors
 * @throws the system's error, or UnsafePathError for a mount point, for the first entry that could not be removed
 */
export function* removal(
  parent: Directory,
  name: string,
  path: string,
  isOver: () => boolean,
): Generator<void> {
  const failures: Failures = { count: 0 };
  const where = () => path;
  for (let tries = 1; tries <= MAX_TRIES && failures.count === 0; tries += 1) {
    const found = parent.lstat(name);
    if (found === undefined) break;
    if (found.type !== 'directory') {
      attempt(failures, where, () => parent.unlink(name));
      break;
    }
    let tree: Tree | undefined;
    attempt(failures, where, () => {
      if (parent.isMountPoint(name, found)) throw crossDevice(name);
      tree = openTreeIn(parent, name, path);
    });
    if (tree === undefined) continue;
    let identity: Identity;
    try {
      identity = tree.rootStats();
      yield* empty(tree, failures, isOver);
    } finally {
      tree.close();
    }
    if (attempt(failures, where, () => removeEmpty(parent, name, identity), tries < MAX_TRIES)) break;
  }
  if (failures.count > 0) throw failures.first;
}

/** Empty the root of a tree. */
function* empty(tree: Tree, failures: Failures, isOver: () => boolean): Generator<void> {
  const stack: Doomed[] = [doomed(new Place(undefined, SELF))];
  for (let next = stack.at(-1); next !== undefined; next = stack.at(-1)) {
    if (isOver()) yield;
    const { place, isListed, identity } = next;
    const where = () => pathIn(tree, place);
    if (!isListed) {
      next.isListed = true;
      next.failures = failures.count;
      const names: string[] = [];
      let directory: Directory | undefined;
      attempt(failures, where, () => {
        directory = tree.goTo(place);
      });
      if (directory === undefined) continue;
      next.identity = directory.opened;
      yield* removeFiles(directory, where, names, failures, isOver);
      for (const name of names) stack.push(doomed(new Place(place, name)));
      continue;
    }
    stack.pop();
    const { parent } = place;
    // What holds something that could not be removed stays, too.
    if (parent === undefined || identity === undefined || failures.count > next.failures) continue;
    const act = () => removeEmpty(tree.goTo(parent), place.name, identity);
    if (!attempt(failures, where, act, next.tries < MAX_TRIES)) {
      stack.push({ ...next, tries: next.tries + 1, isListed: false });
    }
  }
}

function doomed(place: Place): Doomed {
  return { place, tries: 1, isListed: false, failures: 0 };
}

/** Remove what is no directory in a directory, and note the names of those that are. */
function* removeFiles(
  directory: Directory,
  where: () => string,
  directories: string[],
  failures: Failures,
  isOver: () => boolean,
): Generator<void> {
  let listing: Listing | undefined;
  attempt(failures, where, () => {
    const { opened } = directory;
    if (directory.isMountPoint(SELF, opened)) throw crossDevice(SELF);
    if ((opened.mode & OWNER_ALL) !== OWNER_ALL && opened.uid === process.geteuid?.()) {
      directory.chmod(SELF, ({ mode }) => mode | OWNER_ALL);
    }
    listing = directory.list();
  });
  while (listing?.next()) {
    const { name, type } = listing;
    if (type === 'directory') directories.push(name);
    else {
      attempt(
        failures,
        () => `${where()}/${name}`,
        () => {
          // Not every file system tells kinds when it lists, and another entry may have the name by now.
          if (type === 'other' && directory.lstat(name)?.type === 'directory') directories.push(name);
          else directory.unlink(name);
        },
      );
    }
    if (isOver()) yield;
  }
}

/** Remove a directory that was emptied, where it is still the one that has the name; a link or file in its place goes, too. */
function removeEmpty(parent: Directory, name: string, identity: Identity): void {
  const found = parent.lstat(name);
  if (found === undefined) return;
  if (found.type !== 'directory') parent.unlink(name);
  else if (isSameEntry(found, identity)) parent.removeDirectory(name);
}

/**
 * Do it, and note an error. If the entry is gone or was replaced by now, that is no error: a replacement shows when its directory
 * cannot be removed.
 *
 * @param mayBeFilled whether it is no failure that somebody has put something in it meanwhile
 * @returns whether there is nothing more to do: false where it has been filled
 */
function attempt(failures: Failures, where: () => string, act: () => void, mayBeFilled = false): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (isAnother(error)) return true;
    if (mayBeFilled && ['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) return false;
    if (failures.count === 0) failures.first = located(error, where());
    failures.count += 1;
    return true;
  }
}

/** True for an error that says that an entry is gone, or that another one has its name. */
function isAnother(error: unknown): boolean {
  if (error instanceof UnsafePathError) return error.code !== crossDeviceCode;
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errorCode(error) ?? '');
}

function pathIn(tree: Tree, place: Place): string {
  return place.parent === undefined ? tree.path : `${tree.path}/${place.path}`;
}

/** Remove an empty directory by its name, if the name still leads to it. */
export function removeNamed(parent: Directory, name: string, identity: Identity): void {
  const found = parent.lstat(name);
  if (found === undefined || !isSameEntry(found, identity)) return;
  try {
    parent.removeDirectory(name);
  } catch (error) {
    // Another process was faster.
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
