import { ManifestError } from './errors.ts';
import { compileGlobs, type Matcher } from './globs.ts';
import { checkedEntries, type ManifestEntry, type ManifestInput } from './manifest/manifest.ts';
import { EntryCollector } from './manifest/path.ts';
import type { Settings } from './options.ts';
import type { Pace } from './pace.ts';
import { PlannedDirectory, PlannedEntry } from './planned.ts';
import { isEntryOf, parentOf } from './root/names.ts';

/**
 * Directories that a manifest may imply, so that a small hostile one cannot name millions: deep trees are far below.
 */
const DIRECTORIES_PER_ENTRY = 16;
const FREE_DIRECTORIES = 100_000;
/** How far above the last entry's directory the next one is looked for before it is looked up. */
const NEAR = 8;
/** Longest path of a manifest in UTF-16 code units: sixteen times Linux's PATH_MAX. */
const MAX_PATH_LENGTH = 65_536;

/** What is known of an entry that no manifest lists. */
const unlisted: Omit<ManifestEntry, 'path'> = {};

/** What must be visited: the manifest by directory, and the globs. */
export class Plan {
  /** The root directory of the plan; the root itself is always part of the tree. */
  readonly root: PlannedDirectory;
  /** How many paths the manifest lists that are not ignored. */
  listed = 0;
  /** Files that get x where they have r; `undefined` where no glob names any. */
  readonly executable: Matcher | undefined;
  /** What is never touched. */
  readonly ignore: Matcher | undefined;
  readonly #directories = new Map<string, PlannedDirectory>();
  readonly #ignored: IgnoredPaths;
  readonly #settings: Settings;
  #last: PlannedDirectory;
  /** How many directories below the root are not listed themselves. */
  #implied = 0;

  constructor(settings: Settings, executable?: Matcher, ignore?: Matcher) {
    this.#settings = settings;
    this.executable = executable;
    this.ignore = ignore;
    this.#ignored = new IgnoredPaths(ignore);
    this.root = new PlannedDirectory('.', undefined);
    this.#last = this.root;
    this.#directories.set('.', this.root);
  }

  /** Whether there is a manifest, even an empty one. */
  get hasManifest(): boolean {
    return this.#settings.manifest !== undefined;
  }

  /** How many paths of the manifest are ignored by themselves, not by a directory above them. */
  get ignored(): number {
    return this.#ignored.topmost;
  }

  /** Whether some directory is only on the way to what is listed. */
  get hasImplied(): boolean {
    return this.#implied > 0;
  }

  /** How many directories are listed or implied. */
  get directories(): number {
    return this.#directories.size;
  }

  /** Whether the options may change the mode of a file, as far as can be told without looking at it. */
  getsMode(path: string, entry = unlisted): boolean {
    const { modeFrom } = this.#settings;
    if (entry.type === 'symlink') return false;
    if (modeFrom === 'all' || this.executable?.(path) === true) return true;
    if (this.isDetectable(path, entry)) return true;
    return ((entry.mode ?? 0) & (modeFrom === 'executable' ? 0o111 : 0o777)) !== 0;
  }

  /** Whether nothing but the content of a file can say whether it is executable. */
  isDetectable(path: string, entry = unlisted): boolean {
    if (!this.#settings.detect || ((entry.mode ?? 0) & 0o777) !== 0) return false;
    return this.executable?.(path) !== true;
  }

  /** False where the options ask for nothing of a listed path, not even to be there. */
  isAsked(entry: ManifestEntry): boolean {
    return this.#settings.verify !== 'none' || this.getsMode(entry.path, entry);
  }

  /**
   * Make the directories that lead to a listed path; false where it is ignored. For all entries before any that has
   * no type is added.
   */
  lead(entry: ManifestEntry): boolean {
    const { path } = entry;
    if (path.length > MAX_PATH_LENGTH) throw tooDeep(entry);
    if (this.#ignored.has(path)) return false;
    if (path !== '.') this.#parent(path);
    return true;
  }

  /** Add a listed path. Without a type, it is a directory where something is listed below it. */
  add(entry: ManifestEntry): void {
    const { path, type, mode } = entry;
    // The root is there whether it is listed or not.
    if (path !== '.') this.listed += 1;
    if (type === 'directory' || (type === undefined && this.#directories.has(path))) {
      const planned = this.#directory(path).entry;
      if (planned.origin === 'implied' && path !== '.') this.#implied -= 1;
      planned.origin = 'listed';
      planned.facts = type === 'directory' ? entry : { path, type: 'directory', mode };
      return;
    }
    // The walk asks of each path whether it is listed.
    if (!this.#settings.discover && !this.isAsked(entry)) return;
    this.#parent(path).add(new PlannedEntry(entry, 'listed'));
  }

  /** What is listed as no directory is none on the way either: it is dealt with once, as it is listed. */
  claim({ path, type }: ManifestEntry): void {
    if (type !== 'file' && type !== 'symlink') return;
    const directory = this.#directories.get(path);
    if (directory !== undefined) directory.entry.state = 'done';
  }

  /** The planned entry of a path, whether the manifest lists it or it stands on the way. */
  find(path: string): PlannedEntry | undefined {
    if (path === '.') return this.root.entry;
    // Nothing is planned then, and paths need not be looked up.
    if (!this.hasManifest) return undefined;
    return this.#directories.get(parentOf(path))?.find(path) ?? this.directory(path);
  }

  /** The directory of a path, where the manifest lists it as one or lists something below it. */
  directory(path: string): PlannedEntry | undefined {
    return this.#directories.get(path)?.entry;
  }

  /** The directory that an entry is in: mostly that of the entry before, or one a little above it. */
  #parent(path: string): PlannedDirectory {
    let near: PlannedDirectory | undefined = this.#last;
    for (let steps = 0; near !== undefined && steps < NEAR; steps += 1) {
      if (isEntryOf(near.entry.path, path)) {
        this.#last = near;
        return near;
      }
      near = near.parent;
    }
    this.#last = this.#directory(parentOf(path));
    return this.#last;
  }

  /** A directory, made with all that lead to it where it is new. No recursion: a path may be very deep. */
  #directory(path: string): PlannedDirectory {
    const missing: string[] = [];
    let known = this.#directories.get(path);
    for (let above = path; known === undefined; known = this.#directories.get(above)) {
      missing.push(above);
      above = parentOf(above);
    }
    for (const below of missing.reverse()) {
      known = known.addDirectory(below);
      this.#directories.set(below, known);
      this.#implied += 1;
    }
    return known;
  }
}

function tooDeep({ path }: ManifestEntry): ManifestError {
  const fault = 'leads through more directories than a tree has';
  return new ManifestError(`path ${JSON.stringify(path.slice(0, 100))}… ${fault}`, { path });
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
    if (this.#matches === undefined) return false;
    const unknown: string[] = [];
    let isIgnored: boolean | undefined;
    for (let above = path; isIgnored === undefined; above = parentOf(above)) {
      isIgnored = above === '.' ? false : this.#known.get(above);
      if (isIgnored === undefined) unknown.push(above);
    }
    for (const below of unknown.reverse()) {
      if (!isIgnored && this.#matches(below)) {
        isIgnored = true;
        this.topmost += 1;
      }
      this.#known.set(below, isIgnored);
    }
    return isIgnored;
  }
}

/**
 * Read the manifest and compile the globs, in slices.
 *
 * @throws ManifestError for a manifest that must not be used, RangeError for a glob that cannot be compiled, and the
 * reason of the pace's signal
 */
export async function createPlan(settings: Settings, pace: Pace): Promise<Plan> {
  const executable = await compileGlobs('executable', settings.executable);
  const ignore = await compileGlobs('ignore', settings.ignore);
  const { manifest } = settings;
  const plan = new Plan(settings, executable, ignore);
  if (manifest === undefined) return plan;
  const entries = checkedEntries(manifest) ?? (await checkEntries(manifest, pace));
  const untyped: ManifestEntry[] = [];
  for (const entry of entries) {
    if (plan.lead(entry)) {
      if (entry.type === undefined) untyped.push(entry);
      else plan.add(entry);
    }
    if (plan.directories > FREE_DIRECTORIES + DIRECTORIES_PER_ENTRY * entries.length) throw tooDeep(entry);
    if (pace.isOver()) await pace.pause();
  }
  for (const entry of untyped) {
    plan.add(entry);
    if (pace.isOver()) await pace.pause();
  }
  for (const entry of plan.hasImplied ? entries : []) {
    plan.claim(entry);
    if (pace.isOver()) await pace.pause();
  }
  return plan;
}

async function checkEntries(manifest: ManifestInput, pace: Pace): Promise<readonly ManifestEntry[]> {
  const collector = new EntryCollector('source' in manifest ? manifest.source : undefined);
  if (Symbol.iterator in manifest) {
    for (const entry of manifest) {
      collector.add(entry);
      if (pace.isOver()) await pace.pause();
    }
  } else {
    for await (const entry of manifest) {
      collector.add(entry);
      if (pace.isOver()) await pace.pause();
    }
  }
  return collector.entries;
}
