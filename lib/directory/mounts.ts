import type { Identity } from './entry-stats.ts';
import { fs } from './fs.ts';
import { encodeName } from './names.ts';
import { OPEN_ENTRY } from './open-at.ts';
import { listMounts, type Mount, mountOf } from './proc.ts';
import { fstatEntry } from './read.ts';

/** The mount that a tree is on, where something else of its file system is mounted below: the device does not tell that apart. */
export interface MountsAlike {
  readonly own: string;
  /** Numbers of the inodes that are mounted; `undefined` where they could not be found out, and any may be one. */
  readonly roots: ReadonlySet<Identity['ino']> | undefined;
}

/**
 * What is mounted below a mount, and of the same file system; `undefined` where nothing is. Where below does not count: whoever renames
 * a directory moves what is mounted in it.
 *
 * @param own the mount
 * @param hasFixedNumbers whether an inode keeps its number, as on overlayfs not every one does
 */
export function mountsAlike(own: string, hasFixedNumbers: boolean): MountsAlike | undefined {
  const mounts = new Map(listMounts().map((mount) => [mount.id, mount]));
  // Where the root directory of the process was changed, its own mount may not be listed.
  const device = mounts.get(own)?.device;
  const alike = [...mounts.values()].filter(
    (mount) => mount.device === (device ?? mount.device) && isBelow(mount, own, mounts),
  );
  if (alike.length === 0) return undefined;
  return { own, roots: hasFixedNumbers ? rootsOf(alike) : undefined };
}

function isBelow(mount: Mount, own: string, mounts: ReadonlyMap<string, Mount>): boolean {
  let at: Mount | undefined = mount;
  // The topmost may lie on itself.
  while (at !== undefined && at.id !== own && at.parent !== at.id) {
    if (at.parent === own) return true;
    at = mounts.get(at.parent);
  }
  return false;
}

function rootsOf(mounts: readonly Mount[]): Set<Identity['ino']> | undefined {
  const roots = new Set<Identity['ino']>();
  try {
    for (const { id, path } of mounts) {
      const fd = fs.openSync(encodeName(path), OPEN_ENTRY);
      try {
        // It may lie elsewhere by now, or something else lie on it.
        if (mountOf(fd) !== id) return undefined;
        roots.add(fstatEntry(fd).ino);
      } finally {
        fs.closeSync(fd);
      }
    }
    return roots;
  } catch {
    return undefined;
  }
}
