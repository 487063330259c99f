import { type EntryStats, isSameEntry } from './entry-stats.ts';
import { swapped } from './errors.ts';
import { constants, fs } from './fs.ts';
import { fstatEntry, type SystemPath } from './read.ts';

const OWNER_WRITE = 0o200;

/**
 * fsync a file on Windows. Windows flushes only files that are open for writing, and does not open a read-only file for that. Extractors
 * make every entry without w read-only, so it becomes writable for that moment, by its descriptor.
 *
 * @param found its facts: what is opened must be it
 * @throws UnsafePathError where another one has taken its place
 */
export function syncWritable(path: SystemPath, name: string, found: EntryStats): void {
  if ((found.mode & OWNER_WRITE) !== 0) return withOpened(path, name, found, constants.O_RDWR, fs.fsyncSync);
  withOpened(path, name, found, constants.O_RDONLY, (reading) => {
    fs.fchmodSync(reading, found.mode | OWNER_WRITE);
    try {
      withOpened(path, name, found, constants.O_RDWR, fs.fsyncSync);
    } finally {
      fs.fchmodSync(reading, found.mode);
    }
  });
}

function withOpened(
  path: SystemPath,
  name: string,
  found: EntryStats,
  access: number,
  act: (fd: number) => void,
): void {
  const fd = fs.openSync(path, access);
  try {
    if (!isSameEntry(fstatEntry(fd), found)) throw swapped(name);
    act(fd);
  } finally {
    fs.closeSync(fd);
  }
}
