import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { absolutePath } from '../absolute.ts';
import { checkSource } from '../checks.ts';
import type { Directory, OpenFile } from '../directory/directory.ts';
import { errorCode, located } from '../directory/errors.ts';
import { openDirectory } from '../directory/open.ts';
import { ManifestError } from '../errors.ts';
import { type Archive, openArchive } from './archive.ts';
import { withoutMark } from './byte-order-mark.ts';
import { createManifest, type Manifest, type ManifestEntry } from './manifest.ts';
import { Notes } from './notes.ts';
import { checkReadOptions, type ReadOptions } from './options.ts';
import { keepCommon, RecordReader } from './record-rows.ts';

/** A row with a hash as it stands in a RECORD: path, `algorithm=digest`, size. */
const hashRow = /^(?:"(?:[^"]|"")+"|[^"]+),"?[a-z]\w*=[\w-]+=*"?,\s?"?\d*"?\s?$/i;
/** The row of the RECORD itself has neither hash nor size. */
const ownRow = /\.dist-info[\\/]RECORD"?,,$/;

/**
 * Read which files the RECORD of a Python distribution lists (PyPA, "Recording installed projects", "The RECORD file"):
 * one RECORD, or every `*.dist-info/RECORD` directly below a directory, so that a site-packages directory is its own
 * manifest.
 *
 * - Paths are relative to the directory that holds the `.dist-info` directory, or, where a RECORD lies elsewhere, to its
 *   own. A backslash separates as a slash does.
 * - `size` is `undefined` if the row has none; `mode` always is.
 * - `digest` is that of the row, with sha256, sha384 or sha512. A digest in hexadecimal, as some builders wrote it, is a warning.
 * - A path outside that directory, such as `../../../bin/pip`, is no entry, but is in {@link Manifest.outside}.
 * - If rows list a path with different sizes, the entry has no size and no digest, because nobody can tell which row came last.
 *   Of two digests the stronger counts; of two that contradict each other, none.
 * - An odd row is a warning, as in pip. From one with too few fields, or a size that is no number, only the path counts. No
 *   message quotes the content of the file, which may be no RECORD at all.
 *
 * @param source path of a RECORD, or of a directory.
 * @param options `signal` stops the reading
 * @throws ManifestError if it cannot be read (`code` is the errno's name), a directory holds no RECORD, or a RECORD is
 *   broken, has no row of path, hash and size, or lists a path that is absolute or no path.
 * @throws TypeError if the source or an option has the wrong type
 * @throws the signal's reason when it is aborted
 *
 * @example
 * // A site-packages directory is its own manifest.
 * const manifest = await readRecordManifest('venv/lib/python3.12/site-packages');
 * await applyPermissions('venv/lib/python3.12/site-packages', { manifest });
 */
export async function readRecordManifest(source: string, options: ReadOptions = {}): Promise<Manifest> {
  checkSource(source);
  const root = absolutePath(source);
  const { signal } = checkReadOptions(options);
  const entries = new Map<string, ManifestEntry>();
  const outside = new Set<string>();
  const notes = new Notes();
  for await (const { path, archive } of findRecords(root, signal)) {
    signal?.throwIfAborted();
    const where = path === root ? '' : `${path}: `;
    for (const entry of await new RecordReader(path, outside, notes, where).read(archive, signal)) {
      const known = entries.get(entry.path);
      if (known === undefined) entries.set(entry.path, entry);
      else keepCommon(known, entry);
    }
  }
  return createManifest({
    format: 'record',
    source: root,
    entries: [...entries.values()],
    outside: [...outside],
    notes,
  });
}

/**
 * True where text begins like a RECORD: a row has three columns and a hash, or is the row of the RECORD itself.
 *
 * @param head first bytes of a file
 * @param isWhole true where there are no more
 * @internal
 */
export function startsLikeRecord(head: Buffer, isWhole: boolean): boolean {
  const lines = withoutMark(head)
    .toString('latin1')
    .split(/\r\n?|\n/);
  // The last line may be cut.
  if (!isWhole) lines.pop();
  const rows = lines.filter((line) => line !== '');
  return rows.some((row) => hashRow.test(row) || ownRow.test(row));
}

/** A RECORD that is open: by its path in messages. */
interface OpenRecord {
  readonly path: string;
  readonly archive: Archive;
}

/** The RECORD that is meant, or all of a directory, one after the other; each is closed when the next one is asked for. */
async function* findRecords(source: string, signal: AbortSignal | undefined): AsyncGenerator<OpenRecord> {
  if (!(await isDirectory(source))) {
    const archive = await openArchive(source, signal);
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
function archiveOf(path: string, file: OpenFile): Archive {
  return {
    source: path,
    size: file.stats.size,
    read: async (position, length) => {
      const bytes = Buffer.from(file.read(length, position));
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
