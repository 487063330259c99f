import type { Directory } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode } from '../directory/errors.ts';
import { isWindows } from '../directory/platform.ts';

const OWNER_WRITE = 0o200;
/** Name of a note: the mode and the inode of a directory that gets w to be moved. */
const LOCK_NAME = /^lock-([0-7]+)-(\d+)$/;

/**
 * Note in a staging directory that another directory needs w to be moved (see `move`). If the process is killed before it has restored
 * the mode, the note stays, and the next call restores the mode.
 */
export function noteLocked(staging: Directory, { type, mode, ino }: EntryStats): void {
  if (isWindows || type !== 'directory' || (mode & OWNER_WRITE) !== 0) return;
  try {
    staging.makeDirectory(`lock-${mode.toString(8)}-${ino}`, 0o700);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/** Restore the modes of directories in the parent to which a dead process had given w. */
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
