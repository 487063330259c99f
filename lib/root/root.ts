import type { Dirent, Stats } from 'node:fs';
import type { EntryType } from '../errors.ts';

/** One entry of a listed directory, with the type that the directory says it has. */
export type ListedEntry = Pick<Dirent, 'name' | 'isFile' | 'isDirectory' | 'isSymbolicLink'>;

/** What a change of mode found before, and the mode that it left, `undefined` where nothing was to be changed. */
export interface ChmodResult {
  before: Stats;
  after: number | undefined;
}

/**
 * One tree held open: the only room that touches the file system of the tree.
 *
 * Every path is relative to the root, `/`-separated, `.` for the root itself, with undecodable bytes as
 * {@link decodeName} writes them. No method ever follows a link: not in the last component, not on the way.
 * Methods throw the system's error with its path made readable, or {@link UnsafePathError}.
 *
 * The anchored root promises that nothing outside can be reached, whatever is swapped while it works. The path
 * root detects a swap and refuses; see its own page.
 */
export interface Root {
  readonly backend: 'anchored' | 'path';
  /** Real path of the root. */
  readonly path: string;
  /** Entries of a directory, in the system's order; no more than `most`, where it is given. */
  list(directory: string, most?: number): ListedEntry[];
  /** Facts of an entry, `undefined` where there is none. */
  lstat(path: string): Stats | undefined;
  /** Facts of a directory that is worked in next. Throws ENOENT, ENOTDIR or {@link UnsafePathError}. */
  enter(directory: string): Stats;
  /** Text of a link. */
  readlink(path: string): string;
  /** First `maxBytes` bytes of a regular file. */
  read(path: string, maxBytes: number): Uint8Array;
  /** Have a file or directory reach the disk (fsync(2)); anything else is left alone. */
  sync(path: string): void;
  /**
   * Change a mode: `decide` gets the facts of the very thing that will be changed and returns its new mode, or
   * `undefined` to leave it. It must return `undefined` for anything but files and directories.
   */
  chmod(path: string, decide: (found: Stats) => number | undefined): ChmodResult;
  /** True where the entry lies on another device than the root, or something is mounted on it. */
  isMountPoint(path: string, found: Stats): boolean;
  /** Forget the directories on the way to the last path, so that the next call finds them anew from the root. */
  rewind(): void;
  /** Let go of every descriptor. */
  close(): void;
}

/**
 * A directory of ours in one that others may write to. Held by its descriptor where there is a genuine `/proc`: it stays
 * the one that was opened, whatever is put in the place of its name. Elsewhere it is held by its path.
 */
export interface HeldDirectory {
  /** Path that it was opened by. */
  readonly path: string;
  /** What the system calls take for an entry of it, or for itself. */
  inside(name: string): string;
  /** Facts of the directory itself. */
  stats(): Stats;
  /** Hold a directory in it open as a root. Throws {@link UnsafePathError} for a link. */
  openRoot(name: string): Root;
  /** Let go of it. */
  close(): void;
}

/** The way to a path is not what it must be: a link, or swapped under our hands. */
export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError';
  readonly reason: 'symlink-in-path' | 'unsafe-path';
  readonly code: string;
  /** The component that is at fault, below the root. */
  readonly path: string;

  constructor(reason: UnsafePathError['reason'], code: string, path: string, what: string) {
    super(`${code}: ${what} ${JSON.stringify(path)}`);
    this.reason = reason;
    this.code = code;
    this.path = path;
  }
}

/** A directory on the way is a link. */
export function symlinkInPath(path: string): UnsafePathError {
  return new UnsafePathError(
    'symlink-in-path',
    'ERR_PERMWALK_SYMLINK_IN_PATH',
    path,
    'will not follow the link',
  );
}

export const swappedCode = 'ERR_PERMWALK_SWAPPED';

/** An entry was exchanged between two looks. */
export function swapped(path: string): UnsafePathError {
  return new UnsafePathError('unsafe-path', swappedCode, path, 'replaced during processing:');
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

/** Kind of an entry, from its facts or its listing. */
export function typeOf(entry: Pick<Dirent, 'isFile' | 'isDirectory' | 'isSymbolicLink'>): EntryType {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}

/** True where both are the same inode of the same device. */
export function isSameInode(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** The errno's name of a system error. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The system's error with the path that the caller knows in place of the one that the call was made with. */
export function renamed(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error)) return error;
  const description = error.message.split(',')[0] ?? error.message;
  error.message = `${description}, ${String(error.syscall)} ${JSON.stringify(path)}`;
  error.path = path;
  return error;
}
