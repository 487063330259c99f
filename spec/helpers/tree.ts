import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  type Dirent,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  realpathSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A file's mode, or its mode and content; `-> target` is a link; a path that ends in `/` is a directory. */
export type TreeShape = Record<string, number | string | { mode?: number; content: string }>;

const made: string[] = [];

/** A new empty directory that is removed when the process ends. */
export function tempDirectory(parent = tmpdir()): string {
  const path = realpathSync(mkdtempSync(join(parent, 'permwalk-')));
  made.push(path);
  return path;
}

const MEMORY = '/dev/shm';

/** The same in memory where so many bytes of it can be had: for what is written by the ten thousand. */
export function memoryDirectory(bytes: number): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize > bytes) return tempDirectory(MEMORY);
  } catch {
    // Not every system has it.
  }
  return tempDirectory();
}

process.on('exit', () => {
  // rm works below PATH_MAX too, where node:fs gives up. Without root, closed directories must be opened first.
  const script = 'rm -rf "$@" 2>/dev/null || { chmod -R u+rwx "$@" 2>/dev/null; rm -rf "$@"; }';
  if (made.length > 0) execFileSync('sh', ['-c', script, 'sh', ...made]);
});

/** Make a tree in a new directory. Modes of directories are set last, so that they may be restrictive. */
export function makeTree(shape: TreeShape): string {
  const root = tempDirectory();
  chmodSync(root, 0o755);
  addToTree(root, shape);
  return root;
}

/** Make the entries of a shape below a directory. */
export function addToTree(root: string, shape: TreeShape): void {
  const directories: [string, number][] = [];
  for (const [path, what] of Object.entries(shape)) {
    const full = join(root, path);
    if (path.endsWith('/')) {
      mkdirSync(full, { recursive: true });
      if (typeof what === 'number') directories.push([full, what]);
      continue;
    }
    mkdirSync(dirname(full), { recursive: true });
    if (typeof what === 'string' && what.startsWith('-> ')) {
      symlinkSync(what.slice(3), full);
      continue;
    }
    const facts = typeof what === 'object' ? what : { content: typeof what === 'string' ? what : '' };
    writeFileSync(full, facts.content);
    chmodSync(full, typeof what === 'number' ? what : (facts.mode ?? 0o644));
  }
  for (const [full, mode] of directories.reverse()) chmodSync(full, mode);
}

/** Permission bits of one path, setuid, setgid and sticky included. */
export function modeOf(...path: string[]): number {
  return lstatSync(join(...path)).mode & 0o7777;
}

/** Everything below a directory, by path. What links lead to is not, as it is for some `readdir`s that recurse. */
export function entriesBelow(root: string, directory = ''): [path: string, entry: Dirent][] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    const below = entry.isDirectory() ? entriesBelow(root, path) : [];
    return [[path, entry], ...below];
  });
}

/** Mode of everything below a directory but links, by path. */
export function modesBelow(root: string): Record<string, string> {
  const modes: Record<string, string> = { '.': modeOf(root).toString(8) };
  for (const [path, entry] of entriesBelow(root)) {
    if (!entry.isSymbolicLink()) modes[path] = modeOf(root, path).toString(8);
  }
  return modes;
}

/** Add to a file. Not by `appendFileSync`: Deno's sets the mode, too. */
export function append(path: string, content: string): void {
  const fd = openSync(path, 'a');
  writeSync(fd, content);
  closeSync(fd);
}
