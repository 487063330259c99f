import { Buffer } from 'node:buffer';
import type { Dir, Dirent, Stats } from 'node:fs';
import type { EntryType } from '../errors.ts';
import { decideOn } from './decide.ts';
import type { ChmodResult, Directory, Listing } from './directory.ts';
import { type EntryStats, isExact, toEntryStats, toExactStats } from './entry-stats.ts';
import { errorCode, systemError } from './errors.ts';
import { fs } from './fs.ts';
import { decodeName, mayHaveBytes } from './names.ts';
import { isDeno } from './platform.ts';

// Said, for Node would read it in `Object.prototype`.
const unthrown = { throwIfNoEntry: false, bigint: false } as const;
const exact = { bigint: true, throwIfNoEntry: false } as const;

/** What a system call takes for an entry. */
export type SystemPath = string | Buffer;

/** lstat of what a system call takes; `undefined` where nothing is there. */
export function lstatEntry(path: SystemPath): EntryStats | undefined {
  const stats = fs.lstatSync(path, unthrown);
  if (stats === undefined || isExact(stats)) return stats && toEntryStats(stats);
  const large = fs.lstatSync(path, exact);
  return large && toExactStats(large);
}

/** fstat of an open descriptor. */
export function fstatEntry(fd: number): EntryStats {
  const stats = fs.fstatSync(fd);
  return isExact(stats) ? toEntryStats(stats) : toExactStats(fs.fstatSync(fd, { bigint: true }));
}

/** Mode of what was just changed. A passing error must not hide the change: it is asked for twice. */
export function modeAfterChange(fd: number): number {
  try {
    return fs.fstatSync(fd).mode & 0o7777;
  } catch {
    return fs.fstatSync(fd).mode & 0o7777;
  }
}

/**
 * Decide on the mode of what is open, and set it by its descriptor.
 *
 * @param found its facts, which are decided on first
 */
export function chmodOpened(
  fd: number,
  found: EntryStats,
  decide: (found: EntryStats) => number | undefined,
): ChmodResult {
  const { before, mode } = decideOn(found, () => fstatEntry(fd), decide);
  if (mode === undefined) return { before, after: undefined };
  fs.fchmodSync(fd, mode);
  return { before, after: modeAfterChange(fd) };
}

type ListedEntry = Pick<Dirent, 'name' | 'isFile' | 'isDirectory' | 'isSymbolicLink'>;

/** What a listing asks of its directory. */
export type Looker = Pick<Directory, 'lstat' | 'isMountPoint'>;

/** What node:fs lists. */
class NodeListing implements Listing {
  readonly #entries: readonly ListedEntry[];
  readonly #directory: Looker;
  #position = -1;
  #entry!: ListedEntry;

  constructor(entries: readonly ListedEntry[], directory: Looker) {
    this.#entries = entries;
    this.#directory = directory;
  }

  get size(): number {
    return this.#entries.length;
  }

  next(): boolean {
    this.#position += 1;
    this.#entry = this.#entries[this.#position] as ListedEntry;
    return this.#position < this.#entries.length;
  }

  get name(): string {
    return this.#entry.name;
  }

  get type(): EntryType {
    const entry = this.#entry;
    if (entry.isFile()) return 'file';
    if (entry.isDirectory()) return 'directory';
    return entry.isSymbolicLink() ? 'symlink' : 'other';
  }

  stats(): EntryStats | undefined {
    return this.#directory.lstat(this.#entry.name);
  }

  isMountPoint(found: EntryStats): boolean {
    return this.#directory.isMountPoint(this.#entry.name, found);
  }
}

/**
 * The entries of a directory, with names that lead back to the same bytes. Throws what readdir throws.
 *
 * @param directory looks at its entries
 * @param most no more than so many are read: a directory may grow without end
 */
export function listDirectory(path: SystemPath, directory: Looker, most = Number.POSITIVE_INFINITY): Listing {
  const isBounded = most !== Number.POSITIVE_INFINITY;
  const entries = isBounded ? listStart(path, most) : fs.readdirSync(path, { withFileTypes: true });
  return new NodeListing(
    entries.some(({ name }) => mayHaveBytes(name)) ? listBytes(path, most) : entries,
    directory,
  );
}

function listStart(path: SystemPath, most: number): ListedEntry[] {
  return firstOf(fs.opendirSync(path as string), most);
}

/** The same by lstat of each name: not every runtime tells the types of names that are bytes. */
function listBytes(path: SystemPath, most: number): ListedEntry[] {
  const prefix = Buffer.concat([Buffer.from(path as string), Buffer.from('/')]);
  return namesOf(path, most).flatMap((name) => {
    const stats: Stats | undefined = fs.lstatSync(Buffer.concat([prefix, name]), unthrown);
    return stats === undefined ? [] : [Object.assign(stats, { name: decodeName(name) })];
  });
}

function namesOf(path: SystemPath, most: number): Uint8Array[] {
  if (most === Number.POSITIVE_INFINITY) return fs.readdirSync(path, { encoding: 'buffer' });
  const directory = fs.opendirSync(path as string, { encoding: 'buffer' as BufferEncoding });
  const entries: readonly unknown[] = firstOf(directory, most);
  // Bun gives the name alone.
  return entries.map((entry) => (entry instanceof Uint8Array ? entry : (entry as { name: Uint8Array }).name));
}

/** No more than so many entries of a directory, which is closed. */
function firstOf(directory: Dir, most: number): Dirent[] {
  try {
    const entries: Dirent[] = [];
    while (entries.length < most) {
      const entry = directory.readSync();
      if (entry === null) break;
      entries.push(entry);
    }
    return entries;
  } finally {
    directory.closeSync();
  }
}

/** Remove an entry that is no directory. */
export function unlinkEntry(path: SystemPath): void {
  if (isDeno && lstatEntry(path)?.type === 'directory') {
    throw systemError('EISDIR', 'illegal operation on a directory', 'unlink', String(path));
  }
  fs.unlinkSync(path);
}

/**
 * fsync what `open` opens. What may not be read is opened to write, which fsync does not mind either.
 *
 * @param open called with O_RDONLY or O_WRONLY
 */
export function syncOpened(open: (access: number) => number, readOnly: number, writeOnly: number): void {
  let fd: number;
  try {
    fd = open(readOnly);
  } catch (error) {
    if (errorCode(error) !== 'EACCES') throw error;
    try {
      fd = open(writeOnly);
    } catch {
      // A directory cannot be opened to write: what counts is that it may not be read.
      throw error;
    }
  }
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
