import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Watch } from './attack.ts';

/** Longest time that an attack is given to fool a plain walk, and how often the walk is tried at least. */
const PATIENCE_MS = 60_000;

/** What everyone writes first: readdir, lstat, chmod. It skips links, and is fooled all the same. */
export function plainWalk(directory: string, mode = 0o755): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const stats = lstatSync(path);
    if (stats.isSymbolicLink()) continue;
    if (stats.isDirectory()) plainWalk(path, mode);
    else chmodSync(path, mode);
  }
}

/** The same with a look at how many links a file has, at all of them before the first is changed. */
export function plainWalkOfSingleLinks(directory: string): void {
  for (const path of singleLinksBelow(directory)) chmodSync(path, 0o755);
}

function singleLinksBelow(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const stats = lstatSync(path);
    if (stats.isDirectory()) return singleLinksBelow(path);
    return stats.isFile() && stats.nlink === 1 ? [path] : [];
  });
}

/** A walk that goes into each directory and back by `..`, as some do to have short names. */
export function changingWalk(directory: string): void {
  const before = process.cwd();
  try {
    process.chdir(directory);
    walkHere();
  } finally {
    process.chdir(before);
  }
}

function walkHere(): void {
  const entries = readdirSync('.', { withFileTypes: true });
  for (const entry of entries.filter((each) => each.isDirectory())) {
    process.chdir(entry.name);
    walkHere();
    process.chdir('..');
  }
  for (const entry of entries) if (entry.isFile()) chmodSync(entry.name, 0o755);
}

/**
 * Prove that an attack is one: it fools whoever is not prepared.
 *
 * @param walk what is fooled; that it stumbles over what is not there any more is the other thing that is wrong with it
 * @param isFooled whether it was
 */
export function mustFool(watch: Watch, walk: () => void, isFooled: () => boolean): void {
  const end = performance.now() + PATIENCE_MS;
  for (let walks = 1; performance.now() < end; walks += 1) {
    try {
      walk();
    } catch {
      // As above.
    }
    if (isFooled()) {
      watch.figure(`a plain walk is fooled at its try ${walks}`);
      return;
    }
  }
  watch.breach('the attack fools not even a plain walk');
}
