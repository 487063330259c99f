import { realpathSync, type Stats, statSync } from 'node:fs';
import { openAnchoredRoot } from './anchored.ts';
import { decodeName, encodeName } from './names.ts';
import { openPathRoot } from './path.ts';
import { isSameInode, type Root, symlinkInPath } from './root.ts';

/**
 * Hold a tree open. A root that is a link is resolved once, as chmod does with its arguments. The anchored root
 * serves wherever `/proc` is genuine, the path root elsewhere.
 *
 * @param use `lendsWorkingDirectory`: the anchored root may move the working directory of the process until it is closed,
 *   which makes it faster. For a process that does nothing else: not every thread may, and every thread would see it.
 * @throws ENOENT where nothing is there, ENOTDIR where it is not a directory, RangeError for `/`.
 */
export function openRoot(path: string, use: { lendsWorkingDirectory?: boolean } = {}): Root {
  const realPath = realRootPath(path);
  return openAnchoredRoot(realPath, use) ?? openPathRoot(realPath);
}

/**
 * Hold a tree open whose path is a real path: a link in its place is refused, not resolved.
 *
 * @throws UnsafePathError for a link, and as {@link openRoot} does
 */
export function openUnlinkedRoot(path: string): Root {
  if (realRootPath(path) !== path) throw symlinkInPath(path);
  return openAnchoredRoot(path) ?? openPathRoot(path);
}

/** Real path of a root that may be worked on; see {@link openRoot}. */
export function realRootPath(path: string): string {
  const realPath = decodeName(realpathSync.native(encodeName(path), { encoding: 'buffer' }));
  const stats = statSync(encodeName(realPath));
  if (!stats.isDirectory()) throw notDirectory(realPath);
  if (isFileSystemRoot(stats)) {
    throw new RangeError(
      `root ${JSON.stringify(path)} is the root of the file system: name a directory below it`,
    );
  }
  return realPath;
}

/** True for `/`, and for another path that leads to it, as a bind mount does. */
function isFileSystemRoot(stats: Stats): boolean {
  return isSameInode(stats, statSync('/'));
}

function notDirectory(path: string): Error {
  const message = `ENOTDIR: not a directory, open ${JSON.stringify(path)}`;
  return Object.assign(new Error(message), { code: 'ENOTDIR', syscall: 'open', path });
}
