import { chmod, lstat, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createPace } from '../pace.ts';
import { errorCode, type HeldDirectory, symlinkInPath } from '../root/root.ts';
import { walk } from '../root/walk.ts';
import { exists, isTaken, PREVIOUS, putBack, removeInside, type Staging, TREE } from './staging.ts';

/** How often another process may put its own tree in place between our two renames. */
const MAX_COLLISIONS = 100;

/** What {@link publish} does with something that is there already. */
export type Existing = 'error' | 'keep' | 'replace';

/**
 * Put a finished tree in the place of the destination with one rename.
 *
 * With `'replace'` the old tree is moved aside first, and put back if anything fails in between.
 *
 * @returns `undefined` where the destination is there and stays (`'error'`, `'keep'`), else what was done
 */
export async function publish(
  { held, tree }: Staging,
  destination: string,
  existing: Existing,
): Promise<'created' | 'replaced' | undefined> {
  for (let collisions = 0; ; collisions += 1) {
    // An extractor that went on may have put a link in place of its directory, and others may have taken ours away.
    if (!(await lstat(held.inside(TREE))).isDirectory()) throw symlinkInPath(tree);
    const isReplacing = existing === 'replace' && (await moveAside(held, destination));
    // rename would take the place of an empty directory, which may be somebody's all the same.
    if (!isReplacing && (await exists(destination))) {
      if (existing !== 'replace') return undefined;
      continue;
    }
    try {
      await moveDirectory(held.inside(TREE), destination);
      return isReplacing || collisions > 0 ? 'replaced' : 'created';
    } catch (error) {
      await putBack(held, destination);
      if (!isTaken(error) || collisions >= MAX_COLLISIONS) throw error;
      if (existing !== 'replace') return undefined;
    }
  }
}

/** The same, and have the rename reach the disk. A parent that cannot be synced is refused before anything is moved. */
export async function publishDurably(
  staging: Staging,
  destination: string,
  existing: Existing,
): Promise<'created' | 'replaced' | undefined> {
  const parent = await open(dirname(destination), 'r');
  try {
    const outcome = await publish(staging, destination, existing);
    await parent.sync();
    return outcome;
  } finally {
    await parent.close();
  }
}

/** Move what is there aside; false where nothing is there. What was moved aside before is the older one, and goes. */
async function moveAside(held: HeldDirectory, destination: string): Promise<boolean> {
  await removeInside(held, PREVIOUS);
  try {
    await moveDirectory(destination, held.inside(PREVIOUS));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Rename a directory. One that its owner may not write to cannot be moved: its `..` would change (rename(2), EACCES). */
async function moveDirectory(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const stats = errorCode(error) === 'EACCES' ? await lstat(from) : undefined;
    if (!stats?.isDirectory() || (stats.mode & 0o200) !== 0) throw error;
    const mode = stats.mode & 0o7777;
    await chmod(from, mode | 0o200);
    try {
      await rename(from, to);
      await chmod(to, mode);
    } catch (failure) {
      await chmod(from, mode).catch(() => undefined);
      throw failure;
    }
  }
}

/** Have every file and directory of a tree reach the disk. */
export async function syncTree({ held }: Staging, signal: AbortSignal | undefined): Promise<void> {
  const root = held.openRoot(TREE);
  try {
    const visitor = {
      enter: (directory: string) => {
        root.sync(directory);
        return root.list(directory);
      },
      descend: () => true,
      visit: (path: string) => root.sync(path),
    };
    await walk(
      '.',
      visitor,
      createPace(signal, () => undefined),
    );
  } finally {
    root.close();
  }
}
