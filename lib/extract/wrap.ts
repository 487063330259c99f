import { absolutePath } from '../absolute.ts';
import { checkPath, wrongType } from '../checks.ts';
import { type Identity, isSameEntry } from '../directory/entry-stats.ts';
import { errorCode } from '../directory/errors.ts';
import { directoriesAbove } from '../directory/open.ts';
import type { ManifestInput } from '../manifest/manifest.ts';
import { quoted } from '../printable.ts';
import { completion } from './completion.ts';
import { type Destination, resolveDestination } from './destination.ts';
import type { ExtractionReport } from './extraction-report.ts';
import { resolveWrapOptions, type StageSettings, type WrapOptions, type WrapSettings } from './options.ts';
import { type Subject, takeTurn } from './queue.ts';
import { keyFrom, subjectOfArchive, subjectOfKey } from './sharing.ts';
import { extractOnce } from './stage.ts';

/**
 * Your extractor: it unpacks an archive into `destination`, the absolute path of an empty directory, and returns something that shows
 * when it is done: see {@link wrapExtractor}.
 */
export type Extractor<Archive, Rest extends unknown[]> = (
  archive: Archive,
  destination: string,
  ...rest: Rest
) => unknown;

/** Your extractor, wrapped. `destination` is the path of the finished tree; missing parents are made. */
export type WrappedExtractor<Archive, Rest extends unknown[]> = (
  archive: Archive,
  destination: string,
  ...rest: Rest
) => Promise<ExtractionReport>;

/**
 * Wrap an extractor: one extraction at a time for a destination, into a staging directory beside it. There permwalk sets
 * the modes and waits for entries that the archive names; then it publishes the tree with one rename.
 *
 * Calls in this process for one destination share one extraction if they ask for the same archive; otherwise they take
 * turns. If anything fails, the destination stays as it was, and the staging directory and the parents that were made for it
 * are removed. The destination is resolved once, when the call begins. Its parent is held open until the call ends, and
 * entries are named relative to it. Each call clears up what killed processes left in that parent.
 *
 * @param extract called with the archive, an empty directory to write to, and the rest of the arguments. It may return a
 * promise, a stream, a child process, an emitter that ends with `close`, `finish`, `end` or `error`, or nothing. It learns
 * of an abort of `options.signal` only if you pass the signal on in the rest.
 * @param options all are optional; {@link WrapOptions} has the defaults
 * @returns a function with the same parameters. It rejects with
 * - whatever the extractor fails with; if it is a child process, with an error with code `ERR_PERMWALK_EXTRACTOR`,
 *   `exitCode`, `signal` and the end of its `stderr`;
 * - TypeError or RangeError for a wrong archive, destination or key, or if `'replace'` would remove the archive;
 * - an error with code `EEXIST` if the destination exists and `existing` is `'error'`;
 * - a system error that names the cause and the way out if it cannot be staged or published (`EACCES`, `EBUSY`, `EXDEV`,
 *   `ENOSPC`, …), with the destination as its `path`;
 * - an error with code `ERR_PERMWALK_SWAPPED` or `ERR_PERMWALK_SYMLINK_IN_PATH` if another process has replaced the
 *   destination's parent, the staging directory or the tree by something else; nothing is published;
 * - {@link ManifestError} if the manifest of the archive cannot be read, before anything is extracted;
 * - {@link UnresolvedEntriesError} if the tree is not as the manifest says, unless `strict` is false;
 * - the signal's reason.
 * @throws TypeError or RangeError for a wrong option
 *
 * @example
 * import extractZip from 'extract-zip';
 * import { wrapExtractor } from 'permwalk';
 *
 * const extract = wrapExtractor((archive, directory) => extractZip(archive, { dir: directory }));
 * await extract('bundle.mcpb', 'cache/bundle');
 */
export function wrapExtractor<Archive = string, Rest extends unknown[] = []>(
  extract: Extractor<Archive, Rest>,
  options: WrapOptions<Archive, Rest> = {},
): WrappedExtractor<Archive, Rest> {
  if (typeof extract !== 'function')
    throw wrongType('extract', extract, 'a function that extracts an archive to a directory');
  const settings = resolveWrapOptions(options);
  const owner = {};
  return async (given, destination, ...rest) => {
    checkArchive(given, settings);
    const archive = asMeantNow(given, settings);
    const subject = subjectOf(owner, archive, rest, settings);
    const target = resolveDestination(destination);
    const run = () =>
      extractOnce({
        destination: target,
        settings,
        check: () => refuseInside(archive, target, settings),
        isManifestFirst: true,
        manifest: (signal) => readPromises(archive, settings, signal),
        fill: async (directory) => completion(extract(archive, directory, ...rest)),
      });
    try {
      return await takeTurn(target.turn, subject, settings.pass.signal as AbortSignal | undefined, run);
    } finally {
      target.release();
    }
  };
}

/** What a call asks for; calls that ask for the same share one extraction. */
function subjectOf<Archive, Rest extends unknown[]>(
  owner: object,
  archive: Archive,
  rest: Rest,
  settings: WrapSettings<Archive, Rest>,
): Subject {
  const { key, manifest } = settings;
  if (key === undefined) return subjectOfArchive(owner, archive, rest);
  const name = typeof key === 'function' ? keyFrom(key(archive, ...rest)) : key;
  return subjectOfKey(name, settings, manifest !== false);
}

/** The manifest of an archive, as the options say. */
async function readPromises<Archive, Rest extends unknown[]>(
  archive: Archive,
  { manifest }: WrapSettings<Archive, Rest>,
  signal: AbortSignal,
): Promise<ManifestInput | undefined> {
  if (manifest === false) return undefined;
  if (typeof manifest === 'function') return manifest(archive);
  if (manifest !== undefined) return manifest;
  if (typeof archive === 'string')
    return (await import('../manifest/read.ts')).readManifest(archive, { signal });
  return (await import('../manifest/zip.ts')).readZipManifest(archive as Uint8Array, { signal });
}

/**
 * Refuse an archive that no manifest can be read from, before anything is changed: nothing would be verified.
 *
 * @throws TypeError unless it is a path or bytes, or the option `manifest` is set
 */
function checkArchive<Archive, Rest extends unknown[]>(
  archive: Archive,
  { manifest }: WrapSettings<Archive, Rest>,
): void {
  if (manifest !== undefined || archive instanceof Uint8Array) return;
  if (typeof archive === 'string') return checkPath('archive', archive);
  const hint = archive instanceof URL ? 'pass fileURLToPath(url), or set' : 'set';
  throw wrongType(
    'archive',
    archive,
    'a path or bytes (Uint8Array)',
    `; no manifest can be read from it: ${hint} the option manifest (false: verify nothing)`,
  );
}

/**
 * The archive, made absolute if it is a path: the manifest and the extractor read it later. A string is certainly a path only if no
 * manifest is given.
 */
function asMeantNow<Archive, Rest extends unknown[]>(
  archive: Archive,
  { manifest }: WrapSettings<Archive, Rest>,
): Archive {
  const isPath = typeof archive === 'string' && manifest === undefined;
  return isPath ? (absolutePath(archive) as Archive) : archive;
}

/** Replacing a destination that the archive lies in would remove the archive. */
function refuseInside(archive: unknown, destination: Destination, { existing }: StageSettings): void {
  const isPath = existing === 'replace' && typeof archive === 'string';
  const found = isPath ? destination.lstat() : undefined;
  if (found === undefined) return;
  // By identity: links, and mounts, may lead there by other paths.
  if (!above(archive as string).some((directory) => isSameEntry(directory, found))) return;
  throw new RangeError(
    `existing: 'replace' would remove the archive, which is in ${quoted(destination.path)}: move it elsewhere`,
  );
}

/** The directories that an archive lies in; none where it is no file, which is for the manifest or the extractor to say. */
function above(archive: string): Identity[] {
  try {
    return directoriesAbove(archive);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return [];
  }
}
