import type { Listing } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { swapped } from '../directory/errors.ts';
import { isDecodable } from '../directory/names.ts';
import type { Place } from '../directory/place.ts';
import type { EntryType } from '../errors.ts';
import { Content } from './content.ts';
import type { Course, Scope } from './course.ts';
import { Directories, type Entered } from './directories.ts';
import { Files } from './files.ts';
import { FlattenedLinks } from './flattened.ts';
import { Links } from './links.ts';
import { Modes } from './modes.ts';
import { NO_SLOT, Subject } from './slots.ts';
import { Unlisted } from './unlisted.ts';

/** How often an entry may turn into another kind while it is being dealt with. */
const MAX_RELOOKS = 3;

/** Deals with one entry at a time: what is it, and who deals with its kind. What takes long is left to {@link Visit.catchUp}. */
export class Visit {
  readonly directories: Directories;
  readonly links: Links;
  readonly flattened: FlattenedLinks;
  /** Verifies the content of files, where that is asked for. */
  readonly content: Content | undefined;
  readonly #course: Course;
  readonly #files: Files;
  readonly #unlisted: Unlisted;
  /** Slots of directories in whose place something else lies: another walk finds that again. */
  readonly #inTheWay = new Set<number>();
  /** How often an entry turned into something else. */
  readonly #turned = new Map<string, number>();

  constructor(course: Course) {
    this.#course = course;
    const lookAgain = this.#lookAgain.bind(this);
    const other = (scope: Scope, name: string, slot: number, stats: EntryStats) =>
      this.entry(scope, name, slot, stats.type, stats);
    const modes = new Modes(course, lookAgain);
    this.#unlisted = new Unlisted(course);
    this.links = new Links(course, lookAgain);
    this.flattened = new FlattenedLinks(course, this.links, modes, lookAgain);
    this.directories = new Directories(course, modes, { other, lookAgain });
    const { digesting } = course;
    this.content = digesting && new Content(course, modes, digesting, lookAgain);
    this.#files = new Files(course, modes, this.flattened, this.content, { other, lookAgain });
  }

  /** Whether there is something for {@link catchUp}. */
  get isBehind(): boolean {
    return this.links.hasRead || this.content?.hasPromised === true;
  }

  /** Verify the content of the files that were met, and find out where the links lead. Yields where a slice is over. */
  *catchUp(): Generator<void> {
    while (this.isBehind) {
      if (this.content !== undefined) yield* this.content.verifyAll();
      yield* this.links.resolveAll();
    }
  }

  /** Look for an entry, and deal with it. */
  look(subject: Subject): void {
    const { place, name, slot } = subject;
    if (name === undefined) return this.enter(place, slot);
    let scope: Scope;
    try {
      scope = this.#course.goTo(place);
    } catch (error) {
      return this.#course.failed(subject, error);
    }
    this.lookIn(scope, name, slot);
  }

  /** Deal with an entry of which nothing is known but what the manifest says. */
  meet(scope: Scope, name: string, slot: number): void {
    if (this.#files.isChangedAtOnce(slot) || this.#files.isVerified(slot))
      this.entry(scope, name, slot, 'file');
    else this.lookIn(scope, name, slot);
  }

  /** Look for an entry in a directory that is held, and deal with it. */
  lookIn(scope: Scope, name: string, slot: number): void {
    let stats: EntryStats | undefined;
    try {
      stats = scope.directory.lstat(name);
    } catch (error) {
      return this.#course.failed(new Subject(scope.place, name, slot), error);
    }
    if (stats !== undefined) return this.entry(scope, name, slot, stats.type, stats);
    const facts = { code: 'ENOENT', syscall: 'lstat' };
    this.#course.findings.missing(new Subject(scope.place, name, slot), facts);
  }

  /** Go into a directory, and deal with it alone. */
  enter(place: Place, slot: number): void {
    const entered = this.directories.enter(place, slot);
    if ('scope' in entered) this.directories.end(place, slot, entered.outcome);
  }

  /**
   * Deal with an entry whose kind is known.
   *
   * @param stats its facts where they were looked at; they are looked at when they are needed
   */
  entry(scope: Scope, name: string, slot: number, type: EntryType, stats?: EntryStats): void {
    if (type === 'file') return this.#files.visit(scope, name, slot, stats);
    if (this.content !== undefined && slot !== NO_SLOT) this.#course.slots.setUnverified(slot, false);
    if (type === 'symlink') return this.links.visit(scope, name, slot);
    const wanted = this.#course.slots.type(slot);
    if (wanted !== undefined && wanted !== type) {
      return this.#course.findings.mismatch(new Subject(scope.place, name, slot), { type });
    }
    if (type === 'other') return this.#course.ledger.end(slot, 'special');
    this.enter(this.#course.placeBelow(scope.place, name, slot), slot);
  }

  /**
   * Deal with a directory that the walk enters: list it, and deal with every entry that is not a directory. Yields when a slice is
   * over.
   *
   * @returns the directories in it, to be gone into next
   */
  *explore(place: Place): Generator<void, Place[]> {
    const { ledger, slots, slices } = this.#course;
    const slot = this.#course.slotOfPlace(place);
    const isSpared = this.#unlisted.isSpared(place, slot);
    if (place.parent !== undefined && slot === NO_SLOT && !isSpared) this.#countUnlisted();
    const entered = this.#enterToList(place, slot, isSpared);
    if ('error' in entered) {
      if (isSpared) this.#unlisted.notListed(place, entered.error);
      return [];
    }
    const { scope, outcome } = entered;
    let listing: Listing;
    try {
      listing = scope.directory.list(ledger.room + 1);
    } catch (error) {
      this.directories.notListed(place, slot, outcome, error);
      if (isSpared) this.#unlisted.notListed(place, error);
      return [];
    }
    ledger.meet(listing.size);
    if (isSpared) this.#unlisted.found(new Subject(place, undefined, slot), 'directory');
    else this.directories.end(place, slot, outcome);
    if (slot !== NO_SLOT) slots.setWalked(slot);
    const below: Place[] = [];
    while (listing.next()) {
      if (this.#files.isRightAsFound(listing)) {
        if (slices.isOver()) yield;
        continue;
      }
      const { name, type } = listing;
      if (!this.#isLeftAlone(scope, name, type)) {
        if (type === 'directory') this.#find(scope, name, below);
        else this.#visitFound(scope, name, type);
      }
      if (this.isBehind) yield* this.catchUp();
      if (slices.isOver()) yield;
    }
    return below;
  }

  /**
   * Whether to walk once more after waiting, because unlisted entries may have come or gone since. If so, the findings of the first
   * walk are dropped. Yields when a slice is over.
   */
  *restartUnlisted(): Generator<void, boolean> {
    if (this.#unlisted.spares) yield* this.#unlisted.restart();
    return this.#unlisted.spares;
  }

  /** Go into a directory that the walk found; one that was dealt with before only to list it. */
  #enterToList(place: Place, slot: number, isSpared: boolean): Entered {
    const beyond = this.directories.reached(place);
    if (beyond !== undefined) return beyond;
    if (isSpared) return this.directories.enterAsItIs(place, slot);
    if (slot === NO_SLOT || this.#course.slots.state(slot) !== 'done')
      return this.directories.enter(place, slot);
    try {
      return { scope: this.#course.goTo(place), outcome: 'failed' };
    } catch (error) {
      this.directories.notListed(place, slot, 'failed', error);
      return { error };
    }
  }

  /** A directory to go into, unless the manifest has something else there; what it names below is visited by itself. */
  #find(scope: Scope, name: string, below: Place[]): void {
    const slot = this.#course.slotOf(scope, name);
    const wanted = this.#course.slots.type(slot);
    if (wanted === 'file' || wanted === 'symlink') {
      const subject = new Subject(scope.place, name, slot);
      return this.#course.findings.mismatch(subject, { type: 'directory' });
    }
    below.push(this.#course.placeBelow(scope.place, name, slot));
  }

  /** Deal with an entry that the walk found and that is no directory. */
  #visitFound(scope: Scope, name: string, type: EntryType): void {
    const { slots } = this.#course;
    let slot = this.#course.slotOf(scope, name);
    if (slot !== NO_SLOT && slots.state(slot) === 'done' && !this.#inTheWay.has(slot)) return;
    if (slot !== NO_SLOT && slots.origin(slot) === 'implied') {
      this.#inTheWay.add(slot);
      slot = NO_SLOT;
    }
    if (slot === NO_SLOT) {
      if (this.#unlisted.spares) return this.#unlisted.found(new Subject(scope.place, name, slot), type);
      this.#countUnlisted();
    }
    this.entry(scope, name, slot, type);
  }

  /** True where globs leave an entry alone: they name it, or cannot tell because its name is not text or its path too long. Notes which. */
  #isLeftAlone(scope: Scope, name: string, type: EntryType): boolean {
    if (!this.#course.hasGlobs) return false;
    const { ledger } = this.#course;
    if (!isDecodable(name)) {
      ledger.fail(new Subject(scope.place, name, NO_SLOT), { reason: 'undecodable-name', actual: { type } });
      return true;
    }
    if (this.#course.isTooLong(scope.place, name)) {
      ledger.fail(new Subject(scope.place, name, NO_SLOT), { reason: 'path-too-long', actual: { type } });
      return true;
    }
    if (scope.ignore?.(name) !== true) return false;
    this.#unlisted.ignored();
    return true;
  }

  #countUnlisted(): void {
    if (this.#course.hasManifest) this.#course.ledger.countUnlisted();
  }

  /** An entry turned into something else between two looks. */
  #lookAgain(subject: Subject): void {
    const { path, place } = subject;
    const times = (this.#turned.get(path) ?? 0) + 1;
    this.#turned.set(path, times);
    if (times > MAX_RELOOKS) return this.#course.failed(subject, swapped(path));
    // A directory may be anything by now: it is looked at from above.
    if (subject.name !== undefined || place.parent === undefined) return this.look(subject);
    this.look(new Subject(place.parent, place.name, subject.slot));
  }
}
