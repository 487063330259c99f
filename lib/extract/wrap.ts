import { resolve } from 'node:path';
import { abortable } from '../abortable.ts';
import { absolutePath } from '../absolute.ts';
import { checkPath, wrongType } from '../checks.ts';

import type { Directory } from '../directory/directory.ts';
import { type Identity, isSameEntry } from '../directory/entry-stats.ts';
import { errorCode, located, systemError } from '../directory/errors.ts';
import { directoriesAbove, openTreeIn } from '../directory/open.ts';
import { Tree } from '../directory/tree.ts';

import type { ManifestInput } from '../manifest/manifest.ts';
import type { ApplyOptions } from '../options.ts';

import { runPass } from '../pass/apply.ts';
import { quoted } from '../printable.ts';

import type { PermissionReport } from '../report.ts';
import { UnresolvedEntriesError } from '../report.ts';
import { completion } from './completion.ts';
import { type Destination, resolveDestination } from './destination.ts';
import { alreadyThere, mountedOn } from './errors.ts';
import { keep } from './keep.ts';
import { clearLeftovers } from './leftovers.ts';
import { resolveWrapOptions, type WrapOptions, type WrapSettings } from './options.ts';
import { publish, publishDurably } from './publish.ts';
import { takeTurn } from './queue.ts';
import { createStaging, removeStaging, type Staging, TREE } from './staging.ts';
import { syncTree } from './sync.ts';

/** How often the tree that another process published may be gone again before it is kept. */
const MAX_TRIES = 10;

/** Runs the extractor to its end; it writes to a directory. */
type Run = (directory: string) => Promise<void>;

/** Result of a wrapped extractor: the report of the pass, and where the tree is now. */
export interface ExtractionReport extends PermissionReport {
  /** Real path of the extracted tree; the same as `root`. */
  destination: string;
  /**
   * `'created'`: nothing was there before. `'replaced'`: the new tree took the place of an old one. `'kept'`: a tree was
   * there, or another process was first; it was verified. `'in-place'`: the extractor wrote to the destination itself.
   */
  outcome: 'created' | 'replaced' | 'kept' | 'in-place';
}

/** Your extractor: it unpacks an archive into a directory, and returns something that shows when it is done. */
export type Extractor<Archive, Rest extends unknown[]> = (
  archive: Archive,
  destination: string,
  ...rest: Rest
) => unknown;

/** Your extractor, wrapped. */
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
 * turns. If anything fails, the destination stays as it was, and the staging directory is removed. The destination is
 * resolved once, when the call begins; its parent is held open until the call ends, and everything is done in it by name.
 * What processes left that were killed is cleared up by the next call for a destination beside it.
 *
 * @param extract called with the archive, an empty directory to write to, and the rest of the arguments. It may return a
 * promise, a stream, a child process, an emitter that ends with `close`, `finish`, `end` or `error`, or nothing. It hears
 * of an abort of `options.signal` only if you pass the signal on in the rest.
 * @returns a function with the same parameters. It rejects with
 * - whatever the extractor fails with;
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
 * const extract = wrapExtractor((archive, directory) => extractZip(archive, { dir: directory }));
 * await extract('bundle.mcpb', 'cache/bundle');
 */
export function wrapExtractor<Archive = string, Rest extends unknown[] = []>(
  extract: Extractor<Archive, Rest>,
  options: WrapOptions<Archive> = {},
): WrappedExtractor<Archive, Rest> {
  if (typeof extract !== 'function')
    throw wrongType('extract', extract, 'a function that extracts an archive to a directory');
  const settings = resolveWrapOptions(options);
  const owner = {};
  return async (given, destination, ...rest) => {
    checkArchive(given, settings);
    const archive = asMeantNow(given, settings);
    const target = resolveDestination(destination);
    const run = async (directory: string) => completion(extract(archive, directory, ...rest));
    const extractIt = () => extractOnce(archive, target, run, settings);
    try {
      return await takeTurn(target.path, owner, identityOf(archive), settings.pass.signal, extractIt);
    } finally {
      target.release();
    }
  };
}

/** One extraction, from manifest to published tree. */
async function extractOnce<Archive>(
  archive: Archive,
  destination: Destination,
  run: Run,
  settings: WrapSettings<Archive>,
): Promise<ExtractionReport> {
  const { existing, publish, pass: options } = settings;
  const { signal } = options;
  signal?.throwIfAborted();
  if (existing === 'replace') refuseInside(archive, destination);
  const manifest = await abortable(readPromises(archive, settings), signal);
  const pass: ApplyOptions = { ...options, manifest };
  await clearLeftovers(destination);
  for (let tries = 1; ; tries += 1) {
    const found = destination.lstat();
    const isMounted = found !== undefined && destination.isMountPoint(found);
    if (found !== undefined && existing === 'error') throw alreadyThere(destination.path, isMounted);
    if (isMounted && existing === 'replace' && publish === 'atomic') throw mountedOn(destination.path);
    if (found !== undefined && existing === 'keep') {
      const kept = await keep(destination, pass);
      if (kept !== undefined) return kept;
    }
    signal?.throwIfAborted();
    if (publish === 'in-place') return extractInPlace(destination, run, pass);
    const published = await extractAtomically(destination, run, pass, settings);
    if (published !== undefined) return published;
    // Another process was faster, and with 'keep' its tree may be gone again.
    if (existing === 'error' || tries === MAX_TRIES) throw alreadyThere(destination.path, false);
  }
}

/** Extract to a staging directory and publish. `undefined` where something is at the destination, and stays. */
async function extractAtomically<Archive>(
  destination: Destination,
  run: Run,
  pass: ApplyOptions,
  { existing, durable }: WrapSettings<Archive>,
): Promise<ExtractionReport | undefined> {
  const { signal } = pass;
  const staging = await createStaging(destination);
  let isRunning = true;
  const running = run(staging.treePath).finally(() => {
    isRunning = false;
  });
  let root: Directory | undefined;
  try {
    await abortable(running, signal);
    const finished = await finish(staging, pass);
    root = finished.root;
    if (durable) await syncTree(treeAround(staging, root), signal);
    signal?.throwIfAborted();
    const outcome = await (durable ? publishDurably : publish)(staging, root.opened, existing);
    return outcome && { ...finished.report, root: destination.path, destination: destination.path, outcome };
  } finally {
    root?.close();
    await removeStaging(staging, isRunning ? running : undefined);
  }
}

/** The pass in the staging directory, and the root that it has worked on: held, so that nothing else can have its identity. */
async function finish(
  staging: Staging,
  pass: ApplyOptions,
): Promise<{ report: PermissionReport; root: Directory }> {
  const { directory, treePath, destination } = staging;
  let root: Directory | undefined;
  const open = () => {
    try {
      root = directory.openRoot(TREE, treePath);
      return treeAround(staging, root);
    } catch (error) {
      throw located(error, treePath);
    }
  };
  try {
    const report = await runPass(treePath, pass, open);
    if (root === undefined) throw systemError('ENOENT', 'no such file or directory', 'open', treePath);
    return { report, root };
  } catch (error) {
    root?.close();
    if (!(error instanceof UnresolvedEntriesError) || error.report.root !== treePath) throw error;
    throw new UnresolvedEntriesError({ ...error.report, root: destination.path });
  }
}

/** The tree of a root in the staging directory that stays held. */
function treeAround({ treePath, path }: Staging, root: Directory): Tree {
  return new Tree(treePath, root, () => {}, { temporaryPath: path });
}

async function extractInPlace(
  destination: Destination,
  run: Run,
  pass: ApplyOptions,
): Promise<ExtractionReport> {
  const { path, parent, name } = destination;
  if (destination.lstat() === undefined) destination.act(() => parent.makeDirectory(name, 0o777));
  destination.openRoot().close();
  await abortable(run(path), pass.signal);
  const report = await runPass(path, pass, () => destination.act(() => openTreeIn(parent, name, path)));
  return { ...report, destination: path, outcome: 'in-place' };
}

/** The manifest of an archive, as the options say. */
async function readPromises<Archive>(
  archive: Archive,
  { manifest }: WrapSettings<Archive>,
): Promise<ManifestInput | undefined> {
  if (manifest === false) return undefined;
  if (typeof manifest === 'function') return manifest(archive);
  if (manifest !== undefined) return manifest;
  if (typeof archive === 'string') return (await import('../manifest/read.ts')).readManifest(archive);
  return (await import('../manifest/zip.ts')).readZipManifest(archive as Uint8Array);
}

/**
 * Refuse an archive that no manifest can be read from, before anything is changed: nothing would be verified.
 *
 * @throws TypeError unless it is a path or bytes, or the option `manifest` is set
 */
function checkArchive<Archive>(archive: Archive, { manifest }: WrapSettings<Archive>): void {
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
 * The archive, by its absolute path where it is one: the manifest and the extractor read it later. Only where no manifest is given is
 * a string a path for sure.
 */
function asMeantNow<Archive>(archive: Archive, { manifest }: WrapSettings<Archive>): Archive {
  const isPath = typeof archive === 'string' && manifest === undefined;
  return isPath ? (absolutePath(archive) as Archive) : archive;
}

/** Two archives are the same if they are the same path or the same object. */
function identityOf(archive: unknown): unknown {
  return typeof archive === 'string' ? resolve(archive) : archive;
}

/** Replacing a destination that the archive lies in would remove the archive. */
function refuseInside(archive: unknown, destination: Destination): void {
  const found = typeof archive === 'string' ? destination.lstat() : undefined;
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
