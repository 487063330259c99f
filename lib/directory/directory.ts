import type { EntryType } from '../errors.ts';
import { quoted } from '../printable.ts';
import type { EntryStats } from './entry-stats.ts';
import { isWindows } from './platform.ts';

/** The entries of a directory, one after the other, in the system's order. What it says holds until it moves on. */
export interface Listing {
  /** How many entries there are. */
  readonly size: number;
  /** Move to the next entry; false where there is none. */
  next(): boolean;
  /** Name of the entry, with bytes that are not UTF-8 as `decodeName` writes them. */
  readonly name: string;
  /** Kind of the entry, as the directory says. */
  readonly type: EntryType;
  /** Facts of the entry, looked at now; `undefined` where it is gone. */
  stats(): EntryStats | undefined;
  /** As {@link Directory.isMountPoint}, of the entry with these facts. */
  isMountPoint(found: EntryStats): boolean;
}

/** What a change of mode found before, and the mode that it left, `undefined` where nothing was to be changed. */
export interface ChmodResult {
  readonly before: EntryStats;
  readonly after: number | undefined;
}

/**
 * How a mode is changed. `'inode'` (default): on the inode that was looked at, whatever happens to its name. `'name'`: on the entry
 * that has the name, in directories in which only root or this user can put anything.
 */
export type Trust = 'inode' | 'name';

/** A regular file that is open to be read. */
export interface OpenFile {
  /** Its facts when it was opened. */
  readonly stats: EntryStats;
  /** Its facts now. */
  now(): EntryStats;
  /** So many bytes from a position (default: the first ones), or all that it has there. */
  read(maxBytes: number, position?: number): Uint8Array;
  /** The same into memory of the caller; returns how many there were. */
  readInto(bytes: Uint8Array, maxBytes: number, position: number): number;
  /** As {@link Directory.chmod}, of the very inode that is open. */
  chmod(decide: (found: EntryStats) => number | undefined): ChmodResult;
  close(): void;
}

/**
 * What a rename does if the new name is taken: replace that entry (rename(2)), refuse with EEXIST, or exchange both
 * (renameat2(2)).
 */
export type RenameKind = 'replace' | 'no-replace' | 'exchange';

/**
 * One directory that is held open, and everything that may be done to the entries in it. The only room that touches the file
 * system.
 *
 * Every operation takes one name: no path is resolved, nothing above the directory is looked at, and no link is ever followed.
 * `.` is the directory itself, if an operation allows it. Anything else that is not a name (empty, `.`, `..`, with a `/`) is a
 * RangeError.
 * Methods throw the system's error, whose path may be one of ours (see `located`), or {@link UnsafePathError}.
 *
 * An anchored directory is a descriptor: it stays the one that was opened, whatever bears its name. A checked directory is a
 * path that is looked at before and after; see its own page for what it does not see.
 */
export interface Directory {
  readonly backend: 'native' | 'anchored' | 'path';
  /** What {@link rename} can do; `'replace'` always. To ask may load what the others take. */
  readonly renames: ReadonlySet<RenameKind>;
  /** Its facts when it was opened. */
  readonly opened: EntryStats;
  /** Its facts now. */
  stats(): EntryStats;
  /** Its entries; no more than `most`, for a directory may grow without end. */
  list(most?: number): Listing;
  /** Facts of an entry; `undefined` where there is none. */
  lstat(name: string): EntryStats | undefined;
  /** Text of a link. Throws EINVAL for anything else. */
  readlink(name: string): string;
  /** Hold a directory in it. Throws ENOENT, ENOTDIR, or {@link UnsafePathError} for a link. */
  openDirectory(name: string): Directory;
  /** Hold a directory in it as the root of a tree of its own: mount points are relative to that root, not to this directory. */
  openRoot(name: string): Directory;
  /** Hold the directory that it lies in, where that is still the one that is known; `undefined` where it is not. */
  openParent(known: Directory): Directory | undefined;
  /** Open a regular file. Throws EINVAL for anything else, which is not opened. */
  open(name: string): OpenFile;
  /**
   * Change the mode of an entry, or of itself (`.`). `decide` gets the facts of the very inode that will be changed and
   * returns its new mode, or `undefined` to leave it. It must return `undefined` for anything but files and directories.
   */
  chmod(name: string, decide: (found: EntryStats) => number | undefined, trust?: Trust): ChmodResult;
  /** True where an entry, or it itself (`.`), is on another file system than the root, or something is mounted on it. */
  isMountPoint(name: string, found: EntryStats): boolean;
  /** Have a file or directory, or itself (`.`), reach the disk (fsync(2)). Anything else is left alone, as is what is gone. */
  sync(name: string): void;
  /** Make a directory, with this mode less the umask. */
  makeDirectory(name: string, mode: number): void;
  /** Make a link with this text. */
  symlink(name: string, target: string): void;
  /**
   * Give an entry another name, in this or in another directory.
   *
   * Throws EEXIST for `'no-replace'` if the name is taken; on a file system without such a rename, it checks that right before a
   * plain one. Throws ENOTSUP for `'exchange'` if the two cannot be exchanged; nothing was done then.
   */
  rename(name: string, to: Directory, newName: string, kind?: RenameKind): void;
  /** Remove an entry that is no directory. */
  unlink(name: string): void;
  /** Remove an empty directory. */
  removeDirectory(name: string): void;
  /** True for a Unix socket. */
  isSocket(name: string): boolean;
  /** Make a Unix socket and listen on it. Throws where the file system or the length of its path allows none. */
  listen(name: string): Promise<Listener>;
  /** Connect to a Unix socket, and hang up. Rejects with ECONNREFUSED where nobody listens. */
  connect(name: string): Promise<void>;
  /** Set an entry's times to now. */
  touch(name: string): void;
  /** Let go of it. */
  close(): void;
}

/** A Unix socket that is listened on. It does not keep the process alive. */
export interface Listener {
  /** Stop listening. The entry stays where it was renamed, for then it is known no more. */
  close(): void;
}

/** The directory itself, for the operations that take it. */
export const SELF = '.';

/** Whether a name has what separates names, or on Windows a name from a stream of its file. */
function hasSeparator(name: string): boolean {
  return isWindows ? /[\\/:]/.test(name) : name.includes('/');
}

/**
 * A name that is an entry's.
 *
 * @throws RangeError for a name that leads out of the directory
 */
export function entryName(name: string): string {
  if (name !== '..' && name !== '.' && name !== '' && !hasSeparator(name)) return name;
  throw new RangeError(`${quoted(name)} is not the name of an entry`);
}
