import { type Directory, type RenameKind, SELF } from './directory.ts';
import { errorCode, systemError } from './errors.ts';
import { isWindows } from './platform.ts';

const OWNER_WRITE = 0o200;

/**
 * Rename an entry into another directory. To move a directory changes its `..`, so that its owner needs w on it (rename(2),
 * EACCES): one that lacks it gets it for that moment. Its mode is changed by its descriptor, and put back on the one that was
 * moved, whatever has its name by then.
 *
 * On Windows nothing takes the place of anything: a directory would that of a file, and where a directory is in the way the error
 * is that of one that is in use. What bears the new name is looked at right before.
 *
 * @param kind what becomes of what bears the new name
 * @throws the system's error; then nothing has changed
 */
export function move(
  from: Directory,
  name: string,
  to: Directory,
  newName: string,
  kind: Exclude<RenameKind, 'exchange'> = 'replace',
): void {
  if (isWindows) return moveToFree(from, name, to, newName);
  try {
    from.rename(name, to, newName, kind);
    return;
  } catch (error) {
    const found = errorCode(error) === 'EACCES' ? from.lstat(name) : undefined;
    if (found?.type !== 'directory' || (found.mode & OWNER_WRITE) !== 0) throw error;
  }
  let directory = from.openDirectory(name);
  try {
    const { before } = directory.chmod(SELF, ({ mode }) => mode | OWNER_WRITE);
    const restore = () => directory.chmod(SELF, () => before.mode);
    try {
      from.rename(name, to, newName, kind);
    } catch (error) {
      restore();
      throw error;
    }
    if (directory.backend === 'path') directory = to.openDirectory(newName);
    restore();
  } finally {
    directory.close();
  }
}

/** Throws EEXIST where something bears the new name, whatever the system says of it. */
function moveToFree(from: Directory, name: string, to: Directory, newName: string): void {
  const refuseTaken = () => {
    if (to.lstat(newName) !== undefined)
      throw systemError('EEXIST', 'something is there already', 'rename', newName);
  };
  refuseTaken();
  try {
    from.rename(name, to, newName);
  } catch (error) {
    if (from.lstat(name) !== undefined) refuseTaken();
    throw error;
  }
}
