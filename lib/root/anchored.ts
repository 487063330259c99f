import type { Buffer } from 'node:buffer';
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
  statfsSync,
} from 'node:fs';
import { decodeName, encodeName, isEntryOf, isWithin, joinPath, nameOf, parentOf } from './names.ts';
import {
  entryName,
  entryPath,
  OPEN_DIRECTORY,
  OPEN_ENTRY,
  type OpenDirectory,
  openDirectory,
  openParent,
  openRealPath,
} from './open-directory.ts';
import { descriptorPath, findOwnDescriptors, isReachable, mountPointsBelow } from './proc.ts';
import { listDirectory, modeAfterChange, readStart, syncEntry } from './read.ts';
import { type ChmodResult, type HeldDirectory, type ListedEntry, type Root, renamed } from './root.ts';
import { WorkingDirectory } from './working-directory.ts';

/**
 * f_type (statfs(2)) of file systems on which a chmod that succeeds has set the mode: ext2 to ext4, XFS, Btrfs, tmpfs.
 * On any other, and where chmod(2) may drop a special bit, the mode is looked at again.
 */
const fileSystemsThatKeepModes: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994]);
const SPECIAL_BITS = 0o7000;
/** Directories held open: enough for most trees, few enough for a descriptor limit of 64. */
const MAX_OPEN_DIRECTORIES = 24;

/**
 * A root by descriptors (Linux). The root is opened once; from then on each directory is opened from the
 * descriptor of its parent, one component at a time, and each entry is named `/proc/<this process>/fd/<parent>/<name>`. No
 * path is resolved from `/` again, so nothing that is renamed, swapped or linked can lead outside.
 */
class AnchoredRoot implements Root {
  readonly backend = 'anchored';
  readonly path: string;
  readonly #device: number;
  /** Whether a chmod that succeeds has set the mode, on the root's file system. */
  readonly #keepsModes: boolean;
  readonly #mountPoints: Set<string>;
  /** The root, then each directory down to where the work is. */
  readonly #chain: [OpenDirectory, ...OpenDirectory[]];
  readonly #workingDirectory: WorkingDirectory | undefined;
  /** Whether entries were looked at since the last listing: going to a directory pays where more than one is. */
  #isLooking = false;

  constructor(path: string, directory: OpenDirectory, workingDirectory?: WorkingDirectory) {
    this.path = path;
    this.#device = directory.stats.dev;
    this.#chain = [directory];
    this.#workingDirectory = workingDirectory;
    this.#keepsModes = fileSystemsThatKeepModes.has(statfsSync(descriptorPath(directory.fd)).type);
    this.#mountPoints = mountPointsBelow(path);
  }

  list(directory: string, most?: number): ListedEntry[] {
    try {
      const open = this.#open(directory);
      if (this.#isLooking) this.#workingDirectory?.goTo(open);
      this.#isLooking = false;
      return listDirectory(this.#workingDirectory?.isAt(open) ? '.' : descriptorPath(open.fd), most);
    } catch (error) {
      throw renamed(error, directory);
    }
  }

  lstat(path: string): Stats | undefined {
    try {
      if (path === '.') return fstatSync(this.#chain[0].fd);
      return lstatSync(this.#name(path), { throwIfNoEntry: false });
    } catch (error) {
      throw renamed(error, path);
    }
  }

  enter(directory: string): Stats {
    try {
      const isOpen = isWithin(directory, this.#current.path);
      const { fd, stats } = this.#open(directory);
      // What is opened only now is looked at only now.
      return isOpen ? fstatSync(fd) : stats;
    } catch (error) {
      throw renamed(error, directory);
    }
  }

  readlink(path: string): string {
    try {
      return decodeName(readlinkSync(this.#name(path), { encoding: 'buffer' }));
    } catch (error) {
      throw renamed(error, path);
    }
  }

  read(path: string, maxBytes: number): Uint8Array {
    try {
      const fd = openSync(this.#name(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        return readStart(fd, maxBytes);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw renamed(error, path);
    }
  }

  sync(path: string): void {
    try {
      const stats = this.lstat(path);
      if (stats?.isFile() || stats?.isDirectory()) syncEntry(path === '.' ? this.#self() : this.#name(path));
    } catch (error) {
      throw renamed(error, path);
    }
  }

  chmod(path: string, decide: (found: Stats) => number | undefined): ChmodResult {
    const current = this.#current;
    const isOpen = current.path === path;
    let fd = -1;
    try {
      fd = isOpen ? current.fd : path === '.' ? this.#chain[0].fd : openSync(this.#name(path), OPEN_ENTRY);
      const before = fstatSync(fd);
      const mode = decide(before);
      if (mode === undefined) return { before, after: undefined };
      chmodSync(descriptorPath(fd), mode);
      const isKept = this.#keepsModes && before.dev === this.#device && (mode & SPECIAL_BITS) === 0;
      return { before, after: isKept ? mode : modeAfterChange(fd) };
    } catch (error) {
      throw renamed(error, path);
    } finally {
      if (!isOpen && path !== '.' && fd !== -1) closeSync(fd);
    }
  }

  rewind(): void {
    for (const directory of this.#chain.splice(1)) if (directory.fd !== -1) closeSync(directory.fd);
  }

  isMountPoint(path: string, found: Stats): boolean {
    return found.dev !== this.#device || (this.#mountPoints.size > 0 && this.#mountPoints.has(path));
  }

  close(): void {
    this.rewind();
    closeSync(this.#chain[0].fd);
    this.#workingDirectory?.close();
  }

  /** The root itself, as an entry of its own directory: its descriptor is good for paths only. */
  #self(): string {
    return `${descriptorPath(this.#chain[0].fd)}/.`;
  }

  get #current(): OpenDirectory {
    return this.#chain.at(-1) ?? this.#chain[0];
  }

  /** What the system calls take for an entry: its open parent, and its name. */
  #name(path: string): string | Buffer {
    const current = this.#current;
    const directory = isEntryOf(current.path, path) ? current : this.#open(parentOf(path));
    this.#isLooking = true;
    this.#workingDirectory?.goTo(directory);
    return this.#entry(directory, nameOf(path));
  }

  #entry(directory: OpenDirectory, name: string): string | Buffer {
    const isThere = this.#workingDirectory?.isAt(directory) === true;
    return isThere ? encodeName(entryName(name)) : entryPath(directory.fd, name);
  }

  /** Move the chain to a directory: up to what both have in common, then down. */
  #open(directory: string): OpenDirectory {
    while (!isWithin(this.#current.path, directory)) this.#leave();
    let current = this.#current;
    if (current.path === directory) return current;
    const rest = current.path === '.' ? directory : directory.slice(current.path.length + 1);
    for (const name of rest.split('/')) {
      current = openDirectory(this.#entry(current, name), joinPath(current.path, name));
      this.#chain.push(current);
      this.#spare();
    }
    return current;
  }

  /**
   * Close the last directory of the chain. Where its parent was closed it is opened again by `..`; where that is not
   * the same any more the chain begins anew at the root, for what is asked for next may lie elsewhere.
   */
  #leave(): void {
    const last = this.#chain.pop() as OpenDirectory;
    const current = this.#current;
    if (current.fd === -1) {
      const fd = openParent(last.fd, current.stats);
      if (fd === undefined) this.rewind();
      else current.fd = fd;
    }
    closeSync(last.fd);
  }

  /** Keep the number of open descriptors bounded, however deep the tree. */
  #spare(): void {
    const spared = this.#chain[this.#chain.length - MAX_OPEN_DIRECTORIES];
    if (spared === undefined || spared === this.#chain[0] || spared.fd === -1) return;
    closeSync(spared.fd);
    spared.fd = -1;
  }
}

/** Open a real path as an anchored root, or `undefined` where the kernel does not give what it takes. */
export function openAnchoredRoot(realPath: string, { lendsWorkingDirectory = false } = {}): Root | undefined {
  if (!findOwnDescriptors()) return undefined;
  const directory = openRealPath(realPath);
  return (
    directory && hold(realPath, directory, lendsWorkingDirectory ? WorkingDirectory.borrow() : undefined)
  );
}

/** Hold a directory by its descriptor, or `undefined` where the kernel does not give what it takes. */
export function holdAnchored(path: string): HeldDirectory | undefined {
  if (!findOwnDescriptors()) return undefined;
  const fd = openSync(path, OPEN_DIRECTORY);
  if (!isReachable(fd)) {
    closeSync(fd);
    return undefined;
  }
  return {
    path,
    inside: (name) => `${descriptorPath(fd)}/${name}`,
    stats: () => fstatSync(fd),
    openRoot: (name) => hold(`${path}/${name}`, openDirectory(entryPath(fd, name), '.')),
    close: () => closeSync(fd),
  };
}

/** The root of an open directory, or its descriptor closed. */
function hold(path: string, directory: OpenDirectory, workingDirectory?: WorkingDirectory): Root {
  try {
    return new AnchoredRoot(path, directory, workingDirectory);
  } catch (error) {
    workingDirectory?.close();
    closeSync(directory.fd);
    throw error;
  }
}
