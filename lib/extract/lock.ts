import type { Directory } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode } from '../directory/errors.ts';
import { isWindows } from '../directory/platform.ts';

const OWNER_WRITE = 0o200;
/** Name of an entry that notes the mode and the inode of a directory that is given w to move it. */
const LOCK_NAME = /^lock-([0-7]+)-(\d+)$/;

/**
 * Note in a staging directory that a directory has to be given w to move it (see `move`): a process that is killed before it has
 * its mode back leaves the note.
 */
export function noteLocked(staging: Directory, { type, mode, ino }: EntryStats): void {
  if (isWindows || type !== 'directory' || (mode & OWNER_WRITE) !== 0) return;
  try {
    staging.makeDirectory(`lock-${mode.toString(8)}-${ino}`, 0o700);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/** Give directories that a dead process had given w to move them their modes back, where they lie in the parent by now. */
export function lockAgain(staging: Directory, parent: Directory): void {
  const modes = new Map<string, number>();
  const notes = staging.list();
  while (notes.next()) {
    const [, mode, ino] = LOCK_NAME.exec(notes.name) ?? [];
    if (mode !== undefined && ino !== undefined) modes.set(ino, Number.parseInt(mode, 8));
  }
  if (modes.size === 0) return;
  const modeOf = (found: EntryStats | undefined) => {
    const mode = found?.type === 'directory' ? modes.get(`${found.ino}`) : undefined;
    return mode !== undefined && found?.mode === (mode | OWNER_WRITE) ? mode : undefined;
  };
  const listing = parent.list();
  while (listing.next()) {
    const { name, type } = listing;
    if (type === 'directory' && modeOf(parent.lstat(name)) !== undefined) parent.chmod(name, modeOf);
  }
}
