import type { Stats } from 'node:fs';
import type { EntryType } from '../errors.ts';
import { isDeno, isWindows } from './platform.ts';

/** S_IFMT and its values (inode(7)). */
const TYPE_BITS = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;
const SYMLINK = 0o120000;
/** Permission bits with setuid, setgid and sticky. */
export const MODE_BITS = 0o7777;
const SAME_MS = 0.002;

/** Which entry of which file system it is. Exact: inode numbers above 2^53 are bigints. */
export interface Identity {
  readonly dev: number | bigint;
  readonly ino: number | bigint;
}

/** What is asked of an entry: lstat's answer without what nobody needs. */
export interface EntryStats extends Identity {
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky: `0o0000` to `0o7777`. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly nlink: number;
  readonly uid: number;
  /** Milliseconds since 1970. */
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

/** What node:fs answers, as it is: a pass makes one for each entry, and asks little of most. */
class NodeEntryStats implements EntryStats {
  readonly #stats: Stats;

  constructor(stats: Stats) {
    this.#stats = stats;
  }

  get type(): EntryType {
    return typeOfMode(this.#stats.mode);
  }

  get mode(): number {
    return this.#stats.mode & MODE_BITS;
  }

  get size(): number {
    return this.#stats.size;
  }

  get nlink(): number {
    return this.#stats.nlink;
  }

  get uid(): number {
    return this.#stats.uid;
  }

  get dev(): number | bigint {
    return volumeOf(this.#stats.dev);
  }

  get ino(): number | bigint {
    return this.#stats.ino;
  }

  get mtimeMs(): number {
    return this.#stats.mtimeMs;
  }

  get ctimeMs(): number {
    return changeTime(this.#stats);
  }
}

/**
 * The time of the last change (ctime). Deno gives only whole seconds: the milliseconds of mtime are added, which are the same after a
 * write.
 */
function changeTime({ mtimeMs, ctimeMs }: Pick<EntryStats, 'mtimeMs' | 'ctimeMs'>): number {
  return isDeno && ctimeMs % 1000 === 0 ? ctimeMs + (mtimeMs % 1000) : ctimeMs;
}

/**
 * What tells file systems apart. On Windows some calls answer with all 64 bits of a volume's serial number, others with the lower 32
 * (libuv before 1.51): by those it is known.
 */
function volumeOf(dev: number | bigint): number | bigint {
  return isWindows ? Number(BigInt.asUintN(32, BigInt(dev))) : dev;
}

/** Kind of an entry, from the mode of its inode. */
export function typeOfMode(mode: number): EntryType {
  const type = mode & TYPE_BITS;
  if (type === REGULAR) return 'file';
  if (type === DIRECTORY) return 'directory';
  return type === SYMLINK ? 'symlink' : 'other';
}

/** The facts that node:fs gives. */
export function toEntryStats(stats: Stats): EntryStats {
  return new NodeEntryStats(stats);
}

/** A copy to keep: node:fs's own answer is five times as large, and a deep tree has many directories on the way. */
export function keptStats(stats: EntryStats): EntryStats {
  const { type, mode, size, nlink, uid, dev, ino, mtimeMs, ctimeMs } = stats;
  return { type, mode, size, nlink, uid, dev, ino, mtimeMs, ctimeMs };
}

/** True where the numbers are as exact as the system's: overlayfs, FUSE and NTFS have larger inode numbers. */
export function isExact({ dev, ino }: { dev: number; ino: number }): boolean {
  return ino <= Number.MAX_SAFE_INTEGER && dev <= Number.MAX_SAFE_INTEGER;
}

/** The facts of an entry whose numbers are larger than a number holds, from the call that gives bigints. */
export function toExactStats(
  stats: {
    [Name in 'mode' | 'size' | 'nlink' | 'uid' | 'dev' | 'ino' | 'mtimeNs' | 'ctimeNs']: bigint;
  },
): EntryStats {
  const small = (value: bigint) => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value);
  const mode = Number(stats.mode);
  const times = { mtimeMs: Number(stats.mtimeNs) / 1e6, ctimeMs: Number(stats.ctimeNs) / 1e6 };
  return {
    type: typeOfMode(mode),
    mode: mode & MODE_BITS,
    size: Number(stats.size),
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    dev: volumeOf(small(stats.dev)),
    ino: small(stats.ino),
    mtimeMs: times.mtimeMs,
    ctimeMs: changeTime(times),
  };
}

/** True where both are the same inode of the same file system. Only an open descriptor keeps a number from being reused. */
export function isSameEntry(one: Identity, other: Identity): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** True where two times are one, as exactly as every call gives them: in milliseconds, a number holds four digits more. */
export function isSameTime(one: number, other: number): boolean {
  return Math.abs(one - other) < SAME_MS;
}

/** Whether nothing was written to a file between two looks at it, as far as its size and its time of writing tell. */
export function isUnwritten(
  one: Pick<EntryStats, 'size' | 'mtimeMs'>,
  other: Pick<EntryStats, 'size' | 'mtimeMs'>,
): boolean {
  return one.size === other.size && isSameTime(one.mtimeMs, other.mtimeMs);
}
