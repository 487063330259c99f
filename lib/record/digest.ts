import * as crypto from 'node:crypto';
import type { OpenFile } from '../directory/directory.ts';

/** Bytes that are read and digested at once: some milliseconds. */
const CHUNK = 1 << 20;

/** The digest of some bytes in one call, where the runtime has one: for small files it takes half the time. */
const digestAtOnce: ((algorithm: string, data: Uint8Array, encoding: 'hex') => string) | undefined = (
  crypto as { hash?: typeof crypto.hash }
).hash;

/**
 * sha256 of a file that is open, in hexadecimal, in chunks of at most 1 MiB.
 *
 * @param onRead called with the length of each chunk
 * @returns `undefined` where the file grew or shrank while it was read
 */
export function* digestFile(
  { stats: { size }, read }: OpenFile,
  onRead: (bytes: number) => void,
): Generator<void, string | undefined> {
  if (size < CHUNK) {
    // One byte more than there should be: a file that grows is seen. A short read is gone on with below.
    const bytes = read(size + 1, 0);
    if (bytes.length === size) {
      onRead(size);
      return digestOf(bytes);
    }
  }
  const hash = crypto.createHash('sha256');
  for (let position = 0; ; ) {
    const bytes = read(CHUNK, position);
    position += bytes.length;
    if (bytes.length === 0) return position === size ? hash.digest('hex') : undefined;
    if (position > size) return undefined;
    hash.update(bytes);
    onRead(bytes.length);
    yield;
  }
}

function digestOf(bytes: Uint8Array): string {
  return digestAtOnce?.('sha256', bytes, 'hex') ?? crypto.createHash('sha256').update(bytes).digest('hex');
}
