import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fs } from '../directory/fs.ts';
import { isWindows } from '../directory/platform.ts';

const ALL = 0o777;

/**
 * The umask of this process, `0` to `0o777`, without changing it.
 *
 * Linux gives it in `/proc/self/status` (proc(5), since 4.7). Elsewhere, a test directory is made in a private one in the folder for
 * temporary files: the mode of the test directory lacks the bits of the umask (mkdir(2)). `process.umask()` is the last resort: it sets the umask to 0 for a
 * moment, in which other threads may create files.
 *
 * @param statusFile where to read it
 * @param folder where to make a directory
 */
export function processUmask(statusFile = '/proc/self/status', folder = tmpdir()): number {
  const digits = /^Umask:\s*([0-7]+)$/m.exec(readIfPossible(statusFile))?.[1];
  if (digits !== undefined) return Number.parseInt(digits, 8);
  return (isWindows ? undefined : umaskByMaking(folder)) ?? process.umask();
}

function umaskByMaking(folder: string): number | undefined {
  const made: string[] = [];
  try {
    made.push(fs.mkdtempSync(join(folder, 'permwalk-')));
    const inside = join(made[0] as string, 'umask');
    fs.mkdirSync(inside, ALL);
    made.push(inside);
    return ALL & ~fs.lstatSync(inside).mode;
  } catch {
    return undefined;
  } finally {
    // Even if the umask takes w and x from the owner, an empty directory can be removed.
    for (const path of made.reverse()) fs.rmdirSync(path);
  }
}

function readIfPossible(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
