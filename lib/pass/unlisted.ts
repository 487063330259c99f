import type { Place } from '../directory/place.ts';
import type { EntryType } from '../errors.ts';
import type { Course } from './course.ts';
import { NO_SLOT, type Subject, type VisitedEnding } from './slots.ts';

const endings: Readonly<Record<EntryType, VisitedEnding>> = {
  directory: 'unchanged',
  file: 'unchanged',
  symlink: 'links',
  other: 'special',
};

/** Lists what the walk finds and no manifest names, where that is asked for: nothing of it is changed then. */
export class Unlisted {
  /** Whether what no manifest names is listed, and not changed. */
  readonly spares: boolean;
  readonly #course: Course;

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
    if (this.#isOnTheWay(subject)) return ledger.end(subject.slot, endings[type]);
    if (settings.unlisted === 'list') {
      ledger.listUnlisted(subject.path);
      return ledger.end(subject.slot, endings[type]);
    }
    ledger.countUnlisted();
    ledger.fail(subject, { reason: 'unlisted', actual: { type } });
  }

  /** Whether it is a directory on the way to nothing but what is ignored. */
  #isOnTheWay({ place, name }: Subject): boolean {
    const { settings, plan } = this.#course;
    return name === undefined && settings.ignore.length > 0 && plan.find(place.path) !== undefined;
  }
}
