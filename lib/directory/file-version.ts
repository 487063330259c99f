import { fs } from './fs.ts';
import { encodeName } from './names.ts';

/**
 * What tells a file from what had its path before: inode, size and times. `undefined` where nothing can be looked at; a link is
 * followed, as whoever reads the file follows it.
 */
export function fileVersion(path: string): string | undefined {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = fs.statSync(encodeName(path), { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    // Whoever reads it says why it cannot be read.
    return undefined;
  }
}
