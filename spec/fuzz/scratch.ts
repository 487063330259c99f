import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory, in memory where that can be had: each input is a file. */
export function makeScratch(): string {
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'permwalk-fuzz-'));
  for (const name of ['corpus', 'scratch']) mkdirSync(join(directory, name));
  return directory;
}
