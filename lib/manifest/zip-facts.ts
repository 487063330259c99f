import { crc32Digest } from './digest.ts';
import { oddities } from './file-names.ts';
import type { EntryTraits, ManifestEntry } from './manifest.ts';
import { setTraits } from './manifest.ts';
import type { Notes } from './notes.ts';
import { tryNormalize } from './path.ts';
import type { ZipEntry } from './zip-entry.ts';

/** Bits of a Unix mode that say what kind of entry it is, and the kinds. */
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const PERMISSIONS = 0o7777;
/** Bits of DOS attributes: a directory, and the label of a volume. */
const DOS_DIRECTORY = 0x10;
const DOS_LABEL = 0x08;
const DIRECTORY_BY_ATTRIBUTE =
  'is a directory only by its attributes, and others here may be, too: its name does not end in a slash';
const LINK_OR_FILE =
  'is a link that most programs take for a file, and others here may be, too: a file in its place is accepted';
const VOLUME_LABEL =
  'is a volume label, and others here may be, too: it may be absent, because unzip leaves it out';

/** What a zip entry says, as extractors take it; its link target is read by whoever wants it. */
export function readFacts(entry: ZipEntry, notes: Notes): ManifestEntry {
  const { path, alternative, third, oddity } = entry.name;
  if (oddity !== undefined) notes.addFirst(oddity, oddities[oddity], path);
  const { type, mode, traits } = entry.isUnixMade
    ? unixFacts(entry, path, notes)
    : otherFacts(entry, path, notes);
  const size = type === 'file' ? entry.size : undefined;
  // Made in one piece: a property that is added later takes more memory, and there may be a million of them.
  const facts: ManifestEntry =
    type === 'file' && entry.hasCrc32
      ? { path, type, mode, size, digest: crc32Digest(entry.crc32) }
      : { path, type, mode, size };
  if (alternative !== undefined) facts.alternative = alternative;
  if (third !== undefined) setThird(facts, third);
  if (entry.canHaveLabel && (entry.attributes & DOS_LABEL) !== 0) {
    notes.addFirst('volume-label', VOLUME_LABEL, path);
    facts.optional = true;
  }
  if (traits !== undefined) setTraits(facts, traits);
  return facts;
}

/** A third spelling, in its one form. */
function setThird(facts: ManifestEntry, spelled: string): void {
  const normal = tryNormalize(spelled);
  const isAnother = !('fault' in normal) && ![facts.path, facts.alternative].includes(spelled);
  if (isAnother && normal.path !== '.') setTraits(facts, { third: normal.path });
}

interface Facts {
  readonly type: ManifestEntry['type'];
  readonly mode: number | undefined;
  readonly traits?: EntryTraits;
}

/** Of an entry made on Unix: the high word is its mode (APPNOTE 4.4.15). Without one, nothing is known of it. */
function unixFacts({ attributes, size, isDarwinMade }: ZipEntry, path: string, notes: Notes): Facts {
  const word = attributes >>> 16;
  const kind = word & S_IFMT;
  const mode = word === 0 ? undefined : word & PERMISSIONS;
  if (!path.endsWith('/')) {
    if (kind === S_IFDIR) return directoryByAttribute(mode, size, path, notes);
    // Go makes a link of it, and so do extract-zip and adm-zip; most others make a file.
    return kind === S_IFLNK && isDarwinMade ? linkOrFile(path, notes) : { type: typeOf(kind), mode };
  }
  if (kind === S_IFLNK || kind === S_IFREG) {
    const what = kind === S_IFLNK ? 'a link' : 'a file';
    notes.add(
      'directory-by-name',
      `is given as ${what}, but is read as a directory, because its name ends in a slash`,
      path,
    );
  }
  // The mode of a link says nothing of a directory.
  return { type: 'directory', mode: kind === S_IFLNK ? undefined : mode };
}

function typeOf(kind: number): ManifestEntry['type'] {
  if (kind === 0 || kind === S_IFREG) return 'file';
  return kind === S_IFLNK ? 'symlink' : undefined;
}

/** A link for some programs, a file with the link's text for others. */
function linkOrFile(path: string, notes: Notes): Facts {
  notes.addFirst('link-or-file', LINK_OR_FILE, path);
  return { type: undefined, mode: undefined, traits: { isPerhapsLink: true } };
}

/** Without a slash that every program knows, some make a file of it: an empty one, or one with its content. */
function directoryByAttribute(mode: number | undefined, size: number, path: string, notes: Notes): Facts {
  notes.addFirst('directory-by-attribute', DIRECTORY_BY_ATTRIBUTE, path);
  if (size > 0) return { type: undefined, mode: undefined };
  return { type: 'directory', mode, traits: { isPerhapsEmptyFile: true } };
}

/**
 * Facts of an entry that was not made on Unix. Some programs still put a Unix mode into its high word, and pip, extract-zip and
 * adm-zip use it. Here it counts only if it agrees with the name and the DOS attributes, and never for a directory.
 */
function otherFacts({ attributes, size, isDosMade, name }: ZipEntry, path: string, notes: Notes): Facts {
  if (path.endsWith('/')) {
    const isUnclear = size === 0 && name.alternative?.endsWith('\\') === true;
    return { type: 'directory', mode: undefined, ...(isUnclear && { traits: { isPerhapsEmptyFile: true } }) };
  }
  if (isDosMade && (attributes & DOS_DIRECTORY) !== 0)
    return directoryByAttribute(undefined, size, path, notes);
  const word = attributes >>> 16;
  switch (word & S_IFMT) {
    case S_IFREG:
      return { type: 'file', mode: word & PERMISSIONS };
    case S_IFLNK:
      return linkOrFile(path, notes);
    case S_IFDIR:
      return { type: undefined, mode: undefined };
    default:
      return { type: 'file', mode: undefined };
  }
}
