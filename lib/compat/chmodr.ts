import { basename, dirname } from 'node:path';
import { absolutePath } from '../absolute.ts';
import { checkPath } from '../checks.ts';
import { errorCode } from '../directory/errors.ts';
import { openDirectory, openTree } from '../directory/open.ts';
import { applyAtOnce, runSettings } from '../pass/apply.ts';
import { loaded } from '../pass/loaded.ts';
import { quoted } from '../printable.ts';
import { resolveOptions, type Settings } from '../settings.ts';

void loaded;

/** Permissions, setuid, setgid and sticky; and with them what kind of file it is. */
const MODE_BITS = 0o7777;
const ALL_BITS = 0o177777;

/**
 * The function `chmodr` of chmodr 2: every file below a path gets this mode, every directory gets it with x where it has
 * r. If the path is a file, it gets the mode itself.
 *
 * On a tree without links the result is chmodr's. It never follows or changes a link; chmodr changes what a link leads to,
 * and fails on one that dangles. It never changes FIFOs, sockets and devices.
 *
 * @param path file or directory; a relative path is resolved when the call is made, a link once
 * @param mode 0 to 0o777, also as `stat.mode` has it (`0o100644`), or the same as octal digits in a string (`'644'`)
 * @throws TypeError if the mode is missing or anything else, before anything is changed
 * @throws RangeError for setuid, setgid or sticky bits and for `/`, ENOENT if the path does not exist
 * @throws UnresolvedEntriesError if something could not be changed, after everything else is done
 *
 * @example
 * import { chmodr } from 'permwalk/chmodr';
 *
 * await chmodr('tree', 0o644);
 */
export async function chmodr(path: string, mode: number | string): Promise<void> {
  const wanted = parseMode(mode);
  checkPath('path', path);
  const settings = resolveSettings(path, wanted);
  const root = absolutePath(path);
  try {
    await runSettings(root, settings, openTree);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw error;
    chmodFile(root, settings);
  }
}

/**
 * The same as {@link chmodr}, but synchronous: it throws what that rejects with. It retries nothing.
 *
 * @example
 * import { chmodrSync } from 'permwalk/chmodr';
 *
 * chmodrSync('tree', 0o644);
 */
export function chmodrSync(path: string, mode: number | string): void {
  const wanted = parseMode(mode);
  checkPath('path', path);
  const settings = resolveSettings(path, wanted);
  try {
    applyAtOnce(path, settings);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw error;
    chmodFile(path, settings);
  }
}

/** The mode as a number. A string is octal, as it is for `fs.chmod`. What kind of file it is of (`stat.mode`) is left out. */
function parseMode(mode: unknown): number {
  const isOctal = typeof mode === 'string' && /^[0-7]{1,6}$/.test(mode);
  const number = isOctal ? Number.parseInt(mode, 8) : mode;
  if (typeof number === 'number' && Number.isInteger(number)) {
    return number > MODE_BITS && number <= ALL_BITS ? number & MODE_BITS : number;
  }
  const got = typeof mode === 'string' ? quoted(mode) : typeof mode === 'object' ? 'an object' : String(mode);
  throw new TypeError(
    `mode: expected a number (0o644) or octal digits ('644'), got ${mode === null ? 'null' : got}`,
  );
}

/** Like chmodr, enter mount points and leave no special bits on directories. On Windows nothing has a mode. */
function resolveSettings(path: string, mode: number): Settings {
  const settings = resolveOptions(path, { mode, crossDevice: true });
  if (settings.modes === 'ignored') return settings;
  return { ...settings, modeRule: (_, isDirectory) => (isDirectory ? mode | ((mode & 0o444) >> 2) : mode) };
}

/** Change one file, through its directory. */
function chmodFile(path: string, { modeRule }: Settings): void {
  const directory = openDirectory(dirname(path));
  try {
    directory.chmod(basename(path), ({ type, mode }) => {
      const wanted = modeRule(mode, false, undefined, false);
      return type === 'file' && wanted !== mode ? wanted : undefined;
    });
  } finally {
    directory.close();
  }
}
