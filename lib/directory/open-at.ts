import { errorCode, symlinkInPath } from './errors.ts';
import { constants, fs } from './fs.ts';
import { O_PATH } from './proc.ts';
import { lstatEntry, type SystemPath } from './read.ts';

/** To name an entry, and open nothing. */
export const OPEN_ENTRY = O_PATH | constants.O_NOFOLLOW;
/** The same for a directory. */
export const OPEN_DIRECTORY = OPEN_ENTRY | constants.O_DIRECTORY;

/** Open a directory. Throws {@link UnsafePathError} for a link. */
export function openDirectoryAt(entry: SystemPath, name: string): number {
  try {
    return fs.openSync(entry, OPEN_DIRECTORY);
  } catch (error) {
    // O_DIRECTORY|O_NOFOLLOW answers ENOTDIR for links and files alike.
    const code = errorCode(error);
    if ((code === 'ENOTDIR' || code === 'ELOOP') && lstatEntry(entry)?.type === 'symlink') {
      throw symlinkInPath(name);
    }
    throw error;
  }
}
