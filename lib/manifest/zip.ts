import type * as Yauzl from 'yauzl';
import { decodeName } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { createPace } from '../pace.ts';
import { type Archive, openArchive } from './archive.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { BUNDLE_MANIFEST, MAX_BUNDLE_MANIFEST, markBundleExecutables, signatureLength } from './mcpb.ts';
import { EntryCollector } from './path.ts';

/** Bytes read at once: of the end of the archive, and of a central directory that is longer than that. */
const DIRECTORY_SPAN = 1 << 20;
/** Bytes read at once where a link's content lies, so that links side by side share one read. */
const CONTENT_SPAN = 1 << 16;
/** Shortest central directory header, and the longest: name, extra field and comment of 65,535 each (APPNOTE 4.3.12). */
const HEADER_LENGTH = 46;
const MAX_HEADER = HEADER_LENGTH + 3 * 0xffff;
/** Longest text of a link in bytes: PATH_MAX. */
const MAX_LINK_TARGET = 4096;

/** First four bytes of the records as little-endian numbers, APPNOTE 4.3.7, 4.3.12 and 4.3.14 to 4.3.16. */
const LOCAL_HEADER_SIGNATURE = 0x04034b50;
const HEADER_SIGNATURE = 0x02014b50;
const END_SIGNATURE = 0x06054b50;
const ZIP64_END_SIGNATURE = 0x06064b50;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const END_LENGTH = 22;
const ZIP64_END_LENGTH = 56;
const ZIP64_LOCATOR_LENGTH = 20;
/** Furthest that an end of central directory record can lie before the end: with the longest comment. */
const MAX_END_LENGTH = END_LENGTH + 0xffff;

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

/** Compression methods, APPNOTE 4.4.5. */
const METHOD_STORED = 0;
const METHOD_DEFLATED = 8;

/** Length of a local file header without its name and extra field, APPNOTE 4.3.7. */
const LOCAL_HEADER_LENGTH = 30;
const noExtraFields: Yauzl.ExtraField[] = [];
const isAscii = /^[\0-\x7f]*$/;

/**
 * Read what a zip archive says of its entries: from its central directory, and of links from their content. An
 * archive may have a comment, a prefix (self-extracting), be zip64, and hold encrypted entries.
 *
 * - Names are UTF-8 where the archive says so (APPNOTE 4.4.4 bit 11, 4.6.9), else CP437 (APPNOTE D.1).
 * - `mode` is `0o0000` to `0o7777`, and `undefined` where the entry was made on a system without Unix modes.
 * - `type` is that of the Unix mode; without one, a name that ends in `/` is a directory, any other a file. A file
 *   whose name ends in `/` is a directory too, as every extractor has it. FIFOs, sockets and devices have none.
 * - `size` is the uncompressed size in bytes; only files have one.
 * - `linkTarget` is `undefined` where the content cannot be read: encrypted, or neither stored nor deflated.
 * - Of an MCP bundle (`.mcpb`), what its `manifest.json` says is run is executable; see {@link markBundleExecutables}. Its
 *   signature may lie behind the archive.
 *
 * @param source path of the archive, or its bytes, which must not change until the promise is settled.
 * @throws ManifestError where the file cannot be read (`code` is the errno's name), or the archive is broken,
 *   truncated, contradicts itself, or names a path that {@link EntryCollector} refuses or that has a backslash
 *   (APPNOTE 4.4.17.1).
 */
export async function readZipManifest(source: string | Uint8Array): Promise<Manifest> {
  const archive = await openArchive(source);
  try {
    const entries = await readEntries(await openZip(archive));
    return createManifest('zip', archive.source, entries);
  } finally {
    await archive.close();
  }
}

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
class Window {
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
interface Directory {
  readonly start: number;
  readonly end: number;
  /** What must be added to the archive's own offsets: the length of a prefix that they do not count. */
  readonly shift: number;
}

/** Find the central directory by the end records (APPNOTE 4.3.14 to 4.3.16) in the archive's last bytes. */
async function locateDirectory(archive: Archive, tail: Window): Promise<Directory> {
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
function readUInt64(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}

type YauzlModule = typeof Yauzl;

/** An archive whose central directory was found, ready to be read. */
interface OpenZip {
  readonly archive: Archive;
  readonly yauzl: YauzlModule;
  readonly zip: Yauzl.ZipFile;
  readonly directory: Directory;
  /** Moves along the central directory. */
  readonly headers: Window;
  /** Begins with the end of the archive, and moves along the content of links. */
  readonly content: Window;
}

/** Find the central directory, and have yauzl open the archive behind its prefix. */
async function openZip(archive: Archive): Promise<OpenZip> {
  const headers = new Window(archive, DIRECTORY_SPAN);
  await headers.cover(Math.max(0, archive.size - DIRECTORY_SPAN), DIRECTORY_SPAN);
  // The signature of an MCP bundle may lie behind the archive, where no archive comment covers it.
  const signature = endsLikeZip(headers.bytes) ? 0 : signatureLength(headers.bytes);
  if (signature > 0) return openZip({ ...archive, size: archive.size - signature });
  const content = new Window(archive, CONTENT_SPAN, headers.start, headers.bytes);
  const directory = await locateDirectory(archive, headers);
  const yauzl = await import('yauzl');
  const reader = createReader(yauzl, content, directory.shift);
  // yauzl owns nothing: closing the archive is all that is to be done.
  const options = { autoClose: false, decodeStrings: false };
  const size = archive.size - directory.shift;
  try {
    const zip = await yauzl.fromRandomAccessReaderPromise(reader, size, options);
    return { archive, yauzl, zip, directory, headers, content };
  } catch (error) {
    throw wrapError(error, archive, 'is broken');
  }
}

/** Serves yauzl what it reads: the end records, and the local headers of links. */
function createReader(yauzl: YauzlModule, content: Window, shift: number): Yauzl.RandomAccessReader {
  class WindowReader extends yauzl.RandomAccessReader {
    override read(
      target: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ): void {
      const start = position + shift;
      content.cover(start, length).then(() => {
        content.slice(start, length).copy(target, offset);
        callback(null);
      }, callback);
    }
  }
  return new WindowReader();
}

/** Every entry of the central directory, in its order. */
async function readEntries(opened: OpenZip): Promise<ManifestEntry[]> {
  const { archive, yauzl, zip, directory, headers } = opened;
  // No more than there is room for, whatever the archive says.
  const room = Math.floor((directory.end - directory.start) / HEADER_LENGTH);
  const collector = new EntryCollector(archive.source, Math.min(zip.entryCount, room));
  const pace = createPace(undefined, () => {});
  let bundle: { entry: Yauzl.Entry; where: string } | undefined;
  // One for all: a new one each would leave more garbage than all else that is read.
  let entry = new yauzl.Entry();
  let cursor = directory.start;
  for (let number = 1; number <= zip.entryCount; number += 1) {
    if (pace.isOver()) await pace.pause();
    const longest = Math.min(MAX_HEADER, directory.end - cursor);
    if (!headers.covers(cursor, longest)) await headers.cover(cursor, longest);
    let path: string | undefined;
    try {
      readEntry(yauzl, entry, headers.bytes, cursor - headers.start, directory.end - headers.start);
      path = decodePath(yauzl, entry, headers.bytes, cursor - headers.start + HEADER_LENGTH);
      checkEntry(entry, path, directory);
      const facts = readFacts(entry, path);
      if (facts.type === 'symlink') facts.linkTarget = await readLinkTarget(opened, entry);
      collector.adopt(facts);
      const length = headerLength(entry);
      if (path === BUNDLE_MANIFEST) {
        bundle = { entry, where: whereIs(number, path, cursor) };
        entry = new yauzl.Entry();
      }
      cursor += length;
    } catch (error) {
      throw wrapError(error, archive, whereIs(number, path, cursor), path);
    }
  }
  if (cursor !== directory.end) {
    const fault = `has a central directory of ${zip.entryCount} entries that ends at offset ${cursor}`;
    throw new ManifestError(`${fault}, not at ${directory.end} as its end record says`, {
      source: archive.source,
    });
  }
  if (bundle !== undefined) await markExecutables(opened, bundle, collector.entries);
  return collector.entries;
}

/** An entry as a message names it. */
function whereIs(number: number, path: string | undefined, offset: number): string {
  const name = path === undefined ? '' : ` (${JSON.stringify(path)})`;
  return `entry ${number}${name} at offset ${offset}`;
}

/** Mark what the manifest of an MCP bundle says is run. Read once, however often it stands in the archive. */
async function markExecutables(
  opened: OpenZip,
  { entry, where }: { entry: Yauzl.Entry; where: string },
  entries: readonly ManifestEntry[],
): Promise<void> {
  try {
    const content = await readBundleManifest(opened, entry);
    if (content !== undefined) markBundleExecutables(entries, content);
  } catch (error) {
    throw wrapError(error, opened.archive, where, BUNDLE_MANIFEST);
  }
}

/**
 * Read the header of the central directory that begins at `start` and must end at `limit`, APPNOTE 4.3.12, into yauzl's own
 * entry. yauzl's `readEntry` gives the same and takes three times as long, because it copies each header twice.
 */
function readEntry(
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
function headerLength({ fileNameLength, extraFieldLength, fileCommentLength }: Yauzl.Entry): number {
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
function decodePath(yauzl: YauzlModule, entry: Yauzl.Entry, bytes: Buffer, start: number): string {
  const { extraFields, fileNameLength, generalPurposeBitFlag } = entry;
  const end = start + fileNameLength;
  const hasUnicodePath = extraFields.some(({ id }) => id === EXTRA_UNICODE_PATH);
  // ASCII reads the same in UTF-8 and CP437, and most names are ASCII.
  const latin1 = bytes.toString('latin1', start, end);
  if (!hasUnicodePath && isAscii.test(latin1)) return latin1;
  return yauzl.getFileNameLowLevel(generalPurposeBitFlag, bytes.subarray(start, end), extraFields, true);
}

/** Refuse what contradicts itself, and what cannot be read. */
function checkEntry(entry: Yauzl.Entry, path: string, { start, shift }: Directory): void {
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

function readFacts(entry: Yauzl.Entry, path: string): ManifestEntry {
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

/** The content of a link, where it can be decoded. */
async function readLinkTarget(opened: OpenZip, entry: Yauzl.Entry): Promise<string | undefined> {
  if (!entry.canDecodeFileData()) return undefined;
  const { compressedSize, uncompressedSize } = entry;
  if (isLongerThan(entry, MAX_LINK_TARGET)) {
    const stated = `${uncompressedSize} bytes in ${compressedSize}`;
    throw new Error(`states a link target of ${stated}, but a link has at most ${MAX_LINK_TARGET}`);
  }
  return decodeName(await readContent(opened, entry, 'a link target', MAX_LINK_TARGET));
}

/** The content of what may be the manifest of an MCP bundle; `undefined` where it cannot be one. */
async function readBundleManifest(opened: OpenZip, entry: Yauzl.Entry): Promise<Buffer | undefined> {
  const isOther = !entry.canDecodeFileData() || isLongerThan(entry, MAX_BUNDLE_MANIFEST);
  return isOther ? undefined : readContent(opened, entry, 'content', MAX_BUNDLE_MANIFEST);
}

/** Deflate makes nothing twice as long, so that a larger compressed size is a lie. */
function isLongerThan({ compressedSize, uncompressedSize }: Yauzl.Entry, length: number): boolean {
  return uncompressedSize > length || compressedSize > 2 * length;
}

/**
 * The content of an entry that is stored or deflated, at most `longest` bytes.
 *
 * @param what what it is called in a message
 */
async function readContent(
  opened: OpenZip,
  entry: Yauzl.Entry,
  what: string,
  longest: number,
): Promise<Buffer> {
  const { compressedSize, uncompressedSize } = entry;
  const { fileDataStart } = await opened.zip.readLocalFileHeaderPromise(entry, { minimal: true });
  const start = fileDataStart + opened.directory.shift;
  await opened.content.cover(start, compressedSize);
  const stored = opened.content.slice(start, compressedSize);
  const { crc32, inflateRawSync } = await import('node:zlib');
  const isDeflated = entry.compressionMethod === METHOD_DEFLATED;
  const content = isDeflated ? inflateRawSync(stored, { maxOutputLength: longest }) : stored;
  if (content.length !== uncompressedSize) {
    throw new Error(`states ${what} of ${uncompressedSize} bytes, but it has ${content.length}`);
  }
  if (crc32(content) !== entry.crc32) throw new Error(`has ${what} whose CRC-32 is not the stated one`);
  return content;
}

/** What yauzl, or a check, found at fault as a {@link ManifestError} that says where. */
function wrapError(error: unknown, { source }: Archive, where: string, path?: string): ManifestError {
  if (error instanceof ManifestError) return error;
  const { message } = error as Error;
  return new ManifestError(`${where}: ${message}`, { source, path, cause: error });
}
