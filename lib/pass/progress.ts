import { UnresolvedEntryError } from '../errors.ts';
import type { ApplyOptions } from '../options.ts';
import type { PermissionCounts, PermissionProgress } from '../report.ts';
import type { RetrySettings } from '../settings.ts';
import type { Ledger } from './ledger.ts';
import type { Slots } from './slots.ts';

/** What {@link Progress} is made of. */
type Facts = Omit<PermissionProgress, 'list' | 'done' | 'total'>;

/** What `onProgress` is called with: plain data, and a list that is made when it is asked for. */
export class Progress implements PermissionProgress {
  readonly phase: PermissionProgress['phase'];
  readonly counts: Readonly<PermissionCounts>;
  readonly pending: number;
  readonly unresolved: number;
  readonly waitingFor?: string | undefined;
  readonly waitMs?: number | undefined;
  readonly #list: () => UnresolvedEntryError[];

  constructor(
    { phase, counts, pending, unresolved, waitingFor, waitMs }: Facts,
    list: () => UnresolvedEntryError[],
  ) {
    this.phase = phase;
    this.counts = counts;
    this.pending = pending;
    this.unresolved = unresolved;
    if (waitingFor !== undefined) this.waitingFor = waitingFor;
    if (waitMs !== undefined) this.waitMs = waitMs;
    this.#list = list;
  }

  list(): UnresolvedEntryError[] {
    return this.#list();
  }
}

/** Tells `onProgress` how far a pass is, and for how long it will wait. */
export class Teller {
  phase: PermissionProgress['phase'] = 'visit';
  readonly #onProgress: ApplyOptions['onProgress'];
  /** When waiting ends at the latest, unless something changes. */
  #waitsUntil = 0;

  constructor(onProgress: ApplyOptions['onProgress']) {
    this.#onProgress = onProgress;
  }

  /** A waiting begins, or begins anew. */
  waits(retry: RetrySettings): void {
    this.#waitsUntil = performance.now() + longestWait(retry);
  }

  tell({ slots, ledger }: { slots: Slots; ledger: Ledger }): void {
    if (this.#onProgress === undefined) return;
    const { counts, awaited: pending, unresolved } = ledger;
    const isWaiting = this.phase === 'settle' && pending > 0;
    const first = isWaiting ? ledger.firstWaiting : undefined;
    const waitingFor = first === undefined ? undefined : slots.subject(first).path;
    const waitMs = isWaiting ? this.#waitMs() : undefined;
    const facts = { phase: this.phase, counts, pending, unresolved: unresolved.size, waitingFor, waitMs };
    this.#onProgress(new Progress(facts, () => ledger.list()));
  }

  /** The tree itself is waited for. */
  tellOfRoot(attempts: number, { counts, unresolved }: Ledger): void {
    const waits = { pending: 1, waitingFor: '.', waitMs: this.#waitMs() };
    const facts = { phase: 'settle', counts, unresolved: unresolved.size, ...waits } as const;
    const missing = { path: '.', reason: 'missing', code: 'ENOENT', attempts, elapsedMs: 0 } as const;
    const list = () => [new UnresolvedEntryError({ ...missing, expected: { type: 'directory' } })];
    this.#onProgress?.(new Progress(facts, list));
  }

  #waitMs(): number {
    return Math.max(0, Math.round(this.#waitsUntil - performance.now()));
  }
}

/** For how many milliseconds a waiting that begins now goes on at most, if nothing changes. */
function longestWait({
  retries,
  factor,
  minTimeout,
  maxTimeout,
  randomize,
  maxRetryTime,
}: RetrySettings): number {
  let sum = 0;
  let wait = minTimeout * (randomize ? 2 : 1);
  for (let retry = 0; retry < retries && sum < maxRetryTime; retry += 1) {
    const next = Math.min(wait, maxTimeout);
    // Waits of nothing never come to an end by themselves.
    if (next === 0) return retries === Number.POSITIVE_INFINITY ? maxRetryTime : sum;
    sum += next;
    wait *= factor;
  }
  return Math.min(sum, maxRetryTime);
}
