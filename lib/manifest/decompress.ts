import { pipeline, Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { ManifestError } from '../errors.ts';
import type { Archive } from './archive.ts';

/** How an archive is compressed as a whole. */
export type Compression = 'gzip' | 'zstd' | 'brotli';

/** Compressed bytes that are read at once. */
const SPAN = 1 << 16;
/**
 * How much compressed data may decompress to, whatever it says: so many bytes, and so many times what was read of it. Deflate
 * makes nothing more than 1,032 times as long; Brotli and zstd have no such bound.
 */
const FREE_LENGTH = 1 << 26;
const MOST_TIMES = 1100;

/** First bytes of the compressions that have any: RFC 1952 2.3.1, RFC 8878 3.1.1. */
const signatures: readonly (readonly [Compression, string])[] = [
  ['gzip', '\x1f\x8b'],
  ['zstd', '\x28\xb5\x2f\xfd'],
];

/** The compression that the first bytes of a file show. Brotli (RFC 7932) shows none. */
export function compressionOf(head: Buffer): Compression | undefined {
  const start = head.toString('latin1', 0, 4);
  return signatures.find(([, signature]) => start.startsWith(signature))?.[0];
}

/** True where a file is called what brotli-compressed tar archives are called. */
export function isNamedLikeBrotli(name: string): boolean {
  return name.endsWith('.tar.br') || name.endsWith('.tbr');
}

/** The bytes of an archive from its beginning, in chunks. */
export async function* chunksOf(archive: Archive): AsyncGenerator<Buffer, void, undefined> {
  for (let position = 0; position < archive.size; position += SPAN) {
    yield await archive.read(position, Math.min(SPAN, archive.size - position));
  }
}

/**
 * The bytes that an archive decompresses to, in chunks that are never empty. They are made as they are asked for, off
 * the event loop.
 *
 * @param isAborted whether an error is why the reading was aborted
 * @throws ManifestError where the compressed data is broken or cut off, makes more bytes than {@link FREE_LENGTH} and
 *   {@link MOST_TIMES} allow, or the runtime lacks the compression.
 */
export async function* decompress(
  archive: Archive,
  compression: Compression,
  isAborted?: () => boolean,
): AsyncGenerator<Buffer, void, undefined> {
  const transform = createTransform(compression);
  if (transform === undefined) {
    const fault = `is ${compression}-compressed, which this runtime (${process.version}) cannot decompress`;
    throw new ManifestError(fault, { source: archive.source });
  }
  let read = 0;
  let made = 0;
  const counted = async function* () {
    for await (const chunk of chunksOf(archive)) {
      read += chunk.length;
      yield chunk;
    }
  };
  const decompressed = pipeline(Readable.from(counted()), transform, () => {});
  try {
    for await (const chunk of decompressed) {
      made += (chunk as Buffer).length;
      if (made > FREE_LENGTH + MOST_TIMES * read) {
        const fault = `is compressed (${compression}) more than an archive would be: ${read} bytes of it make more than ${made}`;
        throw new ManifestError(fault, { source: archive.source });
      }
      yield chunk as Buffer;
    }
  } catch (error) {
    if (error instanceof ManifestError || isAborted?.() === true) throw error;
    const fault = `cannot be decompressed (${compression}): ${(error as Error).message}`;
    throw new ManifestError(fault, { source: archive.source, cause: error });
  }
}

/** zstd came with Node 22.15 and 23.8. Broken data ends the process on Deno, where no stream says so: it is not used there. */
interface MaybeZstd {
  createZstdDecompress?(): Transform;
}

function createTransform(compression: Compression): Transform | undefined {
  switch (compression) {
    case 'gzip':
      return zlib.createGunzip();
    case 'brotli':
      return zlib.createBrotliDecompress();
    case 'zstd':
      return 'Deno' in globalThis ? undefined : (zlib as MaybeZstd).createZstdDecompress?.();
  }
}
