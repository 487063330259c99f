import { stat } from 'node:fs/promises';
import { absolutePath } from '../absolute.ts';
import { checkSource } from '../checks.ts';
import { ManifestError } from '../errors.ts';
import { type Archive, openArchive } from './archive.ts';
import { type Compression, compressionOf, decompress, isNamedLikeBrotli } from './decompress.ts';
import { readListManifest, startsLikeJsonArray, startsLikeJsonObject, startsLikeList } from './list.ts';
import type { Manifest } from './manifest.ts';
import { readRecordManifest, startsLikeRecord } from './record.ts';
import { readTarManifest } from './tar.ts';
import { startsLikeTar } from './tar-header.ts';
import { readZipManifest } from './zip.ts';
import { endsLikeZip, startsLikeZip } from './zip-directory.ts';

/** Both ends of a file; they overlap where it is short. */
interface Sample {
  /** The first 64 KiB: more than any signature, and enough rows to know a table by. */
  readonly head: Buffer;
  /** Whether the head is all there is. */
  readonly isWhole: boolean;
  /** The last 64 KiB and more, in which a zip archive has its end record. */
  readonly tail: Buffer;
  /** How it is compressed as a whole. */
  readonly compression: Compression | undefined;
  /** The first bytes that it decompresses to, made when they are asked for. */
  decompress(): Promise<Buffer>;
}
const HEAD_LENGTH = 1 << 16;
const TAIL_LENGTH = (1 << 16) + 512;
/** A tar header, and more than any other signature. */
const INNER_LENGTH = 512;

/** One kind of file that a manifest is read from. */
interface Recogniser {
  /** What it is called in a message. */
  readonly name: string;
  recognises(sample: Sample): boolean | Promise<boolean>;
  read(source: string): Promise<Manifest>;
}

const zip = { name: 'a zip archive (.zip, .mcpb, .whl)', read: readZipManifest };
const tar = { name: 'a tar archive (also gzip, zstd, Brotli)', read: readTarManifest };
const list = { name: 'a list of paths (lines, NUL-separated, JSON)', read: readListManifest };

/** In the order in which they are asked: a sure signature first. */
const recognisers: readonly Recogniser[] = [
  { ...zip, recognises: ({ head }) => startsLikeZip(head) },
  { ...tar, recognises: ({ head }) => startsLikeTar(head) },
  // What stands before a self-extracting archive may look like a program, a script, or compressed data.
  { ...zip, recognises: ({ tail }) => endsLikeZip(tail) },
  { ...tar, recognises: async (sample) => startsLikeTar(await sample.decompress()) },
  {
    name: 'a Python RECORD (also a directory with *.dist-info/RECORD)',
    read: readRecordManifest,
    recognises: ({ head, isWhole }) => startsLikeRecord(head, isWhole),
  },
  { ...list, recognises: ({ head }) => startsLikeJsonArray(head) },
  { ...list, recognises: ({ head }) => !hasBinarySignature(head) && startsLikeList(head) },
];

/** What a file that no recogniser takes is called, by its first bytes. */
const signatures: readonly (readonly [name: string, bytes: string, position?: number])[] = [
  ['bzip2-compressed data', 'BZh'],
  ['xz-compressed data', '\xfd7zXZ\0'],
  ['a 7-Zip archive', '7z\xbc\xaf\x27\x1c'],
  ['a RAR archive', 'Rar!\x1a\x07'],
  ['a tar archive whose first header is broken', 'ustar', 257],
  ['an ELF program', '\x7fELF'],
  ['a Windows program', 'MZ'],
  ['a script', '#!'],
  ['UTF-16 text', '\xff\xfe'],
  ['UTF-16 text', '\xfe\xff'],
];

/**
 * Read a manifest from a file, recognised by its content, not by its name: a zip archive (`.zip`, `.mcpb`, `.whl`), also
 * behind a self-extracting prefix; a tar archive, also compressed with gzip, zstd or Brotli (of these, Brotli data can be
 * known only by the name's end, `.tar.br` or `.tbr`); the RECORD of a Python distribution, or a directory with such; a
 * list of paths, one a line, separated by NUL, or as JSON.
 *
 * @param source path of the file, or of a directory with `*.dist-info/RECORD` directly below it.
 * @throws ManifestError where it cannot be read (`code` is the errno's name), is nothing that a manifest is read
 *   from (the message says what it is), or is broken; see {@link readZipManifest}, {@link readTarManifest} and
 *   {@link readRecordManifest}.
 *
 * @example
 * const manifest = await readManifest('bundle.mcpb');
 * console.log(manifest.format, manifest.entries.length);
 */
export async function readManifest(source: string): Promise<Manifest> {
  checkSource(source);
  const path = absolutePath(source);
  if (await isDirectory(path)) return readRecordManifest(path);
  const recogniser = await recognise(path);
  return recogniser.read(path);
}

/** True for a directory. What cannot be looked at is left to the reading, which says why. */
async function isDirectory(source: string): Promise<boolean> {
  const stats = await stat(source).catch(() => undefined);
  return stats?.isDirectory() === true;
}

async function recognise(source: string): Promise<Recogniser> {
  const archive = await openArchive(source);
  try {
    const sample = await takeSample(archive, source);
    for (const recogniser of recognisers) if (await recogniser.recognises(sample)) return recogniser;
    const what = await describe(sample);
    const names = [...new Set(recognisers.map(({ name }) => name))].join(', ');
    throw new ManifestError(`is ${what}; a manifest is read from ${names}`, { source });
  } finally {
    await archive.close();
  }
}

async function takeSample(archive: Archive, source: string): Promise<Sample> {
  const head = await archive.read(0, Math.min(HEAD_LENGTH, archive.size));
  const tailLength = Math.min(TAIL_LENGTH, archive.size);
  const tail = await archive.read(archive.size - tailLength, tailLength);
  const compression = compressionOf(head) ?? (isNamedLikeBrotli(source) ? 'brotli' : undefined);
  let inner: Promise<Buffer> | undefined;
  return {
    head,
    isWhole: head.length === archive.size,
    tail,
    compression,
    decompress: () => {
      inner ??= decompressStart(archive, compression);
      return inner;
    },
  };
}

/** The first bytes that an archive decompresses to; none where it is not compressed. */
async function decompressStart(archive: Archive, compression: Compression | undefined): Promise<Buffer> {
  let start = Buffer.alloc(0);
  if (compression === undefined) return start;
  for await (const chunk of decompress(archive, compression)) {
    start = Buffer.concat([start, chunk]);
    if (start.length >= INNER_LENGTH) break;
  }
  return start.subarray(0, INNER_LENGTH);
}

/** What a file is, in words. */
async function describe({ head, compression, decompress }: Sample): Promise<string> {
  if (compression === undefined) return describeStart(head.subarray(0, INNER_LENGTH));
  return `${compression}-compressed: ${describeStart(await decompress())}`;
}

/** True where the first bytes are those of a known format, and no text. */
function hasBinarySignature(head: Buffer): boolean {
  if (compressionOf(head) !== undefined) return true;
  const start = head.toString('latin1', 0, 8);
  return signatures.some(([, bytes]) => /[^ -~]/.test(bytes) && start.startsWith(bytes));
}

/** What data is that begins like this, in words. */
function describeStart(head: Buffer): string {
  if (head.length === 0) return 'an empty file';
  const latin1 = head.toString('latin1');
  const known = signatures.find(([, bytes, position = 0]) => latin1.startsWith(bytes, position));
  if (known !== undefined) return known[0];
  if (startsLikeJsonObject(head)) return 'a JSON object';
  const text = decodeText(head);
  if (text?.trim() === '') return 'blank text';
  if (text !== undefined) return `text that begins with ${JSON.stringify(text.slice(0, 40))}`;
  const bytes = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0'));
  return `data that begins with the bytes ${bytes.join(' ')}`;
}

/** The text of these first bytes, or `undefined` where they are not UTF-8 text. */
function decodeText(head: Buffer): string | undefined {
  try {
    // The last character may be cut.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}
