import { Buffer } from 'node:buffer';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  opendirSync,
  openSync,
  readdirSync,
  readSync,
} from 'node:fs';
import { decodeName } from './names.ts';
import { errorCode, type ListedEntry } from './root.ts';

const REPLACEMENT_CHARACTER = '\ufffd';

/**
 * Entries of a directory, with names that lead back to the same bytes. Throws what readdir throws.
 *
 * @param most no more than so many are read: a directory may grow without end
 */
export function listDirectory(systemPath: string | Buffer, most = Number.POSITIVE_INFINITY): ListedEntry[] {
  const isBounded = most !== Number.POSITIVE_INFINITY;
  const entries = isBounded ? listStart(systemPath, most) : readdirSync(systemPath, { withFileTypes: true });
  const mayBeUndecodable = entries.some(({ name }) => name.includes(REPLACEMENT_CHARACTER));
  return mayBeUndecodable ? listBytes(systemPath).slice(0, most) : entries;
}

function listStart(systemPath: string | Buffer, most: number): ListedEntry[] {
  const directory = opendirSync(systemPath);
  try {
    const entries: ListedEntry[] = [];
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

/** The same by lstat of each name: not every runtime tells the types of names that are bytes. */
function listBytes(systemPath: string | Buffer): ListedEntry[] {
  const prefix = Buffer.concat([Buffer.from(systemPath), Buffer.from('/')]);
  return readdirSync(systemPath, { encoding: 'buffer' }).flatMap((name) => {
    const stats = lstatSync(Buffer.concat([prefix, name]), { throwIfNoEntry: false });
    return stats === undefined ? [] : [Object.assign(stats, { name: decodeName(name) })];
  });
}

/** First bytes of an open regular file. Throws EINVAL for anything else. */
export function readStart(fd: number, maxBytes: number): Uint8Array {
  if (!fstatSync(fd).isFile())
    throw Object.assign(new Error('EINVAL: not a regular file'), { code: 'EINVAL' });
  const bytes = Buffer.alloc(maxBytes);
  return bytes.subarray(0, readSync(fd, bytes, 0, maxBytes, 0));
}

/** fsync a file or directory. One that may not be read is opened to write, which fsync does not mind either. */
export function syncEntry(systemPath: string | Buffer): void {
  const fd = openToSync(systemPath);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function openToSync(systemPath: string | Buffer): number {
  const flags = constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return openSync(systemPath, constants.O_RDONLY | flags);
  } catch (error) {
    if (errorCode(error) !== 'EACCES') throw error;
    return openSync(systemPath, constants.O_WRONLY | flags);
  }
}

/** Mode of what was just changed. A passing error must not hide the change: it is asked for twice. */
export function modeAfterChange(fd: number): number {
  try {
    return fstatSync(fd).mode;
  } catch {
    return fstatSync(fd).mode;
  }
}
