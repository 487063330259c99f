import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Identity, isSameEntry } from '../directory/entry-stats.ts';
import { errorCode, located, swapped, symlinkInPath } from '../directory/errors.ts';
import { move } from '../directory/move.ts';
import type { RetrySettings } from '../settings.ts';
import { Aside } from './aside.ts';
import { explained, notPutBack } from './errors.ts';
import { isInUse, whileInUse } from './in-use.ts';
import { noteLocked } from './lock.ts';
import { type Staging, TREE, verifyStaging } from './staging.ts';

/** How often another process may publish its tree between our two renames. */
const MAX_COLLISIONS = 100;
/** Milliseconds between tries to put an old tree back. */
const PUT_BACK_DELAYS_MS = [0, 10, 100, 400];
/** Milliseconds between looks for what another process puts in the place of our new tree. */
const SUPERSEDED_DELAYS_MS = [1, 10, 100, 500];

/** What {@link publish} does if the destination exists. */
export type Existing = 'error' | 'keep' | 'replace';

/** What {@link publish} did: `undefined` where the destination exists and stays (`'error'`, `'keep'`). */
export type Published = 'created' | 'replaced' | undefined;

/** How long {@link publish} tries what another process has in use (Windows). */
export interface Patience {
  readonly retry: RetrySettings | false;
  readonly signal?: AbortSignal;
}

/**
 * Rename a finished tree to the destination. Two directories are held open: the staging directory, and the parent of the destination.
 *
 * 1. Check that the paths of both still lead to them, and that the tree is the one that the pass has finished.
 * 2. With `'replace'`, exchange the new tree and the old one by one rename. Then all is done.
 * 3. If they cannot be exchanged, move the old tree aside, into the staging directory.
 * 4. Right after it, rename the new tree to the destination, without replacing anything that is there by then.
 * 5. If that fails, put the old tree back. If another process was faster, begin again.
 * 6. If the new tree is at the destination, or another process has replaced it since, give up the old tree.
 *
 * Steps 3 and 4 are two system calls, one right after the other; all preparation comes before. On Windows, all steps are repeated
 * while another process has something open in one of the trees.
 *
 * @param finished the tree that was finished
 * @throws the system's error, with cause and way out; the destination is as it was, or the error says where the old tree lies
 */
export async function publish(
  staging: Staging,
  finished: Identity,
  existing: Existing,
  { retry, signal }: Patience,
): Promise<Published> {
  const { directory, asides } = staging;
  const tree = directory.lstat(TREE);
  try {
    if (tree !== undefined) noteLocked(directory, tree);
  } catch (error) {
    throw explained(error, staging.destination.path);
  }
  const published = await whileInUse(() => tryToPublish(staging, finished, existing, retry), retry, signal);
  for (const each of asides) each.retire();
  return published;
}

/** One try of {@link publish}. */
async function tryToPublish(
  staging: Staging,
  finished: Identity,
  existing: Existing,
  retry: RetrySettings | false,
): Promise<Published> {
  const { destination, directory, asides } = staging;
  const { renames } = directory;
  const kind = renames.has('no-replace') ? 'no-replace' : 'replace';
  for (let collisions = 0; ; collisions += 1) {
    verify(staging, finished);
    const found = destination.lstat();
    if (found !== undefined && existing !== 'replace') return undefined;
    let aside: Aside | undefined;
    try {
      if (found !== undefined && renames.has('exchange') && exchange(staging)) {
        await settleExchange(staging);
      } else {
        if (found !== undefined) {
          noteLocked(directory, found);
          aside = new Aside(directory, asides.length + 1);
          asides.push(aside);
          aside.take(destination);
        }
        move(directory, TREE, destination.parent, destination.name, kind);
        await superseded(staging);
      }
    } catch (error) {
      const left = await putBack(staging, retry);
      if (left !== undefined) throw notPutBack(error, destination.path, join(staging.path, left.path));
      if (!isTaken(error) || collisions >= MAX_COLLISIONS) throw explained(error, destination.path);
      if (existing !== 'replace') return undefined;
      continue;
    }
    const isReplaced = found !== undefined || asides.some(({ isTaken }) => isTaken);
    return isReplaced ? 'replaced' : 'created';
  }
}

/** Exchange the new tree and the one at the destination, so that one of them is always there. False if that is impossible. */
function exchange({ directory, destination }: Staging): boolean {
  try {
    directory.rename(TREE, destination.parent, destination.name, 'exchange');
    return true;
  } catch (error) {
    // It is gone by now, or cannot be exchanged: two renames move it, or fail with the reason.
    if (['ENOENT', 'ENOTSUP'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
}

/** After an exchange: if the new tree is gone and nothing took its place, put the old one back. */
async function settleExchange(staging: Staging): Promise<void> {
  const { directory, destination } = staging;
  try {
    await superseded(staging);
  } catch (error) {
    if (destination.lstat() === undefined) move(directory, TREE, destination.parent, destination.name);
    throw error;
  }
}

/** The same as {@link publish}, and fsync the parent before and after. If that fails before, nothing is moved. */
export async function publishDurably(
  staging: Staging,
  finished: Identity,
  existing: Existing,
  patience: Patience,
): Promise<Published> {
  const { destination } = staging;
  const sync = () => {
    try {
      destination.parent.sync('.');
    } catch (error) {
      throw located(error, destination.parentPath);
    }
  };
  sync();
  const published = await publish(staging, finished, existing, patience);
  sync();
  return published;
}

/** An extractor that is still running may have replaced its directory, and other processes anything beside the destination. */
function verify(staging: Staging, finished: Identity): void {
  staging.destination.verify();
  verifyStaging(staging);
  const found = staging.directory.lstat(TREE);
  if (found !== undefined && found.type !== 'directory') throw symlinkInPath(staging.treePath);
  if (found === undefined || !isSameEntry(found, finished)) throw swapped(staging.treePath);
}

/** If the new tree is gone right after it was published, another process is replacing it: wait for the tree of that process. */
async function superseded({ destination }: Staging): Promise<void> {
  for (const wait of SUPERSEDED_DELAYS_MS) {
    if (destination.lstat() !== undefined) return;
    await delay(wait);
  }
  throw swapped(destination.path);
}

/**
 * Put back the old tree that was moved aside last; try again if that fails. It stays aside once something else is at the destination.
 *
 * @returns the old tree if it could not be put back and nothing is at the destination
 */
async function putBack(
  { destination, asides }: Staging,
  retry: RetrySettings | false,
): Promise<Aside | undefined> {
  const aside = asides.findLast(({ isTaken }) => isTaken);
  if (aside === undefined) return undefined;
  let last: unknown;
  const act = () => aside.putBack(destination);
  for (const wait of PUT_BACK_DELAYS_MS) {
    try {
      if (wait > 0) await delay(wait);
      act();
      return undefined;
    } catch (error) {
      last = error;
    }
  }
  // No abort ends this: the old tree is worth the wait.
  if (isInUse(last)) await whileInUse(act, retry).catch(() => undefined);
  return aside.isTaken && destination.lstat() === undefined ? aside : undefined;
}

/** True if a rename failed because something exists at the new name. */
function isTaken(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errorCode(error) ?? '');
}
