import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { decideOn, SPECIAL_BITS } from './decide.ts';
import {
  type ChmodResult,
  type Directory,
  entryName,
  type Listener,
  type Listing,
  type OpenFile,
  type RenameKind,
  SELF,
} from './directory.ts';
import { type EntryStats, isSameEntry, keptStats } from './entry-stats.ts';
import { errorCode, located } from './errors.ts';
import { decodeName, encodeName } from './names.ts';
import { OPEN_DIRECTORY, OPEN_ENTRY, openDirectoryAt } from './open-at.ts';
import { descriptorPath, findOwnDescriptors, hasMountsBelow, isReachable, mountOf } from './proc.ts';
import {
  fstatEntry,
  listDirectory,
  lstatEntry,
  modeAfterChange,
  notRegular,
  openFile,
  type SystemPath,
  syncOpened,
} from './read.ts';
import { connectTo, isSocketAt, listenOn, touchAt } from './socket.ts';
import type { WorkingDirectory } from './working-directory.ts';

/**
 * f_type (statfs(2)) of file systems on which a chmod that succeeds has set the mode: ext2 to ext4, XFS, Btrfs, tmpfs.
 * On any other, and where chmod(2) may drop a special bit, the mode is looked at again.
 */
const fileSystemsThatKeepModes: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994]);
const onlyReplace: ReadonlySet<RenameKind> = new Set<RenameKind>(['replace']);

/** What all directories of a tree share. */
interface Anchor {
  readonly dev: number | bigint;
  /** Whether a chmod that succeeds has set the mode, on the root's file system. */
  readonly keepsModes: boolean;
  /** The root's mount, where something is mounted below the root and each entry's mount has to be compared. */
  readonly mount: string | undefined;
  readonly workingDirectory: WorkingDirectory | undefined;
  /** Whether entries were looked at since the last listing: to move the working directory pays where more than one is. */
  isLooking: boolean;
}

/**
 * A directory by its descriptor (Linux): each entry is named `/proc/<this process>/fd/<descriptor>/<name>`. No path is resolved
 * from `/` again, so nothing that is renamed, replaced or linked can lead outside.
 */
class AnchoredDirectory implements Directory {
  readonly backend = 'anchored';
  readonly renames = onlyReplace;
  readonly opened: EntryStats;
  readonly #fd: number;
  readonly #anchor: Anchor;
  readonly #prefix: string;
  /** Looks at entries so far. */
  #looks = 0;

  constructor(fd: number, opened: EntryStats, anchor: Anchor) {
    this.#fd = fd;
    this.opened = opened;
    this.#anchor = anchor;
    this.#prefix = `${descriptorPath(fd)}/`;
  }

  stats(): EntryStats {
    return fstatEntry(this.#fd);
  }

  list(most?: number): Listing {
    const anchor = this.#anchor;
    const { workingDirectory } = anchor;
    if (anchor.isLooking) workingDirectory?.goTo(this.#fd);
    anchor.isLooking = false;
    const isThere = workingDirectory?.isAt(this.#fd) === true;
    return listDirectory(isThere ? SELF : this.#prefix, (name) => this.lstat(name), most);
  }

  lstat(name: string): EntryStats | undefined {
    return lstatEntry(this.#named(name));
  }

  readlink(name: string): string {
    return decodeName(readlinkSync(this.#named(name), { encoding: 'buffer' }));
  }

  openDirectory(name: string): Directory {
    return adopt(openDirectoryAt(this.#named(name), name), this.#anchor);
  }

  openRoot(name: string, path: string): Directory {
    const fd = openDirectoryAt(this.#named(name), name);
    try {
      return new AnchoredDirectory(fd, keptStats(fstatEntry(fd)), anchorOf(fd, path, undefined));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  openParent(known: Directory): Directory | undefined {
    let parent: Directory | undefined;
    try {
      parent = adopt(openSync(`${this.#prefix}..`, OPEN_DIRECTORY), this.#anchor);
    } catch {
      return undefined;
    }
    if (isSameEntry(parent.opened, known.opened)) return parent;
    parent.close();
    return undefined;
  }

  open(name: string): OpenFile {
    const entry = openSync(this.#named(name), OPEN_ENTRY);
    try {
      const { type } = fstatEntry(entry);
      if (type !== 'file') throw notRegular(name);
      // Through the descriptor it is the very inode that was looked at, whatever bears the name by now.
      return openFile(openSync(descriptorPath(entry), constants.O_RDONLY | constants.O_NONBLOCK), name);
    } finally {
      closeSync(entry);
    }
  }

  chmod(name: string, decide: (found: EntryStats) => number | undefined): ChmodResult {
    const fd = name === SELF ? this.#fd : openSync(this.#named(name), OPEN_ENTRY);
    try {
      const { before, mode } = decideOn(fstatEntry(fd), () => fstatEntry(fd), decide);
      if (mode === undefined) return { before, after: undefined };
      chmodSync(descriptorPath(fd), mode);
      const { keepsModes, dev } = this.#anchor;
      const isKept = keepsModes && before.dev === dev && (mode & SPECIAL_BITS) === 0;
      return { before, after: isKept ? mode : modeAfterChange(fd) };
    } finally {
      if (fd !== this.#fd) closeSync(fd);
    }
  }

  isMountPoint(name: string, found: EntryStats): boolean {
    const { dev, mount } = this.#anchor;
    if (found.dev !== dev) return true;
    if (mount === undefined) return false;
    if (name === SELF) return mountOf(this.#fd) !== mount;
    const fd = openSync(this.#named(name), OPEN_ENTRY);
    try {
      return mountOf(fd) !== mount;
    } finally {
      closeSync(fd);
    }
  }

  sync(name: string): void {
    let fd: number;
    try {
      fd = openSync(name === SELF ? `${this.#prefix}${SELF}` : this.#named(name), OPEN_ENTRY);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      throw error;
    }
    try {
      const { type } = fstatEntry(fd);
      if (type !== 'file' && type !== 'directory') return;
      const open = (access: number) => openSync(descriptorPath(fd), access | constants.O_NONBLOCK);
      syncOpened(open, constants.O_RDONLY, constants.O_WRONLY);
    } finally {
      closeSync(fd);
    }
  }

  makeDirectory(name: string, mode: number): void {
    mkdirSync(this.#named(name), mode);
  }

  symlink(name: string, target: string): void {
    symlinkSync(encodeName(target), this.#named(name));
  }

  rename(name: string, to: Directory, newName: string, kind: RenameKind = 'replace'): void {
    if (!this.renames.has(kind)) throw new RangeError(`rename: ${kind} is not possible here`);
    if (!(to instanceof AnchoredDirectory)) throw new TypeError('rename: both must be anchored directories');
    // The working directory can be one of both only.
    const from = encodeName(this.#prefix + entryName(name));
    renameSync(from, encodeName(to.#prefix + entryName(newName)));
  }

  unlink(name: string): void {
    unlinkSync(this.#named(name));
  }

  removeDirectory(name: string): void {
    rmdirSync(this.#named(name));
  }

  isSocket(name: string): boolean {
    return isSocketAt(this.#named(name));
  }

  // A socket's path must be short: by the descriptor it is, however long the path of the directory.
  listen(name: string): Promise<Listener> {
    return listenOn(this.#prefix + entryName(name));
  }

  connect(name: string): Promise<void> {
    return connectTo(this.#prefix + entryName(name));
  }

  touch(name: string): void {
    touchAt(this.#named(name));
  }

  close(): void {
    this.#anchor.workingDirectory?.forget(this.#fd);
    closeSync(this.#fd);
  }

  /** What the system calls take for an entry. */
  #named(name: string): SystemPath {
    const entry = entryName(name);
    const anchor = this.#anchor;
    const { workingDirectory } = anchor;
    if (workingDirectory === undefined) return encodeName(this.#prefix + entry);
    anchor.isLooking = true;
    this.#looks += 1;
    if (this.#looks === 2) workingDirectory.goTo(this.#fd);
    return encodeName(workingDirectory.isAt(this.#fd) ? entry : this.#prefix + entry);
  }
}

/** Take a descriptor, or close it. */
function adopt(fd: number, anchor: Anchor): AnchoredDirectory {
  try {
    return new AnchoredDirectory(fd, keptStats(fstatEntry(fd)), anchor);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Hold the directory of a real path, or `undefined` where the kernel does not give what it takes. It is opened from `/` down,
 * one component at a time, so that no link is followed on the way.
 */
export function openAnchored(realPath: string, workingDirectory?: WorkingDirectory): Directory | undefined {
  if (!findOwnDescriptors()) return undefined;
  let fd = openSync('/', OPEN_DIRECTORY);
  try {
    // This `/proc` may be that of another process namespace.
    if (!isReachable(fd)) {
      closeSync(fd);
      return undefined;
    }
    for (const name of realPath.split('/').filter(Boolean)) {
      const next = openDirectoryAt(encodeName(`${descriptorPath(fd)}/${name}`), name);
      closeSync(fd);
      fd = next;
    }
    return new AnchoredDirectory(fd, keptStats(fstatEntry(fd)), anchorOf(fd, realPath, workingDirectory));
  } catch (error) {
    closeSync(fd);
    throw located(error, realPath);
  }
}

function anchorOf(fd: number, realPath: string, workingDirectory: WorkingDirectory | undefined): Anchor {
  return {
    dev: fstatEntry(fd).dev,
    keepsModes: fileSystemsThatKeepModes.has(statfsSync(descriptorPath(fd)).type),
    mount: hasMountsBelow(realPath) ? mountOf(fd) : undefined,
    workingDirectory,
    isLooking: false,
  };
}
