import { ManifestError } from '../errors.ts';
import type { Archive } from './archive.ts';

/** First four bytes of the records as little-endian numbers, APPNOTE 4.3.7 and 4.3.14 to 4.3.16. */
const LOCAL_HEADER_SIGNATURE = 0x04034b50;
const END_SIGNATURE = 0x06054b50;
const ZIP64_END_SIGNATURE = 0x06064b50;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const END_LENGTH = 22;
const ZIP64_END_LENGTH = 56;
const ZIP64_LOCATOR_LENGTH = 20;
/** Furthest that an end of central directory record can lie before the end: with the longest comment. */
const MAX_END_LENGTH = END_LENGTH + 0xffff;

/** True where a file begins like a zip archive: with an entry, or, without any, with the end record. */
export function startsLikeZip(head: Buffer): boolean {
  if (head.length < 4) return false;
  const signature = head.readUInt32LE(0);
  return signature === LOCAL_HEADER_SIGNATURE || signature === END_SIGNATURE;
}

/** True where the last 64 KiB of a file end in the end record of a zip archive and its comment. */
export function endsLikeZip(tail: Buffer): boolean {
  const end = findEnd(tail);
  return end !== -1 && end + END_LENGTH + tail.readUInt16LE(end + 20) === tail.length;
}

/** Where in the tail of an archive its end of central directory record begins, or -1. */
function findEnd(tail: Buffer): number {
  const earliest = Math.max(0, tail.length - MAX_END_LENGTH);
  for (let position = tail.length - END_LENGTH; position >= earliest; position -= 1) {
    if (tail.readUInt32LE(position) === END_SIGNATURE) return position;
  }
  return -1;
}

/** A stretch of the archive in memory. It moves in reads of `span` bytes or more. */
export class Window {
  readonly #archive: Archive;
  readonly #span: number;
  /** Where in the archive `bytes` begin. */
  start: number;
  bytes: Buffer;

  constructor(archive: Archive, span: number, start = 0, bytes: Buffer = Buffer.alloc(0)) {
    this.#archive = archive;
    this.#span = span;
    this.start = start;
    this.bytes = bytes;
  }

  /** True where it holds this stretch, or what the archive has of it. */
  covers(position: number, length: number): boolean {
    const end = Math.min(position + length, this.#archive.size);
    return position >= this.start && end <= this.start + this.bytes.length;
  }

  /** Move, where it must, so that it covers this stretch. */
  async cover(position: number, length: number): Promise<void> {
    if (this.covers(position, length)) return;
    const left = this.#archive.size - position;
    this.bytes = await this.#archive.read(position, Math.min(left, Math.max(length, this.#span)));
    this.start = position;
  }

  /** The bytes of a stretch that it covers. */
  slice(position: number, length: number): Buffer {
    const from = position - this.start;
    return this.bytes.subarray(from, from + length);
  }
}

/** Where the central directory lies, in bytes from the start of the archive. */
export interface Directory {
  readonly start: number;
  readonly end: number;
  /** What must be added to the archive's own offsets: the length of a prefix that they do not count. */
  readonly shift: number;
}

/** Find the central directory by the end records (APPNOTE 4.3.14 to 4.3.16) in the archive's last bytes. */
export async function locateDirectory(archive: Archive, tail: Window): Promise<Directory> {
  const found = findEnd(tail.bytes);
  if (found === -1) {
    const fault = 'has no end of central directory record: it is not a zip archive, or is cut off';
    throw new ManifestError(fault, { source: archive.source });
  }
  const end = tail.start + found;
  const zip64 = await locateZip64End(archive, tail, end);
  const size = zip64?.size ?? tail.bytes.readUInt32LE(found + 12);
  const offset = zip64?.offset ?? tail.bytes.readUInt32LE(found + 16);
  const limit = zip64?.position ?? end;
  const shift = zip64?.shift ?? limit - size - offset;
  if (shift < 0 || shift + offset + size > limit) {
    const fault = `has a central directory of ${size} bytes at offset ${offset} that would not end before`;
    throw new ManifestError(`${fault} the end record at offset ${limit}`, { source: archive.source });
  }
  return { start: shift + offset, end: shift + offset + size, shift };
}

interface Zip64End {
  /** Where the record really begins, and by how much that differs from where the archive says. */
  readonly position: number;
  readonly shift: number;
  /** Size and offset of the central directory, as the archive says. */
  readonly size: number;
  readonly offset: number;
}

async function locateZip64End(archive: Archive, tail: Window, end: number): Promise<Zip64End | undefined> {
  const locatorStart = end - ZIP64_LOCATOR_LENGTH;
  if (locatorStart < tail.start) return undefined;
  const locator = tail.slice(locatorStart, ZIP64_LOCATOR_LENGTH);
  if (locator.readUInt32LE(0) !== ZIP64_LOCATOR_SIGNATURE) return undefined;
  const stated = readUInt64(locator, 8);
  // The record lies directly before its locator, except where it has an extensible data sector (APPNOTE 4.3.14.2).
  const adjacent = locatorStart - ZIP64_END_LENGTH;
  for (const position of [adjacent, stated]) {
    if (position < stated || position > adjacent) continue;
    const record = await archive.read(position, ZIP64_END_LENGTH);
    if (record.readUInt32LE(0) !== ZIP64_END_SIGNATURE) continue;
    const [size, offset] = [readUInt64(record, 40), readUInt64(record, 48)];
    return { position, shift: position - stated, size, offset };
  }
  throw new ManifestError(`has no zip64 end of central directory record at offset ${stated}`, {
    source: archive.source,
  });
}

/** What lies above 2^53 loses precision, and is far beyond the end of any archive all the same. */
export function readUInt64(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}
