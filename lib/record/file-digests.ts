import type * as digests from '../directory/digest.ts';
import type { OpenFile } from '../directory/directory.ts';
import { isUnwritten } from '../directory/entry-stats.ts';
import type { ManifestDigest } from '../manifest/manifest.ts';
import { quoted } from '../printable.ts';
import { SLICE_BYTES, type Slices } from '../slices.ts';

/** What makes digests: loaded only where it is asked for. */
export type Digesting = Pick<typeof digests, 'digestAtOnce' | 'digestInChunks'>;

const ALGORITHM = 'sha256';

/** Digests of files that are open; of a file with more than one name, once. */
export class FileDigests {
  /** Bytes that were digested. */
  bytes = 0;
  readonly #digesting: Digesting;
  readonly #slices: Slices;
  /** By inode. */
  readonly #shared = new Map<string, ManifestDigest>();

  constructor(digesting: Digesting, slices: Slices) {
    this.#digesting = digesting;
    this.#slices = slices;
  }

  /** Of a small file, which is all read in one slice. */
  atOnce(file: OpenFile, path: string): ManifestDigest {
    const known = this.#known(file);
    if (known !== undefined) return known;
    this.#read(file.stats.size);
    return this.#note(file, path, this.#digesting.digestAtOnce(file, ALGORITHM));
  }

  /** Of any file; yields between slices. */
  *inSlices(file: OpenFile, path: string): Generator<void, ManifestDigest> {
    const known = this.#known(file);
    if (known !== undefined) return known;
    const onRead = this.#read.bind(this);
    return this.#note(file, path, yield* this.#digesting.digestInChunks(file, ALGORITHM, onRead));
  }

  #known({ stats }: OpenFile): ManifestDigest | undefined {
    return stats.nlink > 1 ? this.#shared.get(keyOf(stats)) : undefined;
  }

  #note(file: OpenFile, path: string, value: string | undefined): ManifestDigest {
    const { stats } = file;
    if (value === undefined || !isUnwritten(file.now(), stats)) throw changed(path);
    const digest = { algorithm: ALGORITHM, value };
    if (stats.nlink > 1) this.#shared.set(keyOf(stats), digest);
    return digest;
  }

  #read(bytes: number): void {
    this.bytes += bytes;
    this.#slices.spend(bytes);
  }
}

/** Whether a file is small enough for {@link FileDigests.atOnce}. */
export function isSmall({ stats }: OpenFile): boolean {
  return stats.size < SLICE_BYTES;
}

function keyOf({ dev, ino }: OpenFile['stats']): string {
  return `${dev}:${ino}`;
}

function changed(path: string): Error {
  const advice = 'record a tree at rest, or leave the file out with ignore';
  const message = `ERR_PERMWALK_CHANGED: ${quoted(path)} changed while it was read: ${advice}`;
  return Object.assign(new Error(message), { code: 'ERR_PERMWALK_CHANGED', path });
}
