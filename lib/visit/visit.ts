import type { Stats } from 'node:fs';
import { isExecutableFile } from '../detect.ts';
import type { EntryFacts, EntryType } from '../errors.ts';
import type { Ledger } from '../ledger.ts';
import type { Settings } from '../options.ts';
import type { Plan } from '../plan.ts';
import type { PlannedEntry } from '../planned.ts';
import { isDecodable } from '../root/names.ts';
import {
  type ChmodResult,
  errorCode,
  isSameInode,
  type ListedEntry,
  type Root,
  swapped,
  typeOf,
  UnsafePathError,
} from '../root/root.ts';
import { Findings } from './findings.ts';
import { Links } from './links.ts';

/** What chmod can set. */
const MODE_BITS = 0o7777;
const otherDeviceCode = 'ERR_PERMWALK_CROSS_DEVICE';
/** How often an entry may turn into another kind while it is being dealt with. */
const MAX_RELOOKS = 3;
const LOOKS_AT_LINKS = 3;

/** A directory's mode is right, was set, waits until what is in it is done, or could not be set (noted). */
type DirectoryOutcome = 'changed' | 'unchanged' | 'deferred' | 'failed';

/** Deals with one entry at a time: what is it, is it what the manifest says, which mode does it get. */
export class Visit {
  readonly #root: Root;
  readonly #settings: Settings;
  readonly #plan: Plan;
  readonly #ledger: Ledger;
  readonly #findings: Findings;
  readonly #links: Links;
  readonly #hasGlobs: boolean;
  /** Whether the last file was changed. */
  #isChanging = false;
  /** Directories whose new mode takes bits away: they are set when everything in them is done. */
  readonly #deferred = new Map<string, PlannedEntry | undefined>();
  /** Modes of directories that were opened until what is in them is done: the final mode is made of the first one. */
  readonly #opened = new Map<string, { from: number; to: number }>();
  /** Directories that were changed before their listing failed. */
  readonly #changedUnlisted = new Set<string>();
  /** Mount points that were not entered. */
  readonly #beyondDirectories = new Map<string, { error: unknown }>();
  /** Files of unknown mode that are executable by their first bytes. */
  readonly #detected = new Set<string>();
  /** Modes that files with more than one link would have by now, in a dry run. */
  readonly #wouldBe = new Map<string, number>();
  /** How often an entry turned into something else. */
  readonly #turned = new Map<string, number>();

  constructor(root: Root, settings: Settings, plan: Plan, ledger: Ledger) {
    this.#root = root;
    this.#settings = settings;
    this.#plan = plan;
    this.#ledger = ledger;
    this.#findings = new Findings(plan, ledger);
    const lookAgain = this.#lookAgain.bind(this);
    this.#links = new Links(root, settings, plan, ledger, this.#findings, lookAgain);
    this.#hasGlobs = plan.executable !== undefined || plan.ignore !== undefined;
  }

  /** Whether the walk goes into a directory that it found; for {@link walk}. */
  descend(path: string): boolean {
    return !this.#isLeftAlone(path, 'directory');
  }

  /** Deal with a directory that the walk goes into, and list it; for {@link walk}. */
  enter(path: string): ListedEntry[] {
    const planned = this.#findings.known(path);
    if (path !== '.' && planned === undefined) this.#countUnlisted();
    if (planned?.type === 'file' || planned?.type === 'symlink') {
      // What the manifest names below it all the same is visited by itself.
      this.#findings.mismatch(path, planned, { type: 'directory' });
      return [];
    }
    if (this.#beyondDirectories.has(path)) return [];
    const outcome = planned?.state === 'done' ? 'failed' : this.directory(path, planned);
    if (typeof outcome === 'object') return [];
    try {
      const entries = this.#root.list(path, this.#ledger.room + 1);
      this.#ledger.meet(entries.length);
      this.endDirectory(path, planned, outcome);
      if (planned !== undefined) planned.isWalked = true;
      return entries;
    } catch (error) {
      if (outcome === 'changed') this.#changedUnlisted.add(path);
      this.#findings.failed(path, planned ?? this.#findings.walk(path, 'directory'), error);
      return [];
    }
  }

  /** Deal with an entry that the walk found and that is no directory; for {@link walk}. */
  visit(path: string, entry: ListedEntry): void {
    if (this.#isLeftAlone(path, typeOf(entry))) return;
    const named = this.#findings.known(path);
    if (named?.state === 'done') return;
    const planned = named?.origin === 'implied' ? undefined : named;
    if (planned === undefined) this.#countUnlisted();
    this.entry(path, planned, typeOf(entry));
  }

  /** Look for an entry, and deal with it. */
  look(path: string, planned: PlannedEntry | undefined): void {
    const stats = this.#stats(path, planned);
    if (stats !== undefined) this.entry(path, planned, typeOf(stats), stats);
  }

  /** Look once more at an entry that was dealt with, and deal with it again where it is not as it was left. */
  confirm(planned: PlannedEntry): void {
    if (planned.ending === undefined || this.#isAsLeft(planned)) return;
    this.#ledger.reopen(planned);
    this.look(planned.path, planned);
  }

  #isAsLeft(planned: PlannedEntry): boolean {
    const { path, type, size } = planned;
    try {
      const stats = this.#root.lstat(path);
      if (stats === undefined) return false;
      // Where a link leads, and what else is no file, is found out anew.
      if (planned.ending === 'links' || planned.ending === 'special') return false;
      const isFile = stats.isFile();
      if (type !== undefined ? typeOf(stats) !== type : !isFile && !stats.isDirectory()) return false;
      if (isFile && this.#settings.verify === 'size' && size !== undefined && stats.size !== size)
        return false;
      return this.#settings.dryRun || planned.left === undefined || planned.left === (stats.mode & MODE_BITS);
    } catch {
      // Dealing with it again says what is wrong.
      return false;
    }
  }

  /**
   * Deal with an entry whose kind is known.
   *
   * @param stats its facts where they were looked at; they are looked at when they are needed
   */
  entry(path: string, planned: PlannedEntry | undefined, type: EntryType, stats?: Stats): void {
    if (type === 'file') this.#file(path, planned, stats);
    else if (type === 'symlink') this.#links.link(path, planned);
    else if (planned?.type !== undefined && planned.type !== type)
      this.#findings.mismatch(path, planned, { type });
    else if (type === 'other') this.#ledger.end(planned, 'special');
    else {
      const outcome = this.directory(path, planned);
      if (typeof outcome !== 'object') this.endDirectory(path, planned, outcome);
    }
  }

  /**
   * Go into a directory, and open it where its final mode would: what that takes away waits for the end.
   *
   * @returns what came of its mode, or what kept us out, which has been noted
   */
  directory(path: string, planned: PlannedEntry | undefined): DirectoryOutcome | { error: unknown } {
    let stats: Stats;
    try {
      stats = this.#root.enter(path);
      if (this.#isBeyond(path, stats)) throw otherDevice(path);
    } catch (error) {
      if (errorCode(error) === otherDeviceCode) this.#beyondDirectories.set(path, { error });
      this.#notEntered(path, planned, error);
      return { error };
    }
    return this.#directoryMode(path, planned, stats);
  }

  /** Deal with a directory of which nothing is asked but its mode: it need not be gone into. */
  leaf(path: string, planned: PlannedEntry): DirectoryOutcome | { error: unknown } {
    try {
      const stats = this.#root.lstat(path);
      if (stats?.isDirectory() && !this.#isBeyond(path, stats)) {
        return this.#directoryMode(path, planned, stats);
      }
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
    // Going into it says what is wrong.
    return this.directory(path, planned);
  }

  /** What keeps us out of a directory that the walk met: nothing, where it went in. */
  reached(planned: PlannedEntry): { error: unknown } | undefined {
    return this.#beyondDirectories.get(planned.path);
  }

  /** Note what came of a directory's mode, once it has been listed where it had to be. */
  endDirectory(path: string, planned: PlannedEntry | undefined, outcome: DirectoryOutcome): void {
    if (outcome === 'failed') return;
    if (outcome === 'deferred') {
      this.#deferred.set(path, planned);
      if (planned !== undefined) this.#ledger.arrived(planned);
      return;
    }
    const wasChanged = this.#changedUnlisted.delete(path);
    this.#ledger.end(planned, wasChanged ? 'changed' : outcome);
  }

  /** Note of a planned entry that it cannot be reached, for a reason that lies above it. */
  unreachable(planned: PlannedEntry, error: unknown): void {
    this.#findings.failed(planned.path, planned, error);
  }

  /** True where the root was removed while it was held open: nothing can appear in it any more. */
  isRootGone(): boolean {
    return this.#root.backend === 'anchored' && this.#root.lstat('.')?.nlink === 0;
  }

  /** What is left for the end: links, then modes that take something away from directories, the deepest first. */
  *endings(): Generator<void> {
    yield* this.#links.endings();
    for (const path of [...this.#deferred.keys()].sort().reverse()) {
      const planned = this.#deferred.get(path);
      this.#deferred.delete(path);
      this.#closeDirectory(path, planned);
      yield;
    }
  }

  #closeDirectory(path: string, planned: PlannedEntry | undefined): void {
    const stats = this.#stats(path, planned);
    if (stats !== undefined && !stats.isDirectory()) return this.entry(path, planned, typeOf(stats), stats);
    const ending = stats && this.#changeMode(path, planned, stats);
    this.#opened.delete(path);
    if (ending !== undefined) this.#ledger.end(planned, ending);
  }

  #file(path: string, planned: PlannedEntry | undefined, known: Stats | undefined): void {
    if (planned?.type === 'symlink') return this.#links.flattened(path, planned);
    if (planned?.type === 'directory') return this.#findings.mismatch(path, planned, { type: 'file' });
    const size = this.#settings.verify === 'size' ? planned?.size : undefined;
    if (size === undefined && !this.#plan.getsMode(path, planned))
      return this.#ledger.end(planned, 'unchanged');
    if (known === undefined && this.#changeAtOnce(path, planned, size)) return;
    const stats = known ?? this.#stats(path, planned);
    if (stats === undefined) return;
    if (!stats.isFile()) return this.entry(path, planned, typeOf(stats), stats);
    if (this.#isBeyond(path, stats)) return this.#beyond(path, planned);
    if (planned !== undefined && size !== undefined && stats.size !== size) {
      const actual: EntryFacts = { type: 'file', size: stats.size };
      return this.#ledger.wait(planned, {
        reason: 'size-mismatch',
        expected: { type: 'file', size },
        actual,
      });
    }
    if (this.#plan.isDetectable(path, planned) && !this.#detect(path, planned, stats)) return;
    const ending = this.#changeMode(path, planned, stats);
    this.#isChanging = ending === 'changed';
    if (ending !== undefined) this.#ledger.end(planned, ending);
  }

  /**
   * Where the last file was changed the next one most likely will be, too: change it without a look before, which a
   * change does not need. False where it is not a plain case, and nothing was done.
   */
  #changeAtOnce(path: string, planned: PlannedEntry | undefined, size: number | undefined): boolean {
    const { dryRun, hardLinks } = this.#settings;
    if (!this.#isChanging || dryRun || hardLinks !== 'apply') return false;
    if (this.#plan.isDetectable(path, planned)) return false;
    let target = 0;
    let result: ChmodResult;
    this.#isChanging = false;
    try {
      result = this.#root.chmod(path, (found) => {
        const isPlain = found.isFile() && !this.#isBeyond(path, found) && (size ?? found.size) === found.size;
        target = isPlain ? this.#target(path, planned, found) : found.mode & MODE_BITS;
        this.#isChanging = target !== (found.mode & MODE_BITS);
        return this.#isChanging ? target : undefined;
      });
    } catch (error) {
      // Where nothing was begun, a look says what is wrong.
      if (this.#isChanging) this.#findings.failed(path, planned, error);
      return this.#isChanging;
    }
    if (result.after === undefined) return false;
    const ending = this.#endChange(path, planned, result.before.mode, result.after, target);
    if (ending !== undefined) this.#ledger.end(planned, ending);
    return true;
  }

  /** Look into a file where that may change its mode. False where that failed, which has been noted. */
  #detect(path: string, planned: PlannedEntry | undefined, stats: Stats): boolean {
    this.#detected.delete(path);
    const mode = stats.mode & MODE_BITS;
    if (this.#settings.modeRule(mode, false, planned?.mode, true) === mode) return true;
    try {
      if (isExecutableFile((length) => this.#root.read(path, length))) this.#detected.add(path);
      return true;
    } catch (error) {
      // EINVAL and ELOOP: it is no file any more.
      if (['EINVAL', 'ELOOP'].includes(errorCode(error) ?? '')) this.#lookAgain(path, planned);
      else this.#findings.failed(path, planned, error);
      return false;
    }
  }

  #directoryMode(path: string, planned: PlannedEntry | undefined, stats: Stats): DirectoryOutcome {
    const mode = stats.mode & MODE_BITS;
    const target = this.#target(path, planned, stats);
    const takesAway = (mode & ~target & 0o777) !== 0;
    if (!takesAway) return this.#changeMode(path, planned, stats) ?? 'failed';
    const opens = (target & ~mode & 0o500) !== 0;
    if (!opens || this.#settings.dryRun) return 'deferred';
    let from = mode;
    const opened = this.#setMode(path, planned, stats, (found) => {
      from = found.mode & MODE_BITS;
      return from | target;
    });
    if (opened === undefined) return 'failed';
    this.#opened.set(path, { from, to: from | target });
    return 'deferred';
  }

  /** Bring an entry to its mode. `undefined` where that failed or has to wait, which has been noted. */
  #changeMode(
    path: string,
    planned: PlannedEntry | undefined,
    stats: Stats,
  ): 'changed' | 'unchanged' | undefined {
    const mode = this.#presentMode(stats);
    const target = this.#target(path, planned, stats);
    if (target === mode) return this.#leave(planned, mode, 'unchanged');
    if (this.#isSharedFile(stats)) {
      this.#sharedFile(path, planned, stats);
      return undefined;
    }
    if (this.#settings.dryRun) {
      if (stats.nlink > 1 && stats.isFile()) this.#wouldBe.set(inodeOf(stats), target);
      this.#settings.onChange?.({ path, from: mode, to: target });
      return 'changed';
    }
    return this.#setMode(path, planned, stats, (found) => this.#target(path, planned, found));
  }

  #setMode(
    path: string,
    planned: PlannedEntry | undefined,
    seen: Stats,
    wanted: (found: Stats) => number,
  ): 'changed' | 'unchanged' | undefined {
    let isOther = false;
    let target = 0;
    let result: ChmodResult;
    try {
      result = this.#root.chmod(path, (found) => {
        isOther =
          typeOf(found) !== typeOf(seen) || this.#isBeyond(path, found) || !this.#isOnlyHere(path, found);
        if (isOther) return undefined;
        target = wanted(found);
        return target === (found.mode & MODE_BITS) ? undefined : target;
      });
    } catch (error) {
      this.#findings.failed(path, planned, error);
      return undefined;
    }
    if (isOther) {
      this.#lookAgain(path, planned);
      return undefined;
    }
    if (result.after === undefined) return this.#leave(planned, target, 'unchanged');
    return this.#endChange(path, planned, result.before.mode, result.after, target);
  }

  /** Note what a chmod left: the mode that was wanted, or another, where the file system does not keep modes. */
  #endChange(
    path: string,
    planned: PlannedEntry | undefined,
    before: number,
    after: number,
    target: number,
  ): 'changed' | undefined {
    const [from, to] = [before & MODE_BITS, after & MODE_BITS];
    if (from !== to) this.#settings.onChange?.({ path, from, to });
    if (to === target) return this.#leave(planned, to, 'changed');
    const facts = {
      reason: 'not-applied',
      syscall: 'chmod',
      expected: { mode: target },
      actual: { mode: to },
    } as const;
    this.#ledger.fail(path, planned, facts);
    return undefined;
  }

  #leave<E extends 'changed' | 'unchanged'>(planned: PlannedEntry | undefined, mode: number, ending: E): E {
    if (planned !== undefined) planned.left = mode;
    return ending;
  }

  /** An entry turned into something else between two looks. */
  #lookAgain(path: string, planned: PlannedEntry | undefined): void {
    const times = (this.#turned.get(path) ?? 0) + 1;
    this.#turned.set(path, times);
    if (times > MAX_RELOOKS) this.#findings.failed(path, planned, swapped(path));
    else this.look(path, planned);
  }

  /** Mode of an entry; in a dry run, that which a change by another of its names would have left. */
  #presentMode(stats: Stats): number {
    const mode = stats.mode & MODE_BITS;
    return this.#wouldBe.size === 0 ? mode : (this.#wouldBe.get(inodeOf(stats)) ?? mode);
  }

  #target(path: string, planned: PlannedEntry | undefined, stats: Stats): number {
    const { modeRule } = this.#settings;
    const mode = this.#presentMode(stats);
    if (stats.isDirectory()) {
      const opened = this.#opened.size > 0 ? this.#opened.get(path) : undefined;
      return modeRule(opened?.to === mode ? opened.from : mode, true, planned?.mode, false);
    }
    const isMatched = this.#plan.executable?.(path) === true || this.#detected.has(path);
    return modeRule(mode, false, planned?.mode, isMatched);
  }

  #isSharedFile(stats: Stats): boolean {
    return this.#settings.hardLinks !== 'apply' && stats.nlink > 1 && stats.isFile();
  }

  /**
   * Unless files with more than one link are changed: whether what was opened still has one, which is this one. A link
   * that was put here and removed since would leave the one elsewhere. It may even be removed while lstat looks, between
   * the name and the count: hence more than one look.
   */
  #isOnlyHere(path: string, found: Stats): boolean {
    if (this.#settings.hardLinks === 'apply' || !found.isFile()) return true;
    for (let looks = 0; looks < LOOKS_AT_LINKS; looks += 1) {
      const named = this.#root.lstat(path);
      if (named === undefined || !isSameInode(named, found) || named.nlink !== 1) return false;
    }
    return true;
  }

  #sharedFile(path: string, planned: PlannedEntry | undefined, stats: Stats): void {
    if (this.#settings.hardLinks === 'skip') return this.#ledger.end(planned, 'ignored');
    const actual: EntryFacts = { type: 'file', mode: stats.mode & MODE_BITS };
    const expected: EntryFacts = { mode: this.#target(path, planned, stats) };
    this.#ledger.fail(path, planned, { reason: 'hard-linked', expected, actual });
  }

  #isBeyond(path: string, stats: Stats): boolean {
    return !this.#settings.crossDevice && path !== '.' && this.#root.isMountPoint(path, stats);
  }

  /** Something on another device: left alone, and unresolved where the manifest names it. */
  #beyond(path: string, planned: PlannedEntry | undefined): void {
    if (planned?.origin === 'listed') this.#findings.failed(path, planned, otherDevice(path));
    else this.#ledger.end(planned, 'ignored');
  }

  /** True where globs leave an entry alone: they name it, or cannot tell because its name is not text. Notes which. */
  #isLeftAlone(path: string, type: EntryType): boolean {
    if (this.#hasGlobs && !isDecodable(path)) {
      this.#ledger.fail(path, undefined, { reason: 'undecodable-name', actual: { type } });
      return true;
    }
    if (!this.#plan.ignore?.(path)) return false;
    this.#ledger.end(undefined, 'ignored');
    return true;
  }

  #countUnlisted(): void {
    if (!this.#plan.hasManifest) return;
    this.#ledger.counts.unlisted += 1;
  }

  /** Facts of an entry; `undefined` where there are none, which has been noted. */
  #stats(path: string, planned: PlannedEntry | undefined): Stats | undefined {
    try {
      const stats = this.#root.lstat(path);
      if (stats === undefined) this.#findings.missing(path, planned, { code: 'ENOENT', syscall: 'lstat' });
      return stats;
    } catch (error) {
      this.#findings.failed(path, planned, error);
      return undefined;
    }
  }

  /** A directory that could not be gone into: gone, something else, a link, a mount point, or an error. */
  #notEntered(path: string, planned: PlannedEntry | undefined, error: unknown): void {
    const code = errorCode(error);
    if (code === otherDeviceCode) return this.#beyond(path, planned);
    const isLink =
      error instanceof UnsafePathError && error.reason === 'symlink-in-path' && error.path === path;
    if (planned?.origin === 'listed' && (isLink || code === 'ENOTDIR')) {
      const stats = this.#stats(path, planned);
      if (stats !== undefined && !stats.isDirectory()) this.entry(path, planned, typeOf(stats), stats);
      else if (stats !== undefined) this.#lookAgain(path, planned);
      return;
    }
    this.#findings.failed(path, planned ?? this.#findings.walk(path, 'directory'), error);
  }
}

function inodeOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

function otherDevice(path: string): UnsafePathError {
  return new UnsafePathError(
    'unsafe-path',
    otherDeviceCode,
    path,
    'will not enter the mount point (crossDevice)',
  );
}
