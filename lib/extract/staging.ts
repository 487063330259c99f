import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Directory } from '../directory/directory.ts';
import { type EntryStats, isSameEntry } from '../directory/entry-stats.ts';
import { errorCode, located, swapped, UnsafePathError } from '../directory/errors.ts';
import { removal, removeNamed } from '../directory/remove.ts';
import { quoted } from '../printable.ts';
import { runInSlices, Slices } from '../slices.ts';
import { type Aside, OLD } from './aside.ts';
import type { Destination } from './destination.ts';
import { explained, tooLong, warnOfLeftover } from './errors.ts';
import { cleaning, whileInUse } from './in-use.ts';
import { isMarkerName, type Marker, setMarker } from './marker.ts';
import { isPrivate } from './private.ts';

const PREFIX = '.permwalk-';
/** Bytes of chance in a name, which base64url writes as eight characters. */
const RANDOM_BYTES = 6;
/** What a staging directory is called. */
export const STAGING_NAME = /^\.permwalk-[\w-]{8}$/;
/** Name of the directory that becomes the destination. */
export const TREE = 'tree';
/** How many descriptors a clean-up needs: one to hold a directory, and one to list it. */
const RESERVE = 2;
/** How often another process may remove a staging directory while it is still empty, or fill one that was emptied. */
const MAX_TRIES = 8;
/** The longest path that the system resolves, with its NUL: limits.h. Windows says so itself. */
const PATH_MAX: Partial<Record<NodeJS.Platform, number>> = {
  linux: 4096,
  darwin: 1024,
  freebsd: 1024,
  openbsd: 1024,
};

/**
 * A private directory beside the destination, on the same file system, so that publishing is one rename. It is held, so that
 * work in it stays in it, whatever becomes of its name.
 */
export interface Staging {
  readonly destination: Destination;
  readonly name: string;
  readonly path: string;
  readonly directory: Directory;
  /** Its facts right after it was made: some file systems give other owners and modes than ours. */
  readonly made: EntryStats;
  readonly marker: Marker | undefined;
  /** Path of the directory that the extractor writes to and that becomes the destination. */
  readonly treePath: string;
  /** Descriptors for the clean-up, where all others are in use by then. */
  readonly reserve: readonly Directory[];
  /** Old trees that were moved aside. */
  readonly asides: Aside[];
}

/**
 * Make a staging directory for a destination, and the tree in it:
 *
 * 1. make it, mode 0700, so that nobody else sees an unfinished tree, and hold it;
 * 2. mark it as ours;
 * 3. make the tree.
 *
 * @throws the system's error, with the way out; nothing is left then
 */
export async function createStaging(destination: Destination): Promise<Staging> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(destination);
    } catch (error) {
      // Until it is marked, another process may take it for one that was left behind.
      const isTaken = ['ENOENT', 'EEXIST'].includes(errorCode(error) ?? '');
      if (!isTaken || tries === MAX_TRIES) throw explained(error, destination.path);
      destination.renew();
    }
  }
}

async function attempt(destination: Destination): Promise<Staging> {
  const { parent } = destination;
  const name = PREFIX + randomBytes(RANDOM_BYTES).toString('base64url');
  const path = beside(destination, name);
  const treePath = join(path, TREE);
  if (Buffer.byteLength(treePath) >= (PATH_MAX[process.platform] ?? Number.POSITIVE_INFINITY)) {
    throw tooLong(destination.path);
  }
  parent.makeDirectory(name, 0o700);
  const made = parent.lstat(name);
  let directory: Directory | undefined;
  let marker: Marker | undefined;
  const reserve: Directory[] = [];
  try {
    directory = parent.openDirectory(name);
    if (made === undefined || !isAsMade(directory.opened, made)) throw swapped(path);
    while (reserve.length < RESERVE) reserve.push(parent.openDirectory(name));
    refuseForeign(directory, path);
    marker = await setMarker(directory);
    directory.makeDirectory(TREE, 0o777);
    destination.retain();
    return { destination, name, path, directory, made, marker, treePath, reserve, asides: [] };
  } catch (error) {
    marker?.close();
    for (const spare of reserve) spare.close();
    // What was put in its place is not ours.
    const isOurs = !(error instanceof UnsafePathError);
    if (isOurs) await reported(path, () => undo(destination, { name, path, directory, made }));
    directory?.close();
    throw located(error, path);
  }
}

/** A staging directory as far as it was made. */
interface Unfinished extends Pick<Staging, 'name' | 'path'> {
  readonly directory: Directory | undefined;
  readonly made: EntryStats | undefined;
}

/** Leave nothing of a staging directory that could not be made whole. */
async function undo({ parent }: Destination, { name, path, directory, made }: Unfinished): Promise<void> {
  if (made === undefined) return;
  try {
    removeNamed(parent, name, made);
  } catch (error) {
    if (directory === undefined) throw error;
    await dismantle(parent, { name, path, directory });
  }
}

/** Path of an entry beside the destination, in the system's own spelling: an extractor gets it. */
export function beside({ parentPath }: Destination, name: string): string {
  return join(parentPath, name);
}

/** Throws unless what was just made is still at its path, as it was made. */
export function verifyStaging({ destination, name, path, made, directory }: Staging): void {
  const found = destination.parent.lstat(name);
  if (found === undefined || !isAsMade(found, made) || !isAsMade(directory.stats(), made))
    throw swapped(path);
}

function isAsMade(found: EntryStats, made: EntryStats): boolean {
  return (
    isSameEntry(found, made) && found.uid === made.uid && found.mode === made.mode && found.type === made.type
  );
}

/**
 * Throws if the directory that we just made is not empty, or belongs to somebody else: then another one was put in its place. Some
 * file systems give all entries another owner or mode; they do the same to a directory that we make in it, which shows that.
 */
function refuseForeign(directory: Directory, path: string): void {
  if (directory.list().size > 0) throw swapped(path);
  const { uid, mode } = directory.opened;
  if (isPrivate(directory.opened)) return;
  directory.makeDirectory(TREE, 0o700);
  const probe = directory.lstat(TREE);
  directory.removeDirectory(TREE);
  if (probe?.uid !== uid || (probe.mode & 0o777) !== (mode & 0o777)) throw swapped(path);
}

/**
 * Remove a staging directory. Old trees that could not be put back stay in it. While the extractor is still running, only the
 * content is removed, and the directory itself when the extractor has ended. It is held until then, so it cannot be confused.
 *
 * @param running settles when the extractor has ended; `undefined` where it has
 */
export async function removeStaging(staging: Staging, running: Promise<unknown> | undefined): Promise<void> {
  for (const aside of staging.asides) aside.close();
  if (running === undefined) return end(staging);
  const { directory, path } = staging;
  await reported(path, () => removeWithin(directory, path, (name) => !isMarkerName(name)));
  const atLast = () => end(staging);
  running.then(atLast, atLast);
}

async function end(staging: Staging): Promise<void> {
  const { destination, path, directory, marker, reserve } = staging;
  const keepsOld = staging.asides.some(({ isTaken }) => isTaken);
  // From here on another process may take it for a leftover, and remove it, too.
  marker?.close();
  for (const spare of reserve) spare.close();
  if (keepsOld)
    warnOfLeftover(
      `permwalk could not put back the old tree, which is in ${quoted(path)}: move it to ${quoted(destination.path)}`,
    );
  await reported(path, () => dismantle(destination.parent, staging, keepsOld));
  directory.close();
  destination.release();
}

/** Only warn of what cannot be removed: the result of the extraction counts more. */
async function reported(path: string, act: () => Promise<void>): Promise<void> {
  try {
    await whileInUse(act, cleaning);
  } catch (error) {
    warnOfLeftover(`permwalk could not remove ${quoted(path)}: ${error}`);
  }
}

/**
 * Remove a staging directory that is held: its content, the marker last, and then the directory, if its name still leads to it.
 *
 * @param keepsOld whether old trees stay, and with them the directory
 * @throws the system's error for the first entry that cannot be removed
 */
export async function dismantle(
  parent: Directory,
  { name, path, directory }: Pick<Staging, 'name' | 'path' | 'directory'>,
  keepsOld = false,
): Promise<void> {
  const isKept = (entry: string) => isMarkerName(entry) || (keepsOld && entry.startsWith(OLD));
  for (let tries = 1; ; tries += 1) {
    await removeWithin(directory, path, (entry) => !isKept(entry));
    if (keepsOld) return;
    await removeWithin(directory, path, () => true);
    try {
      return removeNamed(parent, name, directory.opened);
    } catch (error) {
      // An extractor that had not told when it was done may still write.
      const isFilled = ['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '');
      if (!isFilled || tries === MAX_TRIES) throw located(error, path);
    }
  }
}

async function removeWithin(
  directory: Directory,
  path: string,
  isMeant: (name: string) => boolean,
): Promise<void> {
  const names = namesIn(directory).filter(isMeant);
  const slices = new Slices();
  const failures: unknown[] = [];
  for (const name of names) {
    try {
      await runInSlices(
        removal(directory, name, `${path}/${name}`, () => slices.isOver()),
        slices,
      );
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Names in a directory that is held; none where another process has removed it. */
function namesIn(directory: Directory): string[] {
  const names: string[] = [];
  try {
    const listing = directory.list();
    while (listing.next()) names.push(listing.name);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  return names;
}
