import { crc32, deflateRawSync } from 'node:zlib';

/** Unix type bits. */
export const REGULAR = 0o100000;
export const DIRECTORY = 0o040000;
export const LINK = 0o120000;
/** The directory bit of DOS attributes. */
export const DOS_DIRECTORY = 0x10;
/** Systems that an entry is made on, APPNOTE 4.4.2. */
export const FAT = 0;
export const UNIX = 3;
export const NTFS = 10;

/** One entry of an archive that {@link rawZip} makes: every field as it is told. */
export interface RawEntry {
  name: string | Buffer;
  content?: string | Buffer;
  /** Default: Unix. */
  system?: number;
  /** The high word of the attributes: on Unix the mode with its type. Default 0. */
  mode?: number;
  /** The low word: DOS attributes. Default 0. */
  attributes?: number;
  /** General purpose flags. Default 0. */
  flags?: number;
  isDeflated?: boolean;
  extra?: Buffer;
}

/** What is odd about an archive as a whole. */
export interface RawZipOptions {
  comment?: Buffer;
  /** What the end record says the comment's length is. Default: what it is. */
  commentLength?: number;
  /** What the end record says is the number of entries. Default: what it is, modulo 65,536. */
  count?: number;
  /** Bytes before the archive, and behind everything. */
  prefix?: Buffer;
  tail?: Buffer;
}

/** A zip archive made in this process, byte for byte as it is told. */
export function rawZip(entries: readonly RawEntry[], options: RawZipOptions = {}): Buffer {
  const { comment = Buffer.alloc(0), prefix = Buffer.alloc(0) } = options;
  const parts: Buffer[] = [prefix];
  const headers: Buffer[] = [];
  let offset = prefix.length;
  for (const entry of entries) {
    const local = localPart(entry);
    headers.push(header(entry, offset));
    parts.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(headers);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  const count = (options.count ?? entries.length) & 0xffff;
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(options.commentLength ?? comment.length, 20);
  return Buffer.concat([...parts, directory, end, comment, options.tail ?? Buffer.alloc(0)]);
}

function facts({ name, content = '', isDeflated = false, flags = 0 }: RawEntry) {
  const raw = Buffer.from(content as string);
  const data = isDeflated ? deflateRawSync(raw) : raw;
  return { name: Buffer.from(name as string), raw, data, method: isDeflated ? 8 : 0, flags };
}

function localPart(entry: RawEntry): Buffer {
  const { name, raw, data, method, flags } = facts(entry);
  const local = Buffer.alloc(30);
  local.write('PK\x03\x04', 'latin1');
  local.writeUInt16LE(20, 4);
  local.writeUInt16LE(flags, 6);
  local.writeUInt16LE(method, 8);
  local.writeUInt16LE(0x5a21, 12);
  local.writeUInt32LE(crc32(raw), 14);
  local.writeUInt32LE(data.length, 18);
  local.writeUInt32LE(raw.length, 22);
  local.writeUInt16LE(name.length, 26);
  return Buffer.concat([local, name, data]);
}

function header(entry: RawEntry, offset: number): Buffer {
  const { name, raw, data, method, flags } = facts(entry);
  const { system = UNIX, mode = 0, attributes = 0, extra = Buffer.alloc(0) } = entry;
  const central = Buffer.alloc(46);
  central.write('PK\x01\x02', 'latin1');
  central.writeUInt8(20, 4);
  central.writeUInt8(system, 5);
  central.writeUInt16LE(20, 6);
  central.writeUInt16LE(flags, 8);
  central.writeUInt16LE(method, 10);
  central.writeUInt16LE(0x5a21, 14);
  central.writeUInt32LE(crc32(raw), 16);
  central.writeUInt32LE(data.length, 20);
  central.writeUInt32LE(raw.length, 24);
  central.writeUInt16LE(name.length, 28);
  central.writeUInt16LE(extra.length, 30);
  central.writeUInt32LE(attributes + mode * 0x10000, 38);
  central.writeUInt32LE(offset, 42);
  return Buffer.concat([central, name, extra]);
}
