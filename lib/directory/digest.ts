import { Buffer } from 'node:buffer';
import * as crypto from 'node:crypto';
import * as zlib from 'node:zlib';
import { SLICE_BYTES } from '../slices.ts';
import type { OpenFile } from './directory.ts';

/** What node:crypto calls the algorithms of digests; a CRC-32 is zlib's. */
const names: ReadonlyMap<string, string> = new Map([
  ['md5', 'md5'],
  ['rmd160', 'ripemd160'],
  ['sha1', 'sha1'],
  ['sha256', 'sha256'],
  ['sha384', 'sha384'],
  ['sha512', 'sha512'],
]);
const CRC32 = 'crc32';
const usable = new Map<string, boolean>([[CRC32, true]]);

/** The digest of some bytes in one call, where the runtime has one: for small files it takes half the time. */
const hashAtOnce: ((algorithm: string, data: Uint8Array, encoding: 'hex') => string) | undefined = (
  crypto as { hash?: typeof crypto.hash }
).hash;

/**
 * Bytes that are read at once. No more: from 128 KiB on malloc(3) begins 16 bytes behind the begin of a page, and AMD's Zen 3 copies to
 * there at a fifth of its speed.
 */
const CHUNK_BYTES = 1 << 16;
/** One for all: nothing else runs between a read into it and its digest. It is memory of its own, which native calls may be given. */
let chunk: Buffer | undefined;

/** Whether digests of an algorithm can be made here: a runtime may have been told to refuse weak ones. */
export function canDigest(algorithm: string): boolean {
  let known = usable.get(algorithm);
  if (known === undefined) {
    known = names.has(algorithm) && isThere(names.get(algorithm) as string);
    usable.set(algorithm, known);
  }
  return known;
}

function isThere(name: string): boolean {
  try {
    crypto.createHash(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * Digest of a file that is open, in hexadecimal, in one go: for files of less than 1 MiB.
 *
 * @param algorithm one of those that {@link canDigest} takes
 * @returns `undefined` where the file grew or shrank while it was read
 */
export function digestAtOnce(file: OpenFile, algorithm: string): string | undefined {
  const { size } = file.stats;
  chunk ??= Buffer.from(new ArrayBuffer(CHUNK_BYTES));
  // One byte more than there should be: a file that grows is seen.
  if (size < CHUNK_BYTES && file.readInto(chunk, size + 1, 0) === size)
    return digestOf(algorithm, chunk.subarray(0, size));
  const steps = digestInChunks(file, algorithm, () => {});
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/**
 * The same in slices of at most 1 MiB; yields after each.
 *
 * @param onRead called with the length of what was read
 */
export function* digestInChunks(
  file: OpenFile,
  algorithm: string,
  onRead: (bytes: number) => void,
): Generator<void, string | undefined> {
  const { size } = file.stats;
  chunk ??= Buffer.from(new ArrayBuffer(CHUNK_BYTES));
  const hash: Hash = algorithm === CRC32 ? new Crc32() : crypto.createHash(names.get(algorithm) as string);
  for (let position = 0, end = SLICE_BYTES; ; ) {
    const bytes = file.readInto(chunk, Math.min(CHUNK_BYTES, end - position), position);
    position += bytes;
    if (bytes === 0) return position === size ? hash.digest('hex') : undefined;
    if (position > size) return undefined;
    hash.update(chunk.subarray(0, bytes));
    onRead(bytes);
    if (position < end) continue;
    end += SLICE_BYTES;
    yield;
  }
}

function digestOf(algorithm: string, bytes: Buffer): string {
  if (algorithm === CRC32) return hexOf(zlib.crc32(bytes));
  const name = names.get(algorithm) as string;
  return hashAtOnce?.(name, bytes, 'hex') ?? crypto.createHash(name).update(bytes).digest('hex');
}

/** A digest that is made of chunks. */
interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

class Crc32 implements Hash {
  #value = 0;

  update(bytes: Uint8Array): void {
    this.#value = zlib.crc32(bytes, this.#value);
  }

  digest(_encoding: 'hex'): string {
    return hexOf(this.#value);
  }
}

function hexOf(crc32: number): string {
  return crc32.toString(16).padStart(8, '0');
}
