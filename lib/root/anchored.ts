import { Buffer } from 'node:buffer';
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import type { HeldDirectory } from './held.ts';
import { decodeName, encodeName, isEntryOf, isWithin, joinPath, nameOf, parentOf } from './names.ts';
import { listDirectory, modeAfterChange, readStart, syncEntry } from './read.ts';
import {
  type ChmodResult,
  errorCode,
  isSameInode,
  type ListedEntry,
  type Root,
  renamed,
  symlinkInPath,
} from './root.ts';

/** Linux's O_PATH (open(2)), which `fs.constants` lacks. */
const O_PATH = 0o10000000;
const OPEN_ENTRY = O_PATH | constants.O_NOFOLLOW;
const OPEN_DIRECTORY = OPEN_ENTRY | constants.O_DIRECTORY;
/** f_type of procfs (statfs(2)). */
const PROC_SUPER_MAGIC = 0x9fa0;
/**
 * f_type (statfs(2)) of file systems on which a chmod that succeeds has set the mode: ext2 to ext4, XFS, Btrfs, tmpfs.
 * On any other, and where chmod(2) may drop a special bit, the mode is looked at again.
 */
const fileSystemsThatKeepModes: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994]);
const SPECIAL_BITS = 0o7000;
/** Directories held open: enough for most trees, few enough for a descriptor limit of 64. */
const MAX_OPEN_DIRECTORIES = 24;

/** One directory of the chain from the root to where the work is. */
interface OpenDirectory {
  readonly path: string;
  /** -1 while it is closed to save descriptors. */
  fd: number;
  /** Facts at the moment it was opened, to know it again. */
  readonly stats: Stats;
}

/** What the kernel resolves to the descriptor itself, without any path. */
function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** What the system calls take for an entry of an open directory. Throws for a name that leads out of it. */
function entryPath(directory: number, name: string): string | Buffer {
  return encodeName(`/proc/self/fd/${directory}/${entryName(name)}`);
}

/** A name that is an entry's. */
function entryName(name: string): string {
  if (name !== '..' && name !== '.' && name !== '') return name;
  throw new RangeError(`${JSON.stringify(name)} is no entry`);
}

/** Open a directory by what the system calls take for it; a link there is `symlink-in-path`. */
function openDirectory(entry: string | Buffer, path: string): OpenDirectory {
  let fd: number;
  try {
    fd = openSync(entry, OPEN_DIRECTORY);
  } catch (error) {
    // O_DIRECTORY|O_NOFOLLOW answers ENOTDIR for links and files alike.
    if (errorCode(error) === 'ENOTDIR' || errorCode(error) === 'ELOOP') {
      const there = lstatSync(entry, { throwIfNoEntry: false });
      if (there?.isSymbolicLink()) throw symlinkInPath(path);
    }
    throw error;
  }
  return adopt(fd, path);
}

/** Take a descriptor into the chain, or close it. */
function adopt(fd: number, path: string): OpenDirectory {
  try {
    return { path, fd, stats: fstatSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Open a directory's parent where that is still the one we know. */
function openParent(directory: number, known: Stats): number | undefined {
  let fd: number;
  try {
    fd = openSync(`${descriptorPath(directory)}/..`, OPEN_DIRECTORY);
  } catch {
    return undefined;
  }
  try {
    if (isSameInode(fstatSync(fd), known)) return fd;
  } catch {
    // What cannot be looked at is not the one we know.
  }
  closeSync(fd);
  return undefined;
}

/**
 * Open a real path from `/` down, one component at a time, so that no link is followed on the way. `undefined` where
 * `/proc` does not know this process: it may be that of another process namespace.
 */
function openRealPath(realPath: string): OpenDirectory | undefined {
  let fd = openSync('/', OPEN_DIRECTORY);
  try {
    if (!isReachable(fd)) {
      closeSync(fd);
      return undefined;
    }
    for (const name of realPath.split('/').filter(Boolean)) {
      const next = openSync(entryPath(fd, name), OPEN_DIRECTORY);
      closeSync(fd);
      fd = next;
    }
  } catch (error) {
    closeSync(fd);
    throw renamed(error, realPath);
  }
  return adopt(fd, '.');
}

/** `\040` and the like, as the kernel writes blanks in mountinfo (proc(5)). */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Paths below the root on which something is mounted, as they are when the pass begins. */
function mountPointsBelow(realPath: string): Set<string> {
  const below = new Set<string>();
  const prefix = `${realPath}/`;
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const field = line.split(' ')[4];
    if (field === undefined) continue;
    const mountPoint = decodeName(Buffer.from(unescapeMount(field), 'latin1'));
    if (mountPoint.startsWith(prefix)) below.add(mountPoint.slice(prefix.length));
  }
  return below;
}

/** True where `/proc` is procfs itself and not something that is mounted over it. */
function isProcGenuine(): boolean {
  try {
    return process.platform === 'linux' && statfsSync('/proc').type === PROC_SUPER_MAGIC;
  } catch {
    return false;
  }
}

/** True where a descriptor can be reached through `/proc`. */
function isReachable(fd: number): boolean {
  try {
    return isSameInode(statSync(descriptorPath(fd)), fstatSync(fd));
  } catch {
    return false;
  }
}

/**
 * The working directory of a process that lends it: entries are named from there, which takes the kernel half as long as
 * the way through `/proc`. It is a directory, not a path, as a descriptor is.
 */
class WorkingDirectory {
  static #isLent = false;
  /** Where the process was before. */
  readonly #before: number;
  #directory: OpenDirectory | undefined;

  /** Borrow it: `undefined` where another root has it, or where it cannot be held open meanwhile. */
  static borrow(): WorkingDirectory | undefined {
    if (WorkingDirectory.#isLent) return undefined;
    try {
      const before = openSync('.', O_PATH | constants.O_DIRECTORY);
      WorkingDirectory.#isLent = true;
      return new WorkingDirectory(before);
    } catch {
      return undefined;
    }
  }

  private constructor(before: number) {
    this.#before = before;
  }

  /** Whether it is this one. */
  isAt(directory: OpenDirectory): boolean {
    return this.#directory === directory;
  }

  /** Go to an open directory, where that is permitted: it takes x on the directory itself. */
  goTo(directory: OpenDirectory): void {
    if (this.#directory === directory) return;
    try {
      process.chdir(descriptorPath(directory.fd));
      this.#directory = directory;
    } catch {
      // Its entries are named by its descriptor.
    }
  }

  /** Give it back as it was. */
  close(): void {
    try {
      process.chdir(descriptorPath(this.#before));
    } catch {
      // The pass may have taken x from it: then there is no way back, and nothing is named from there.
    }
    closeSync(this.#before);
    WorkingDirectory.#isLent = false;
  }
}

/**
 * A root by descriptors (Linux). The root is opened once; from then on each directory is opened from the
 * descriptor of its parent, one component at a time, and each entry is named `/proc/self/fd/<parent>/<name>`. No
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
    const isOpen = current.path === path && current.fd !== -1;
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

  /** Close the last directory of the chain, after opening its parent again where that was closed. */
  #leave(): void {
    const last = this.#chain.pop() as OpenDirectory;
    try {
      if (this.#current.fd === -1) this.#reopen(this.#current, last.fd);
    } finally {
      closeSync(last.fd);
    }
  }

  /** Open a directory of the chain again: by its child's `..` where that is still the same, else from the root. */
  #reopen(directory: OpenDirectory, child: number): void {
    const fd = openParent(child, directory.stats);
    if (fd !== undefined) {
      directory.fd = fd;
      return;
    }
    const { path } = directory;
    this.rewind();
    this.#open(path);
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
  if (!isProcGenuine()) return undefined;
  const directory = openRealPath(realPath);
  return (
    directory && hold(realPath, directory, lendsWorkingDirectory ? WorkingDirectory.borrow() : undefined)
  );
}

/** Hold a directory by its descriptor, or `undefined` where the kernel does not give what it takes. */
export function holdAnchored(path: string): HeldDirectory | undefined {
  if (!isProcGenuine()) return undefined;
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
