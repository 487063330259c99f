import { type EntryStats, isSameEntry } from '../directory/entry-stats.ts';
import { errorCode } from '../directory/errors.ts';
import type { Tree } from '../directory/tree.ts';
import { traitsOf } from '../manifest/manifest.ts';
import type { Plan } from './plan.ts';
import { NO_SLOT, type Slots } from './slots.ts';

/** Directories of the way that are held open: names of one file mostly lie side by side. */
const MAX_OPEN = 4;

/**
 * Files that an archive links to by an absolute path. Most extractors take that for one below the root; some link the real file,
 * which a change would change. Such a file has more links than names in the tree.
 */
export class SharedFiles {
  readonly #plan: Plan;
  readonly #slots: Slots;
  readonly #tree: Tree | undefined;
  /** What was counted last for a file: its links, and the manifest's names that it has in the tree. */
  readonly #counted = new Map<string, { nlink: number; names: number }>();

  constructor(tree: Tree, plan: Plan, slots: Slots) {
    this.#plan = plan;
    this.#slots = slots;
    this.#tree = plan.hasAbsoluteHardLinks ? tree.fork(MAX_OPEN) : undefined;
  }

  /** Whether it is such a link. */
  mayBeOutside(slot: number): boolean {
    if (this.#tree === undefined || slot === NO_SLOT) return false;
    return traitsOf(this.#slots.facts(slot)).isAbsoluteHardLink === true;
  }

  /** How many links a file may have for it to be the tree's own; `Infinity` for what is no such link. */
  mostLinks(slot: number, file: EntryStats): number {
    if (!this.mayBeOutside(slot) || file.type !== 'file') return Number.POSITIVE_INFINITY;
    const { firstName } = traitsOf(this.#slots.facts(slot));
    const { nlink } = file;
    if (nlink === 1 || firstName === undefined) return 1;
    const key = `${file.dev}:${file.ino}`;
    let counted = this.#counted.get(key);
    if (counted === undefined || counted.nlink !== nlink) {
      counted = { nlink, names: this.#countNames(firstName, file) };
      this.#counted.set(key, counted);
    }
    return counted.names;
  }

  #countNames(firstName: string, file: EntryStats): number {
    const tree = this.#tree as Tree;
    tree.rewind();
    let names = 0;
    for (const slot of new Set(this.#plan.namesOfFile(firstName))) {
      const { place, name } = this.#slots.subject(slot);
      if (name === undefined) continue;
      try {
        const stats = tree.goTo(place).lstat(name);
        if (stats !== undefined && isSameEntry(stats, file)) names += 1;
      } catch (error) {
        // What cannot be looked at is no name that is known.
        if (errorCode(error) === undefined) throw error;
      }
    }
    return names;
  }
}
