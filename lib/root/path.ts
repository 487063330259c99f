import type { Buffer } from 'node:buffer';
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { decodeName, encodeName, isWithin, joinPath, parentOf } from './names.ts';
import { noFollowFlag } from './no-follow.ts';
import { listDirectory, modeAfterChange, readStart, syncEntry } from './read.ts';
import {
  type ChmodResult,
  errorCode,
  isSameInode,
  type ListedEntry,
  type Root,
  renamed,
  swapped,
  symlinkInPath,
} from './root.ts';

const OPEN_ENTRY = constants.O_RDONLY | constants.O_NONBLOCK | noFollowFlag();

/** A directory that was seen to be one, on the way to where the work is. */
interface SeenDirectory {
  readonly path: string;
  readonly stats: Stats;
}

/**
 * A root by checked paths, for systems without `/proc` (macOS, BSD).
 *
 * Each directory on the way is looked at with lstat and known again by device and inode before anything below it
 * is changed. A file is opened without following a link, must be the inode that lstat saw, and is changed through
 * its descriptor. A swap of the last component is therefore refused; on macOS one of any component
 * (O_NOFOLLOW_ANY). Elsewhere a directory that is swapped for a link and back between two of these checks goes
 * unnoticed, and so does a swap of an entry that its owner may not read, which has to be changed by name.
 */
class PathRoot implements Root {
  readonly backend = 'path';
  readonly path: string;
  readonly #chain: [SeenDirectory, ...SeenDirectory[]];

  constructor(path: string, stats: Stats) {
    this.path = path;
    this.#chain = [{ path: '.', stats }];
  }

  list(directory: string, most?: number): ListedEntry[] {
    try {
      this.#find(directory);
      const entries = listDirectory(this.#system(directory), most);
      this.#verify();
      return entries;
    } catch (error) {
      throw renamed(error, directory);
    }
  }

  lstat(path: string): Stats | undefined {
    try {
      this.#find(parentOf(path));
      return lstatSync(this.#system(path), { throwIfNoEntry: false });
    } catch (error) {
      throw renamed(error, path);
    }
  }

  enter(directory: string): Stats {
    try {
      this.#find(directory);
      return this.#verify();
    } catch (error) {
      throw renamed(error, directory);
    }
  }

  readlink(path: string): string {
    try {
      this.#find(parentOf(path));
      return decodeName(readlinkSync(this.#system(path), { encoding: 'buffer' }));
    } catch (error) {
      throw renamed(error, path);
    }
  }

  read(path: string, maxBytes: number): Uint8Array {
    try {
      this.#find(parentOf(path));
      const fd = this.#openEntry(path);
      try {
        this.#verify();
        return readStart(fd, maxBytes);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw renamed(error, path);
    }
  }

  sync(path: string): void {
    try {
      const stats = this.lstat(path);
      if (stats?.isFile() || stats?.isDirectory()) syncEntry(this.#system(path));
    } catch (error) {
      throw renamed(error, path);
    }
  }

  chmod(path: string, decide: (found: Stats) => number | undefined): ChmodResult {
    try {
      this.#find(parentOf(path));
      this.#verify();
      const seen = lstatSync(this.#system(path));
      // Opening a FIFO or device would have effects, and a link must not be opened at all.
      if (!seen.isFile() && !seen.isDirectory()) {
        decide(seen);
        return { before: seen, after: undefined };
      }
      return this.#change(path, seen, decide);
    } catch (error) {
      throw renamed(error, path);
    }
  }

  isMountPoint(_path: string, found: Stats): boolean {
    return found.dev !== this.#chain[0].stats.dev;
  }

  rewind(): void {
    this.#chain.splice(1);
  }

  close(): void {
    this.rewind();
  }

  /** Change what lstat saw, through a descriptor that is proven to be the same. */
  #change(path: string, seen: Stats, decide: (found: Stats) => number | undefined): ChmodResult {
    let fd: number;
    try {
      fd = this.#openEntry(path);
    } catch (error) {
      if (errorCode(error) === 'EACCES') return this.#changeUnreadable(path, seen, decide);
      if (errorCode(error) === 'ELOOP') throw swapped(path);
      throw error;
    }
    try {
      const before = fstatSync(fd);
      this.#verify();
      if (!isSameInode(before, seen)) throw swapped(path);
      const mode = decide(before);
      if (mode === undefined) return { before, after: undefined };
      fchmodSync(fd, mode);
      return { before, after: modeAfterChange(fd) };
    } finally {
      closeSync(fd);
    }
  }

  /** Open an entry. ELOOP may come of a directory on the way, too, which is named then. */
  #openEntry(path: string): number {
    try {
      return openSync(this.#system(path), OPEN_ENTRY);
    } catch (error) {
      if (errorCode(error) === 'ELOOP') this.#verify();
      throw error;
    }
  }

  /** Change by name what its owner may not open, and make sure afterwards that nothing was swapped. */
  #changeUnreadable(path: string, seen: Stats, decide: (found: Stats) => number | undefined): ChmodResult {
    const mode = decide(seen);
    if (mode === undefined) return { before: seen, after: undefined };
    this.#verify();
    chmodSync(this.#system(path), mode);
    const after = lstatSync(this.#system(path));
    this.#verify();
    if (!isSameInode(after, seen)) throw swapped(path);
    return { before: seen, after: after.mode };
  }

  get #current(): SeenDirectory {
    return this.#chain.at(-1) ?? this.#chain[0];
  }

  #system(path: string): string | Buffer {
    return encodeName(path === '.' ? this.path : `${this.path}/${path}`);
  }

  /** Make every directory down to this one a seen one. */
  #find(directory: string): void {
    while (!isWithin(this.#current.path, directory)) this.#chain.pop();
    const from = this.#current.path;
    if (from === directory) return;
    const rest = from === '.' ? directory : directory.slice(from.length + 1);
    for (const name of rest.split('/')) {
      const path = joinPath(this.#current.path, name);
      this.#chain.push({ path, stats: lookAtDirectory(this.#system(path), path) });
    }
  }

  /** Throw unless every directory down to where the work is is still the one that was seen; returns the last one's facts. */
  #verify(): Stats {
    let stats = this.#chain[0].stats;
    for (const seen of this.#chain) {
      stats = lookAtDirectory(this.#system(seen.path), seen.path);
      if (!isSameInode(stats, seen.stats)) throw swapped(seen.path);
    }
    return stats;
  }
}

/** Facts of a directory. Throws ENOENT, ENOTDIR, or `symlink-in-path` where a link stands in its place. */
function lookAtDirectory(systemPath: string | Buffer, path: string): Stats {
  const stats = lstatSync(systemPath);
  if (stats.isDirectory()) return stats;
  if (stats.isSymbolicLink()) throw symlinkInPath(path);
  throw Object.assign(new Error('ENOTDIR: not a directory, lstat'), {
    code: 'ENOTDIR',
    syscall: 'lstat',
    path,
  });
}

/** Open a real path as a root by checked paths. */
export function openPathRoot(realPath: string): Root {
  return new PathRoot(realPath, lookAtDirectory(encodeName(realPath), '.'));
}
