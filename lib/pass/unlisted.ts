import { errorCode, transientCodes, UnsafePathError } from '../directory/errors.ts';
import type { Place } from '../directory/place.ts';
import type { EntryType } from '../errors.ts';
import type { Course } from './course.ts';
import type { Ending } from './ledger.ts';
import { NO_SLOT, Subject, type VisitedEnding } from './slots.ts';

const endings: Readonly<Record<EntryType, VisitedEnding>> = {
  directory: 'unchanged',
  file: 'unchanged',
  symlink: 'links',
  other: 'special',
};

/** What is said of a directory that is not there any more, or no directory. */
const gone = ['ENOENT', 'ENOTDIR'];
const CLOSED = 'what is in it cannot be listed: remove it, or leave it out with ignore';

/** Lists what the walk finds and no manifest names, where that is asked for: nothing of it is changed then. */
export class Unlisted {
  /** Whether what no manifest names is listed, and not changed. */
  readonly spares: boolean;
  readonly #course: Course;
  /** How many entries that the walk found came to which end, and will again in another walk. */
  readonly #counted = new Map<Ending, number>();
  /** Directories that could not be listed. */
  readonly #closed = new Set<string>();

  constructor(course: Course) {
    this.#course = course;
    this.spares = course.settings.unlisted !== 'count';
  }

  /** Whether a directory that the walk goes into is none of the manifest's, and is not changed. */
  isSpared(place: Place, slot: number): boolean {
    if (!this.spares || place.parent === undefined) return false;
    return slot === NO_SLOT || this.#course.slots.origin(slot) === 'walked';
  }

  /** Note an entry that no manifest names. */
  found(subject: Subject, type: EntryType): void {
    const { ledger, settings } = this.#course;
    if (this.#isOnTheWay(subject)) return this.#end(subject.slot, endings[type]);
    if (settings.unlisted === 'list') {
      ledger.listUnlisted(subject.path);
      return this.#end(subject.slot, endings[type]);
    }
    ledger.countUnlisted();
    ledger.fail(subject, { reason: 'unlisted', actual: { type } });
  }

  /** Note a directory that no manifest names and that cannot be listed, which has been noted: what is in it cannot be told. */
  notListed(place: Place, error: unknown): void {
    const { ledger, settings, slots } = this.#course;
    const code = errorCode(error) ?? '';
    // A mount point is ignored, and what was replaced is no directory.
    if (gone.includes(code) || error instanceof UnsafePathError) return;
    this.#closed.add(place.path);
    if (settings.unlisted === 'list') return ledger.listUnlisted(place.path);
    if (transientCodes.has(code)) return;
    ledger.countUnlisted();
    const subject = slots.adopt(new Subject(place, undefined, NO_SLOT));
    const facts = { actual: { type: 'directory' }, code, advice: CLOSED, cause: error } as const;
    ledger.fail(subject, { reason: 'unlisted', ...facts });
  }

  /** Note an entry that the options ignore. */
  ignored(): void {
    this.#end(NO_SLOT, 'ignored');
  }

  /** Forget what was found: everything is found anew. Yields where a slice is over. */
  *restart(): Generator<void> {
    const { ledger, slots, slices } = this.#course;
    for (const _ of ledger.forgetUnlisted(this.#counted)) if (slices.isOver()) yield;
    for (const path of this.#closed) ledger.unresolved.delete(path);
    this.#closed.clear();
    slots.forgetWalked();
    this.#counted.clear();
  }

  #end(slot: number, ending: Ending): void {
    this.#counted.set(ending, (this.#counted.get(ending) ?? 0) + 1);
    this.#course.ledger.end(slot, ending);
  }

  /** Whether it is a directory on the way to nothing but what is ignored. */
  #isOnTheWay({ place, name }: Subject): boolean {
    const { settings, plan } = this.#course;
    return name === undefined && settings.ignore.length > 0 && plan.find(place.path) !== undefined;
  }
}
