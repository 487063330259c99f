import { isEntryOf, nameOf, parentOf } from '../directory/names.ts';
import { Place } from '../directory/place.ts';
import { ManifestError } from '../errors.ts';
import {
  checkedEntries,
  type Manifest,
  type ManifestEntry,
  type ManifestInput,
} from '../manifest/manifest.ts';
import { EntryCollector } from '../manifest/path.ts';
import { quoted } from '../printable.ts';
import type { Slices } from './slices.ts';

/**
 * Directories that a manifest may imply, so that a small hostile one cannot name millions: deep trees are far below.
 */
const DIRECTORIES_PER_ENTRY = 16;
const FREE_DIRECTORIES = 100_000;
/** How far above the last entry's directory the next one is looked for before it is looked up. */
const NEAR = 8;
/** Longest path of a manifest in UTF-16 code units: sixteen times Linux's PATH_MAX. */
const MAX_PATH_LENGTH = 65_536;

/** A directory that a manifest lists, or lists something below of. */
export class PlannedDirectory extends Place {
  /** Its number among the directories; the root's is 0. */
  readonly index: number;
  /** Whether bytes of its path were lost when the manifest was made. */
  readonly hasLostBytes: boolean;
  /** What the manifest says of it; `undefined` for one that is only on the way to what it lists. */
  facts: ManifestEntry | undefined = undefined;
  /** Whether the manifest lists the same path as something that is no directory. */
  isClaimed = false;
  /** Its entries stand in the plan's order from here... */
  start = 0;
  /** ...to before here. */
  end = 0;
  first: PlannedDirectory | undefined = undefined;
  #last: PlannedDirectory | undefined = undefined;
  /** The one after it in its parent. One refers to the next: most have few, and an array that grows has room for seventeen. */
  next: PlannedDirectory | undefined = undefined;

  constructor(parent: PlannedDirectory | undefined, name: string, index: number) {
    super(parent, name);
    this.index = index;
    this.hasLostBytes = parent?.hasLostBytes === true || name.includes('\ufffd');
    if (parent === undefined) return;
    if (parent.#last === undefined) parent.first = this;
    else parent.#last.next = this;
    parent.#last = this;
  }

  /** The directories in it, in the manifest's order. */
  *directories(): Generator<PlannedDirectory> {
    for (let below = this.first; below !== undefined; below = below.next) yield below;
  }
}

/**
 * A manifest by directory. Whatever it lists, and each directory on the way, has a slot: first the entries in the manifest's
 * order, then the directories. Nothing of a pass is in it, so that a manifest that comes again needs no second one.
 */
export class Plan {
  readonly entries: readonly ManifestEntry[];
  /** The root first, each after the one that it is in. */
  readonly directories: readonly PlannedDirectory[];
  /** Entries that are no directories, by directory. */
  readonly order: Int32Array;
  /** The directory that each entry is in, by its number; -1 for what is planned as a directory itself. */
  readonly #parents: Int32Array;
  readonly #names = new Map<PlannedDirectory, ReadonlyMap<string, number>>();

  constructor(entries: readonly ManifestEntry[], directories: PlannedDirectory[], parents: Int32Array) {
    this.entries = entries;
    this.directories = directories;
    this.#parents = parents;
    this.order = orderOf(directories, parents);
  }

  get root(): PlannedDirectory {
    return this.directories[0] as PlannedDirectory;
  }

  /** How many slots there are. */
  get size(): number {
    return this.entries.length + this.directories.length;
  }

  slotOf(directory: PlannedDirectory): number {
    return this.entries.length + directory.index;
  }

  /** The directory of a slot, where it is one's. */
  directoryAt(slot: number): PlannedDirectory | undefined {
    return this.directories[slot - this.entries.length];
  }

  /** The directory that an entry is in. */
  parentAt(slot: number): PlannedDirectory {
    return this.directories[this.#parents[slot] as number] as PlannedDirectory;
  }

  /** Slots of what is planned in a directory, by name. Where one name is listed as a file and led through, it is the file's. */
  slotsIn(directory: PlannedDirectory): ReadonlyMap<string, number> {
    const names = new Map<string, number>();
    for (const below of directory.directories()) names.set(below.name, this.slotOf(below));
    for (let position = directory.start; position < directory.end; position += 1) {
      const slot = this.order[position] as number;
      names.set(nameOf((this.entries[slot] as ManifestEntry).path), slot);
    }
    return names;
  }

  /** Slot of a path, where something is planned there. */
  find(path: string): number | undefined {
    let directory: PlannedDirectory | undefined = this.root;
    let slot: number | undefined = this.slotOf(directory);
    for (const name of path === '.' ? [] : path.split('/')) {
      if (directory === undefined) return undefined;
      slot = this.#namesIn(directory).get(name);
      if (slot === undefined) return undefined;
      directory = this.directoryAt(slot);
    }
    return slot;
  }

  /** The same map each time: it is asked for the targets of links. */
  #namesIn(directory: PlannedDirectory): ReadonlyMap<string, number> {
    const known = this.#names.get(directory) ?? this.slotsIn(directory);
    this.#names.set(directory, known);
    return known;
  }
}

/** Sort the entries by directory, in the manifest's order. */
function orderOf(directories: readonly PlannedDirectory[], parents: Int32Array): Int32Array {
  let count = 0;
  for (const parent of parents) {
    if (parent < 0) continue;
    (directories[parent] as PlannedDirectory).end += 1;
    count += 1;
  }
  let start = 0;
  for (const directory of directories) {
    const { end } = directory;
    directory.start = start;
    directory.end = start;
    start += end;
  }
  const order = new Int32Array(count);
  for (let entry = 0; entry < parents.length; entry += 1) {
    const directory = directories[parents[entry] as number];
    if (directory === undefined) continue;
    order[directory.end] = entry;
    directory.end += 1;
  }
  return order;
}

/** Puts a manifest's entries into their directories. */
class Planner {
  readonly directories: PlannedDirectory[] = [new PlannedDirectory(undefined, '.', 0)];
  readonly #byPath = new Map<string, PlannedDirectory>([['.', this.directories[0] as PlannedDirectory]]);
  readonly #paths: string[] = ['.'];
  #last = this.directories[0] as PlannedDirectory;

  /** The directory that an entry is in: mostly that of the entry before, or one a little above it. */
  parent(path: string): PlannedDirectory {
    let near: Place | undefined = this.#last;
    for (let steps = 0; near instanceof PlannedDirectory && steps < NEAR; steps += 1) {
      if (isEntryOf(this.#paths[near.index] as string, path)) {
        this.#last = near;
        return near;
      }
      near = near.parent;
    }
    this.#last = this.directory(parentOf(path));
    return this.#last;
  }

  /** A directory, made with all that lead to it where it is new. No recursion: a path may be very deep. */
  directory(path: string): PlannedDirectory {
    const missing: string[] = [];
    let known = this.#byPath.get(path);
    for (let above = path; known === undefined; known = this.#byPath.get(above)) {
      missing.push(above);
      above = parentOf(above);
    }
    for (const below of missing.reverse()) {
      known = new PlannedDirectory(known, nameOf(below), this.directories.length);
      this.directories.push(known);
      this.#paths.push(below);
      this.#byPath.set(below, known);
    }
    return known;
  }

  /** A directory that is listed or led through already. */
  known(path: string): PlannedDirectory | undefined {
    return this.#byPath.get(path);
  }
}

/** Plans of manifests that were used before; such a manifest is frozen. */
const plans = new WeakMap<object, Plan>();

/**
 * The plan of a manifest, made in slices the first time. Without a manifest it has the root alone.
 *
 * @throws ManifestError for a manifest that must not be used
 */
export function* planOf(
  manifest: ManifestInput | undefined,
  entries: readonly ManifestEntry[],
  slices: Slices,
): Generator<void, Plan> {
  const known = manifest && plans.get(manifest);
  if (known !== undefined) return known;
  const plan = yield* createPlan(entries, slices);
  if (manifest !== undefined && checkedEntries(manifest) !== undefined) plans.set(manifest, plan);
  return plan;
}

function* createPlan(entries: readonly ManifestEntry[], slices: Slices): Generator<void, Plan> {
  const planner = new Planner();
  const { directories } = planner;
  const parents = new Int32Array(entries.length).fill(-1);
  const most = FREE_DIRECTORIES + DIRECTORIES_PER_ENTRY * entries.length;
  let hasUntyped = false;
  for (let index = 0; index < entries.length; index += 1) {
    const entry = entries[index] as ManifestEntry;
    const { path, type } = entry;
    if (path.length > MAX_PATH_LENGTH) throw tooDeep(entry);
    if (path === '.' || type === 'directory') planner.directory(path).facts = entry;
    else parents[index] = planner.parent(path).index;
    hasUntyped ||= type === undefined;
    if (directories.length > most) throw tooDeep(entry);
    if (slices.isOver()) yield;
  }
  // What is listed below it tells what something without a type is; so it does of what is listed as no directory.
  const hasImplied = directories.some(({ facts }) => facts === undefined);
  for (let index = 0; (hasUntyped || hasImplied) && index < entries.length; index += 1) {
    if (slices.isOver()) yield;
    if (parents[index] === -1) continue;
    const entry = entries[index] as ManifestEntry;
    const directory = planner.known(entry.path);
    if (directory === undefined) continue;
    if (entry.type !== undefined) {
      directory.isClaimed = true;
      continue;
    }
    parents[index] = -1;
    const { path, mode } = entry;
    directory.facts = { path, type: 'directory', mode, size: undefined, linkTarget: undefined };
  }
  return new Plan(entries, directories, parents);
}

function tooDeep({ path }: ManifestEntry): ManifestError {
  const fault = 'leads through more directories than a tree has';
  return new ManifestError(`path ${quoted(path.slice(0, 100))}… ${fault}`, { path });
}

/**
 * The entries of a manifest, checked; those of our own readers are already.
 *
 * @param pause lets the event loop have its turn
 * @throws ManifestError for a manifest that must not be used
 */
export async function entriesOf(
  manifest: ManifestInput,
  slices: Slices,
  pause: () => Promise<void>,
): Promise<readonly ManifestEntry[]> {
  const known = checkedEntries(manifest);
  if (known !== undefined) return known;
  const collector = new EntryCollector(
    Object.hasOwn(manifest, 'source') ? (manifest as Manifest).source : undefined,
  );
  if (!(Symbol.asyncIterator in manifest)) {
    // What structuredClone and JSON leave of a Manifest has entries, and no iterator.
    for (const entry of Symbol.iterator in manifest ? manifest : (manifest as Manifest).entries) {
      collector.add(entry);
      if (slices.isOver()) await pause();
    }
  } else {
    for await (const entry of manifest) {
      collector.add(entry);
      if (slices.isOver()) await pause();
    }
  }
  return collector.entries;
}
