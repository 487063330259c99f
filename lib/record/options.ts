import {
  boolean,
  callback,
  checkNames,
  checkObject,
  checkPath,
  checkSignal,
  choice,
  globs,
} from '../checks.ts';
import type { Signal } from '../options.ts';
import { own } from '../own.ts';

/** How far a recording is, passed to `onProgress` between slices. */
export interface RecordProgress {
  /** Entries that were looked at so far. */
  entries: number;
  /** Bytes that were digested so far. */
  bytes: number;
}

/** Options of {@link recordManifest}. */
export interface RecordOptions {
  /** micromatch globs of entries that are left out, with everything below them. Default none. */
  ignore?: string | readonly string[] | undefined;
  /** Digest of each file's content. `'none'` (default): contents are not read. `'sha256'`: each file is read once. */
  digest?: 'none' | 'sha256' | undefined;
  /** Enter mount points below the root. Default false: they are left out, and a warning names each. */
  crossDevice?: boolean | undefined;
  /** Checked between slices of work; the promise rejects with the signal's reason. */
  signal?: Signal | undefined;
  /** Called between slices of work. If it throws, the promise rejects with that error. */
  onProgress?: ((progress: RecordProgress) => void) | undefined;
}

/**
 * Options after checking.
 *
 * @internal
 */
export interface RecordSettings {
  readonly ignore: readonly string[];
  readonly digest: 'none' | 'sha256';
  readonly crossDevice: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: RecordProgress) => void) | undefined;
}

const names: ReadonlySet<string> = new Set<keyof RecordOptions>([
  'ignore',
  'digest',
  'crossDevice',
  'signal',
  'onProgress',
]);

/**
 * Check every option and fill in the defaults. `undefined` means: not given.
 *
 * @throws TypeError for an unknown name or a wrong type, RangeError for a wrong value; both name the option
 * @internal
 */
export function resolveRecordOptions(root: unknown, options: RecordOptions): RecordSettings {
  checkPath('root', root);
  checkObject('options', options);
  checkNames('option', options, names);
  const { ignore, digest, crossDevice, signal, onProgress } = own(options);
  return {
    ignore: globs('ignore', ignore),
    digest: choice('digest', digest, ['none', 'sha256']) ?? 'none',
    crossDevice: boolean('crossDevice', crossDevice) ?? false,
    signal: checkSignal(signal),
    onProgress: callback('onProgress', onProgress),
  };
}
