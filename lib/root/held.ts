import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { holdAnchored } from './anchored.ts';
import { openUnlinkedRoot } from './open.ts';
import { type HeldDirectory, symlinkInPath } from './root.ts';

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
