import { constants } from 'node:os';
import { quoted } from '../printable.ts';

/** The way to an entry is not what it must be: a link, or another entry than the one that was looked at. */
export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError';
  readonly reason: 'symlink-in-path' | 'unsafe-path' | 'path-too-long';
  readonly code: string;
  /** The entry that is at fault: its name, or, once that is known, its path below the root. */
  readonly path: string;
  readonly #what: string;
  /** Whether `path` is the whole path below the root. */
  readonly isLocated: boolean;

  constructor(
    reason: UnsafePathError['reason'],
    code: string,
    path: string,
    what: string,
    isLocated = false,
  ) {
    super(`${code}: ${what} ${quoted(path)}`);
    this.reason = reason;
    this.code = code;
    this.path = path;
    this.#what = what;
    this.isLocated = isLocated;
  }

  /** The same of an entry by its path below the root, unless that is known already. */
  at(path: string): UnsafePathError {
    return this.isLocated ? this : new UnsafePathError(this.reason, this.code, path, this.#what, true);
  }
}

/** A directory on the way is a link. */
export function symlinkInPath(name: string): UnsafePathError {
  const code = 'ERR_PERMWALK_SYMLINK_IN_PATH';
  return new UnsafePathError('symlink-in-path', code, name, 'will not follow the link');
}

/** A path that globs are not held against. */
export function pathTooLong(path: string): UnsafePathError {
  const code = 'ERR_PERMWALK_PATH_TOO_LONG';
  return new UnsafePathError('path-too-long', code, path, 'too long to match against globs:', true);
}

export const swappedCode = 'ERR_PERMWALK_SWAPPED';

/** An entry was replaced between two looks. */
export function swapped(name: string): UnsafePathError {
  return new UnsafePathError('unsafe-path', swappedCode, name, 'replaced during processing:');
}

export const crossDeviceCode = 'ERR_PERMWALK_CROSS_DEVICE';

/** A mount point, which is entered only with `crossDevice`. */
export function crossDevice(name: string): UnsafePathError {
  const what = 'will not enter the mount point (crossDevice)';
  return new UnsafePathError('unsafe-path', crossDeviceCode, name, what);
}

/** Errors that another moment may not have. */
export const transientCodes: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'EAGAIN',
  'ESTALE',
  'EBUSY',
  'EINTR',
]);

/** Names of errors by their numbers, for libuv has no name for some (ESTALE, EDQUOT, EDEADLK). */
let errnoNames: ReadonlyMap<number, string> | undefined;

/** The errno's name of a system error, or the `code` of any other error that has one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const { code } = error;
  if (typeof code !== 'string' || !code.startsWith('Unknown system error')) {
    return typeof code === 'string' ? code : undefined;
  }
  errnoNames ??= new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
  return errnoNames.get(-Number('errno' in error ? error.errno : Number.NaN)) ?? code;
}

/** Errors that name what the caller knows already; one may be noted for everything below a directory. */
const locatedErrors = new WeakSet<Error>();

/** Whether an error names what the caller knows: to put the path together would be for nothing. */
export function isLocated(error: unknown): boolean {
  if (error instanceof UnsafePathError) return error.isLocated;
  return error instanceof Error && locatedErrors.has(error);
}

/**
 * A system error of a call of ours, or an {@link UnsafePathError}, with the path that the caller knows in place of the name
 * or descriptor that the call was made with. Any other error is left as it is.
 */
export function located(error: unknown, path: string): unknown {
  if (isLocated(error)) return error;
  if (error instanceof UnsafePathError) return error.at(path);
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error)) return error;
  locatedErrors.add(error);
  const description = error.message.split(',')[0] ?? error.message;
  error.message = `${description}, ${String(error.syscall)} ${quoted(path)}`;
  error.path = path;
  return error;
}

/** A system error that node:fs has no call for. */
export function systemError(code: string, what: string, syscall: string, path: string): Error {
  const message = `${code}: ${what}, ${syscall} ${quoted(path)}`;
  return Object.assign(new Error(message), { code, syscall, path });
}
