import type { ChmodResult, Directory, Listing, OpenFile } from '../../lib/directory/directory.ts';
import type { EntryStats } from '../../lib/directory/entry-stats.ts';
import { located } from '../../lib/directory/errors.ts';
import { nameOf, parentOf } from '../../lib/directory/names.ts';
import { Place } from '../../lib/directory/place.ts';
import type { Tree } from '../../lib/directory/tree.ts';
import type { EntryType } from '../../lib/errors.ts';

/** One entry of a listing. */
export interface Listed {
  name: string;
  type: EntryType;
}

/** A tree whose entries are named by their paths below the root: what specs say is easier to read so. */
export interface PathTree {
  readonly tree: Tree;
  readonly backend: Tree['backend'];
  readonly path: string;
  list(directory: string, most?: number): Listed[];
  lstat(path: string): EntryStats | undefined;
  enter(directory: string): EntryStats;
  readlink(path: string): string;
  read(path: string, maxBytes: number): Uint8Array;
  sync(path: string): void;
  chmod(path: string, decide: (found: EntryStats) => number | undefined): ChmodResult;
  isMountPoint(path: string, found: EntryStats): boolean;
  /** The place of a directory: the same for the same path. */
  place(directory: string): Place;
  rewind(): void;
  close(): void;
}

/** Everything that a listing says. */
export function entriesOf(listing: Listing): Listed[] {
  const entries: Listed[] = [];
  while (listing.next()) entries.push({ name: listing.name, type: listing.type });
  return entries;
}

/** Go by path through a tree that is held. */
export function byPath(tree: Tree): PathTree {
  const places = new Map<string, Place>([['.', new Place(undefined, '.')]]);
  const place = (path: string): Place => {
    const known = places.get(path);
    if (known !== undefined) return known;
    const made = new Place(place(parentOf(path)), nameOf(path));
    places.set(path, made);
    return made;
  };
  /** Do it to an entry by its name in its directory; errors name the path. */
  const at = <T>(path: string, act: (directory: Directory, name: string) => T): T => {
    try {
      if (path === '.') return act(tree.goTo(place('.')), '.');
      return act(tree.goTo(place(parentOf(path))), nameOf(path));
    } catch (error) {
      throw located(error, path);
    }
  };
  const inside = <T>(path: string, act: (directory: Directory) => T): T => {
    try {
      return act(tree.goTo(place(path)));
    } catch (error) {
      throw located(error, path);
    }
  };
  return {
    tree,
    backend: tree.backend,
    path: tree.path,
    place,
    list: (path, most) => inside(path, (directory) => entriesOf(directory.list(most))),
    lstat: (path) =>
      at(path, (directory, name) => (name === '.' ? directory.stats() : directory.lstat(name))),
    enter: (path) => {
      try {
        return tree.enter(place(path)).stats;
      } catch (error) {
        throw located(error, path);
      }
    },
    readlink: (path) => at(path, (directory, name) => directory.readlink(name)),
    read: (path, maxBytes) =>
      at(path, (directory, name) => {
        const file = directory.open(name);
        try {
          return file.read(maxBytes);
        } finally {
          file.close();
        }
      }),
    sync: (path) => at(path, (directory, name) => directory.sync(name)),
    chmod: (path, decide) => at(path, (directory, name) => directory.chmod(name, decide)),
    isMountPoint: (path, found) => at(path, (directory, name) => directory.isMountPoint(name, found)),
    rewind: () => tree.rewind(),
    close: () => tree.close(),
  };
}

/** Have something else done where the pass opens a file of a tree to read it. */
export function whenReading(tree: Tree, open: (path: string, original: () => OpenFile) => OpenFile): Tree {
  const goTo = tree.goTo.bind(tree);
  tree.goTo = (place) =>
    new Proxy(goTo(place), {
      get(directory, name) {
        if (name === 'open') {
          return (entry: string) => open(place.pathOf(entry), () => directory.open(entry));
        }
        const value = Reflect.get(directory, name, directory) as unknown;
        return typeof value === 'function' ? value.bind(directory) : value;
      },
    });
  return tree;
}
