import { Buffer } from 'node:buffer';
import type { ChmodResult, OpenFile } from './directory.ts';
import type { EntryStats } from './entry-stats.ts';
import { systemError } from './errors.ts';
import { fs } from './fs.ts';
import { chmodOpened, fstatEntry } from './read.ts';

/** A regular file by its descriptor. */
export class DescribedFile implements OpenFile {
  readonly stats: EntryStats;
  protected readonly fd: number;

  constructor(fd: number, stats: EntryStats) {
    this.fd = fd;
    this.stats = stats;
  }

  now(): EntryStats {
    return fstatEntry(this.fd);
  }

  read(maxBytes: number, position = 0): Uint8Array {
    const bytes = Buffer.alloc(maxBytes);
    return bytes.subarray(0, fs.readSync(this.fd, bytes, 0, maxBytes, position));
  }

  readInto(bytes: Uint8Array, maxBytes: number, position: number): number {
    return fs.readSync(this.fd, bytes, 0, maxBytes, position);
  }

  chmod(decide: (found: EntryStats) => number | undefined): ChmodResult {
    return chmodOpened(this.fd, fstatEntry(this.fd), decide);
  }

  close(): void {
    fs.closeSync(this.fd);
  }
}

/**
 * A regular file that is open to be read. Takes the descriptor, and closes it where it is anything else (EINVAL).
 *
 * @param known its facts, where they were looked at
 */
export function openFile(fd: number, name: string, known?: EntryStats): OpenFile {
  try {
    const stats = known ?? fstatEntry(fd);
    if (stats.type !== 'file') throw notRegular(name);
    return new DescribedFile(fd, stats);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** What is not opened, for it is no regular file. */
export function notRegular(name: string): Error {
  return systemError('EINVAL', 'not a regular file', 'open', name);
}
