import { checkNames, checkObject, checkSignal } from '../checks.ts';
import type { Signal } from '../options.ts';
import { own } from '../own.ts';

const names: ReadonlySet<string> = new Set(['signal']);

/** Options of {@link readManifest} and the other readers. */
export interface ReadOptions {
  /** Stops the reading; the promise rejects with the signal's reason. */
  signal?: Signal | undefined;
}

/**
 * Check the options of a reader. Only own properties count.
 *
 * @param known the names that there are
 * @throws TypeError for an unknown name or a wrong type; the signal's reason where it is aborted already
 */
export function checkReadOptions(options: ReadOptions, known = names): ReadOptions {
  checkObject('options', options);
  checkNames('option', options, known);
  const signal = checkSignal(own(options).signal);
  signal?.throwIfAborted();
  return { signal };
}
