import { Buffer } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { type EntryStats, isSameTime, toExactStats } from '../entry-stats.ts';
import { constants, fs } from '../fs.ts';
import { decodeName, encodeName } from '../names.ts';
import { BYTES, CONTENT, makeCheckDirectory, removeCheckDirectory } from './check-directory.ts';
import { ITSELF, type Kernel } from './kernel.ts';
import type { ListedDirectory } from './listing.ts';

/** What a kernel can do that a Linux before 6.6, or a sandbox, may lack. */
export interface Abilities {
  /** fchmodat2(2). */
  readonly setsModes: boolean;
  /** renameat2(2) with flags. */
  readonly renames: boolean;
}

/**
 * Prove native calls on a directory of our own: what they say of it is what node:fs says, and what they change is changed.
 *
 * @returns what they can do; `undefined` where anything differs
 * @throws the system's error where no directory can be made
 */
export function check(kernel: Kernel): Abilities | undefined {
  const path = makeCheckDirectory();
  try {
    const fd = fs.openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      if (!listsAlike(kernel, fd, path) || !looksAlike(kernel, fd, path) || !reads(kernel, fd))
        return undefined;
      return { setsModes: setsModes(kernel, fd, path), renames: renames(kernel, fd, path) };
    } finally {
      fs.closeSync(fd);
    }
  } finally {
    removeCheckDirectory(path);
  }
}

/** What fails natively is to be seen here. */
const nobody: ListedDirectory = { lstat: () => undefined, isMountPoint: () => false, isBeyond: () => false };

function listsAlike(kernel: Kernel, fd: number, path: string): boolean {
  const listing = kernel.list(fd, fd, nobody, Number.POSITIVE_INFINITY);
  const found: string[] = [];
  while (listing?.next() === true) {
    const { name, type } = listing;
    if (type !== listing.stats()?.type) return false;
    found.push(name);
  }
  const names = fs.readdirSync(path, { encoding: 'buffer' }).map(decodeName);
  return found.length === names.length && found.every((name) => names.includes(name));
}

function looksAlike(kernel: Kernel, fd: number, path: string): boolean {
  const opened = kernel.openDirectory(fd, 'directory');
  if (opened === undefined) return false;
  try {
    if (!isAlike(kernel.look(opened, ITSELF), lookAt(`${path}/directory`))) return false;
  } finally {
    kernel.close(opened);
  }
  const isThere = ['file', BYTES, 'directory', 'link'].every((name) =>
    isAlike(kernel.look(fd, name), lookAt(`${path}/${name}`)),
  );
  return isThere && kernel.look(fd, 'nothing') === undefined;
}

function lookAt(path: string): BigIntStats {
  return fs.lstatSync(encodeName(path), { bigint: true });
}

function isAlike(one: EntryStats | undefined, stats: BigIntStats): boolean {
  const other = toExactStats(stats);
  return (
    one?.type === other.type &&
    one.mode === other.mode &&
    one.size === other.size &&
    one.nlink === other.nlink &&
    one.uid === other.uid &&
    one.dev === other.dev &&
    one.ino === other.ino &&
    isSameTime(one.mtimeMs, other.mtimeMs) &&
    isSameTime(one.ctimeMs, other.ctimeMs)
  );
}

/** What is opened through a descriptor that names it is read, from where it is asked for. */
function reads(kernel: Kernel, fd: number): boolean {
  const held = kernel.hold(fd, 'file');
  const file = held === undefined ? undefined : kernel.reopen(held);
  if (held !== undefined) kernel.close(held);
  if (file === undefined) return false;
  const bytes = Buffer.from(new ArrayBuffer(CONTENT.length));
  const length = kernel.read(file, bytes, bytes.length, 3);
  kernel.close(file);
  return bytes.toString('latin1', 0, length) === CONTENT.slice(3);
}

/** By name and by descriptor; a link is not followed. */
function setsModes(kernel: Kernel, fd: number, path: string): boolean {
  const entry = kernel.hold(fd, 'directory');
  if (entry === undefined) return false;
  try {
    if (!kernel.setMode(fd, 'file', 0o604) || !kernel.setMode(entry, ITSELF, 0o701)) return false;
  } finally {
    kernel.close(entry);
  }
  kernel.setMode(fd, 'link', 0o600);
  const modes = ['file', 'directory'].map((name) => Number(lookAt(`${path}/${name}`).mode) & 0o7777);
  return modes[0] === 0o604 && modes[1] === 0o701;
}

/** An exchange exchanges, and nothing is replaced. */
function renames(kernel: Kernel, fd: number, path: string): boolean {
  if (kernel.rename(fd, 'file', fd, 'link', 'no-replace')) return false;
  if (!kernel.rename(fd, 'file', fd, 'directory', 'exchange')) return false;
  if (!kernel.rename(fd, 'link', fd, 'moved', 'no-replace')) return false;
  return lookAt(`${path}/file`).isDirectory() && lookAt(`${path}/moved`).isSymbolicLink();
}
