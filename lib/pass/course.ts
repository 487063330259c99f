import type * as digests from '../directory/digest.ts';
import type { Directory } from '../directory/directory.ts';
import { pathTooLong } from '../directory/errors.ts';
import type { FoldName } from '../directory/folding.ts';
import { Place } from '../directory/place.ts';
import type { Tree } from '../directory/tree.ts';
import { isLong, SURELY_SHORT } from '../globs/bounds.ts';
import type { Matcher, NameMatcher } from '../globs/compile.ts';
import { type ManifestEntry, recordsSpecialBits } from '../manifest/manifest.ts';
import type { Settings } from '../settings.ts';
import type { Slices } from '../slices.ts';
import { Findings } from './findings.ts';
import type { Ignored } from './ignored.ts';
import type { Ledger } from './ledger.ts';
import { type Plan, PlannedDirectory } from './plan.ts';
import { NO_SLOT, type Slots, type Subject } from './slots.ts';

/** What makes digests: loaded only where it is asked for. */
export type Digesting = Pick<typeof digests, 'canDigest' | 'digestAtOnce' | 'digestInChunks'>;

/** The globs of the options, compiled. */
export interface Globs {
  /** Files that get x where they have r; `undefined` where no glob names any. */
  readonly executable: Matcher | undefined;
  /** What is never touched. */
  readonly ignore: Matcher | undefined;
}

/** Which entries of one directory the globs name. */
export interface NamedIn {
  readonly executable: NameMatcher | undefined;
  readonly ignore: NameMatcher | undefined;
}

const nothingNamed: NamedIn = { executable: undefined, ignore: undefined };

/** A directory that the walk found and that no manifest names as one. */
export class FoundDirectory extends Place {
  /** That of an entry that is listed without a type. */
  readonly slot: number;

  constructor(parent: Place, name: string, slot: number) {
    super(parent, name);
    this.slot = slot;
  }
}

/** A directory that is worked in. */
export class Scope {
  readonly place: Place;
  readonly directory: Directory;
  readonly executable: NameMatcher | undefined;
  readonly ignore: NameMatcher | undefined;
  /** What is planned in it, made when it is first asked for. */
  planned: ReadonlyMap<string, number> | undefined = undefined;

  constructor(place: Place, directory: Directory, { executable, ignore }: NamedIn) {
    this.place = place;
    this.directory = directory;
    this.executable = executable;
    this.ignore = ignore;
  }
}

/** What is asked, and what came of it. */
export interface Books {
  readonly plan: Plan;
  readonly ignored: Ignored;
  readonly globs: Globs;
  /** How the file system compares names; `undefined` where each spelling is a name of its own. */
  readonly fold: FoldName | undefined;
  readonly slots: Slots;
  readonly ledger: Ledger;
  /** What makes digests, where the content of files is verified. */
  readonly digesting: Digesting | undefined;
}

/** One pass from tree to ledger: what everything that takes part in it works with. */
export class Course {
  readonly tree: Tree;
  readonly settings: Settings;
  readonly plan: Plan;
  readonly ignored: Ignored;
  readonly globs: Globs;
  readonly slices: Slices;
  readonly slots: Slots;
  readonly ledger: Ledger;
  readonly findings: Findings;
  readonly fold: FoldName | undefined;
  readonly digesting: Digesting | undefined;
  /** Whether there is a manifest, even an empty one. */
  readonly hasManifest: boolean;
  readonly hasGlobs: boolean;
  /** Whether files must have the sizes that the manifest gives them. */
  readonly checksSize: boolean;
  /** Whether entries must have the special bits that the manifest gives them. */
  readonly keepsSpecialBits: boolean;
  readonly #hasPlan: boolean;

  constructor(tree: Tree, settings: Settings, books: Books, slices: Slices) {
    const { plan, ignored, globs, fold, slots, ledger, digesting } = books;
    this.tree = tree;
    this.settings = settings;
    this.plan = plan;
    this.ignored = ignored;
    this.globs = globs;
    this.fold = fold;
    this.digesting = digesting;
    this.slices = slices;
    this.slots = slots;
    this.ledger = ledger;
    this.findings = new Findings(slots, ledger);
    this.checksSize = settings.verify === 'size' || settings.verify === 'content';
    this.hasManifest = settings.manifest !== undefined;
    this.hasGlobs = globs.executable !== undefined || globs.ignore !== undefined;
    this.keepsSpecialBits = settings.modeFrom === 'manifest' && recordsSpecialBits(settings.manifest);
    this.#hasPlan = plan.size > 1;
  }

  /** Whether there are globs, and the path of a directory, or of an entry of it, is too long to hold them against. */
  isTooLong(place: Place, name?: string): boolean {
    if (!this.hasGlobs) return false;
    if (name === undefined) return isLong(place.length, () => place.path);
    const units = place.length + 1 + name.length;
    if (units <= SURELY_SHORT) return false;
    return isLong(place.parent === undefined ? name.length : units, () => place.pathOf(name));
  }

  /** Which entries of a directory the globs name. */
  namedIn(place: Place): NamedIn {
    if (!this.hasGlobs || this.isTooLong(place)) return nothingNamed;
    let path: string | undefined;
    const pathOnce = () => {
      path ??= place.path;
      return path;
    };
    const { executable, ignore } = this.globs;
    return { executable: executable?.in(pathOnce), ignore: ignore?.in(pathOnce) };
  }

  /** Work in a directory that is held. */
  scope(place: Place, directory: Directory): Scope {
    return new Scope(place, directory, this.namedIn(place));
  }

  /** Go to a directory to work in it. Throws what keeps us out, with the path of the directory that is at fault. */
  goTo(place: Place): Scope {
    return this.scope(place, this.tree.goTo(place));
  }

  /** Slot of an entry that was found, where it is planned or come back to. */
  slotOf(scope: Scope, name: string): number {
    const { place } = scope;
    if (this.#hasPlan && place instanceof PlannedDirectory) {
      scope.planned ??= this.#plannedIn(place);
      const slot = scope.planned.get(this.fold === undefined ? name : this.fold(name));
      if (slot !== undefined && !this.ignored.has(slot)) return slot;
    }
    return this.slots.hasWalked ? this.slots.walked(place.pathOf(name)) : NO_SLOT;
  }

  #plannedIn(place: PlannedDirectory): ReadonlyMap<string, number> {
    const slots = this.plan.slotsIn(place);
    const { fold } = this;
    return fold === undefined ? slots : new Map([...slots].map(([name, slot]) => [fold(name), slot]));
  }

  /** Slot of a directory that is gone into. */
  slotOfPlace(place: Place): number {
    if (place instanceof PlannedDirectory) return this.plan.slotOf(place);
    if (place instanceof FoundDirectory && place.slot !== NO_SLOT) return place.slot;
    return this.slots.hasWalked ? this.slots.walked(place.path) : NO_SLOT;
  }

  /** The place of a directory that was found: the plan's, where it has one. */
  placeBelow(parent: Place, name: string, slot: number): Place {
    const planned = slot === NO_SLOT ? undefined : this.plan.directoryAt(slot);
    return planned ?? new FoundDirectory(parent, name, slot);
  }

  /** Whether the options may change the mode of a file, as far as can be told without looking at it. */
  getsMode(named: NamedIn, name: string, facts: ManifestEntry | undefined): boolean {
    const { modeFrom } = this.settings;
    if (facts?.type === 'symlink') return false;
    if (modeFrom === 'all' || named.executable?.(name) === true) return true;
    if (this.isDetectable(named, name, facts)) return true;
    if (modeFrom === 'manifest') return facts?.mode !== undefined;
    return ((facts?.mode ?? 0) & 0o111) !== 0;
  }

  /**
   * Whether nothing but the content of a file can say whether it is executable: its mode is unknown, or says nothing, as the
   * manifest has no executable file at all.
   */
  isDetectable(named: NamedIn, name: string, facts: ManifestEntry | undefined): boolean {
    if (!this.settings.detect || (facts?.mode !== undefined && !this.plan.lacksExecutables)) return false;
    return ((facts?.mode ?? 0) & 0o111) === 0 && named.executable?.(name) !== true;
  }

  /** Slot of what the manifest names in the place that a link dangles to; not of what is ignored, or need not come. */
  awaited(path: string): number | undefined {
    if (!this.hasManifest) return undefined;
    const slot = this.plan.find(path);
    return slot === undefined || this.ignored.has(slot) || !this.slots.isPromised(slot) ? undefined : slot;
  }

  /** Note what an error means for an entry. */
  failed(subject: Subject, error: unknown): void {
    const { place, name } = subject;
    // It is not waited for: nothing may be done to it when it comes.
    this.findings.failed(subject, this.isTooLong(place, name) ? pathTooLong(subject.path) : error);
  }
}
