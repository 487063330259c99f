import { type UnresolvedEntryDetails, UnresolvedEntryError } from '../errors.ts';
import { createCounts, type LinkReport, type PermissionCounts } from '../report.ts';
import { NO_SLOT, type Slots, type Subject, type VisitedEnding } from './slots.ts';

/** What a look at an entry found wrong. The ledger knows how often and for how long it was looked at, mostly. */
export type Finding = Omit<UnresolvedEntryDetails, 'path' | 'attempts' | 'elapsedMs'> &
  Partial<Pick<UnresolvedEntryDetails, 'attempts' | 'elapsedMs'>>;

/** An entry that is looked at again. */
interface Wait {
  finding: Finding;
  attempts: number;
  readonly since: number;
}

/** Where an entry that is not unresolved ends. */
export type Ending = VisitedEnding | 'ignored' | 'vanished';

/** The book of one pass: each entry ends in one place, once. */
export class Ledger {
  readonly unresolved = new Map<string, UnresolvedEntryError>();
  readonly links = new Map<string, LinkReport>();
  /** Paths of what the manifest does not name, where they are to be listed. */
  readonly unlisted = new Set<string>();
  /** Listed entries that were waited for and came. */
  recovered = 0;
  /** Whether anything that is waited for came or changed since this was last set to false. */
  progressed = false;
  readonly #counts = createCounts();
  readonly #slots: Slots;
  readonly #waits = new Map<number, Wait>();
  /** How many waits nobody is told of: for directories that are only on the way to others, and the soft ones. */
  #impliedWaits = 0;
  readonly #maxEntries: number;
  #met = 0;
  /** How many waits are for what nothing is waited for alone. */
  #soft = 0;

  constructor(slots: Slots, maxEntries: number) {
    this.#slots = slots;
    this.#maxEntries = maxEntries;
  }

  /** How many entries came to which end so far. */
  get counts(): PermissionCounts {
    const { changed, unchanged, links, special } = this.#counts;
    return { ...this.#counts, visited: changed + unchanged + links + special };
  }

  /** How many entries are waited for. */
  get pending(): number {
    return this.#waits.size - this.#soft;
  }

  /** The same without directories that are only on the way to others: at least one, while anything is waited for. */
  get awaited(): number {
    return Math.max(this.#waits.size - this.#impliedWaits, Math.min(this.#waits.size, 1));
  }

  /** How many more entries may be there. */
  get room(): number {
    return this.#maxEntries - this.#met;
  }

  /** Slots of what is waited for, in the order in which they were first looked at. */
  waiting(): number[] {
    return [...this.#waits.keys()];
  }

  /** Note that so many more entries are there. Throws RangeError past the bound. */
  meet(entries: number): void {
    this.#met += entries;
    this.expect(0);
  }

  /** Note that so many more entries should be there. Throws RangeError where that is past the bound. */
  expect(entries: number): void {
    if (this.#met + entries <= this.#maxEntries) return;
    const message = `maxEntries: more than ${this.#maxEntries} entries; nothing more was changed: raise the limit, or look at what the tree holds`;
    throw Object.assign(new RangeError(message), { code: 'ERR_PERMWALK_MAX_ENTRIES' });
  }

  /** Count an entry that is there and that the manifest does not name. */
  countUnlisted(): void {
    this.#counts.unlisted += 1;
  }

  /** Count and name an entry that is there and that the manifest does not name: once, however often it is met. */
  listUnlisted(path: string): void {
    const known = this.unlisted.size;
    if (this.unlisted.add(path).size > known) this.countUnlisted();
  }

  /**
   * Take back the counts and names of unlisted entries, one at a time: the next walk counts them again.
   *
   * @param counted how many entries had which ending
   */
  *forgetUnlisted(counted: ReadonlyMap<Ending, number>): Generator<void> {
    for (const [ending, entries] of counted) this.#counts[ending] -= entries;
    this.#counts.unlisted = 0;
    this.unlisted.clear();
    // The root is there.
    this.#met = 1;
    for (const [path, { reason }] of this.unresolved) {
      if (reason === 'unlisted') this.unresolved.delete(path);
      yield;
    }
  }

  /** Count a file with more than one name that was changed. */
  countHardLinked(): void {
    this.#counts.hardLinked += 1;
  }

  /** Count a file that became a link. */
  countRestored(): void {
    this.#counts.restored += 1;
  }

  /** Count paths of the manifest that the options ignore. */
  countIgnored(paths: number): void {
    this.#counts.ignored += paths;
  }

  /** Something that may be absent, and is. */
  absent(slot: number): void {
    this.#counts.absent += 1;
    this.drop(slot);
  }

  /** Something of which nothing more is asked: it need not be there, or is there in its other spelling. */
  drop(slot: number): void {
    this.#slots.setState(slot, 'done');
    this.#stopWaiting(slot);
  }

  /** An entry that is dealt with. */
  end(slot: number, ending: Ending): void {
    this.#counts[ending] += 1;
    if (slot === NO_SLOT) return;
    this.#countUnverified(slot, ending, 1);
    if (ending !== 'ignored' && ending !== 'vanished') this.#slots.setEnding(slot, ending);
    this.arrived(slot);
  }

  #countUnverified(slot: number, ending: Ending, by: 1 | -1): void {
    if ((ending === 'changed' || ending === 'unchanged') && this.#slots.isUnverified(slot))
      this.#counts.unverified += by;
  }

  /** An entry that was dealt with and is not any more as it was left: it will be dealt with again. */
  reopen(slot: number): void {
    const ending = this.#slots.ending(slot);
    if (ending === undefined) return;
    this.#counts[ending] -= 1;
    this.#countUnverified(slot, ending, -1);
    if (ending === 'links') this.links.delete(this.#slots.subject(slot).path);
    this.#slots.setEnding(slot, undefined);
    this.#slots.setState(slot, 'open');
    // It may be in its other spelling by now.
    for (const twin of this.#slots.twins(slot)) {
      if (this.#slots.ending(twin) === undefined) this.#slots.setState(twin, 'open');
    }
  }

  /** An entry that is as it was promised, whatever is still to be done to it: nothing waits for it any more. */
  arrived(slot: number): void {
    if (slot === NO_SLOT) return;
    this.#slots.setState(slot, 'done');
    if (this.#waits.size === 0) return;
    this.#releaseTwins(slot);
    if (!this.#stopWaiting(slot)) return;
    this.progressed = true;
    if (this.#slots.origin(slot) === 'listed') this.recovered += 1;
  }

  /** Nothing waits for another spelling where one is there. */
  #releaseTwins(slot: number): void {
    for (const twin of this.#slots.twins(slot)) {
      if (!isMissing(this.#waits.get(twin)?.finding)) continue;
      this.drop(twin);
      this.progressed = true;
    }
  }

  #stopWaiting(slot: number): boolean {
    if (!this.#waits.delete(slot)) return false;
    this.#countWait(slot, -1);
    return true;
  }

  #countWait(slot: number, by: 1 | -1): void {
    const isSoft = this.#slots.isSoft(slot);
    if (isSoft) this.#soft += by;
    if (isSoft || this.#slots.origin(slot) === 'implied') this.#impliedWaits += by;
  }

  /**
   * An entry that has to be looked at again.
   *
   * @param awaited slot of what it waits for: it is waited for no longer than that, though it be met late
   */
  wait({ slot }: Subject, finding: Finding, awaited?: number): void {
    this.#slots.setState(slot, 'pending');
    const wait = this.#waits.get(slot);
    if (wait === undefined) {
      const { attempts = 1, since = performance.now() } =
        (awaited === undefined ? undefined : this.#waits.get(awaited)) ?? {};
      this.#waits.set(slot, { finding, attempts, since });
      this.#countWait(slot, 1);
      return;
    }
    wait.attempts += 1;
    if (wait.finding.reason !== finding.reason || wait.finding.actual?.size !== finding.actual?.size) {
      this.progressed = true;
    }
    wait.finding = finding;
  }

  /** An entry that is unresolved for good. */
  fail({ path, slot }: Subject, finding: Finding): void {
    const wait = this.#waits.get(slot);
    if (slot !== NO_SLOT) {
      if (this.#stopWaiting(slot)) this.progressed = true;
      this.#slots.setState(slot, 'done');
      this.#releaseTwins(slot);
    }
    const attempts = (wait?.attempts ?? 0) + 1;
    const elapsedMs = wait === undefined ? 0 : Math.round(performance.now() - wait.since);
    this.unresolved.set(path, new UnresolvedEntryError({ path, attempts, elapsedMs, ...finding }));
  }

  /** The first slot that is waited for, unless it is a directory that is only on the way to others. */
  get firstWaiting(): number | undefined {
    for (const slot of this.#waits.keys())
      if (this.#slots.origin(slot) !== 'implied' && !this.#slots.isSoft(slot)) return slot;
    return this.#waits.keys().next().value;
  }

  /** What would be unresolved if nothing more came. */
  list(): UnresolvedEntryError[] {
    const errors = new Map(this.unresolved);
    for (const [slot, wait] of this.#waits) {
      const error = this.#abandoned(slot, wait);
      if (error !== undefined) errors.set(error.path, error);
    }
    return [...errors.values()].sort(byPath);
  }

  /** True where something was put on the list after everything on it had been given up. */
  isWaitingForMore(): boolean {
    for (const [slot, { attempts }] of this.#waits)
      if (attempts === 1 && !this.#slots.isSoft(slot)) return true;
    return false;
  }

  /** Give up on everything that is still waited for, one at a time. */
  *giveUp(): Generator<void> {
    for (const [slot, wait] of this.#waits) {
      this.#slots.setState(slot, 'done');
      const error = this.#abandoned(slot, wait);
      if (error === undefined) continue;
      this.unresolved.set(error.path, error);
      yield;
    }
    this.#waits.clear();
    this.#soft = 0;
    this.#impliedWaits = 0;
  }

  #abandoned(slot: number, { finding, attempts, since }: Wait): UnresolvedEntryError | undefined {
    // A missing directory that the manifest does not list shows in the paths of its missing entries.
    if (this.#slots.origin(slot) === 'implied' && finding.reason === 'missing') return undefined;
    if (this.#isSaidByTwin(slot, finding)) return undefined;
    const elapsedMs = Math.round(performance.now() - since);
    const { path } = this.#slots.subject(slot);
    return new UnresolvedEntryError({ path, attempts, elapsedMs, ...finding });
  }

  /** Of spellings that are all missing the first is named; of those of which one is there, that one. */
  #isSaidByTwin(slot: number, finding: Finding): boolean {
    const twins = this.#slots.twins(slot);
    if (twins.length === 0) return false;
    if (!isMissing(finding)) return twins.some((twin) => this.#slots.ending(twin) !== undefined);
    const others = twins.map((twin) => this.#waits.get(twin)?.finding);
    return (
      this.#slots.isAlternative(slot) || others.some((other) => other !== undefined && !isMissing(other))
    );
  }
}

function isMissing(finding: Finding | undefined): boolean {
  return finding?.reason === 'missing' || finding?.reason === 'undecodable-name';
}

/** Lists of a report are in the order of their paths' UTF-16 code units, on every system the same. */
export function byPath(one: { path: string }, other: { path: string }): number {
  return one.path < other.path ? -1 : Number(one.path > other.path);
}
