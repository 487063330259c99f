import { dirname } from 'node:path';
import { own } from '../own.ts';
import { quoted } from '../printable.ts';
import { openChecked } from './checked.ts';
import type { Directory } from './directory.ts';
import { type Identity, isSameEntry, toExactStats } from './entry-stats.ts';
import { errorCode, located, systemError, UnsafePathError } from './errors.ts';
import { fs } from './fs.ts';
import { encodeName } from './names.ts';
import type { NativeSource } from './native/load.ts';
import { openNative } from './native/native.ts';
import { isFileSystemRoot, realPath } from './real-path.ts';
import { Tree } from './tree.ts';
import { WorkingDirectory } from './working-directory.ts';

/** How often others may remove what is being made. */
const MAX_TRIES = 8;

/** What a tree is opened with. */
export interface TreeUse {
  /**
   * The anchored backend may move the working directory of the process until the tree is closed, which makes it faster. For a
   * process that does nothing else: not every thread may, and every thread would see it.
   */
  readonly lendsWorkingDirectory?: boolean;
  /** Where native calls come from; the runtime's own where there are any. */
  readonly native?: NativeSource;
}

/** Opens a tree: {@link openTree}, or one backend of it. */
export type OpenTree = (path: string) => Tree;

/**
 * Hold a tree open. A root that is a link is resolved once, as chmod does with its arguments. The anchored backend serves wherever
 * `/proc` is genuine, natively where that is possible and pays, the checked one elsewhere.
 *
 * @throws ENOENT where nothing is there, ENOTDIR where it is not a directory, RangeError for `/`
 */
export function openTree(path: string, use: TreeUse = {}): Tree {
  const { lendsWorkingDirectory = false, native } = own(use);
  const realPath = realRootPath(path);
  const workingDirectory = lendsWorkingDirectory ? WorkingDirectory.borrow() : undefined;
  let root: Directory | undefined;
  try {
    root = openNative(realPath, workingDirectory, native);
  } finally {
    if (root === undefined) workingDirectory?.close();
  }
  return root === undefined
    ? treeOf(realPath, openChecked(realPath))
    : treeOf(realPath, root, workingDirectory);
}

/** The tree of a directory that is held, which goes with it. */
export function treeOf(path: string, root: Directory, workingDirectory?: WorkingDirectory): Tree {
  return new Tree(path, root, () => {
    root.close();
    workingDirectory?.close();
  });
}

/** Hold a directory that is named by the caller's wish: links on the way are resolved once. */
export function openDirectory(path: string): Directory {
  return holdDirectory(realRootPath(path));
}

/** Hold the directory of a real path, by the best way that there is. */
export function holdDirectory(realPath: string): Directory {
  return openNative(realPath) ?? openChecked(realPath);
}

/**
 * Hold a directory by its name in another one as a tree.
 *
 * @param path its real path
 * @param temporaryPath where it lies for the moment, if it is to be moved: links that lead there will dangle
 * @throws UnsafePathError for a link
 */
export function openTreeIn(directory: Directory, name: string, path: string, temporaryPath?: string): Tree {
  const root = directory.openRoot(name);
  return new Tree(path, root, () => root.close(), { temporaryPath });
}

/** Whether a real path still leads to a directory that is held, and through no link. */
export function leadsTo(realPath: string, directory: Directory): boolean {
  try {
    const found = holdDirectory(realPath);
    found.close();
    return isSameEntry(found.opened, directory.stats());
  } catch (error) {
    if (error instanceof UnsafePathError || ['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? ''))
      return false;
    throw error;
  }
}

/**
 * Make a directory that the caller names, and what is missing on the way to it.
 *
 * @param onMade called for each that was made, from above to below
 */
export function makeDirectories(path: string, onMade: (path: string, identity: Identity) => void): void {
  for (let tries = 1; ; tries += 1) {
    const missing: string[] = [];
    for (let at = path; !fs.existsSync(encodeName(at)) && dirname(at) !== at; at = dirname(at))
      missing.push(at);
    try {
      for (const each of missing.reverse()) makeDirectory(each, onMade);
      return;
    } catch (error) {
      // Another process has removed what lies above it.
      if (errorCode(error) !== 'ENOENT' || tries === MAX_TRIES) throw error;
    }
  }
}

function makeDirectory(path: string, onMade: (path: string, identity: Identity) => void): void {
  try {
    fs.mkdirSync(encodeName(path), { mode: 0o777 });
  } catch (error) {
    // Another process was faster.
    if (errorCode(error) === 'EEXIST') return;
    throw located(error, path);
  }
  onMade(path, toExactStats(fs.lstatSync(encodeName(path), { bigint: true })));
}

/** The directories that the real path of a file leads through, from the nearest to `/`. Throws ENOENT where there is none. */
export function directoriesAbove(path: string): Identity[] {
  const above: Identity[] = [];
  for (let at = realPath(path); dirname(at) !== at; ) {
    at = dirname(at);
    above.push(toExactStats(fs.statSync(encodeName(at), { bigint: true })));
  }
  return above;
}

/** Its error names the path as a harmless line. */
function realPathOf(path: string): string {
  try {
    return realPath(path);
  } catch (error) {
    throw located(error, path);
  }
}

/** Real path of a root that may be worked on; see {@link openTree}. */
export function realRootPath(path: string): string {
  const real = realPathOf(path);
  const stats = fs.statSync(encodeName(real), { bigint: true });
  if (!stats.isDirectory()) throw systemError('ENOTDIR', 'not a directory', 'open', real);
  // Another path may lead to `/`, too, as a bind mount does.
  if (isFileSystemRoot(real) || isSameEntry(stats, fs.statSync('/', { bigint: true }))) {
    throw new RangeError(`root ${quoted(path)} is the root of the file system: name a directory below it`);
  }
  return real;
}
