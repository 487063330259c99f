/**
 * Limit: the fewest calls by which Node looks at each entry of a tree without resolving a path twice: each directory is opened
 * by the descriptor of its parent, listed, and its entries are looked at from there. Nothing is checked, nothing is changed.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync } from 'node:fs';

/** Linux's O_PATH (open(2)), which `fs.constants` lacks. */
const O_PATH = 0o10000000;
const OPEN = O_PATH | constants.O_NOFOLLOW | constants.O_DIRECTORY;

function lookBelow(fd: number): void {
  const descriptor = `/proc/self/fd/${fd}`;
  process.chdir(descriptor);
  const entries = readdirSync('.', { withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isDirectory()) lstatSync(entry.name, { throwIfNoEntry: false });
  }
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const below = openSync(`${descriptor}/${entry.name}`, OPEN);
    fstatSync(below);
    lookBelow(below);
    closeSync(below);
  }
}

lookBelow(openSync(process.argv[2] ?? '', OPEN));
