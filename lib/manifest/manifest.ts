/** One path that must exist below the root. */
export interface ManifestEntry {
  /** Path below the root, `/`-separated. As a bare string, a trailing `/` makes it a directory. */
  path: string;
  /** Kind of the entry; without one it may be anything but a link that dangles. */
  type?: 'file' | 'directory' | 'symlink' | undefined;
  /**
   * Permission bits. `undefined` means unknown; 0 means 0000. permwalk never adds special bits (`mode & 0o7000`). With a manifest
   * of format `'mtree'`, `'tree'` or `'list'`, mode `'manifest'` keeps special bits that the entry has, and reports those that it
   * lacks. With any other manifest they do not count.
   */
  mode?: number | undefined;
  /** Size in bytes of a file's content. */
  size?: number | undefined;
  /** Text of a symbolic link, compared byte for byte. */
  linkTarget?: string | undefined;
  /**
   * True if the entry may be absent: a pass checks it if it is there, and never waits for it. Readers set this for the files that
   * macOS adds to archives (`__MACOSX/`, `._NAME`). Default false.
   */
  optional?: boolean | undefined;
  /**
   * The whole path in a second spelling, below the root. Extractors disagree about some names; the entry may have either. No other
   * entry has this path.
   */
  alternative?: string | undefined;
  /** Digest of a file's content. */
  digest?: ManifestDigest | undefined;
  /** How many names a file had when it was recorded, if it had more than one. Recorded, but never checked. */
  nlink?: number | undefined;
}

/** Digest of a file's content. */
export interface ManifestDigest {
  /** As node:crypto names it: `'sha256'`, `'sha512'`, … */
  readonly algorithm: string;
  /** Hexadecimal, in lower case. */
  readonly value: string;
}

/** Something odd but harmless in a source, which was read as most extractors read it. */
export interface ManifestWarning {
  /** Stable name of the kind of oddity: `'duplicate'`, `'no-end-mark'`, … */
  readonly code: string;
  /** Path of the entry, if the warning is about one. */
  readonly path?: string;
  /** What is odd, and how it was read. Its subject is mostly the path, or the manifest: `is listed more than once, …`. */
  readonly message: string;
}

/** What an archive or list says must exist. Iterating it yields its entries. */
export interface Manifest extends Iterable<ManifestEntry> {
  /** What kind of source it was read from. */
  readonly format: 'zip' | 'tar' | 'record' | 'list' | 'mtree' | 'tree';
  /** Absolute path of the file it was read from, or of the tree that was recorded; `undefined` if it was read from memory. */
  readonly source: string | undefined;
  /** Every entry once, in the source's order. */
  readonly entries: readonly ManifestEntry[];
  /**
   * Paths that the source lists and that lie outside the root, as the source spells them; a pass never goes there. A Python RECORD
   * has such paths for its scripts, and so does a manifest that was read with `strip` or `prefix`.
   */
  readonly outside?: readonly string[];
  /** What was odd but harmless in the source; the first 1,000. */
  readonly warnings: readonly ManifestWarning[];
  /** How many oddities there were, also beyond those in `warnings`. */
  readonly warningCount: number;
}

/** What can be passed as a manifest. */
export type ManifestInput =
  | Manifest
  | Iterable<string | ManifestEntry>
  | AsyncIterable<string | ManifestEntry>;

/** What our own readers know of an entry, and what concerns nobody else. */
export interface EntryTraits {
  /** A hard link that the archive gives an absolute target: some extractors link the file outside. */
  readonly isAbsoluteHardLink?: boolean;
  /** Of a hard link, the path of the file that it is another name of. */
  readonly firstName?: string;
  /** The whole path in a third spelling, in its one form: safe, and that of no other entry. */
  readonly third?: string | undefined;
  /** A directory of which some extractors make an empty file. */
  readonly isPerhapsEmptyFile?: boolean;
  /** A link of which most extractors make a file: it need not lead anywhere. */
  readonly isPerhapsLink?: boolean;
  /** Its exec bits are not the archive's own: the manifest of the bundle says that it is run. */
  readonly isMarkedExecutable?: boolean;
}

/** A source that was read, before it is a {@link Manifest}. */
export interface ManifestParts {
  readonly format: Manifest['format'];
  readonly source: string | undefined;
  /** Normal and unique. */
  readonly entries: readonly ManifestEntry[];
  readonly outside?: readonly string[];
  readonly notes?: { readonly warnings: readonly ManifestWarning[]; readonly count: number };
}

/** Manifests whose entries our own readers have checked. */
const checked = new WeakSet<object>();
const traits = new WeakMap<ManifestEntry, EntryTraits>();
const noTraits: EntryTraits = {};

/**
 * Make a {@link Manifest} of entries that are already normal and unique.
 *
 * @internal
 */
export function createManifest({ format, source, entries, outside, notes }: ManifestParts): Manifest {
  // Frozen, so that what was checked when it was read is still so when it is used.
  for (const entry of entries) {
    Object.freeze(entry.digest);
    Object.freeze(entry);
  }
  Object.freeze(entries);
  const manifest: Manifest = {
    format,
    source,
    entries,
    ...(outside && { outside: Object.freeze(outside) }),
    warnings: Object.freeze([...(notes?.warnings ?? [])]),
    warningCount: notes?.count ?? 0,
    [Symbol.iterator]: () => entries[Symbol.iterator](),
  };
  checked.add(Object.freeze(manifest));
  return manifest;
}

/** A manifest that one of our own readers made, with entries that need not be checked again. */
export function checkedManifest(manifest: unknown): Manifest | undefined {
  return typeof manifest === 'object' && manifest !== null && checked.has(manifest)
    ? (manifest as Manifest)
    : undefined;
}

/** Whether special bits of a manifest's modes were those of a tree: what an archive says of them no extractor need do. */
export function recordsSpecialBits(manifest: unknown): boolean {
  const format = checkedManifest(manifest)?.format;
  return format === 'mtree' || format === 'tree' || format === 'list';
}

/** The other spelling of an entry. Entries have it as an own property, or not at all. */
export function alternativeOf(entry: ManifestEntry): string | undefined {
  return Object.hasOwn(entry, 'alternative') ? entry.alternative : undefined;
}

/** Whether an entry may be absent. */
export function isOptional(entry: ManifestEntry): boolean {
  return Object.hasOwn(entry, 'optional') && entry.optional === true;
}

/** The digest of an entry. */
export function digestOf(entry: ManifestEntry): ManifestDigest | undefined {
  return Object.hasOwn(entry, 'digest') ? entry.digest : undefined;
}

/** How many names an entry had. */
export function linksOf(entry: ManifestEntry): number | undefined {
  return Object.hasOwn(entry, 'nlink') ? entry.nlink : undefined;
}

/** Remember something of an entry beside what it says. */
export function setTraits(entry: ManifestEntry, more: EntryTraits): void {
  traits.set(entry, { ...traits.get(entry), ...more });
}

/** What is known of an entry beside what it says. */
export function traitsOf(entry: ManifestEntry | undefined): EntryTraits {
  return (entry && traits.get(entry)) ?? noTraits;
}
