import type * as digests from '../directory/digest.ts';
import type { Directory, OpenFile } from '../directory/directory.ts';
import { type EntryStats, type Identity, isSameEntry } from '../directory/entry-stats.ts';
import { errorCode, located, swapped } from '../directory/errors.ts';
import { Place } from '../directory/place.ts';
import { isWindows } from '../directory/platform.ts';
import type { Tree } from '../directory/tree.ts';
import type { Matcher } from '../globs/compile.ts';
import type { ManifestDigest, ManifestEntry } from '../manifest/manifest.ts';
import { Notes } from '../manifest/notes.ts';
import { isSafePath } from '../manifest/path.ts';
import type { Slices } from '../pass/slices.ts';
import { quoted } from '../printable.ts';
import type { RecordProgress, RecordSettings } from './options.ts';
import { sortNames } from './sort.ts';

/** What is in one directory, sorted, and how much of it has been recorded. */
interface Level {
  readonly place: Place;
  readonly entries: readonly ManifestEntry[];
  recorded: number;
}

/** What is left out. */
interface LeftOut {
  readonly ignore: Matcher | undefined;
  /** The file that the record is written to. */
  readonly output: Identity | undefined;
}

/** What digests a file: loaded only where it is asked for. */
type Digesting = Pick<typeof digests, 'digestAtOnce' | 'digestInChunks' | 'CHUNK'>;

/** Records a tree that is held open, a directory at a time. */
export class Recorder {
  readonly notes = new Notes();
  /** Windows makes modes up: none is recorded, for another system would take it at its word. */
  readonly #knowsModes = !isWindows;
  readonly #tree: Tree;
  readonly #settings: RecordSettings;
  readonly #leftOut: LeftOut;
  readonly #digesting: Digesting | undefined;
  readonly #slices: Slices;
  readonly #entries: ManifestEntry[] = [];
  /** Digests of files that have more than one name, by inode. */
  readonly #shared = new Map<string, ManifestDigest>();
  #looked = 0;
  #bytes = 0;

  constructor(
    tree: Tree,
    settings: RecordSettings,
    leftOut: LeftOut,
    digesting: Digesting | undefined,
    slices: Slices,
  ) {
    this.#digesting = digesting;
    this.#tree = tree;
    this.#settings = settings;
    this.#leftOut = leftOut;
    this.#slices = slices;
  }

  get progress(): RecordProgress {
    return { entries: this.#looked, bytes: this.#bytes };
  }

  /** The whole tree; yields where a slice is over. */
  *run(): Generator<void, ManifestEntry[]> {
    if (!this.#knowsModes) this.notes.add('no-modes', 'has no modes: Windows knows none');
    const root = new Place(undefined, '.');
    const levels: Level[] = [yield* this.#enter(root, emptyEntry('.', 'directory'))].flatMap(
      (one) => one ?? [],
    );
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const entry = level.entries[level.recorded];
      level.recorded += 1;
      if (entry === undefined) levels.pop();
      else if (entry.type === 'directory') {
        const { path } = entry;
        const place = new Place(level.place, path.slice(path.lastIndexOf('/') + 1));
        const below = yield* this.#enter(place, entry);
        if (below !== undefined) levels.push(below);
      } else this.#entries.push(entry);
    }
    return this.#entries;
  }

  /** Record a directory, and look at everything in it. `undefined` where it vanished. */
  *#enter(place: Place, entry: ManifestEntry): Generator<void, Level | undefined> {
    let directory: Directory;
    let names: string[];
    try {
      const entered = this.#tree.enter(place);
      directory = entered.directory;
      if (this.#knowsModes) entry.mode = entered.stats.mode;
      names = [];
      const listing = directory.list();
      while (listing.next()) names.push(listing.name);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || place.parent === undefined) throw located(error, entry.path);
      this.#vanished(entry.path);
      return undefined;
    }
    this.#entries.push(entry);
    const isIgnored = this.#leftOut.ignore?.in(() => entry.path);
    const entries: ManifestEntry[] = [];
    for (const name of yield* sortNames(names, this.#slices)) {
      if (isIgnored?.(name) === true) continue;
      let found = this.#look(directory, name, pathOf(place, entry.path, name));
      if (found?.type === 'file' && this.#digesting !== undefined) {
        found = yield* this.#digested(directory, name, found.path, this.#digesting);
      }
      if (found !== undefined) entries.push(found);
      this.#looked += 1;
      if (this.#slices.isOver()) yield;
    }
    return { place, entries, recorded: 0 };
  }

  /** What is to be recorded of an entry; of a directory, its mode follows when it is entered. */
  #look(directory: Directory, name: string, path: string): ManifestEntry | undefined {
    try {
      const stats = directory.lstat(name);
      if (stats === undefined) return this.#vanished(path);
      if (isWindows && !isSafePath(name)) {
        const message = 'has a name that most programs on Windows cannot use, and is left out';
        return this.#leaveOut('windows-name', message, path);
      }
      // Below the root no name leads anywhere else.
      if (path === name && !isSafePath(path)) {
        const message = 'is named like a drive, which no manifest may have: it is left out';
        return this.#leaveOut('drive-name', message, path);
      }
      if (!this.#settings.crossDevice && directory.isMountPoint(name, stats)) {
        const message = 'is a mount point, and is left out; crossDevice enters it';
        return this.#leaveOut('mount-point', message, path);
      }
      if (stats.type === 'symlink') {
        const entry = emptyEntry(path, 'symlink');
        entry.linkTarget = directory.readlink(name);
        return entry;
      }
      if (stats.type === 'directory') return emptyEntry(path, 'directory');
      if (stats.type === 'file') return this.#file(path, stats);
      const message = 'is a FIFO, a socket or a device, which a manifest cannot hold: it is left out';
      return this.#leaveOut('special-file', message, path);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return this.#vanished(path);
      throw located(error, path);
    }
  }

  #file(path: string, stats: EntryStats): ManifestEntry | undefined {
    const { output } = this.#leftOut;
    if (output === undefined || !isSameEntry(output, stats)) return this.#fileEntry(path, stats, undefined);
    return this.#leaveOut('output', 'is the file that the record is written to, and is left out', path);
  }

  /** A file with its digest: what is recorded is the file that was opened. */
  *#digested(
    directory: Directory,
    name: string,
    path: string,
    digesting: Digesting,
  ): Generator<void, ManifestEntry | undefined> {
    let file: OpenFile | undefined;
    try {
      file = directory.open(name);
      return this.#fileEntry(path, file.stats, yield* this.#digest(file, path, digesting));
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (code === 'ENOENT') return this.#vanished(path);
      // EINVAL and ELOOP: it is no file any more.
      throw located(['EINVAL', 'ELOOP'].includes(code) ? swapped(path) : error, path);
    } finally {
      file?.close();
    }
  }

  *#digest(
    file: OpenFile,
    path: string,
    { digestAtOnce, digestInChunks, CHUNK }: Digesting,
  ): Generator<void, ManifestDigest> {
    const { dev, ino, nlink, size } = file.stats;
    const key = nlink > 1 ? `${dev}:${ino}` : undefined;
    const known = key === undefined ? undefined : this.#shared.get(key);
    if (known !== undefined) return known;
    const onRead = (bytes: number) => {
      this.#bytes += bytes;
      this.#slices.spend(bytes);
    };
    if (size < CHUNK) onRead(size);
    const value = size < CHUNK ? digestAtOnce(file, 'sha256') : yield* digestInChunks(file, 'sha256', onRead);
    if (value === undefined) throw changed(path);
    const digest = { algorithm: 'sha256', value };
    if (key !== undefined) this.#shared.set(key, digest);
    return digest;
  }

  #fileEntry(
    path: string,
    { mode, size, nlink }: EntryStats,
    digest: ManifestDigest | undefined,
  ): ManifestEntry {
    const known = this.#knowsModes ? mode : undefined;
    const entry: ManifestEntry = { path, type: 'file', mode: known, size, linkTarget: undefined, digest };
    if (nlink > 1) entry.nlink = nlink;
    return entry;
  }

  #vanished(path: string): undefined {
    return this.#leaveOut('vanished', 'vanished while the tree was recorded, and is left out', path);
  }

  #leaveOut(code: string, message: string, path: string): undefined {
    this.notes.add(code, message, path);
  }
}

/** Joined, for that makes one flat string: V8 keeps a sum as its two parts, and makes a third where it is looked into. */
function pathOf({ parent }: Place, path: string, name: string): string {
  return parent === undefined ? name : [path, name].join('/');
}

/** All entries have the same properties in the same order: a million of them take half the memory. */
function emptyEntry(path: string, type: ManifestEntry['type']): ManifestEntry {
  return { path, type, mode: undefined, size: undefined, linkTarget: undefined, digest: undefined };
}

function changed(path: string): Error {
  const advice = 'record a tree at rest, or leave the file out with ignore';
  const message = `ERR_PERMWALK_CHANGED: ${quoted(path)} changed while it was read: ${advice}`;
  return Object.assign(new Error(message), { code: 'ERR_PERMWALK_CHANGED', path });
}
