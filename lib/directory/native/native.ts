import type { Anchor } from '../anchor.ts';
import { AnchoredDirectory, openAnchored } from '../anchored.ts';
import { decideOn, SPECIAL_BITS } from '../decide.ts';
import {
  type ChmodResult,
  type Directory,
  entryName,
  type Listing,
  type OpenFile,
  type RenameKind,
  SELF,
  type Trust,
} from '../directory.ts';
import type { EntryStats } from '../entry-stats.ts';
import { systemError } from '../errors.ts';
import { isBun } from '../platform.ts';
import { fstatEntry, modeAfterChange } from '../read.ts';
import type { WorkingDirectory } from '../working-directory.ts';
import { openNativeFile } from './file.ts';
import { ITSELF, type Kernel } from './kernel.ts';
import type { ListedDirectory } from './listing.ts';
import { type NativeSource, runtimeSource } from './load.ts';
import { NativeStats } from './statx.ts';
import { NativeUse } from './use.ts';

const onlyReplace: ReadonlySet<RenameKind> = new Set<RenameKind>(['replace']);
const allRenames: ReadonlySet<RenameKind> = new Set<RenameKind>(['replace', 'no-replace', 'exchange']);

/** w for the group and for others. Where an access control list lets anybody else write, the group's bit says so. */
const WRITABLE_BY_OTHERS = 0o022;

type Decide = (found: EntryStats) => number | undefined;

/**
 * An anchored directory whose frequent operations are made by libc, once that is loaded. Whatever fails is done again by the anchored
 * way, which succeeds or throws node's own error: why a native call failed is never asked.
 */
class NativeDirectory extends AnchoredDirectory implements ListedDirectory {
  readonly #use: NativeUse;
  /** Whether its descriptor can be listed: it was opened for that, and was not listed yet. */
  #isFresh: boolean;
  /** What opened its descriptor, where that was not node:fs. */
  readonly #opener: Kernel | undefined;
  /** Whether only root or we can put anything in it. */
  #isOurs: boolean;

  /** @param opener the kernel that has just opened its descriptor, to list it; `undefined`: node:fs has opened it */
  constructor(fd: number, opened: EntryStats, anchor: Anchor, use: NativeUse, opener?: Kernel) {
    super(fd, opened, anchor);
    this.#use = use;
    this.#opener = opener;
    this.#isFresh = opener !== undefined;
    this.#isOurs = this.#isOursWith(opened.mode);
  }

  override get backend(): Directory['backend'] {
    return this.#use.kernel === undefined ? 'anchored' : 'native';
  }

  override get renames(): ReadonlySet<RenameKind> {
    this.#use.load();
    return this.#use.abilities.renames ? allRenames : onlyReplace;
  }

  override stats(): EntryStats {
    return this.#use.next()?.look(this.fd, ITSELF) ?? super.stats();
  }

  override list(most = Number.POSITIVE_INFINITY): Listing {
    // Bun's own listing of a start lists everything.
    const isAtOnce = isBun && most !== Number.POSITIVE_INFINITY;
    const kernel = isAtOnce ? this.#use.load() : this.#use.next();
    return (kernel && this.#list(kernel, most)) ?? super.list(most);
  }

  override lstat(name: string): EntryStats | undefined {
    return this.#use.next()?.look(this.fd, entryName(name)) ?? super.lstat(name);
  }

  override openDirectory(name: string): Directory {
    const kernel = this.#use.next();
    const fd = kernel?.openDirectory(this.fd, entryName(name));
    if (kernel === undefined || fd === undefined) return super.openDirectory(name);
    const opened = kernel.look(fd, ITSELF);
    if (opened !== undefined) return new NativeDirectory(fd, opened, this.anchor, this.#use, kernel);
    kernel.close(fd);
    return super.openDirectory(name);
  }

  override open(name: string): OpenFile {
    const kernel = this.#use.next();
    return (kernel && openNativeFile(kernel, this.fd, entryName(name))) ?? super.open(name);
  }

  override chmod(name: string, decide: Decide, trust: Trust = 'inode'): ChmodResult {
    const result = this.#chmod(name, decide, trust) ?? super.chmod(name, decide);
    if (name === SELF && result.after !== undefined) this.#isOurs = this.#isOursWith(result.after);
    return result;
  }

  isMountPoint(name: string, found: EntryStats): boolean {
    return this.isBeyond(found) ?? this.isOnOtherMount(name);
  }

  isBeyond(found: EntryStats): boolean | undefined {
    const { dev, isLayered, mounts } = this.anchor;
    const hasOtherDevice = found.dev !== dev;
    if (hasOtherDevice && !isLayered) return true;
    if (mounts === undefined || (!hasOtherDevice && mounts.roots?.has(found.ino) === false)) return false;
    if (!(found instanceof NativeStats) || found.mount === undefined) return undefined;
    return String(found.mount) !== mounts.own;
  }

  override rename(name: string, to: Directory, newName: string, kind: RenameKind = 'replace'): void {
    if (kind === 'replace' || !(to instanceof NativeDirectory) || !this.renames.has(kind)) {
      return super.rename(name, to, newName, kind);
    }
    if (this.#use.load()?.rename(this.fd, entryName(name), to.fd, entryName(newName), kind) === true) return;
    // Without its flag it would replace: what is there is looked at before anything else is done.
    if (this.lstat(name) === undefined) throw missing(name);
    const isThere = to.lstat(newName) !== undefined;
    if (kind === 'no-replace') {
      if (isThere) throw systemError('EEXIST', 'file already exists', 'rename', newName);
      return super.rename(name, to, newName);
    }
    if (!isThere) throw missing(newName);
    throw systemError('ENOTSUP', 'cannot be exchanged', 'rename', newName);
  }

  override close(): void {
    // Node notes what a worker opens and closes by node:fs, and closes the rest when the worker ends, whosever it is by then.
    if (this.#opener === undefined) return super.close();
    this.anchor.workingDirectory?.forget(this.fd);
    this.#opener.close(this.fd);
  }

  protected override sibling(fd: number, opened: EntryStats, anchor = this.anchor): AnchoredDirectory {
    return new NativeDirectory(fd, opened, anchor, this.#use);
  }

  #list(kernel: Kernel, most: number): Listing | undefined {
    if (this.#isFresh) {
      this.#isFresh = false;
      return kernel.list(this.fd, this.fd, this, most);
    }
    const fd = kernel.openDirectory(this.fd, SELF);
    if (fd === undefined) return undefined;
    try {
      return kernel.list(fd, this.fd, this, most);
    } finally {
      kernel.close(fd);
    }
  }

  /** `undefined` where a call failed. */
  #chmod(name: string, decide: Decide, trust: Trust): ChmodResult | undefined {
    const kernel = this.#use.next();
    if (kernel === undefined || !this.#use.abilities.setsModes) return undefined;
    if (name === SELF) return this.#chmodHeld(kernel, this.fd, decide);
    entryName(name);
    if (trust === 'name' && this.#isOurs && this.anchor.keepsModes) {
      const result = this.#chmodByName(kernel, name, decide);
      if (result !== 'by inode') return result;
    }
    const fd = kernel.hold(this.fd, name);
    if (fd === undefined) return undefined;
    try {
      return this.#chmodHeld(kernel, fd, decide);
    } finally {
      kernel.close(fd);
    }
  }

  /** The very inode that a descriptor holds. */
  #chmodHeld(kernel: Kernel, fd: number, decide: Decide): ChmodResult | undefined {
    const found = kernel.look(fd, ITSELF);
    if (found === undefined) return undefined;
    const look = () => kernel.look(fd, ITSELF) ?? fstatEntry(fd);
    const { before, mode } = decideOn(found, look, decide);
    if (mode === undefined) return { before, after: undefined };
    if (!kernel.setMode(fd, ITSELF, mode)) return undefined;
    const after = this.keeps(before, mode) ? mode : (kernel.look(fd, ITSELF)?.mode ?? modeAfterChange(fd));
    return { before, after };
  }

  /** What bears the name: nobody but root and we can have put anything else there since the look. */
  #chmodByName(kernel: Kernel, name: string, decide: Decide): ChmodResult | 'by inode' | undefined {
    const before = kernel.look(this.fd, name);
    if (before === undefined) return undefined;
    const mode = decide(before);
    if (mode === undefined) return { before, after: undefined };
    if (((mode | before.mode) & SPECIAL_BITS) !== 0 || !this.keeps(before, mode)) return 'by inode';
    return kernel.setMode(this.fd, name, mode) ? { before, after: mode } : undefined;
  }

  #isOursWith(mode: number): boolean {
    const { uid } = this.opened;
    return (mode & WRITABLE_BY_OTHERS) === 0 && (uid === 0 || uid === process.geteuid?.());
  }
}

function missing(name: string): Error {
  return systemError('ENOENT', 'no such file or directory', 'rename', name);
}

/** Hold the directory of a real path, natively once that pays; see {@link openAnchored}. */
export function openNative(
  realPath: string,
  workingDirectory?: WorkingDirectory,
  source: NativeSource = runtimeSource,
): Directory | undefined {
  const use = new NativeUse(source);
  const make = (fd: number, opened: EntryStats, anchor: Anchor) =>
    new NativeDirectory(fd, opened, anchor, use);
  return openAnchored(realPath, workingDirectory, make);
}
