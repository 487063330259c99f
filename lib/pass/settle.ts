import pRetry from 'p-retry';
import type { RetrySettings } from '../settings.ts';

/** A round without progress. */
const stillPending = new Error('still pending');

/** What {@link settle} asks of the pass. */
export interface Settling {
  /** Look at everything that is pending once more. Returns true if anything appeared or changed. */
  round(): Promise<boolean>;
  /** True while there is something to wait for. */
  isPending(): boolean;
}

/**
 * Look at pending entries in rounds, until none is left. One p-retry attempt is one round over all of them, so there is
 * one timer, however many are missing. The first attempt is the look that found them pending.
 *
 * Progress resets the retry count and the backoff. Waiting ends when nothing is pending, after `retries` rounds in a row
 * without progress, or after `maxRetryTime` in all.
 *
 * @throws whatever a round throws, or the signal's reason
 */
export async function settle(
  settling: Settling,
  retry: RetrySettings,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + retry.maxRetryTime;
  while (settling.isPending()) {
    const maxRetryTime = deadline - performance.now();
    if (maxRetryTime <= 0 || !(await untilProgress(settling, { ...retry, maxRetryTime }, signal))) return;
  }
}

async function untilProgress(
  settling: Settling,
  retry: RetrySettings,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return retryWhile(stillPending, retry, signal, async (attempt) => {
    if (attempt === 1 || !(await settling.round())) throw stillPending;
  });
}

/**
 * Try again while it fails with the expected error. Any other error is thrown.
 *
 * @returns false if the retries or the time ran out
 */
export async function retryWhile(
  expected: Error,
  retry: RetrySettings,
  signal: AbortSignal | undefined,
  attempt: (number: number) => Promise<void>,
): Promise<boolean> {
  // p-retry wraps a thrown value that is not an Error, but the pass must reject with that very value.
  let thrown: { error: unknown } | undefined;
  const guarded = async (number: number) => {
    try {
      await attempt(number);
    } catch (error) {
      if (error !== expected) thrown = { error };
      throw expected;
    }
  };
  // Everything that p-retry reads is said, so that it finds nothing in `Object.prototype`.
  const options = {
    ...retry,
    unref: false,
    onFailedAttempt: () => {},
    shouldConsumeRetry: () => true,
    shouldRetry: () => thrown === undefined,
    signal: signal as AbortSignal,
  };
  try {
    await pRetry(guarded, options);
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (thrown !== undefined) throw thrown.error;
    if (error !== expected) throw error;
    return false;
  }
}

/**
 * Wait for something that was missing at the first look.
 *
 * @param attempt returns `undefined` while it is missing
 * @returns `undefined` if it never appeared within the retries and the time
 */
export async function waitFor<T>(
  attempt: () => T | undefined,
  retry: RetrySettings,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  let found: T | undefined;
  await retryWhile(stillPending, retry, signal, async (number) => {
    if (number > 1) found = attempt();
    if (found === undefined) throw stillPending;
  });
  return found;
}
