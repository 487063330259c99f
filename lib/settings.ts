import {
  boolean,
  callback,
  checkNames,
  checkObject,
  checkPath,
  checkSignal,
  choice,
  globs,
  integer,
  number,
  show,
  wrongType,
} from './checks.ts';
import { isWindows } from './directory/platform.ts';
import type { Manifest, ManifestInput } from './manifest/manifest.ts';
import { compileMode, type ModeRule } from './modes/mode.ts';
import { remembered } from './modes/outcomes.ts';
import { processUmask } from './modes/umask.ts';
import type { ApplyOptions, RetryOptions } from './options.ts';
import { own } from './own.ts';
import type { PermissionChange, PermissionProgress } from './report.ts';

/** RetryOptions with their defaults. */
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
  readonly unlisted: 'count' | 'list' | 'error';
  readonly verify: 'size' | 'content' | 'presence' | 'none';
  readonly flattenedLinks: 'error' | 'restore';
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
  /** Whether there are modes here. */
  readonly modes: 'applied' | 'ignored';
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

/** Names of the options of a pass. */
export const optionNames: ReadonlySet<string> = new Set<keyof ApplyOptions>([
  'manifest',
  'mode',
  'directoryMode',
  'executable',
  'ignore',
  'detect',
  'discover',
  'verify',
  'unlisted',
  'flattenedLinks',
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
  checkPath('root', root);
  checkObject('options', given);
  checkNames('option', given, optionNames);
  const options = own(given);
  // Not `??`: null is a value, and a wrong one.
  const mode = options.mode === undefined ? 'executable' : options.mode;
  if (mode === null) throw wrongType('mode', mode, modeExpected, '; leave it out for the default');
  const umask = checkUmask(options.umask) ?? processUmask();
  const manifest = checkManifest(options.manifest);
  const settings: Settings = {
    manifest,
    modeRule: remembered(compileMode(mode, umask, options.directoryMode)),
    modeFrom: mode === 'executable' ? 'executable' : mode === 'manifest' ? 'manifest' : 'all',
    executable: globs('executable', options.executable),
    ignore: globs('ignore', options.ignore),
    detect: checkDetect(options.detect, mode),
    ...checkWalk(options, manifest),
    verify: choice('verify', options.verify, ['size', 'content', 'presence', 'none']) ?? 'size',
    flattenedLinks: choice('flattenedLinks', options.flattenedLinks, ['error', 'restore']) ?? 'error',
    danglingLinks: choice('danglingLinks', options.danglingLinks, ['defer', 'skip', 'error']) ?? 'defer',
    retry: resolveRetry(options.retry),
    strict: boolean('strict', options.strict) ?? true,
    dryRun: boolean('dryRun', options.dryRun) ?? false,
    hardLinks: choice('hardLinks', options.hardLinks, ['apply', 'skip', 'error']) ?? 'apply',
    crossDevice: boolean('crossDevice', options.crossDevice) ?? false,
    maxEntries: integer('maxEntries', options.maxEntries, 1) ?? Number.POSITIVE_INFINITY,
    signal: checkSignal(options.signal),
    onProgress: callback('onProgress', options.onProgress),
    onChange: callback('onChange', options.onChange),
    modes: 'applied',
  };
  return isWindows ? withoutModes(settings) : settings;
}

/** The same where there are no modes: what was asked of them has been checked, and every entry has the mode that it should have. */
function withoutModes(settings: Settings): Settings {
  return {
    ...settings,
    modeRule: (mode) => mode,
    modeFrom: 'executable',
    detect: false,
    hardLinks: 'apply',
    onChange: undefined,
    modes: 'ignored',
  };
}

function resolveRetry(given: ApplyOptions['retry']): RetrySettings | false {
  if (given === false) return false;
  if (given === undefined) return retryDefaults;
  const hint = typeof given === 'number' ? `; did you mean { retries: ${given} }?` : undefined;
  checkObject('retry', given, 'an object or false', hint);
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
  return value === Number.POSITIVE_INFINITY ? value : integer('retry.retries', value, 0);
}

const modeExpected = "'executable', 'manifest', a number (0o644) or a string ('u+rwX')";

/** Common umasks, as they look where the 0o was forgotten. */
const forgottenOctal = [22, 27, 77];

function checkUmask(value: unknown): number | undefined {
  if (typeof value === 'string') {
    if (/^[0-7]{1,4}$/.test(value) && Number.parseInt(value, 8) <= 0o777) return Number.parseInt(value, 8);
    throw new RangeError(`umask: ${show(value)} is not octal digits from 0 to 777`);
  }
  if (typeof value === 'number' && forgottenOctal.includes(value)) {
    const octal = value.toString(8).padStart(3, '0');
    throw new RangeError(
      `umask: ${value} is 0o${octal}; did you mean 0o${value}? Write '${octal}' if you do mean 0o${octal}`,
    );
  }
  const isNumber = typeof value === 'number';
  if (isNumber && !(Number.isInteger(value) && value >= 0 && value <= 0o777))
    throw new RangeError(`umask: ${value} is not an integer from 0 to 0o777`);
  if (isNumber || value === undefined) return value;
  throw wrongType('umask', value, "an integer (0o022) or octal digits ('022')");
}

function checkDetect(value: boolean | undefined, mode: ApplyOptions['mode']): boolean {
  const detect = boolean('detect', value) ?? false;
  if (!detect || mode === 'executable') return detect;
  const shown = typeof mode === 'number' ? `0o${mode.toString(8)}` : show(mode);
  throw new RangeError(
    `detect: works only in mode 'executable', and mode is ${shown}: leave one of them out`,
  );
}

/** Whether the tree is walked, and what becomes of what the manifest does not name. */
function checkWalk(
  options: ApplyOptions,
  manifest: ManifestInput | undefined,
): Pick<Settings, 'discover' | 'unlisted'> {
  const unlisted = choice('unlisted', options.unlisted, ['count', 'list', 'error']) ?? 'count';
  const discover = boolean('discover', options.discover);
  if (unlisted === 'count') return { unlisted, discover: discover ?? manifest === undefined };
  if (manifest === undefined) throw new TypeError(`unlisted: '${unlisted}' needs a manifest`);
  if (discover !== false) return { unlisted, discover: true };
  throw new TypeError(`unlisted: '${unlisted}' walks the tree, and discover is false: leave one of them out`);
}

const manifestExpected = 'a Manifest or an iterable of paths or entries';

function checkManifest(value: ManifestInput | undefined): ManifestInput | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    if (Symbol.iterator in value || Symbol.asyncIterator in value) return value;
    // As structuredClone and JSON leave a Manifest.
    if (Object.hasOwn(value, 'entries') && Array.isArray((value as Manifest).entries)) return value;
  }
  throw wrongType('manifest', value, manifestExpected, manifestHint(value));
}

function manifestHint(value: unknown): string | undefined {
  if (typeof value === 'string' || value instanceof URL) return '; readManifest reads one from a file';
  if (ArrayBuffer.isView(value)) return '; readZipManifest reads one from bytes';
  return value instanceof Promise ? '; await it: await readManifest(…)' : undefined;
}
