import { type Directory, type OpenFile, SELF } from '../directory/directory.ts';
import { type EntryStats, type Identity, isSameEntry } from '../directory/entry-stats.ts';
import { errorCode, located, swapped, systemError } from '../directory/errors.ts';
import { mayLackBytes, nameOf } from '../directory/names.ts';
import { Place } from '../directory/place.ts';
import { isWindows } from '../directory/platform.ts';
import type { Tree } from '../directory/tree.ts';
import type { EntryType } from '../errors.ts';
import type { Matcher } from '../globs/compile.ts';
import type { ManifestDigest, ManifestEntry } from '../manifest/manifest.ts';
import { Notes } from '../manifest/notes.ts';
import { isSafePath } from '../manifest/path.ts';
import type { Slices } from '../slices.ts';
import { type FileDigests, isSmall } from './file-digests.ts';
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

/** A file that is open, and whose digest takes more than a slice. Whoever gets it closes it. */
class LargeFile {
  readonly file: OpenFile;
  readonly path: string;
  readonly digests: FileDigests;

  constructor(file: OpenFile, path: string, digests: FileDigests) {
    this.file = file;
    this.path = path;
    this.digests = digests;
  }
}

/** Records a tree that is held open, a directory at a time. */
export class Recorder {
  readonly notes = new Notes();
  /** Windows makes modes up: none is recorded, for another system would take it at its word. */
  readonly #knowsModes = !isWindows;
  readonly #tree: Tree;
  readonly #settings: RecordSettings;
  readonly #leftOut: LeftOut;
  readonly #digests: FileDigests | undefined;
  readonly #slices: Slices;
  readonly #entries: ManifestEntry[] = [];
  #looked = 0;

  constructor(
    tree: Tree,
    settings: RecordSettings,
    leftOut: LeftOut,
    digests: FileDigests | undefined,
    slices: Slices,
  ) {
    this.#digests = digests;
    this.#tree = tree;
    this.#settings = settings;
    this.#leftOut = leftOut;
    this.#slices = slices;
  }

  get progress(): RecordProgress {
    return { entries: this.#looked, bytes: this.#digests?.bytes ?? 0 };
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

  /** Record a directory, and look at everything in it. `undefined` where it vanished, or is left out. */
  *#enter(place: Place, entry: ManifestEntry): Generator<void, Level | undefined> {
    let directory: Directory;
    const names: string[] = [];
    /** Kinds of what is no file, as the directory says: most entries are files. */
    const others = new Map<string, EntryType>();
    try {
      const entered = this.#tree.enter(place);
      directory = entered.directory;
      if (place.parent !== undefined && this.#isBeyond(directory, SELF, entered.stats, entry.path)) {
        return undefined;
      }
      if (this.#knowsModes) entry.mode = entered.stats.mode;
      const listing = directory.list();
      while (listing.next()) {
        const { name, type } = listing;
        names.push(name);
        if (type !== 'file') others.set(name, type);
      }
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
      const path = pathOf(place, entry.path, name);
      const found = this.#look(directory, name, path, others.get(name));
      const recorded = found instanceof LargeFile ? yield* this.#inSlices(found) : found;
      if (recorded !== undefined) entries.push(recorded);
      this.#looked += 1;
      if (this.#slices.isOver()) yield;
    }
    return { place, entries, recorded: 0 };
  }

  /** What is to be recorded of an entry, whose kind is known where it is no file. */
  #look(
    directory: Directory,
    name: string,
    path: string,
    type: EntryType = 'file',
  ): ManifestEntry | LargeFile | undefined {
    if (this.#isMisnamed(name, path)) return undefined;
    // It is looked at when it is entered: by what is open then.
    if (type === 'directory') return emptyEntry(path, 'directory');
    if (type === 'file' && this.#digests !== undefined) {
      return this.#digested(directory, name, path, this.#digests);
    }
    try {
      const stats = directory.lstat(name);
      if (stats === undefined) return this.#vanished(path);
      if (this.#isBeyond(directory, name, stats, path)) return undefined;
      if (stats.type === 'symlink') {
        const entry = emptyEntry(path, 'symlink');
        entry.linkTarget = directory.readlink(name);
        return entry;
      }
      if (stats.type === 'directory') return emptyEntry(path, 'directory');
      if (stats.type !== 'file') {
        const message = 'is a FIFO, a socket or a device, which a manifest cannot hold: it is left out';
        return this.#leaveOut('special-file', message, path);
      }
      if (this.#isOutput(stats, path)) return undefined;
      if (this.#digests !== undefined) return this.#digested(directory, name, path, this.#digests);
      return this.#fileEntry(path, stats, undefined);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return this.#vanished(path);
      throw located(error, path);
    }
  }

  /** A file with its digest: what is recorded is the file that was opened. */
  #digested(
    directory: Directory,
    name: string,
    path: string,
    digests: FileDigests,
  ): ManifestEntry | LargeFile | undefined {
    let file: OpenFile | undefined;
    try {
      file = directory.open(name);
      const { stats } = file;
      if (this.#isBeyond(directory, name, stats, path) || this.#isOutput(stats, path)) return undefined;
      if (isSmall(file)) return this.#fileEntry(path, stats, digests.atOnce(file, path));
      const large = new LargeFile(file, path, digests);
      file = undefined;
      return large;
    } catch (error) {
      return this.#failed(path, error);
    } finally {
      file?.close();
    }
  }

  *#inSlices({ file, path, digests }: LargeFile): Generator<void, ManifestEntry | undefined> {
    try {
      return this.#fileEntry(path, file.stats, yield* digests.inSlices(file, path));
    } catch (error) {
      return this.#failed(path, error);
    } finally {
      file.close();
    }
  }

  /** A file that could not be opened or read. */
  #failed(path: string, error: unknown): undefined {
    const code = errorCode(error) ?? '';
    if (code === 'ENOENT') return this.#vanished(path);
    // EINVAL and ELOOP: it is no file any more.
    throw located(['EINVAL', 'ELOOP'].includes(code) ? swapped(path) : error, path);
  }

  /** Whether an entry is left out for its name alone. */
  #isMisnamed(name: string, path: string): boolean {
    if (isWindows && !isSafePath(name)) {
      const message = 'has a name that most programs on Windows cannot use, and is left out';
      this.#leaveOut('windows-name', message, path);
      return true;
    }
    // Below the root no name leads anywhere else.
    if (path !== name || isSafePath(path)) return false;
    const message = 'is named like a drive, which no manifest may have: it is left out';
    this.#leaveOut('drive-name', message, path);
    return true;
  }

  /** Whether an entry, or the directory itself, is left out for it is on another mount. */
  #isBeyond(directory: Directory, name: string, stats: EntryStats, path: string): boolean {
    if (this.#settings.crossDevice || !directory.isMountPoint(name, stats)) return false;
    this.#leaveOut('mount-point', 'is a mount point, and is left out; set crossDevice to enter it', path);
    return true;
  }

  #isOutput(stats: EntryStats, path: string): boolean {
    const { output } = this.#leftOut;
    if (output === undefined || !isSameEntry(output, stats)) return false;
    this.#leaveOut('output', 'is the file that the record is written to, and is left out', path);
    return true;
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
    if (mayLackBytes(nameOf(path))) {
      throw systemError('ENOENT', 'the name is not UTF-8, and cannot be used on Deno', 'lstat', path);
    }
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
