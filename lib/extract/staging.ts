import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errorCode, swapped } from '../directory/errors.ts';
import { runPass } from '../pass/apply.ts';
import { type HeldDirectory, holdDirectory } from './held.ts';

const PREFIX = '.permwalk-';

/** A private directory beside the destination, on the same file system, so that publishing is one rename. */
export interface Staging {
  /**
   * The staging directory, mode 0700, so that nobody else sees an unfinished tree. It is held open, so that work in it
   * stays in it, even if others rename entries beside the destination.
   */
  readonly held: HeldDirectory;
  /** Path of the directory that the extractor writes to and that becomes the destination. */
  readonly tree: string;
}

/** Name of the directory that becomes the destination. */
export const TREE = 'tree';
/** Name of the old tree while the new one takes its place. */
export const PREVIOUS = 'previous';

/** Make a staging directory for a destination, and the tree in it. The parent of the destination must exist. */
export async function createStaging(destination: string): Promise<Staging> {
  const path = await mkdtemp(join(dirname(destination), `${prefixFor(destination)}${process.pid}-`));
  const held = holdDirectory(path);
  try {
    // The one that we just made is ours and empty; anything else was put in its place.
    const isOurs = held.stats().uid === (process.geteuid?.() ?? held.stats().uid);
    if (!isOurs || (await readdir(held.inside('.'))).length > 0) throw swapped(path);
    await mkdir(held.inside(TREE), 0o777);
    return { held, tree: join(path, TREE) };
  } catch (error) {
    held.close();
    throw error;
  }
}

/**
 * Remove a staging directory with everything in it, whatever the modes. Entries that are already gone are no error.
 *
 * @throws the error of the system if something cannot be removed
 */
export async function removeStaging(held: HeldDirectory): Promise<void> {
  for (const name of await readdir(held.inside('.'))) await removeInside(held, name);
  // By its name, if that is still its own.
  const { dev, ino } = held.stats();
  const named = await lstat(held.path).catch(() => undefined);
  if (named?.dev === dev && named.ino === ino) await rmdir(held.path);
}

/** Remove a tree in a staging directory; see {@link removeStaging}. */
export async function removeInside(held: HeldDirectory, name: string): Promise<void> {
  const path = held.inside(name);
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    // Nothing can be removed from a directory without w or x.
    await runPass(held.path, { mode: 'u+rwx', strict: false }, () => held.openTree(name));
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Remove staging directories that dead processes of this host left behind for a destination, and put back an old tree
 * that one of them had moved aside. Those of another user, host or process namespace stay.
 */
export async function removeAbandoned(destination: string): Promise<void> {
  const prefix = prefixFor(destination);
  for (const name of await namesIn(dirname(destination))) {
    if (!name.startsWith(prefix) || isAlive(Number.parseInt(name.slice(prefix.length), 10))) continue;
    try {
      await removeLeftover(join(dirname(destination), name), destination);
    } catch (error) {
      // Another process may be removing it, too, or something in it is not ours: it stays.
      if (errorCode(error) === undefined) throw error;
    }
  }
}

async function removeLeftover(path: string, destination: string): Promise<void> {
  const held = holdDirectory(path);
  try {
    if (held.stats().uid !== process.geteuid?.()) return;
    await putBack(held, destination);
    await removeStaging(held);
  } finally {
    held.close();
  }
}

/** Names in a directory; none if we may not list it, because then we cannot find anything of ours. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === 'EACCES') return [];
    throw error;
  }
}

/** Put the old tree back, if there is one and neither our new tree nor another one has taken its place. */
export async function putBack(held: HeldDirectory, destination: string): Promise<void> {
  if ((await exists(destination)) || !(await exists(held.inside(TREE)))) return;
  try {
    await rename(held.inside(PREVIOUS), destination);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && !isTaken(error)) throw error;
  }
}

/** True if a rename failed because something exists at the new name. */
export function isTaken(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errorCode(error) ?? '');
}

/** True if anything exists there, even a dangling link. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Prefix of the names of this host's staging directories for a destination. The process id and a random part follow. */
function prefixFor(destination: string): string {
  const owner = createHash('sha256')
    .update(`${hostIdentity()}\0${basename(destination)}`)
    .digest('hex');
  return `${PREFIX}${owner.slice(0, 16)}-`;
}

/** The host, and on Linux the process namespace: a process id means nothing in another container. */
function hostIdentity(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** False only if there is certainly no such process. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}
