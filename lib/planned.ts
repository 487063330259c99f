import type { ManifestEntry } from './manifest/manifest.ts';

/** One path that the pass has to come back to until it is dealt with. */
export class PlannedEntry implements Readonly<ManifestEntry> {
  /** What the manifest says of it. Not copied: a manifest may have a million. */
  facts: ManifestEntry;
  /**
   * `listed`: the manifest names it. `implied`: a directory on the way to what it names. `walked`: found by the
   * walk, and to be looked at again.
   */
  origin: 'listed' | 'implied' | 'walked';
  /** `open`: not looked at yet. `pending`: looked at, and to be looked at again. `done`: dealt with. */
  state: 'open' | 'pending' | 'done' = 'open';
  /** How it was counted, once it was dealt with. */
  ending: 'changed' | 'unchanged' | 'links' | 'special' | undefined = undefined;
  /** Mode that it was left with, where it was looked at. */
  left: number | undefined = undefined;
  /** The one after it in its directory. */
  next: PlannedEntry | undefined = undefined;
  /** True for a directory that the walk has been through. */
  declare isWalked?: boolean;

  constructor(facts: ManifestEntry, origin: PlannedEntry['origin']) {
    this.facts = facts;
    this.origin = origin;
  }

  get path(): string {
    return this.facts.path;
  }

  get type(): ManifestEntry['type'] {
    return this.facts.type;
  }

  get mode(): number | undefined {
    return this.facts.mode;
  }

  get size(): number | undefined {
    return this.facts.size;
  }

  get linkTarget(): string | undefined {
    return this.facts.linkTarget;
  }
}

/**
 * A directory of the plan, and what is planned in it, in the manifest's order. One links to the next: most directories have
 * few entries, and an array that grows would have room for seventeen.
 */
export class PlannedDirectory {
  readonly entry: PlannedEntry;
  /** The directory that it is in; `undefined` for the root. */
  readonly parent: PlannedDirectory | undefined;
  /** The one after it in its parent. */
  #next: PlannedDirectory | undefined;
  #firstEntry: PlannedEntry | undefined;
  #lastEntry: PlannedEntry | undefined;
  #firstDirectory: PlannedDirectory | undefined;
  #lastDirectory: PlannedDirectory | undefined;
  #index: Map<string, PlannedEntry> | undefined;

  /** One that is on the way to what is listed. */
  constructor(path: string, parent: PlannedDirectory | undefined) {
    this.entry = new PlannedEntry({ path, type: 'directory' }, 'implied');
    this.parent = parent;
  }

  /** Whether nothing is planned in it. */
  get isLeaf(): boolean {
    return this.#firstEntry === undefined && this.#firstDirectory === undefined;
  }

  /** Everything in it that is not planned as a directory. */
  *entries(): Generator<PlannedEntry> {
    for (let entry = this.#firstEntry; entry !== undefined; entry = entry.next) yield entry;
  }

  /** The directories in it. */
  *directories(): Generator<PlannedDirectory> {
    for (let below = this.#firstDirectory; below !== undefined; below = below.#next) yield below;
  }

  /** Plan something in it that is no directory. */
  add(entry: PlannedEntry): void {
    if (this.#lastEntry === undefined) this.#firstEntry = entry;
    else this.#lastEntry.next = entry;
    this.#lastEntry = entry;
  }

  /** Plan a directory in it. */
  addDirectory(path: string): PlannedDirectory {
    const below = new PlannedDirectory(path, this);
    if (this.#lastDirectory === undefined) this.#firstDirectory = below;
    else this.#lastDirectory.#next = below;
    this.#lastDirectory = below;
    return below;
  }

  /** One of its entries by path. */
  find(path: string): PlannedEntry | undefined {
    if (this.#index === undefined) {
      this.#index = new Map();
      for (const entry of this.entries()) this.#index.set(entry.path, entry);
    }
    return this.#index.get(path);
  }
}
