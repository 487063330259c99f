import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { wrongType } from '../checks.ts';
import { ManifestError } from '../errors.ts';

/** The bytes of an archive, wherever they are. */
export interface Archive {
  /** The file, or `undefined` where the bytes are in memory. */
  readonly source: string | undefined;
  /** Size in bytes. */
  readonly size: number;
  /** The `length` bytes at `position`, all of which lie below `size`. */
  read(position: number, length: number): Promise<Buffer>;
  /** Must be called once, whatever happened. */
  close(): Promise<void>;
}

/**
 * Open an archive for reading.
 *
 * @param source path of a regular file, or bytes, which must not change until the archive is closed.
 * @param signal looked at before each read
 * @throws ManifestError where the file cannot be opened (`code` is the errno's name) or is not a regular file,
 *   TypeError for any other source.
 */
export async function openArchive(
  source: string | Uint8Array,
  signal?: AbortSignal | undefined,
): Promise<Archive> {
  if (typeof source === 'string') return openFile(source, signal);
  if (!(source instanceof Uint8Array)) throw wrongType('source', source, 'a path or bytes (Uint8Array)');
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  return {
    source: undefined,
    size: bytes.length,
    read: async (position, length) => bytes.subarray(position, position + length),
    close: async () => {},
  };
}

async function openFile(path: string, signal: AbortSignal | undefined): Promise<Archive> {
  const fail = (error: unknown): never => {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ManifestError(`cannot be read: ${message}`, {
      source: path,
      ...(code && { code }),
      cause: error,
    });
  };
  // Without O_NONBLOCK, opening a FIFO would wait for its writer.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch(fail);
  const read = async (position: number, length: number): Promise<Buffer> => {
    signal?.throwIfAborted();
    const bytes = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled).catch(fail);
      if (bytesRead === 0) throw new ManifestError('became shorter while it was read', { source: path });
      filled += bytesRead;
    }
    return bytes;
  };
  try {
    const stats = await handle.stat().catch(fail);
    // Reading a directory gives the system's own EISDIR.
    if (stats.isDirectory()) await read(0, 1);
    if (!stats.isFile()) throw new ManifestError('is not a regular file', { source: path });
    return { source: path, size: stats.size, read, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
