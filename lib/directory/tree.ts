import type { Directory } from './directory.ts';
import type { EntryStats } from './entry-stats.ts';
import { located } from './errors.ts';
import { type FoldName, foldingOf } from './folding.ts';
import { Place } from './place.ts';

/** Directories held open: enough for most trees, few enough for a descriptor limit of 64. */
const MAX_OPEN = 24;

/** One directory on the way from the root to where the work is. */
interface Link {
  readonly place: Place;
  /** Closed to save descriptors where `isOpen` is false: what it was is remembered, to know it again. */
  directory: Directory;
  isOpen: boolean;
}

/**
 * A tree held open: its root, and the chain of held directories down to where the work is. A bounded number of them is open,
 * however deep the tree.
 */
export class Tree {
  /** Real path of the root. */
  readonly path: string;
  /** Directory in which the root lies until it is moved elsewhere: a link that leads there will dangle. */
  readonly temporaryPath: string | undefined;
  readonly #rootDirectory: Directory;
  readonly #chain: Link[];
  readonly #mostOpen: number;
  readonly #forks: Tree[] = [];
  readonly #close: () => void;

  /** @param close lets go of the root, and of what else the tree holds */
  constructor(
    path: string,
    directory: Directory,
    close: () => void,
    { mostOpen = MAX_OPEN, temporaryPath }: { mostOpen?: number; temporaryPath?: string | undefined } = {},
  ) {
    this.path = path;
    this.temporaryPath = temporaryPath;
    this.#rootDirectory = directory;
    this.#chain = [{ place: new Place(undefined, '.'), directory, isOpen: true }];
    this.#mostOpen = mostOpen;
    this.#close = close;
  }

  /** How it was held so far: a tree that proves large goes natively from then on. */
  get backend(): Directory['backend'] {
    return this.#rootDirectory.backend;
  }

  /**
   * Hold a directory of the tree: up to what both ways have in common, then down, one name at a time.
   *
   * @throws the system's error or UnsafePathError, with the path of the directory that is at fault
   */
  goTo(place: Place): Directory {
    const chain = this.#chain;
    const way: Place[] = [];
    let known = place;
    while (known.parent !== undefined && chain[known.depth]?.place !== known) {
      way.push(known);
      known = known.parent;
    }
    const kept = known.parent === undefined ? this.#sharedWith(way) : known.depth;
    while (chain.length - 1 > kept) this.#leave();
    // Where the way back was gone, the chain begins anew at the root.
    for (; known.parent !== undefined && known.depth >= chain.length; known = known.parent) way.push(known);
    let { directory } = chain[chain.length - 1] as Link;
    for (let depth = chain.length; depth <= place.depth; depth += 1) {
      directory = this.#enter(way[place.depth - depth] as Place);
    }
    return directory;
  }

  /** Whether a directory is on the way to where the work is. */
  isHeld(place: Place): boolean {
    return this.#chain[place.depth]?.place === place;
  }

  /** The directory and its facts now: they were looked at when it was opened, which may have been just now. */
  enter(place: Place): { directory: Directory; stats: EntryStats } {
    const isKnown = this.isHeld(place) || place.parent === undefined;
    const directory = this.goTo(place);
    return { directory, stats: isKnown ? directory.stats() : directory.opened };
  }

  /** How names are compared below the root; `undefined` where each spelling is a name of its own. Asks the disk. */
  folding(): FoldName | undefined {
    return foldingOf(this.#rootDirectory);
  }

  /** Facts of the root itself. */
  rootStats(): EntryStats {
    return this.#rootDirectory.stats();
  }

  /** A second chain through the same tree, with a few descriptors of its own, which goes with it. */
  fork(mostOpen: number): Tree {
    const fork = new Tree(this.path, this.#rootDirectory, () => {}, { mostOpen });
    this.#forks.push(fork);
    return fork;
  }

  /** Forget the directories on the way to the last place, so that the next call finds them anew from the root. */
  rewind(): void {
    for (const { directory, isOpen } of this.#chain.splice(1)) if (isOpen) directory.close();
  }

  /** Let go of every descriptor. */
  close(): void {
    for (const fork of this.#forks) fork.rewind();
    this.rewind();
    this.#close();
  }

  get #current(): Link {
    return this.#chain[this.#chain.length - 1] as Link;
  }

  /** How deep a way from the root, its last place first, is that of the chain, by names: places may have been made anew. */
  #sharedWith(way: readonly Place[]): number {
    let shared = 0;
    while (shared < way.length && this.#chain[shared + 1]?.place.name === way[way.length - 1 - shared]?.name)
      shared += 1;
    return shared;
  }

  #enter(place: Place): Directory {
    let directory: Directory;
    try {
      directory = this.#current.directory.openDirectory(place.name);
    } catch (error) {
      throw located(error, place.path);
    }
    this.#chain.push({ place, directory, isOpen: true });
    this.#spare();
    return directory;
  }

  /**
   * Leave the last directory of the chain. If its parent was closed, it is opened again by `..`. If that is another directory by now,
   * the chain begins again at the root, because the next request may be elsewhere.
   */
  #leave(): void {
    const last = this.#chain.pop() as Link;
    const current = this.#current;
    if (!current.isOpen) {
      const directory = last.directory.openParent(current.directory);
      if (directory === undefined) this.rewind();
      else Object.assign(current, { directory, isOpen: true });
    }
    last.directory.close();
  }

  /** Keep the number of open directories bounded. */
  #spare(): void {
    const spared = this.#chain[this.#chain.length - this.#mostOpen];
    if (spared === undefined || spared === this.#chain[0] || !spared.isOpen) return;
    spared.directory.close();
    spared.isOpen = false;
  }
}
