import type { Header } from 'tar/header';
import { decodeName } from '../directory/names.ts';
import type { ManifestEntry } from './manifest.ts';

/** Everything in an archive fills whole blocks (POSIX, pax, "ustar Interchange Format"). */
export const BLOCK_LENGTH = 512;
const FILE_FLAG = '0'.charCodeAt(0);
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
export const OLD_GNU_SPARSE = 'S';
/** Type flags of what is no entry: a volume's label (GNU tar), ACLs (Solaris), an inode's facts (star). */
export const skipped = 'VAI';
/** Type flags of what is not read. */
export const refused: Readonly<Record<string, string>> = {
  M: 'continues on from another volume of a multi-volume archive',
  N: 'is a table of mangled names, as only very old GNU tar made them',
};
/** Type flags of extended headers: of POSIX, of Solaris, of all entries, and GNU tar's two. */
export const extendedHeaders = 'xXgLK';

/** Fields of a header that are read here, by offset and length. */
const NAME = [0, 100] as const;
export const SIZE = [124, 12] as const;
export const TYPE_FLAG = 156;
export const LINK_NAME = [157, 100] as const;
const MAGIC = 257;
const PREFIX = [345, 155] as const;
/** Of GNU tar's old sparse format: "more headers follow", the real size; and "more follow" in such a header. */
export const SPARSE_EXTENDED = 482;
export const SPARSE_REAL_SIZE = [483, 12] as const;
export const SPARSE_MORE_EXTENDED = 504;

/** A header with no name and the type of a file: `tar` sets sizes of its own by the name's last byte and the type. */
export function onlyNumbers(block: Buffer): Buffer {
  const copy = Buffer.from(block);
  copy.fill(0, NAME[0], NAME[0] + NAME[1]);
  copy[TYPE_FLAG] = FILE_FLAG;
  return copy;
}

/** How many bytes fill up the last block of some content. */
export function paddingOf(size: number): number {
  return (BLOCK_LENGTH - (size % BLOCK_LENGTH)) % BLOCK_LENGTH;
}

/** The size field of a header; blank means 0. */
export function readSize(header: Header, block: Buffer): number {
  if (header.size !== undefined) return header.size;
  const field = block.subarray(SIZE[0], SIZE[0] + SIZE[1]);
  if (field.every((byte) => byte === 0 || byte === 0x20)) return 0;
  throw new Error(`has a size field that is no number: ${JSON.stringify(field.toString('latin1'))}`);
}

/** The path of a header: its name, in a ustar header behind its prefix. */
export function readPath(block: Buffer): string {
  const name = readField(block, NAME);
  // GNU tar has other fields in place of the prefix, and another magic.
  const isUstar = block.toString('latin1', MAGIC, MAGIC + 6) === 'ustar\0';
  const prefix = isUstar ? readField(block, PREFIX) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

export function readField(block: Buffer, [offset, length]: readonly [number, number]): string {
  return readText(block.subarray(offset, offset + length));
}

/** Text up to the first NUL. */
export function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return decodeName(end === -1 ? bytes : bytes.subarray(0, end));
}

/** True where the bytes begin with a header: its checksum is right, and it has a name. */
export async function startsLikeTar(head: Buffer): Promise<boolean> {
  if (head.length < BLOCK_LENGTH || head[0] === 0) return false;
  const { Header } = await import('tar/header');
  try {
    return new Header(head.subarray(0, BLOCK_LENGTH)).cksumValid;
  } catch {
    return false;
  }
}
