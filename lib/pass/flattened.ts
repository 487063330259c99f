import type { OpenFile } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode, systemError, UnsafePathError } from '../directory/errors.ts';
import { isWindows } from '../directory/platform.ts';
import {
  isInnerTarget,
  type Left,
  type Restoration,
  restoreLink,
  textOf,
} from '../directory/restore-link.ts';
import type { Course, Scope } from './course.ts';
import type { Links } from './links.ts';
import type { Modes } from './modes.ts';
import { NO_SLOT, Subject } from './slots.ts';

const OWNER_WRITES = 0o200;

/** A file that holds the text of a link, and that may become that link. */
interface Candidate {
  readonly subject: Subject;
  readonly path: string;
  readonly target: string;
}

/**
 * Deals with files where the manifest has links: many extractors write the text of a link to a file. If the options ask for it,
 * {@link restore} turns such files into links, after everything else.
 */
export class FlattenedLinks {
  readonly #course: Course;
  readonly #links: Links;
  readonly #modes: Modes;
  readonly #lookAgain: (subject: Subject) => void;
  /** By slot. */
  readonly #candidates = new Map<number, Candidate>();
  /** Links that somebody was told of, by slot. */
  readonly #told = new Set<number>();
  /** What is to be looked at once all candidates have been dealt with. */
  #turned: Subject[] = [];

  /** @param lookAgain called for what was restored, and for what is no file any more */
  constructor(course: Course, links: Links, modes: Modes, lookAgain: (subject: Subject) => void) {
    this.#course = course;
    this.#links = links;
    this.#modes = modes;
    this.#lookAgain = lookAgain;
  }

  /** Deal with a file where the manifest has a link. Where the start of its text is there, the rest is waited for. */
  visit(scope: Scope, name: string, slot: number): void {
    const { findings, ledger, slots } = this.#course;
    const subject = new Subject(scope.place, name, slot);
    const target = slots.facts(slot)?.linkTarget;
    if (target === undefined) return findings.mismatch(subject, { type: 'file' });
    const text = textOf(target);
    let file: OpenFile | undefined;
    try {
      file = scope.directory.open(name);
      const content = file.read(text.length + 1);
      if (!text.subarray(0, content.length).equals(content)) {
        return findings.mismatch(subject, { type: 'file' });
      }
      if (content.length < text.length) {
        const actual = { type: 'file', size: content.length } as const;
        return ledger.wait(subject, { reason: 'type-mismatch', expected: findings.expected(slot), actual });
      }
      const refusal = this.#refusal(subject, scope, target, file.stats);
      if (refusal === undefined) this.#keep(subject, target);
      else this.#refuse(subject, target, refusal);
    } catch (error) {
      if (isTurned(error)) this.#lookAgain(subject);
      else this.#course.failed(subject, error);
    } finally {
      file?.close();
    }
  }

  /** Whether there is something for {@link restore}. */
  get hasCandidates(): boolean {
    return this.#candidates.size > 0;
  }

  /** Make links of the files that were found to hold one's text. Yields where a slice is over. */
  *restore(): Generator<void> {
    this.#links.endTurning();
    while (this.hasCandidates) {
      const candidates = [...this.#candidates.values()];
      this.#candidates.clear();
      this.#links.rewind();
      // Each is judged as if all the others were links already: what comes of it does not depend on their order.
      for (const { path, target } of candidates) {
        this.#links.pretended.add(path, target);
        if (this.#course.slices.isOver()) yield;
      }
      const refused: Candidate[] = [];
      for (const candidate of candidates) {
        const staysInside = yield* this.#staysInside(candidate);
        const { dryRun } = this.#course.settings;
        if (!staysInside || (dryRun && this.#isDenied(candidate))) refused.push(candidate);
        else if (dryRun) this.#wouldRestore(candidate);
        else this.#restore(candidate);
        if (this.#course.slices.isOver()) yield;
      }
      if (!this.#course.settings.dryRun) this.#links.pretended.clear();
      for (const { path } of refused) this.#links.pretended.remove(path);
      yield* this.#lookAtTurned();
      yield* this.#links.resolveAll();
    }
  }

  *#lookAtTurned(): Generator<void> {
    const turned = this.#turned;
    this.#turned = [];
    for (const subject of turned) {
      this.#lookAgain(subject);
      yield* this.#links.resolveAll();
      if (this.#course.slices.isOver()) yield;
    }
  }

  #keep(subject: Subject, target: string): void {
    const { path, slot, place, name } = subject;
    if (this.#links.pretended.at(place, name as string) === target) return this.#links.take(subject, target);
    this.#candidates.set(slot, { subject, path, target });
    this.#course.ledger.arrived(slot);
  }

  /** Why a file is not to become a link, as far as can be told of the file and the text; `undefined` where it is. */
  #refusal(subject: Subject, scope: Scope, target: string, found: EntryStats): string | undefined {
    const { flattenedLinks, verify, crossDevice } = this.#course.settings;
    if (flattenedLinks === 'error') return '';
    if (isWindows) return 'links are not restored on Windows';
    if (verify === 'none') return "files are not restored if verify is 'none'";
    if (!isInnerTarget(target, scope.place.depth)) return 'its target may lead out of the tree';
    if (found.nlink !== 1) return 'the file has other names, too';
    if (found.uid !== process.geteuid?.()) return 'the file belongs to another user';
    const isMounted = !crossDevice && scope.directory.isMountPoint(subject.name as string, found);
    return isMounted ? 'something is mounted on it' : undefined;
  }

  #refuse(subject: Subject, linkTarget: string, why: string): void {
    const { findings, ledger } = this.#course;
    const actual = { type: 'file', size: textOf(linkTarget).length } as const;
    const facts = { expected: findings.expected(subject.slot), actual, target: linkTarget };
    const advice = why === '' ? undefined : `${why}: use an extractor that makes symbolic links`;
    ledger.fail(subject, { reason: 'link-flattened', ...facts, advice });
  }

  /** Whether a link, followed through all that is there, stays in the tree. Where not, that has been noted. */
  *#staysInside({ subject, target }: Candidate): Generator<void, boolean> {
    try {
      const { kind } = yield* this.#links.resolve(subject, target);
      if (kind === 'inside' || kind === 'dangling') return true;
      const why = kind === 'outside' ? 'leads out of the tree' : 'leads in a circle, or cannot be followed';
      this.#refuse(subject, target, `its target ${why}`);
    } catch (error) {
      this.#failed(subject, error);
    }
    return false;
  }

  /** Whether we own a directory and could not make a link in it, by the mode that it would have then. That has been noted. */
  #isDenied({ subject }: Candidate): boolean {
    const { place, path } = subject;
    try {
      const stats = this.#course.goTo(place).directory.stats();
      const own = new Subject(place, undefined, this.#course.slotOfPlace(place));
      const isOwn = stats.uid === process.geteuid?.() && stats.uid !== 0;
      if (!isOwn || (this.#modes.meanwhile(own, stats) & OWNER_WRITES) !== 0) return false;
      throw systemError('EACCES', 'permission denied', 'symlink', path);
    } catch (error) {
      this.#failed(subject, error);
      return true;
    }
  }

  #wouldRestore({ subject, target }: Candidate): void {
    this.#tell(subject, target);
    this.#links.take(subject, target);
  }

  #restore({ subject, target }: Candidate): void {
    let result: Restoration;
    try {
      const scope = this.#course.goTo(subject.place);
      const mayReplace = (found: EntryStats) => this.#refusal(subject, scope, target, found) === undefined;
      result = restoreLink(scope.directory, subject.name as string, target, mayReplace);
    } catch (error) {
      return this.#failed(subject, error);
    }
    const { isRestored, error, left } = result;
    if (left !== undefined) this.#leave(subject, left);
    if (isRestored) this.#tell(subject, target);
    if (error === undefined) this.#turned.push(subject);
    else this.#failed(subject, error);
  }

  #tell({ path, slot }: Subject, linkTarget: string): void {
    const { ledger, settings } = this.#course;
    if (this.#told.has(slot)) return;
    this.#told.add(slot);
    ledger.countRestored();
    settings.onChange?.({ path, linkTarget });
  }

  /** Name an entry that stays beside a link. */
  #leave({ place }: Subject, { name, error, advice }: Left): void {
    const isSwapped = error instanceof UnsafePathError;
    const finding = { code: errorCode(error), advice, cause: error };
    const left = new Subject(place, name, NO_SLOT);
    this.#course.ledger.fail(left, { reason: isSwapped ? error.reason : 'io-error', ...finding });
  }

  #failed(subject: Subject, error: unknown): void {
    if (isTurned(error)) this.#turned.push(subject);
    else this.#course.failed(subject, error);
  }
}

/** Opening says EINVAL or ELOOP of what is no file any more. */
function isTurned(error: unknown): boolean {
  return ['EINVAL', 'ELOOP'].includes(errorCode(error) ?? '');
}
