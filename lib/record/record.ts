import { absolutePath } from '../absolute.ts';
import type { Identity } from '../directory/entry-stats.ts';
import { type OpenTree, openTree } from '../directory/open.ts';
import { compileGlobs } from '../globs/compile.ts';
import { createManifest, type Manifest } from '../manifest/manifest.ts';
import { runInSlices, Slices } from '../slices.ts';
import { FileDigests } from './file-digests.ts';
import { type RecordOptions, resolveRecordOptions } from './options.ts';
import { Recorder } from './recorder.ts';

/**
 * Record a tree as a manifest: every directory, file and link with type, mode (setuid, setgid and sticky included), size, link
 * target, number of links if a file has more than one, and digest if you ask for it. It follows no link. The root is an entry, too
 * (`.`).
 *
 * Entries are sorted by name, a directory before what is in it, so that the same tree gives the same manifest. What a manifest
 * cannot hold (FIFOs, sockets, devices, mount points) and what vanished meanwhile is left out, and `warnings` name it.
 *
 * @param root directory to record; a link is resolved once. `/` is refused.
 * @param options all are optional; {@link RecordOptions} has the defaults
 * @returns a manifest of format `'tree'`, whose `source` is the real path of the root
 * @throws TypeError or RangeError for a wrong option
 * @throws the system's error, with the entry's path, if something cannot be read: a record is complete, or there is none
 * @throws Error with code `ERR_PERMWALK_CHANGED` for a file that changes while it is digested
 * @throws the signal's reason when it is aborted, and what `onProgress` throws
 *
 * @example
 * const manifest = await recordManifest('dist', { digest: 'sha256', ignore: '.git' });
 * for (const text of formatManifest(manifest, 'mtree')) process.stdout.write(text);
 */
export function recordManifest(root: string, options: RecordOptions = {}): Promise<Manifest> {
  return recordTree(root, options, openTree);
}

/**
 * The recording, of a tree that `open` holds.
 *
 * @param output the file that the record is written to, which is no part of it
 * @internal
 */
export async function recordTree(
  root: string,
  options: RecordOptions,
  open: OpenTree,
  output?: Identity,
): Promise<Manifest> {
  const settings = resolveRecordOptions(root, options);
  const path = absolutePath(root);
  const { signal, onProgress } = settings;
  signal?.throwIfAborted();
  await compileGlobs('ignore', settings.ignore);
  const digesting = settings.digest === 'none' ? undefined : await import('../directory/digest.ts');
  const tree = open(path);
  try {
    const folds = settings.ignore.length > 0 && tree.folding() !== undefined;
    const ignore = await compileGlobs('ignore', settings.ignore, folds);
    const slices = new Slices();
    const digests = digesting && new FileDigests(digesting, slices);
    const recorder = new Recorder(tree, settings, { ignore, output }, digests, slices);
    const tell = () => onProgress?.(recorder.progress);
    const entries = await runInSlices(recorder.run(), slices, signal, tell);
    tell();
    return createManifest({ format: 'tree', source: tree.path, entries, notes: recorder.notes });
  } finally {
    tree.close();
  }
}
