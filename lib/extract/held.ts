import { lstatSync } from 'node:fs';
import type { EntryStats } from '../directory/entry-stats.ts';
import { symlinkInPath } from '../directory/errors.ts';
import { holdDirectory as hold, treeOf } from '../directory/open.ts';
import type { Tree } from '../directory/tree.ts';

/** A directory of ours in one that others may write to. */
export interface HeldDirectory {
  /** Path that it was opened by. */
  readonly path: string;
  /** What the system calls take for an entry of it, or for itself. */
  inside(name: string): string;
  /** Facts of the directory itself. */
  stats(): EntryStats;
  /** Hold a directory in it open as a tree. Throws UnsafePathError for a link. */
  openTree(name: string): Tree;
  /** Let go of it. */
  close(): void;
}

/** Hold a directory. Throws ENOENT, ENOTDIR, or UnsafePathError for a link. */
export function holdDirectory(path: string): HeldDirectory {
  if (lstatSync(path).isSymbolicLink()) throw symlinkInPath(path);
  const directory = hold(path);
  return {
    path,
    inside: (name) => directory.systemPath(name),
    stats: () => directory.stats(),
    openTree: (name) => treeOf(`${path}/${name}`, directory.openDirectory(name)),
    close: () => directory.close(),
  };
}
