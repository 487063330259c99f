import type { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs';
import { encodeName } from './names.ts';
import { descriptorPath, isReachable } from './proc.ts';
import { errorCode, isSameInode, renamed, symlinkInPath } from './root.ts';

/** Linux's O_PATH (open(2)), which `fs.constants` lacks. */
export const O_PATH = 0o10000000;
export const OPEN_ENTRY = O_PATH | constants.O_NOFOLLOW;
export const OPEN_DIRECTORY = OPEN_ENTRY | constants.O_DIRECTORY;
/** One directory of the chain from the root to where the work is. */
export interface OpenDirectory {
  readonly path: string;
  /** -1 while it is closed to save descriptors. */
  fd: number;
  /** Facts at the moment it was opened, to know it again. */
  readonly stats: Stats;
}

/** What the system calls take for an entry of an open directory. Throws for a name that leads out of it. */
export function entryPath(directory: number, name: string): string | Buffer {
  return encodeName(`${descriptorPath(directory)}/${entryName(name)}`);
}

/** A name that is an entry's. */
export function entryName(name: string): string {
  if (name !== '..' && name !== '.' && name !== '') return name;
  throw new RangeError(`${JSON.stringify(name)} is no entry`);
}

/** Open a directory by what the system calls take for it; a link there is `symlink-in-path`. */
export function openDirectory(entry: string | Buffer, path: string): OpenDirectory {
  let fd: number;
  try {
    fd = openSync(entry, OPEN_DIRECTORY);
  } catch (error) {
    // O_DIRECTORY|O_NOFOLLOW answers ENOTDIR for links and files alike.
    if (errorCode(error) === 'ENOTDIR' || errorCode(error) === 'ELOOP') {
      const there = lstatSync(entry, { throwIfNoEntry: false });
      if (there?.isSymbolicLink()) throw symlinkInPath(path);
    }
    throw error;
  }
  return adopt(fd, path);
}

/** Take a descriptor into the chain, or close it. */
function adopt(fd: number, path: string): OpenDirectory {
  try {
    return { path, fd, stats: fstatSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Open a directory's parent where that is still the one we know. */
export function openParent(directory: number, known: Stats): number | undefined {
  let fd: number;
  try {
    fd = openSync(`${descriptorPath(directory)}/..`, OPEN_DIRECTORY);
  } catch {
    return undefined;
  }
  try {
    if (isSameInode(fstatSync(fd), known)) return fd;
  } catch {
    // What cannot be looked at is not the one we know.
  }
  closeSync(fd);
  return undefined;
}

/**
 * Open a real path from `/` down, one component at a time, so that no link is followed on the way. `undefined` where
 * `/proc` does not know this process: it may be that of another process namespace.
 */
export function openRealPath(realPath: string): OpenDirectory | undefined {
  let fd = openSync('/', OPEN_DIRECTORY);
  try {
    if (!isReachable(fd)) {
      closeSync(fd);
      return undefined;
    }
    for (const name of realPath.split('/').filter(Boolean)) {
      const next = openSync(entryPath(fd, name), OPEN_DIRECTORY);
      closeSync(fd);
      fd = next;
    }
  } catch (error) {
    closeSync(fd);
    throw renamed(error, realPath);
  }
  return adopt(fd, '.');
}
