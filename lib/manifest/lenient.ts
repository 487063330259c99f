import { joinPath, nameOf, parentOf } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { pause, Slices } from '../slices.ts';
import type { ManifestEntry } from './manifest.ts';

/** Where macOS puts what it knows of files beside their content, in a zip... */
const MAC_DIRECTORY = '__MACOSX';
const IN_MAC_DIRECTORY = `${MAC_DIRECTORY}/`;
/** ...and what such a companion of NAME is called, there and beside NAME (AppleDouble). */
const COMPANION = '._';

/**
 * Mark the companions that macOS puts into archives as optional: extract-zip and macOS leave them out, others write them. They
 * are what lies in `__MACOSX`, and `._NAME` beside NAME. Entries are changed in place.
 */
export async function markCompanions(
  entries: readonly ManifestEntry[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const slices = new Slices();
  /** What lies beside a companion of it, if it is there. */
  const companions = new Map<string, ManifestEntry>();
  for (const entry of entries) {
    if (slices.isOver()) await pause(slices, signal);
    const { path } = entry;
    if (path === MAC_DIRECTORY ? entry.type === 'directory' : path.startsWith(IN_MAC_DIRECTORY)) {
      entry.optional = true;
    } else if (path.includes(COMPANION)) {
      const main = mainOf(path);
      if (main !== undefined) companions.set(main, entry);
    }
  }
  if (companions.size === 0) return;
  const seen = new Set<string>();
  for (const { path } of entries) {
    if (slices.isOver()) await pause(slices, signal);
    // Directories on the way exist, too, even if they are not listed.
    for (let each = path; each !== '.' && !seen.has(each); each = parentOf(each)) {
      seen.add(each);
      const companion = companions.get(each);
      if (companion !== undefined) companion.optional = true;
    }
  }
}

/** Of `a/._b`, `a/b`. */
function mainOf(path: string): string | undefined {
  const name = nameOf(path);
  if (!name.startsWith(COMPANION) || name.length === COMPANION.length) return undefined;
  return joinPath(parentOf(path), name.slice(COMPANION.length));
}

/**
 * Refuse a conda package: a zip of its facts and two archives, of which the second holds the files (conda, "Conda package
 * specification", `.conda` format).
 *
 * @throws ManifestError that names the inner archive
 */
export function refuseConda(entries: readonly ManifestEntry[], source: string | undefined): void {
  if (entries.length < 3 || entries.length > 4) return;
  const find = (form: RegExp) => entries.find(({ path }) => form.test(path))?.path;
  const inner = find(/^pkg-[^/]+\.tar\.(?:zst|bz2)$/);
  if (inner === undefined || !find(/^info-[^/]+\.tar\.(?:zst|bz2)$/) || !find(/^metadata\.json$/)) return;
  const fault = `is a conda package, whose files are in an archive inside it: extract ${inner}, and read the manifest of that`;
  throw new ManifestError(fault, { source, path: inner });
}
