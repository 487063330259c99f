import { basename, dirname, join, parse, sep } from 'node:path';
import { checkPath } from '../checks.ts';
import type { Directory } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode, located, UnsafePathError } from '../directory/errors.ts';
import { foldingOf } from '../directory/folding.ts';
import { holdDirectory, leadsTo } from '../directory/open.ts';
import { isWindows } from '../directory/platform.ts';
import { absolute, isFileSystemRoot, realPath } from '../directory/real-path.ts';
import { windowsFault } from '../directory/windows-names.ts';
import { quoted } from '../printable.ts';
import { notADirectory, parentSwapped } from './errors.ts';
import { MadeParents } from './made-parents.ts';

/** How often others may remove the parent of a destination while it is resolved. */
const MAX_TRIES = 8;

/** Where a tree is extracted to: a name in its parent, which is held from the moment that the path is resolved. */
export class Destination {
  /** Real path, as it was resolved. */
  readonly path: string;
  readonly name: string;
  readonly parentPath: string;
  #parent: Directory;
  readonly #made: MadeParents;
  #holders = 1;

  /** @param made directories above it that were made for it */
  constructor(path: string, made = new MadeParents()) {
    this.path = path;
    this.name = basename(path);
    this.parentPath = dirname(path);
    this.#made = made;
    this.#parent = holdDirectory(this.parentPath);
  }

  /** The directory that it lies in. */
  get parent(): Directory {
    return this.#parent;
  }

  /**
   * Make the parent anew where another process has removed it before anything was in it: whoever had made it does so when nothing is
   * published there.
   */
  renew(): void {
    if (!this.#isParentGone()) return;
    this.#made.make(this.parentPath);
    if (realPath(this.parentPath) !== this.parentPath) throw parentSwapped(this.path);
    const renewed = holdDirectory(this.parentPath);
    this.#parent.close();
    this.#parent = renewed;
  }

  #isParentGone(): boolean {
    try {
      return this.#parent.stats().nlink === 0;
    } catch (error) {
      if (error instanceof UnsafePathError) throw parentSwapped(this.path);
      return errorCode(error) === 'ENOENT';
    }
  }

  /** Its facts; `undefined` where nothing is there. */
  lstat(): EntryStats | undefined {
    return this.act(() => this.parent.lstat(this.name));
  }

  /** True where something is mounted on it. */
  isMountPoint(found: EntryStats): boolean {
    return this.act(() => this.parent.isMountPoint(this.name, found));
  }

  /** Hold the tree there. Throws UnsafePathError for a link, ENOTDIR for a file. */
  openRoot(): Directory {
    return this.act(() => this.parent.openRoot(this.name));
  }

  /** The same for every spelling that is one name on disk: two extractions there must not run at once. */
  get turn(): string {
    const fold = foldingOf(this.parent);
    return fold === undefined ? this.path : `${this.parentPath}\0${fold(this.name)}`;
  }

  /** Throws unless the path still leads to the directory that is held. */
  verify(): void {
    if (!this.act(() => leadsTo(this.parentPath, this.parent))) throw parentSwapped(this.path);
  }

  /** Do something to its name; errors name its path. */
  act<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw located(error, this.path);
    }
  }

  /** Hold the parent until {@link release} is called once more. */
  retain(): void {
    this.#holders += 1;
  }

  /** Let go of the parent. Directories that were made for it, and are empty now, are removed. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.#parent.close();
    this.#made.remove();
  }
}

/**
 * Resolve a destination, once, and hold its parent; a missing parent is made. A link to a directory is resolved. Synchronous, so
 * that turns come in the order of calls.
 *
 * @throws TypeError or RangeError where it is no path, ENOTDIR where it exists and is not a directory
 */
export function resolveDestination(destination: unknown): Destination {
  checkPath('destination', destination);
  const path = absolute(destination);
  for (let tries = 1; ; tries += 1) {
    try {
      return resolveOnce(path);
    } catch (error) {
      // Another process may remove a parent that is empty: it had made it for nothing.
      if (errorCode(error) !== 'ENOENT' || tries === MAX_TRIES) throw error;
    }
  }
}

function resolveOnce(path: string): Destination {
  const made = new MadeParents();
  let resolved: Destination | undefined;
  try {
    const real = realDestination(path, made);
    if (isFileSystemRoot(real)) {
      throw new RangeError('destination: is the root of the file system: name a directory below it');
    }
    resolved = new Destination(real, made);
    const found = resolved.lstat();
    // It may also be a dangling link, or one that was put there just now: later steps decide about links.
    if (found !== undefined && found.type !== 'directory' && found.type !== 'symlink')
      throw notADirectory(path);
    return resolved;
  } catch (error) {
    if (resolved === undefined) made.remove();
    else resolved.release();
    throw error;
  }
}

/** What Windows would make another name of must not be made. */
function refuseName(path: string): void {
  const below = path.slice(parse(path).root.length).replaceAll(sep, '/');
  const fault = windowsFault(below);
  if (fault !== undefined) throw new RangeError(`destination: ${quoted(path)} ${fault}`);
}

/** What a path leads to. Where nothing is there, or another process has just moved it aside: its name in its real parent. */
function realDestination(path: string, made: MadeParents): string {
  try {
    return realPath(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  if (isWindows) refuseName(path);
  made.make(dirname(path));
  return join(realPath(dirname(path)), basename(path));
}
