import { quoted } from '../printable.ts';
/** Options of {@link readManifest} and the other readers. */
export interface ReadOptions {
  /** Stops the reading; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Check the options of a reader. Only own properties count.
 *
 * @throws TypeError for an unknown name or a wrong type; the signal's reason where it is aborted already
 */
export function checkReadOptions(options: ReadOptions): ReadOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError('options: expected an object');
  }
  for (const name of Object.keys(options)) {
    if (name !== 'signal') throw new TypeError(`unknown option ${quoted(name)}: known is signal`);
  }
  const signal = Object.hasOwn(options, 'signal') ? options.signal : undefined;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError('signal: expected an AbortSignal');
  }
  signal?.throwIfAborted();
  return { signal };
}
