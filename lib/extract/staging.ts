import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { runPass } from '../apply.ts';
import { holdDirectory } from '../root/held.ts';
import { errorCode, type HeldDirectory, swapped } from '../root/root.ts';

const PREFIX = '.permwalk-';

/** A private place beside the destination: same file system, so that publishing is one rename. */
export interface Staging {
  /**
   * The staging directory itself, mode 0700: nobody else looks into what is not finished. Held open, so that all that is
   * done in it is done there, even where others may rename what lies beside the destination.
   */
  readonly held: HeldDirectory;
  /** Where the extractor writes, by its path: the directory that becomes the destination. */
  readonly tree: string;
}

/** The directory in a staging directory that becomes the destination. */
export const TREE = 'tree';
/** Where the old destination lies in it while the new one takes its place. */
export const PREVIOUS = 'previous';

/** Make a staging directory for a destination, and the tree in it. The destination's parent must be there. */
export async function createStaging(destination: string): Promise<Staging> {
  const path = await mkdtemp(join(dirname(destination), `${prefixFor(destination)}${process.pid}-`));
  const held = holdDirectory(path);
  try {
    // What was made just now is ours, and empty; anything else was put in its place.
    const isOurs = held.stats().uid === (process.geteuid?.() ?? held.stats().uid);
    if (!isOurs || (await readdir(held.inside('.'))).length > 0) throw swapped(path);
    await mkdir(held.inside(TREE));
    return { held, tree: join(path, TREE) };
  } catch (error) {
    held.close();
    throw error;
  }
}

/**
 * Take away a staging directory with everything in it, whatever its modes. What is gone already is no error.
 *
 * @throws the system's error where something of ours cannot be removed
 */
export async function removeStaging(held: HeldDirectory): Promise<void> {
  for (const name of await readdir(held.inside('.'))) await removeInside(held, name);
  // By its name, where that is still its own.
  const { dev, ino } = held.stats();
  const named = await lstat(held.path).catch(() => undefined);
  if (named?.dev === dev && named.ino === ino) await rmdir(held.path);
}

/** Take away a tree in a staging directory; see {@link removeStaging}. */
export async function removeInside(held: HeldDirectory, name: string): Promise<void> {
  const path = held.inside(name);
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    // A directory without w or x keeps what is in it.
    await runPass(held.path, { mode: 'u+rwx', strict: false }, () => held.openRoot(name));
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Take away what processes of this host left behind for a destination when they died, and put an old tree back that
 * one of them had moved aside. What belongs to another user, or to another host, stays.
 */
export async function removeAbandoned(destination: string): Promise<void> {
  const prefix = prefixFor(destination);
  for (const name of await namesIn(dirname(destination))) {
    if (!name.startsWith(prefix) || isAlive(Number.parseInt(name.slice(prefix.length), 10))) continue;
    try {
      await removeLeftover(join(dirname(destination), name), destination);
    } catch (error) {
      // Another process may be at the same work, or something in there is not ours: it stays.
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

/** Names in a directory; none where we may not list it, and then nothing of ours can be found in it. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === 'EACCES') return [];
    throw error;
  }
}

/** Put the old tree back, where there is one and nothing has taken its place: our tree is still here, or another is there. */
export async function putBack(held: HeldDirectory, destination: string): Promise<void> {
  if ((await exists(destination)) || !(await exists(held.inside(TREE)))) return;
  try {
    await rename(held.inside(PREVIOUS), destination);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && !isTaken(error)) throw error;
  }
}

/** True where a directory could not be renamed because something has taken the place that it should go to. */
export function isTaken(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errorCode(error) ?? '');
}

/** True where there is something, were it a link that dangles. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Begins the names of this host's staging directories for a destination; the process and a random part follow. */
function prefixFor(destination: string): string {
  const owner = createHash('sha256')
    .update(`${hostIdentity()}\0${basename(destination)}`)
    .digest('hex');
  return `${PREFIX}${owner.slice(0, 16)}-`;
}

/** The host, and on Linux the process namespace: a process number means nothing in another container. */
function hostIdentity(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** True unless there is surely no such process. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}
