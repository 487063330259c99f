import type { Difference } from './compare.ts';
import type { Context, Known } from './known.ts';

function refusedByUs(name: string, why: string, says: RegExp): Known {
  const is = ({ what, why: said = '' }: Difference): boolean => what === 'refused by us' && says.test(said);
  return { name: `zip, refused by permwalk: ${name}`, right: 'permwalk', why, is };
}

function refusedByIt(reader: Difference['reader'], right: Known['right'], why: string, says: RegExp): Known {
  const is = ({ what, reader: who, why: said = '' }: Difference): boolean =>
    what === 'refused by it' && who === reader && says.test(said);
  return { name: `zip, refused by ${reader}`, right, why, is };
}

/** Whether the other of the two readers has nothing else of a path than we have. */
function otherAgrees({ reader, path, what }: Difference, { differences }: Context): boolean {
  return !differences.some((one) => one.reader !== reader && one.path === path && one.what === what);
}

/** A name whose backslashes separate. */
function split(name: string): string {
  return name.replaceAll('\\', '/').replace(/\/+$/, '');
}

/** The number of a Unicode path field (APPNOTE 4.6.9), as it is written. */
const UNICODE_PATH = 'up';
/** Names that have two spellings, or that have them with a field of their own. */
const ambiguous = /[^ -~]|\\|:/;

export const knownOfZip: readonly Known[] = [
  refusedByUs(
    'facts that contradict each other',
    'extractors differ in which of them they go by: unzip, 7-Zip and yauzl refuse, warn, or stop early',
    /is not a whole number of bytes|states two sizes|states \d+ entries, but|contradict each other|bytes of data after a header|would not end before|two end of central directory records|without its (compressed size|size|offset)/,
  ),
  refusedByUs(
    'content that is needed and broken',
    'the text of a link and the manifest.json of a bundle are read; listing reads no content, extracting fails',
    /CRC-32 is not the stated one|states (a link target|content) of|invalid |incorrect |unexpected end of file|has no local header|too far back|too many length|overflows file bounds|has a link target/,
  ),
  refusedByUs(
    'a broken central directory',
    'libarchive falls back on local headers; every other extractor reads the central directory',
    /no end of central directory|is not a central directory header|would end after the central directory|no zip64 end of central directory|longer than the space for extra fields/,
  ),
  refusedByUs(
    'strong encryption',
    "nobody can extract it without PKWARE's own program",
    /is strongly encrypted/,
  ),
  refusedByIt(
    'python',
    'permwalk',
    'it refuses junk that looks like an end record, fields of a later version, and names that are no UTF-8; unzip and 7-Zip read on',
    /^(BadZipFile|NotImplementedError|UnicodeDecodeError|OSError|error|ValueError|OverflowError)/,
  ),
  refusedByIt(
    'libarchive',
    'permwalk',
    'it stops at a local header that differs, or a link that it cannot decode; the central directory has all entries',
    /./,
  ),
  {
    name: 'zip: what an MCP bundle runs',
    right: 'permwalk',
    why: 'its manifest.json says what is run, whatever the mode',
    is: ({ what, ours, its }, { ours: outcome }) =>
      what === 'mode' &&
      'manifest' in outcome &&
      outcome.manifest.entries.some(({ path }) => path === 'manifest.json') &&
      (((ours?.mode ?? 0) ^ (its?.mode ?? 0)) & ~0o111) === 0,
  },
  {
    name: 'zip: libarchive alone',
    right: 'permwalk',
    why: 'it takes names, sizes and modes of local headers and of fields of its own, makes up modes of what was not made on Unix, and gives directories x; Python, unzip and 7-Zip go by the central directory',
    is: (difference, about) => difference.reader === 'libarchive' && otherAgrees(difference, about),
  },
  {
    name: 'zip: a directory by its name as something else',
    right: 'permwalk',
    why: 'the root, and a name with `/` or `/.` at its end, are directories whatever their type',
    is: ({ what, ours, path }) =>
      (what === 'type' && ours?.type === 'directory') || (what === 'more' && path === '.'),
  },
  {
    name: 'zip: an entry whose other spelling is the path of another entry',
    right: 'either',
    why: 'a backslash separates in the one and is a character in the other',
    is: ({ path, ours, what }, { ours: outcome }) =>
      what !== 'refused by us' &&
      'manifest' in outcome &&
      outcome.manifest.entries.some(
        (one) =>
          one !== ours &&
          [one.path, one.alternative].some((name) => name !== undefined && split(name) === path),
      ),
  },
  {
    name: 'zip: a name with more than two spellings, or one that two entries have',
    right: 'either',
    why: 'CP437, bytes as they are, a Unicode path field, NFC, backslashes and drives: there is room for one other spelling, and for none that another entry has',
    is: ({ what, path, ours }, { bytes }) =>
      what !== 'refused by us' &&
      ([path, ours?.alternative ?? ''].some((name) => ambiguous.test(name)) ||
        (what === 'more' && bytes.includes(UNICODE_PATH))),
  },
];
