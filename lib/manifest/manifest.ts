/** One path that must exist below the root. */
export interface ManifestEntry {
  /** Path below the root, `/`-separated. As a bare string, a trailing `/` makes it a directory. */
  path: string;
  /** Kind of the entry; without one it may be anything but a link that dangles. */
  type?: 'file' | 'directory' | 'symlink' | undefined;
  /** Permission bits; only `mode & 0o777` is used. `undefined` and 0 mean unknown. */
  mode?: number | undefined;
  /** Size in bytes of a file's content. */
  size?: number | undefined;
  /** Text of a symbolic link, compared byte for byte. */
  linkTarget?: string | undefined;
}

/** Something odd and harmless in a source: it was read as most extractors read it. */
export interface ManifestWarning {
  /** Stable name of the kind of oddity: `'duplicate'`, `'no-end-mark'`, … */
  readonly code: string;
  /** The entry that it is about, where it is about one. */
  readonly path?: string;
  /** What is odd, and how it was read, as a sentence. */
  readonly message: string;
}

/** What an archive or list says must exist. Iterating it yields its entries. */
export interface Manifest extends Iterable<ManifestEntry> {
  /** What kind of source it was read from. */
  readonly format: 'zip' | 'tar' | 'record' | 'list';
  /** The file it was read from, or `undefined` where it was read from memory. */
  readonly source: string | undefined;
  /** Every entry once, in the source's order. */
  readonly entries: readonly ManifestEntry[];
  /**
   * Paths that the source lists and that lie outside the root, as it lists them; a pass never goes there. Only a Python
   * RECORD has them: its scripts.
   */
  readonly outside?: readonly string[];
}

/** Everything that is taken where a manifest is asked for. */
export type ManifestInput =
  | Manifest
  | Iterable<string | ManifestEntry>
  | AsyncIterable<string | ManifestEntry>;

/** Manifests whose entries our own readers have checked. */
const checked = new WeakSet<object>();

/**
 * Make a {@link Manifest} of entries that are already normal and unique.
 *
 * @param outside see {@link Manifest.outside}
 * @internal
 */
export function createManifest(
  format: Manifest['format'],
  source: string | undefined,
  entries: readonly ManifestEntry[],
  outside?: readonly string[],
): Manifest {
  // Frozen, so that what was checked when it was read is still so when it is used.
  for (const entry of entries) Object.freeze(entry);
  Object.freeze(entries);
  const manifest: Manifest = {
    format,
    source,
    entries,
    ...(outside && { outside: Object.freeze(outside) }),
    [Symbol.iterator]: () => entries[Symbol.iterator](),
  };
  checked.add(Object.freeze(manifest));
  return manifest;
}

/**
 * Entries that need not be checked again: those of a manifest that {@link createManifest} made.
 *
 * @internal
 */
export function checkedEntries(manifest: ManifestInput): readonly ManifestEntry[] | undefined {
  return checked.has(manifest) && Object.hasOwn(manifest, 'entries')
    ? (manifest as Manifest).entries
    : undefined;
}
