import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { abortable } from '../abortable.ts';
import { absolutePath } from '../absolute.ts';
import { checkPath, wrongType } from '../checks.ts';
import { errorCode } from '../directory/errors.ts';
import type { ManifestInput } from '../manifest/manifest.ts';
import type { ApplyOptions } from '../options.ts';
import { applyPermissions, runPass } from '../pass/apply.ts';
import { quoted } from '../printable.ts';
import type { PermissionReport } from '../report.ts';
import { UnresolvedEntriesError } from '../report.ts';
import { completion } from './completion.ts';
import { type HeldDirectory, holdDirectory } from './held.ts';
import { resolveWrapOptions, type WrapOptions, type WrapSettings } from './options.ts';
import { publish, publishDurably, syncTree } from './publish.ts';
import { takeTurn } from './queue.ts';
import { createStaging, exists, removeAbandoned, removeStaging, type Staging, TREE } from './staging.ts';

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
 * turns. If anything fails, the destination stays as it was, and the staging directory is removed.
 *
 * @param extract called with the archive, an empty directory to write to, and the rest of the arguments. It may return a
 * promise, a stream, a child process, an emitter that ends with `close`, `finish`, `end` or `error`, or nothing. It hears
 * of an abort of `options.signal` only if you pass the signal on in the rest.
 * @returns a function with the same parameters. It rejects with
 * - whatever the extractor fails with;
 * - an error with code `EEXIST` if the destination exists and `existing` is `'error'`;
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
    return takeTurn(target, owner, identityOf(archive), settings.pass.signal, () => {
      const run = async (directory: string) => completion(extract(archive, directory, ...rest));
      return extractOnce(archive, target, run, settings);
    });
  };
}

/** One extraction, from manifest to published tree. */
async function extractOnce<Archive>(
  archive: Archive,
  destination: string,
  run: (directory: string) => Promise<void>,
  settings: WrapSettings<Archive>,
): Promise<ExtractionReport> {
  const { signal } = settings.pass;
  signal?.throwIfAborted();
  if (settings.existing === 'replace') refuseInside(archive, destination);
  const manifest = await abortable(readPromises(archive, settings), signal);
  const pass: ApplyOptions = { ...settings.pass, manifest };
  await removeAbandoned(destination);
  const isThere = await exists(destination);
  if (isThere && settings.existing === 'error') throw alreadyThere(destination);
  if (isThere && settings.existing === 'keep') return keep(destination, pass);
  signal?.throwIfAborted();
  if (settings.publish === 'in-place') return extractInPlace(destination, run, pass);
  return extractAtomically(destination, run, pass, settings);
}

async function extractAtomically<Archive>(
  destination: string,
  run: (directory: string) => Promise<void>,
  pass: ApplyOptions,
  { existing, durable }: WrapSettings<Archive>,
): Promise<ExtractionReport> {
  const { signal } = pass;
  const staging = await createStaging(destination);
  let isRunning = true;
  const running = run(staging.tree).finally(() => {
    isRunning = false;
  });
  try {
    await abortable(running, signal);
    const report = await runPass(staging.tree, pass, () => staging.held.openTree(TREE));
    if (durable) await syncTree(staging, signal);
    signal?.throwIfAborted();
    const outcome = await (durable ? publishDurably : publish)(staging, destination, existing);
    if (outcome !== undefined) return { ...report, root: destination, destination, outcome };
  } catch (error) {
    throw inPlaceOf(error, staging, destination);
  } finally {
    await cleanUp(staging.held);
    // An extractor that we no longer wait for may still write.
    if (isRunning) running.catch(() => undefined).then(() => cleanUpAgain(staging.held.path));
  }
  if (existing === 'error') throw alreadyThere(destination);
  return keep(destination, pass);
}

async function extractInPlace(
  destination: string,
  run: (directory: string) => Promise<void>,
  pass: ApplyOptions,
): Promise<ExtractionReport> {
  await mkdir(destination, { recursive: true, mode: 0o777 });
  await abortable(run(destination), pass.signal);
  const report = await applyPermissions(destination, pass);
  return { ...report, destination, outcome: 'in-place' };
}

/** Verify the existing tree, and use it. */
async function keep(destination: string, pass: ApplyOptions): Promise<ExtractionReport> {
  const report = await applyPermissions(destination, pass);
  return { ...report, destination, outcome: 'kept' };
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
 * Real path of a destination; a missing parent is made. A link to a directory is resolved. Synchronous, so that turns come
 * in the order of calls.
 *
 * @throws TypeError or RangeError if it is not a path, ENOTDIR if it exists and is not a directory
 */
function resolveDestination(destination: unknown): string {
  checkPath('destination', destination);
  const path = resolve(destination);
  if (dirname(path) === path)
    throw new RangeError('destination: the root of the file system cannot be extracted to');
  const found = realDestination(path);
  if (found === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o777 });
    return join(realpathSync(dirname(path)), basename(path));
  }
  if (found.isDirectory) return found.path;
  const message = `ENOTDIR: not a directory, extract to ${quoted(path)}`;
  throw Object.assign(new Error(message), { code: 'ENOTDIR', syscall: 'extract', path });
}

/** What a destination leads to; `undefined` if nothing is there, or another process has just moved it aside. */
function realDestination(path: string): { path: string; isDirectory: boolean } | undefined {
  try {
    const real = realpathSync(path);
    return { path: real, isDirectory: lstatSync(real).isDirectory() };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
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

/** Remove a staging directory. If that fails, warn: the result of the extraction counts more. */
async function cleanUp(held: HeldDirectory): Promise<void> {
  try {
    await removeStaging(held);
  } catch (error) {
    const message = `permwalk could not remove ${quoted(held.path)}: ${withKnownPaths(error, held)}`;
    process.emitWarning(message, { code: 'ERR_PERMWALK_LEFTOVER' });
  } finally {
    held.close();
  }
}

/** Remove what an extractor that kept running has made again in place of its staging directory. */
async function cleanUpAgain(path: string): Promise<void> {
  if (await exists(path)) await cleanUp(holdDirectory(path));
}

/** Replacing a destination that the archive lies in would remove the archive. */
function refuseInside(archive: unknown, destination: string): void {
  if (typeof archive !== 'string' || !resolve(archive).startsWith(`${destination}/`)) return;
  throw new RangeError(
    `existing: 'replace' would remove the archive, which is in ${quoted(destination)}: move it elsewhere`,
  );
}

/** An error with paths that the caller knows. */
function inPlaceOf(error: unknown, { held, tree }: Staging, destination: string): unknown {
  if (error instanceof UnresolvedEntriesError && error.report.root === tree) {
    return new UnresolvedEntriesError({ ...error.report, root: destination });
  }
  return withKnownPaths(error, held);
}

/**
 * An error of a call through a staging directory's descriptor, with the path that the caller knows. It is a new error:
 * errors of others (an extractor, a signal's reason) are never changed.
 */
function withKnownPaths(error: unknown, held: HeldDirectory): unknown {
  const inside = held.inside('');
  // The path backend makes its calls by the paths that the caller knows.
  if (!(error instanceof Error) || inside === `${held.path}/`) return error;
  const { code, errno, syscall, path, dest } = error as NodeJS.ErrnoException & { dest?: unknown };
  const isInside = (place: unknown) => typeof place === 'string' && place.startsWith(inside);
  if (!isInside(path) && !isInside(dest)) return error;
  const rename = (text: string) => text.replaceAll(inside, `${held.path}/`);
  const facts = Object.entries({ code, errno, syscall, path, dest })
    .filter(([, fact]) => fact !== undefined)
    .map(([name, fact]) => [name, typeof fact === 'string' ? rename(fact) : fact]);
  return Object.assign(new Error(rename(error.message), { cause: error }), Object.fromEntries(facts));
}

function alreadyThere(path: string): Error {
  const message = `EEXIST: the destination exists, extract to ${quoted(path)}: remove it, or set existing to 'keep' or 'replace'`;
  return Object.assign(new Error(message), { code: 'EEXIST', syscall: 'extract', path });
}
