import { basename, dirname, join, resolve } from 'node:path';
import { errorCode, located, systemError } from './errors.ts';
import { fs } from './fs.ts';
import { decodeName, encodeName } from './names.ts';
import { isWindows } from './platform.ts';

/** As many links as Linux follows before it says ELOOP (path_resolution(7)). */
const MAX_LINKS = 40;

/** A drive, or what comes before a share, behind the prefix of a path that Windows takes as it is written. */
const prefixed = /^\\\\[?.]\\(?:([A-Za-z]:)(?:\\|$)|UNC\\)/i;

/**
 * An absolute path as it is written without `\\?\`, which `dirname` and realpath do not understand at the roots of drives and shares.
 * Node puts the prefix before long paths by itself.
 */
export function absolute(path: string): string {
  const resolved = resolve(path);
  if (!isWindows) return resolved;
  return resolved.replace(prefixed, (_, drive?: string) => (drive === undefined ? '\\\\' : `${drive}\\`));
}

/** Whether a real path is the root of the file system, or on Windows that of a drive or of a share. */
export function isFileSystemRoot(path: string): boolean {
  return dirname(path) === path;
}

/**
 * The real path of what a caller names, in the spelling on disk: the one way in which permwalk resolves a path, so that two
 * spellings of one (APFS folds case and normalises) give the same.
 *
 * Some runtimes open what they resolve (Bun), which takes r on it; then its directory is resolved in its place.
 *
 * @throws what realpath(3) throws
 */
export function realPath(path: string): string {
  let at = absolute(path);
  for (let links = 0; links <= MAX_LINKS; links += 1) {
    try {
      return decodeName(fs.realpathSync.native(encodeName(at), { encoding: 'buffer' }));
    } catch (error) {
      if (errorCode(error) !== 'EACCES' || isFileSystemRoot(at)) throw located(error, at);
      const parent = realPath(dirname(at));
      const named = join(parent, basename(at));
      const target = linkTarget(named);
      if (target === undefined) return named;
      at = resolve(parent, target);
    }
  }
  throw systemError('ELOOP', 'too many symbolic links', 'realpath', path);
}

/** The text of a link; `undefined` for anything else. */
function linkTarget(path: string): string | undefined {
  try {
    if (!fs.lstatSync(encodeName(path)).isSymbolicLink()) return undefined;
    return decodeName(fs.readlinkSync(encodeName(path), { encoding: 'buffer' }));
  } catch (error) {
    throw located(error, path);
  }
}
