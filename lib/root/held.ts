import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { holdAnchored } from './anchored.ts';
import { openUnlinkedRoot } from './open.ts';
import { type Root, symlinkInPath } from './root.ts';

/**
 * A directory of ours in one that others may write to. Held by its descriptor where there is a genuine `/proc`: it stays
 * the one that was opened, whatever is put in the place of its name. Elsewhere it is held by its path.
 */
export interface HeldDirectory {
  /** Path that it was opened by. */
  readonly path: string;
  /** What the system calls take for an entry of it, or for itself. */
  inside(name: string): string;
  /** Facts of the directory itself. */
  stats(): Stats;
  /** Hold a directory in it open as a root. Throws {@link UnsafePathError} for a link. */
  openRoot(name: string): Root;
  /** Let go of it. */
  close(): void;
}

/** Hold a directory. Throws ENOENT, ENOTDIR, or {@link UnsafePathError} for a link. */
export function holdDirectory(path: string): HeldDirectory {
  if (lstatSync(path).isSymbolicLink()) throw symlinkInPath(path);
  return holdAnchored(path) ?? holdPath(path);
}

function holdPath(path: string): HeldDirectory {
  return {
    path,
    inside: (name) => join(path, name),
    stats: () => lstatSync(path),
    openRoot: (name) => openUnlinkedRoot(join(path, name)),
    close: () => undefined,
  };
}
