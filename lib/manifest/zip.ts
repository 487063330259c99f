import { absolutePath } from '../absolute.ts';
import { decodeName } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { quoted } from '../printable.ts';
import { pause, Slices } from '../slices.ts';
import { type Archive, openArchive } from './archive.ts';
import { EntryCollector } from './collector.ts';
import { markCompanions, refuseConda } from './lenient.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { BUNDLE_MANIFEST, MAX_BUNDLE_MANIFEST, markBundleExecutables, signatureLength } from './mcpb.ts';
import { Notes } from './notes.ts';
import { checkReadOptions, type ReadOptions } from './options.ts';
import { type ContentSource, isLongerThan, readContent } from './zip-content.ts';
import { endsLikeZip, locateDirectory, Window } from './zip-directory.ts';
import { HEADER_LENGTH, ZipEntry } from './zip-entry.ts';
import { readFacts } from './zip-facts.ts';

/** Bytes read at once: of the end of the archive, and of a central directory that is longer than that. */
const DIRECTORY_SPAN = 1 << 20;
/** Bytes read at once where a link's content lies, so that links side by side share one read. */
const CONTENT_SPAN = 1 << 16;
/** Longest central directory header: name, extra field and comment of 65,535 bytes each (APPNOTE 4.3.12). */
const MAX_HEADER = HEADER_LENGTH + 3 * 0xffff;
/** First four bytes of the signature that may end a central directory, as a little-endian number, APPNOTE 4.3.13. */
const DIGITAL_SIGNATURE = 0x05054b50;
/** Longest text of a link in bytes: PATH_MAX. */
const MAX_LINK_TARGET = 4096;

/**
 * Read what a zip archive says of its entries: from its central directory, and of links from their content. An
 * archive may have a comment, a prefix (self-extracting), be zip64, and hold encrypted entries.
 *
 * If something is odd but harmless, it is read as most extractors read it, and `warnings` of the manifest says so.
 *
 * - Names are UTF-8 if the archive says so (APPNOTE 4.4.4 bit 11, 4.6.9), else CP437 (APPNOTE D.1). If other programs read a
 *   name differently (UTF-8 without that bit, a backslash), `alternative` has the path in that spelling.
 * - `mode` is `0o0000` to `0o7777`, and `undefined` if the archive has none: it was made on a system without Unix modes, or
 *   the whole word is 0. A file made on such a system has one if its type bits say that it is a file.
 * - `type` is that of the Unix mode, or of the DOS attributes. An entry whose name ends in `/` is a directory. FIFOs, sockets
 *   and devices have no `type`; nor has an entry that some extractors make a link of, and others a file.
 * - `size` is the uncompressed size in bytes; only files have one.
 * - `digest` is the CRC-32 of a file's content. What WinZip's AE-2 encrypts has none.
 * - `linkTarget` is `undefined` if the content cannot be read: encrypted, or neither stored nor deflated.
 * - If a path occurs more than once, the last entry counts.
 * - What macOS puts beside files (`__MACOSX/`, `._NAME` beside NAME) is `optional`.
 * - In an MCP bundle (`.mcpb`), the program that `manifest.json` runs is executable. The signature of a bundle may lie behind
 *   the archive.
 *
 * @param source path of the archive, or its bytes, which must not change until the promise is settled.
 * @param options `signal` stops the reading
 * @throws ManifestError if the file cannot be read (`code` is the errno's name), or the archive is broken,
 *   truncated, contradicts itself, or names a path that leads outside; and for a conda package, whose files
 *   are in another archive inside it.
 * @throws TypeError if the source or an option has the wrong type
 * @throws the signal's reason when it is aborted
 *
 * @example
 * const response = await fetch('https://example.com/app.zip');
 * const manifest = await readZipManifest(new Uint8Array(await response.arrayBuffer()));
 * await applyPermissions('app', { manifest });
 */
export async function readZipManifest(
  source: string | Uint8Array,
  options: ReadOptions = {},
): Promise<Manifest> {
  const { signal } = checkReadOptions(options);
  const archive = await openArchive(typeof source === 'string' ? absolutePath(source) : source, signal);
  const notes = new Notes();
  try {
    const entries = await readEntries(await openZip(archive, notes, signal));
    refuseConda(entries, archive.source);
    await markCompanions(entries, signal);
    return createManifest({ format: 'zip', source: archive.source, entries, notes });
  } finally {
    await archive.close();
  }
}

/** An archive whose central directory was found, ready to be read. */
interface OpenZip extends ContentSource {
  /** Moves along the central directory. */
  readonly headers: Window;
  readonly notes: Notes;
  readonly signal: AbortSignal | undefined;
}

/** Find the central directory. */
async function openZip(archive: Archive, notes: Notes, signal: AbortSignal | undefined): Promise<OpenZip> {
  const headers = new Window(archive, DIRECTORY_SPAN);
  await headers.cover(Math.max(0, archive.size - DIRECTORY_SPAN), DIRECTORY_SPAN);
  // The signature of an MCP bundle may lie behind the archive, where no archive comment covers it.
  const signature = endsLikeZip(headers.bytes) ? 0 : signatureLength(headers.bytes);
  if (signature > 0) return openZip({ ...archive, size: archive.size - signature }, notes, signal);
  const content = new Window(archive, CONTENT_SPAN, headers.start, headers.bytes);
  const directory = await locateDirectory(archive, headers, notes);
  return { archive, directory, headers, content, notes, signal };
}

/** Every entry of the central directory, in its order. */
async function readEntries(opened: OpenZip): Promise<ManifestEntry[]> {
  const { archive, directory, headers, notes, signal } = opened;
  // No more than there is room for, whatever the archive says.
  const room = Math.floor((directory.end - directory.start) / HEADER_LENGTH);
  const collector = new EntryCollector(archive.source, Math.min(directory.count, room), {
    repeated: 'last',
    notes,
  });
  const slices = new Slices();
  let bundle: { entry: ZipEntry; where: string } | undefined;
  let entry = new ZipEntry();
  let cursor = directory.start;
  let number = 0;
  while (cursor < directory.end) {
    if (slices.isOver()) await pause(slices, signal);
    const longest = Math.min(MAX_HEADER, directory.end - cursor);
    if (!headers.covers(cursor, longest)) await headers.cover(cursor, longest);
    if (isSignature(headers.bytes, cursor - headers.start)) break;
    number += 1;
    let path: string | undefined;
    try {
      entry.read(headers.bytes, cursor - headers.start, directory.end - headers.start);
      path = entry.name.path;
      entry.check(directory);
      const facts = readFacts(entry, notes);
      if (facts.type === 'symlink') facts.linkTarget = await readLinkTarget(opened, entry);
      collector.adopt(facts);
      if (facts.path === BUNDLE_MANIFEST) {
        bundle = { entry, where: whereIs(number, path, cursor) };
        cursor += entry.length;
        entry = new ZipEntry();
      } else cursor += entry.length;
    } catch (error) {
      throw wrapError(error, opened, whereIs(number, path, cursor), path);
    }
  }
  checkCount(opened, number);
  const { entries } = collector;
  if (bundle !== undefined) await markExecutables(opened, bundle, entries);
  return entries;
}

function isSignature(bytes: Buffer, position: number): boolean {
  return position + 4 <= bytes.length && bytes.readUInt32LE(position) === DIGITAL_SIGNATURE;
}

/** Programs that do not know zip64 write how many entries there are modulo 65,536, and extractors read on. */
function checkCount({ archive, directory, notes }: OpenZip, number: number): void {
  const { count, modulus } = directory;
  if (number === count) return;
  if (number % modulus !== count % modulus) {
    const fault = `states ${count} entries, but its central directory has ${number}`;
    throw new ManifestError(`${fault}: it is broken`, { source: archive.source });
  }
  notes.add(
    'entry-count',
    `states ${count} entries, but has ${number}, as in archives of programs without zip64: all are read`,
  );
}

/** An entry as a message names it. */
function whereIs(number: number, path: string | undefined, offset: number): string {
  const name = path === undefined ? '' : ` (${quoted(path)})`;
  return `entry ${number}${name} at offset ${offset}`;
}

/** Mark what the manifest of an MCP bundle says is run. Read once, however often it stands in the archive. */
async function markExecutables(
  opened: OpenZip,
  { entry, where }: { entry: ZipEntry; where: string },
  entries: readonly ManifestEntry[],
): Promise<void> {
  try {
    const content = await readBundleManifest(opened, entry);
    if (content !== undefined) markBundleExecutables(entries, content);
  } catch (error) {
    throw wrapError(error, opened, where, BUNDLE_MANIFEST);
  }
}

/** The content of a link, where it can be decoded. */
async function readLinkTarget(opened: OpenZip, entry: ZipEntry): Promise<string | undefined> {
  if (!entry.isReadable) return undefined;
  if (isLongerThan(entry, MAX_LINK_TARGET)) {
    const stated = `${entry.size} bytes in ${entry.compressedSize}`;
    throw new Error(`states a link target of ${stated}, but a link has at most ${MAX_LINK_TARGET}`);
  }
  return decodeName(await readContent(opened, entry, 'a link target', MAX_LINK_TARGET));
}

/** The content of what may be the manifest of an MCP bundle; `undefined` where it cannot be one. */
async function readBundleManifest(opened: OpenZip, entry: ZipEntry): Promise<Buffer | undefined> {
  const isOther = !entry.isReadable || isLongerThan(entry, MAX_BUNDLE_MANIFEST);
  return isOther ? undefined : readContent(opened, entry, 'content', MAX_BUNDLE_MANIFEST);
}

/** What was found at fault, as a {@link ManifestError} that says where; what aborted the reading, as it is. */
function wrapError(error: unknown, { archive, signal }: OpenZip, where: string, path?: string): unknown {
  if (error instanceof ManifestError || signal?.aborted === true) return error;
  const { message } = error as Error;
  return new ManifestError(`${where}: ${message}`, { source: archive.source, path, cause: error });
}
