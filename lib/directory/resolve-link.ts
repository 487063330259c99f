import { basename } from 'node:path';
import { errorCode } from './errors.ts';
import { namesOfPath, readTarget, splitTarget } from './link-target.ts';
import { Place } from './place.ts';
import type { Tree } from './tree.ts';

/** As many links as Linux follows before it says ELOOP (path_resolution(7)). */
const MAX_LINKS = 40;
/** As many names as a path of PATH_MAX can have. Forty links, one after the other, could have forty times as many. */
const MAX_NAMES = 2048;
/** Looks that all links of a pass may take together: these, and so many for each link. */
const FREE_LOOKS = 200_000;
const LOOKS_PER_LINK = 64;
/** Directories of the way that are held open: the next link mostly leads the same way. */
const MAX_OPEN = 8;

/** Where a link leads, found without leaving the root. */
export type LinkResolution =
  | { kind: 'inside' }
  /** @property missing the path that would have to be there */
  | { kind: 'dangling'; missing: string }
  | { kind: 'outside' }
  /** A directory on the way may not be searched, or the text means one thing or another (Windows). */
  | { kind: 'unknown' }
  /** It goes through too many links, or names. */
  | { kind: 'loop' };

/** True where a link names a directory that only its unguessable name leads to, by whatever way. */
export function leadsBelow(path: string, target: string): boolean {
  return splitTarget(target).includes(basename(path));
}

/** Text of a link that a file is taken for, by its name in a directory. */
export type Pretended = (place: Place, name: string) => string | undefined;

/**
 * Follows links by looking at one name after the other in directories that are held. `..` above the root is outside; an absolute
 * target is outside unless it names the root or something below it. Nothing outside is looked at.
 */
export class LinkResolver {
  readonly #tree: Tree;
  readonly #rootNames: readonly string[];
  readonly #pretended: Pretended;
  /** Places that were made for names on the way, so that the same way has the same places. */
  readonly #below = new WeakMap<Place, Map<string, Place>>();
  #looks = FREE_LOOKS;

  /**
   * @param tree a chain of its own: it stays where the last link led
   * @param pretended asked for files only
   */
  constructor(tree: Tree, pretended: Pretended = () => undefined) {
    this.#pretended = pretended;
    this.#tree = tree.fork(MAX_OPEN);
    this.#rootNames = namesOfPath(tree.path);
  }

  /** Forget the directories on the way to the last target. */
  rewind(): void {
    this.#tree.rewind();
  }

  /**
   * Follow a link. Yields after each step that took a system call.
   *
   * @param place directory that the link is in
   * @param target its text
   */
  *resolve(place: Place, target: string): Generator<void, LinkResolution> {
    this.#looks += LOOKS_PER_LINK;
    const steps = new Steps(place, this.#rootNames);
    const elsewhere = steps.follow(target);
    if (elsewhere !== undefined) return { kind: elsewhere };
    let links = 1;
    for (let names = 0; steps.hasMore(); ) {
      const name = steps.next();
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (!steps.up()) return { kind: 'outside' };
        continue;
      }
      names += 1;
      if (names > MAX_NAMES) return { kind: 'loop' };
      const below = this.#placeBelow(steps.at, name);
      if (steps.hasMore() && this.#tree.isHeld(below)) {
        steps.at = below;
        continue;
      }
      this.#looks -= 1;
      if (this.#looks < 0) return { kind: 'loop' };
      yield;
      const found = this.#look(steps.at, name);
      if (found === 'unsearchable') return { kind: 'unknown' };
      if (found?.linkTarget !== undefined) {
        links += 1;
        if (links > MAX_LINKS) return { kind: 'loop' };
        const led = steps.follow(found.linkTarget);
        if (led !== undefined) return { kind: led };
      } else if (found === undefined || (steps.hasMore() && !found.isDirectory)) {
        return steps.dangling(name);
      } else {
        steps.at = below;
      }
    }
    return { kind: 'inside' };
  }

  #placeBelow(place: Place, name: string): Place {
    let names = this.#below.get(place);
    if (names === undefined) {
      names = new Map();
      this.#below.set(place, names);
    }
    const known = names.get(name) ?? new Place(place, name);
    names.set(name, known);
    return known;
  }

  /** What an entry is; `undefined` where there is none, or a file is on the way. */
  #look(
    place: Place,
    name: string,
  ): { linkTarget?: string | undefined; isDirectory: boolean } | 'unsearchable' | undefined {
    try {
      const directory = this.#tree.goTo(place);
      const found = directory.lstat(name);
      if (found === undefined || found.type === 'directory') return found && { isDirectory: true };
      const linkTarget = found.type === 'symlink' ? directory.readlink(name) : this.#pretended(place, name);
      return { linkTarget, isDirectory: false };
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      if (code === 'EACCES') return 'unsearchable';
      throw error;
    }
  }
}

/** Where the resolution stands: a directory of the tree, and the names still to go. */
class Steps {
  at: Place;
  readonly #rootNames: readonly string[];
  /** Names still to go, the next one last. */
  readonly #rest: string[] = [];

  constructor(place: Place, rootNames: readonly string[]) {
    this.at = place;
    this.#rootNames = rootNames;
  }

  hasMore(): boolean {
    return this.#rest.length > 0;
  }

  next(): string {
    return this.#rest.pop() as string;
  }

  /** One up; false where that leaves the root. */
  up(): boolean {
    if (this.at.parent === undefined) return false;
    this.at = this.at.parent;
    return true;
  }

  /** Put a link's text before what is still to go, or say where it leads instead. */
  follow(target: string): 'outside' | 'unknown' | undefined {
    const read = readTarget(target, this.#rootNames);
    if (typeof read === 'string') return read;
    if (read.from === 'root') while (this.up());
    this.#rest.push(...read.names.toReversed());
    return undefined;
  }

  /** The path that would have to be there, taking what is left of the target as it is written. */
  dangling(name: string): LinkResolution {
    const missing = this.at.parent === undefined ? [] : this.at.path.split('/');
    missing.push(name);
    while (this.hasMore()) {
      const component = this.next();
      if (component === '' || component === '.') continue;
      if (component !== '..') missing.push(component);
      else if (missing.pop() === undefined) return { kind: 'outside' };
    }
    return { kind: 'dangling', missing: missing.length === 0 ? '.' : missing.join('/') };
  }
}
