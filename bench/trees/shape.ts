import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { factsOf, type TreeEntry } from './entries.ts';

/** How often each value was seen: pairs of value and count, in order. */
export type Histogram<T> = [value: T, count: number][];

/** What is characteristic of a large tree, measured by {@link measureShape}. */
export interface Shape {
  /** What was measured. */
  origin: string;
  entries: number;
  directories: number;
  executables: number;
  links: number;
  dangling: number;
  /** Directories by their depth below the root. */
  depths: Histogram<number>;
  /** Directories by the files that lie in them. */
  filesEach: Histogram<number>;
  /** Names by their length in characters, a file's without its extension. */
  directoryNames: Histogram<number>;
  fileNames: Histogram<number>;
  /** Files by extension; rare ones are left out. */
  extensions: Histogram<string>;
  /** Directories that are named `bin`. */
  bins: number;
  /** Sizes of files in bytes: every hundredth of them, smallest first. */
  sizes: number[];
}

const file = fileURLToPath(new URL('../shape.json', import.meta.url));
const RARE_EXTENSION = 50;

/** The measured shape that generated trees are made by. In the file a list is one line: `value:count value:count`. */
export function readShape(): Shape {
  const stored: Record<string, string | number> = JSON.parse(readFileSync(file, 'utf8'));
  const words = (name: string) => String(stored[name]).split(' ');
  const pairs = (name: string) => words(name).map((pair) => pair.split(':') as [string, string]);
  const counted = (name: string): Histogram<number> =>
    pairs(name).map(([value, count]) => [Number(value), Number(count)]);
  return {
    origin: String(stored.origin),
    entries: Number(stored.entries),
    directories: Number(stored.directories),
    executables: Number(stored.executables),
    links: Number(stored.links),
    dangling: Number(stored.dangling),
    depths: counted('depths'),
    filesEach: counted('filesEach'),
    directoryNames: counted('directoryNames'),
    fileNames: counted('fileNames'),
    extensions: pairs('extensions').map(([value, count]) => [value, Number(count)]),
    bins: Number(stored.bins),
    sizes: words('sizes').map(Number),
  };
}

/** Keep the shape of a tree for later runs. */
export function writeShape(shape: Shape): void {
  const stored = Object.entries(shape).map(([name, value]) => {
    const words = (values: unknown[]) =>
      values.map((one) => (Array.isArray(one) ? one.join(':') : one)).join(' ');
    return [name, Array.isArray(value) ? words(value) : value];
  });
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(stored), null, 2)}\n`);
}

/** Measure the shape of a tree. */
export function measureShape(entries: readonly TreeEntry[], origin: string): Shape {
  const below = entries.filter(({ path }) => path !== '.');
  const directories = below.filter(({ type }) => type === 'directory');
  const files = below.filter(({ type }) => type === 'file');
  const filesIn = new Map(directories.map(({ path }) => [path, 0]));
  for (const { path } of files) {
    const parent = path.slice(0, path.lastIndexOf('/'));
    if (filesIn.has(parent)) filesIn.set(parent, (filesIn.get(parent) ?? 0) + 1);
  }
  const sizes = files.map(({ size }) => size).sort((less, more) => less - more);
  const names = (some: TreeEntry[]) => some.map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
  const extensions = histogram(names(files).map(extensionOf));
  const { executables, links, dangling } = factsOf(entries);
  return {
    origin,
    entries: entries.length,
    directories: directories.length,
    executables,
    links,
    dangling,
    depths: histogram(directories.map(({ path }) => path.split('/').length)),
    filesEach: histogram([...filesIn.values()]),
    directoryNames: histogram(names(directories).map((name) => name.length)),
    fileNames: histogram(names(files).map((name) => name.length - extensionOf(name).length)),
    extensions: extensions.filter(([, count]) => count >= RARE_EXTENSION),
    bins: names(directories).filter((name) => name === 'bin').length,
    sizes: Array.from({ length: 101 }, (_, hundredth) => {
      return sizes[Math.min(sizes.length - 1, Math.floor((hundredth / 100) * sizes.length))] ?? 0;
    }),
  };
}

function extensionOf(name: string): string {
  return /.(\.[A-Za-z0-9]+)$/.exec(name)?.[1] ?? '';
}

function histogram<T extends number | string>(values: readonly T[]): Histogram<T> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([one], [other]) => (one < other ? -1 : 1));
}
