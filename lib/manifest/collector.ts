import { show } from '../checks.ts';
import { formatMode, ManifestError } from '../errors.ts';
import { quoted } from '../printable.ts';
import { normalDigest } from './digest.ts';
import {
  alternativeOf,
  digestOf,
  isOptional,
  linksOf,
  type ManifestEntry,
  setTraits,
  traitsOf,
} from './manifest.ts';
import type { Notes } from './notes.ts';
import { type NormalizedPath, normalizeManifestPath, tryNormalize } from './path.ts';
import { entryProperties, findMisspelled } from './properties.ts';

/** How an {@link EntryCollector} deals with what is not as it should be. */
export interface CollectorOptions {
  /**
   * What to do with a path that comes again with different facts. `'refuse'` (default): an error. `'last'`: the last entry counts,
   * in its own position; a file and a directory of one path are still an error.
   */
  readonly repeated?: 'refuse' | 'last';
  /** Collects what was odd. */
  readonly notes?: Notes | undefined;
  /** False if messages must not quote paths, because the file may not be a manifest at all. Default true. */
  readonly quotes?: boolean;
}

/** A bare path, of which nothing is known, as own properties: nothing that an object inherits is a fact. */
function ofNothingKnown(path: string): ManifestEntry {
  return { path, type: undefined, mode: undefined, size: undefined, linkTarget: undefined };
}

/**
 * Gathers the entries of a manifest: every path in its one spelling, every fact checked, every entry once, in the order in
 * which they were added.
 */
export class EntryCollector {
  /** With gaps where an entry came again later. */
  readonly #entries: (ManifestEntry | undefined)[];
  #count = 0;
  #gaps = 0;
  readonly #paths = new Set<string>();
  /** Where an entry stands, by its path; made when the first one comes again: of most sources none does. */
  #known: Map<string, number> | undefined;
  #hasAlternatives = false;
  readonly #source: string | undefined;
  readonly #options: CollectorOptions;

  /**
   * @param source the archive or file that the entries stand in, for the messages.
   * @param expected how many there will be, where that is known: an array that grows leaves three times its own size behind.
   */
  constructor(source?: string, expected = 0, options: CollectorOptions = {}) {
    this.#source = source;
    this.#entries = new Array(expected);
    this.#options = options;
  }

  /** What was gathered. An alternative that is the path of another entry, or another's alternative, is dropped. */
  get entries(): ManifestEntry[] {
    this.#entries.length = this.#count;
    const entries =
      this.#gaps === 0
        ? (this.#entries as ManifestEntry[])
        : this.#entries.filter((entry) => entry !== undefined);
    if (!this.#hasAlternatives) return entries;
    const taken = new Set<string>();
    for (const entry of entries) {
      const alternative = alternativeOf(entry);
      if (alternative === undefined) continue;
      if (this.#paths.has(alternative) || taken.has(alternative)) delete entry.alternative;
      else taken.add(alternative);
      const { third } = traitsOf(entry);
      if (third === undefined) continue;
      if (this.#paths.has(third) || taken.has(third)) setTraits(entry, { third: undefined });
      else taken.add(third);
    }
    return entries;
  }

  /**
   * Add one entry. A bare string is a path of which nothing more is known. Properties that a
   * {@link ManifestEntry} has not are ignored, unless one is called almost as one that it has, and so are those that every object has.
   *
   * @throws ManifestError where the path or a fact is not acceptable, or the path was added before with other
   *   facts.
   */
  add(given: string | ManifestEntry): void {
    if (typeof given === 'string') return this.adopt(ofNothingKnown(given));
    const entry = this.#copy(given);
    if (digestOf(entry) !== undefined) this.#normalizeDigest(entry);
    this.adopt(entry);
  }

  /** Add an entry that nobody else has, as it is, whose digest is in its one spelling: see {@link add}. */
  adopt(entry: ManifestEntry): void {
    this.#normalize(entry);
    if (alternativeOf(entry) !== undefined) this.#hasAlternatives = true;
    const before = this.#paths.size;
    if (this.#paths.add(entry.path).size > before) this.#append(entry);
    else this.#again(entry);
  }

  #append(entry: ManifestEntry): void {
    this.#entries[this.#count] = entry;
    this.#known?.set(entry.path, this.#count);
    this.#count += 1;
  }

  #copy(given: ManifestEntry): ManifestEntry {
    const from: Partial<ManifestEntry> = typeof given === 'object' && given !== null ? given : {};
    const { path, type, mode, size, linkTarget, ...rest } = withoutInherited(from);
    const { optional, alternative, digest, nlink } = rest;
    this.#refuseMisspelled(from);
    if (typeof path !== 'string') {
      throw new ManifestError(`an entry after ${this.#count} others has no path`, {
        source: this.#source,
      });
    }
    const entry: ManifestEntry = { path, type, mode, size, linkTarget };
    if (optional !== undefined) entry.optional = optional;
    if (alternative !== undefined) entry.alternative = alternative;
    if (digest !== undefined) entry.digest = digest;
    if (nlink !== undefined) entry.nlink = nlink;
    return entry;
  }

  #refuseMisspelled(given: Partial<ManifestEntry>): void {
    const misspelled = findMisspelled(given);
    if (misspelled === undefined) return;
    const isQuoted = this.#options.quotes !== false;
    const path = isQuoted && Object.hasOwn(given, 'path') ? given.path : undefined;
    const where = typeof path === 'string' ? `path ${quoted(path)}` : `an entry after ${this.#count} others`;
    const what = isQuoted ? `a property ${quoted(misspelled.given)}` : 'a misspelled property';
    const fault = `has ${what}; did you mean ${quoted(misspelled.meant)}?`;
    throw new ManifestError(`${where} ${fault}`, { source: this.#source, path });
  }

  /** Bring the path to its one spelling, and check every fact. */
  #normalize(entry: ManifestEntry): void {
    const { type, mode, size, linkTarget } = entry;
    const optional: unknown = Object.hasOwn(entry, 'optional') ? entry.optional : undefined;
    const { path, directory } = this.#normalPath(entry.path);
    if (type !== undefined && type !== 'file' && type !== 'directory' && type !== 'symlink') {
      this.#reject(path, 'type', type, "is not 'file', 'directory' or 'symlink'");
    }
    if (directory && type !== undefined && type !== 'directory') {
      const spelled = this.#options.quotes === false ? '' : ` (${quoted(entry.path)})`;
      this.#fail(path, `is spelled as a directory${spelled}, but its type is ${type}`);
    }
    if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o177777)) {
      this.#reject(path, 'mode', mode, 'is not an integer from 0 to 0o177777');
    }
    if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) {
      this.#reject(path, 'size', size, 'is not a whole number of bytes from 0 to 2^53 - 1');
    }
    if (linkTarget !== undefined && !isLinkTarget(linkTarget)) {
      this.#reject(path, 'link target', linkTarget, 'is not a string of at least one character without NUL');
    }
    if (optional !== undefined && typeof optional !== 'boolean') {
      this.#reject(path, 'optional', optional, 'is not true or false');
    }
    const nlink = linksOf(entry);
    if (nlink !== undefined && !(Number.isSafeInteger(nlink) && nlink >= 1)) {
      this.#reject(path, 'nlink', nlink, 'is not a whole number, 1 or more');
    }
    entry.path = path;
    if (directory) entry.type = 'directory';
    if (alternativeOf(entry) !== undefined) this.#normalizeAlternative(entry, path);
  }

  #normalizeDigest(entry: ManifestEntry): void {
    const digest = normalDigest(entry.digest);
    if (digest === undefined)
      this.#fail(
        this.#normalPath(entry.path).path,
        'digest is not { algorithm, value } with a hexadecimal value',
      );
    entry.digest = digest;
  }

  #normalizeAlternative(entry: ManifestEntry, path: string): void {
    const given: unknown = entry.alternative;
    if (typeof given !== 'string') this.#reject(path, 'alternative', given, 'is not a path');
    const alternative = this.#normalPath(given as string).path;
    if (alternative === path || alternative === '.' || path === '.') delete entry.alternative;
    else entry.alternative = alternative;
  }

  #normalPath(given: string): NormalizedPath {
    if (this.#options.quotes !== false) return normalizeManifestPath(given, this.#source);
    const normal = tryNormalize(given);
    if (!('fault' in normal)) return normal;
    throw new ManifestError(`the path ${normal.fault}`, { source: this.#source });
  }

  /** A path that was added before. */
  #again(entry: ManifestEntry): void {
    this.#known ??= new Map(
      this.#entries.slice(0, this.#count).flatMap((one, index) => (one ? [[one.path, index]] : [])),
    );
    const index = this.#known.get(entry.path) as number;
    const known = this.#entries[index] as ManifestEntry;
    const differences = this.#differences(known, entry);
    if (differences.length === 0) return;
    const list = differences.join(', ');
    const isOfTwoKinds = (known.type === 'directory') !== (entry.type === 'directory');
    if (this.#options.repeated !== 'last' || isOfTwoKinds) {
      this.#fail(entry.path, `is listed twice with different facts: ${list}`);
    }
    this.#options.notes?.add(
      'duplicate',
      `is listed more than once, with different facts (${list}): the last entry counts`,
      entry.path,
    );
    this.#entries[index] = undefined;
    this.#gaps += 1;
    this.#append(entry);
  }

  #differences(known: ManifestEntry, entry: ManifestEntry): string[] {
    const differences: string[] = [];
    const compare = (name: string, one: unknown, other: unknown, show: (value: unknown) => string) => {
      if (one === other) return;
      const values = this.#options.quotes === false ? '' : ` ${show(one)} and ${show(other)}`;
      differences.push(name + values);
    };
    compare('type', known.type, entry.type, showValue);
    compare('mode', known.mode, entry.mode, (mode) =>
      mode === undefined ? 'unknown' : formatMode(mode as number),
    );
    compare('size', known.size, entry.size, showValue);
    compare('link target', known.linkTarget, entry.linkTarget, showValue);
    compare('digest', showDigest(known), showDigest(entry), showValue);
    compare('optional', isOptional(known), isOptional(entry), showValue);
    return differences;
  }

  #reject(path: string, what: string, value: unknown, fault: string): never {
    const shown = this.#options.quotes === false ? '' : ` ${showValue(value)}`;
    this.#fail(path, `${what}${shown} ${fault}`);
  }

  #fail(path: string, fault: string): never {
    if (this.#options.quotes === false) throw new ManifestError(fault, { source: this.#source });
    throw new ManifestError(`path ${quoted(path)}: ${fault}`, { source: this.#source, path });
  }
}

/** A value whose properties are its own, or its class's: never what was put onto every object. */
function withoutInherited(given: Partial<ManifestEntry>): Partial<ManifestEntry> {
  const isPlain = entryProperties.every((name) => !(name in Object.prototype));
  if (isPlain) return given;
  const own = entryProperties.filter((name) => Object.hasOwn(given, name)).map((name) => [name, given[name]]);
  return Object.fromEntries([...entryProperties.map((name) => [name, undefined]), ...own]);
}

function showDigest(entry: ManifestEntry): string | undefined {
  const digest = digestOf(entry);
  return digest && `${digest.algorithm} ${digest.value}`;
}

function isLinkTarget(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && !value.includes('\0');
}

function showValue(value: unknown): string {
  return value === undefined ? 'unknown' : show(value);
}
