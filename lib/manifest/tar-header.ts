import { decodeName } from '../directory/names.ts';
import { quoted } from '../printable.ts';
import type { ManifestEntry } from './manifest.ts';

/** Everything in an archive fills whole blocks (POSIX, pax, "ustar Interchange Format"). */
export const BLOCK_LENGTH = 512;
/** Type flags of entries. What is none of them is taken for a file, as POSIX says. */
export const types: Readonly<Record<string, ManifestEntry['type']>> = {
  '2': 'symlink',
  '3': undefined,
  '4': undefined,
  '5': 'directory',
  '6': undefined,
  // GNU tar's directory of an incremental archive: its content is a list of names.
  D: 'directory',
};
/** Type flags of entries that have no content, whatever their size field says. */
export const withoutContent = '123456';
export const HARD_LINK = '1';
const OLD_GNU_SPARSE = 'S';
export const VOLUME_LABEL = 'V';
/** Type flags of what is no entry: a volume's label (GNU tar), ACLs (Solaris). */
export const skipped: string = `${VOLUME_LABEL}A`;
/** Type flags of what is not read. */
export const refused: Readonly<Record<string, string>> = {
  M: 'continues on from another volume of a multi-volume archive',
};
/** Type flags of extended headers: of POSIX, of Solaris, of all entries, and GNU tar's two. */
export const extendedHeaders = 'xXgLK';

/** Fields of a header, by offset and length. */
type Field = readonly [offset: number, length: number];
const NAME: Field = [0, 100];
const MODE: Field = [100, 8];
export const SIZE: Field = [124, 12];
const CHECKSUM: Field = [148, 8];
const TYPE_FLAG = 156;
export const LINK_NAME: Field = [157, 100];
const MAGIC = 257;
const GNU_MAGIC = 'ustar  \0';
const PREFIX: Field = [345, 155];
/** Of GNU tar's old sparse format: "more headers follow", the real size; and "more follow" in such a header. */
export const SPARSE_EXTENDED = 482;
export const SPARSE_REAL_SIZE: Field = [483, 12];
export const SPARSE_MORE_EXTENDED = 504;

/** Permission bits, setuid, setgid and sticky. */
const MODE_BITS = 0o7777;

const SPACE = 0x20;
/** First bytes of numbers that are not octal: the bits that follow are a number to the base of 256, or its complement to two. */
const POSITIVE = 0x80;
const NEGATIVE = 0xff;

/** How many bytes fill up the last block of some content. */
export function paddingOf(size: number): number {
  return (BLOCK_LENGTH - (size % BLOCK_LENGTH)) % BLOCK_LENGTH;
}

/** The type flag of a header; NUL means a file, as before there were any. */
export function readTypeFlag(block: Buffer): string {
  const flag = block.toString('latin1', TYPE_FLAG, TYPE_FLAG + 1);
  return flag === '\0' ? '0' : flag;
}

/** Whether a file has holes in GNU tar's old format; in a header of another format that type is none, and the file a plain one. */
export function isOldSparse(block: Buffer): boolean {
  const isGnu = block.toString('latin1', MAGIC, MAGIC + GNU_MAGIC.length) === GNU_MAGIC;
  return isGnu && readTypeFlag(block) === OLD_GNU_SPARSE;
}

/**
 * How the checksum of a header was made: the sum of its bytes, or, as some old programs made it, of its bytes as signed
 * numbers. `undefined` where it is wrong. The field itself counts as blanks.
 */
export function checksumOf(block: Buffer): 'plain' | 'signed' | undefined {
  const stated = readNumber(block, CHECKSUM);
  let sum = CHECKSUM[1] * SPACE;
  let above = 0;
  for (let position = 0; position < BLOCK_LENGTH; position += 1) {
    if (position >= CHECKSUM[0] && position < CHECKSUM[0] + CHECKSUM[1]) continue;
    const byte = block[position] as number;
    sum += byte;
    if (byte > 0x7f) above += 1;
  }
  if (stated === sum) return 'plain';
  return stated === sum - 0x100 * above ? 'signed' : undefined;
}

/**
 * A number of a header: octal digits between blanks and NULs, or to the base of 256 (GNU tar, star).
 *
 * @returns `undefined` where the field is blank; NaN where it is no number, or none that can be represented exactly
 */
export function readNumber(block: Buffer, [offset, length]: Field): number | undefined {
  const first = block[offset] as number;
  if (first === POSITIVE || first === NEGATIVE) return readBase256(block, offset, length);
  const text = block.toString('latin1', offset, offset + length);
  const digits = /^[ \0]*([0-7]*)[ \0]*/.exec(text);
  if (digits?.[1] === '') return digits[0].length === length ? undefined : Number.NaN;
  const isEnded = digits !== null && (digits[0].length === length || /[ \0]$/.test(digits[0]));
  const number = isEnded ? Number.parseInt(digits[1] as string, 8) : Number.NaN;
  return Number.isSafeInteger(number) ? number : Number.NaN;
}

function readBase256(block: Buffer, offset: number, length: number): number {
  let number = block[offset] === NEGATIVE ? -1n : 0n;
  for (let position = offset + 1; position < offset + length; position += 1) {
    number = (number << 8n) | BigInt(block[position] as number);
  }
  return Number.isSafeInteger(Number(number)) ? Number(number) : Number.NaN;
}

/**
 * A size: blank means 0.
 *
 * @throws Error where it is no number, or negative
 */
export function readSize(block: Buffer, field: Field): number {
  const size = readNumber(block, field) ?? 0;
  if (size >= 0) return size;
  const bytes = block.toString('latin1', field[0], field[0] + field[1]);
  throw new Error(`has a size field that is not a number: ${quoted(bytes)}`);
}

/** Permission bits of an entry; `undefined` where the header says nothing of them that is a number. */
export function readMode(block: Buffer): number | undefined {
  const mode = readNumber(block, MODE);
  return mode === undefined || Number.isNaN(mode) ? undefined : mode & MODE_BITS;
}

/** The path of a header: its name, in a ustar header behind its prefix. */
export function readPath(block: Buffer): string {
  const name = readField(block, NAME);
  // GNU tar has other fields in place of the prefix, and another magic.
  const isUstar = block.toString('latin1', MAGIC, MAGIC + 6) === 'ustar\0';
  const prefix = isUstar ? readField(block, PREFIX) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

export function readField(block: Buffer, [offset, length]: Field): string {
  return readText(block.subarray(offset, offset + length));
}

/** Text up to the first NUL. */
export function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return decodeName(end === -1 ? bytes : bytes.subarray(0, end));
}

/** True where the bytes begin with a header: its checksum is right, and it has a name, or is one of POSIX or GNU tar. */
export function startsLikeTar(head: Buffer): boolean {
  if (head.length < BLOCK_LENGTH || checksumOf(head) === undefined) return false;
  // Some programs name no extended header (Rust's tar).
  return head[0] !== 0 || head.toString('latin1', MAGIC, MAGIC + 5) === 'ustar';
}

/** Length of a record, which archives are filled up to (POSIX, pax: 20 blocks). */
const RECORD_LENGTH = 20 * BLOCK_LENGTH;

/** True where the bytes are an archive without entries: whole blocks of zeros. More of them are room that was made for a file. */
export function isEmptyTar(bytes: Buffer): boolean {
  const { length } = bytes;
  if (length === 0 || length > RECORD_LENGTH || length % BLOCK_LENGTH !== 0) return false;
  return bytes.every((byte) => byte === 0);
}

/** True where a file is called what tar archives are called. */
export function isNamedLikeTar(name: string): boolean {
  return /\.(?:tar(?:\.\w+)?|tbr|tgz|tzst)$/i.test(name);
}
