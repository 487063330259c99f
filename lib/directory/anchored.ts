import { type Anchor, anchorOf } from './anchor.ts';
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
import { notRegular, openFile } from './file.ts';
import { constants, fs } from './fs.ts';
import { decodeName, encodeName } from './names.ts';
import { OPEN_DIRECTORY, OPEN_ENTRY, openDirectoryAt } from './open-at.ts';
import { descriptorPath, findOwnDescriptors, isReachable, mountOf } from './proc.ts';
import {
  fstatEntry,
  listDirectory,
  lstatEntry,
  modeAfterChange,
  type SystemPath,
  syncOpened,
  unlinkEntry,
} from './read.ts';
import { connectTo, isSocketAt, listenOn, touchAt } from './socket.ts';
import type { WorkingDirectory } from './working-directory.ts';

/**
 * A directory by its descriptor (Linux): each entry is named `/proc/<this process>/fd/<descriptor>/<name>`. No path is resolved
 * from `/` again, so nothing that is renamed, replaced or linked can lead outside.
 */
export abstract class AnchoredDirectory implements Directory {
  readonly opened: EntryStats;
  protected readonly fd: number;
  protected readonly anchor: Anchor;
  #prefixOnce: string | undefined;
  /** Looks at entries so far. */
  #looks = 0;

  constructor(fd: number, opened: EntryStats, anchor: Anchor) {
    this.fd = fd;
    this.opened = opened;
    this.anchor = anchor;
  }

  abstract get backend(): Directory['backend'];

  abstract get renames(): ReadonlySet<RenameKind>;

  stats(): EntryStats {
    return fstatEntry(this.fd);
  }

  list(most?: number): Listing {
    const anchor = this.anchor;
    const { workingDirectory } = anchor;
    if (anchor.isLooking) workingDirectory?.goTo(this.fd);
    anchor.isLooking = false;
    const isThere = workingDirectory?.isAt(this.fd) === true;
    return listDirectory(isThere ? SELF : this.#prefix, this, most);
  }

  lstat(name: string): EntryStats | undefined {
    return lstatEntry(this.#named(name));
  }

  readlink(name: string): string {
    return decodeName(fs.readlinkSync(this.#named(name), { encoding: 'buffer' }));
  }

  openDirectory(name: string): Directory {
    return this.#adopt(openDirectoryAt(this.#named(name), name));
  }

  openRoot(name: string): Directory {
    const fd = openDirectoryAt(this.#named(name), name);
    try {
      return this.sibling(fd, keptStats(fstatEntry(fd)), anchorOf(fd));
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  openParent(known: Directory): Directory | undefined {
    let parent: Directory | undefined;
    try {
      parent = this.#adopt(fs.openSync(`${this.#prefix}..`, OPEN_DIRECTORY));
    } catch {
      return undefined;
    }
    if (isSameEntry(parent.opened, known.opened)) return parent;
    parent.close();
    return undefined;
  }

  open(name: string): OpenFile {
    const entry = fs.openSync(this.#named(name), OPEN_ENTRY);
    try {
      const found = fstatEntry(entry);
      if (found.type !== 'file') throw notRegular(name);
      // Through the descriptor it is the very inode that was looked at, whatever bears the name by now.
      const fd = fs.openSync(descriptorPath(entry), constants.O_RDONLY | constants.O_NONBLOCK);
      return openFile(fd, name, found);
    } finally {
      fs.closeSync(entry);
    }
  }

  chmod(name: string, decide: (found: EntryStats) => number | undefined): ChmodResult {
    const fd = name === SELF ? this.fd : fs.openSync(this.#named(name), OPEN_ENTRY);
    try {
      const { before, mode } = decideOn(fstatEntry(fd), () => fstatEntry(fd), decide);
      if (mode === undefined) return { before, after: undefined };
      fs.chmodSync(descriptorPath(fd), mode);
      return { before, after: this.keeps(before, mode) ? mode : modeAfterChange(fd) };
    } finally {
      if (fd !== this.fd) fs.closeSync(fd);
    }
  }

  abstract isMountPoint(name: string, found: EntryStats): boolean;

  /** Whether an entry is on another mount than the root, as `/proc` tells. */
  protected isOnOtherMount(name: string): boolean {
    const own = this.anchor.mounts?.own;
    if (name === SELF) return mountOf(this.fd) !== own;
    const fd = fs.openSync(this.#named(name), OPEN_ENTRY);
    try {
      return mountOf(fd) !== own;
    } finally {
      fs.closeSync(fd);
    }
  }

  sync(name: string): void {
    let fd: number;
    try {
      fd = fs.openSync(name === SELF ? `${this.#prefix}${SELF}` : this.#named(name), OPEN_ENTRY);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      throw error;
    }
    try {
      const { type } = fstatEntry(fd);
      if (type !== 'file' && type !== 'directory') return;
      const open = (access: number) => fs.openSync(descriptorPath(fd), access | constants.O_NONBLOCK);
      syncOpened(open, constants.O_RDONLY, constants.O_WRONLY);
    } finally {
      fs.closeSync(fd);
    }
  }

  makeDirectory(name: string, mode: number): void {
    fs.mkdirSync(this.#named(name), mode);
  }

  symlink(name: string, target: string): void {
    fs.symlinkSync(encodeName(target), this.#named(name));
  }

  rename(name: string, to: Directory, newName: string, kind: RenameKind = 'replace'): void {
    if (!this.renames.has(kind)) throw new RangeError(`rename: ${kind} is not possible here`);
    if (!(to instanceof AnchoredDirectory)) throw new TypeError('rename: both must be anchored directories');
    // The working directory can be one of both only.
    const from = encodeName(this.#prefix + entryName(name));
    fs.renameSync(from, encodeName(to.#prefix + entryName(newName)));
  }

  unlink(name: string): void {
    unlinkEntry(this.#named(name));
  }

  removeDirectory(name: string): void {
    fs.rmdirSync(this.#named(name));
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
    this.anchor.workingDirectory?.forget(this.fd);
    fs.closeSync(this.fd);
  }

  /** What an entry's name is put after; most directories are gone through without it. */
  get #prefix(): string {
    this.#prefixOnce ??= `${descriptorPath(this.fd)}/`;
    return this.#prefixOnce;
  }

  /** A directory that is held as this one is, mostly of the same tree. */
  protected abstract sibling(fd: number, opened: EntryStats, anchor?: Anchor): AnchoredDirectory;

  /** Whether a chmod to this mode that succeeds has set it. */
  protected keeps({ dev }: EntryStats, mode: number): boolean {
    return this.anchor.keepsModes && dev === this.anchor.dev && (mode & SPECIAL_BITS) === 0;
  }

  /** Take a descriptor, or close it. */
  #adopt(fd: number): AnchoredDirectory {
    try {
      return this.sibling(fd, keptStats(fstatEntry(fd)));
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  /** What the system calls take for an entry. */
  #named(name: string): SystemPath {
    const entry = entryName(name);
    const anchor = this.anchor;
    const { workingDirectory } = anchor;
    if (workingDirectory === undefined) return encodeName(this.#prefix + entry);
    anchor.isLooking = true;
    this.#looks += 1;
    if (this.#looks === 2) workingDirectory.goTo(this.fd);
    return encodeName(workingDirectory.isAt(this.fd) ? entry : this.#prefix + entry);
  }
}

/** Makes the root of a tree of an open descriptor. */
export type MakeAnchored = (fd: number, opened: EntryStats, anchor: Anchor) => AnchoredDirectory;

/**
 * Hold the directory of a real path, or `undefined` if the kernel lacks something that this needs. It is opened from `/` down,
 * one component at a time, so that no link is followed on the way.
 */
export function openAnchored(
  realPath: string,
  workingDirectory: WorkingDirectory | undefined,
  make: MakeAnchored,
): Directory | undefined {
  if (!findOwnDescriptors()) return undefined;
  let fd = fs.openSync('/', OPEN_DIRECTORY);
  try {
    // This `/proc` may be that of another process namespace.
    if (!isReachable(fd)) {
      fs.closeSync(fd);
      return undefined;
    }
    for (const name of realPath.split('/').filter(Boolean)) {
      const next = openDirectoryAt(encodeName(`${descriptorPath(fd)}/${name}`), name);
      fs.closeSync(fd);
      fd = next;
    }
    return make(fd, keptStats(fstatEntry(fd)), anchorOf(fd, workingDirectory));
  } catch (error) {
    fs.closeSync(fd);
    throw located(error, realPath);
  }
}
