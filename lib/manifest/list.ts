import { decodeName } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { pause, Slices } from '../slices.ts';
import { openArchive } from './archive.ts';
import { withoutMark } from './byte-order-mark.ts';
import { EntryCollector } from './collector.ts';
import { jsonItems } from './json-items.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { Notes } from './notes.ts';
import type { ReadOptions } from './options.ts';
import { isPlaceholder, looksLikePath } from './path-like.ts';

/** Longest list in bytes: it is held while it is read. */
const MAX_LENGTH = 1 << 28;
/** Bytes that are enough to see a JSON array or object begin. */
const BEGINNING = 1024;
const NUL = 0;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** A bracket may begin a path (`[id]/page.js`), but not before one of these; nor a brace. */
const jsonArray = /^\s*\[\s*(?:["{\]]|$)/;
const jsonObject = /^\s*\{\s*(?:["}]|$)/;
/** What {@link isControl} says, of a line at once: faster than byte by byte. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const control = /[\0-\x1f\x7f]/;
/** Beginnings of UTF-16 text, which has a NUL in every other byte. */
const utf16Marks = ['\xff\xfe', '\xfe\xff'];

/** One item of a list, and what it is called in a message. */
interface Item {
  readonly where: string;
  readonly given: string | ManifestEntry;
}

/**
 * Read a list of paths, in one of three forms:
 *
 * - one path a line, ended by LF or CRLF. Blank lines are skipped; a control character is refused.
 * - paths separated by NUL, as `find -print0` writes them
 * - a JSON array of paths, or of objects with the properties of a {@link ManifestEntry}
 *
 * A path that ends in `/` is a directory; a mode of 0 is 0000. Bytes that are not UTF-8 are kept, as everywhere in a manifest;
 * only JSON must be UTF-8. A byte order mark is skipped. No message quotes the content of the file, which may not be a list at all.
 *
 * @param source path of the list, at most 256 MiB long.
 * @throws ManifestError where it cannot be read (`code` is the errno's name), is broken JSON, or has an item that
 *   {@link EntryCollector} refuses.
 */
export async function readListManifest(source: string, { signal }: ReadOptions = {}): Promise<Manifest> {
  const collector = new EntryCollector(undefined, 0, { quotes: false });
  const notes = new Notes();
  const slices = new Slices(1);
  const text = await readText(source, signal);
  const isJson = startsLikeJsonArray(text);
  try {
    for (const { where, given } of isJson ? itemsOf(text) : textItemsOf(text)) {
      if (slices.isOver()) await pause(slices, signal);
      addItem(collector, where, given);
    }
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const isBroken = error.message.startsWith('is broken JSON');
    const reading = isBroken ? '' : 'is read as a list of paths; ';
    throw new ManifestError(`${reading}${error.message}`, { source, cause: error.cause });
  }
  const { entries } = collector;
  if (!isJson) {
    const form = text.includes(NUL) ? 'separated by NUL' : 'one a line';
    notes.add('read-as-list', `is read as a list of ${entries.length} paths, ${form}`);
  }
  return createManifest({ format: 'list', source, entries, notes });
}

function addItem(collector: EntryCollector, where: string, given: string | ManifestEntry): void {
  try {
    collector.add(given);
  } catch (error) {
    throw new ManifestError(`${where}: ${(error as Error).message}`, { cause: error });
  }
}

/** True where a file begins like a JSON array of paths or entries. */
export function startsLikeJsonArray(head: Buffer): boolean {
  return jsonArray.test(beginningOf(head));
}

/** True where a file begins like a JSON object. */
export function startsLikeJsonObject(head: Buffer): boolean {
  return jsonObject.test(beginningOf(head));
}

/**
 * True where a file begins like a list of paths that is no JSON: text that is neither blank, nor a script, nor markup, and most
 * of whose lines look like paths.
 *
 * @param isWhole true where there is no more of the file
 * @param isNamed true where it is named like a list: then its lines may look like anything else but markup
 */
export function startsLikeList(head: Buffer, isWhole: boolean, isNamed: boolean): boolean {
  const text = withoutMark(head);
  const beginning = beginningOf(text);
  if (beginning.trim() === '' || beginning.startsWith('#!') || startsLikeJsonObject(text)) return false;
  return text.includes(NUL)
    ? isTextOfNames(text)
    : isTextOfLines(text) && isTextOfPaths(text, isWhole, isNamed);
}

function isTextOfPaths(text: Buffer, isWhole: boolean, isNamed: boolean): boolean {
  const lines = text.toString('latin1').split(/\r?\n/);
  // The last line may be cut.
  if (!isWhole && lines.length > 1) lines.pop();
  const written = lines.filter((line) => line.trim() !== '');
  if (written[0] === undefined || isPlaceholder(written[0])) return false;
  return isNamed || 2 * written.filter(looksLikePath).length >= written.length;
}

function isTextOfLines(text: Buffer): boolean {
  return text.every((byte, index) => {
    if (byte !== CARRIAGE_RETURN) return byte === LINE_FEED || !isControl(byte);
    // The last line break may be cut.
    return index === text.length - 1 || text[index + 1] === LINE_FEED;
  });
}

/** Such a name may have line breaks. One that is nothing else is a line break in UTF-16 text. */
function isTextOfNames(text: Buffer): boolean {
  if (utf16Marks.some((mark) => beginningOf(text).startsWith(mark))) return false;
  if (!text.every((byte) => byte === NUL || byte === LINE_FEED || !isControl(byte))) return false;
  return [...split(text, NUL)].every((name) => name.some((byte) => byte !== LINE_FEED));
}

/** A tab is one of them: a table is no list of paths. */
function isControl(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f;
}

async function readText(source: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const archive = await openArchive(source, signal);
  try {
    if (archive.size > MAX_LENGTH) {
      throw new ManifestError(`is a list of ${archive.size} bytes; at most ${MAX_LENGTH} are read`, {
        source,
      });
    }
    return withoutMark(await archive.read(0, archive.size));
  } finally {
    await archive.close();
  }
}

function* itemsOf(text: Buffer): Generator<Item, void, undefined> {
  for (const { number, value } of jsonItems(text)) {
    yield { where: `item ${number}`, given: value as string | ManifestEntry };
  }
}

function textItemsOf(text: Buffer): Iterable<Item> {
  return text.includes(NUL) ? namesOf(text) : linesOf(text);
}

function* namesOf(text: Buffer): Generator<Item, void, undefined> {
  let number = 0;
  for (const bytes of split(text, NUL)) {
    number += 1;
    if (bytes.length > 0) yield { where: `item ${number}`, given: decodeName(bytes) };
  }
}

function* linesOf(text: Buffer): Generator<Item, void, undefined> {
  let number = 0;
  for (const ended of split(text, LINE_FEED)) {
    number += 1;
    const bytes = ended.at(-1) === CARRIAGE_RETURN ? ended.subarray(0, -1) : ended;
    const line = decodeName(bytes);
    if (line.trim() === '') continue;
    if (control.test(line)) throw new ManifestError(`line ${number} has a control character`);
    yield { where: `line ${number}`, given: line };
  }
}

function* split(text: Buffer, separator: number): Generator<Buffer, void, undefined> {
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf(separator, start);
    yield end === -1 ? text.subarray(start) : text.subarray(start, end);
    start = end === -1 ? text.length : end + 1;
  }
}

function beginningOf(head: Buffer): string {
  return withoutMark(head).toString('latin1', 0, BEGINNING);
}
