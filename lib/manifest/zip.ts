import type * as Yauzl from 'yauzl';
import { absolutePath } from '../absolute.ts';
import { decodeName } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { loadCommonJs } from '../load.ts';
import { createPace } from '../pace.ts';
import { type Archive, openArchive } from './archive.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { BUNDLE_MANIFEST, MAX_BUNDLE_MANIFEST, markBundleExecutables, signatureLength } from './mcpb.ts';
import { EntryCollector } from './path.ts';
import { type Directory, endsLikeZip, locateDirectory, Window } from './zip-directory.ts';
import {
  checkEntry,
  decodePath,
  HEADER_LENGTH,
  headerLength,
  readEntry,
  readFacts,
  type YauzlModule,
} from './zip-entry.ts';

/** Bytes read at once: of the end of the archive, and of a central directory that is longer than that. */
const DIRECTORY_SPAN = 1 << 20;
/** Bytes read at once where a link's content lies, so that links side by side share one read. */
const CONTENT_SPAN = 1 << 16;
/** Longest central directory header: name, extra field and comment of 65,535 bytes each (APPNOTE 4.3.12). */
const MAX_HEADER = HEADER_LENGTH + 3 * 0xffff;
/** Longest text of a link in bytes: PATH_MAX. */
const MAX_LINK_TARGET = 4096;
/** A compression method, APPNOTE 4.4.5. */
const METHOD_DEFLATED = 8;

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
 * - Of an MCP bundle (`.mcpb`), what its `manifest.json` says is run is executable. Its
 *   signature may lie behind the archive.
 *
 * @param source path of the archive, or its bytes, which must not change until the promise is settled.
 * @throws ManifestError where the file cannot be read (`code` is the errno's name), or the archive is broken,
 *   truncated, contradicts itself, or names a path that leads outside or
 *   has a backslash (APPNOTE 4.4.17.1).
 *
 * @example
 * const response = await fetch('https://example.com/app.zip');
 * const manifest = await readZipManifest(new Uint8Array(await response.arrayBuffer()));
 * await applyPermissions('app', { manifest });
 */
export async function readZipManifest(source: string | Uint8Array): Promise<Manifest> {
  const archive = await openArchive(typeof source === 'string' ? absolutePath(source) : source);
  try {
    const entries = await readEntries(await openZip(archive));
    return createManifest('zip', archive.source, entries);
  } finally {
    await archive.close();
  }
}

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
  // Where it was bundled to a file of its own, it has no names but this.
  const { default: yauzl } = (await loadCommonJs('yauzl', () => import('yauzl'))) as unknown as {
    default: YauzlModule;
  };
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
