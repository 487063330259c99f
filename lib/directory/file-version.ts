import { fs } from './fs.ts';
import { encodeName } from './names.ts';

/**
 * What distinguishes a file from an earlier one at the same path: device, inode, size and times. `undefined` if it cannot be looked at.
 * A link is followed, because the reader of the file follows it, too.
 */
export function fileVersion(path: string): string | undefined {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = fs.statSync(encodeName(path), { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    // The reader of the file reports why it cannot be read.
    return undefined;
  }
}
