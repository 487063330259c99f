import { fs } from './fs.ts';
import { type MountsAlike, mountsAlike } from './mounts.ts';
import { descriptorPath, mountOf } from './proc.ts';
import { fstatEntry } from './read.ts';
import type { WorkingDirectory } from './working-directory.ts';

/**
 * f_type (statfs(2)) of file systems on which a chmod that succeeds has set the mode: ext2 to ext4, XFS, Btrfs, tmpfs.
 * On any other, and where chmod(2) may drop a special bit, the mode is looked at again.
 */
const fileSystemsThatKeepModes: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994]);

/** f_type of overlayfs: without xino a file of a layer has that layer's device. */
const OVERLAY = 0x794c7630;

/** What all directories of a tree share. */
export interface Anchor {
  readonly dev: number | bigint;
  /** Whether a chmod that succeeds has set the mode, on the root's file system. */
  readonly keepsModes: boolean;
  /** Whether entries of the root's own mount may have another device. */
  readonly isLayered: boolean;
  /** Where they are there, the mounts of entries have to be compared. */
  readonly mounts: MountsAlike | undefined;
  readonly workingDirectory: WorkingDirectory | undefined;
  /** Whether entries were looked at since the last listing: to move the working directory pays where more than one is. */
  isLooking: boolean;
}

/** What directories of a tree share, found out by its root. */
export function anchorOf(fd: number, workingDirectory?: WorkingDirectory): Anchor {
  const { type } = fs.statfsSync(descriptorPath(fd));
  const keepsModes = fileSystemsThatKeepModes.has(type);
  const own = mountOf(fd);
  const isLayered = type === OVERLAY && own !== undefined;
  // Those that keep modes keep the numbers of inodes, too.
  const mounts = own === undefined ? undefined : mountsAlike(own, keepsModes);
  return {
    dev: fstatEntry(fd).dev,
    keepsModes,
    isLayered,
    mounts: mounts ?? (isLayered ? { own, roots: new Set() } : undefined),
    workingDirectory,
    isLooking: false,
  };
}
