import { compileGlobs, type Matcher } from './globs.ts';
import { checkedEntries, type ManifestEntry, type ManifestInput } from './manifest/manifest.ts';
import { collectEntries, EntryCollector } from './manifest/path.ts';
import type { Settings } from './options.ts';
import { isEntryOf, parentOf } from './root/names.ts';

/** One path that the pass has to come back to until it is dealt with. */
export interface PlannedEntry extends ManifestEntry {
  /**
   * `listed`: the manifest names it. `implied`: a directory on the way to what it names. `walked`: found by the
   * walk, and to be looked at again.
   */
  origin: 'listed' | 'implied' | 'walked';
  /** `open`: not looked at yet. `pending`: looked at, and to be looked at again. `done`: dealt with. */
  state: 'open' | 'pending' | 'done';
}

/** A directory of the plan, and what is planned in it. */
export interface PlannedDirectory {
  readonly entry: PlannedEntry;
  /** Everything in it that is not planned as a directory, in the manifest's order. */
  readonly entries: PlannedEntry[];
  readonly directories: PlannedDirectory[];
  /** `entries` by path, made when the first one is asked for. */
  index?: Map<string, PlannedEntry>;
}

/** What must be visited: the manifest by directory, and the globs. */
export class Plan {
  /** The root directory of the plan; the root itself is always part of the tree. */
  readonly root: PlannedDirectory;
  /** How many paths the manifest lists that are not ignored. */
  readonly listed: number;
  /** How many of its paths are ignored by themselves, not by a directory above them. */
  readonly ignored: number;
  /** Whether there is a manifest, even an empty one. */
  readonly hasManifest: boolean;
  /** Files that get x where they have r; `undefined` where no glob names any. */
  readonly executable: Matcher | undefined;
  /** What is never touched. */
  readonly ignore: Matcher | undefined;
  readonly #directories = new Map<string, PlannedDirectory>();
  #lastParent: PlannedDirectory | undefined;

  constructor(entries: readonly ManifestEntry[] | undefined, executable?: Matcher, ignore?: Matcher) {
    this.executable = executable;
    this.ignore = ignore;
    this.hasManifest = entries !== undefined;
    this.root = this.#directory('.');
    const ignored = new IgnoredPaths(ignore);
    const kept = (entries ?? []).filter(({ path }) => !ignored.has(path));
    this.ignored = ignored.topmost;
    this.listed = kept.length;
    for (const { path } of kept) if (path !== '.') this.#parent(path);
    for (const entry of kept) this.#add(entry);
  }

  /** The planned entry of a path, whether the manifest lists it or it stands on the way. */
  find(path: string): PlannedEntry | undefined {
    const parent = path === '.' ? undefined : this.#directories.get(parentOf(path));
    if (parent !== undefined) parent.index ??= new Map(parent.entries.map((entry) => [entry.path, entry]));
    return parent?.index?.get(path) ?? this.#directories.get(path)?.entry;
  }

  /** The directory of a path, where the manifest lists it as one or lists something below it. */
  directory(path: string): PlannedEntry | undefined {
    return this.#directories.get(path)?.entry;
  }

  #add(entry: ManifestEntry): void {
    const { path, type, mode, size, linkTarget } = entry;
    const isDirectory = type === 'directory' || (type === undefined && this.#directories.has(path));
    if (isDirectory) {
      const planned = this.#directory(path).entry;
      planned.origin = 'listed';
      planned.mode = mode;
      return;
    }
    const planned: PlannedEntry = { path, type, mode, size, linkTarget, origin: 'listed', state: 'open' };
    this.#parent(path).entries.push(planned);
  }

  /** The directory that an entry is in. Entries of one directory mostly follow each other. */
  #parent(path: string): PlannedDirectory {
    const last = this.#lastParent;
    if (last !== undefined && isEntryOf(last.entry.path, path)) return last;
    this.#lastParent = this.#directory(parentOf(path));
    return this.#lastParent;
  }

  #directory(path: string): PlannedDirectory {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const directory: PlannedDirectory = {
      entry: { path, type: 'directory', origin: 'implied', state: 'open' },
      entries: [],
      directories: [],
    };
    this.#directories.set(path, directory);
    if (path !== '.') this.#directory(parentOf(path)).directories.push(directory);
    return directory;
  }
}

/** Which paths of a manifest are ignored, by themselves or by a directory above them. */
class IgnoredPaths {
  /** How many were ignored by themselves. */
  topmost = 0;
  readonly #matches: Matcher | undefined;
  readonly #known = new Map<string, boolean>();

  constructor(matches: Matcher | undefined) {
    this.#matches = matches;
  }

  has(path: string): boolean {
    if (this.#matches === undefined || path === '.') return false;
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const isBelowIgnored = this.has(parentOf(path));
    const isIgnored = isBelowIgnored || this.#matches(path);
    if (isIgnored && !isBelowIgnored) this.topmost += 1;
    this.#known.set(path, isIgnored);
    return isIgnored;
  }
}

/**
 * Read the manifest and compile the globs.
 *
 * @throws ManifestError for a manifest that must not be used, RangeError for a glob that cannot be compiled
 */
export async function createPlan(settings: Settings): Promise<Plan> {
  const entries = settings.manifest && (await readEntries(settings.manifest));
  const executable = await compileGlobs('executable', settings.executable);
  const ignore = await compileGlobs('ignore', settings.ignore);
  return new Plan(entries, executable, ignore);
}

async function readEntries(manifest: ManifestInput): Promise<readonly ManifestEntry[]> {
  const checked = checkedEntries(manifest);
  if (checked !== undefined) return checked;
  const source = 'source' in manifest ? manifest.source : undefined;
  if (Symbol.iterator in manifest) return collectEntries(manifest, source);
  const collector = new EntryCollector(source);
  for await (const entry of manifest) collector.add(entry);
  return collector.entries;
}
