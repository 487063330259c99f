import { execFileSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { tempDirectory } from './tree.ts';

const AT_ONCE = 100;
const ready: string[] = [];

/** Make a FIFO with the mode 0644. One process makes a hundred of them; they are renamed to where they belong. */
export function makeFifo(path: string): void {
  if (ready.length === 0) {
    const directory = tempDirectory();
    for (let index = 0; index < AT_ONCE; index += 1) ready.push(join(directory, `${index}`));
    execFileSync('mkfifo', ['-m', '644', ...ready]);
  }
  renameSync(ready.pop() as string, path);
}
