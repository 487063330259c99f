import pRetry from 'p-retry';
import type { RetrySettings } from './options.ts';

/** A round that found everything as it was before. */
const stillPending = new Error('still pending');

/** What {@link settle} asks of the pass. */
export interface Settling {
  /** Look at everything that is pending once more. Returns false where nothing came and nothing changed. */
  round(): Promise<boolean>;
  /** True while there is something to wait for. */
  isPending(): boolean;
}

/**
 * Rounds over what is pending: one p-retry attempt looks at all of it, so there is one timer however much is
 * missing. The attempt before the first wait is the look that found it pending.
 *
 * A round that brought something consumes no retry: the retries and the backoff begin anew after it. Waiting ends
 * when nothing is pending, when `retries` rounds in a row brought nothing, or after `maxRetryTime` in all.
 *
 * @throws what a round throws, or the signal's reason
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
 * Try until it succeeds, or until the error is another than the one that is worth another try.
 *
 * @returns false where the retries or the time ran out
 */
async function retryWhile(
  expected: Error,
  retry: RetrySettings,
  signal: AbortSignal | undefined,
  attempt: (number: number) => Promise<void>,
): Promise<boolean> {
  // p-retry wraps what is no error, and this pass must reject with the very thing that was thrown.
  let thrown: { error: unknown } | undefined;
  const guarded = async (number: number) => {
    try {
      await attempt(number);
    } catch (error) {
      if (error !== expected) thrown = { error };
      throw expected;
    }
  };
  const options = { ...retry, shouldRetry: () => thrown === undefined, ...(signal && { signal }) };
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
 * Wait for something that was not there at the first look.
 *
 * @param attempt returns `undefined` while it is not there
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
