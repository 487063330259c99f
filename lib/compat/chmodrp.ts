import * as compat from './chmodr.ts';

/**
 * The function `chmodr` of chmodrp 1: every file below a path gets this mode, every directory gets it with x where it has r. If the
 * path is a file, it gets the mode itself.
 *
 * On a tree without links the result is chmodrp's. It never follows or changes a link; chmodrp changes what a link leads to, and fails
 * on one that dangles. A string is always octal; for directories, chmodrp takes `'644'` for a decimal number. It never changes FIFOs,
 * sockets and devices.
 *
 * @param entryPath file or directory; a relative path is resolved when the call is made, a link once
 * @param mode 0 to 0o777, also as `stat.mode` has it (`0o100644`), or the same as octal digits in a string (`'644'`)
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
 * The same as {@link chmodr}, but synchronous: it throws what that rejects with. It retries nothing.
 *
 * @example
 * import { chmodrSync } from 'permwalk/chmodrp';
 *
 * chmodrSync('dist', '644');
 */
export function chmodrSync(entryPath: string, mode: number | string): void {
  compat.chmodrSync(entryPath, mode);
}
