import type * as Yauzl from 'yauzl';
import type { ManifestEntry } from './manifest.ts';
import { type Directory, readUInt64 } from './zip-directory.ts';

export type YauzlModule = typeof Yauzl;

/** Length of a central directory header without its name, extra field and comment (APPNOTE 4.3.12). */
export const HEADER_LENGTH = 46;
/** First four bytes of such a header as a little-endian number. */
const HEADER_SIGNATURE = 0x02014b50;
/** General purpose bits, APPNOTE 4.4.4: strong encryption, and facts masked by an encrypted central directory. */
const FLAG_STRONG_ENCRYPTION = 1 << 6;
const FLAG_MASKED = 1 << 13;
/** Bytes that traditional encryption puts before the data, APPNOTE 6.1.5. */
const ENCRYPTION_HEADER_LENGTH = 12;
/** Id and length of an extra field, APPNOTE 4.5.1. */
const EXTRA_HEADER_LENGTH = 4;
/** Zip64 extended information extra field, APPNOTE 4.5.3. */
const EXTRA_ZIP64 = 0x0001;
/** Info-ZIP Unicode path extra field, APPNOTE 4.6.9. */
const EXTRA_UNICODE_PATH = 0x7075;
/** Systems whose external attributes hold a Unix mode in the high 16 bits: Unix and macOS, APPNOTE 4.4.2. */
const UNIX_SYSTEMS: readonly number[] = [3, 19];
/** Bits of a Unix mode that say what kind of entry it is, and the kinds. */
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
/** A compression method, APPNOTE 4.4.5. */
const METHOD_STORED = 0;
/** Length of a local file header without its name and extra field, APPNOTE 4.3.7. */
const LOCAL_HEADER_LENGTH = 30;
const noExtraFields: Yauzl.ExtraField[] = [];
const isAscii = /^[\0-\x7f]*$/;

/**
 * Read the header of the central directory that begins at `start` and must end at `limit`, APPNOTE 4.3.12, into yauzl's own
 * entry. yauzl's `readEntry` gives the same and takes three times as long, because it copies each header twice.
 */
export function readEntry(
  yauzl: YauzlModule,
  entry: Yauzl.Entry,
  bytes: Buffer,
  start: number,
  limit: number,
): void {
  if (start + HEADER_LENGTH > limit) throw new Error('would end behind the central directory');
  const signature = bytes.readUInt32LE(start);
  if (signature !== HEADER_SIGNATURE) {
    throw new Error(`is no central directory header: its signature is 0x${signature.toString(16)}`);
  }
  entry.versionMadeBy = bytes.readUInt16LE(start + 4);
  entry.generalPurposeBitFlag = bytes.readUInt16LE(start + 8);
  entry.compressionMethod = bytes.readUInt16LE(start + 10);
  entry.crc32 = bytes.readUInt32LE(start + 16);
  entry.compressedSize = bytes.readUInt32LE(start + 20);
  entry.uncompressedSize = bytes.readUInt32LE(start + 24);
  entry.fileNameLength = bytes.readUInt16LE(start + 28);
  entry.extraFieldLength = bytes.readUInt16LE(start + 30);
  entry.fileCommentLength = bytes.readUInt16LE(start + 32);
  entry.externalFileAttributes = bytes.readUInt32LE(start + 38);
  entry.relativeOffsetOfLocalHeader = bytes.readUInt32LE(start + 42);
  if (start + headerLength(entry) > limit) throw new Error('would end behind the central directory');
  entry.extraFields = noExtraFields;
  const extraStart = start + HEADER_LENGTH + entry.fileNameLength;
  const extraEnd = extraStart + entry.extraFieldLength;
  if (needsExtraFields(bytes, extraStart, extraEnd)) {
    entry.extraFields = yauzl.parseExtraFields(bytes.subarray(extraStart, extraEnd));
    readZip64Fields(entry);
  }
}

/**
 * Whether extra fields (APPNOTE 4.5.1) are worth parsing: one of those that are asked for is among them, or they are
 * broken. Most entries have times and owners only, and would leave a heap of small objects for nothing.
 */
function needsExtraFields(bytes: Buffer, start: number, end: number): boolean {
  let position = start;
  while (position + EXTRA_HEADER_LENGTH <= end) {
    const id = bytes.readUInt16LE(position);
    if (id === EXTRA_ZIP64 || id === EXTRA_UNICODE_PATH) return true;
    position += EXTRA_HEADER_LENGTH + bytes.readUInt16LE(position + 2);
  }
  return position > end;
}

/** Length of a central directory header in bytes, APPNOTE 4.3.12. */
export function headerLength({ fileNameLength, extraFieldLength, fileCommentLength }: Yauzl.Entry): number {
  return HEADER_LENGTH + fileNameLength + extraFieldLength + fileCommentLength;
}

/** Put in what did not fit into 32 bits: the zip64 extra field has it, in this order, APPNOTE 4.5.3. */
function readZip64Fields(entry: Yauzl.Entry): void {
  const data = entry.extraFields.find(({ id }) => id === EXTRA_ZIP64)?.data;
  if (data === undefined) return;
  let position = 0;
  for (const field of ['uncompressedSize', 'compressedSize', 'relativeOffsetOfLocalHeader'] as const) {
    if (entry[field] !== 0xffffffff) continue;
    if (position + 8 > data.length) throw new Error(`has a zip64 extra field without its ${field}`);
    entry[field] = readUInt64(data, position);
    position += 8;
  }
}

/** The name that begins at `start`. */
export function decodePath(yauzl: YauzlModule, entry: Yauzl.Entry, bytes: Buffer, start: number): string {
  const { extraFields, fileNameLength, generalPurposeBitFlag } = entry;
  const end = start + fileNameLength;
  const hasUnicodePath = extraFields.some(({ id }) => id === EXTRA_UNICODE_PATH);
  // ASCII reads the same in UTF-8 and CP437, and most names are ASCII.
  const latin1 = bytes.toString('latin1', start, end);
  if (!hasUnicodePath && isAscii.test(latin1)) return latin1;
  return yauzl.getFileNameLowLevel(generalPurposeBitFlag, bytes.subarray(start, end), extraFields, true);
}

/** Refuse what contradicts itself, and what cannot be read. */
export function checkEntry(entry: Yauzl.Entry, path: string, { start, shift }: Directory): void {
  const { generalPurposeBitFlag, compressionMethod, compressedSize, uncompressedSize } = entry;
  if (path.includes('\\')) throw new Error('has a backslash in its name');
  if (generalPurposeBitFlag & (FLAG_STRONG_ENCRYPTION | FLAG_MASKED)) {
    throw new Error('is strongly encrypted, which hides its facts');
  }
  const storedSize = uncompressedSize + (entry.isEncrypted() ? ENCRYPTION_HEADER_LENGTH : 0);
  if (compressionMethod === METHOD_STORED && compressedSize !== storedSize) {
    throw new Error(`is stored, and states two sizes: ${compressedSize} and ${storedSize} bytes`);
  }
  const offset = entry.relativeOffsetOfLocalHeader + shift;
  if (offset + LOCAL_HEADER_LENGTH + compressedSize > start) {
    const data = `${compressedSize} bytes of data behind a header at offset ${offset}`;
    throw new Error(`states ${data}, but the central directory begins at ${start}`);
  }
}

export function readFacts(entry: Yauzl.Entry, path: string): ManifestEntry {
  const mode = readUnixMode(entry);
  const type = readType(mode ?? 0, path);
  return {
    path,
    type,
    mode: mode === undefined ? undefined : mode & 0o7777,
    size: type === 'file' ? entry.uncompressedSize : undefined,
  };
}

/** The mode of an entry that was made on a system that has them, APPNOTE 4.4.2 and 4.4.15. */
function readUnixMode({ versionMadeBy, externalFileAttributes }: Yauzl.Entry): number | undefined {
  if (!UNIX_SYSTEMS.includes(versionMadeBy >>> 8)) return undefined;
  return externalFileAttributes >>> 16 || undefined;
}

function readType(mode: number, path: string): ManifestEntry['type'] {
  const named = path.endsWith('/') ? 'directory' : 'file';
  switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
      return named;
    case S_IFDIR:
      return 'directory';
    case S_IFLNK:
      return 'symlink';
    default:
      return undefined;
  }
}
