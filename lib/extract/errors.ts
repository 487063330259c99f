import { errorCode, located, swappedCode } from '../directory/errors.ts';
import { isWindows } from '../directory/platform.ts';
import { quoted } from '../printable.ts';

const IN_PLACE = "set publish to 'in-place'";

/** Facts that the error of a system call has. */
interface Facts extends Error {
  readonly errno?: unknown;
  readonly syscall?: unknown;
}

/** Errors that were made here: they say what there is to say. */
const own = new WeakSet<Error>();

function failure(code: string, message: string, path: string, cause?: Facts): Error {
  const error = new Error(`${code}: ${message}`, cause === undefined ? {} : { cause });
  const { errno, syscall } = cause ?? {};
  const facts = { code, errno, syscall: syscall ?? 'extract', path };
  own.add(error);
  return Object.assign(
    error,
    Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined)),
  );
}

/** The destination exists, and may not be replaced. */
export function alreadyThere(path: string, isMountPoint: boolean): Error {
  const wayOut = isMountPoint
    ? `it is a mount point: to extract into what is mounted, ${IN_PLACE} and existing to 'replace'`
    : "remove it, or set existing to 'keep' or 'replace'";
  return failure('EEXIST', `the destination exists, extract to ${quoted(path)}: ${wayOut}`, path);
}

/** The destination is a file. */
export function notADirectory(path: string): Error {
  return failure(
    'ENOTDIR',
    `the destination is not a directory, extract to ${quoted(path)}: remove it, or use another path`,
    path,
  );
}

/** The destination is a mount point, which no rename can replace. */
export function mountedOn(path: string, cause?: Facts): Error {
  const wayOut = `nothing can be renamed to a mount point: to extract into what is mounted, ${IN_PLACE}`;
  return failure(
    'EBUSY',
    `the destination is a mount point, extract to ${quoted(path)}: ${wayOut}`,
    path,
    cause,
  );
}

/** The path of the destination's parent leads to another directory than at the beginning. */
export function parentSwapped(path: string): Error {
  const what = `the directory that the destination lies in was replaced, extract to ${quoted(path)}`;
  const error = failure(
    swappedCode,
    `${what}: nothing was published; find out which process replaced it`,
    path,
  );
  return Object.assign(error, { reason: 'unsafe-path' as const });
}

/** The staging directory's path is longer than the system resolves. */
export function tooLong(path: string): Error {
  const what = 'the path of the staging directory is too long';
  return failure(
    'ENAMETOOLONG',
    `${what}, extract to ${quoted(path)}: use a shorter one, or ${IN_PLACE}`,
    path,
  );
}

const IN_USE =
  'another process has something open in it (a program that runs from there, an editor, a virus scanner): ' +
  'end it, or wait longer with retry.maxRetryTime';

/** The same on Windows. */
const causesOnWindows: Record<string, string> = { EACCES: IN_USE, EPERM: IN_USE, EBUSY: IN_USE };

/** Causes of errors of staging and publishing, with the way out. */
const causes: Record<string, string> = {
  EACCES: `the directory that the destination lies in must be writable: make it so, or ${IN_PLACE}`,
  EPERM: `the directory that the destination lies in does not let this user rename there: run as its owner, or ${IN_PLACE}`,
  EROFS: 'the file system is mounted read-only: remount it read-write',
  EXDEV:
    'the old tree cannot be renamed; it probably lies in a lower layer of overlayfs (a container image): ' +
    `remove it first, or ${IN_PLACE}`,
  ENAMETOOLONG: `the path of the staging directory is too long: use a shorter one, or ${IN_PLACE}`,
};

/**
 * An error of a call that stages or publishes, with its cause and the way out: a new error. Errors that are not the system's are
 * returned as they are.
 *
 * @param path destination
 */
export function explained(error: unknown, path: string): unknown {
  const code = errorCode(error) ?? '';
  if (error instanceof Error && own.has(error)) return error;
  if (!(error instanceof Error) || !('syscall' in error)) return located(error, path);
  if (code === 'EBUSY' && !isWindows) return mountedOn(path, error);
  const cause = (isWindows ? causesOnWindows[code] : undefined) ?? causes[code];
  // Runtimes name descriptors, and the calls, in their own ways.
  const [, what = 'failed'] = new RegExp(`${code}: ([^,/'"]*)`).exec(error.message) ?? [];
  const wayOut = cause === undefined ? '' : `: ${cause}`;
  return failure(code, `${what.trim()}, extract to ${quoted(path)}${wayOut}`, path, error);
}

/**
 * The old tree was moved aside, the new one could not take its place, and the old one could not be put back.
 *
 * @param error what the new tree met with
 * @param path destination
 * @param old where the old tree lies
 */
export function notPutBack(error: unknown, path: string, old: string): unknown {
  const failed = explained(error, path);
  if (failed instanceof Error) {
    failed.message += `; the old tree could not be put back, and is in ${quoted(old)}: move it to ${quoted(path)}`;
  }
  return failed;
}

/** Tell of something that could not be removed, or put back: the result of the extraction counts more. */
export function warnOfLeftover(message: string): void {
  process.emitWarning(message, { code: 'ERR_PERMWALK_LEFTOVER' });
}
