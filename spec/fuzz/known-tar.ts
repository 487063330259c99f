import type { Difference } from './compare.ts';
import type { Context, Known } from './known.ts';
import { readTarParts, type TarPart } from './tar-parts.ts';

function refusedByUs(name: string, why: string, says: RegExp): Known {
  const is = ({ what, why: said = '' }: Difference): boolean => what === 'refused by us' && says.test(said);
  return { name: `tar, refused by permwalk: ${name}`, right: 'permwalk', why, is };
}

function refusedByIt(reader: Difference['reader'], right: Known['right'], why: string, says: RegExp): Known {
  const is = ({ what, reader: who, why: said = '' }: Difference): boolean =>
    what === 'refused by it' && who === reader && says.test(said);
  return { name: `tar, refused by ${reader}`, right, why, is };
}

const partsByArchive = new WeakMap<Buffer, TarPart[]>();

function partsOf({ bytes }: Context): TarPart[] {
  const parts = partsByArchive.get(bytes) ?? readTarParts(bytes);
  partsByArchive.set(bytes, parts);
  return parts;
}

const flagOf = ({ header }: TarPart): string => header.toString('latin1', 156, 157);
const isExtended = (part: TarPart | undefined): boolean =>
  part !== undefined && 'xXgLK'.includes(flagOf(part));

/** Whether a reader stopped before the end: at what it refuses, at what is no header, or went on behind it. */
function isBroken(reader: Difference['reader'], { answers }: Context): boolean {
  const answer = answers.get(reader);
  return answer !== undefined && (answer.error !== null || answer.entries.some(({ path }) => path === null));
}

/** Whether anything says of a file that it has holes. */
function hasSparse(about: Context): boolean {
  const isSaid = /GNU\.sparse|SCHILY\.realsize/.test(about.bytes.toString('latin1'));
  return isSaid || partsOf(about).some((part) => flagOf(part) === 'S' || hasSparseSize(part));
}

/** A size in the header of another type, where GNU tar has that of a file with holes: libarchive takes it. */
function hasSparseSize({ header }: TarPart): boolean {
  return header.toString('latin1', 257, 265) === 'ustar  \0' && header[483] !== 0;
}

function hasNeedlessSize(part: TarPart, before: TarPart | undefined): boolean {
  if (!'123456V'.includes(flagOf(part))) return false;
  const isInPax = isExtended(before) && /\d size=0*[1-9]/.test(before?.content.toString('latin1') ?? '');
  return isInPax || /[1-9\x80-\xff]/.test(part.header.toString('latin1', 124, 136));
}

/** A long name of GNU tar whose block holds more of it than its header says. */
function isLongerThanItsSize(part: TarPart): boolean {
  const size = Number.parseInt(part.header.toString('latin1', 124, 135), 8);
  return 'LK'.includes(flagOf(part)) && (part.content[size] ?? 0) !== 0;
}

export const knownOfTar: readonly Known[] = [
  refusedByUs(
    'a broken header, or an end within one',
    'Python stops without a word, libarchive goes on behind it: GNU tar fails',
    /wrong checksum|within a header|has an extended header of \d+ bytes|is cut off|no entry follows it|without any entry/,
  ),
  refusedByUs(
    'a global header with names or sizes',
    'programs differ in whether they heed it',
    /has a global header that sets/,
  ),
  refusedByUs(
    'a number that is none',
    'programs differ in what they make of it: nothing, a part of it, or an error',
    /has an extended header with (the|a broken record)|has a size field that is not a number/,
  ),
  refusedByUs(
    'a hard link that leads out',
    'it would be one to a file outside',
    /is a hard link whose target is refused/,
  ),
  refusedByIt(
    'python',
    'permwalk',
    'it refuses sizes of what has no content, and records of sparse files before what is none; nothing of these is needed',
    /^(ReadError|OverflowError|ValueError|TypeError|UnicodeDecodeError|EOFHeaderError|InvalidHeaderError)/,
  ),
  refusedByIt(
    'libarchive',
    'permwalk',
    'it refuses sizes of what has no content, and records of sparse files before what is none; nothing of these is needed',
    /sparse|negative size|size overflow|Line too long|Unrecognized archive format|Damaged|Truncated|None|Invalid|too large|Ran out|Can't/,
  ),
  {
    name: 'tar: what follows a broken header, for Python and libarchive',
    right: 'permwalk',
    why: 'GNU tar skips what is wrong and goes on; Python stops there, libarchive looks on block by block. What stands again behind it counts',
    is: ({ reader, what }, about) => what !== 'refused by us' && isBroken(reader, about),
  },
  {
    name: 'tar: several extended headers of one entry',
    right: 'permwalk',
    why: 'the last pax header counts, and before the long names of GNU tar, as GNU tar and 7-Zip have it; Python takes the first one, libarchive the last name',
    is: (_, about) =>
      partsOf(about).some((part, index, all) => isExtended(part) && isExtended(all[index + 1])),
  },
  {
    name: 'tar: sizes of sparse files',
    right: 'either',
    why: 'keywords and headers of GNU tar and star for a file that is none of theirs: each program knows others',
    is: ({ what }, about) => what === 'size' && hasSparse(about),
  },
  {
    name: 'tar: types that Python does not know',
    right: 'permwalk',
    why: 'it takes them for files: directories of incremental archives, labels, ACLs, directories by their names',
    is: ({ reader, what }, about) =>
      reader === 'python' &&
      what !== 'link' &&
      partsOf(about).some((part) => !'\x0001234567LKxgX'.includes(flagOf(part))),
  },
  {
    name: 'tar: a directory by its name, which is a file to another',
    right: 'permwalk',
    why: 'Python goes by the name of the header itself, and only where there is no type; libarchive not where it makes out a sparse file',
    is: ({ what, ours, its }) =>
      what === 'type' && [ours?.type, its?.type].every((type) => type === 'directory' || type === 'file'),
  },
  {
    name: 'tar: a directory by its name as something else',
    right: 'permwalk',
    why: 'the root, and a name with `/.` at its end, are directories whatever their type',
    is: ({ path, what, ours, its }) =>
      what === 'type' && ours?.type === 'directory' && (path === '.' || its?.type === 'other'),
  },
  {
    name: 'tar: a pax header that libarchive ignores',
    right: 'permwalk',
    why: 'it gives up at what others pass over: NULs behind the records, a second header, keywords of sparse files',
    is: ({ reader, what }, { answers }) =>
      reader === 'libarchive' &&
      what !== 'refused by us' &&
      answers.get(reader)?.entries.some(({ fault }) => /pax|GNU sparse/.test(fault ?? '')) === true,
  },
  {
    name: 'tar: an ACL or a label between an extended header and an entry',
    right: 'either',
    why: 'libarchive and Solaris take an ACL for what belongs to the next entry, GNU tar, Python and 7-Zip for a file; libarchive keeps what was said before a label',
    is: (_, about) => partsOf(about).some((part) => 'AV'.includes(flagOf(part))),
  },
  {
    name: 'tar: a long name that goes on behind its size',
    right: 'either',
    why: 'libarchive takes as many bytes as the header says, Python and GNU tar what comes before the first NUL',
    is: ({ reader }, about) => reader === 'python' && partsOf(about).some(isLongerThanItsSize),
  },
  {
    name: 'tar: an extended header without a value',
    right: 'permwalk',
    why: 'it takes back what was said before (POSIX); Python and GNU tar take it for an empty name',
    is: ({ reader }, { bytes }) => reader === 'python' && /\d [\w.]+=\n/.test(bytes.toString('latin1')),
  },
  {
    name: 'tar: a size of what has no content',
    right: 'permwalk',
    why: 'links, directories, devices and labels: GNU tar and Python go on behind the header or behind as many bytes as it says, libarchive the other way about',
    is: ({ reader }, about) =>
      reader === 'libarchive' &&
      partsOf(about).some((part, index, all) => hasNeedlessSize(part, all[index - 1])),
  },
  {
    name: 'tar: names and content of sparse files',
    right: 'permwalk',
    why: 'the name that GNU tar keeps for itself counts for more than path, and the size of a pax header for what follows, as for GNU tar and libarchive; Python takes the last name, and the size of the header itself',
    is: ({ reader, what }, about) =>
      reader === 'python' && (what === 'missing' || what === 'more') && hasSparse(about),
  },
  {
    name: 'tar: a prefix in a header that is not ustar',
    right: 'permwalk',
    why: 'the field belongs to ustar; GNU tar heeds it nowhere else, libarchive wherever the magic begins so, Python everywhere',
    is: ({ what }, about) =>
      (what === 'missing' || what === 'more') &&
      partsOf(about).some(
        ({ header }) => header[345] !== 0 && header.toString('latin1', 257, 263) !== 'ustar\0',
      ),
  },
];
