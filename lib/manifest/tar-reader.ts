import { ManifestError } from '../errors.ts';
import { own } from '../own.ts';
import { quoted } from '../printable.ts';
import type { ByteStream } from './bytes.ts';
import { otherTarName } from './file-names.ts';
import { type EntryTraits, type ManifestEntry, setTraits, traitsOf } from './manifest.ts';
import type { Notes } from './notes.ts';
import { normalizeManifestPath } from './path.ts';
import { checkGlobalRecords, type ExtendedFacts, parsePax, readExtendedFacts } from './pax.ts';
import {
  BLOCK_LENGTH,
  checksumOf,
  extendedHeaders,
  HARD_LINK,
  isOldSparse,
  LINK_NAME,
  paddingOf,
  readField,
  readMode,
  readNumber,
  readPath,
  readSize,
  readText,
  readTypeFlag,
  refused,
  SIZE,
  SPARSE_EXTENDED,
  SPARSE_MORE_EXTENDED,
  SPARSE_REAL_SIZE,
  skipped,
  types,
  VOLUME_LABEL,
  withoutContent,
} from './tar-header.ts';

const zeroBlock = Buffer.alloc(BLOCK_LENGTH);
/** Longest path in UTF-16 code units, sixteen times Linux's PATH_MAX; longest link target; and all of them together. */
const MAX_PATH_LENGTH = 1 << 16;
const MAX_LINK_TARGET = 4096;
const MAX_TEXT_LENGTH = 1 << 28;
/** As much of a name as a message shows. */
const SHOWN_LENGTH = 1000;
/** Longest extended header that is read: far beyond any path, and some programs keep more than paths in one. */
const MAX_EXTENDED_HEADER = 1 << 26;

/** Goes through an archive header by header. */
export class TarReader {
  /** The last entry of each path in its one spelling. */
  readonly entries = new Map<string, ManifestEntry>();
  readonly #bytes: ByteStream;
  readonly #source: string;
  readonly #notes: Notes;
  /** What extended headers say of the next entry. */
  #extended: ExtendedFacts | undefined;
  /** How many entries were begun, what the current one is called, and where it begins. */
  #number = 0;
  #name: string | undefined;
  #offset = 0;
  /** Path of the last entry. */
  #last = '';
  /** Length of all names and link targets so far. */
  #textLength = 0;
  #hasSignedChecksum = false;
  /** Size of the last entry, where it is of a kind that has no content. */
  #ignoredSize = 0;

  constructor(bytes: ByteStream, source: string, notes: Notes) {
    this.#bytes = bytes;
    this.#source = source;
    this.#notes = notes;
  }

  /** Read everything up to the end mark. */
  async readAll(): Promise<void> {
    try {
      while (await this.#readMember());
    } catch (error) {
      if (error instanceof ManifestError || this.#bytes.isAborted) throw error;
      const name = this.#name === undefined ? '' : ` (${quoted(this.#name)})`;
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
    if (block.equals(zeroBlock.subarray(0, block.length))) {
      await this.#checkEnd(block.length);
      return false;
    }
    if (block.length < BLOCK_LENGTH) {
      const end = this.#bytes.offset;
      throw new Error(`the archive ends at offset ${end}, within a header: it is cut off, or not a tar`);
    }
    if (checksumOf(block) === undefined && (await this.#skipIgnored())) return true;
    this.#checkChecksum(block);
    this.#ignoredSize = 0;
    const flag = readTypeFlag(block);
    // It has what was said before it for itself (GNU tar, Python).
    if (flag === VOLUME_LABEL) this.#extended = undefined;
    if (refused[flag] !== undefined) throw new Error(refused[flag]);
    if (extendedHeaders.includes(flag)) await this.#readExtendedHeader(flag, readSize(block, SIZE));
    else if (skipped.includes(flag)) await this.#skipPadded(readSize(block, SIZE));
    else await this.#readEntry(flag, block);
    return true;
  }

  #checkChecksum(block: Buffer): void {
    const checksum = checksumOf(block);
    if (checksum === undefined) {
      const offset = this.#bytes.offset - BLOCK_LENGTH;
      throw new Error(`the header at offset ${offset} has a wrong checksum: broken, or not a tar header`);
    }
    if (checksum === 'plain' || this.#hasSignedChecksum) return;
    this.#hasSignedChecksum = true;
    this.#notes.add(
      'signed-checksum',
      'has headers whose checksums are sums of signed bytes, as old programs made them',
    );
  }

  /** Some programs give a link or a directory content, and a size that says so: it is passed over where no header follows. */
  async #skipIgnored(): Promise<boolean> {
    const size = this.#ignoredSize;
    if (size === 0) return false;
    this.#ignoredSize = 0;
    await this.#skipContent(size + paddingOf(size) - BLOCK_LENGTH);
    this.#notes.add('unexpected-content', `has ${size} bytes of content, which are skipped`, this.#last);
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
      checkGlobalRecords(await parsePax(content));
      return;
    }
    this.#extended ??= own<ExtendedFacts>({});
    if (flag === 'L') this.#extended.gnuPath = readText(content);
    else if (flag === 'K') this.#extended.gnuLinkTarget = readText(content);
    else {
      // Of two such headers the last one counts alone (GNU tar, bsdtar, 7-Zip; Python takes the first).
      const { gnuPath, gnuLinkTarget } = this.#extended;
      this.#extended = Object.assign(readExtendedFacts(await parsePax(content)), { gnuPath, gnuLinkTarget });
    }
  }

  async #readEntry(flag: string, block: Buffer): Promise<void> {
    const extended = this.#extended ?? own<ExtendedFacts>({});
    this.#extended = undefined;
    const named = extended.path ?? extended.gnuPath ?? readPath(block);
    this.#name = named.slice(0, SHOWN_LENGTH);
    const linkTarget = extended.linkTarget ?? extended.gnuLinkTarget ?? readField(block, LINK_NAME);
    this.#checkLengths(named, linkTarget);
    // Of what is a link or a device by its type, every program leaves out the slash.
    const path = isKnownKind(flag) ? named.replace(/(?<=[^/])\/+$/, '') : named;
    const key = normalizeManifestPath(path, this.#source).path;
    const entry: ManifestEntry = { path, mode: readMode(block), ...this.#typeFacts(flag, path, linkTarget) };
    const alternative = otherTarName(path);
    if (alternative !== undefined) entry.alternative = alternative;
    if (flag === HARD_LINK) setTraits(entry, this.#hardLinkTraits(key, linkTarget));
    const hasContent = !withoutContent.includes(flag) && !(entry.type === 'directory' && flag !== 'D');
    const size = extended.size ?? (hasContent ? readSize(block, SIZE) : (readNumber(block, SIZE) ?? 0));
    const stored = hasContent ? size : 0;
    this.#ignoredSize = hasContent || !(size > 0) ? 0 : size;
    if (entry.type === 'file' && flag !== HARD_LINK) {
      const realSize = isOldSparse(block) ? await this.#readOldSparse(block) : undefined;
      entry.size = extended.sparse === undefined ? (realSize ?? stored) : extended.sparse.realSize;
    }
    this.#last = key;
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
    const known = this.entries.get(hardLinkTarget(target));
    if (known === undefined) return { type: 'file' };
    const { path: _, alternative: __, ...facts } = known;
    return facts;
  }

  /** Which file it is, by its first name; and whether some extractors take one outside for it. */
  #hardLinkTraits(path: string, target: string): EntryTraits {
    const inside = hardLinkTarget(target);
    const known = traitsOf(this.entries.get(inside));
    const isAbsolute = target.startsWith('/');
    if (isAbsolute) {
      const message = 'is a hard link with an absolute target: it is read as one below the root';
      this.#notes.add('absolute-hard-link', message, path);
    }
    return {
      isAbsoluteHardLink: isAbsolute || known.isAbsoluteHardLink === true,
      firstName: known.firstName ?? inside,
    };
  }

  /** Pass over the further headers of a file in GNU tar's old sparse format; the file's size with its holes. */
  async #readOldSparse(block: Buffer): Promise<number> {
    const realSize = readSize(block, SPARSE_REAL_SIZE);
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

  /**
   * The end mark is two blocks of zeros. Every program takes the end of the file for it, and most take a single block.
   *
   * @param length bytes of the first of them, less than a block only at the end of the file
   */
  async #checkEnd(length: number): Promise<void> {
    if (this.#extended !== undefined) throw new Error('has an extended header, but no entry follows it');
    const offset = this.#bytes.offset;
    if (length < BLOCK_LENGTH) {
      if (this.entries.size === 0) throw new Error(`the archive ends at offset ${offset}, without any entry`);
      this.#notes.add('no-end-mark', `ends at offset ${offset} without its end mark: it may be cut off`);
      return;
    }
    const block = await this.#bytes.take(BLOCK_LENGTH);
    if (block.length > 0 && block.equals(zeroBlock.subarray(0, block.length))) return;
    const rest = block.length === 0 ? '' : '; what follows is not read';
    this.#notes.add(
      'lone-zero-block',
      `ends in a single block of zeros at offset ${offset}, not in two${rest}`,
    );
  }

  #cutOff(): Error {
    return new Error(`is cut off: the archive ends at offset ${this.#bytes.offset}`);
  }
}

/** Links, FIFOs and devices. */
function isKnownKind(flag: string): boolean {
  return '12346'.includes(flag);
}

/**
 * Where a hard link leads: an absolute target lies below the root, as extractors have it.
 *
 * @throws Error where it leads outside
 */
function hardLinkTarget(target: string): string {
  try {
    return normalizeManifestPath(target.replace(/^\/+/, '')).path;
  } catch (error) {
    throw new Error(`is a hard link whose target is refused: ${(error as Error).message}`, { cause: error });
  }
}
