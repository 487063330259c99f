import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** One entry of a tree, as it was archived. The first one of a list is the root, `.`. */
export interface TreeEntry {
  path: string;
  type: 'file' | 'directory' | 'link';
  /** Permission bits. */
  mode: number;
  size: number;
  /** Text of a link. */
  target?: string;
}

/** Everything below a directory, the directory first, each directory's names in order: the harness's own walker. */
export function listTree(root: string): TreeEntry[] {
  const entries: TreeEntry[] = [];
  const visit = (path: string): void => {
    const full = path === '.' ? root : join(root, path);
    const stats = lstatSync(full);
    const mode = stats.mode & 0o7777;
    if (stats.isSymbolicLink()) {
      entries.push({ path, type: 'link', mode, size: stats.size, target: readlinkSync(full) });
    } else if (stats.isDirectory()) {
      entries.push({ path, type: 'directory', mode, size: 0 });
      for (const name of readdirSync(full).sort()) visit(path === '.' ? name : `${path}/${name}`);
    } else if (stats.isFile()) {
      entries.push({ path, type: 'file', mode, size: stats.size });
    }
  };
  visit('.');
  return entries;
}

/** What a tree is made of, for the results. */
export interface TreeFacts {
  entries: number;
  directories: number;
  files: number;
  links: number;
  /** Links whose target, taken literally, is not in the tree. */
  dangling: number;
  executables: number;
}

/** Count what a tree is made of. */
export function factsOf(entries: readonly TreeEntry[]): TreeFacts {
  const paths = new Set(entries.map(({ path }) => path));
  const facts = { entries: entries.length, directories: 0, files: 0, links: 0, dangling: 0, executables: 0 };
  for (const entry of entries) {
    if (entry.type === 'directory') facts.directories += 1;
    else if (entry.type === 'link') {
      facts.links += 1;
      if (!paths.has(targetPath(entry))) facts.dangling += 1;
    } else {
      facts.files += 1;
      if ((entry.mode & 0o111) !== 0) facts.executables += 1;
    }
  }
  return facts;
}

/** Path below the root that a link names, where it names one; links in between are not resolved. */
function targetPath({ path, target = '' }: TreeEntry): string {
  if (target.startsWith('/')) return target;
  const parts = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
