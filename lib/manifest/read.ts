import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { absolutePath } from '../absolute.ts';
import { checkObject, checkSource } from '../checks.ts';
import { ManifestError } from '../errors.ts';
import { own } from '../own.ts';
import { type Archive, openArchive } from './archive.ts';
import { type Compression, compressionOf, decompress, isNamedLikeBrotli } from './decompress.ts';
import { archiveSuffix, describeStart, hasBinarySignature, isText, remedyFor } from './describe.ts';
import { readListManifest, startsLikeJsonArray, startsLikeList } from './list.ts';
import type { Manifest } from './manifest.ts';
import { checkMapping, type MappingOptions, mapManifest } from './mapping.ts';
import { readMtreeManifest, startsLikeMtree } from './mtree.ts';
import { checkReadOptions, type ReadOptions } from './options.ts';
import { readRecordManifest, startsLikeRecord } from './record.ts';
import { readTarManifest } from './tar.ts';
import { isEmptyTar, isNamedLikeTar, startsLikeTar } from './tar-header.ts';
import { readZipManifest } from './zip.ts';
import { endsLikeZip, hasDirectory, startsLikeZip } from './zip-directory.ts';

/** Both ends of a file; they overlap where it is short. */
interface Sample {
  /** Its name without directories. */
  readonly name: string;
  /** The first 64 KiB: more than any signature, and enough rows to know a table by. */
  readonly head: Buffer;
  /** Whether the head is all there is. */
  readonly isWhole: boolean;
  /** The last 64 KiB and more, in which a zip archive has its end record. */
  readonly tail: Buffer;
  /** Whether a zip archive lies in it, with other bytes before and behind it. */
  hasZipDirectory(): Promise<boolean>;
  /** How it is compressed as a whole. */
  readonly compression: Compression | undefined;
  /** The first bytes that it decompresses to, made when they are asked for. */
  decompress(): Promise<Buffer>;
}
const optionNames: ReadonlySet<string> = new Set(['signal', 'strip', 'prefix']);
const HEAD_LENGTH = 1 << 16;
const TAIL_LENGTH = (1 << 16) + 512;
/** What is decompressed to know it by: as much as of any other file. mtree(5) may begin with many comments. */
const INNER_LENGTH = HEAD_LENGTH;

/** One kind of file that a manifest is read from. */
interface Recogniser {
  /** What it is called in a message. */
  readonly name: string;
  recognises(sample: Sample): boolean | Promise<boolean>;
  read(source: string, options: ReadOptions): Promise<Manifest>;
}

const zip = { name: 'a zip archive (.zip, .mcpb, .whl)', read: readZipManifest };
const tar = { name: 'a tar archive (also gzip, zstd, Brotli)', read: readTarManifest };
const mtree = { name: 'a specification of mtree(5)', read: readMtreeManifest };
const list = { name: 'a list of paths (lines, NUL-separated, JSON)', read: readListManifest };

/** In the order in which they are asked: a sure signature first. */
const recognisers: readonly Recogniser[] = [
  { ...zip, recognises: ({ head }) => startsLikeZip(head) },
  { ...tar, recognises: ({ head }) => startsLikeTar(head) },
  // What stands before a self-extracting archive may look like a program, a script, or compressed data.
  { ...zip, recognises: ({ tail }) => endsLikeZip(tail) },
  { ...tar, recognises: async (sample) => startsLikeTar(await sample.decompress()) },
  { ...zip, recognises: ({ hasZipDirectory }) => hasZipDirectory() },
  {
    ...tar,
    recognises: async ({ name, head, compression, decompress }) =>
      isNamedLikeTar(name) && isEmptyTar(compression === undefined ? head : await decompress()),
  },
  { ...mtree, recognises: ({ head }) => !hasBinarySignature(head) && startsLikeMtree(head) },
  { ...mtree, recognises: async (sample) => startsLikeMtree(await sample.decompress()) },
  {
    name: 'a Python RECORD (also a directory with *.dist-info/RECORD)',
    read: readRecordManifest,
    recognises: ({ name, head, isWhole }) =>
      !hasBinarySignature(head) &&
      (startsLikeRecord(head, isWhole) || (name === 'RECORD' && isText(head) && head.length > 0)),
  },
  { ...list, recognises: ({ name, head }) => !isNamedLikeArchive(name) && startsLikeJsonArray(head) },
  {
    ...list,
    recognises: ({ name, head, isWhole }) =>
      !isNamedLikeArchive(name) &&
      !hasBinarySignature(head) &&
      startsLikeList(head, isWhole, isNamedLikeList(name)),
  },
];

/** What lists are called: then names in it may be anything. */
function isNamedLikeList(name: string): boolean {
  return /\.(?:files|lst|list|paths|txt)$|^(?:contents|files|list|manifest|names|paths)$/i.test(name);
}

/** A file that is named like an archive, and is none, is no list of paths either: a server's answer, or a placeholder. */
function isNamedLikeArchive(name: string): boolean {
  return archiveSuffix(name) !== undefined;
}

/**
 * Read a manifest from a file, which is recognised by its content:
 *
 * - a zip archive (`.zip`, `.mcpb`, `.whl`), also behind a self-extracting prefix;
 * - a tar archive, also compressed with gzip, zstd or Brotli (Brotli only with a name that ends in `.tar.br` or `.tbr`);
 * - a specification of mtree(5), also compressed with gzip or zstd;
 * - the RECORD of a Python distribution, or a directory with such;
 * - a list of paths: one a line, separated by NUL, or as JSON.
 *
 * If a file has the name of an archive but holds text, the error says what the text is.
 *
 * @param source path of the file, or of a directory with `*.dist-info/RECORD` directly below it.
 * @param options `signal` stops the reading; `strip` or `prefix` map the paths to where the extractor puts them: see
 *   {@link MappingOptions}
 * @throws ManifestError if it cannot be read (`code` is the errno's name), is none of these (the message says what it
 *   is), or is broken; see {@link readZipManifest}, {@link readTarManifest} and {@link readRecordManifest}. No message
 *   quotes the content of a file that is none of these.
 * @throws TypeError or RangeError for a wrong option or source
 * @throws the signal's reason when it is aborted
 *
 * @example
 * import { readManifest } from 'permwalk';
 *
 * const manifest = await readManifest('bundle.mcpb', { signal: AbortSignal.timeout(60_000) });
 * for (const { code, message } of manifest.warnings) console.warn(code, message);
 *
 * @example
 * const files = await readManifest('extension.vsix', { prefix: 'extension' });
 */
export async function readManifest(
  source: string,
  options: ReadOptions & MappingOptions = {},
): Promise<Manifest> {
  checkSource(source);
  const path = absolutePath(source);
  checkObject('options', options);
  const { strip, prefix } = own(options);
  const checked = checkReadOptions(options, optionNames);
  const mapping = checkMapping({ strip, prefix });
  const manifest = await readAsIs(path, checked);
  return mapping === undefined ? manifest : mapManifest(manifest, mapping, checked.signal);
}

async function readAsIs(source: string, checked: ReadOptions): Promise<Manifest> {
  if (await isDirectory(source)) return readRecordManifest(source, checked);
  const recogniser = await recognise(source, checked);
  return recogniser.read(source, checked);
}

/** True for a directory. What cannot be looked at is left to the reading, which says why. */
async function isDirectory(source: string): Promise<boolean> {
  const stats = await stat(source).catch(() => undefined);
  return stats?.isDirectory() === true;
}

async function recognise(source: string, { signal }: ReadOptions): Promise<Recogniser> {
  const archive = await openArchive(source, signal);
  try {
    const sample = await takeSample(archive, source, signal);
    for (const recogniser of recognisers) if (await recogniser.recognises(sample)) return recogniser;
    throw new ManifestError(await describe(sample), { source });
  } finally {
    await archive.close();
  }
}

async function takeSample(
  archive: Archive,
  source: string,
  signal: AbortSignal | undefined,
): Promise<Sample> {
  const head = await archive.read(0, Math.min(HEAD_LENGTH, archive.size));
  const tailLength = Math.min(TAIL_LENGTH, archive.size);
  const tail = await archive.read(archive.size - tailLength, tailLength);
  // Brotli has no signature; what is text is none.
  const isBrotli = isNamedLikeBrotli(source) && !isText(head);
  const compression = compressionOf(head) ?? (isBrotli ? 'brotli' : undefined);
  let inner: Promise<Buffer> | undefined;
  return {
    name: basename(source),
    head,
    isWhole: head.length === archive.size,
    tail,
    hasZipDirectory: () => hasDirectory(archive, tail),
    compression,
    decompress: () => {
      inner ??= decompressStart(archive, compression, signal);
      return inner;
    },
  };
}

/** The first bytes that an archive decompresses to; none where it is not compressed. */
async function decompressStart(
  archive: Archive,
  compression: Compression | undefined,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  let start = Buffer.alloc(0);
  if (compression === undefined) return start;
  for await (const chunk of decompress(archive, compression, () => signal?.aborted === true)) {
    start = Buffer.concat([start, chunk]);
    if (start.length >= INNER_LENGTH) break;
  }
  return start.subarray(0, INNER_LENGTH);
}

/** What a file is, in words, and what to do. */
async function describe({ name, head, compression, decompress }: Sample): Promise<string> {
  const inner = compression === undefined ? head.subarray(0, INNER_LENGTH) : await decompress();
  const what = `${compression === undefined ? '' : `${compression}-compressed: `}${describeStart(inner)}`;
  const isPackedTwice =
    compression !== undefined && (startsLikeZip(inner) || compressionOf(inner) !== undefined);
  const remedy = isPackedTwice ? 'decompress it once, and read that' : remedyFor(inner);
  const suffix = archiveSuffix(name);
  if (suffix !== undefined && isText(inner)) {
    return `is named like an archive (${suffix}), but is ${what}: ${remedy ?? 'get the archive itself'}`;
  }
  if (remedy !== undefined) return `is ${what}: ${remedy}`;
  const names = [...new Set(recognisers.map((recogniser) => recogniser.name))].join(', ');
  const isOther = /(?:^|: )text$/.test(what) ? ', but not a list of paths' : '';
  return `is ${what}${isOther}; a manifest is read from ${names}`;
}
