import type { Directory, OpenFile } from '../directory/directory.ts';
import { type EntryStats, isSameEntry, isSameTime, isUnwritten } from '../directory/entry-stats.ts';
import { errorCode } from '../directory/errors.ts';
import type { EntryFacts } from '../errors.ts';
import { digestOf, type ManifestDigest, type ManifestEntry } from '../manifest/manifest.ts';
import { isExecutableFile, readerOf } from '../modes/detect.ts';
import { SLICE_BYTES } from '../slices.ts';
import type { Course, Digesting } from './course.ts';
import type { Modes } from './modes.ts';
import { isSameVersion, type Reading, Readings, readingOf } from './readings.ts';
import type { Subject } from './slots.ts';

const OWNER_READS = 0o400;

/** A file whose content is to be verified. */
export interface Promised {
  readonly subject: Subject;
  readonly digest: ManifestDigest;
  /** Whether globs say that it is executable. */
  readonly isMatched: boolean;
  /** Whether its first bytes may say so. */
  readonly isDetectable: boolean;
}

/**
 * Verifies the content of files. A file with the right content gets its mode through the descriptor that was read. Large files are
 * noted, and read in slices by {@link verifyAll}.
 */
export class Content {
  readonly #course: Course;
  readonly #modes: Modes;
  readonly #digesting: Digesting;
  readonly #lookAgain: (subject: Subject) => void;
  #promised: Promised[] = [];
  readonly #readings = new Readings();
  /** Files that were changed before they could be read, or were written to while they were changed. */
  readonly #granted = new Set<number>();
  /** When a file that was verified had changed last, by slot; 0 for any other. */
  readonly #verified: Float64Array;

  /** @param lookAgain called for what is no file any more */
  constructor(course: Course, modes: Modes, digesting: Digesting, lookAgain: (subject: Subject) => void) {
    this.#course = course;
    this.#modes = modes;
    this.#digesting = digesting;
    this.#lookAgain = lookAgain;
    this.#verified = new Float64Array(course.plan.size);
  }

  /** The digest that a file must have, where it is one that can be made here. */
  digestOf(facts: ManifestEntry): ManifestDigest | undefined {
    const digest = digestOf(facts);
    return digest !== undefined && this.#digesting.canDigest(digest.algorithm) ? digest : undefined;
  }

  /** Verify a file: at once where it is small, else when {@link verifyAll} comes to it. */
  verify(promised: Promised, directory: Directory): void {
    const { slots, slices } = this.#course;
    const size = slots.facts(promised.subject.slot)?.size;
    if (size === undefined || size >= SLICE_BYTES || !slices.hasRoomFor(size)) {
      this.#promised.push(promised);
      return;
    }
    const file = this.#open(promised, directory);
    if (file === undefined) return;
    try {
      if (!this.#isOther(promised.subject, directory, file.stats)) {
        this.#conclude(promised, directory, file, this.#readAtOnce(promised, file));
      }
    } finally {
      file.close();
    }
  }

  /** Whether there is something for {@link verifyAll}. */
  get hasPromised(): boolean {
    return this.#promised.length > 0;
  }

  /** Whether a file has not changed since it was verified, where it was. */
  isAsVerified(slot: number, { ctimeMs }: EntryStats): boolean {
    const verified = this.#verified[slot] as number;
    return verified === 0 || isSameTime(verified, ctimeMs);
  }

  /** Verify everything that was put down since. Yields where a slice is over. */
  *verifyAll(): Generator<void> {
    const { slots, slices } = this.#course;
    while (this.#promised.length > 0) {
      const promised = this.#promised;
      this.#promised = [];
      for (const one of promised) {
        const { size = SLICE_BYTES } = slots.facts(one.subject.slot) ?? {};
        if (!slices.hasRoomFor(Math.min(size, SLICE_BYTES))) yield;
        yield* this.#verifyNow(one);
      }
    }
  }

  *#verifyNow(promised: Promised): Generator<void> {
    const { subject } = promised;
    let directory: Directory;
    try {
      directory = this.#course.tree.goTo(subject.place);
    } catch (error) {
      return this.#failed(subject, error);
    }
    const file = this.#open(promised, directory);
    if (file === undefined) return;
    try {
      if (this.#isOther(subject, directory, file.stats)) return;
      const isSmall = file.stats.size < SLICE_BYTES;
      const read = isSmall ? this.#readAtOnce(promised, file) : yield* this.#readInSlices(promised, file);
      this.#conclude(promised, directory, file, read);
    } finally {
      file.close();
    }
  }

  /** `undefined` where it cannot be opened, which has been noted. */
  #open(promised: Promised, directory: Directory): OpenFile | undefined {
    const { subject } = promised;
    const name = subject.name as string;
    try {
      return directory.open(name);
    } catch (error) {
      if (errorCode(error) !== 'EACCES') return this.#failed(subject, error);
      if (!this.#grantReading(promised, directory, error)) return undefined;
    }
    try {
      return directory.open(name);
    } catch (error) {
      return this.#failed(subject, error);
    }
  }

  /** Give a file that its owner may not read its mode first, where that lets it be read. False where it was noted why not. */
  #grantReading({ subject, isMatched }: Promised, directory: Directory, refusal: unknown): boolean {
    const name = subject.name as string;
    let stats: EntryStats | undefined;
    try {
      stats = directory.lstat(name);
      if (stats?.type !== 'file') this.#lookAgain(subject);
      if (stats?.type !== 'file' || this.#isOther(subject, directory, stats)) return false;
    } catch (error) {
      this.#failed(subject, error);
      return false;
    }
    const target = this.#modes.target(subject.slot, stats, isMatched);
    if (this.#course.settings.dryRun || (target & ~stats.mode & OWNER_READS) === 0) {
      this.#failed(subject, refusal);
      return false;
    }
    if (this.#modes.change(subject, { directory, name }, stats, isMatched) === undefined) return false;
    this.#granted.add(subject.slot);
    return true;
  }

  /** True for what lies on another file system or has another size, which has been noted. */
  #isOther(subject: Subject, directory: Directory, stats: EntryStats): boolean {
    const { findings, slots } = this.#course;
    const size = slots.facts(subject.slot)?.size ?? stats.size;
    try {
      if (this.#modes.isBeyond(subject, directory, subject.name as string, stats)) findings.beyond(subject);
      else if (size !== stats.size) findings.otherSize(subject, size, stats);
      else return false;
    } catch (error) {
      this.#failed(subject, error);
    }
    return true;
  }

  /** What was read of a small file. `undefined` where that failed, which has been noted. */
  #readAtOnce({ subject, digest }: Promised, file: OpenFile): Reading | undefined {
    const known = this.#readings.known(subject.slot, file.stats);
    if (known !== undefined) return known;
    const begun = Date.now();
    this.#course.slices.spend(file.stats.size);
    try {
      return readingOf(file.stats, begun, this.#digesting.digestAtOnce(file, digest.algorithm));
    } catch (error) {
      return this.#failed(subject, error);
    }
  }

  /** The same of any file. */
  *#readInSlices({ subject, digest }: Promised, file: OpenFile): Generator<void, Reading | undefined> {
    const known = this.#readings.known(subject.slot, file.stats);
    if (known !== undefined) return known;
    const begun = Date.now();
    const { slices } = this.#course;
    try {
      const value = yield* this.#digesting.digestInChunks(file, digest.algorithm, (bytes) =>
        slices.spend(bytes),
      );
      return readingOf(file.stats, begun, isUnwritten(file.now(), file.stats) ? value : undefined);
    } catch (error) {
      return this.#failed(subject, error);
    }
  }

  #conclude(promised: Promised, directory: Directory, file: OpenFile, read: Reading | undefined): void {
    if (read?.value === promised.digest.value) this.#end(promised, directory, file);
    else if (read !== undefined) this.#wait(promised, read);
  }

  /** A file whose content is another one. */
  #wait({ subject, digest }: Promised, read: Reading): void {
    const { ledger, slots } = this.#course;
    const { slot } = subject;
    if (this.#readings.note(slot, read)) ledger.progressed = true;
    const expected: EntryFacts = { type: 'file', digest };
    const size = slots.facts(slot)?.size;
    if (size !== undefined) expected.size = size;
    const actual: EntryFacts = { type: 'file', size: read.version.size };
    if (read.value !== undefined) actual.digest = { algorithm: digest.algorithm, value: read.value };
    ledger.wait(subject, { reason: 'content-mismatch', expected, actual });
  }

  /** A file whose content is the promised one gets its mode. */
  #end(promised: Promised, directory: Directory, file: OpenFile): void {
    const { subject, isMatched, isDetectable } = promised;
    const { slot } = subject;
    const name = subject.name as string;
    this.#readings.forget(slot);
    // While a large file was read, another one may have got its name.
    if (file.stats.size >= SLICE_BYTES && !isNamed(directory, name, file)) {
      return this.#lookAgain(subject);
    }
    const { stats } = file;
    let isRun = isMatched;
    let isAsRead = true;
    try {
      isRun ||= isDetectable && this.#modes.mayGain(slot, stats) && isExecutableFile(readerOf(file));
      // Before a change of mode: the digest says nothing of what was written after the reading.
      const isChanging = this.#modes.target(slot, stats, isRun) !== this.#modes.present(stats);
      if (isChanging) isAsRead = isSameVersion(file.now(), stats);
    } catch (error) {
      return this.#failed(subject, error);
    }
    if (!isAsRead) return this.#wait(promised, changedSince(stats));
    const ending = this.#modes.change(subject, { directory, name, file }, stats, isRun);
    if (ending === undefined) return;
    if (ending === 'changed') this.#granted.add(slot);
    const after = ending === 'changed' ? factsNow(file) : stats;
    if (after !== undefined && !isUnwritten(after, stats)) return this.#wait(promised, changedSince(stats));
    // An unknown time counts as changed in the final look.
    this.#verified[slot] = after?.ctimeMs ?? Number.NaN;
    this.#course.ledger.end(slot, this.#granted.delete(slot) ? 'changed' : ending);
  }

  /** EINVAL and ELOOP say that it is no file any more. */
  #failed(subject: Subject, error: unknown): undefined {
    if (['EINVAL', 'ELOOP'].includes(errorCode(error) ?? '')) this.#lookAgain(subject);
    else this.#course.failed(subject, error);
  }
}

function isNamed(directory: Directory, name: string, file: OpenFile): boolean {
  try {
    const stats = directory.lstat(name);
    return stats !== undefined && isSameEntry(stats, file.stats);
  } catch {
    // Whoever looks again says what is wrong.
    return false;
  }
}

/** Facts of a file now; `undefined` where that cannot be told. */
function factsNow(file: OpenFile): EntryStats | undefined {
  try {
    return file.now();
  } catch {
    return undefined;
  }
}

/** What counts as read of a file that changed after it was read. */
function changedSince(stats: EntryStats): Reading {
  return readingOf(stats, 0, undefined);
}
