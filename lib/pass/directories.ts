import type { EntryStats } from '../directory/entry-stats.ts';
import { crossDevice, crossDeviceCode, errorCode, UnsafePathError } from '../directory/errors.ts';
import type { Place } from '../directory/place.ts';
import type { Course, Scope } from './course.ts';
import type { Handle, Modes } from './modes.ts';
import { NO_SLOT, Subject } from './slots.ts';

/** A directory's mode is right, was set, waits until what is in it is done, or could not be set (noted). */
export type DirectoryOutcome = 'changed' | 'unchanged' | 'deferred' | 'failed';

/** What came of going into a directory: where work goes on in it, or what kept us out, which has been noted. */
export type Entered = { scope: Scope; outcome: DirectoryOutcome } | { error: unknown };

/** What directories ask of the rest of the pass. */
export interface DirectoryVisitor {
  /** Deal with what turned out to be no directory. */
  other(scope: Scope, name: string, slot: number, stats: EntryStats): void;
  /** Look for a directory again that turned into something else. */
  lookAgain(subject: Subject): void;
}

/** Deals with directories: going in, and their modes, before and after what is in them. */
export class Directories {
  readonly #course: Course;
  readonly #modes: Modes;
  readonly #visitor: DirectoryVisitor;
  /** Directories whose new mode takes bits away: they are set when everything in them is done. */
  #deferred: Subject[] = [];
  /** Whether a directory was deferred after the first look, and may stand after what is in it. */
  #isLate = false;
  /** Directories that were changed before their listing failed. */
  readonly #changedUnlisted = new Set<string>();
  /** Mount points that were not entered. */
  readonly #beyond = new Map<string, { error: unknown }>();

  constructor(course: Course, modes: Modes, visitor: DirectoryVisitor) {
    this.#course = course;
    this.#modes = modes;
    this.#visitor = visitor;
  }

  /** From now on directories are met in any order. */
  beginRounds(): void {
    this.#isLate = true;
  }

  /** What keeps us out of a directory that was met before: nothing, where it was entered. */
  reached(place: Place): { error: unknown } | undefined {
    return this.#beyond.size === 0 ? undefined : this.#beyond.get(place.path);
  }

  /** Go into a directory, and open it where its final mode would: what that takes away waits for the end. */
  enter(place: Place, slot: number): Entered {
    const subject = new Subject(place, undefined, slot);
    const entered = this.#goInto(subject);
    if ('error' in entered) return entered;
    const { scope, stats } = entered;
    const outcome = this.#setMode(subject, { directory: scope.directory, name: '.' }, stats);
    return { scope, outcome };
  }

  /** Go into a directory whose mode is not changed. */
  enterAsItIs(place: Place, slot: number): Entered {
    const entered = this.#goInto(new Subject(place, undefined, slot));
    return 'error' in entered ? entered : { scope: entered.scope, outcome: 'unchanged' };
  }

  #goInto(subject: Subject): { scope: Scope; stats: EntryStats } | { error: unknown } {
    const { place } = subject;
    let isAbove = true;
    try {
      if (place.parent !== undefined) this.#course.tree.goTo(place.parent);
      isAbove = false;
      const { directory, stats } = this.#course.tree.enter(place);
      if (this.#modes.isBeyond(subject, directory, '.', stats)) throw crossDevice(place.path);
      return { scope: this.#course.scope(place, directory), stats };
    } catch (error) {
      if (errorCode(error) === crossDeviceCode) this.#beyond.set(place.path, { error });
      this.#notEntered(subject, error, isAbove);
      return { error };
    }
  }

  /** Deal with a directory of which nothing is asked but its mode: it need not be gone into. */
  leaf(place: Place, slot: number): Entered | { scope: undefined; outcome: DirectoryOutcome } {
    const { parent, name } = place;
    if (parent === undefined) return this.enter(place, slot);
    const subject = new Subject(place, undefined, slot);
    try {
      const directory = this.#course.tree.goTo(parent);
      const stats = directory.lstat(name);
      if (stats?.type === 'directory' && !this.#modes.isBeyond(subject, directory, name, stats)) {
        return { scope: undefined, outcome: this.#setMode(subject, { directory, name }, stats) };
      }
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
    // Going into it says what is wrong.
    return this.enter(place, slot);
  }

  /** Note what came of a directory's mode, once it has been listed where it had to be. */
  end(place: Place, slot: number, outcome: DirectoryOutcome): void {
    if (outcome === 'failed') return;
    if (outcome === 'deferred') {
      this.#deferred.push(new Subject(place, undefined, slot));
      return this.#course.ledger.arrived(slot);
    }
    const wasChanged = this.#changedUnlisted.size > 0 && this.#changedUnlisted.delete(place.path);
    this.#course.ledger.end(slot, wasChanged ? 'changed' : outcome);
  }

  /** Note that a directory could not be listed. */
  notListed(place: Place, slot: number, outcome: DirectoryOutcome, error: unknown): void {
    if (outcome === 'changed') this.#changedUnlisted.add(place.path);
    // One that was dealt with before, and could be listed then.
    if (outcome === 'failed' && slot !== NO_SLOT) this.#course.ledger.reopen(slot);
    this.#course.failed(this.#course.slots.adopt(new Subject(place, undefined, slot), 'directory'), error);
  }

  /** Modes that take something away from directories, the deepest first. */
  *endings(): Generator<void> {
    const deferred = this.#deferred.reverse();
    this.#deferred = [];
    if (this.#isLate) deferred.sort((one, other) => other.place.depth - one.place.depth);
    for (const subject of deferred) {
      // One that was met again meanwhile may stand here twice.
      if (subject.slot === NO_SLOT || this.#course.slots.ending(subject.slot) === undefined)
        this.#close(subject);
      yield;
    }
  }

  #close(subject: Subject): void {
    const { place, slot } = subject;
    let above: Scope | undefined;
    let handle: Handle;
    let stats: EntryStats | undefined;
    try {
      above = place.parent && this.#course.goTo(place.parent);
      handle = { directory: above?.directory ?? this.#course.tree.goTo(place), name: place.name };
      stats = above === undefined ? handle.directory.stats() : handle.directory.lstat(place.name);
    } catch (error) {
      return this.#course.failed(subject, error);
    }
    if (stats === undefined) {
      return this.#course.findings.missing(subject, { code: 'ENOENT', syscall: 'lstat' });
    }
    if (stats.type !== 'directory' && above !== undefined) {
      return this.#visitor.other(above, place.name, slot, stats);
    }
    const ending = this.#modes.change(subject, handle, stats, false);
    this.#modes.close(subject);
    if (ending !== undefined) this.#course.ledger.end(slot, ending);
  }

  #setMode(subject: Subject, handle: Handle, stats: EntryStats): DirectoryOutcome {
    const target = this.#modes.directoryTarget(subject, stats);
    const takesAway = (stats.mode & ~target & 0o777) !== 0;
    if (!takesAway) return this.#modes.change(subject, handle, stats, false) ?? 'failed';
    const isOpen = this.#modes.meanwhile(subject, stats) === stats.mode;
    if (isOpen || this.#course.settings.dryRun) return 'deferred';
    return this.#modes.open(subject, handle, stats, target) ? 'deferred' : 'failed';
  }

  /** A directory that could not be gone into: gone, something else, a link, a mount point, or an error. */
  #notEntered(subject: Subject, error: unknown, isAbove: boolean): void {
    const { slots, ledger } = this.#course;
    const { slot } = subject;
    const isListed = slot !== NO_SLOT && slots.origin(slot) === 'listed';
    const code = errorCode(error);
    if (code === crossDeviceCode) {
      if (isListed) return this.#course.failed(subject, error);
      return ledger.end(slot, 'ignored');
    }
    const isLink = error instanceof UnsafePathError && error.reason === 'symlink-in-path';
    if (isListed && !isAbove && (isLink || code === 'ENOTDIR') && subject.place.parent !== undefined) {
      return this.#lookAt(subject, subject.place.parent);
    }
    this.#course.failed(slots.adopt(subject, 'directory'), error);
  }

  /** Look at what lies where the manifest has a directory. */
  #lookAt(subject: Subject, parent: Place): void {
    const { name } = subject.place;
    let scope: Scope;
    let stats: EntryStats | undefined;
    try {
      scope = this.#course.goTo(parent);
      stats = scope.directory.lstat(name);
    } catch (error) {
      return this.#course.failed(subject, error);
    }
    if (stats === undefined) {
      this.#course.findings.missing(subject, { code: 'ENOENT', syscall: 'lstat' });
    } else if (stats.type !== 'directory') this.#visitor.other(scope, name, subject.slot, stats);
    else this.#visitor.lookAgain(subject);
  }
}
