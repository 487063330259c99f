import { wrongType } from '../checks.ts';
import { isWithin } from '../directory/names.ts';
import { ManifestError } from '../errors.ts';
import { quoted } from '../printable.ts';
import { pause, Slices } from '../slices.ts';
import {
  alternativeOf,
  createManifest,
  type Manifest,
  type ManifestEntry,
  setTraits,
  traitsOf,
} from './manifest.ts';
import { Notes } from './notes.ts';
import { tryNormalize } from './path.ts';

/** How paths of a source become paths below the root. Set one of them at most. */
export interface MappingOptions {
  /** How many leading directories are removed from each path, as by `tar --strip-components`. A whole number; default 0. */
  strip?: number | undefined;
  /** Directory of the source that becomes the root: `'package'` of an npm package, `'extension'` of a VSIX. Default: none. */
  prefix?: string | undefined;
}

/** A path below the root, or `undefined` for what is not below it; the root itself is `'.'`. */
type MapPath = (path: string) => string | undefined;

/**
 * A mapping that has been checked.
 *
 * @internal
 */
export interface Mapping {
  readonly map: MapPath;
  /** What it does, for a message: `prefix "extension"`. */
  readonly name: string;
  /** Whether what is not below it may be so in its second spelling. */
  readonly isSpelledTwice?: boolean;
}

/**
 * Check how paths are to be mapped.
 *
 * @returns `undefined` where they stay as they are
 * @throws TypeError where both are given or one has the wrong type, RangeError for a wrong value
 * @internal
 */
export function checkMapping({ strip, prefix }: MappingOptions): Mapping | undefined {
  if (strip !== undefined && prefix !== undefined) {
    throw new TypeError('strip and prefix: expected one of them, got both');
  }
  if (strip !== undefined) {
    if (typeof strip !== 'number') throw wrongType('strip', strip, 'a number');
    if (!Number.isSafeInteger(strip) || strip < 0) {
      throw new RangeError(`strip: ${strip} is not a whole number, 0 or more`);
    }
    return strip === 0 ? undefined : { map: stripping(strip), name: `strip ${strip}` };
  }
  if (prefix === undefined) return undefined;
  if (typeof prefix !== 'string') throw wrongType('prefix', prefix, 'a path');
  const normal = tryNormalize(prefix);
  const shown = quoted(prefix);
  if ('fault' in normal) throw new RangeError(`prefix: ${shown} ${normal.fault}`);
  if (normal.path === '.') throw new RangeError(`prefix: ${shown} is the root already`);
  // The caller knows the name from the disk, where an extractor may have used the second spelling.
  const isSpelledTwice = !/^[ -~]*$/.test(prefix);
  return { map: below(normal.path), name: `prefix ${shown}`, isSpelledTwice };
}

function stripping(count: number): MapPath {
  return (path) => {
    let start = 0;
    for (let left = count; left > 0; left -= 1) {
      const slash = path.indexOf('/', start);
      if (slash === -1) return undefined;
      start = slash + 1;
    }
    return path.slice(start);
  };
}

function below(prefix: string): MapPath {
  return (path) => {
    if (path.length === prefix.length || !isWithin(prefix, path)) return undefined;
    return path.slice(prefix.length + 1);
  };
}

/**
 * A manifest with its paths mapped: those of hard links and second spellings, too. Texts of links stay, as they do on the disk.
 *
 * - Paths that are left out are in {@link Manifest.outside}, except for directories that lead to entries that stay: these become the
 *   root, whose mode stays as it is, or lie above it.
 * - If two paths become one, the last entry counts, and a warning names both.
 *
 * @throws ManifestError if nothing is left
 * @throws the signal's reason when it is aborted
 * @internal
 */
export async function mapManifest(
  manifest: Manifest,
  { map, name, isSpelledTwice = false }: Mapping,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const { format, source } = manifest;
  const mapper = new Mapper(manifest, map, isSpelledTwice);
  const slices = new Slices(1);
  for (const entry of manifest.entries) {
    mapper.add(entry);
    if (slices.isOver()) await pause(slices, signal);
  }
  const { entries, outside, notes } = mapper.result();
  if (entries.length === 0 && manifest.entries.length > 0) {
    const [first] = manifest.entries;
    const fault = `has no path left with ${name}: its first path is ${quoted(first?.path ?? '')}`;
    throw new ManifestError(fault, { source });
  }
  return createManifest({ format, source, entries, outside, notes });
}

class Mapper {
  readonly #manifest: Manifest;
  readonly #map: MapPath;
  readonly #isSpelledTwice: boolean;
  readonly #notes = new Notes();
  /** With gaps where a path came again. */
  readonly #entries: (ManifestEntry | undefined)[] = [];
  readonly #known = new Map<string, { readonly index: number; readonly from: ManifestEntry }>();
  readonly #cut: ManifestEntry[] = [];
  /** What stands before paths that are kept. */
  readonly #fronts = new Set<string>();

  constructor(manifest: Manifest, map: MapPath, isSpelledTwice: boolean) {
    this.#manifest = manifest;
    this.#map = map;
    this.#isSpelledTwice = isSpelledTwice;
    for (const { code, path, message } of manifest.warnings) this.#notes.add(code, message, path);
    this.#notes.count = manifest.warningCount;
  }

  add(entry: ManifestEntry): void {
    let whole = entry.path;
    let path = this.#map(whole);
    if (path === undefined && this.#isSpelledTwice) {
      whole = alternativeOf(entry) ?? whole;
      path = this.#map(whole);
    }
    if (path === undefined) {
      this.#cut.push(entry);
      return;
    }
    this.#fronts.add(whole.slice(0, whole.length - path.length - 1));
    const known = this.#known.get(path);
    if (known !== undefined) {
      this.#entries[known.index] = undefined;
      this.#collide(path, known.from, entry);
    }
    this.#known.set(path, { index: this.#entries.length, from: entry });
    this.#entries.push(this.#mapped(entry, path));
  }

  result(): { entries: ManifestEntry[]; outside: string[]; notes: Notes } {
    const fronts = new Set<string>(['.']);
    for (const front of this.#fronts) {
      for (let path = front; path !== ''; path = path.slice(0, Math.max(0, path.lastIndexOf('/'))))
        fronts.add(path);
    }
    const leadsThere = (entry: ManifestEntry): boolean =>
      entry.type === 'directory' &&
      (fronts.has(entry.path) || fronts.has(alternativeOf(entry) ?? entry.path));
    const lost = this.#cut.filter((entry) => !leadsThere(entry));
    return {
      entries: this.#entries.filter((entry) => entry !== undefined),
      outside: [...(this.#manifest.outside ?? []), ...lost.map(({ path }) => path)],
      notes: this.#notes,
    };
  }

  /** Two directories that become one are no collision. */
  #collide(path: string, one: ManifestEntry, other: ManifestEntry): void {
    if (one.type === 'directory' && other.type === 'directory') return;
    const both = `${quoted(one.path)} and ${quoted(other.path)}`;
    this.#notes.add('collision', `is what ${both} become: the last entry counts`, path);
  }

  #mapped(entry: ManifestEntry, path: string): ManifestEntry {
    const mapped = { ...entry, path };
    const second = alternativeOf(entry);
    if (second !== undefined) {
      const alternative = this.#map(second);
      if (alternative === undefined || alternative === path) delete mapped.alternative;
      else mapped.alternative = alternative;
    }
    const whole = traitsOf(entry);
    const { firstName } = whole;
    const third = whole.third === undefined ? undefined : this.#map(whole.third);
    const traits = third === whole.third ? whole : { ...whole, third: third === path ? undefined : third };
    if (firstName === undefined) setTraits(mapped, traits);
    // The names of one file stay together where the first one is cut: no path has a NUL.
    else setTraits(mapped, { ...traits, firstName: this.#map(firstName) ?? `\0${firstName}` });
    return mapped;
  }
}
