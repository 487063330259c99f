import type { OpenFile } from '../directory.ts';
import type { EntryStats } from '../entry-stats.ts';
import { DescribedFile } from '../file.ts';
import { ITSELF, type Kernel } from './kernel.ts';

/** A regular file that is read by libc; what fails is done again by node:fs. */
class NativeFile extends DescribedFile {
  readonly #kernel: Kernel;

  constructor(fd: number, stats: EntryStats, kernel: Kernel) {
    super(fd, stats);
    this.#kernel = kernel;
  }

  override now(): EntryStats {
    return this.#kernel.look(this.fd, ITSELF) ?? super.now();
  }

  override readInto(bytes: Uint8Array, maxBytes: number, position: number): number {
    return this.#kernel.read(this.fd, bytes, maxBytes, position) ?? super.readInto(bytes, maxBytes, position);
  }

  override close(): void {
    this.#kernel.close(this.fd);
  }
}

/**
 * Open a regular file; `undefined` for anything else, and where a call fails. It is looked at through a descriptor that opens
 * nothing, and opened through that: it is the very inode that was looked at, whatever bears the name by now.
 */
export function openNativeFile(kernel: Kernel, fd: number, name: string): OpenFile | undefined {
  const entry = kernel.hold(fd, name);
  if (entry === undefined) return undefined;
  try {
    const stats = kernel.look(entry, ITSELF);
    if (stats?.type !== 'file') return undefined;
    const opened = kernel.reopen(entry);
    return opened === undefined ? undefined : new NativeFile(opened, stats, kernel);
  } finally {
    kernel.close(entry);
  }
}
