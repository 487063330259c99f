import { ManifestError } from '../errors.ts';
import type { Manifest } from './manifest.ts';
import { endsLikeZip, openArchive, readZipManifest, startsLikeZip } from './zip.ts';

/** Both ends of a file; they overlap where it is short. */
interface Sample {
  /** The first 512 bytes: a tar header, and more than any other signature. */
  readonly head: Buffer;
  /** The last 64 KiB and more, in which a zip archive has its end record. */
  readonly tail: Buffer;
}
const HEAD_LENGTH = 512;
const TAIL_LENGTH = (1 << 16) + HEAD_LENGTH;

/** One kind of file that a manifest is read from. */
interface Recogniser {
  /** What it is called in a message. */
  readonly name: string;
  recognises(sample: Sample): boolean;
  read(source: string): Promise<Manifest>;
}

const zip = { name: 'a zip archive (.zip, .mcpb, .whl)', read: readZipManifest };

/** In the order in which they are asked: a sure signature first. */
const recognisers: readonly Recogniser[] = [
  { ...zip, recognises: ({ head }) => startsLikeZip(head) },
  // What stands before a self-extracting archive may look like a program or a script.
  { ...zip, recognises: ({ tail }) => endsLikeZip(tail) },
];

/** What a file that no recogniser takes is called, by its first bytes. */
const signatures: readonly (readonly [name: string, bytes: string, position?: number])[] = [
  ['gzip-compressed data', '\x1f\x8b'],
  ['bzip2-compressed data', 'BZh'],
  ['xz-compressed data', '\xfd7zXZ\0'],
  ['zstd-compressed data', '\x28\xb5\x2f\xfd'],
  ['a 7-Zip archive', '7z\xbc\xaf\x27\x1c'],
  ['a RAR archive', 'Rar!\x1a\x07'],
  ['a tar archive (ustar)', 'ustar', 257],
  ['an ELF program', '\x7fELF'],
  ['a Windows program', 'MZ'],
];

/**
 * Read a manifest from a file, recognised by its content, not by its name. Taken are zip archives (`.zip`, `.mcpb`,
 * `.whl`), also behind a self-extracting prefix.
 *
 * @param source path of the file.
 * @throws ManifestError where it cannot be read (`code` is the errno's name), is nothing that a manifest is read
 *   from (the message says what it is), or is broken; see {@link readZipManifest}.
 */
export async function readManifest(source: string): Promise<Manifest> {
  const sample = await readSample(source);
  const recogniser = recognisers.find((candidate) => candidate.recognises(sample));
  if (recogniser !== undefined) return recogniser.read(source);
  const names = [...new Set(recognisers.map(({ name }) => name))].join(', ');
  throw new ManifestError(`is ${describe(sample.head)}; a manifest is read from ${names}`, { source });
}

async function readSample(source: string): Promise<Sample> {
  const archive = await openArchive(source);
  try {
    const head = await archive.read(0, Math.min(HEAD_LENGTH, archive.size));
    const tailLength = Math.min(TAIL_LENGTH, archive.size);
    const tail = await archive.read(archive.size - tailLength, tailLength);
    return { head, tail };
  } finally {
    await archive.close();
  }
}

/** What a file is that begins like this, in words. */
function describe(head: Buffer): string {
  if (head.length === 0) return 'an empty file';
  const latin1 = head.toString('latin1');
  const known = signatures.find(([, bytes, position = 0]) => latin1.startsWith(bytes, position));
  if (known !== undefined) return known[0];
  const text = decodeText(head);
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
