import type { Directory } from '../directory/directory.ts';
import { errorCode, located } from '../directory/errors.ts';
import { removeNamed } from '../directory/remove.ts';
import { quoted } from '../printable.ts';
import { putBackAll, retireAll } from './aside.ts';
import type { Destination } from './destination.ts';
import { warnOfLeftover } from './errors.ts';
import { cleaning, whileInUse } from './in-use.ts';
import { lockAgain } from './lock.ts';
import { ownerOf } from './marker.ts';
import { isPrivate } from './private.ts';
import { beside, dismantle, STAGING_NAME } from './staging.ts';

/** Leftovers that were warned of: the next call finds the same. */
const warned = new Set<string>();

/**
 * Put old trees back that dead processes had moved aside beside a destination, and remove what else they left. What bears no
 * marker of ours is never touched.
 */
export async function clearLeftovers(destination: Destination): Promise<void> {
  const { parent } = destination;
  for (const name of leftoversIn(destination)) {
    const path = beside(destination, name);
    try {
      await whileInUse(() => clear(parent, name, path), !warned.has(path) && cleaning);
    } catch (error) {
      const code = errorCode(error);
      if (code === undefined) throw error;
      // Another process may be removing it, too.
      if (code === 'ENOENT' || warned.has(path)) continue;
      warned.add(path);
      warnOfLeftover(`permwalk could not remove ${quoted(path)}, which a process left behind: ${error}`);
    }
  }
}

/** Names that staging directories may have; none where we may not list, or nothing is, for then we can find nothing of ours. */
function leftoversIn({ parent, parentPath }: Destination): string[] {
  const names: string[] = [];
  try {
    const listing = parent.list();
    while (listing.next()) {
      const { name } = listing;
      if (STAGING_NAME.test(name) && isOurs(parent, name)) names.push(name);
    }
  } catch (error) {
    if (!['EACCES', 'ENOENT'].includes(errorCode(error) ?? '')) throw located(error, parentPath);
  }
  return names;
}

/** A private directory of ours on this file system, as staging directories are. */
function isOurs(parent: Directory, name: string): boolean {
  const found = parent.lstat(name);
  return found?.type === 'directory' && isPrivate(found) && !parent.isMountPoint(name, found);
}

async function clear(parent: Directory, name: string, path: string): Promise<void> {
  const directory = parent.openDirectory(name);
  try {
    if (!isPrivate(directory.opened)) return;
    const owner = await ownerOf(directory);
    if (owner === 'alive') return;
    if (owner === 'unmarked') return removeUnmarked(parent, name, directory);
    putBackAll(directory, parent);
    lockAgain(directory, parent);
    if (owner === 'elsewhere') return;
    // From here on nobody puts back what may be half gone.
    retireAll(directory);
    await dismantle(parent, { name, path, directory });
  } finally {
    directory.close();
  }
}

/** Remove one that was just made, or that was about to be removed. */
function removeUnmarked(parent: Directory, name: string, directory: Directory): void {
  if (directory.list(1).size > 0) return;
  try {
    removeNamed(parent, name, directory.opened);
  } catch (error) {
    // Its owner has just marked it, and lives.
    if (!['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) throw error;
  }
}
