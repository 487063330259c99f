import { isEntryOf, nameOf, parentOf } from '../directory/names.ts';
import type { Place } from '../directory/place.ts';
import { ManifestError } from '../errors.ts';
import {
  alternativeOf,
  checkedManifest,
  isOptional,
  type ManifestEntry,
  type ManifestInput,
  setTraits,
  traitsOf,
} from '../manifest/manifest.ts';
import { quoted } from '../printable.ts';
import type { Slices } from '../slices.ts';
import { Plan, PlannedDirectory, type PlanParts } from './plan.ts';

/**
 * How many directories a manifest may imply: a small hostile one could name millions. Deep trees stay far below that.
 */
const DIRECTORIES_PER_ENTRY = 16;
const FREE_DIRECTORIES = 100_000;
/** How far above the last entry's directory the next one is looked for before it is looked up. */
const NEAR = 8;
/** Longest path of a manifest in UTF-16 code units: sixteen times Linux's PATH_MAX. */
const MAX_PATH_LENGTH = 65_536;

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
  if (manifest !== undefined && checkedManifest(manifest) !== undefined) plans.set(manifest, plan);
  return plan;
}

function* createPlan(given: readonly ManifestEntry[], slices: Slices): Generator<void, Plan> {
  const planner = new Planner();
  const { directories } = planner;
  const sums = new Sums();
  let parents = new Int32Array(given.length).fill(-1);
  let hasUntyped = false;
  const place = (entry: ManifestEntry, index: number) => {
    const { path, type } = entry;
    if (path.length > MAX_PATH_LENGTH)
      throw tooDeep(entry, `has ${path.length} characters; at most ${MAX_PATH_LENGTH}`);
    if (path === '.' || type === 'directory') planner.directory(path).facts = entry;
    else parents[index] = planner.parent(path).index;
    hasUntyped ||= type === undefined;
    const listed = given.length + sums.spelledTwice;
    if (directories.length > FREE_DIRECTORIES + DIRECTORIES_PER_ENTRY * listed)
      throw tooDeep(entry, 'leads through too many directories that the manifest does not list');
  };
  for (let index = 0; index < given.length; index += 1) {
    const entry = given[index] as ManifestEntry;
    sums.add(entry);
    place(entry, index);
    if (slices.isOver()) yield;
  }
  const { spelledTwice } = sums;
  const entries = spelledTwice === 0 ? given : [...given];
  if (spelledTwice > 0) {
    const placed = parents;
    parents = new Int32Array(given.length + spelledTwice).fill(-1);
    parents.set(placed);
  }
  const spellings: (readonly number[])[] = [];
  for (let index = 0; spelledTwice > 0 && index < given.length; index += 1) {
    const entry = given[index] as ManifestEntry;
    // A directory that leads to another entry is no further spelling.
    const others = [alternativeOf(entry), traitsOf(entry).third];
    const further = others.filter((path) => path !== undefined && planner.known(path) === undefined);
    if (further.length === 0) continue;
    spellings.push([index, ...further.map((_, place) => entries.length + place)]);
    for (const path of further as string[]) {
      const second = { ...entry, path, alternative: undefined };
      setTraits(second, traitsOf(entry));
      (entries as ManifestEntry[]).push(second);
      place(second, entries.length - 1);
    }
    if (slices.isOver()) yield;
  }
  // A listed path with entries below it: without a type it is a directory; with another type, both stand for the same path.
  const hasImplied = directories.some(({ facts, parent }) => facts === undefined && parent !== undefined);
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
    directory.facts = {
      path,
      type: 'directory',
      mode,
      size: undefined,
      linkTarget: undefined,
      optional: isOptional(entry),
    };
  }
  const parts = {
    entries,
    listed: given.length,
    directories,
    parents: parents.subarray(0, entries.length),
    lacksExecutables: sums.hasModes && !sums.hasExecutables,
    hasAbsoluteHardLinks: sums.hasAbsoluteHardLinks,
  };
  if (spellings.length > 0 || sums.hasOptional) yield* markFree(planner, parts, spellings, slices);
  const slotOf = (index: number) =>
    parents[index] === -1
      ? entries.length + planner.directory((entries[index] as ManifestEntry).path).index
      : index;
  return new Plan({ ...parts, spellings: spellings.map((indices) => indices.map(slotOf)) });
}

/** What is true of a manifest as a whole. */
class Sums {
  /** How many further spellings entries have. */
  spelledTwice = 0;
  hasOptional = false;
  hasAbsoluteHardLinks = false;
  /** Whether there are files of known modes, and whether one has x, but for what the manifest of a bundle says is run. */
  hasModes = false;
  hasExecutables = false;

  add(entry: ManifestEntry): void {
    const { type, mode } = entry;
    if (alternativeOf(entry) !== undefined) this.spelledTwice += 1;
    this.hasOptional ||= isOptional(entry);
    const { isAbsoluteHardLink, isMarkedExecutable, third } = traitsOf(entry);
    if (third !== undefined) this.spelledTwice += 1;
    this.hasAbsoluteHardLinks ||= isAbsoluteHardLink === true;
    if (mode === undefined || type === 'directory' || type === 'symlink') return;
    this.hasModes = true;
    this.hasExecutables ||= (mode & 0o111) !== 0 && isMarkedExecutable !== true;
  }
}

/** Mark the directories in which nothing is required: everything in them is optional, or spelled in two ways. */
function* markFree(
  planner: Planner,
  { entries, parents, directories }: Omit<PlanParts, 'spellings'>,
  spellings: readonly (readonly number[])[],
  slices: Slices,
): Generator<void> {
  const mayBeAbsent = new Set(spellings.flat());
  for (const directory of directories) directory.isFree = directory.parent !== undefined;
  for (let index = 0; index < entries.length; index += 1) {
    if (slices.isOver()) yield;
    const entry = entries[index] as ManifestEntry;
    if (isOptional(entry) || mayBeAbsent.has(index)) continue;
    const parent = parents[index] as number;
    let at: Place | undefined = parent === -1 ? planner.known(entry.path) : directories[parent];
    for (; at instanceof PlannedDirectory && at.isFree; at = at.parent) at.isFree = false;
  }
}

function tooDeep({ path }: ManifestEntry, fault: string): ManifestError {
  return new ManifestError(`path ${quoted(path.slice(0, 100))}… ${fault}`, { path });
}
