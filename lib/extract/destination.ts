import { basename, dirname, join, parse, sep } from 'node:path';
import { checkPath } from '../checks.ts';
import type { Directory } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode, located } from '../directory/errors.ts';
import { foldingOf } from '../directory/folding.ts';
import { holdDirectory, leadsTo, makeParents } from '../directory/open.ts';
import { isWindows } from '../directory/platform.ts';
import { absolute, isFileSystemRoot, realPath } from '../directory/real-path.ts';
import { windowsFault } from '../directory/windows-names.ts';
import { quoted } from '../printable.ts';
import { notADirectory, parentSwapped } from './errors.ts';

/** Where a tree is extracted to: a name in its parent, which is held from the moment that the path is resolved. */
export class Destination {
  /** Real path, as it was resolved. */
  readonly path: string;
  readonly name: string;
  /** The directory that it lies in. */
  readonly parent: Directory;
  readonly parentPath: string;
  #holders = 1;

  constructor(path: string) {
    this.path = path;
    this.name = basename(path);
    this.parentPath = dirname(path);
    this.parent = holdDirectory(this.parentPath);
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

  /** Let go of the parent. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.parent.close();
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
  const real = realDestination(path);
  if (isFileSystemRoot(real)) {
    throw new RangeError('destination: is the root of the file system: name a directory below it');
  }
  const resolved = new Destination(real);
  try {
    const found = resolved.lstat();
    // It may also be a dangling link, or one that was put there just now: later steps decide about links.
    if (found !== undefined && found.type !== 'directory' && found.type !== 'symlink')
      throw notADirectory(path);
    return resolved;
  } catch (error) {
    resolved.release();
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
function realDestination(path: string): string {
  try {
    return realPath(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  if (isWindows) refuseName(path);
  makeParents(dirname(path));
  return join(realPath(dirname(path)), basename(path));
}
