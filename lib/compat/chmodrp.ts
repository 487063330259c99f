import * as compat from './chmodr.ts';

/**
 * The function `chmodr` of chmodrp 1: every file below a path gets this mode, every directory gets it with x where it has r. If the
 * path is a file, it gets the mode itself.
 *
 * On a tree without links the result is chmodrp's. It never follows or changes a link; chmodrp changes what a link leads to, and fails
 * on one that dangles. A string is octal for directories, too, where chmodrp takes `'644'` for the decimal number. It never changes
 * FIFOs, sockets and devices.
 *
 * @param mode 0 to 0o777, or the same as octal digits in a string (`'644'`)
 * @throws TypeError if the mode is missing or anything else, before anything is changed
 * @throws RangeError for setuid, setgid or sticky bits and for `/`, ENOENT if the path does not exist
 * @throws UnresolvedEntriesError if something could not be changed, after everything else is done
 *
 * @example
 * import { chmodr } from 'permwalk/chmodrp';
 *
 * await chmodr('dist', 0o644);
 */
export async function chmodr(entryPath: string, mode: number | string): Promise<void> {
  return compat.chmodr(entryPath, mode);
}

/**
 * As {@link chmodr}, but synchronous. It retries nothing.
 *
 * @example
 * import { chmodrSync } from 'permwalk/chmodrp';
 *
 * chmodrSync('dist', '644');
 */
export function chmodrSync(entryPath: string, mode: number | string): void {
  compat.chmodrSync(entryPath, mode);
}
