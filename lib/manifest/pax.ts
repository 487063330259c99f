import { decodeName } from '../directory/names.ts';
import { own } from '../own.ts';
import { quoted } from '../printable.ts';
import { pause, Slices } from '../slices.ts';

/** Facts of an entry that its own header has no room for; they count in place of that header's. */
export interface ExtendedFacts {
  path?: string;
  linkTarget?: string;
  /** The same in GNU tar's own headers: these count for less, wherever they stand (GNU tar, Python, bsdtar). */
  gnuPath?: string | undefined;
  gnuLinkTarget?: string | undefined;
  /** Bytes of content in the archive. */
  size?: number;
  /** Size of the file where the archive leaves out its holes; `undefined` where that is not said. */
  sparse?: { realSize: number | undefined };
}

/** Where tar programs that know sparse files say how long such a file is: GNU tar's formats 1.0 and 0.x, and star. */
const realSizeKeys = ['GNU.sparse.realsize', 'GNU.sparse.size', 'SCHILY.realsize'];

/** More digits than the length of any record has. */
const MAX_DIGITS = 16;
/** What records are kept of; of all other keywords of GNU tar's sparse files one. */
const keptKeys: ReadonlySet<string> = new Set([
  'path',
  'linkpath',
  'size',
  'GNU.sparse.name',
  ...realSizeKeys,
]);
const OTHER_SPARSE = 'GNU.sparse.*';

/**
 * Read the records of an extended header: `<length> <keyword>=<value>\n` each (POSIX, pax, "pax Extended Header").
 *
 * @returns values by keyword, of those that say something of names and sizes; where one stands more than once, the last
 * @throws Error where the bytes are no such records
 */
export async function parsePax(bytes: Buffer): Promise<Map<string, Buffer>> {
  const records = new Map<string, Buffer>();
  const slices = new Slices(1);
  // Some programs fill the rest of the block with NUL.
  for (let start = 0; start < bytes.length && bytes[start] !== 0; ) {
    if (slices.isOver()) await pause(slices);
    const space = bytes.indexOf(' ', start);
    const digits = bytes.toString('latin1', start, Math.min(Math.max(start, space), start + MAX_DIGITS));
    const end = /^\d+$/.test(digits) ? start + Number(digits) : Number.NaN;
    const equals = bytes.indexOf('=', space);
    const isRecord = end <= bytes.length && equals > space && equals < end - 1 && bytes[end - 1] === 0x0a;
    if (!isRecord) throw new Error(`has an extended header with a broken record at its byte ${start}`);
    const key = bytes.toString('utf8', space + 1, equals);
    const kept = isSparseKey(key) && !keptKeys.has(key) ? OTHER_SPARSE : key;
    if (kept === OTHER_SPARSE || keptKeys.has(kept)) records.set(kept, bytes.subarray(equals + 1, end - 1));
    start = end;
  }
  return records;
}

/**
 * Facts that the records of an extended header give for the next entry.
 *
 * @throws Error where a size is no number that can be represented exactly
 */
export function readExtendedFacts(records: ReadonlyMap<string, Buffer>): ExtendedFacts {
  const facts = own<ExtendedFacts>({});
  const path = readText(records, 'GNU.sparse.name') ?? readText(records, 'path');
  const linkTarget = readText(records, 'linkpath');
  const size = readNumber(records, 'size');
  if (path !== undefined) facts.path = path;
  if (linkTarget !== undefined) facts.linkTarget = linkTarget;
  if (size !== undefined) facts.size = size;
  if ([...records.keys()].some(isSparseKey)) {
    const key = realSizeKeys.find((candidate) => records.has(candidate));
    facts.sparse = { realSize: key === undefined ? undefined : readNumber(records, key) };
  }
  return facts;
}

/**
 * Refuse a global header that gives every entry the same name or size: programs differ in whether they heed it.
 *
 * @throws Error naming the keyword
 */
export function checkGlobalRecords(records: ReadonlyMap<string, Buffer>): void {
  const keyword = [...records.keys()].find(
    (key) => key === 'path' || key === 'linkpath' || key === 'size' || isSparseKey(key),
  );
  if (keyword !== undefined) throw new Error(`has a global header that sets ${keyword} for every entry`);
}

function isSparseKey(key: string): boolean {
  return key.startsWith('GNU.sparse.') || key === 'SCHILY.realsize';
}

/** An empty value takes back what was said before, and nothing was (POSIX, pax, "pax Extended Header"). */
function readText(records: ReadonlyMap<string, Buffer>, key: string): string | undefined {
  const value = records.get(key);
  return value === undefined || value.length === 0 ? undefined : decodeName(value);
}

function readNumber(records: ReadonlyMap<string, Buffer>, key: string): number | undefined {
  const text = readText(records, key);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new Error(`has an extended header with the ${key} ${quoted(text)}`);
}
