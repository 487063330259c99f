import { dirname, resolve } from 'node:path';
import { fs } from '../directory/fs.ts';

/** Directories above a path that are not there, the deepest first. */
export function missingParents(path: string): string[] {
  const missing: string[] = [];
  let above = dirname(resolve(path));
  // A drive may be missing, too, and has nothing above it.
  for (; !fs.existsSync(above) && dirname(above) !== above; above = dirname(above)) missing.push(above);
  return missing;
}

/** Remove directories that were made for nothing. What is in use, or gone, stays as it is. */
export function removeEmpty(directories: readonly string[]): void {
  for (const directory of directories) {
    try {
      fs.rmdirSync(directory);
    } catch {
      // What cannot be removed is not empty, or was removed by others; what lies above it is in use then, too.
      return;
    }
  }
}
