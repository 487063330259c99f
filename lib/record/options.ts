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
  signal?: AbortSignal | undefined;
  /** Called between slices of work. If it throws, the promise rejects with that error. */
  onProgress?: ((progress: RecordProgress) => void) | undefined;
}

/** Options after checking. */
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
 */
export function resolveRecordOptions(root: unknown, options: RecordOptions): RecordSettings {
  if (typeof root !== 'string') throw new TypeError('root: expected a path');
  if (root === '' || root.includes('\0')) throw new RangeError(`root: ${JSON.stringify(root)} is not a path`);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError('options: expected an object');
  }
  for (const name of Object.keys(options)) {
    if (names.has(name)) continue;
    throw new TypeError(`unknown option ${JSON.stringify(name)}: known are ${[...names].join(', ')}`);
  }
  const { ignore, digest = 'none', crossDevice = false, signal, onProgress } = options;
  if (digest !== 'none' && digest !== 'sha256') {
    throw new RangeError(`digest: ${JSON.stringify(digest)} is not one of 'none', 'sha256'`);
  }
  if (typeof crossDevice !== 'boolean') throw new TypeError('crossDevice: expected true or false');
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError('signal: expected an AbortSignal');
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new TypeError('onProgress: expected a function');
  }
  return { ignore: checkGlobs(ignore), digest, crossDevice, signal, onProgress };
}

function checkGlobs(value: string | readonly string[] | undefined): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : (value ?? []);
  if (!Array.isArray(list) || !list.every((glob) => typeof glob === 'string')) {
    throw new TypeError('ignore: expected a glob or an array of globs');
  }
  if (list.includes('')) throw new RangeError('ignore: "" is not a glob');
  return list;
}
