import { createWriteStream, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createBrotliCompress, createGzip } from 'node:zlib';
import { ManifestError, readManifest } from '../../../lib/index.ts';
import { extent } from '../../helpers/extent.ts';
import { endMark, type PackedMember, packMember, packTar, paxHeader } from '../../helpers/tar.ts';
import { tempDirectory } from '../../helpers/tree.ts';
import { alter, findRecords, packZip } from '../../helpers/zip.ts';
import { inMiB, type Result, underWatch, type Watch } from '../attack.ts';
import { peakOf } from '../peak.ts';

/** What reading the manifest of an archive of a few MiB may need. */
const MAX_MEMORY = extent({ short: 50, full: 200 }) << 20;
const MIB = 1 << 20;
/** What the content of a bomb decompresses to, in MiB: more than {@link MAX_MEMORY}. */
const BOMB_MIB = extent({ short: 64, full: 512 });
/** How many names or link targets of a MiB each. */
const LONG_TEXTS = extent({ short: 60, full: 300 });
/** Headers of a small archive that all lead to one content. */
const HEADERS = 500;
/** How many times as long they may take as as many that lead nowhere. */
const SLOWNESS = 20;

/**
 * Archives that are small and claim, or decompress to, far more: each gives a manifest or a ManifestError, in memory that
 * is bounded, and none makes the reader do one piece of work over and over.
 */
export function archiveBombs(seconds: number): Promise<Result> {
  return underWatch(async (watch) => {
    const directory = tempDirectory();
    const bombs = await writeBombs(directory);
    const round = async () => {
      for (const [name, path] of bombs) {
        const outcome = await readBounded(watch, name, path);
        const expected = outcomes.get(name);
        watch.must(expected === undefined || outcome === expected, `${name}: ${outcome}`);
      }
      await overlapping(watch, directory);
    };
    await watch.rounds(seconds, round);
  });
}

/** Bombs that have one right answer: how many entries, or that they are refused. */
const outcomes: ReadonlyMap<string, string> = new Map([
  ['gzip of zeros behind the end', '1 entries'],
  ['brotli of zeros behind the end', '1 entries'],
  ['gzip of a large file', '2 entries'],
  ['zip with 65,535 entries that are not there', 'refused'],
  ['zip64 with 2^32 + 1 entries', 'refused'],
  ['zip with a directory of 4 GiB', 'refused'],
  ['zip with a file of 4 GiB in nothing', 'refused'],
  ['tar with a file of 8 EiB', 'refused'],
  ['tar with a pax header of 8 GiB', 'refused'],
  ['tar with a pax record of 2^53', 'refused'],
  ['tar with nothing but pax headers', 'refused'],
]);

async function writeBombs(directory: string): Promise<Map<string, string>> {
  const bombs = new Map<string, string>();
  const add = async (
    name: string,
    content: Uint8Array | Readable,
    extension = '',
    compression?: NodeJS.ReadWriteStream,
  ) => {
    const path = join(directory, `${bombs.size}${extension}`);
    if (content instanceof Readable)
      await pipeline(content, compression as NodeJS.ReadWriteStream, createWriteStream(path));
    else writeFileSync(path, content);
    bombs.set(name, path);
  };
  const zip = packZip({ a: { content: 'a' }, b: { content: 'b' } });
  const tar = packTar([{ name: 'a', content: 'a' }]);
  const size = (bytes: number) => ({ size: bytes.toString(8).padStart(11, '0') });
  const base256 = Buffer.from([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  const member = (given: PackedMember) => Buffer.concat([packMember(given), endMark]);
  await add('gzip of zeros behind the end', zeros(tar), '.tgz', quickGzip());
  await add(
    'brotli of zeros behind the end',
    zeros(tar),
    '.tar.br',
    createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  );
  const large = packMember({ name: 'large', ...size(BOMB_MIB * MIB) });
  await add(
    'gzip of a large file',
    zeros(Buffer.concat([packMember({ name: 'a' }), large])),
    '.tgz',
    quickGzip(),
  );
  await add('gzip of long names', longNames(), '.tgz', quickGzip());
  await add('gzip of long link targets', longTargets(), '.tgz', quickGzip());
  await add(
    'zip with 65,535 entries that are not there',
    alter(zip, (copy, end) => copy.writeUInt32LE(0xffffffff, end + 8)),
  );
  await add('zip64 with 2^32 + 1 entries', withZip64End(zip));
  await add(
    'zip with a directory of 4 GiB',
    alter(zip, (copy, end) => copy.writeUInt32LE(0xfffffffe, end + 12)),
  );
  await add(
    'zip with a file of 4 GiB in nothing',
    alter(zip, (copy, _end, header) => copy.writeUInt32LE(0xfffffffe, header + 20)),
  );
  await add('tar with a file of 8 EiB', member({ name: 'a', size: base256 }));
  await add('tar with a pax header of 8 GiB', member({ name: 'x', flag: 'x', ...size(2 ** 33 - 1) }));
  await add('tar with a pax record of 2^53', packTar([paxHeader({ size: String(2 ** 53) }), { name: 'a' }]));
  const filler = packMember(paxHeader({ comment: 'c'.repeat(MIB - 100) }));
  await add(
    'tar with nothing but pax headers',
    Buffer.concat([...Array.from({ length: 16 }, () => filler), endMark]),
  );
  return bombs;
}

const quickGzip = () => createGzip({ level: 1 });

/** Something, and zeros behind it. */
function zeros(start: Buffer): Readable {
  const chunk = Buffer.alloc(MIB);
  return Readable.from([start, ...Array.from({ length: BOMB_MIB }, () => chunk), endMark]);
}

/** Entries whose names are as long as a pax header may have them: 300 MiB in a third of one. */
function longNames(): Readable {
  const name = 'x'.repeat(MIB - 100);
  return Readable.from(
    (function* () {
      for (let number = 0; number < LONG_TEXTS; number += 1)
        yield Buffer.concat([packMember(paxHeader({ path: `${number}${name}` })), packMember({ name: 'x' })]);
      yield endMark;
    })(),
  );
}

function longTargets(): Readable {
  const linkpath = 'x'.repeat(MIB - 100);
  return Readable.from(
    (function* () {
      for (let number = 0; number < LONG_TEXTS; number += 1)
        yield Buffer.concat([
          packMember(paxHeader({ linkpath })),
          packMember({ name: `x${number}`, flag: '2' }),
        ]);
      yield endMark;
    })(),
  );
}

/** The same archive with a zip64 end record that claims more entries than 32 bits can count. */
function withZip64End(zip: Buffer): Buffer {
  const { end, headers } = findRecords(zip);
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(2n ** 32n + 1n, 24);
  record.writeBigUInt64LE(2n ** 32n + 1n, 32);
  record.writeBigUInt64LE(BigInt(end - (headers[0] ?? 0)), 40);
  record.writeBigUInt64LE(BigInt(headers[0] ?? 0), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(end), 8);
  locator.writeUInt32LE(1, 16);
  const last = Buffer.from(zip.subarray(end));
  last.writeUInt32LE(0xffffffff, 8);
  return Buffer.concat([zip.subarray(0, end), record, locator, last]);
}

/** What came of reading: how many entries, or that it was refused. */
async function readBounded(watch: Watch, name: string, path: string): Promise<string> {
  let outcome = '';
  const peak = await peakOf(async () => {
    try {
      outcome = `${(await readManifest(path)).entries.length} entries`;
    } catch (error) {
      outcome = error instanceof ManifestError ? 'refused' : String(error);
      watch.must(error instanceof ManifestError, `${name}: ${error}`);
    }
  });
  watch.must(peak < MAX_MEMORY, `${name}, ${inMiB(statSync(path).size)}: takes ${inMiB(peak)}`);
  return outcome;
}

/** Headers of a zip archive that all lead to one content are no more work than headers of empty files. */
async function overlapping(watch: Watch, directory: string): Promise<void> {
  const path = join(directory, 'overlapping.zip');
  const content = JSON.stringify({ server: {}, filler: 'x'.repeat(MIB - 100) });
  const elapsed: number[] = [];
  for (const name of ['something.json', 'manifest.json']) {
    writeFileSync(path, repeated(packZip({ [name]: { mode: 0o100644, content } })));
    const started = performance.now();
    await readBounded(watch, name, path);
    elapsed.push(performance.now() - started);
  }
  const [ordinary = 0, bomb = 0] = elapsed;
  const times = `${HEADERS} headers of manifest.json take ${bomb.toFixed(0)} ms, of another file ${ordinary.toFixed(0)} ms`;
  watch.must(bomb < SLOWNESS * ordinary, times);
}

/** An archive of one entry whose header stands there many times. */
function repeated(zip: Buffer): Buffer {
  const { end, headers } = findRecords(zip);
  const header = zip.subarray(headers[0], end);
  const last = Buffer.from(zip.subarray(end));
  last.writeUInt16LE(HEADERS, 8);
  last.writeUInt16LE(HEADERS, 10);
  last.writeUInt32LE(HEADERS * header.length, 12);
  return Buffer.concat([zip.subarray(0, headers[0]), ...Array.from({ length: HEADERS }, () => header), last]);
}
