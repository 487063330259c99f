import type { EntryStats } from '../directory/entry-stats.ts';
import { isWindows } from '../directory/platform.ts';

/** Whether an entry is this user's. On Windows nothing that is looked at says whose it is. */
export function isOwn({ uid }: EntryStats): boolean {
  return isWindows || uid === process.geteuid?.();
}

/** Whether it is this user's, and closed to everybody else, as staging directories are. */
export function isPrivate(found: EntryStats): boolean {
  return isOwn(found) && (isWindows || (found.mode & 0o077) === 0);
}
