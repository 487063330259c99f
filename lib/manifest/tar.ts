import type { Header } from 'tar/header';
import { absolutePath } from '../absolute.ts';
import { checkSource } from '../checks.ts';
import { ManifestError } from '../errors.ts';
import { own } from '../own.ts';
import { createPace } from '../pace.ts';
import { type Archive, openArchive } from './archive.ts';
import { ByteStream } from './bytes.ts';
import { compressionOf, isNamedLikeBrotli } from './decompress.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { EntryCollector, normalizeManifestPath } from './path.ts';
import { checkGlobalRecords, type ExtendedFacts, parsePax, readExtendedFacts } from './pax.ts';
import {
  BLOCK_LENGTH,
  extendedHeaders,
  HARD_LINK,
  LINK_NAME,
  OLD_GNU_SPARSE,
  onlyNumbers,
  paddingOf,
  readField,
  readPath,
  readSize,
  readText,
  refused,
  SIZE,
  SPARSE_EXTENDED,
  SPARSE_MORE_EXTENDED,
  SPARSE_REAL_SIZE,
  skipped,
  startsLikeTar,
  TYPE_FLAG,
  types,
  withoutContent,
} from './tar-header.ts';

const zeroBlock = Buffer.alloc(BLOCK_LENGTH);
/** Longest path in UTF-16 code units, sixteen times Linux's PATH_MAX; longest link target; and all of them together. */
const MAX_PATH_LENGTH = 1 << 16;
const MAX_LINK_TARGET = 4096;
const MAX_TEXT_LENGTH = 1 << 28;
/** As much of a name as a message shows. */
const SHOWN_LENGTH = 1000;
/** Longest extended header that is read, as in `tar`: far beyond any path. */
const MAX_EXTENDED_HEADER = 1 << 20;
/** Permission bits, setuid, setgid and sticky. */
const MODE_BITS = 0o7777;

/**
 * Read what a tar archive says of its entries: v7, ustar, pax and GNU format; uncompressed, or compressed with gzip,
 * with zstd where the runtime has it (Node 22.15), or with Brotli where the name ends in `.tar.br` or `.tbr`. No
 * content is read that can be passed over, and none is held.
 *
 * - Names are UTF-8; other bytes are kept, as everywhere in a manifest.
 * - `mode` is `0o0000` to `0o7777`. FIFOs and devices have a `mode` and no `type`.
 * - `size` is that of the file with its holes. A hard link has the facts that the entry has which it is linked to, or
 *   is a file of unknown size where that does not stand before it.
 * - Where a path stands more than once (`tar --append`), the last entry counts: it is what lies on disk after the
 *   extraction.
 *
 * @param source path of the archive.
 * @throws ManifestError where the file cannot be read (`code` is the errno's name) or decompressed, or the archive is
 *   broken, cut off, without its end mark, or names a path (or links to one by a hard link) that leads outside.
 *   Offsets in messages count decompressed bytes.
 *
 * @example
 * const manifest = await readTarManifest('app.tgz');
 * await applyPermissions('app', { manifest });
 */
export async function readTarManifest(source: string): Promise<Manifest> {
  checkSource(source);
  const path = absolutePath(source);
  const archive = await openArchive(path);
  try {
    return createManifest('tar', path, await readArchive(archive, path));
  } finally {
    await archive.close();
  }
}

async function readArchive(archive: Archive, source: string): Promise<ManifestEntry[]> {
  const head = await archive.read(0, Math.min(BLOCK_LENGTH, archive.size));
  let compression = compressionOf(head);
  if (isNamedLikeBrotli(source) && compression === undefined && !(await startsLikeTar(head))) {
    compression = 'brotli';
  }
  const bytes = new ByteStream(archive, compression);
  try {
    const { Header } = await import('tar/header');
    const reader = new TarReader(bytes, source, (block) => new Header(block));
    await reader.readAll();
    // What is wrong with the compressed data may show only at its end.
    if (compression !== undefined) await bytes.skip(Number.POSITIVE_INFINITY);
    return await checkEntries(reader.entries.values(), source);
  } finally {
    await bytes.close();
  }
}

/** The entries as a manifest has them: every fact checked. */
async function checkEntries(entries: Iterable<ManifestEntry>, source: string): Promise<ManifestEntry[]> {
  const collector = new EntryCollector(source);
  const pace = createPace(undefined, () => {});
  for (const entry of entries) {
    if (pace.isOver()) await pace.pause();
    collector.add(entry);
  }
  return collector.entries;
}

/**
 * Goes through an archive header by header. `tar` decodes the header's numbers and checksum. Its parser does not serve:
 * it loses names of which two reads have a part each, pax records with a line break, and sparse files (7.5.23).
 */
class TarReader {
  /** The last entry of each path in its one spelling. */
  readonly entries = new Map<string, ManifestEntry>();
  readonly #bytes: ByteStream;
  readonly #source: string;
  readonly #decode: (block: Buffer) => Header;
  /** What extended headers say of the next entry. */
  #extended: ExtendedFacts | undefined;
  /** How many entries were begun, what the current one is called, and where it begins. */
  #number = 0;
  #name: string | undefined;
  #offset = 0;
  /** Length of all names and link targets so far. */
  #textLength = 0;

  constructor(bytes: ByteStream, source: string, decode: (block: Buffer) => Header) {
    this.#bytes = bytes;
    this.#source = source;
    this.#decode = decode;
  }

  /** Read everything up to the end mark. */
  async readAll(): Promise<void> {
    try {
      while (await this.#readMember());
    } catch (error) {
      if (error instanceof ManifestError) throw error;
      const name = this.#name === undefined ? '' : ` (${JSON.stringify(this.#name)})`;
      const where = `entry ${this.#number}${name} at offset ${this.#offset}`;
      const { message } = error as Error;
      const details = { source: this.#source, path: this.#name, cause: error };
      throw new ManifestError(`${where}: ${message}`, details);
    }
  }

  /** Read a header and what belongs to it. False at the end of the archive. */
  async #readMember(): Promise<boolean> {
    if (this.#extended === undefined) {
      this.#number += 1;
      this.#name = undefined;
      this.#offset = this.#bytes.offset;
    }
    const block = await this.#bytes.take(BLOCK_LENGTH);
    if (block.length === BLOCK_LENGTH && block.equals(zeroBlock)) {
      await this.#checkEnd();
      return false;
    }
    if (block.length < BLOCK_LENGTH) {
      const end = this.#bytes.offset;
      throw new Error(
        `the archive ends at offset ${end}, without its end mark: it is cut off, or no tar archive`,
      );
    }
    if (!this.#decode(block).cksumValid) {
      const offset = this.#bytes.offset - BLOCK_LENGTH;
      throw new Error(`the header at offset ${offset} has a wrong checksum: it is broken, or no tar header`);
    }
    const header = this.#decode(onlyNumbers(block));
    const flag = block[TYPE_FLAG] === 0 ? '0' : block.toString('latin1', TYPE_FLAG, TYPE_FLAG + 1);
    if (refused[flag] !== undefined) throw new Error(refused[flag]);
    if (extendedHeaders.includes(flag)) await this.#readExtendedHeader(flag, readSize(header, block));
    else if (skipped.includes(flag)) await this.#skipPadded(readSize(header, block));
    else await this.#readEntry(flag, header, block);
    return true;
  }

  async #readExtendedHeader(flag: string, size: number): Promise<void> {
    if (size > MAX_EXTENDED_HEADER) {
      throw new Error(`has an extended header of ${size} bytes; at most ${MAX_EXTENDED_HEADER} are read`);
    }
    const content = await this.#bytes.take(size);
    if (content.length < size) throw this.#cutOff();
    await this.#skipContent(paddingOf(size));
    if (flag === 'g') {
      checkGlobalRecords(parsePax(content));
      return;
    }
    this.#extended ??= own<ExtendedFacts>({});
    if (flag === 'L') this.#extended.path = readText(content);
    else if (flag === 'K') this.#extended.linkTarget = readText(content);
    else Object.assign(this.#extended, readExtendedFacts(parsePax(content)));
  }

  async #readEntry(flag: string, header: Header, block: Buffer): Promise<void> {
    const extended = this.#extended ?? own<ExtendedFacts>({});
    this.#extended = undefined;
    const path = extended.path ?? readPath(block);
    this.#name = path.slice(0, SHOWN_LENGTH);
    const linkTarget = extended.linkTarget ?? readField(block, LINK_NAME);
    this.#checkLengths(path, linkTarget);
    const key = normalizeManifestPath(path, this.#source).path;
    const mode = header.mode === undefined ? undefined : header.mode & MODE_BITS;
    const entry = { path, mode, ...this.#typeFacts(flag, path, linkTarget) };
    const hasContent = !withoutContent.includes(flag) && !(entry.type === 'directory' && flag !== 'D');
    const stored = hasContent ? (extended.size ?? readSize(header, block)) : 0;
    if (entry.type === 'file' && flag !== HARD_LINK) {
      const realSize = flag === OLD_GNU_SPARSE ? await this.#readOldSparse(block) : undefined;
      entry.size = extended.sparse === undefined ? (realSize ?? stored) : extended.sparse.realSize;
    }
    // The last entry of a path stands where it stands in the archive.
    this.entries.delete(key);
    this.entries.set(key, entry);
    await this.#skipPadded(stored);
  }

  /** A compressed archive of a few bytes can hold names without end. */
  #checkLengths(path: string, linkTarget: string): void {
    if (path.length > MAX_PATH_LENGTH) {
      throw new Error(`has a name of ${path.length} characters; at most ${MAX_PATH_LENGTH}`);
    }
    if (linkTarget.length > MAX_LINK_TARGET) {
      throw new Error(`has a link target of ${linkTarget.length} characters; at most ${MAX_LINK_TARGET}`);
    }
    this.#textLength += path.length + linkTarget.length;
    if (this.#textLength > MAX_TEXT_LENGTH) {
      throw new Error(`brings the names to ${this.#textLength} characters; at most ${MAX_TEXT_LENGTH}`);
    }
  }

  /** What kind of entry it is; of a hard link, everything that is known of what it is linked to. */
  #typeFacts(flag: string, path: string, linkTarget: string): Partial<ManifestEntry> {
    if (flag === HARD_LINK) return this.#hardLinkFacts(linkTarget);
    const type = flag in types ? types[flag] : 'file';
    if (type === 'symlink') return { type, linkTarget };
    // So it was before there was a type for directories.
    if (type === 'file' && path.endsWith('/')) return { type: 'directory' };
    return { type };
  }

  #hardLinkFacts(target: string): Partial<ManifestEntry> {
    let known: ManifestEntry | undefined;
    try {
      known = this.entries.get(normalizeManifestPath(target).path);
    } catch (error) {
      throw new Error(`is a hard link whose target is refused: ${(error as Error).message}`, {
        cause: error,
      });
    }
    if (known === undefined) return { type: 'file' };
    const { path: _, ...facts } = known;
    return facts;
  }

  /** Pass over the further headers of a file in GNU tar's old sparse format; the file's size with its holes. */
  async #readOldSparse(block: Buffer): Promise<number> {
    // The field has the form of the size field, which `tar` decodes.
    const copy = onlyNumbers(block);
    block.copy(copy, SIZE[0], SPARSE_REAL_SIZE[0], SPARSE_REAL_SIZE[0] + SPARSE_REAL_SIZE[1]);
    const realSize = readSize(this.#decode(copy), copy);
    let hasMore = block[SPARSE_EXTENDED] !== 0;
    while (hasMore) {
      const extension = await this.#bytes.take(BLOCK_LENGTH);
      if (extension.length < BLOCK_LENGTH) throw this.#cutOff();
      hasMore = extension[SPARSE_MORE_EXTENDED] !== 0;
    }
    return realSize;
  }

  /** Content fills whole blocks, whatever its type. */
  async #skipPadded(size: number): Promise<void> {
    await this.#skipContent(size + paddingOf(size));
  }

  async #skipContent(length: number): Promise<void> {
    if (!(await this.#bytes.skip(length))) throw this.#cutOff();
  }

  /** The end mark is two blocks of zeros; programs differ in whether they read on behind a single one. */
  async #checkEnd(): Promise<void> {
    if (this.#extended !== undefined) throw new Error('has an extended header, and nothing that it is for');
    const offset = this.#bytes.offset;
    const block = await this.#bytes.take(BLOCK_LENGTH);
    if (block.equals(zeroBlock.subarray(0, block.length))) return;
    throw new Error(`a single block of zeros ends at offset ${offset}, and something follows`);
  }

  #cutOff(): Error {
    return new Error(`is cut off: the archive ends at offset ${this.#bytes.offset}`);
  }
}
