import { Buffer } from 'node:buffer';
import { packMember, paxHeader, seal } from '../helpers/tar.ts';
import type { Sample } from './corpus.ts';
import { mutateOnce } from './mutate.ts';
import { latin1Name, oddNames } from './odd-names.ts';
import { Random } from './random.ts';
import { readTarParts, type TarPart, writeTarParts } from './tar-parts.ts';
import { readZipParts, reshapeZip, writeZipParts } from './zip-parts.ts';

const BLOCK = 512;

/** What an archive of that number is made of: whole fields, entries and headers of a real one are changed, and few of them. */
export function reshape(corpus: readonly Sample[], seed: number, number: number): Sample {
  const random = new Random(seed, number);
  const { name, bytes } = random.pick(corpus);
  let reshaped: Buffer = Buffer.from(bytes);
  if (!random.oneIn(8)) reshaped = name.endsWith('.tar') ? reshapeTar(bytes, random) : zipOf(bytes, random);
  if (random.oneIn(4)) {
    reshaped = mutateOnce(reshaped, corpus, random);
    if (name.endsWith('.tar') && !random.oneIn(3)) sealAll(reshaped);
  }
  return { name, bytes: reshaped.subarray(0, 1 << 18) };
}

function zipOf(bytes: Buffer, random: Random): Buffer {
  const parts = readZipParts(bytes);
  if (parts === undefined) return Buffer.from(bytes);
  const changes = 1 + random.below(3);
  for (let change = 0; change < changes; change += 1) reshapeZip(parts, random);
  return writeZipParts(parts, random);
}

function sealAll(tar: Buffer): void {
  for (let start = 0; start + BLOCK <= tar.length; start += BLOCK) {
    const block = tar.subarray(start, start + BLOCK);
    if (block.toString('latin1', 257, 262) === 'ustar') seal(block);
  }
}

/** Fields of a tar header: offset and length. */
const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  size: [124, 12],
  mtime: [136, 12],
  link: [157, 100],
} as const;
const numbers = [
  '0000644',
  '755',
  '0100755',
  '4755 ',
  ' 644',
  '',
  '       ',
  '8',
  '-1',
  '07777777',
  'x',
  '0\0junk',
  '0000001',
];
const flags = '\x000123456789AIDKLMNSVXgx~ ';
const magics = ['ustar\x0000', 'ustar  \0', 'ustar\x00\0\0', 'ustar 00', '\0\0\0\0\0\0\0\0', 'tar\0\0\0\0\0'];

function reshapeTar(bytes: Buffer, random: Random): Buffer {
  const parts = readTarParts(bytes);
  const changes = 1 + random.below(3);
  for (let change = 0; change < changes && parts.length > 0; change += 1) changeTar(parts, random);
  return writeTarParts(parts, random);
}

function changeTar(parts: TarPart[], random: Random): void {
  const at = random.below(parts.length);
  const part = parts[at] as TarPart;
  const { header } = part;
  const put = (value: Buffer, [offset, length]: readonly [number, number]): void => {
    header.fill(0, offset, offset + length);
    value.copy(header, offset, 0, length);
  };
  const insert = (bytes: Buffer): void => {
    parts.splice(at, 0, ...readTarParts(bytes));
  };
  switch (random.below(13)) {
    case 0:
      return put(random.pick([...oddNames, latin1Name]), fields.name);
    case 1:
      return put(
        Buffer.from(random.pick(numbers)),
        random.pick<readonly [number, number]>([
          fields.mode,
          fields.mode,
          fields.size,
          fields.uid,
          fields.mtime,
        ]),
      );
    case 2:
      return put(Buffer.from(flags.charAt(random.below(flags.length)), 'latin1'), [156, 1]);
    case 3:
      return put(random.pick([...oddNames, latin1Name]), fields.link);
    case 4:
      return put(Buffer.from(random.pick(magics), 'latin1'), [257, 8]);
    case 5:
      return put(random.pick(oddNames), [345, 155]);
    case 6:
      return put(base256(random), random.pick([fields.mode, fields.size]));
    case 7:
    case 8:
      return insert(
        packMember(paxHeader(paxRecords(random), random.oneIn(6) ? 'g' : random.oneIn(6) ? 'X' : 'x')),
      );
    case 9: {
      const content = random.pick([...oddNames, latin1Name, Buffer.alloc(150, 'l')]);
      const ended = random.oneIn(3) ? content : Buffer.concat([content, Buffer.alloc(1)]);
      return insert(
        packMember({
          name: '././@LongLink',
          flag: random.pick(['L', 'K']),
          content: ended,
          magic: 'ustar  \0',
        }),
      );
    }
    case 10:
      parts.splice(random.below(parts.length), 0, {
        header: Buffer.from(header),
        content: part.content,
        isSealed: part.isSealed,
      });
      return;
    case 11:
      parts.splice(at, 1);
      return;
    default:
      if (random.oneIn(3)) part.isSealed = false;
      else if (random.oneIn(2)) insert(Buffer.alloc(BLOCK));
      else part.content = part.content.subarray(0, BLOCK * random.below(3));
  }
}

function base256(random: Random): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = random.pick([0x80, 0xff, 0x81, 0xc0]);
  bytes[random.pick([7, 11, 6, 4])] = random.below(256);
  return bytes;
}

function paxRecords(random: Random): Record<string, string | Buffer> {
  const records: Record<string, string | Buffer> = {};
  for (let count = 1 + random.below(2); count > 0; count -= 1) {
    const [key, values] = random.pick(paxValues);
    records[key] = random.pick(values);
  }
  return records;
}

const sizes = ['0', '1', '512', '3000', '07', '-1', '1.5', '99999999999999999999', ''];
const paxValues: readonly (readonly [string, readonly (string | Buffer)[]])[] = [
  ['path', [...oddNames.filter((name) => name.length > 0), latin1Name, '']],
  ['linkpath', [...oddNames.filter((name) => name.length > 0), '']],
  ['size', sizes],
  ['mode', ['755', '0']],
  ['uid', ['1000', 'x']],
  ['mtime', ['1.5', 'x']],
  ['hdrcharset', ['BINARY', 'ISO-IR 10646 2000 UTF-8']],
  ['comment', ['c', '']],
  ['SCHILY.xattr.user.a', ['b']],
  ['SCHILY.realsize', sizes],
  ['GNU.sparse.realsize', sizes],
  ['GNU.sparse.size', sizes],
  ['GNU.sparse.name', ['s', 'a/s', '']],
  ['GNU.sparse.major', ['1', '0']],
  ['LIBARCHIVE.symlinktype', ['file', 'dir']],
];
