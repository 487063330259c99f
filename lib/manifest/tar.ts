import { absolutePath } from '../absolute.ts';
import { checkSource } from '../checks.ts';
import { pause, Slices } from '../slices.ts';
import { type Archive, openArchive } from './archive.ts';
import { ByteStream } from './bytes.ts';
import { EntryCollector } from './collector.ts';
import { compressionOf, isNamedLikeBrotli } from './decompress.ts';
import { markCompanions } from './lenient.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { Notes } from './notes.ts';
import { checkReadOptions, type ReadOptions } from './options.ts';
import { BLOCK_LENGTH, startsLikeTar } from './tar-header.ts';
import { TarReader } from './tar-reader.ts';

/**
 * Bytes that are decompressed behind the end mark, so that the checksum of the compressed data is seen: more than any program
 * fills its last record up with. What follows those is not looked at.
 */
const MAX_AFTER_END = 1 << 20;

/**
 * Read what a tar archive says of its entries: v7, ustar, pax (POSIX.1-2001) and GNU format; uncompressed, or compressed with gzip,
 * with zstd if the runtime has it (Node 22.15, Bun), or with Brotli if the name ends in `.tar.br` or `.tbr`. It skips
 * contents if it can, and holds none.
 *
 * If something is odd but harmless, it is read as most extractors read it, and `warnings` of the manifest says so.
 *
 * - Names are UTF-8; other bytes are kept, as everywhere in a manifest.
 * - `mode` is `0o0000` to `0o7777`. FIFOs and devices have a `mode` and no `type`.
 * - `size` is that of the file with its holes. A hard link has the facts of the entry that it links to, or is a file of
 *   unknown size if that entry does not come before it. An absolute target is one below the root.
 * - If a path occurs more than once (`tar --append`), the last entry counts: it is the one on disk after the extraction.
 * - What macOS puts beside files (`._NAME` beside NAME) is `optional`.
 *
 * @param source path of the archive.
 * @param options `signal` stops the reading
 * @throws ManifestError if the file cannot be read (`code` is the errno's name) or decompressed, or the archive is
 *   broken, cut off, or names a path (or links to one by a hard link) that leads outside. Offsets in
 *   messages count decompressed bytes.
 * @throws TypeError if the source or an option has the wrong type
 * @throws the signal's reason when it is aborted
 *
 * @example
 * const manifest = await readTarManifest('app.tgz');
 * await applyPermissions('app', { manifest });
 */
export async function readTarManifest(source: string, options: ReadOptions = {}): Promise<Manifest> {
  checkSource(source);
  const { signal } = checkReadOptions(options);
  const path = absolutePath(source);
  const archive = await openArchive(path, signal);
  const notes = new Notes();
  try {
    const entries = await readArchive(archive, path, notes, signal);
    await markCompanions(entries, signal);
    return createManifest({ format: 'tar', source: path, entries, notes });
  } finally {
    await archive.close();
  }
}

async function readArchive(
  archive: Archive,
  source: string,
  notes: Notes,
  signal: AbortSignal | undefined,
): Promise<ManifestEntry[]> {
  const head = await archive.read(0, Math.min(BLOCK_LENGTH, archive.size));
  let compression = compressionOf(head);
  if (isNamedLikeBrotli(source) && compression === undefined && !startsLikeTar(head)) compression = 'brotli';
  const bytes = new ByteStream(archive, compression, signal);
  try {
    const reader = new TarReader(bytes, source, notes);
    await reader.readAll();
    // What is wrong with the compressed data may show only at its end; Brotli has no checksum there.
    if (compression === 'gzip' || compression === 'zstd') await bytes.skip(MAX_AFTER_END);
    return await checkEntries(reader.entries.values(), source, signal);
  } finally {
    await bytes.close();
  }
}

/** The entries as a manifest has them: every fact checked. */
async function checkEntries(
  entries: Iterable<ManifestEntry>,
  source: string,
  signal: AbortSignal | undefined,
): Promise<ManifestEntry[]> {
  const collector = new EntryCollector(source);
  const slices = new Slices(1);
  for (const entry of entries) {
    if (slices.isOver()) await pause(slices, signal);
    collector.adopt(entry);
  }
  return collector.entries;
}
