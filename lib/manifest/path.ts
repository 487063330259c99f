import { formatMode, ManifestError } from '../errors.ts';
import { own } from '../own.ts';
import { quoted } from '../printable.ts';
import type { ManifestEntry } from './manifest.ts';
import { findMisspelled } from './properties.ts';

/** A drive letter, a NUL, or a component that is empty, `.` or `..`: anything that an ordinary path has not. */
const unusual = /^[A-Za-z]:|\0|(?:^|\/)\.{0,2}(?:\/|$)/;

/** The same on Windows, where a backslash separates names and a colon ends a drive or begins a stream. */
const unusualOnWindows = /[:\\]|\0|(?:^|\/)\.{0,2}(?:\/|$)/;

/** A manifest path in its one spelling. */
export interface NormalizedPath {
  /** `/`-separated components below the root, without `.` and empty ones; `.` is the root. */
  path: string;
  /** True where the spelling says that it is a directory: a trailing `/` or `/.`, or the root itself. */
  directory: boolean;
}

/**
 * Bring a path of a manifest to its one spelling: `./a//b/` becomes `a/b`, a directory.
 *
 * @param path `/`-separated path below the root. A backslash and a colon are ordinary characters, except on Windows,
 *   where both lead elsewhere and are refused.
 * @param source the archive or file that it stands in, for the message.
 * @throws ManifestError where it is empty, absolute, has a `..` component or a NUL, or starts with a drive letter.
 */
export function normalizeManifestPath(path: string, source?: string): NormalizedPath {
  const isWindows = process.platform === 'win32';
  if (!(isWindows ? unusualOnWindows : unusual).test(path)) return { path, directory: false };
  const components = path.split('/');
  const last = components[components.length - 1];
  const normal = components.filter((component) => component !== '' && component !== '.').join('/');
  const fault = findFault(path, components, normal, isWindows);
  if (fault !== undefined) throw new ManifestError(`path ${JSON.stringify(path)} ${fault}`, { source, path });
  return { path: normal || '.', directory: last === '' || last === '.' };
}

function findFault(
  path: string,
  components: readonly string[],
  normal: string,
  isWindows: boolean,
): string | undefined {
  if (path === '') return 'is empty';
  if (path.startsWith('/')) return 'is absolute';
  if (path.includes('\0')) return 'contains a NUL';
  if (components.includes('..')) return 'has a ".." component';
  if (/^[A-Za-z]:/.test(normal)) return 'starts with a drive letter';
  const elsewhere = isWindows ? /[:\\]/.exec(path)?.[0] : undefined;
  if (elsewhere !== undefined)
    return `contains ${JSON.stringify(elsewhere)}, which no name can have on Windows`;
  return undefined;
}

const nothingKnown: Omit<ManifestEntry, 'path'> & { path?: undefined } = {
  type: undefined,
  mode: undefined,
  size: undefined,
  linkTarget: undefined,
};

/**
 * Gathers the entries of a manifest: every path in its one spelling, every fact checked, every entry once, in
 * the order in which they were added.
 */
export class EntryCollector {
  readonly #entries: ManifestEntry[];
  #count = 0;
  readonly #paths = new Set<string>();
  /** Entries by path, made when the first one comes again: of most sources none does. */
  #known: Map<string, ManifestEntry> | undefined;
  readonly #source: string | undefined;

  /**
   * @param source the archive or file that the entries stand in, for the messages.
   * @param expected how many there will be, where that is known: an array that grows leaves three times its own size behind.
   */
  constructor(source?: string, expected = 0) {
    this.#source = source;
    this.#entries = new Array(expected);
  }

  /** What was gathered so far. */
  get entries(): ManifestEntry[] {
    this.#entries.length = this.#count;
    return this.#entries;
  }

  /**
   * Add one entry. A bare string is a path of which nothing more is known. Properties that a
   * {@link ManifestEntry} has not are ignored, unless one is called almost as one that it has.
   *
   * @throws ManifestError where the path or a fact is not acceptable, or the path was added before with other
   *   facts.
   */
  add(given: string | ManifestEntry): void {
    const facts = typeof given === 'string' ? { ...nothingKnown, path: given } : own(given ?? nothingKnown);
    const misspelled = typeof given === 'string' ? undefined : findMisspelled(facts);
    if (misspelled !== undefined) {
      const { given: name, meant } = misspelled;
      const where =
        typeof facts.path === 'string'
          ? `path ${quoted(facts.path)}`
          : `an entry after ${this.#count} others`;
      const fault = `has a property ${quoted(name)}; did you mean ${quoted(meant)}?`;
      throw new ManifestError(`${where} ${fault}`, { source: this.#source, path: facts.path });
    }
    if (typeof facts.path !== 'string') {
      throw new ManifestError(`an entry after ${this.#count} others has no path`, {
        source: this.#source,
      });
    }
    const { path, type, mode, size, linkTarget } = facts;
    this.adopt({ path, type, mode, size, linkTarget });
  }

  /** Add an entry that nobody else has, as it is: see {@link add}. */
  adopt(entry: ManifestEntry): void {
    this.#normalize(entry);
    const before = this.#paths.size;
    if (this.#paths.add(entry.path).size > before) {
      this.#entries[this.#count] = entry;
      this.#count += 1;
      this.#known?.set(entry.path, entry);
    } else {
      this.#known ??= new Map(this.entries.map((one) => [one.path, one]));
      this.#compare(this.#known.get(entry.path) as ManifestEntry, entry);
    }
  }

  /** Bring the path to its one spelling, and check every fact. */
  #normalize(entry: ManifestEntry): void {
    const { type, mode, size, linkTarget } = entry;
    const { path, directory } = normalizeManifestPath(entry.path, this.#source);
    if (type !== undefined && type !== 'file' && type !== 'directory' && type !== 'symlink') {
      this.#reject(path, `type ${show(type)} is not 'file', 'directory' or 'symlink'`);
    }
    if (directory && type !== undefined && type !== 'directory') {
      this.#reject(path, `is spelled as a directory (${JSON.stringify(entry.path)}) and given as a ${type}`);
    }
    if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o177777)) {
      this.#reject(path, `mode ${show(mode)} is not an integer from 0 to 0o177777`);
    }
    if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) {
      this.#reject(path, `size ${show(size)} is not a whole number of bytes that can be represented exactly`);
    }
    if (linkTarget !== undefined && !isLinkTarget(linkTarget)) {
      this.#reject(
        path,
        `link target ${show(linkTarget)} is not a string of at least one character without NUL`,
      );
    }
    entry.path = path;
    if (directory) entry.type = 'directory';
  }

  #compare(known: ManifestEntry, entry: ManifestEntry): void {
    const differences: string[] = [];
    if (known.type !== entry.type) differences.push(`type ${show(known.type)} and ${show(entry.type)}`);
    // A mode of 0 is unknown, as a mode that is not given.
    if ((known.mode ?? 0) !== (entry.mode ?? 0)) {
      differences.push(`mode ${formatMode(known.mode ?? 0)} and ${formatMode(entry.mode ?? 0)}`);
    }
    if (known.size !== entry.size) differences.push(`size ${show(known.size)} and ${show(entry.size)}`);
    if (known.linkTarget !== entry.linkTarget) {
      differences.push(`link target ${show(known.linkTarget)} and ${show(entry.linkTarget)}`);
    }
    if (differences.length > 0) {
      this.#reject(entry.path, `stands twice with different facts: ${differences.join(', ')}`);
    }
  }

  #reject(path: string, fault: string): never {
    throw new ManifestError(`path ${JSON.stringify(path)}: ${fault}`, { source: this.#source, path });
  }
}

function isLinkTarget(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && !value.includes('\0');
}

function show(value: unknown): string {
  if (value === undefined) return 'unknown';
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
