import type { ManifestInput } from './manifest/manifest.ts';
import { compileMode, type ModeRule } from './modes/mode.ts';
import { remembered } from './modes/outcomes.ts';
import { processUmask } from './modes/umask.ts';
import { own } from './own.ts';
import type { PermissionChange, PermissionProgress } from './report.ts';

/** How long to wait for entries that the manifest names. The names are p-retry's. */
export interface RetryOptions {
  /** Rounds without progress before giving up. Progress resets the count. Default 10. */
  retries?: number | undefined;
  /** Factor between one wait and the next. Default 2. */
  factor?: number | undefined;
  /** Milliseconds before the first retry. Default 20. */
  minTimeout?: number | undefined;
  /** Longest wait between two rounds in milliseconds. Default 1000. */
  maxTimeout?: number | undefined;
  /** Longest time for all waits together, in milliseconds. Default 15000. */
  maxRetryTime?: number | undefined;
  /** Multiply each wait by a random factor from 1 to 2. Default true. */
  randomize?: boolean | undefined;
}

/** Options of {@link applyPermissions}. */
export interface ApplyOptions {
  /** What must exist: from {@link readManifest}, or an iterable of paths or entries. Default: nothing has to. */
  manifest?: ManifestInput | undefined;
  /**
   * Which mode an entry gets. Default `'executable'`.
   *
   * - `'executable'`: add exec bits, remove nothing. Files that the manifest marks executable (any x bit), or that
   *   `executable` matches, get x for every class that has r, masked by umask. Directories get x where they have r.
   * - `'manifest'`: exactly the manifest's `mode & 0o777 & ~umask`; an unknown mode changes nothing.
   * - a number (`0o644`), or its octal digits in a string: files get that mode; directories get it with x where it has
   *   r. As with GNU chmod, directories keep setuid and setgid.
   * - any other string: a symbolic mode (`u+rwX,go+rX`), applied as GNU chmod applies it.
   */
  mode?: number | string | undefined;
  /**
   * micromatch globs of files that also get x where they have r, masked by umask, whatever the mode. They match the
   * path below the root, written with `/`; names that begin with a dot match, too. Default none.
   */
  executable?: string | readonly string[] | undefined;
  /** micromatch globs of entries that are not changed and, if they are directories, not entered. Default none. */
  ignore?: string | readonly string[] | undefined;
  /**
   * In mode `'executable'`: let the first bytes of a file (`#!`, an ELF program, a Mach-O program) decide if it is
   * executable, if the manifest does not name it or does not know its mode. Default false.
   */
  detect?: boolean | undefined;
  /**
   * Walk the tree as well, and so visit entries that the manifest does not name. Default: true without a manifest,
   * false with one.
   */
  discover?: boolean | undefined;
  /**
   * What to check for every path of the manifest. `'size'` (default): it exists, with its type and its size.
   * `'presence'`: it exists, with its type. `'none'`: checks only entries whose mode it sets.
   */
  verify?: 'size' | 'presence' | 'none' | undefined;
  /**
   * What happens to a link whose target does not exist. `'defer'` (default): wait for the target if the manifest names
   * it; the link is unresolved if it never appears. Any other dangling link is checked once more at the end, and listed.
   * `'skip'`: list it at once. `'error'`: it is unresolved if it still dangles at the end.
   */
  danglingLinks?: 'defer' | 'skip' | 'error' | undefined;
  /** How long to wait for entries of the manifest; `false`: look once. */
  retry?: RetryOptions | false | undefined;
  /** Reject with `UnresolvedEntriesError` if anything is unresolved, after everything else is done. Default true. */
  strict?: boolean | undefined;
  /** Change nothing, report what would change. Default false. */
  dryRun?: boolean | undefined;
  /** Permission bits that are never granted, 0 to 0o777. Default: the umask of the process. */
  umask?: number | undefined;
  /**
   * What happens to a file with more than one link whose mode would change. `'apply'` (default): change it. `'skip'`: leave
   * it. `'error'`: leave it, and report it as unresolved.
   */
  hardLinks?: 'apply' | 'skip' | 'error' | undefined;
  /** Enter mount points below the root. Default false. */
  crossDevice?: boolean | undefined;
  /** Stop with a `RangeError` after this many entries. Default: no limit. */
  maxEntries?: number | undefined;
  /** Checked between slices of work; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called between slices of work. If it throws, the pass rejects with that error. */
  onProgress?: ((progress: PermissionProgress) => void) | undefined;
  /** Called for every mode that was changed (or would be, in a dry run). If it throws, the pass rejects with that error. */
  onChange?: ((change: PermissionChange) => void) | undefined;
}

/** {@link RetryOptions} with their defaults. */
export type RetrySettings = { [Name in keyof RetryOptions]-?: NonNullable<RetryOptions[Name]> };

/** Options after checking: with defaults, modes compiled. */
export interface Settings {
  readonly manifest: ManifestInput | undefined;
  /** From an old mode to a new one; see {@link ApplyOptions.mode}. */
  readonly modeRule: ModeRule;
  /** Which files get a mode: those that the manifest marks executable, those whose mode it knows, or all. */
  readonly modeFrom: 'executable' | 'manifest' | 'all';
  readonly executable: readonly string[];
  readonly ignore: readonly string[];
  /** Whether to read the first bytes of files of unknown mode; only in mode `'executable'`. */
  readonly detect: boolean;
  readonly discover: boolean;
  readonly verify: 'size' | 'presence' | 'none';
  readonly danglingLinks: 'defer' | 'skip' | 'error';
  readonly retry: RetrySettings | false;
  readonly strict: boolean;
  readonly dryRun: boolean;
  readonly hardLinks: 'apply' | 'skip' | 'error';
  readonly crossDevice: boolean;
  readonly maxEntries: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: PermissionProgress) => void) | undefined;
  readonly onChange: ((change: PermissionChange) => void) | undefined;
}

/** Longest timer in milliseconds. A longer one would fire at once. */
const MAX_TIMER = 2 ** 31 - 1;

const retryDefaults: RetrySettings = {
  retries: 10,
  factor: 2,
  minTimeout: 20,
  maxTimeout: 1000,
  maxRetryTime: 15_000,
  randomize: true,
};

const optionNames: ReadonlySet<string> = new Set<keyof ApplyOptions>([
  'manifest',
  'mode',
  'executable',
  'ignore',
  'detect',
  'discover',
  'verify',
  'danglingLinks',
  'retry',
  'strict',
  'dryRun',
  'umask',
  'hardLinks',
  'crossDevice',
  'maxEntries',
  'signal',
  'onProgress',
  'onChange',
]);

/**
 * Check every option and fill in the defaults. `undefined` means: not given.
 *
 * @throws TypeError for an unknown name or a wrong type, RangeError for a wrong value; both name the option.
 */
export function resolveOptions(root: string, given: ApplyOptions): Settings {
  checkRoot(root);
  checkObject('options', given);
  checkNames('option', given, optionNames);
  const options = own(given);
  const mode = options.mode ?? 'executable';
  const manifest = checkManifest(options.manifest);
  return {
    manifest,
    modeRule: remembered(compileMode(mode, integer('umask', options.umask, 0, 0o777) ?? processUmask())),
    modeFrom: mode === 'executable' || mode === 'manifest' ? mode : 'all',
    executable: globs('executable', options.executable),
    ignore: globs('ignore', options.ignore),
    detect: (boolean('detect', options.detect) ?? false) && mode === 'executable',
    discover: boolean('discover', options.discover) ?? manifest === undefined,
    verify: choice('verify', options.verify, ['size', 'presence', 'none']) ?? 'size',
    danglingLinks: choice('danglingLinks', options.danglingLinks, ['defer', 'skip', 'error']) ?? 'defer',
    retry: resolveRetry(options.retry),
    strict: boolean('strict', options.strict) ?? true,
    dryRun: boolean('dryRun', options.dryRun) ?? false,
    hardLinks: choice('hardLinks', options.hardLinks, ['apply', 'skip', 'error']) ?? 'apply',
    crossDevice: boolean('crossDevice', options.crossDevice) ?? false,
    maxEntries:
      integer('maxEntries', options.maxEntries, 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY,
    signal: checkSignal(options.signal),
    onProgress: callback('onProgress', options.onProgress),
    onChange: callback('onChange', options.onChange),
  };
}

function resolveRetry(given: ApplyOptions['retry']): RetrySettings | false {
  if (given === false) return false;
  if (given === undefined) return retryDefaults;
  checkObject('retry', given);
  checkNames('retry option', given, new Set(Object.keys(retryDefaults)));
  const retry = own(given);
  return {
    retries: checkRetries(retry.retries) ?? retryDefaults.retries,
    factor: number('retry.factor', retry.factor, 0, false) ?? retryDefaults.factor,
    minTimeout: number('retry.minTimeout', retry.minTimeout, 0, false) ?? retryDefaults.minTimeout,
    maxTimeout: Math.min(
      number('retry.maxTimeout', retry.maxTimeout, 0, true) ?? retryDefaults.maxTimeout,
      MAX_TIMER,
    ),
    maxRetryTime: number('retry.maxRetryTime', retry.maxRetryTime, 0, true) ?? retryDefaults.maxRetryTime,
    randomize: boolean('retry.randomize', retry.randomize) ?? retryDefaults.randomize,
  };
}

function checkRetries(value: number | undefined): number | undefined {
  return value === Number.POSITIVE_INFINITY
    ? value
    : integer('retry.retries', value, 0, Number.MAX_SAFE_INTEGER);
}

/** A value, for an error message. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function wrongType(name: string, value: unknown, expected: string): TypeError {
  return new TypeError(`${name}: expected ${expected}, got ${show(value)}`);
}

function checkRoot(root: unknown): void {
  if (typeof root !== 'string') throw wrongType('root', root, 'a path');
  if (root === '' || root.includes('\0')) throw new RangeError(`root: ${show(root)} is not a path`);
}

function checkObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(name, value, 'an object');
  }
}

function checkNames(what: string, value: object, known: ReadonlySet<string>): void {
  for (const name of Object.keys(value)) {
    if (known.has(name)) continue;
    throw new TypeError(`unknown ${what} ${show(name)}: known are ${[...known].join(', ')}`);
  }
}

function checkManifest(value: ManifestInput | undefined): ManifestInput | undefined {
  if (value === undefined) return undefined;
  const isList = typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
  if (isList && (Symbol.iterator in value || Symbol.asyncIterator in value)) return value;
  const hint = typeof value === 'string' || ArrayBuffer.isView(value) ? '; readManifest reads one' : '';
  throw wrongType('manifest', value, `a Manifest or an iterable of paths or entries${hint}`);
}

function checkSignal(value: AbortSignal | undefined): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw wrongType('signal', value, 'an AbortSignal');
}

function globs(name: string, value: string | readonly string[] | undefined): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : (value ?? []);
  if (!Array.isArray(list)) throw wrongType(name, value, 'a glob or an array of globs');
  for (const glob of list) {
    if (typeof glob !== 'string') throw wrongType(name, glob, 'a glob');
    if (glob === '') throw new RangeError(`${name}: "" is not a glob`);
  }
  return list;
}

function boolean(name: string, value: boolean | undefined): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw wrongType(name, value, 'true or false');
}

function choice<T extends string>(name: string, value: T | undefined, choices: readonly T[]): T | undefined {
  if (value === undefined || choices.includes(value)) return value;
  const expected = choices.map((known) => `'${known}'`).join(', ');
  if (typeof value !== 'string') throw wrongType(name, value, `one of ${expected}`);
  throw new RangeError(`${name}: ${show(value)} is not one of ${expected}`);
}

function number(
  name: string,
  value: number | undefined,
  least: number,
  allowInfinity: boolean,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw wrongType(name, value, 'a number');
  if (value >= least && (allowInfinity || Number.isFinite(value))) return value;
  throw new RangeError(
    `${name}: ${value} is not a number from ${least}${allowInfinity ? ' to Infinity' : ''}`,
  );
}

function integer(name: string, value: number | undefined, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw wrongType(name, value, 'a number');
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name}: ${value} is not an integer from ${least} to ${most}`);
}

function callback<T>(name: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw wrongType(name, value, 'a function');
}
