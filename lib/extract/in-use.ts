import { errorCode } from '../directory/errors.ts';
import { isWindows } from '../directory/platform.ts';
import { retryWhile } from '../pass/settle.ts';
import type { RetrySettings } from '../settings.ts';

/**
 * What Windows answers if another process has something open: a scanner, an editor, a program that runs from there. A file that is
 * removed while it is open stays in its directory until it is closed (ENOTEMPTY).
 */
const inUseCodes: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'EBUSY', 'ENOTEMPTY']);
/** A try failed because something is open. */
const stillInUse = new Error('still in use');

/** Whether an error may say that another process has something open. */
export function isInUse(error: unknown): boolean {
  return isWindows && inUseCodes.has(errorCode(error) ?? '');
}

/** How long to try to remove what is not needed any more: somebody waits for the call to end. */
export const cleaning: RetrySettings = {
  retries: 6,
  minTimeout: 10,
  factor: 2,
  maxTimeout: 400,
  maxRetryTime: 1000,
  randomize: false,
};

/**
 * Do something. On Windows, repeat it while another process has the entry open: a scanner looks at every file that was just written.
 *
 * @param act looks at the entry anew each time
 * @param retry how often, and how long; `false`: do it once
 * @throws what the last try threw, or the signal's reason
 */
export async function whileInUse<T>(
  act: () => T | Promise<T>,
  retry: RetrySettings | false,
  signal?: AbortSignal,
): Promise<T> {
  if (!isWindows || retry === false) return act();
  let result: { value: T } | undefined;
  let last: unknown;
  await retryWhile(stillInUse, retry, signal, async () => {
    try {
      result = { value: await act() };
    } catch (error) {
      if (!isInUse(error)) throw error;
      last = error;
      throw stillInUse;
    }
  });
  if (result === undefined) throw last;
  return result.value;
}
