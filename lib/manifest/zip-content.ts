import type { Archive } from './archive.ts';
import { type Directory, type Window, WRAP } from './zip-directory.ts';
import { LOCAL_HEADER_LENGTH, METHOD_DEFLATED, type ZipEntry } from './zip-entry.ts';

/** First four bytes of a local header as a little-endian number, APPNOTE 4.3.7. */
const LOCAL_HEADER_SIGNATURE = 0x04034b50;

/** Where the content of entries is read from. */
export interface ContentSource {
  readonly archive: Archive;
  readonly directory: Directory;
  /** Moves along the content. */
  readonly content: Window;
}

/**
 * The content of an entry that is stored or deflated, at most `longest` bytes.
 *
 * @param what what it is called in a message
 * @throws Error where it is not what the entry says
 */
export async function readContent(
  source: ContentSource,
  entry: ZipEntry,
  what: string,
  longest: number,
): Promise<Buffer> {
  const stored = await readStored(source, entry);
  const { crc32, inflateRawSync } = await import('node:zlib');
  const isDeflated = entry.method === METHOD_DEFLATED;
  const content = isDeflated ? inflateRawSync(stored, { maxOutputLength: longest }) : stored;
  if (content.length !== entry.size) {
    throw new Error(`states ${what} of ${entry.size} bytes, but it has ${content.length}`);
  }
  if (crc32(content) !== entry.crc32) throw new Error(`has ${what} whose CRC-32 is not the stated one`);
  return content;
}

/** Deflate makes nothing twice as long, so that a larger compressed size is a lie. */
export function isLongerThan({ compressedSize, size }: ZipEntry, length: number): boolean {
  return size > length || compressedSize > 2 * length;
}

/** The bytes of an entry behind its local header, as they are stored. */
async function readStored(from: ContentSource, entry: ZipEntry): Promise<Buffer> {
  const { content, archive } = from;
  const position = await findHeader(from, entry);
  const header = content.slice(position, LOCAL_HEADER_LENGTH);
  const start = position + LOCAL_HEADER_LENGTH + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (start + entry.compressedSize > archive.size) throw new Error('file data overflows file bounds');
  await content.cover(start, entry.compressedSize);
  return content.slice(start, entry.compressedSize);
}

/** Where the local header of an entry begins. Where offsets are counted modulo 4 GiB, the last place that has one counts. */
async function findHeader({ content, directory }: ContentSource, entry: ZipEntry): Promise<number> {
  const { shift, start, isWrapped } = directory;
  const last = entry.offset + shift;
  let signature = 0;
  for (let position = last; position >= (isWrapped ? entry.offset : last); position -= WRAP) {
    if (isWrapped && position + LOCAL_HEADER_LENGTH > start) continue;
    await content.cover(position, LOCAL_HEADER_LENGTH);
    signature = content.slice(position, LOCAL_HEADER_LENGTH).readUInt32LE(0);
    if (signature === LOCAL_HEADER_SIGNATURE) return position;
  }
  throw new Error(`invalid local file header signature: 0x${signature.toString(16)}`);
}
