import { decideOn } from './decide.ts';
import type { ChmodResult } from './directory.ts';
import { type EntryStats, isSameEntry } from './entry-stats.ts';
import { swapped, symlinkInPath, systemError } from './errors.ts';
import { fs } from './fs.ts';
import { lstatEntry, type SystemPath } from './read.ts';

/** Facts of a directory. Throws ENOENT, ENOTDIR, or `symlink-in-path` where a link stands in its place. */
export function lookAtDirectory(path: SystemPath, name: string): EntryStats {
  const found = lstatEntry(path);
  if (found === undefined) throw systemError('ENOENT', 'no such file or directory', 'lstat', name);
  if (found.type === 'directory') return found;
  if (found.type === 'symlink') throw symlinkInPath(name);
  throw systemError('ENOTDIR', 'not a directory', 'lstat', name);
}

/**
 * Change by name what its owner may not open, and make sure afterwards that nothing was replaced.
 *
 * @param verify throws unless the directory is still the one that is held
 */
export function chmodUnreadable(
  path: SystemPath,
  name: string,
  seen: EntryStats,
  decide: (found: EntryStats) => number | undefined,
  verify: () => void,
): ChmodResult {
  const lookAgain = () => {
    const found = lstatEntry(path);
    if (found === undefined || !isSameEntry(found, seen)) throw swapped(name);
    return found;
  };
  const { before, mode } = decideOn(seen, lookAgain, decide);
  if (mode === undefined) return { before, after: undefined };
  verify();
  fs.chmodSync(path, mode);
  const after = lookAgain();
  verify();
  return { before, after: after.mode };
}
