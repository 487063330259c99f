import type { ChmodResult, Listing, OpenFile } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode } from '../directory/errors.ts';
import { type ManifestDigest, traitsOf } from '../manifest/manifest.ts';
import { isExecutableFile, readerOf } from '../modes/detect.ts';
import type { Content } from './content.ts';
import type { Course, Scope } from './course.ts';
import type { FlattenedLinks } from './flattened.ts';
import { isShared, type Modes } from './modes.ts';
import { NO_SLOT, Subject } from './slots.ts';
import { wantsAll } from './told.ts';

/** What files ask of the rest of the pass. */
export interface FileVisitor {
  /** Deal with what turned out to be no file. */
  other(scope: Scope, name: string, slot: number, stats: EntryStats): void;
  /** Look for an entry again that turned into something else. */
  lookAgain(subject: Subject): void;
}

/** Deals with files: are they what the manifest says, which mode do they get. */
export class Files {
  readonly #course: Course;
  readonly #modes: Modes;
  readonly #flattened: FlattenedLinks;
  readonly #visitor: FileVisitor;
  readonly #content: Content | undefined;
  /** Whether a change needs no look before it, as long as each file is changed. */
  readonly #mayChangeAtOnce: boolean;
  /** Whether every file is dealt with alike, whatever its name. */
  readonly #isNameless: boolean;
  /** Whether the last file was changed. */
  #isChanging = false;

  constructor(
    course: Course,
    modes: Modes,
    flattened: FlattenedLinks,
    content: Content | undefined,
    visitor: FileVisitor,
  ) {
    this.#course = course;
    this.#modes = modes;
    this.#flattened = flattened;
    this.#content = content;
    this.#visitor = visitor;
    const { settings } = course;
    this.#isNameless =
      !course.hasManifest && !course.hasGlobs && settings.modeFrom === 'all' && !settings.detect;
    this.#mayChangeAtOnce = !settings.dryRun && settings.hardLinks === 'apply';
  }

  /**
   * Deal with what is a file, or was when its directory was listed.
   *
   * @param known its facts where it was looked at; it is looked at where that is needed
   */
  visit(scope: Scope, name: string, slot: number, known?: EntryStats): void {
    const { slots, ledger } = this.#course;
    const facts = slot === NO_SLOT ? undefined : slots.facts(slot);
    const type = slot === NO_SLOT ? undefined : slots.type(slot);
    if (type === 'symlink') return this.#flattened.visit(scope, name, slot);
    if (type === 'directory') {
      if (traitsOf(facts).isPerhapsEmptyFile === true) return this.#visitEmpty(scope, name, slot, known);
      return this.#course.findings.mismatch(new Subject(scope.place, name, slot), { type: 'file' });
    }
    if (this.#content !== undefined && facts !== undefined) {
      const digest = this.#content.digestOf(facts);
      if (digest !== undefined) return this.#verify(this.#content, scope, name, slot, digest);
      slots.setUnverified(slot, true);
    }
    const size = this.#course.checksSize ? facts?.size : undefined;
    if (size === undefined && !this.#course.getsMode(scope, name, facts))
      return ledger.end(slot, 'unchanged');
    const isDetectable = this.#course.isDetectable(scope, name, facts);
    const mayChangeAtOnce = this.#mayChangeAtOnce && !this.#modes.mayBeOutside(slot);
    if (known === undefined && this.#isChanging && mayChangeAtOnce && !isDetectable) {
      if (this.#changeAtOnce(scope, name, slot, size)) return;
    }
    const stats = known ?? this.#look(scope, name, slot);
    if (stats === undefined) return;
    if (stats.type !== 'file') return this.#visitor.other(scope, name, slot, stats);
    const isMatched = scope.executable?.(name) === true;
    // Most files of most trees are as they should be: nothing is made for them.
    if (slot === NO_SLOT && !isDetectable && this.#isRight(scope, name, stats, isMatched)) {
      this.#isChanging = false;
      return ledger.end(NO_SLOT, 'unchanged');
    }
    this.#deal(new Subject(scope.place, name, slot), scope, stats, size, isMatched, isDetectable);
  }

  #verify(content: Content, scope: Scope, name: string, slot: number, digest: ManifestDigest): void {
    const subject = new Subject(scope.place, name, slot);
    const isMatched = scope.executable?.(name) === true;
    const isDetectable = this.#course.isDetectable(scope, name, this.#course.slots.facts(slot));
    content.verify({ subject, digest, isMatched, isDetectable }, scope.directory);
  }

  /** Whether a file is verified, so that it is opened, whatever a look at it says. */
  isVerified(slot: number): boolean {
    const facts = this.#course.slots.facts(slot);
    return facts?.type === 'file' && this.#content?.digestOf(facts) !== undefined;
  }

  /** Whether what the manifest lists as a file is changed without a look before: the last one was changed. */
  isChangedAtOnce(slot: number): boolean {
    return this.#isChanging && this.#mayChangeAtOnce && this.#course.slots.type(slot) === 'file';
  }

  /** A file where the manifest has a directory that some extractors make an empty file of. */
  #visitEmpty(scope: Scope, name: string, slot: number, known: EntryStats | undefined): void {
    const stats = known ?? this.#look(scope, name, slot);
    if (stats === undefined) return;
    if (stats.type !== 'file') return this.#visitor.other(scope, name, slot, stats);
    if (stats.size === 0) return this.#course.ledger.end(slot, 'unchanged');
    this.#course.findings.mismatch(new Subject(scope.place, name, slot), { type: 'file', size: stats.size });
  }

  /**
   * Count a file of the walk that already has the right mode, without building its path: most files of most trees. False for
   * anything else; nothing is noted then.
   */
  isRightAsFound(listing: Listing): boolean {
    if (!this.#isNameless || this.#isChanging || listing.type !== 'file' || this.#course.slots.hasWalked)
      return false;
    const { settings, ledger } = this.#course;
    try {
      const stats = listing.stats();
      if (
        stats?.type !== 'file' ||
        this.#modes.target(NO_SLOT, stats, false) !== this.#modes.present(stats)
      ) {
        return false;
      }
      if (!settings.crossDevice && listing.isMountPoint(stats)) return false;
    } catch {
      // What could not be asked is asked again, and noted.
      return false;
    }
    ledger.end(NO_SLOT, 'unchanged');
    return true;
  }

  #isRight(scope: Scope, name: string, stats: EntryStats, isMatched: boolean): boolean {
    if (this.#modes.target(NO_SLOT, stats, isMatched) !== this.#modes.present(stats)) return false;
    if (this.#course.settings.crossDevice) return true;
    try {
      return !scope.directory.isMountPoint(name, stats);
    } catch {
      // What could not be asked is asked again, and noted.
      return false;
    }
  }

  #deal(
    subject: Subject,
    scope: Scope,
    stats: EntryStats,
    size: number | undefined,
    isMatched: boolean,
    isDetectable: boolean,
  ): void {
    const { ledger, findings } = this.#course;
    const name = subject.name as string;
    try {
      if (this.#modes.isBeyond(subject, scope.directory, name, stats)) return findings.beyond(subject);
    } catch (error) {
      return this.#course.failed(subject, error);
    }
    if (size !== undefined && stats.size !== size) return findings.otherSize(subject, size, stats);
    const isDetected = isDetectable && this.#detect(subject, scope, stats);
    if (isDetected === undefined) return;
    const ending = this.#modes.change(
      subject,
      { directory: scope.directory, name },
      stats,
      isMatched || isDetected,
    );
    this.#isChanging = ending === 'changed';
    if (ending !== undefined) ledger.end(subject.slot, ending);
  }

  #look(scope: Scope, name: string, slot: number): EntryStats | undefined {
    try {
      const stats = scope.directory.lstat(name);
      if (stats === undefined) {
        const facts = { code: 'ENOENT', syscall: 'lstat' };
        this.#course.findings.missing(new Subject(scope.place, name, slot), facts);
      }
      return stats;
    } catch (error) {
      this.#course.failed(new Subject(scope.place, name, slot), error);
      return undefined;
    }
  }

  /**
   * If the last file was changed, the next one most likely will be, too: change it without looking first. False if it is not a
   * plain case; nothing was done then.
   */
  #changeAtOnce(scope: Scope, name: string, slot: number, size: number | undefined): boolean {
    const { directory } = scope;
    const { crossDevice: entersMounts } = this.#course.settings;
    const isMatched = scope.executable?.(name) === true;
    let target = 0;
    let result: ChmodResult;
    this.#isChanging = false;
    try {
      result = directory.chmod(
        name,
        (found) => {
          if (found.type !== 'file' || (size ?? found.size) !== found.size) return undefined;
          target = this.#modes.target(slot, found, isMatched);
          if (target === found.mode || (!entersMounts && directory.isMountPoint(name, found)))
            return undefined;
          this.#isChanging = true;
          return target;
        },
        this.#modes.trust,
      );
    } catch (error) {
      // Where nothing was begun, a look says what is wrong.
      if (this.#isChanging) this.#course.failed(new Subject(scope.place, name, slot), error);
      return this.#isChanging;
    }
    if (result.after === undefined) return false;
    this.#noteChange(scope, name, slot, result, target);
    return true;
  }

  #noteChange(scope: Scope, name: string, slot: number, result: ChmodResult, target: number): void {
    const { settings, ledger } = this.#course;
    const isPlain =
      slot === NO_SLOT && result.after === target && !wantsAll(settings.onChange) && !isShared(result.before);
    const ending = isPlain
      ? 'changed'
      : this.#modes.noteChange(new Subject(scope.place, name, slot), result, target);
    if (ending !== undefined) ledger.end(slot, ending);
  }

  /**
   * Whether its first bytes say that a file is executable; it is looked into only where that may change its mode. `undefined`
   * where that failed, which has been noted.
   */
  #detect(subject: Subject, { directory }: Scope, stats: EntryStats): boolean | undefined {
    if (!this.#modes.mayGain(subject.slot, stats)) return false;
    let file: OpenFile | undefined;
    try {
      file = directory.open(subject.name as string);
      return isExecutableFile(readerOf(file));
    } catch (error) {
      // EINVAL and ELOOP: it is no file any more.
      if (['EINVAL', 'ELOOP'].includes(errorCode(error) ?? '')) this.#visitor.lookAgain(subject);
      else this.#course.failed(subject, error);
      return undefined;
    } finally {
      file?.close();
    }
  }
}
