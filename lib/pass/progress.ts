import type { UnresolvedEntryError } from '../errors.ts';
import type { PermissionCounts, PermissionProgress } from '../report.ts';
import type { RetrySettings } from '../settings.ts';

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

/** For how many milliseconds a waiting that begins now goes on at most, if nothing changes. */
export function longestWait({
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
