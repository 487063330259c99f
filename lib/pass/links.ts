import { errorCode } from '../directory/errors.ts';
import { isSameTarget } from '../directory/link-target.ts';
import { type LinkResolution, LinkResolver, leadsBelow } from '../directory/resolve-link.ts';
import type { EntryFacts } from '../errors.ts';
import { traitsOf } from '../manifest/manifest.ts';
import type { Course, Scope } from './course.ts';
import type { Finding } from './ledger.ts';
import { PretendedLinks } from './pretended.ts';
import { NO_SLOT, Subject } from './slots.ts';

/** A link that leads into the staging directory, which will be gone. */
const TEMPORARY_CODE = 'ERR_PERMWALK_STAGING_LINK';
const TEMPORARY_ADVICE =
  "the extractor wrote the path of the staging directory into it: set publish to 'in-place'";

/**
 * Deals with links, which are never changed and never followed: what they are, and where they lead. A link is read at once;
 * {@link resolveAll} finds out in steps where it leads.
 */
export class Links {
  readonly #course: Course;
  readonly #lookAgain: (subject: Subject) => void;
  readonly #resolver: LinkResolver;
  /** Links that were read, and of which it is not yet known where they lead. */
  #read: { subject: Subject; target: string; isEnd: boolean }[] = [];
  /** Links to be looked at once more at the end: those that dangle and that nothing waits for, and those that lead elsewhere by then. */
  readonly #late = new Map<string, Subject>();
  /** Whether files may still become links, so that a link that leads through one leads elsewhere then. */
  #mayTurn: boolean;

  /** Files that are taken for links, as they would be once these are restored. */
  readonly pretended: PretendedLinks;

  /** @param lookAgain called for what is no link any more */
  constructor(course: Course, lookAgain: (subject: Subject) => void) {
    this.#course = course;
    this.#lookAgain = lookAgain;
    this.#mayTurn = course.settings.flattenedLinks === 'restore';
    this.pretended = new PretendedLinks(course.fold);
    this.#resolver = new LinkResolver(course.tree, (place, name) => this.pretended.at(place, name));
  }

  /** Whether there is something for {@link resolveAll}. */
  get hasRead(): boolean {
    return this.#read.length > 0;
  }

  /** Whether there is something for {@link endings}. */
  get hasLate(): boolean {
    return this.#late.size > 0;
  }

  /** Forget the directories on the way to the last target. */
  rewind(): void {
    this.#resolver.rewind();
  }

  /** From now on, files become links, and what is met leads where it will. */
  endTurning(): void {
    this.#mayTurn = false;
  }

  /** Look once more at the links that were left for the end. */
  *endings(): Generator<void> {
    for (const [path, subject] of this.#late) {
      // One that is looked at again may come back to the end of the map.
      this.#late.delete(path);
      try {
        const scope = this.#course.goTo(subject.place);
        this.#readLink(scope, subject, true);
      } catch (error) {
        this.#course.failed(subject, error);
      }
      yield* this.resolveAll();
      yield;
    }
  }

  /** Deal with a link; where it leads is found out by {@link resolveAll}. */
  visit(scope: Scope, name: string, slot: number): void {
    this.#readLink(scope, new Subject(scope.place, name, slot), false);
  }

  /** Find out where the links lead that were read since. Yields where a slice is over. */
  *resolveAll(): Generator<void> {
    while (this.#read.length > 0) {
      const read = this.#read;
      this.#read = [];
      for (const { subject, target, isEnd } of read) {
        try {
          const resolution = yield* this.resolve(subject, target);
          if (isEnd) this.#end(subject, target, resolution);
          else this.#conclude(subject, target, resolution);
        } catch (error) {
          this.#readFailed(subject, error);
        }
      }
    }
  }

  /** Find out where a text leads. Yields where a slice is over. */
  *resolve({ place }: Subject, target: string): Generator<void, LinkResolution> {
    const steps = this.#resolver.resolve(place, target);
    let step = steps.next();
    while (step.done !== true) {
      if (this.#course.slices.isOver()) yield;
      step = steps.next();
    }
    return step.value;
  }

  /** Deal with a link whose text is known. */
  take(subject: Subject, target: string, isEnd = false): void {
    this.#read.push({ subject, target, isEnd });
  }

  #readLink({ directory }: Scope, subject: Subject, isEnd: boolean): void {
    try {
      const name = subject.name as string;
      const target = this.pretended.at(subject.place, name) ?? directory.readlink(name);
      const type = this.#course.slots.type(subject.slot);
      if (!isEnd && (type === 'file' || type === 'directory')) {
        return this.#course.findings.mismatch(subject, { type: 'symlink', linkTarget: target });
      }
      if (this.#isOther(subject, target) || this.#isTemporary(subject, target)) return;
      this.take(subject, target, isEnd);
    } catch (error) {
      this.#readFailed(subject, error);
    }
  }

  /** True for a link that points elsewhere than the manifest says, which has been noted. */
  #isOther(subject: Subject, target: string): boolean {
    const { slots, settings, findings, ledger } = this.#course;
    const linkTarget = slots.facts(subject.slot)?.linkTarget;
    if (linkTarget === undefined || isSameTarget(linkTarget, target) || settings.verify === 'none')
      return false;
    const actual: EntryFacts = { type: 'symlink', linkTarget: target };
    const expected = findings.expected(subject.slot);
    ledger.fail(subject, { reason: 'link-mismatch', expected, actual, target });
    return true;
  }

  /** True for a link that leads where the tree lies only until it is moved, which has been noted. */
  #isTemporary(subject: Subject, target: string): boolean {
    const { tree, ledger, settings } = this.#course;
    if (tree.temporaryPath === undefined || !leadsBelow(tree.temporaryPath, target)) return false;
    const finding = { ...danglingLink(target, { kind: 'dangling', missing: '.' }), code: TEMPORARY_CODE };
    if (settings.danglingLinks === 'skip') this.#list(subject, target, { kind: 'dangling', missing: '.' });
    else ledger.fail(subject, { ...finding, advice: TEMPORARY_ADVICE });
    return true;
  }

  #conclude(subject: Subject, target: string, resolution: LinkResolution): void {
    const { settings, ledger, slots } = this.#course;
    const { kind } = resolution;
    // What cannot be looked at yet may lie in a directory that is still to be opened.
    const isOpen = kind === 'dangling' || kind === 'loop' || kind === 'unknown';
    if (!isOpen || (settings.danglingLinks === 'skip' && kind !== 'unknown')) {
      return this.#mayTurn ? this.#leaveForEnd(subject) : this.#list(subject, target, resolution);
    }
    const awaited = this.#awaited(resolution);
    // What has arrived is not waited for: once files have become links, the way to it may be another.
    const hasArrived = this.#mayTurn && awaited !== undefined && slots.state(awaited) === 'done';
    if (kind === 'unknown' || hasArrived || (awaited === undefined && !this.#mustLead(subject))) {
      // Nothing that is promised can mend it, so nothing waits for it.
      return this.#leaveForEnd(subject);
    }
    const finding = danglingLink(target, resolution);
    const isHopeless =
      kind === 'loop' || (awaited !== undefined && ledger.unresolved.has(slots.subject(awaited).path));
    if (isHopeless) ledger.fail(subject, finding);
    else ledger.wait(slots.adopt(subject, 'symlink'), finding, awaited);
  }

  #leaveForEnd(subject: Subject): void {
    this.#late.set(subject.path, subject);
    this.#course.ledger.arrived(subject.slot);
  }

  /** Slot of what the manifest names in the place that a link dangles to, unless the options ignore it. */
  #awaited(resolution: LinkResolution): number | undefined {
    return resolution.kind === 'dangling' ? this.#course.awaited(resolution.missing) : undefined;
  }

  /** What is listed without a type may be anything but a link that dangles. */
  #mustLead({ slot }: Subject): boolean {
    const { slots } = this.#course;
    if (slot === NO_SLOT || traitsOf(slots.facts(slot)).isPerhapsLink === true) return false;
    return slots.origin(slot) === 'listed' && slots.type(slot) === undefined;
  }

  /** What becomes at the end of a link that nothing waited for. */
  #end(subject: Subject, target: string, resolution: LinkResolution): void {
    const { danglingLinks } = this.#course.settings;
    const leadsNowhere = resolution.kind === 'dangling' || resolution.kind === 'loop';
    // Somebody may have replaced the link since the first look, so that it leads to an entry that never appeared.
    const isPromised = this.#mustLead(subject) || this.#awaited(resolution) !== undefined;
    if (leadsNowhere && (danglingLinks === 'error' || (danglingLinks === 'defer' && isPromised))) {
      this.#course.ledger.fail(subject, danglingLink(target, resolution));
    } else {
      this.#list(subject, target, resolution);
    }
  }

  #list(subject: Subject, target: string, { kind }: LinkResolution): void {
    const { ledger } = this.#course;
    if (kind !== 'inside') {
      const { path } = subject;
      ledger.links.set(path, { path, target, kind });
    }
    ledger.end(subject.slot, 'links');
  }

  /** Reading says EINVAL of what is no link any more. */
  #readFailed(subject: Subject, error: unknown): void {
    const code = errorCode(error);
    if (code === 'EINVAL' || code === 'ELOOP') this.#lookAgain(subject);
    else this.#course.failed(subject, error);
  }
}

function danglingLink(target: string, resolution: LinkResolution): Finding {
  const code = resolution.kind === 'loop' ? 'ELOOP' : 'ENOENT';
  return { reason: 'dangling-link', code, target, actual: { type: 'symlink', linkTarget: target } };
}
