import { Buffer } from 'node:buffer';
import { crc32, deflateRawSync } from 'node:zlib';
import { findRecords } from '../helpers/zip.ts';
import { latin1Name, oddNames } from './odd-names.ts';
import type { Random } from './random.ts';

const LOCAL = 30;
const CENTRAL = 46;
const END = 22;

/** One entry of a zip archive: both of its headers, cut into pieces. */
export interface ZipPart {
  local: { fixed: Buffer; name: Buffer; extra: Buffer };
  central: { fixed: Buffer; name: Buffer; extra: Buffer; comment: Buffer };
  /** Everything up to the next header: a descriptor, too. */
  data: Buffer;
}

/** A zip archive, cut into pieces. */
export interface ZipParts {
  prefix: Buffer;
  entries: ZipPart[];
  /** The end record with its comment, and whatever follows. */
  end: Buffer;
  /** What the end record says by how much wrong. */
  countOff: number;
}

/** `undefined` for an archive that has a zip64 end record, or headers that lead nowhere. */
export function readZipParts(bytes: Buffer): ZipParts | undefined {
  if (bytes.indexOf('PK\x06\x07', undefined, 'latin1') !== -1) return undefined;
  const { end, headers } = findRecords(bytes);
  const start = headers[0] ?? end;
  const shift = end - bytes.readUInt32LE(end + 12) - bytes.readUInt32LE(end + 16);
  if (headers.length === 0 || shift < 0) return undefined;
  const offsets = headers.map((header) => bytes.readUInt32LE(header + 42) + shift);
  const sorted = [...offsets, start].sort((one, other) => one - other);
  const copy = (from: number, to: number): Buffer => Buffer.from(bytes.subarray(from, to));
  const entries = headers.map((header, index): ZipPart => {
    const offset = offsets[index] as number;
    const next = sorted.find((one) => one > offset) ?? start;
    const [name, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(header + field)) as [
      number,
      number,
      number,
    ];
    const [localName, localExtra] = [26, 28].map((field) => bytes.readUInt16LE(offset + field)) as [
      number,
      number,
    ];
    const nameEnd = header + CENTRAL + name;
    const localEnd = offset + LOCAL + localName;
    return {
      local: {
        fixed: copy(offset, offset + LOCAL),
        name: copy(offset + LOCAL, localEnd),
        extra: copy(localEnd, localEnd + localExtra),
      },
      central: {
        fixed: copy(header, header + CENTRAL),
        name: copy(header + CENTRAL, nameEnd),
        extra: copy(nameEnd, nameEnd + extra),
        comment: copy(nameEnd + extra, nameEnd + extra + comment),
      },
      data: copy(localEnd + localExtra, next),
    };
  });
  return { prefix: copy(0, Math.min(...offsets)), entries, end: copy(end, bytes.length), countOff: 0 };
}

/** The archive again, with the right offsets and lengths. */
export function writeZipParts({ prefix, entries, end, countOff }: ZipParts, random: Random): Buffer {
  const parts: Buffer[] = [prefix];
  const headers: Buffer[] = [];
  // A prefix that the offsets do not count.
  let offset = random.oneIn(8) ? 0 : prefix.length;
  for (const { local, central, data } of entries) {
    local.fixed.writeUInt16LE(local.name.length, 26);
    local.fixed.writeUInt16LE(local.extra.length, 28);
    central.fixed.writeUInt16LE(central.name.length, 28);
    central.fixed.writeUInt16LE(central.extra.length, 30);
    central.fixed.writeUInt16LE(central.comment.length, 32);
    central.fixed.writeUInt32LE(offset, 42);
    const whole = Buffer.concat([local.fixed, local.name, local.extra, data]);
    parts.push(whole);
    offset += whole.length;
    headers.push(Buffer.concat([central.fixed, central.name, central.extra, central.comment]));
  }
  const directory = Buffer.concat(headers);
  const count = (entries.length + countOff) & 0xffff;
  const last = Buffer.from(end);
  last.writeUInt16LE(count, 8);
  last.writeUInt16LE(count, 10);
  last.writeUInt32LE(directory.length, 12);
  last.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, last]);
}

type Field = readonly [local: number | undefined, central: number, length: 2 | 4];
/** Where both headers have a field. */
const fields: readonly Field[] = [
  [4, 6, 2],
  [6, 8, 2],
  [8, 10, 2],
  [14, 16, 4],
  [18, 20, 4],
  [22, 24, 4],
  [undefined, 4, 2],
  [undefined, 34, 2],
  [undefined, 36, 2],
];
const values = [
  0, 1, 6, 8, 9, 12, 20, 45, 63, 99, 0x800, 0x808, 0x7fff, 0x8000, 0xffff, 0x10000, 0xfffffffe, 0xffffffff,
];
const words = [
  0, 0o100644, 0o100755, 0o104755, 0o040755, 0o120777, 0o644, 0o010644, 0o060600, 0o140755, 0o177777,
  0o170000,
];

/** Change one thing about an archive. */
export function reshapeZip(parts: ZipParts, random: Random): void {
  const at = random.below(parts.entries.length);
  const part = parts.entries[at];
  if (part === undefined) return;
  const { local, central } = part;
  // Both headers, or one of them.
  const where = random.below(6);
  switch (random.below(12)) {
    case 0:
    case 1: {
      const [inLocal, inCentral, length] = random.pick(fields);
      const value = random.pick(values);
      if (inLocal !== undefined && where !== 1) put(local.fixed, inLocal, length, value);
      if (where !== 0) put(central.fixed, inCentral, length, value);
      return;
    }
    case 2:
    case 3: {
      const other = random.pick(parts.entries).central.name;
      const name = random.pick([...oddNames, latin1Name, other, Buffer.concat([other, Buffer.from('/')])]);
      if (where !== 1) local.name = name;
      if (where !== 0) central.name = name;
      return;
    }
    case 4: {
      central.fixed[5] = random.pick([0, 3, 3, 3, 6, 10, 11, 14, 19, 7, 1]);
      return;
    }
    case 5:
    case 6: {
      central.fixed.writeUInt16LE(random.pick(words), 40);
      central.fixed.writeUInt16LE(random.pick([0, 0x10, 0x20, 0x01]), 38);
      return;
    }
    case 7: {
      const extra = random.pick(extras)(central.name);
      const isFirst = random.oneIn(2);
      if (where !== 1) local.extra = Buffer.concat(isFirst ? [extra, local.extra] : [local.extra, extra]);
      if (where !== 0)
        central.extra = Buffer.concat(isFirst ? [extra, central.extra] : [central.extra, extra]);
      return;
    }
    case 8:
      parts.entries.splice(random.below(parts.entries.length + 1), 0, copyOf(part));
      return;
    case 9: {
      if (random.oneIn(2)) parts.entries.splice(at, 1);
      else parts.entries.push(...parts.entries.splice(at, 1));
      return;
    }
    case 10:
      return becomeLink(part, random);
    default:
      return changeAround(parts, random);
  }
}

function changeAround(parts: ZipParts, random: Random): void {
  switch (random.below(5)) {
    case 0:
      parts.countOff = random.pick([1, -1, 5]);
      return;
    case 1:
      parts.prefix = Buffer.from(random.pick(['#!/bin/sh\n', 'x'.repeat(100), 'PK\x03\x04']), 'latin1');
      return;
    case 2:
      parts.end = Buffer.concat([
        parts.end,
        Buffer.from(random.pick(['junk', 'PK\x05\x06', '\0'.repeat(22)]), 'latin1'),
      ]);
      return;
    case 3:
      put(parts.end, random.pick([4, 6, 20]), 2, random.pick(values));
      return;
    default:
      put(parts.end.subarray(0, END), 20, 2, random.pick([0, 1, 0xffff]));
  }
}

/** A link with a text of its own, all fields right. */
function becomeLink(part: ZipPart, random: Random): void {
  const { local, central } = part;
  const text = random.pick([...oddNames, latin1Name]);
  const isDeflated = random.oneIn(2);
  part.data = isDeflated ? deflateRawSync(text) : text;
  const both = (inLocal: number, inCentral: number, length: 2 | 4, value: number): void => {
    put(local.fixed, inLocal, length, value);
    put(central.fixed, inCentral, length, value);
  };
  both(6, 8, 2, central.fixed.readUInt16LE(8) & 0x800);
  both(8, 10, 2, isDeflated ? 8 : 0);
  both(14, 16, 4, crc32(text));
  both(18, 20, 4, part.data.length);
  both(22, 24, 4, text.length);
  central.fixed.writeUInt16LE(0o120777, 40);
}

function copyOf({ local, central, data }: ZipPart): ZipPart {
  return {
    local: { fixed: Buffer.from(local.fixed), name: local.name, extra: local.extra },
    central: { ...central, fixed: Buffer.from(central.fixed) },
    data,
  };
}

function put(bytes: Buffer, offset: number, length: 2 | 4, value: number): void {
  if (length === 2) bytes.writeUInt16LE(value & 0xffff, offset);
  else bytes.writeUInt32LE(value >>> 0, offset);
}

function extraOf(id: number, data: Buffer, length = data.length): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(length, 2);
  return Buffer.concat([head, data]);
}

function unicodePath(path: string, crc: number): Buffer {
  const head = Buffer.alloc(5, 1);
  head.writeUInt32LE(crc, 1);
  return extraOf(0x7075, Buffer.concat([head, Buffer.from(path)]));
}

const extras: readonly ((name: Buffer) => Buffer)[] = [
  (name) => unicodePath('caf\u00e9', crc32(name)),
  (name) => unicodePath('../out', crc32(name)),
  (name) => unicodePath('wrong', (crc32(name) ^ 1) >>> 0),
  () => extraOf(0x7075, Buffer.from([1, 0])),
  () => extraOf(1, Buffer.alloc(8, 1)),
  () => extraOf(1, Buffer.alloc(24)),
  () => extraOf(1, Buffer.alloc(0)),
  () => extraOf(0x5455, Buffer.from([1, 0, 0, 0, 0])),
  // A Unix mode of its own, as ASi writes one: CRC-32, mode, size of link, uid, gid.
  () => extraOf(0x756e, Buffer.from('0000000000000000ed8100000000e803e803', 'hex').subarray(4)),
  () => extraOf(0xcafe, Buffer.from('x')),
  () => extraOf(0x7875, Buffer.from([1, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0])),
  () => extraOf(0xcafe, Buffer.from('x'), 200),
  () => Buffer.from([0, 0, 0]),
  // What libarchive writes: version made by and attributes of its own.
  () => extraOf(0x6c78, Buffer.from([7, 0x14, 3, 0, 0, 0, 0, 0xed, 0x81])),
];
