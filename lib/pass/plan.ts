import { nameOf } from '../directory/names.ts';
import { Place } from '../directory/place.ts';
import { isOptional, type ManifestEntry, traitsOf } from '../manifest/manifest.ts';

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
  /** Whether nothing that must be there is in it or below it: only what is optional, or may be spelled otherwise. */
  isFree = false;
  /** Its entries stand in the plan's order from here... */
  start = 0;
  /** ...to before here. */
  end = 0;
  first: PlannedDirectory | undefined = undefined;
  #last: PlannedDirectory | undefined = undefined;
  /** The next directory of its parent. A linked list: most parents have few, and an array that grows reserves room for seventeen. */
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

/** What a {@link Plan} is made of. */
export interface PlanParts {
  readonly entries: readonly ManifestEntry[];
  readonly listed: number;
  readonly directories: PlannedDirectory[];
  /** The directory that each entry is in, by its number; -1 for what is planned as a directory itself. */
  readonly parents: Int32Array;
  readonly lacksExecutables: boolean;
  readonly hasAbsoluteHardLinks: boolean;
  /** Slots of what is spelled in more than one way: those of one thing together, its path first. */
  readonly spellings: readonly (readonly number[])[];
}

/**
 * A manifest by directory. Everything that it lists, and each directory on the way, has a slot: first the entries in the manifest's
 * order, then their further spellings, then the directories. It holds no state of a pass, so each manifest needs only one plan.
 */
export class Plan {
  /** What the manifest lists, and behind that an entry for each further spelling. */
  readonly entries: readonly ManifestEntry[];
  /** How many of them the manifest lists. */
  readonly listed: number;
  /** Of what may be spelled in more than one way, the slots of the other spellings. */
  readonly twins: ReadonlyMap<number, readonly number[]>;
  /** The root first, each after the one that it is in. */
  readonly directories: readonly PlannedDirectory[];
  /** Entries that are no directories, by directory. */
  readonly order: Int32Array;
  /** The directory that each entry is in, by its number; -1 for what is planned as a directory itself. */
  readonly #parents: Int32Array;
  readonly #names = new Map<PlannedDirectory, ReadonlyMap<string, number>>();
  /** Slots of further spellings. */
  readonly #alternatives: ReadonlySet<number>;
  /** Whether it lists files with modes, and none of them is executable: whoever made it has no exec bits. */
  readonly lacksExecutables: boolean;
  /** Whether there are hard links that some extractors make to files outside. */
  readonly hasAbsoluteHardLinks: boolean;
  /** Hard links by the first name of their file, made when it is first asked for. */
  #hardLinks: Map<string, number[]> | undefined;

  constructor(parts: PlanParts) {
    const { entries, listed, directories, parents } = parts;
    this.entries = entries;
    this.listed = listed;
    this.directories = directories;
    this.#parents = parents;
    this.order = orderOf(directories, parents);
    const { spellings } = parts;
    this.lacksExecutables = parts.lacksExecutables;
    this.hasAbsoluteHardLinks = parts.hasAbsoluteHardLinks;
    this.#alternatives = new Set(spellings.flatMap(([, ...others]) => others));
    this.twins = new Map(
      spellings.flatMap((slots) =>
        slots.map((one) => [one, slots.filter((other) => other !== one)] as const),
      ),
    );
  }

  /** Whether it is a further spelling of something. */
  isAlternative(slot: number): boolean {
    return this.#alternatives.size > 0 && this.#alternatives.has(slot);
  }

  /** Whether it may be absent: it is never waited for. A directory may only where nothing in it must be there. */
  isOptional(slot: number): boolean {
    const directory = this.directoryAt(slot);
    if (directory === undefined) {
      const entry = this.entries[slot];
      return entry !== undefined && isOptional(entry);
    }
    return directory.isFree && directory.facts !== undefined && isOptional(directory.facts);
  }

  /** Whether it is a directory that is listed nowhere, and on the way to nothing that must be there. */
  isFree(slot: number): boolean {
    const directory = this.directoryAt(slot);
    return directory?.isFree === true && directory.facts === undefined;
  }

  /** Slots of what are names of one file, as the manifest says. */
  namesOfFile(firstName: string): readonly number[] {
    if (this.#hardLinks === undefined) {
      this.#hardLinks = new Map();
      for (let slot = 0; slot < this.entries.length; slot += 1) {
        const name = traitsOf(this.entries[slot]).firstName;
        if (name === undefined) continue;
        const slots = this.#hardLinks.get(name);
        if (slots === undefined) this.#hardLinks.set(name, [slot]);
        else slots.push(slot);
      }
    }
    const first = this.find(firstName);
    return [...(first === undefined ? [] : [first]), ...(this.#hardLinks.get(firstName) ?? [])];
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
    // No negative index: V8 looks it up as the name of a property, which is slow.
    return slot < this.entries.length ? undefined : this.directories[slot - this.entries.length];
  }

  /** The directory that an entry is in. */
  parentAt(slot: number): PlannedDirectory {
    return this.directories[this.#parents[slot] as number] as PlannedDirectory;
  }

  /**
   * Slots of everything that is planned in a directory, by name. If the manifest lists a file, and also entries below that name, the
   * name stands for the file, and the name with a slash for the directory.
   */
  slotsIn(directory: PlannedDirectory): ReadonlyMap<string, number> {
    const names = new Map<string, number>();
    for (const below of directory.directories()) {
      names.set(below.isClaimed ? `${below.name}/` : below.name, this.slotOf(below));
    }
    for (let position = directory.start; position < directory.end; position += 1) {
      const slot = this.order[position] as number;
      names.set(nameOf((this.entries[slot] as ManifestEntry).path), slot);
    }
    return names;
  }

  /** Slot of a path, where something is planned there. */
  find(path: string): number | undefined {
    let slot = this.slotOf(this.root);
    for (const name of path === '.' ? [] : path.split('/')) {
      const directory = this.#directoryOf(slot);
      const below = directory && this.#namesIn(directory).get(name);
      if (below === undefined) return undefined;
      slot = below;
    }
    return slot;
  }

  /** The directory that a slot stands for, or that stands where the manifest lists something else, too. */
  #directoryOf(slot: number): PlannedDirectory | undefined {
    const directory = this.directoryAt(slot);
    if (directory !== undefined) return directory;
    const name = nameOf((this.entries[slot] as ManifestEntry).path);
    const claimed = this.#namesIn(this.parentAt(slot)).get(`${name}/`);
    return claimed === undefined ? undefined : this.directoryAt(claimed);
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
    const parent = parents[entry] as number;
    if (parent < 0) continue;
    const directory = directories[parent] as PlannedDirectory;
    order[directory.end] = entry;
    directory.end += 1;
  }
  return order;
}
