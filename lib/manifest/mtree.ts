import { joinPath, parentOf } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { quoted } from '../printable.ts';
import { pause, Slices } from '../slices.ts';
import { type Archive, openArchive } from './archive.ts';
import { chunksWithoutMark, withoutMark } from './byte-order-mark.ts';
import { EntryCollector } from './collector.ts';
import { chunksOf, compressionOf, decompress } from './decompress.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { applyKeyword, forgetKeyword, isKeyword, type MtreeFacts } from './mtree-facts.ts';
import { cutOf, mtreeLineAt } from './mtree-lines.ts';
import { PlainLine } from './mtree-plain.ts';
import { unescapeName } from './mtree-vis.ts';
import { Notes } from './notes.ts';
import { checkReadOptions, type ReadOptions } from './options.ts';

/** Longest specification in bytes: it is held while it is read. */
const MAX_LENGTH = 1 << 28;
/** What an entry with a SHA-256 takes, so that room is made for about as many as there are: an array that grows takes four times as much. */
const ENTRY_LENGTH = 140;
/** Bytes by which a compression is known. */
const SIGNATURE_LENGTH = 4;
/** What libarchive begins one with. NetBSD's mtree writes nothing of the kind. */
const signature = '#mtree';
const separator = /[ \t]+/;

/**
 * Read a specification of mtree(5), as NetBSD's and FreeBSD's `mtree` and libarchive (`bsdtar --format=mtree`) write it.
 *
 * - `type`, `mode` (octal or symbolic), `size`, `link`, `nlink`, the digests and `optional` are read. Owners, times, flags and
 *   `cksum` are not; neither is `contents`, which names a file elsewhere and is never followed.
 * - Of an entry that is `nochange` nothing but its existence counts; what lies below one that is `ignore` does not count.
 * - FIFOs, sockets and devices are left out. In NetBSD's dialect a name with `*`, `?` or `[` is a pattern, too: it is read as that name,
 *   which may be absent. `warnings` name both.
 *
 * @param source path of the specification, at most 256 MiB long; also compressed with gzip or zstd, at most 256 MiB decompressed
 * @throws ManifestError where it cannot be read (`code` is the errno's name), a line is broken, or a path or a fact is refused
 * @throws the signal's reason when it is aborted
 */
export async function readMtreeManifest(source: string, options: ReadOptions = {}): Promise<Manifest> {
  if (typeof source !== 'string') throw new TypeError('source is not a path');
  const { signal } = checkReadOptions(options);
  const notes = new Notes();
  const slices = new Slices(1);
  const archive = await openArchive(source, signal);
  try {
    const reader = new MtreeReader(source, notes, Math.min(archive.size, MAX_LENGTH));
    for await (const text of textOf(archive, source, signal)) {
      for (let at = 0; at < text.length; ) {
        at = reader.read(text, at);
        if (slices.isOver()) await pause(slices, signal);
      }
    }
    return createManifest({ format: 'mtree', source, entries: reader.entries, notes });
  } finally {
    await archive.close();
  }
}

/** True where text begins like mtree(5): with its signature, with `/set`, or with a name and nothing but keywords. */
export function startsLikeMtree(start: Buffer): boolean {
  const head = withoutMark(start);
  if (head.toString('latin1', 0, signature.length) === signature) return true;
  try {
    let line = mtreeLineAt(head, 0);
    while (line.text === '' && line.end < head.length) line = mtreeLineAt(head, line.end);
    const { name, words } = wordsOf(line.text);
    if (words.length === 0 || !words.every(isKeyword)) return false;
    return name === '/set' || words.some((word) => /^type=/.test(word));
  } catch {
    return false;
  }
}

/** The text, which may be compressed (pacman compresses its `.MTREE`), in pieces that begin and end with a line. */
async function* textOf(
  archive: Archive,
  source: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const compression = compressionOf(await archive.read(0, Math.min(SIGNATURE_LENGTH, archive.size)));
  if (compression === undefined) checkLength(archive.size, source);
  const isAborted = () => signal?.aborted === true;
  const chunks = compression === undefined ? chunksOf(archive) : decompress(archive, compression, isAborted);
  let left: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunksWithoutMark(chunks)) {
    length += chunk.length;
    checkLength(length, source);
    const end = cutOf(chunk);
    left.push(chunk.subarray(0, end === 0 ? chunk.length : end));
    if (end === 0) continue;
    yield Buffer.concat(left);
    left = [chunk.subarray(end)];
  }
  yield Buffer.concat(left);
}

function checkLength(length: number, source: string): void {
  if (length <= MAX_LENGTH) return;
  throw new ManifestError(`is a specification of more than ${MAX_LENGTH} bytes`, { source });
}

/** The words of a line, its name first; `mtree -D` puts it at the end. */
function wordsOf(text: string): { name: string; words: string[] } {
  const words = text.split(separator);
  const isLast = isKeyword(words[0] ?? '') && /^\.(?:\/|$)/.test(words.at(-1) ?? '');
  const name = (isLast ? words.pop() : words.shift()) ?? '';
  return { name, words };
}

/** Reads line after line: what is set for all entries, and the directory that it is in. */
class MtreeReader {
  readonly #collector: EntryCollector;
  readonly #notes: Notes;
  readonly #source: string;
  readonly #plain = new PlainLine();
  /** Whether names may be patterns: libarchive has none. */
  #hasPatterns = true;
  /** Whether nothing but type, mode and number of links is set for all entries. */
  #isPlain = true;
  /** How many lines were read. */
  lines = 0;
  readonly #defaults: MtreeFacts = {};
  /** Directories that relative entries lie in, outermost first. */
  readonly #inside: string[] = [];
  readonly #ignored = new Set<string>();
  readonly #unknown = new Set<string>();

  constructor(source: string, notes: Notes, length: number) {
    this.#source = source;
    const expected = Math.floor(length / ENTRY_LENGTH);
    this.#collector = new EntryCollector(source, expected, { repeated: 'last', notes });
    this.#notes = notes;
  }

  get entries(): ManifestEntry[] {
    return this.#collector.entries;
  }

  /**
   * Read the line at a position of the text, and give that of the next one.
   *
   * @throws ManifestError with what is wrong with the line
   */
  read(text: Buffer, start: number): number {
    if (this.lines === 0 && text.toString('latin1', 0, signature.length) === signature)
      this.#hasPatterns = false;
    const plain = this.#plain;
    if (this.#isPlain && plain.read(text, start)) {
      this.lines += plain.lines;
      if (plain.hasEntry) this.#plainEntry(plain);
      return plain.end;
    }
    try {
      const { text: line, end, lines } = mtreeLineAt(text, start);
      if (line !== '') this.#read(line);
      this.lines += lines;
      return end;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const fault = `is read as mtree(5); line ${this.lines + 1} ${error.message}`;
      throw new ManifestError(fault, { source: this.#source, cause: error });
    }
  }

  #read(line: string): void {
    const { name, words } = wordsOf(line);
    if (name === '/set') for (const word of words) this.#apply(this.#defaults, word);
    else if (name === '/unset') for (const word of words) forgetKeyword(this.#defaults, word);
    else if (name === '..' && words.length === 0) this.#leave();
    else if (name.startsWith('/'))
      throw new RangeError('begins with a slash, but is neither /set nor /unset');
    else this.#entry(name, words);
    if (name === '/set' || name === '/unset') this.#isPlain = isPlain(this.#defaults);
  }

  /** The same as {@link #entry}, of what most lines are. */
  #plainEntry(line: PlainLine): void {
    const defaults = this.#defaults;
    const type = line.type ?? (defaults.type as ManifestEntry['type']);
    const path = line.isFull ? line.name : this.#pathOf(line.name);
    if (!line.isFull && type === 'directory') this.#inside.push(path);
    if (this.#isBelowIgnored(path)) return;
    const mode = line.mode ?? defaults.mode;
    const isFile = type === 'file' || type === undefined;
    const { size, digest, nlink = defaults.nlink } = line;
    const entry: ManifestEntry =
      isFile && digest !== undefined
        ? { path, type, mode, size, linkTarget: undefined, digest }
        : { path, type, mode, size: isFile ? size : undefined, linkTarget: undefined };
    if (isFile && nlink !== undefined && nlink > 1) entry.nlink = nlink;
    this.#collector.adopt(entry);
  }

  #entry(written: string, words: readonly string[]): void {
    const name = unescapeName(written);
    if (name === undefined) throw new RangeError('has a name with an invalid backslash escape');
    const facts: MtreeFacts = { ...this.#defaults };
    for (const word of words) this.#apply(facts, word);
    const isFull = name.includes('/');
    const path = isFull ? name.replace(/^(?:\.\/+)+(?=[^/])/, '') : this.#pathOf(name);
    if (!isFull && facts.type === 'directory') this.#inside.push(path);
    if (facts.ignore === true) this.#ignored.add(path);
    this.#add(path, written, facts);
  }

  #pathOf(name: string): string {
    const directory = this.#inside.at(-1) ?? '.';
    return name === '.' ? directory : joinPath(directory, name);
  }

  #add(path: string, written: string, facts: MtreeFacts): void {
    if (this.#isBelowIgnored(path)) return;
    if (facts.type === 'other') {
      const message = 'is a FIFO, a socket or a device, which a manifest cannot hold: it is left out';
      return this.#notes.add('special-file', message, path);
    }
    const entry = entryOf(path, facts);
    if (this.#hasPatterns && /(?<!\\)[*?[]/.test(written)) {
      entry.optional = true;
      const message =
        'may be a pattern, which a manifest cannot hold: it is read as a name, and may be absent';
      this.#notes.add('pattern', message, path);
    }
    this.#collector.adopt(entry);
  }

  #isBelowIgnored(path: string): boolean {
    if (this.#ignored.size === 0) return false;
    let above = path;
    while (above !== '.') {
      above = parentOf(above);
      if (this.#ignored.has(above)) return true;
    }
    return false;
  }

  #leave(): void {
    if (this.#inside.pop() !== undefined) return;
    this.#notes.add(
      'unbalanced',
      `has a ".." in line ${this.lines + 1} that leaves more directories than were entered`,
    );
  }

  #apply(facts: MtreeFacts, word: string): void {
    applyKeyword(facts, word, (name) => {
      if (this.#unknown.has(name)) return;
      this.#unknown.add(name);
      this.#notes.add('unknown-keyword', `has an unknown keyword ${quoted(name)}: it is ignored`);
    });
  }
}

/** Whether lines may be read without regard to what is set for all of them, but for what NetBSD's mtree sets. */
function isPlain({ type, mode, nlink, ...others }: MtreeFacts): boolean {
  return type !== 'other' && Object.keys(others).length === 0;
}

function entryOf(
  path: string,
  { type, mode, size, link, nlink, digest, optional, nochange }: MtreeFacts,
): ManifestEntry {
  const known = type === 'other' ? undefined : type;
  const entry: ManifestEntry = { path, type: known, mode: undefined, size: undefined, linkTarget: undefined };
  if (optional === true) entry.optional = true;
  if (nochange === true) {
    // Its kind does not count either; only of a link it says that it may dangle.
    entry.type = known === 'symlink' ? known : undefined;
    return entry;
  }
  entry.mode = mode;
  if (known === 'symlink') entry.linkTarget = link;
  if (known === 'file' || known === undefined) {
    entry.size = size;
    if (digest !== undefined) entry.digest = digest;
    if (nlink !== undefined && nlink > 1) entry.nlink = nlink;
  }
  return entry;
}
