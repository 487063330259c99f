import { posix } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { decodeName } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import type { Archive } from './archive.ts';
import { chunksWithoutMark } from './byte-order-mark.ts';
import { chunksOf } from './decompress.ts';
import { commonDigest, recordDigest } from './digest.ts';
import type { ManifestDigest, ManifestEntry } from './manifest.ts';
import type { Notes } from './notes.ts';
import { tryNormalize } from './path.ts';

/** Longest row in bytes: far beyond any path, so that a quote that is never closed is found early. */
const MAX_ROW = 1 << 16;
const isAscii = /^[\0-\x7f]*$/;
/** Hashes that a RECORD may have (PyPA). */
const hashName = /^sha(?:256|384|512)=/i;
const hashForm = /^(?:[a-z]\w*=[\w-]+=*)?$/i;
/** Far below what no number holds exactly. */
const sizeForm = /^\d{0,15}$/;
/** What leads out of the directory that a RECORD is about: it is listed, and left alone. */
const absolute = /^(?:\/|[A-Za-z]:(?:\/|$))/;

/** Reads one RECORD. */
export class RecordReader {
  readonly #source: string;
  readonly #outside: Set<string>;
  readonly #notes: Notes;
  /** What messages of notes begin with: which RECORD of several it is. */
  readonly #where: string;
  readonly #entries = new Map<string, ManifestEntry>();
  #proper = 0;
  #rows = 0;

  /** @param outside gets what is listed and lies outside */
  constructor(source: string, outside: Set<string>, notes: Notes, where: string) {
    this.#source = source;
    this.#outside = outside;
    this.#notes = notes;
    this.#where = where;
  }

  /** The entries of the RECORD. */
  async read(archive: Archive, signal: AbortSignal | undefined): Promise<Iterable<ManifestEntry>> {
    for await (const row of parseRows(this.#source, archive)) {
      signal?.throwIfAborted();
      this.#rows += 1;
      this.#readRow(row);
    }
    if (this.#rows > 0 && this.#proper === 0) {
      const fault = 'is not a RECORD: no row has a path, a hash and a size';
      throw new ManifestError(fault, { source: this.#source });
    }
    return this.#entries.values();
  }

  #readRow(row: readonly string[]): void {
    const fields = row.length > 3 ? ofThree(row) : row;
    const [path = '', hash, size] = fields;
    const isBlank = path === '' || (row.length === 1 && path.trim() === '');
    if (fields.length > 3 || isBlank) {
      const what = isBlank ? 'no path' : `${row.length} fields`;
      return this.#odd(`has ${what} instead of path, hash and size: it is skipped`);
    }
    const digits = size?.trim() ?? '';
    if (row.length !== 3)
      this.#odd(`has ${row.length} fields instead of path, hash and size: only its path counts`);
    else if (!sizeForm.test(digits)) this.#odd('has a size that is not a number: only its path counts');
    else if (hash === undefined || !hashForm.test(hash)) this.#odd('has a hash field that is not a hash');
    else this.#proper += 1;
    const length = digits !== '' && sizeForm.test(digits) ? Number(digits) : undefined;
    this.#add(decodePath(path), length, hash ?? '');
  }

  #add(listed: string, size: number | undefined, hash: string): void {
    const path = listed.includes('..') ? posix.normalize(listed) : listed;
    if (path === '..' || path.startsWith('../') || absolute.test(path)) {
      this.#outside.add(listed);
      return;
    }
    const normal = tryNormalize(path);
    if ('fault' in normal) {
      throw new ManifestError(`row ${this.#rows} has a path that ${normal.fault}`, { source: this.#source });
    }
    const entry: ManifestEntry = {
      path: normal.path,
      type: normal.directory ? 'directory' : 'file',
      mode: undefined,
      size: normal.directory ? undefined : size,
    };
    const digest = normal.directory ? undefined : this.#digestOf(hash, normal.path);
    if (digest !== undefined) entry.digest = digest;
    const known = this.#entries.get(entry.path);
    if (known === undefined) this.#entries.set(entry.path, entry);
    else if (!keepCommon(known, entry))
      this.#odd('repeats a path with different facts: those that differ count as unknown');
  }

  #digestOf(hash: string, path: string): ManifestDigest | undefined {
    const read = recordDigest(hash);
    if (read?.isHex === true) {
      const message = 'has a hash in hexadecimal, and others here may, too: it is accepted';
      this.#notes.addFirst('record-hex', message, path);
    } else if (read === undefined && hashName.test(hash))
      this.#odd('has a hash that is not valid for its algorithm: it is ignored');
    return read?.digest;
  }

  #odd(what: string): void {
    this.#notes.add('record-row', `${this.#where}row ${this.#rows} ${what}`);
  }
}

/**
 * Merge two rows for one path: keep the facts that agree, and the stronger of two digests, but no digest if the sizes differ.
 *
 * @returns false if something differs
 */
export function keepCommon(known: ManifestEntry, entry: ManifestEntry): boolean {
  const areOfOneSize = known.size === entry.size || known.size === undefined || entry.size === undefined;
  const digest = areOfOneSize ? commonDigest(known.digest, entry.digest) : undefined;
  const isSame =
    known.size === entry.size &&
    known.type === entry.type &&
    (digest !== undefined || (known.digest === undefined && entry.digest === undefined));
  if (known.size !== entry.size) known.size = undefined;
  if (known.type !== entry.type) known.type = undefined;
  if (digest !== known.digest) known.digest = digest;
  return isSame;
}

/**
 * Reduce more than three fields to three: the first three if all others are empty, as in pip; or an unquoted path with commas, and
 * the last two fields. Otherwise the row as it is.
 */
function ofThree(row: readonly string[]): readonly string[] {
  const [path = '', firstHash = '', firstSize = '', ...rest] = row;
  if (rest.every((field) => field === '') && hashForm.test(firstHash) && sizeForm.test(firstSize)) {
    return [path, firstHash, firstSize];
  }
  const [hash = '', size = ''] = row.slice(-2);
  const isJoined = hash !== '' && hashForm.test(hash) && sizeForm.test(size);
  return isJoined ? [row.slice(0, -2).join(','), hash, size] : row;
}

/** A path as it is written in a manifest, from its bytes. */
function decodePath(bytes: string): string {
  const path = isAscii.test(bytes) ? bytes : decodeName(Buffer.from(bytes, 'latin1'));
  return path.replaceAll('\\', '/');
}

/** The rows of a CSV file in the dialect of a RECORD, read as they are asked for; each character is a byte. */
async function* parseRows(source: string, archive: Archive): AsyncGenerator<string[], void, undefined> {
  const { parse } = await import('csv-parse');
  try {
    const parser = parse({
      encoding: 'latin1',
      max_record_size: MAX_ROW,
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
    });
    const rows = pipeline(Readable.from(chunksWithoutMark(chunksOf(archive))), parser, () => {});
    for await (const row of rows) yield row;
  } catch (error) {
    const { code = '', lines } = error as { code?: string; lines?: number };
    if (error instanceof ManifestError || !code.startsWith('CSV_')) throw error;
    throw new ManifestError(`is broken: ${code} near line ${lines ?? 1}`, { source });
  }
}
