import { decodeName } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { createPace } from '../pace.ts';
import { quoted } from '../printable.ts';
import { openArchive } from './archive.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { EntryCollector } from './path.ts';

/** Longest list in bytes: it is held while it is read. */
const MAX_LENGTH = 1 << 28;
/** Bytes that are enough to see a JSON array or object begin. */
const BEGINNING = 1024;
const NUL = 0;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const byteOrderMark = Buffer.from('\ufeff');
/** A bracket may begin a path (`[id]/page.js`), but not before one of these; nor a brace. */
const jsonArray = /^\s*\[\s*(?:["{\]]|$)/;
const jsonObject = /^\s*\{\s*(?:["}]|$)/;
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
 * A path that ends in `/` is a directory. Bytes that are not UTF-8 are kept, as everywhere in a manifest, except in JSON,
 * which must be UTF-8. A byte order mark is skipped.
 *
 * @param source path of the list, at most 256 MiB long.
 * @throws ManifestError where it cannot be read (`code` is the errno's name), is broken JSON, or has an item that
 *   {@link EntryCollector} refuses.
 */
export async function readListManifest(source: string): Promise<Manifest> {
  const collector = new EntryCollector();
  const pace = createPace(undefined, () => {});
  for (const { where, given } of itemsOf(await readText(source), source)) {
    if (pace.isOver()) await pace.pause();
    try {
      collector.add(given);
    } catch (error) {
      const { message, path } = error as ManifestError;
      throw new ManifestError(`is read as a list of paths; ${where}: ${message}`, {
        source,
        path,
        cause: error,
      });
    }
  }
  return createManifest('list', source, collector.entries);
}

/** True where a file begins like a JSON array of paths or entries. */
export function startsLikeJsonArray(head: Buffer): boolean {
  return jsonArray.test(beginningOf(head));
}

/** True where a file begins like a JSON object. */
export function startsLikeJsonObject(head: Buffer): boolean {
  return jsonObject.test(beginningOf(head));
}

/** True where a file begins like a list of paths that is no JSON: text that is neither blank nor a script. */
export function startsLikeList(head: Buffer): boolean {
  const text = withoutMark(head);
  const beginning = beginningOf(text);
  if (beginning.trim() === '' || beginning.startsWith('#!') || startsLikeJsonObject(text)) return false;
  return text.includes(NUL) ? isTextOfNames(text) : isTextOfLines(text);
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

async function readText(source: string): Promise<Buffer> {
  const archive = await openArchive(source);
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

function itemsOf(text: Buffer, source: string): Iterable<Item> {
  if (startsLikeJsonArray(text)) return parseJson(text, source);
  return text.includes(NUL) ? namesOf(text) : linesOf(text, source);
}

function* parseJson(text: Buffer, source: string): Generator<Item, void, undefined> {
  let given: readonly (string | ManifestEntry)[];
  try {
    given = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (error) {
    throw new ManifestError(`is broken JSON: ${(error as Error).message}`, { source, cause: error });
  }
  for (const [index, item] of given.entries()) yield { where: `item ${index + 1}`, given: item };
}

function* namesOf(text: Buffer): Generator<Item, void, undefined> {
  let number = 0;
  for (const bytes of split(text, NUL)) {
    number += 1;
    if (bytes.length > 0) yield { where: `item ${number}`, given: decodeName(bytes) };
  }
}

function* linesOf(text: Buffer, source: string): Generator<Item, void, undefined> {
  let number = 0;
  for (const ended of split(text, LINE_FEED)) {
    number += 1;
    const bytes = ended.at(-1) === CARRIAGE_RETURN ? ended.subarray(0, -1) : ended;
    const line = decodeName(bytes);
    if (line.trim() === '') continue;
    if (bytes.some(isControl)) {
      const fault = `is read as a list of paths; line ${number} has a control character: ${quoted(line)}`;
      throw new ManifestError(fault, { source, path: line });
    }
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

function withoutMark(bytes: Buffer): Buffer {
  const mark = bytes.subarray(0, byteOrderMark.length);
  return mark.equals(byteOrderMark) ? bytes.subarray(byteOrderMark.length) : bytes;
}
