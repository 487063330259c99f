import { ManifestError } from '../errors.ts';
import type { Archive } from './archive.ts';
import type { Notes } from './notes.ts';

/** First four bytes of the records as little-endian numbers, APPNOTE 4.3.7 and 4.3.14 to 4.3.16. */
const LOCAL_HEADER_SIGNATURE = 0x04034b50;
const END_SIGNATURE = 0x06054b50;
/** First four bytes of a central directory header, APPNOTE 4.3.12. */
export const HEADER_SIGNATURE = 0x02014b50;
const ZIP64_END_SIGNATURE = 0x06064b50;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const END_LENGTH = 22;
const ZIP64_END_LENGTH = 56;
const ZIP64_LOCATOR_LENGTH = 20;
/** What 32-bit fields are counted by, where a program does not know zip64. */
export const WRAP = 2 ** 32;
const WRAPPED =
  'is longer than 4 GiB, and has no zip64: its offsets and sizes are counted modulo 4 GiB, as macOS writes them';
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

/**
 * True if an end record in the last 64 KiB of a file leads to a central directory directly before it. Other bytes may come before and
 * after the archive.
 */
export async function hasDirectory(archive: Archive, tail: Buffer): Promise<boolean> {
  const found = findEnd(tail);
  if (found === -1) return false;
  const start = archive.size - tail.length + found - tail.readUInt32LE(found + 12);
  if (start < 0 || start + 4 > archive.size) return false;
  return (await archive.read(start, 4)).readUInt32LE(0) === HEADER_SIGNATURE;
}

/** Where in the tail of an archive its end of central directory record begins, or -1. The last one counts, as everywhere. */
function findEnd(tail: Buffer): number {
  return findEndBefore(tail, tail.length - END_LENGTH);
}

function findEndBefore(tail: Buffer, last: number): number {
  const earliest = Math.max(0, tail.length - MAX_END_LENGTH);
  for (let position = last; position >= earliest; position -= 1) {
    if (tail.readUInt32LE(position) === END_SIGNATURE) return position;
  }
  return -1;
}

/**
 * Whether the comment of an earlier end record ends exactly at the end of the file. Programs that check the comment's length take
 * that record, and others take the last one: they would read two archives in one file.
 */
function isAmbiguous(tail: Buffer, found: number): boolean {
  for (let end = findEndBefore(tail, found - 1); end !== -1; end = findEndBefore(tail, end - 1)) {
    if (end + END_LENGTH + tail.readUInt16LE(end + 20) === tail.length) return true;
  }
  return false;
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
  /** Whether its offsets are counted modulo {@link WRAP}: an entry lies behind its own by as much as the shift, or by less. */
  readonly isWrapped: boolean;
  /** How many entries it has, as the archive says. */
  readonly count: number;
  /** What that number is counted by: programs that do not know zip64 let it wrap. */
  readonly modulus: number;
}

/** Find the central directory by the end records (APPNOTE 4.3.14 to 4.3.16) in the archive's last bytes. */
export async function locateDirectory(archive: Archive, tail: Window, notes: Notes): Promise<Directory> {
  const { source } = archive;
  const found = findEnd(tail.bytes);
  if (found === -1) {
    const fault = 'has no end of central directory record: it is not a zip archive, or is cut off';
    throw new ManifestError(fault, { source });
  }
  if (isAmbiguous(tail.bytes, found)) {
    const fault =
      'has two end of central directory records that programs disagree about: one is in the comment of the other';
    throw new ManifestError(fault, { source });
  }
  noteTail(tail.bytes, found, notes);
  const end = tail.start + found;
  const record = tail.slice(end, END_LENGTH);
  const zip64 = await locateZip64End(archive, tail, end);
  if (zip64 === undefined) checkDisks(record, source);
  const size = zip64?.size ?? record.readUInt32LE(12);
  const offset = zip64?.offset ?? record.readUInt32LE(16);
  const count = zip64?.count ?? record.readUInt16LE(10);
  const limit = zip64?.position ?? end;
  const shift = zip64?.shift ?? limit - size - offset;
  if (shift < 0 || shift + offset + size > limit) {
    const fault = `has a central directory of ${size} bytes at offset ${offset} that would not end before`;
    throw new ManifestError(`${fault} the end record at offset ${limit}`, { source });
  }
  if (zip64 !== undefined) checkAgreement(record, zip64, source);
  const modulus = zip64 === undefined ? 0x10000 : Number.POSITIVE_INFINITY;
  const isWrapped = zip64 === undefined && shift > 0 && shift % WRAP === 0;
  if (isWrapped) notes.add('wrapped-offsets', WRAPPED);
  return { start: shift + offset, end: shift + offset + size, shift, isWrapped, count, modulus };
}

/** Note what follows the end record, and is not its comment. */
function noteTail(tail: Buffer, end: number, notes: Notes): void {
  const stated = tail.readUInt16LE(end + 20);
  const rest = tail.length - end - END_LENGTH;
  if (rest > stated) {
    notes.add('junk-after-end', `${rest - stated} bytes after the archive and its comment are skipped`);
  } else if (rest < stated) {
    notes.add('comment-length', `the comment should have ${stated} bytes, but has ${rest}`);
  }
}

function checkDisks(record: Buffer, source: string | undefined): void {
  const disk = record.readUInt16LE(4);
  if (disk === 0 && record.readUInt16LE(6) === 0) return;
  const fault = `is one part of an archive that was split into ${disk + 1}: join them first (zip -s 0 split.zip --out whole.zip)`;
  throw new ManifestError(fault, { source });
}

/** What the end record says itself must be what the zip64 record says: programs differ in which one they take. */
function checkAgreement(record: Buffer, zip64: Zip64End, source: string | undefined): void {
  const [count, size, offset] = [record.readUInt16LE(10), record.readUInt32LE(12), record.readUInt32LE(16)];
  const agrees =
    (count === 0xffff || count === zip64.count) &&
    (size === 0xffffffff || size === zip64.size) &&
    (offset === 0xffffffff || offset === zip64.offset);
  if (agrees) return;
  const fault = 'has an end record and a zip64 end record that contradict each other';
  throw new ManifestError(fault, { source });
}

interface Zip64End {
  /** Where the record really begins, and by how much that differs from where the archive says. */
  readonly position: number;
  readonly shift: number;
  /** Number of entries, size and offset of the central directory, as the archive says. */
  readonly count: number;
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
    const [count, size, offset] = [32, 40, 48].map((field) => readUInt64(record, field));
    if (count === undefined || size === undefined || offset === undefined) continue;
    return { position, shift: position - stated, count, size, offset };
  }
  throw new ManifestError(`has no zip64 end of central directory record at offset ${stated}`, {
    source: archive.source,
  });
}

/** What lies above 2^53 loses precision, and is far beyond the end of any archive all the same. */
export function readUInt64(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}
