import { readFileSync } from 'node:fs';

/**
 * The umask of this process, `0` to `0o777`, without changing it where Linux says it in `/proc/self/status`
 * (proc(5), since 4.7). Elsewhere it is `process.umask()`, which is deprecated because it sets the umask for a
 * moment, in which other threads may create files.
 *
 * @param statusFile where to read it.
 * @throws what `process.umask()` throws.
 */
export function processUmask(statusFile = '/proc/self/status'): number {
  const digits = /^Umask:\s*([0-7]+)$/m.exec(readIfPossible(statusFile))?.[1];
  return digits === undefined ? process.umask() : Number.parseInt(digits, 8);
}

function readIfPossible(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
