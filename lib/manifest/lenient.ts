import { nameOf, parentOf } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import type { ManifestEntry } from './manifest.ts';

/** Where macOS puts what it knows of files beside their content, in a zip... */
const MAC_DIRECTORY = '__MACOSX';
/** ...and what such a companion of NAME is called, there and beside NAME (AppleDouble). */
const COMPANION = '._';

/**
 * Mark the companions that macOS puts into archives as optional: extract-zip and macOS leave them out, others write them. They
 * are what lies in `__MACOSX`, and `._NAME` beside NAME. Entries are changed in place.
 */
export function markCompanions(entries: readonly ManifestEntry[]): void {
  let paths: Set<string> | undefined;
  for (const entry of entries) {
    const { path } = entry;
    if (path === MAC_DIRECTORY ? entry.type === 'directory' : path.startsWith(`${MAC_DIRECTORY}/`)) {
      entry.optional = true;
      continue;
    }
    const name = nameOf(path);
    if (!name.startsWith(COMPANION) || name.length === COMPANION.length) continue;
    paths ??= pathsOf(entries);
    const parent = parentOf(path);
    const main = name.slice(COMPANION.length);
    if (paths.has(parent === '.' ? main : `${parent}/${main}`)) entry.optional = true;
  }
}

/** Every path that is listed, and every directory that one lies in. */
function pathsOf(entries: readonly ManifestEntry[]): Set<string> {
  const paths = new Set<string>();
  for (const { path } of entries) {
    for (let each = path; each !== '.' && !paths.has(each); each = parentOf(each)) paths.add(each);
  }
  return paths;
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
