import * as zlib from 'node:zlib';
import { isPlainName, type SpelledName, zipName } from './file-names.ts';
import { type Directory, HEADER_SIGNATURE, readUInt64 } from './zip-directory.ts';

/** Length of a central directory header without its name, extra field and comment (APPNOTE 4.3.12). */
export const HEADER_LENGTH = 46;
/** Length of a local file header without its name and extra field, APPNOTE 4.3.7. */
export const LOCAL_HEADER_LENGTH = 30;
/** General purpose bits, APPNOTE 4.4.4: encrypted, strong encryption, UTF-8, facts masked by an encrypted central directory. */
const FLAG_ENCRYPTED = 1 << 0;
const FLAG_STRONG_ENCRYPTION = 1 << 6;
const FLAG_UTF8 = 1 << 11;
const FLAG_MASKED = 1 << 13;
/** Bytes that traditional encryption puts before the data, APPNOTE 6.1.5. */
const ENCRYPTION_HEADER_LENGTH = 12;
/** Id and length of an extra field, APPNOTE 4.5.1. */
const EXTRA_HEADER_LENGTH = 4;
/** Zip64 extended information extra field, APPNOTE 4.5.3. */
const EXTRA_ZIP64 = 0x0001;
/** Info-ZIP Unicode path extra field, APPNOTE 4.6.9: a version, the CRC-32 of the name it belongs to, and a name. */
const EXTRA_UNICODE_PATH = 0x7075;
const UNICODE_PATH_VERSION = 1;
const UNICODE_PATH_NAME = 5;
/** AES encryption (WinZip, "AES Encryption Information"): a vendor version, of which 2 has no CRC-32. */
const EXTRA_AES = 0x9901;
const AES_WITH_CRC = 1;
/** Compression methods, APPNOTE 4.4.5. */
const METHOD_STORED = 0;
export const METHOD_DEFLATED = 8;
const METHOD_AES = 99;
/** What a 32-bit field says where the zip64 extra field has the number. */
const IN_ZIP64 = 0xffffffff;
/** Systems that an entry is made on, APPNOTE 4.4.2: those with a Unix mode in the high 16 bits of its attributes... */
const UNIX_SYSTEMS: readonly number[] = [3, 19];
const DARWIN = 19;
/** ...and those of DOS and Windows: FAT, HPFS, NTFS (also under the number that Info-ZIP gives it), VFAT. */
const DOS_SYSTEMS: readonly number[] = [0, 6, 10, 11, 14];
/** ...and those of which unzip knows labels of volumes: FAT, Atari, HPFS, NTFS. */
const LABEL_SYSTEMS: readonly number[] = [0, 5, 6, 11];
/** ...and those whose names unzip converts: FAT, HPFS. It looks at the UTF-8 bit of an entry that has an extra field. */
const OEM_SYSTEMS: readonly number[] = [0, 6];

/** One header of a central directory. One is used for all: a new one each would leave more garbage than all else that is read. */
export class ZipEntry {
  system = 0;
  flags = 0;
  method = 0;
  crc32 = 0;
  /** Whether that is the CRC-32 of its content: what is encrypted as AE-2 has none. */
  hasCrc32 = true;
  compressedSize = 0;
  size = 0;
  /** DOS attributes, and on Unix the mode in the high 16 bits. */
  attributes = 0;
  /** Where its local header begins, as the archive says. */
  offset = 0;
  name: SpelledName = { path: '' };
  /** Bytes of the whole header. */
  length = 0;

  get isEncrypted(): boolean {
    return (this.flags & FLAG_ENCRYPTED) !== 0;
  }

  get isUnixMade(): boolean {
    return UNIX_SYSTEMS.includes(this.system);
  }

  get isDarwinMade(): boolean {
    return this.system === DARWIN;
  }

  get canHaveLabel(): boolean {
    return LABEL_SYSTEMS.includes(this.system);
  }

  get isDosMade(): boolean {
    return DOS_SYSTEMS.includes(this.system);
  }

  /** Whether its content can be decoded here. */
  get isReadable(): boolean {
    return !this.isEncrypted && (this.method === METHOD_STORED || this.method === METHOD_DEFLATED);
  }

  /**
   * Read the header of the central directory that begins at `start` and must end at `limit`, APPNOTE 4.3.12.
   *
   * @throws Error where the bytes are no such header
   */
  read(bytes: Buffer, start: number, limit: number): void {
    if (start + HEADER_LENGTH > limit) throw new Error('would end after the central directory');
    const signature = bytes.readUInt32LE(start);
    if (signature !== HEADER_SIGNATURE) {
      throw new Error(`is not a central directory header: its signature is 0x${signature.toString(16)}`);
    }
    this.system = bytes[start + 5] as number;
    this.flags = bytes.readUInt16LE(start + 8);
    this.method = bytes.readUInt16LE(start + 10);
    this.crc32 = bytes.readUInt32LE(start + 16);
    this.compressedSize = bytes.readUInt32LE(start + 20);
    this.size = bytes.readUInt32LE(start + 24);
    this.attributes = bytes.readUInt32LE(start + 38);
    this.offset = bytes.readUInt32LE(start + 42);
    const nameEnd = start + HEADER_LENGTH + bytes.readUInt16LE(start + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(start + 30);
    this.length = extraEnd + bytes.readUInt16LE(start + 32) - start;
    if (start + this.length > limit) throw new Error('would end after the central directory');
    const hasExtra = hasWanted(bytes, nameEnd, extraEnd);
    const extra = (wanted: number) => (hasExtra ? extraField(bytes, nameEnd, extraEnd, wanted) : undefined);
    const zip64 = extra(EXTRA_ZIP64);
    if (zip64 !== undefined) this.#readZip64(zip64);
    const aes = this.method === METHOD_AES ? extra(EXTRA_AES) : undefined;
    this.hasCrc32 =
      this.method !== METHOD_AES || ((aes?.length ?? 0) >= 2 && aes?.readUInt16LE(0) === AES_WITH_CRC);
    const unicode = extra(EXTRA_UNICODE_PATH);
    // Most names read the same in every encoding.
    const latin1 = bytes.toString('latin1', start + HEADER_LENGTH, nameEnd);
    if (unicode === undefined && isPlainName(latin1)) {
      this.name = { path: latin1 };
      return;
    }
    const raw = bytes.subarray(start + HEADER_LENGTH, nameEnd);
    const isUtf8 = (this.flags & FLAG_UTF8) !== 0;
    this.name = zipName(raw, {
      isUtf8,
      unicodePath: unicode && unicodePathOf(unicode, raw),
      isDosMade: this.isDosMade,
      isTakenForOem: OEM_SYSTEMS.includes(this.system) && !(isUtf8 && extraEnd > nameEnd),
    });
  }

  /**
   * Refuse what contradicts itself, and what cannot be read.
   *
   * @throws Error
   */
  check({ start, shift, isWrapped }: Directory): void {
    if (this.flags & (FLAG_STRONG_ENCRYPTION | FLAG_MASKED)) {
      throw new Error('is strongly encrypted, so its type and size cannot be read');
    }
    const storedSize = this.size + (this.isEncrypted ? ENCRYPTION_HEADER_LENGTH : 0);
    if (this.method === METHOD_STORED && this.compressedSize !== storedSize) {
      throw new Error(`is stored, and states two sizes: ${this.compressedSize} and ${storedSize} bytes`);
    }
    const offset = this.offset + (isWrapped ? 0 : shift);
    if (offset + LOCAL_HEADER_LENGTH + this.compressedSize > start) {
      const data = `${this.compressedSize} bytes of data after a header at offset ${offset}`;
      throw new Error(`states ${data}, but the central directory begins at ${start}`);
    }
  }

  /** Put in what did not fit into 32 bits: the zip64 extra field has it, in this order, APPNOTE 4.5.3. */
  #readZip64(data: Buffer): void {
    let position = 0;
    const next = (field: string, value: number): number => {
      if (value !== IN_ZIP64) return value;
      if (position + 8 > data.length) throw new Error(`has a zip64 extra field without its ${field}`);
      position += 8;
      return readUInt64(data, position - 8);
    };
    this.size = next('size', this.size);
    this.compressedSize = next('compressed size', this.compressedSize);
    this.offset = next('offset', this.offset);
  }
}

/** Whether there is an extra field of a kind that is read, or one that is broken: most entries have times and owners alone. */
function hasWanted(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at + EXTRA_HEADER_LENGTH <= to; ) {
    const kind = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    if (kind === EXTRA_ZIP64 || kind === EXTRA_AES || kind === EXTRA_UNICODE_PATH) return true;
    at += EXTRA_HEADER_LENGTH + ((bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8));
    if (at > to) return true;
  }
  return false;
}

/**
 * The data of the first extra field of this kind (APPNOTE 4.5.1). Fewer bytes than a field's header fill up the rest, as
 * `zipalign` leaves them.
 */
function extraField(bytes: Buffer, from: number, to: number, wanted: number): Buffer | undefined {
  for (let position = from; position + EXTRA_HEADER_LENGTH <= to; ) {
    const start = position + EXTRA_HEADER_LENGTH;
    const end = start + bytes.readUInt16LE(position + 2);
    if (end > to) throw new Error('has an extra field that is longer than the space for extra fields');
    if (bytes.readUInt16LE(position) === wanted) return bytes.subarray(start, end);
    position = end;
  }
  return undefined;
}

/** The Unicode path, where it belongs to the name: some programs rename an entry and leave the field. */
function unicodePathOf(data: Buffer, raw: Buffer): Buffer | undefined {
  if (data.length <= UNICODE_PATH_NAME || data[0] !== UNICODE_PATH_VERSION) return undefined;
  return data.readUInt32LE(1) === zlib.crc32(raw) ? data.subarray(UNICODE_PATH_NAME) : undefined;
}
