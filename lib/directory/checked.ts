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
import { errorCode, located, swapped, systemError } from './errors.ts';
import { notRegular, openFile } from './file.ts';
import { constants, fs } from './fs.ts';
import { chmodUnreadable, lookAtDirectory } from './look.ts';
import { decodeName, encodeName, joinPath } from './names.ts';
import { isAnyRefused, noFollowFlag } from './no-follow.ts';
import { isWindows } from './platform.ts';
import {
  chmodOpened,
  fstatEntry,
  listDirectory,
  lstatEntry,
  type SystemPath,
  syncOpened,
  unlinkEntry,
} from './read.ts';
import { connectTo, isSocketAt, listenOn, touchAt } from './socket.ts';
import { syncWritable } from './sync-writable.ts';

const onlyReplace: ReadonlySet<RenameKind> = new Set<RenameKind>(['replace']);

/**
 * A directory by its checked path, for systems without `/proc` (macOS, BSD).
 *
 * When it is opened, every directory down to it is looked at with lstat; from then on it alone is: a path that still leads to the
 * same inode leads to the same directory, whatever lies above. A file is opened without following a link, must be the inode that
 * lstat saw, and is changed through its descriptor. So a replacement of the last component is refused; where the system has
 * O_NOFOLLOW_ANY (macOS), so is a link in any component of what is opened. Elsewhere a directory that is replaced by a link and
 * put back between two of these looks goes unnoticed, and so does the replacement of an entry that its owner may not read, which
 * has to be changed by name, and of what is made, renamed or removed. A FIFO or device that takes the place of a file between the
 * look and the opening is opened, without waiting for anybody, and closed again.
 */
class CheckedDirectory implements Directory {
  readonly backend = 'path';
  readonly renames = onlyReplace;
  readonly opened: EntryStats;
  readonly #path: string;
  readonly #name: string;
  readonly #parent: CheckedDirectory | undefined;
  /** True for the root of a tree, which may lie in a directory that is held, too. */
  readonly #isRoot: boolean;
  readonly #rootDevice: number | bigint;

  constructor(
    path: string,
    name: string,
    opened: EntryStats,
    parent: CheckedDirectory | undefined,
    isRoot = parent === undefined,
  ) {
    this.#path = path;
    this.#name = name;
    this.opened = opened;
    this.#parent = parent;
    this.#isRoot = isRoot;
    this.#rootDevice = parent === undefined || isRoot ? opened.dev : parent.#rootDevice;
  }

  stats(): EntryStats {
    return this.#verify();
  }

  list(most?: number): Listing {
    this.#refuseLinks(encodeName(this.#path));
    const listing = listDirectory(encodeName(this.#path), this, most);
    this.#verify();
    return listing;
  }

  lstat(name: string): EntryStats | undefined {
    return lstatEntry(this.#systemPath(name));
  }

  readlink(name: string): string {
    this.#refuseLinks(encodeName(this.#path));
    return decodeName(fs.readlinkSync(this.#systemPath(name), { encoding: 'buffer' }));
  }

  openDirectory(name: string): Directory {
    return this.#open(name, false);
  }

  openRoot(name: string): Directory {
    return this.#open(name, true);
  }

  openParent(known: Directory): Directory | undefined {
    try {
      if (known !== this.#parent) return undefined;
      this.#parent.#verify();
      return known;
    } catch {
      return undefined;
    }
  }

  open(name: string): OpenFile {
    const path = this.#systemPath(name);
    const seen = lstatEntry(path);
    if (seen === undefined) throw systemError('ENOENT', 'no such file or directory', 'open', name);
    if (seen.type !== 'file') throw notRegular(name);
    const file = openFile(this.#openEntry(path, constants.O_RDONLY), name);
    try {
      this.#verify();
      if (!isSameEntry(file.stats, seen)) throw swapped(name);
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  chmod(name: string, decide: (found: EntryStats) => number | undefined): ChmodResult {
    const path = name === SELF ? encodeName(this.#path) : this.#systemPath(name);
    this.#verify();
    const seen = lstatEntry(path);
    if (seen === undefined) throw systemError('ENOENT', 'no such file or directory', 'lstat', name);
    // Opening a FIFO or device would have effects, and a link must not be opened at all.
    if (seen.type !== 'file' && seen.type !== 'directory') {
      decide(seen);
      return { before: seen, after: undefined };
    }
    let fd: number;
    try {
      fd = this.#openEntry(path, constants.O_RDONLY);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EACCES') return chmodUnreadable(path, name, seen, decide, () => this.#verify());
      if (code === 'ELOOP') throw swapped(name);
      throw error;
    }
    try {
      const found = fstatEntry(fd);
      this.#verify();
      if (!isSameEntry(found, seen)) throw swapped(name);
      return chmodOpened(fd, found, decide);
    } finally {
      fs.closeSync(fd);
    }
  }

  isMountPoint(_name: string, found: EntryStats): boolean {
    return found.dev !== this.#rootDevice;
  }

  sync(name: string): void {
    const path = name === SELF ? encodeName(this.#path) : this.#systemPath(name);
    const found = lstatEntry(path);
    if (found?.type !== 'file' && found?.type !== 'directory') return;
    if (isWindows) {
      // Nothing there flushes a directory.
      if (found.type === 'file') syncWritable(path, name, found);
      return;
    }
    syncOpened((access) => this.#openEntry(path, access), constants.O_RDONLY, constants.O_WRONLY);
  }

  makeDirectory(name: string, mode: number): void {
    this.#verify();
    fs.mkdirSync(this.#systemPath(name), mode);
    this.#verify();
  }

  symlink(name: string, target: string): void {
    this.#verify();
    fs.symlinkSync(encodeName(target), this.#systemPath(name));
    this.#verify();
  }

  rename(name: string, to: Directory, newName: string, kind: RenameKind = 'replace'): void {
    if (!this.renames.has(kind)) throw new RangeError(`rename: ${kind} is not possible here`);
    if (!(to instanceof CheckedDirectory)) throw new TypeError('rename: both must be checked directories');
    this.#verify();
    to.#verify();
    fs.renameSync(this.#systemPath(name), to.#systemPath(newName));
    this.#verify();
    to.#verify();
  }

  unlink(name: string): void {
    this.#verify();
    unlinkEntry(this.#systemPath(name));
  }

  removeDirectory(name: string): void {
    this.#verify();
    fs.rmdirSync(this.#systemPath(name));
  }

  isSocket(name: string): boolean {
    return isSocketAt(this.#systemPath(name));
  }

  async listen(name: string): Promise<Listener> {
    this.#verify();
    return listenOn(this.#systemPath(name));
  }

  async connect(name: string): Promise<void> {
    this.#verify();
    return connectTo(this.#systemPath(name));
  }

  touch(name: string): void {
    this.#verify();
    touchAt(this.#systemPath(name));
  }

  close(): void {
    // A path holds nothing open.
  }

  #open(name: string, isRoot: boolean): Directory {
    const path = `${this.#path}/${entryName(name)}`;
    const found = lookAtDirectory(encodeName(path), name);
    this.#verifyAll();
    return new CheckedDirectory(path, name, keptStats(found), this, isRoot);
  }

  /** Open an entry. ELOOP may come of a directory on the way, too, which is named then. */
  #openEntry(path: SystemPath, access: number): number {
    try {
      return fs.openSync(path, access | constants.O_NONBLOCK | noFollowFlag());
    } catch (error) {
      if (errorCode(error) === 'ELOOP') this.#verifyAll();
      throw error;
    }
  }

  /** Where the system can: have it refuse a path that leads through a link, before a call that would follow one. */
  #refuseLinks(path: SystemPath): void {
    if (!isAnyRefused()) return;
    try {
      fs.closeSync(this.#openEntry(path, constants.O_RDONLY | constants.O_DIRECTORY));
    } catch (error) {
      // The flag does not make up for a missing r, which not every call takes.
      if (errorCode(error) !== 'EACCES') throw error;
      this.#verifyAll();
    }
  }

  #systemPath(name: string): SystemPath {
    return encodeName(`${this.#path}/${entryName(name)}`);
  }

  /** Its path below the root. */
  get #below(): string {
    return this.#parent === undefined || this.#isRoot ? SELF : joinPath(this.#parent.#below, this.#name);
  }

  /** Its facts. Throws unless its path still leads to the directory that was opened. */
  #verify(): EntryStats {
    try {
      const found = lookAtDirectory(encodeName(this.#path), this.#name);
      if (!isSameEntry(found, this.opened)) throw swapped(this.#name);
      return found;
    } catch (error) {
      throw located(error, this.#below);
    }
  }

  /** The same for every directory down to it, the root first. */
  #verifyAll(): void {
    const chain: CheckedDirectory[] = [];
    for (let at: CheckedDirectory | undefined = this; at !== undefined; at = at.#parent) chain.push(at);
    for (const directory of chain.reverse()) directory.#verify();
  }
}

/** Hold the directory of a real path by that path. */
export function openChecked(realPath: string): Directory {
  return new CheckedDirectory(realPath, SELF, lookAtDirectory(encodeName(realPath), SELF), undefined);
}
