import { Buffer } from 'node:buffer';
import { gunzipSync, gzipSync } from 'node:zlib';
import { seal } from '../helpers/tar.ts';
import type { Sample } from './corpus.ts';
import { Random } from './random.ts';

/** Longest input. */
const MAX_LENGTH = 1 << 18;
const BLOCK = 512;

const interesting = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000]
  .concat([0x7fffffff, 0x80000000, 0xffffffff])
  .flatMap((value) => [BigInt(value), -BigInt(value)])
  .concat([2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n]);
const digits = ['0', '7', '1', '77777777777', '9007199254740993', '-1', '1e9', '', '00000000000'];
/** What means something to one of the readers. */
const words = [
  'PK\x01\x02',
  'PK\x03\x04',
  'PK\x05\x06',
  'PK\x06\x06',
  'PK\x06\x07',
  '\x75\x70',
  'MCPB_SIG_V1',
  'MCPB_SIG_END',
  'manifest.json',
  'ustar\x0000',
  'ustar  \0',
  '\x80\0\0\0\0\0\0\0\0\0\0\x01',
  '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
  '11 path=a\n',
  '20 size=99999999999\n',
  'GNU.sparse.realsize=1',
  'GNU.sparse.map=0,1',
  '.dist-info/RECORD,,\n',
  'sha256=abc,',
  '../',
  '/',
  '\\',
  'C:',
  '__proto__',
  '"',
  '""',
  ',',
  '\r\n',
  '\0',
  '\n',
  '{"path":',
  '[[[[[[[[',
  '\\ud800',
  '\xef\xbb\xbf',
  '\xff\xfe',
  '\x1f\x8b\x08',
  '\x28\xb5\x2f\xfd',
].map((word) => Buffer.from(word, 'latin1'));

/** The input of that number: the same for the same corpus, seed and number. */
export function mutate(corpus: readonly Sample[], seed: number, number: number): Sample {
  const random = new Random(seed, number);
  const { name, bytes } = random.pick(corpus);
  const isUnpacked = name.endsWith('.tgz') && random.oneIn(2);
  let mutated: Buffer = Buffer.from(isUnpacked ? gunzipSync(bytes) : bytes);
  const isTar = isUnpacked || name.endsWith('.tar');
  for (let count = 1 + random.below(1 << random.below(5)); count > 0; count -= 1) {
    mutated = mutateOnce(mutated, corpus, random).subarray(0, MAX_LENGTH);
  }
  // A wrong checksum would be all that is ever seen.
  if (isTar && !random.oneIn(4)) sealHeaders(mutated);
  return { name, bytes: isUnpacked ? gzipSync(mutated, { level: 1 }) : mutated };
}

function sealHeaders(tar: Buffer): void {
  for (let start = 0; start + BLOCK <= tar.length; start += BLOCK) {
    const block = tar.subarray(start, start + BLOCK);
    if (block.toString('latin1', 257, 262) === 'ustar') seal(block);
  }
}

export function mutateOnce(bytes: Buffer, corpus: readonly Sample[], random: Random): Buffer {
  const at = positionIn(bytes, random);
  const length = Math.min(bytes.length - at, 1 + random.below(1 << (1 + random.below(10))));
  const block = bytes.subarray(at, at + length);
  const replace = (by: Buffer, of = by.length): Buffer =>
    Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + of)]);
  switch (random.below(14)) {
    case 0:
      return xor(bytes, at, 1 << random.below(8));
    case 1:
      return xor(bytes, at, 1 + random.below(255));
    case 2:
      return replace(integer(random.pick(interesting), random));
    case 3:
      return replace(integer(BigInt(random.below(70) - 35), random));
    case 4:
      return replace(Buffer.alloc(0), length);
    case 5:
      return replace(Buffer.from(block), 0);
    case 6: {
      const from = positionIn(bytes, random);
      return replace(Buffer.from(bytes.subarray(from, from + length)));
    }
    case 7: {
      const from = positionIn(bytes, random);
      return replace(Buffer.from(bytes.subarray(from, from + length)), 0);
    }
    case 8:
      return replace(Buffer.alloc(length, random.below(256)), random.oneIn(2) ? 0 : length);
    case 9:
      return replace(random.pick(words), random.oneIn(2) ? 0 : undefined);
    case 10:
      return replaceDigits(bytes, at, random);
    case 11:
      return bytes.subarray(0, at);
    case 12: {
      const other = random.pick(corpus).bytes;
      return Buffer.concat([bytes.subarray(0, at), other.subarray(positionIn(other, random))]);
    }
    default:
      return xor(xor(bytes, at, random.below(256)), at + 1, random.below(256));
  }
}

/** Anywhere, and often near the end, where a zip archive has its directory. */
function positionIn(bytes: Buffer, random: Random): number {
  const last = random.oneIn(3) ? Math.min(bytes.length, 1024) : bytes.length;
  return bytes.length - last + random.below(last);
}

function xor(bytes: Buffer, at: number, by: number): Buffer {
  const before = bytes[at];
  if (before !== undefined) bytes[at] = before ^ by;
  return bytes;
}

/** A number of one to eight bytes, in either order. */
function integer(value: bigint, random: Random): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  const some = bytes.subarray(0, 1 << random.below(4));
  return random.oneIn(2) ? some : some.reverse();
}

/** Another number in place of the digits that stand next. */
function replaceDigits(bytes: Buffer, at: number, random: Random): Buffer {
  const rest = bytes.toString('latin1', at);
  const found = /\d+/.exec(rest);
  if (found === null) return bytes;
  const start = at + found.index;
  const isSameLength = random.oneIn(2);
  const by = random.pick(digits);
  const text = isSameLength ? by.padStart(found[0].length, '0').slice(0, found[0].length) : by;
  return Buffer.concat([
    bytes.subarray(0, start),
    Buffer.from(text, 'latin1'),
    bytes.subarray(start + found[0].length),
  ]);
}
