import type { TreeEntry } from './entries.ts';
import type { Histogram, Shape } from './shape.ts';

/** Values below 1, always the same ones for a seed (mulberry32). */
type Random = () => number;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz_';

/** How generated trees differ from the shape. */
export interface GenerateOptions {
  seed?: number;
  links?: boolean;
  /** No file is larger. */
  maxSize?: number;
}

/**
 * A tree of so many entries in the shape of the measured one: each directory lies as deep and holds as many files as
 * one of those did, names are as long, the same share is executable and a link. Always the same for a seed.
 */
export function generateTree(shape: Shape, entries: number, options: GenerateOptions = {}): TreeEntry[] {
  const { seed = 1, links = true, maxSize = Number.POSITIVE_INFINITY } = options;
  const random = seeded(seed);
  const draw = {
    depth: sampler(shape.depths, random),
    files: sampler(shape.filesEach, random),
    directoryName: sampler(shape.directoryNames, random),
    fileName: sampler(shape.fileNames, random),
    extension: sampler(shape.extensions, random),
  };
  const made: TreeEntry[] = [{ path: '.', type: 'directory', mode: 0o755, size: 0 }];
  const taken = new Set<string>();
  const byDepth: string[][] = [['.']];
  const add = (parent: string, length: number, ending: string, entry: Omit<TreeEntry, 'path'>): string => {
    const path = freshPath(taken, parent, length, ending, random);
    made.push({ path, ...entry });
    return path;
  };
  const addDirectory = (): string => {
    const depth = Math.min(draw.depth(), byDepth.length);
    const [length, ending] =
      random() * shape.directories < shape.bins ? [0, 'bin'] : [draw.directoryName(), ''];
    const parent = pick(byDepth[depth - 1] ?? [], random);
    const path = add(parent, length, ending, { type: 'directory', mode: 0o755, size: 0 });
    const level = byDepth[depth] ?? [];
    byDepth[depth] = level;
    level.push(path);
    return path;
  };
  const addLink = (directory: string): void => {
    const up = '../'.repeat(directory.split('/').length);
    const target = random() < shape.dangling / shape.links ? 'not/there' : `${up}${pick(made, random).path}`;
    add(directory, draw.fileName(), '', { type: 'link', mode: 0o777, size: target.length, target });
  };
  const addFile = (directory: string, mode: number): void => {
    const size = Math.min(maxSize, pick(shape.sizes, random));
    add(directory, draw.fileName(), draw.extension(), { type: 'file', mode, size });
  };
  // Evenly, so that the smallest tree has one of each.
  const others = shape.entries - shape.directories;
  const linkEvery = Math.round(others / shape.links);
  const executableEvery = Math.round(others / shape.executables);
  for (let other = 0; made.length < entries; ) {
    const directory = addDirectory();
    for (let files = draw.files(); files > 0 && made.length < entries; files -= 1, other += 1) {
      if (links && other % linkEvery === 1) addLink(directory);
      else addFile(directory, other % executableEvery === 2 ? 0o755 : 0o644);
    }
  }
  return made;
}

/** Bytes that compress about as well as source code does; other ones each time. */
export function createContent(seed = 1): (size: number) => Uint8Array {
  const random = seeded(seed);
  const words = Array.from({ length: 2000 }, () => letters(2 + Math.floor(random() * 8), random));
  const text = Buffer.from(Array.from({ length: 100_000 }, () => pick(words, random)).join(' '));
  return (size) => {
    const start = Math.floor(random() * Math.max(0, text.length - size));
    return text.subarray(start, start + size);
  };
}

function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function sampler<T>(histogram: Histogram<T>, random: Random): () => T {
  let total = 0;
  const steps = histogram.map(([value, count]) => {
    total += count;
    return [value, total] as const;
  });
  return () => {
    const at = random() * total;
    const step = steps.find(([, sum]) => at < sum) ?? steps.at(-1);
    if (step === undefined) throw new Error('an empty histogram');
    return step[0];
  };
}

function pick<T>(values: readonly T[], random: Random): T {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}

function letters(length: number, random: Random): string {
  return Array.from({ length }, () => ALPHABET[Math.floor(random() * ALPHABET.length)]).join('');
}

function freshPath(
  taken: Set<string>,
  parent: string,
  length: number,
  ending: string,
  random: Random,
): string {
  for (let longer = 0; ; longer += 1) {
    const name = `${letters(length + longer, random)}${ending}`;
    const path = parent === '.' ? name : `${parent}/${name}`;
    if (name === '' || taken.has(path)) continue;
    taken.add(path);
    return path;
  }
}
