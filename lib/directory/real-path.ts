import { basename, dirname, join, resolve } from 'node:path';
import { errorCode, located, systemError } from './errors.ts';
import { fs } from './fs.ts';
import { decodeName, encodeName } from './names.ts';

/** As many links as Linux follows before it says ELOOP (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * The real path of what a caller names, in the spelling on disk: the one way in which permwalk resolves a path, so that two
 * spellings of one (APFS folds case and normalises) give the same.
 *
 * Some runtimes open what they resolve (Bun), which takes r on it; then its directory is resolved in its place.
 *
 * @throws what realpath(3) throws
 */
export function realPath(path: string): string {
  let at = resolve(path);
  for (let links = 0; links <= MAX_LINKS; links += 1) {
    try {
      return decodeName(fs.realpathSync.native(encodeName(at), { encoding: 'buffer' }));
    } catch (error) {
      if (errorCode(error) !== 'EACCES' || dirname(at) === at) throw located(error, at);
      const parent = realPath(dirname(at));
      const named = join(parent, basename(at));
      if (!fs.lstatSync(encodeName(named)).isSymbolicLink()) return named;
      at = resolve(parent, decodeName(fs.readlinkSync(encodeName(named), { encoding: 'buffer' })));
    }
  }
  throw systemError('ELOOP', 'too many symbolic links', 'realpath', path);
}
