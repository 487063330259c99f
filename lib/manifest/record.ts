import { stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { absolutePath } from '../absolute.ts';
import { checkSource } from '../checks.ts';
import type { Directory, OpenFile } from '../directory/directory.ts';
import { errorCode, located } from '../directory/errors.ts';
import { decodeName } from '../directory/names.ts';
import { openDirectory } from '../directory/open.ts';
import { ManifestError } from '../errors.ts';
import { type Archive, openArchive } from './archive.ts';
import { chunksOf } from './decompress.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { EntryCollector } from './path.ts';

/** Longest row in bytes: far beyond any path, so that a quote that is never closed is found early. */
const MAX_ROW = 1 << 16;
/** A row as it stands in a RECORD: path, `algorithm=digest`, size; the last two may be empty. */
const rowForm = /^(?:"(?:[^"]|"")+"|[^",]+),(?<hash>[a-z]\w*=[\w-]+=*)?,\d*$/i;
/** The row of the RECORD itself has neither hash nor size. */
const ownRow = /\.dist-info[\\/]RECORD"?,,$/;
const byteOrderMark = '\xef\xbb\xbf';
const isAscii = /^[\0-\x7f]*$/;

/**
 * Read which files the RECORD of a Python distribution lists (PyPA, "Recording installed projects", "The RECORD file"):
 * one RECORD, or every `*.dist-info/RECORD` directly below a directory, so that a site-packages directory is its own
 * manifest.
 *
 * - Paths are relative to the directory that holds the `.dist-info` directory, or, where a RECORD lies elsewhere, to its
 *   own. A backslash separates as a slash does.
 * - `size` is `undefined` where the row has none; `mode` always is.
 * - What lies outside that directory, as `../../../bin/pip`, is no entry, but one of the manifest's
 *   {@link Manifest.outside}.
 * - A path that several RECORDs list with different sizes has none: which one came last cannot be told.
 *
 * @param source path of a RECORD, or of a directory.
 * @throws ManifestError where it cannot be read (`code` is the errno's name), a directory holds no RECORD, or a RECORD is
 *   broken or lists a path twice with different sizes, or one that is absolute or no path.
 *
 * @example
 * // A site-packages directory is its own manifest.
 * const manifest = await readRecordManifest('venv/lib/python3.12/site-packages');
 * await applyPermissions('venv/lib/python3.12/site-packages', { manifest });
 */
export async function readRecordManifest(source: string): Promise<Manifest> {
  checkSource(source);
  const root = absolutePath(source);
  const entries = new Map<string, ManifestEntry>();
  const outside = new Set<string>();
  for await (const { path, archive } of findRecords(root)) {
    for (const entry of await readRecord(path, archive, outside)) {
      const known = entries.get(entry.path);
      if (known === undefined) entries.set(entry.path, entry);
      else keepCommon(known, entry);
    }
  }
  return createManifest('record', root, [...entries.values()], [...outside]);
}

/**
 * True where text begins like a RECORD: every row has its three columns, and one a hash, or is the row of the RECORD.
 *
 * @param head first bytes of a file
 * @param isWhole true where there are no more
 * @internal
 */
export function startsLikeRecord(head: Buffer, isWhole: boolean): boolean {
  const text = head.toString('latin1');
  const lines = (text.startsWith(byteOrderMark) ? text.slice(3) : text).split(/\r?\n/);
  // The last line may be cut.
  if (!isWhole) lines.pop();
  const rows = lines.filter((line) => line !== '');
  const isMarked = rows.some((row) => rowForm.exec(row)?.groups?.hash !== undefined || ownRow.test(row));
  return isMarked && rows.every((row) => rowForm.test(row));
}

/** A RECORD that is open: by its path in messages. */
interface OpenRecord {
  readonly path: string;
  readonly archive: Archive;
}

/** The RECORD that is meant, or all of a directory, one after the other; each is closed when the next one is asked for. */
async function* findRecords(source: string): AsyncGenerator<OpenRecord> {
  if (!(await isDirectory(source))) {
    const archive = await openArchive(source);
    try {
      yield { path: source, archive };
    } finally {
      await archive.close();
    }
    return;
  }
  const names: string[] = [];
  let found = 0;
  const directory = attempt(source, source, () => openDirectory(source));
  try {
    const listing = attempt(source, source, () => directory.list());
    while (listing.next()) if (listing.name.endsWith('.dist-info')) names.push(listing.name);
    for (const name of names.sort()) {
      const path = join(source, name, 'RECORD');
      const file = openRecord(source, directory, name, path);
      // A distribution without a RECORD is not for us to judge (PyPA, "Intentionally preventing changes").
      if (file === undefined) continue;
      found += 1;
      try {
        yield { path, archive: archiveOf(path, file) };
      } finally {
        file.close();
      }
    }
  } finally {
    directory.close();
  }
  if (found > 0) return;
  const seen = names.length === 0 ? 'no *.dist-info' : `${names.length} *.dist-info, none with a RECORD,`;
  throw new ManifestError(`is a directory with ${seen} directly below it`, { source });
}

async function isDirectory(source: string): Promise<boolean> {
  try {
    return (await stat(source)).isDirectory();
  } catch (error) {
    throw unreadable(source, error);
  }
}

/** Open the RECORD of a distribution; no link is followed. `undefined` where there is none, or no directory. */
function openRecord(source: string, directory: Directory, name: string, path: string): OpenFile | undefined {
  return attempt(source, path, () => {
    if (directory.lstat(name)?.type === 'file') return undefined;
    const distribution = directory.openDirectory(name);
    try {
      return distribution.lstat('RECORD') && distribution.open('RECORD');
    } finally {
      distribution.close();
    }
  });
}

/** What a file that is open holds, as an archive. */
function archiveOf(path: string, { stats: { size }, read }: OpenFile): Archive {
  return {
    source: path,
    size,
    read: async (position, length) => {
      const bytes = Buffer.from(read(length, position));
      if (bytes.length < length)
        throw new ManifestError('became shorter while it was read', { source: path });
      return bytes;
    },
    close: async () => {},
  };
}

/** Do it, or say that the source cannot be read. */
function attempt<T>(source: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw unreadable(source, located(error, path));
  }
}

function unreadable(source: string, error: unknown): ManifestError {
  const code = errorCode(error);
  const details = { source, ...(code && { code }), cause: error };
  return new ManifestError(`cannot be read: ${(error as Error).message}`, details);
}

/** The entries of one RECORD. What lies outside is added to `outside`. */
async function readRecord(source: string, archive: Archive, outside: Set<string>): Promise<ManifestEntry[]> {
  const collector = new EntryCollector(source);
  let number = 0;
  for await (const row of parseRows(source, archive)) {
    number += 1;
    const [path, hash, size] = row;
    if (path === undefined || hash === undefined || size === undefined || row.length > 3) {
      const fault = `row ${number} has ${row.length} fields, not path, hash and size`;
      throw new ManifestError(fault, { source });
    }
    if (!/^\d*$/.test(size)) {
      const fault = `row ${number} has a size that is no number: ${JSON.stringify(size)}`;
      throw new ManifestError(fault, { source });
    }
    addRow(collector, outside, decodePath(path), size === '' ? undefined : Number(size));
  }
  return collector.entries;
}

/** A path as it is written in a manifest, from its bytes. */
function decodePath(bytes: string): string {
  const path = isAscii.test(bytes) ? bytes : decodeName(Buffer.from(bytes, 'latin1'));
  return path.replaceAll('\\', '/');
}

function addRow(
  collector: EntryCollector,
  outside: Set<string>,
  listed: string,
  size: number | undefined,
): void {
  const path = listed.includes('..') ? posix.normalize(listed) : listed;
  const isOutside = path === '..' || path.startsWith('../') || /^(?:\/|[A-Za-z]:)/.test(path);
  if (isOutside) outside.add(listed);
  else collector.add({ path, type: path.endsWith('/') ? 'directory' : 'file', size });
}

/** Leave of what two RECORDs say of one path what both say. */
function keepCommon(known: ManifestEntry, entry: ManifestEntry): void {
  if (known.size !== entry.size) known.size = undefined;
  if (known.type !== entry.type) known.type = undefined;
}

/** The rows of a CSV file in the dialect of a RECORD, read as they are asked for; each character is a byte. */
async function* parseRows(source: string, archive: Archive): AsyncGenerator<string[], void, undefined> {
  const { parse } = await import('csv-parse');
  try {
    const parser = parse({
      encoding: 'latin1',
      max_record_size: MAX_ROW,
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      skip_empty_lines: true,
    });
    const rows = pipeline(Readable.from(withoutMark(chunksOf(archive))), parser, () => {});
    for await (const row of rows) yield row;
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    throw new ManifestError(`is broken: ${(error as Error).message}`, { source, cause: error });
  }
}

/** Bytes without the byte order mark that some editors put before them. */
async function* withoutMark(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let isFirst = true;
  for await (const chunk of chunks) {
    const hasMark = isFirst && chunk.toString('latin1', 0, 3) === byteOrderMark;
    yield hasMark ? chunk.subarray(3) : chunk;
    isFirst = false;
  }
}
