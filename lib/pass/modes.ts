import type { ChmodResult, Directory, OpenFile, Trust } from '../directory/directory.ts';
import { type EntryStats, isSameEntry } from '../directory/entry-stats.ts';
import type { EntryFacts } from '../errors.ts';
import type { Course } from './course.ts';
import { SharedFiles } from './shared-files.ts';
import { NO_SLOT, type Subject } from './slots.ts';
import { wantsAll } from './told.ts';

/** How often a file is looked at for other links: one may be removed while lstat looks, between the name and the count. */
const LOOKS_AT_LINKS = 3;
const SPECIAL_BITS = 0o7000;

/** The entry whose mode is at stake: its name in a held directory, `.` for that directory itself. */
export interface Handle {
  readonly directory: Directory;
  readonly name: string;
  /** The file itself, where its content was read: nothing else is changed then, whatever bears its name. */
  readonly file?: OpenFile;
}

/** Brings entries to their modes. */
export class Modes {
  /** That a file has no other link is proved of an inode. */
  readonly trust: Trust;
  readonly #course: Course;
  readonly #turned: (subject: Subject) => void;
  /** Modes that files with more than one link would have by now, in a dry run. */
  readonly #wouldBe = new Map<string, number>();
  /** Files with more than one name that were changed. */
  readonly #shared = new Set<string>();
  /**
   * Directories that were opened up until their content is done, by path, with the modes that they had first: the final mode is
   * computed from that. The path and the inode identify them: another directory may have taken the path, or the inode's number.
   */
  readonly #opened = new Map<string, { entry: string; from: number; to: number }>();

  readonly #sharedFiles: SharedFiles;
  /** What the owner needs of a directory to work in it. */
  readonly #neededInside: number;

  /** @param turned called for what turned into something else between two looks */
  constructor(course: Course, turned: (subject: Subject) => void) {
    this.#course = course;
    this.#turned = turned;
    this.#sharedFiles = new SharedFiles(course.tree, course.plan, course.slots);
    this.#neededInside = course.settings.flattenedLinks === 'restore' ? 0o700 : 0o500;
    this.trust = course.settings.hardLinks === 'apply' ? 'name' : 'inode';
  }

  /** Whether it is a hard link that an extractor may have made to a file outside. */
  mayBeOutside(slot: number): boolean {
    return this.#sharedFiles.mayBeOutside(slot);
  }

  /** The mode that an entry gets. */
  target(slot: number, stats: EntryStats, isMatched: boolean, mode = this.present(stats)): number {
    const { settings, slots, keepsSpecialBits } = this.#course;
    let manifestMode = slot === NO_SLOT ? undefined : slots.facts(slot)?.mode;
    if (manifestMode !== undefined && !keepsSpecialBits) manifestMode &= 0o777;
    return settings.modeRule(mode, stats.type === 'directory', manifestMode, isMatched);
  }

  /** Whether the mode of a file would change if its first bytes said that it is executable. */
  mayGain(slot: number, { mode }: EntryStats): boolean {
    const { settings, slots } = this.#course;
    return settings.modeRule(mode, false, slots.facts(slot)?.mode, true) !== mode;
  }

  /** The mode that a directory gets, made of the one that it had before it was opened. */
  directoryTarget({ place, slot }: Subject, stats: EntryStats): number {
    const mode = this.present(stats);
    const opened = this.#opened.size === 0 ? undefined : this.#opened.get(place.path);
    const isOpened = opened?.to === mode && opened.entry === keyOf(stats);
    return this.target(slot, stats, false, isOpened ? opened.from : mode);
  }

  /** The mode that a directory has until everything in it is done: what its final mode takes away waits for the end. */
  meanwhile(subject: Subject, stats: EntryStats): number {
    const target = this.directoryTarget(subject, stats);
    if ((stats.mode & ~target & 0o777) === 0) return target;
    const opens = (target & ~stats.mode & this.#neededInside) !== 0;
    return opens ? stats.mode | target : stats.mode;
  }

  #targetOf(subject: Subject, stats: EntryStats, isMatched: boolean): number {
    if (stats.type === 'directory') return this.directoryTarget(subject, stats);
    return this.target(subject.slot, stats, isMatched);
  }

  /** Mode of an entry; in a dry run, that which a change by another of its names would have left. */
  present(stats: EntryStats): number {
    return this.#wouldBe.size === 0 ? stats.mode : (this.#wouldBe.get(keyOf(stats)) ?? stats.mode);
  }

  /**
   * Bring an entry to its mode.
   *
   * @param isMatched whether the globs, or its first bytes, say that it is executable
   * @returns `undefined` where that failed or has to wait, which has been noted
   */
  change(
    subject: Subject,
    handle: Handle,
    stats: EntryStats,
    isMatched: boolean,
  ): 'changed' | 'unchanged' | undefined {
    const { settings } = this.#course;
    const mode = this.present(stats);
    const target = this.#targetOf(subject, stats, isMatched);
    if (target === mode) return this.#end(subject, mode, 'unchanged');
    if (settings.hardLinks !== 'apply' && isShared(stats)) {
      this.#spared(subject, stats, target);
      return undefined;
    }
    if (stats.nlink > this.#sharedFiles.mostLinks(subject.slot, stats)) {
      this.#failShared(subject, stats, target);
      return undefined;
    }
    if (settings.dryRun) {
      if (isShared(stats)) this.#wouldBe.set(keyOf(stats), target);
      this.#tell(subject, stats, mode, target);
      return this.#checkSpecialBits(subject, target, 'changed');
    }
    let left = target;
    const ending = this.#set(subject, handle, stats, (found) => {
      left = this.#targetOf(subject, found, isMatched);
      return left;
    });
    return ending && this.#checkSpecialBits(subject, left, ending);
  }

  /**
   * Open a directory up to its owner, if its final mode does that. Bits that the final mode takes away are taken at the end.
   *
   * @returns false where that failed, which has been noted
   */
  open(subject: Subject, handle: Handle, stats: EntryStats, target: number): boolean {
    let from = stats.mode;
    const outcome = this.#set(subject, handle, stats, (found) => {
      from = found.mode;
      return from | target;
    });
    if (outcome === undefined) return false;
    this.#opened.set(subject.place.path, { entry: keyOf(stats), from, to: from | target });
    return true;
  }

  /** A directory that was opened has its final mode. */
  close({ place }: Subject): void {
    if (this.#opened.size > 0) this.#opened.delete(place.path);
  }

  /** Note what a change of a file left: see {@link change}. */
  noteChange(subject: Subject, result: ChmodResult, target: number): 'changed' | undefined {
    const ending = this.#note(subject, result, target);
    return ending && this.#checkSpecialBits(subject, target, ending);
  }

  /** Note what a chmod left: the mode that was wanted, or another, where the file system does not keep modes. */
  #note(subject: Subject, { before, after }: ChmodResult, target: number): 'changed' | undefined {
    const [from, to] = [before.mode, after as number];
    if (from !== to) this.#tell(subject, before, from, to);
    if (to === target) return this.#leave(subject.slot, to, 'changed');
    const facts = { syscall: 'chmod', expected: { mode: target }, actual: { mode: to } };
    this.#course.ledger.fail(subject, { reason: 'not-applied', ...facts });
    return undefined;
  }

  /** Say that a mode was changed; of a file with more than one name, count the first time. */
  #tell(subject: Subject, stats: EntryStats, from: number, to: number): void {
    const { settings, ledger } = this.#course;
    const isOne = !isShared(stats);
    const known = this.#shared.size;
    if (!isOne && this.#shared.add(keyOf(stats)).size > known) ledger.countHardLinked();
    // Nobody is told of a path that nobody asks for: it may be very deep.
    if (settings.onChange === undefined || (isOne && !wantsAll(settings.onChange))) return;
    const change = { path: subject.path, from, to };
    settings.onChange(isOne ? change : { ...change, names: stats.nlink });
  }

  /** Remember the mode that an entry is left with. */
  #leave<E extends 'changed' | 'unchanged'>(slot: number, mode: number, ending: E): E {
    if (slot !== NO_SLOT) this.#course.slots.setLeft(slot, mode);
    return ending;
  }

  #end(subject: Subject, mode: number, ending: 'unchanged'): 'unchanged' | undefined {
    return this.#checkSpecialBits(subject, mode, this.#leave(subject.slot, mode, ending));
  }

  /** An entry that has its permissions, and lacks a special bit that was recorded: that is never added, and never passed over. */
  #checkSpecialBits<E extends 'changed' | 'unchanged'>(
    subject: Subject,
    mode: number,
    ending: E,
  ): E | undefined {
    const { slots, keepsSpecialBits, ledger } = this.#course;
    if (!keepsSpecialBits || subject.slot === NO_SLOT) return ending;
    const wanted = mode | ((slots.facts(subject.slot)?.mode ?? 0) & SPECIAL_BITS);
    if (wanted === mode) return ending;
    ledger.fail(subject, { reason: 'special-bits', expected: { mode: wanted }, actual: { mode } });
    return undefined;
  }

  #set(
    subject: Subject,
    { directory, name, file }: Handle,
    seen: EntryStats,
    wanted: (found: EntryStats) => number,
  ): 'changed' | 'unchanged' | undefined {
    const mostLinks = this.#sharedFiles.mostLinks(subject.slot, seen);
    let isOther = false;
    let target = 0;
    let result: ChmodResult;
    try {
      const decide = (found: EntryStats) => {
        isOther =
          found.type !== seen.type ||
          found.nlink > mostLinks ||
          this.isBeyond(subject, directory, name, found) ||
          !this.#isOnlyHere(directory, name, found);
        if (isOther) return undefined;
        target = wanted(found);
        return target === found.mode ? undefined : target;
      };
      const trust = mostLinks === Number.POSITIVE_INFINITY ? this.trust : 'inode';
      result = file === undefined ? directory.chmod(name, decide, trust) : file.chmod(decide);
    } catch (error) {
      this.#course.failed(subject, error);
      return undefined;
    }
    if (isOther) {
      this.#turned(subject);
      return undefined;
    }
    if (result.after === undefined) return this.#leave(subject.slot, target, 'unchanged');
    return this.#note(subject, result, target);
  }

  /** True for what lies on another file system, or under a mount, unless those are entered. */
  isBeyond({ place, name }: Subject, directory: Directory, entry: string, found: EntryStats): boolean {
    if (this.#course.settings.crossDevice || (place.parent === undefined && name === undefined)) return false;
    return directory.isMountPoint(entry, found);
  }

  /**
   * With `hardLinks: 'apply'`, true. Otherwise: whether the file that was opened still has this name, and no other. If somebody had
   * made a link here and removed it since, the only name would be elsewhere.
   */
  #isOnlyHere(directory: Directory, name: string, found: EntryStats): boolean {
    if (this.#course.settings.hardLinks === 'apply' || found.type !== 'file') return true;
    for (let looks = 0; looks < LOOKS_AT_LINKS; looks += 1) {
      const named = directory.lstat(name);
      if (named === undefined || !isSameEntry(named, found) || named.nlink !== 1) return false;
    }
    return true;
  }

  #spared(subject: Subject, stats: EntryStats, target: number): void {
    if (this.#course.settings.hardLinks === 'skip') return this.#course.ledger.end(subject.slot, 'ignored');
    this.#failShared(subject, stats, target);
  }

  #failShared(subject: Subject, stats: EntryStats, target: number): void {
    const { ledger } = this.#course;
    const actual: EntryFacts = { type: 'file', mode: stats.mode };
    ledger.fail(subject, { reason: 'hard-linked', expected: { mode: target }, actual });
  }
}

/** Whether a file has another name, here or elsewhere. */
export function isShared({ nlink, type }: EntryStats): boolean {
  return nlink > 1 && type === 'file';
}

function keyOf({ dev, ino }: EntryStats): string {
  return `${dev}:${ino}`;
}
