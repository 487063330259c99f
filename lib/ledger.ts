import { type UnresolvedEntryDetails, UnresolvedEntryError } from './errors.ts';
import type { PlannedEntry } from './planned.ts';
import { createCounts, type LinkReport } from './report.ts';

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
export type Ending = 'changed' | 'unchanged' | 'links' | 'special' | 'ignored' | 'vanished';

const visitedEndings: ReadonlySet<Ending> = new Set(['changed', 'unchanged', 'links', 'special']);

/** The book of one pass: each entry ends in one place, once. */
export class Ledger {
  readonly counts = createCounts();
  readonly unresolved = new Map<string, UnresolvedEntryError>();
  readonly links = new Map<string, LinkReport>();
  /** Listed entries that were waited for and came. */
  recovered = 0;
  /** Whether anything that is waited for came or changed since this was last set to false. */
  progressed = false;
  readonly #waits = new Map<PlannedEntry, Wait>();
  readonly #maxEntries: number;
  #met = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** How many entries are waited for. */
  get pending(): number {
    return this.#waits.size;
  }

  /** How many more entries may be there. */
  get room(): number {
    return this.#maxEntries - this.#met;
  }

  /** What is waited for, in the order in which it was first looked at. */
  waiting(): PlannedEntry[] {
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
    const message = `maxEntries: more than ${this.#maxEntries} entries; nothing more was changed`;
    throw Object.assign(new RangeError(message), { code: 'ERR_PERMWALK_MAX_ENTRIES' });
  }

  /** An entry that is dealt with. */
  end(planned: PlannedEntry | undefined, ending: Ending): void {
    this.counts[ending] += 1;
    if (visitedEndings.has(ending)) this.counts.visited += 1;
    if (planned === undefined) return;
    if (ending !== 'ignored' && ending !== 'vanished') planned.ending = ending;
    this.arrived(planned);
  }

  /** An entry that was dealt with and is not any more as it was left: it will be dealt with again. */
  reopen(planned: PlannedEntry): void {
    if (planned.ending === undefined) return;
    this.counts[planned.ending] -= 1;
    this.counts.visited -= 1;
    this.links.delete(planned.path);
    planned.ending = undefined;
    planned.state = 'open';
  }

  /** An entry that is as it was promised, whatever is still to be done to it: nothing waits for it any more. */
  arrived(planned: PlannedEntry): void {
    planned.state = 'done';
    if (!this.#waits.delete(planned)) return;
    this.progressed = true;
    if (planned.origin === 'listed') this.recovered += 1;
  }

  /** An entry that has to be looked at again. */
  wait(planned: PlannedEntry, finding: Finding): void {
    planned.state = 'pending';
    const wait = this.#waits.get(planned);
    if (wait === undefined) {
      this.#waits.set(planned, { finding, attempts: 1, since: performance.now() });
      return;
    }
    wait.attempts += 1;
    if (wait.finding.reason !== finding.reason || wait.finding.actual?.size !== finding.actual?.size) {
      this.progressed = true;
    }
    wait.finding = finding;
  }

  /** An entry that is unresolved for good. */
  fail(path: string, planned: PlannedEntry | undefined, finding: Finding): void {
    const wait = planned && this.#waits.get(planned);
    if (planned !== undefined) {
      if (this.#waits.delete(planned)) this.progressed = true;
      planned.state = 'done';
    }
    const attempts = (wait?.attempts ?? 0) + 1;
    const elapsedMs = wait === undefined ? 0 : Math.round(performance.now() - wait.since);
    this.unresolved.set(path, new UnresolvedEntryError({ path, attempts, elapsedMs, ...finding }));
  }

  /** True where something was put on the list after everything on it had been given up. */
  isWaitingForMore(): boolean {
    return [...this.#waits.values()].some(({ attempts }) => attempts === 1);
  }

  /** Give up on everything that is still waited for, one at a time. */
  *giveUp(): Generator<void> {
    for (const [planned, { finding, attempts, since }] of this.#waits) {
      planned.state = 'done';
      // A directory that is only on the way to what is missing is named by what is missing.
      if (planned.origin === 'implied' && finding.reason === 'missing') continue;
      const elapsedMs = Math.round(performance.now() - since);
      const { path } = planned;
      this.unresolved.set(path, new UnresolvedEntryError({ path, attempts, elapsedMs, ...finding }));
      yield;
    }
    this.#waits.clear();
  }
}

/** Lists of a report are in the order of their paths' UTF-16 code units, on every system the same. */
export function byPath(one: { path: string }, other: { path: string }): number {
  return one.path < other.path ? -1 : Number(one.path > other.path);
}
