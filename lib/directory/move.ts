import { type Directory, type RenameKind, SELF } from './directory.ts';
import { errorCode, systemError } from './errors.ts';
import { isWindows } from './platform.ts';

const OWNER_WRITE = 0o200;

/**
 * Rename an entry into another directory. Moving a directory changes its `..`, so its owner needs w on it (rename(2), EACCES): a
 * directory without w gets it for that moment. The mode is changed by descriptor, and restored on the directory that was moved,
 * whatever has its name by then.
 *
 * On Windows nothing is ever replaced: a directory would replace a file, and for a directory in the way Windows reports the error of
 * one in use. So the new name is checked right before.
 *
 * @param kind what to do if the new name is taken
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
