import { basename, dirname } from 'node:path';
import { absolutePath } from '../absolute.ts';
import { checkPath } from '../checks.ts';
import { errorCode } from '../directory/errors.ts';
import { openDirectory, openTree } from '../directory/open.ts';
import { applyAtOnce, runSettings } from '../pass/apply.ts';
import { quoted } from '../quote.ts';
import { resolveOptions, type Settings } from '../settings.ts';

/**
 * The function `chmodr` of chmodr 2: every file below a path gets this mode, every directory gets it with x where it has
 * r. If the path is a file, it gets the mode itself.
 *
 * On a tree without links the result is chmodr's. It never follows or changes a link; chmodr changes what a link leads to,
 * and fails on one that dangles. It never changes FIFOs, sockets and devices.
 *
 * @param mode 0 to 0o777, or the same as octal digits in a string (`'644'`)
 * @throws TypeError if the mode is missing or anything else, before anything is changed
 * @throws RangeError for setuid, setgid or sticky bits and for `/`, ENOENT if the path does not exist
 * @throws UnresolvedEntriesError if something could not be changed, after everything else is done
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
    chmodFile(root, wanted);
  }
}

/** As {@link chmodr}, but synchronous. It retries nothing. */
export function chmodrSync(path: string, mode: number | string): void {
  const wanted = parseMode(mode);
  checkPath('path', path);
  const settings = resolveSettings(path, wanted);
  try {
    applyAtOnce(path, settings);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw error;
    chmodFile(path, wanted);
  }
}

/** The mode as a number. A string is octal, as it is for `fs.chmod`. */
function parseMode(mode: unknown): number {
  if (typeof mode === 'number' && Number.isInteger(mode)) return mode;
  if (typeof mode === 'string' && /^[0-7]{1,4}$/.test(mode)) return Number.parseInt(mode, 8);
  const got = typeof mode === 'string' ? quoted(mode) : typeof mode === 'object' ? 'an object' : String(mode);
  throw new TypeError(
    `mode: expected a number (0o644) or octal digits ('644'), got ${mode === null ? 'null' : got}`,
  );
}

/** Like chmodr, enter mount points and leave no special bits on directories. */
function resolveSettings(path: string, mode: number): Settings {
  const settings = resolveOptions(path, { mode, crossDevice: true });
  return { ...settings, modeRule: (_, isDirectory) => (isDirectory ? mode | ((mode & 0o444) >> 2) : mode) };
}

/** Change one file, through its directory. */
function chmodFile(path: string, mode: number): void {
  const directory = openDirectory(dirname(path));
  try {
    directory.chmod(basename(path), ({ type }) => (type === 'file' ? mode : undefined));
  } finally {
    directory.close();
  }
}
