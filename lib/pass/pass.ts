import type { EntryStats } from '../directory/entry-stats.ts';
import { pathTooLong } from '../directory/errors.ts';
import { nameOf } from '../directory/names.ts';
import type { Place } from '../directory/place.ts';
import type { EntryType } from '../errors.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { Course, NamedIn, Scope } from './course.ts';
import type { PlannedDirectory } from './plan.ts';
import { Subject } from './slots.ts';
import { Visit } from './visit.ts';
import { exploreBelow } from './walk.ts';

/**
 * One pass over an open tree, told in its steps: walk, visit the plan, rounds, confirm, finish. Each is a generator that yields where
 * a slice is over.
 */
export class Pass {
  readonly #course: Course;
  readonly #visit: Visit;

  constructor(course: Course) {
    this.#course = course;
    this.#visit = new Visit(course);
  }

  /** Explore a directory, and what is below it for about a slice; gives the directories that are left. */
  explore(place: Place): Generator<void, Place[]> {
    return exploreBelow(place, (below) => this.#visit.explore(below), this.#course.slices);
  }

  /** Explore a directory and everything below it. */
  *walk(start: Place): Generator<void> {
    const left = [start];
    for (let place = left.pop(); place !== undefined; place = left.pop()) {
      for (const below of yield* this.explore(place)) left.push(below);
    }
  }

  /** Visit everything that the manifest names and that the walk did not meet, directory by directory. */
  *visitPlan(): Generator<void> {
    const { plan, ignored, slots, slices } = this.#course;
    const directories: PlannedDirectory[] = [plan.root];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      const slot = plan.slotOf(directory);
      if (ignored.has(slot)) continue;
      const named = this.#course.namedIn(directory);
      const asked = this.#askedIn(directory, named);
      if (this.#course.isTooLong(directory)) {
        const error = pathTooLong(directory.path);
        if (slots.origin(slot) === 'listed')
          this.#course.failed(new Subject(directory, undefined, slot), error);
        yield* this.#skip(directory, asked, error);
        continue;
      }
      const isLeaf = asked.length === 0 && directory.first === undefined && directory.parent !== undefined;
      let scope: Scope | undefined;
      if (slots.state(slot) === 'open') {
        const { directories: visit } = this.#visit;
        const entered = isLeaf ? visit.leaf(directory, slot) : visit.enter(directory, slot);
        if ('error' in entered) {
          yield* this.#skip(directory, asked, entered.error);
          continue;
        }
        ({ scope } = entered);
        visit.end(directory, slot, entered.outcome);
      } else {
        const beyond = this.#visit.directories.reached(directory);
        if (beyond !== undefined) {
          yield* this.#skip(directory, asked, beyond.error);
          continue;
        }
      }
      if (asked.length > 0) yield* this.#visitAsked(directory, asked, scope);
      if (slices.isOver()) yield;
      pushReversed(directories, directory.directories());
    }
  }

  /** Look at everything that is pending once more. */
  *round(): Generator<void> {
    const { tree, slots, ledger, slices, settings } = this.#course;
    tree.rewind();
    this.#visit.links.rewind();
    this.#visit.directories.beginRounds();
    let blocked: { place: Place; error: unknown } | undefined;
    for (const slot of ledger.waiting()) {
      if (slots.state(slot) !== 'pending') continue;
      const subject = slots.subject(slot);
      const { place, name } = subject;
      const above = name === undefined ? place.parent : place;
      if (blocked !== undefined && above?.isWithin(blocked.place) === true) {
        this.#course.failed(subject, blocked.error);
      } else if (slots.type(slot) !== 'directory') {
        this.#visit.look(subject);
      } else if (settings.discover && !slots.isWalked(slot)) {
        yield* this.walk(place);
      } else {
        const entered = this.#visit.directories.enter(place, slot);
        if ('error' in entered) blocked = { place, error: entered.error };
        else this.#visit.directories.end(place, slot, entered.outcome);
      }
      if (this.#visit.isBehind) yield* this.#visit.catchUp();
      if (slices.isOver()) yield;
    }
  }

  /**
   * Look once more at everything that the manifest promises, and deal again with entries that have changed: another process may have
   * worked in the tree while the pass waited.
   */
  *confirm(): Generator<void> {
    const { tree, plan, slots, ledger, slices } = this.#course;
    tree.rewind();
    this.#visit.links.rewind();
    const directories = [plan.root];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      const inIt = plan.order.subarray(directory.start, directory.end);
      for (const slot of [plan.slotOf(directory), ...inIt]) {
        if (slots.ending(slot) !== undefined && !this.#isAsLeft(slot)) {
          ledger.reopen(slot);
          const { place, name } = slots.subject(slot);
          const isBelow = name === undefined && place.parent !== undefined;
          this.#visit.look(
            isBelow ? new Subject(place.parent as Place, place.name, slot) : new Subject(place, name, slot),
          );
          if (this.#visit.isBehind) yield* this.#visit.catchUp();
        }
        if (slices.isOver()) yield;
      }
      for (const below of directory.directories()) directories.push(below);
    }
  }

  /** Look once more for what no manifest names, where that is asked for: it may have come, or gone, while others were waited for. */
  *findUnlisted(): Generator<void> {
    if (!(yield* this.#visit.restartUnlisted())) return;
    this.#course.tree.rewind();
    this.#visit.links.rewind();
    yield* this.walk(this.#course.plan.root);
  }

  /** What is left for the end: files that become links, links, then modes that take something away from directories, the deepest first. */
  *finish(): Generator<void> {
    const { slices } = this.#course;
    do {
      yield* this.#visit.flattened.restore();
      for (const _ of this.#visit.links.endings()) if (slices.isOver()) yield;
      yield* this.#visit.catchUp();
      for (const _ of this.#visit.directories.endings()) if (slices.isOver()) yield;
      yield* this.#visit.catchUp();
      // What turned into something else meanwhile has its end to come.
    } while (this.#visit.flattened.hasCandidates || this.#visit.links.hasLate);
  }

  /** Give up on everything that is still waited for. */
  *giveUp(): Generator<void> {
    for (const _ of this.#course.ledger.giveUp()) if (this.#course.slices.isOver()) yield;
  }

  /** True where the root was removed while it was held open: nothing can appear in it any more. */
  isRootGone(): boolean {
    const { tree } = this.#course;
    return tree.backend !== 'path' && tree.rootStats().nlink === 0;
  }

  /** Slots of what is planned in a directory, is no directory, and is still to be dealt with. */
  #askedIn(directory: PlannedDirectory, named: NamedIn): number[] {
    const { plan, ignored, slots } = this.#course;
    const asked: number[] = [];
    for (let position = directory.start; position < directory.end; position += 1) {
      const slot = plan.order[position] as number;
      if (slots.state(slot) !== 'open' || ignored.has(slot)) continue;
      if (this.#isAsked(directory, named, plan.entries[slot] as ManifestEntry)) asked.push(slot);
    }
    return asked;
  }

  /** False where the options ask for nothing of a listed path, not even to be there. */
  #isAsked(directory: PlannedDirectory, named: NamedIn, entry: ManifestEntry): boolean {
    if (this.#course.settings.verify !== 'none') return true;
    const name = nameOf(entry.path);
    return this.#course.getsMode(named, name, entry) || this.#course.isTooLong(directory, name);
  }

  *#visitAsked(
    directory: PlannedDirectory,
    asked: readonly number[],
    known: Scope | undefined,
  ): Generator<void> {
    const { plan, slices, fold } = this.#course;
    let scope: Scope;
    try {
      scope = known ?? this.#course.goTo(directory);
    } catch (error) {
      for (const slot of asked) this.#course.failed(this.#course.slots.subject(slot), error);
      return;
    }
    const found = this.#list(scope, asked.length);
    for (const slot of asked) {
      const name = nameOf((plan.entries[slot] as ManifestEntry).path);
      if (this.#course.isTooLong(directory, name)) {
        const subject = this.#course.slots.subject(slot);
        this.#course.failed(subject, pathTooLong(subject.path));
        continue;
      }
      const type = found?.get(fold?.(name) ?? name);
      if (type === undefined) this.#visit.meet(scope, name, slot);
      else this.#visit.entry(scope, name, slot, type);
      if (this.#visit.isBehind) yield* this.#visit.catchUp();
      if (slices.isOver()) yield;
    }
  }

  /** One listing in place of a look at each entry, where only presence is asked. What it lacks is looked for. */
  #list({ directory }: Scope, asked: number): Map<string, EntryType> | undefined {
    const { settings, fold } = this.#course;
    if (settings.verify !== 'presence' || asked < 2) return undefined;
    try {
      const found = new Map<string, EntryType>();
      const listing = directory.list();
      while (listing.next()) found.set(fold?.(listing.name) ?? listing.name, listing.type);
      return found;
    } catch {
      // Looking at each entry says what is wrong with it, and needs less: x on the directory, not r.
      return undefined;
    }
  }

  /** Note of everything below a directory that it cannot be reached. */
  *#skip(top: PlannedDirectory, askedInTop: readonly number[], error: unknown): Generator<void> {
    const { plan, ignored, slots, slices } = this.#course;
    const directories = [top];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      const asked =
        directory === top ? askedInTop : this.#askedIn(directory, this.#course.namedIn(directory));
      for (const slot of asked) {
        this.#course.failed(slots.subject(slot), error);
        if (slices.isOver()) yield;
      }
      const below = [...directory.directories()].filter((one) => !ignored.has(plan.slotOf(one)));
      for (const one of below.reverse()) {
        const slot = plan.slotOf(one);
        if (slots.state(slot) === 'open') this.#course.failed(new Subject(one, undefined, slot), error);
        directories.push(one);
      }
      if (slices.isOver()) yield;
    }
  }

  #isAsLeft(slot: number): boolean {
    const { slots, settings, checksSize } = this.#course;
    const ending = slots.ending(slot);
    const left = slots.left(slot);
    try {
      const stats = this.#lstat(slots.subject(slot));
      if (stats === undefined) return false;
      // Links and special files are always dealt with again.
      if (ending === 'links' || ending === 'special') return false;
      const type = slots.type(slot);
      const isFile = stats.type === 'file';
      if (type !== undefined ? stats.type !== type : !isFile && stats.type !== 'directory') return false;
      const size = slots.facts(slot)?.size;
      if (isFile && checksSize && size !== undefined && stats.size !== size) return false;
      if (isFile && this.#visit.content?.isAsVerified(slot, stats) === false) return false;
      return settings.dryRun || left === undefined || left === stats.mode;
    } catch {
      // Dealing with it again says what is wrong.
      return false;
    }
  }

  #lstat({ place, name }: Subject): EntryStats | undefined {
    const { tree } = this.#course;
    if (name !== undefined) return tree.goTo(place).lstat(name);
    return place.parent === undefined ? tree.rootStats() : tree.goTo(place.parent).lstat(place.name);
  }
}

function pushReversed<T>(stack: T[], items: Iterable<T>): void {
  for (const item of [...items].reverse()) stack.push(item);
}
