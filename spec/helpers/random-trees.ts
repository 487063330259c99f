import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { ManifestEntry } from '../../lib/manifest/manifest.ts';
import type { ApplyOptions } from '../../lib/options.ts';
import { isRoot } from './child.ts';
import { type ModelOptions, type ModelRule, type ModelTree, sha256 } from './model.ts';
import { tempDirectory } from './tree.ts';

/** A random thing to make. */
export type Plant =
  | { kind: 'file'; mode: number; content: string }
  | { kind: 'link'; target: string }
  | { kind: 'name' }
  | { kind: 'fifo' }
  | { kind: 'directory'; mode: number; entries: Entries };
/** What is in a directory. Not an object: `__proto__` is a name like any other. */
export type Entries = [name: string, plant: Plant][];

const names = ['a', 'b', 'c', '.e', '__proto__', 'x *\\y'];
/** Stands for the root in the text of a link. */
const ROOT = '{root}';
const targets = [
  'a',
  'b/c',
  '../a',
  '..',
  '../..',
  './b',
  'a/',
  'a/b/../c',
  '../../../a',
  'nowhere',
  '/outside',
  ROOT,
  `${ROOT}/a/b`,
];
/** Others than root cannot even look into what their modes close. */
const leastFileMode = isRoot ? 0 : 0o400;
const leastDirectoryMode = isRoot ? 0 : 0o700;
const fileModes = [0o644, 0o755, 0o600, 0o000, 0o444, 0o111, 0o4755, 0o040, 0o640].map(
  (mode) => mode | leastFileMode,
);
const directoryModes = [0o755, 0o700, 0o000, 0o555, 0o1777, 0o300, 0o444, 0o2755, 0o070].map(
  (mode) => mode | leastDirectoryMode,
);

const content = fc.constantFrom('', 'x', 'xx', '#!', 'a', '..');
const file: fc.Arbitrary<Plant> = fc.record({
  kind: fc.constant('file'),
  mode: fc.constantFrom(...fileModes),
  content,
});
const other: fc.Arbitrary<Plant> = fc.oneof(
  { weight: 4, arbitrary: file },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('link'), target: fc.constantFrom(...targets) }) },
  { weight: 1, arbitrary: fc.constant<Plant>({ kind: 'name' }) },
  { weight: 1, arbitrary: fc.constant<Plant>({ kind: 'fifo' }) },
);

/** What a random directory of so many levels holds. */
function entriesOf(levels: number): fc.Arbitrary<Entries> {
  const directory: fc.Arbitrary<Plant> = fc.record({
    kind: fc.constant('directory'),
    mode: fc.constantFrom(...directoryModes),
    entries: levels > 1 ? entriesOf(levels - 1) : fc.constant<Entries>([]),
  });
  const plant =
    levels > 0 ? fc.oneof({ weight: 3, arbitrary: other }, { weight: 2, arbitrary: directory }) : other;
  return fc.uniqueArray(fc.tuple(fc.constantFrom(...names), plant), {
    selector: ([name]) => name,
    maxLength: 4,
  });
}

/** A random tree: files, directories, links, FIFOs and second names of a file. */
export const trees: fc.Arbitrary<Entries> = entriesOf(3);

const base = tempDirectory();
/** Every FIFO is this one by another name: that costs no process. */
const fifo = join(base, 'fifo');
execFileSync('mkfifo', [fifo]);

/** Make a tree in a new directory, whose path is always as long. */
export function plantTree(entries: Entries): string {
  const root = mkdtempSync(join(base, 'tree-'));
  chmodSync(root, 0o755);
  const modes: [string, number][] = [];
  let lastFile: string | undefined;
  const plantIn = (directory: string, plants: Entries): void => {
    for (const [name, plant] of plants) {
      const path = join(directory, name);
      if (plant.kind === 'directory') {
        mkdirSync(path);
        plantIn(path, plant.entries);
        modes.push([path, plant.mode]);
      } else if (plant.kind === 'name') {
        if (lastFile !== undefined) linkSync(lastFile, path);
        lastFile = undefined;
      } else {
        plantOne(root, path, plant);
        if (plant.kind === 'file') lastFile = path;
      }
    }
  };
  plantIn(root, entries);
  for (const [path, mode] of modes) chmodSync(path, mode);
  return root;
}

/** Make one entry, of a directory nothing but itself. */
export function plantOne(root: string, path: string, plant: Plant): void {
  if (plant.kind === 'file') {
    writeFileSync(path, plant.content);
    chmodSync(path, plant.mode);
  } else if (plant.kind === 'link') {
    symlinkSync(plant.target.replace(ROOT, root), path);
  } else if (plant.kind === 'directory') {
    mkdirSync(path);
    chmodSync(path, plant.mode);
  } else {
    linkSync(fifo, path);
  }
}

/** What a manifest says of an entry: `'right'` is what is true. */
interface Claim {
  type: ManifestEntry['type'] | 'right';
  mode: number | undefined;
  size: number | 'right' | undefined;
  linkTarget: string | undefined;
  optional: boolean | undefined;
}

/** A random manifest for any tree: what it says of each entry in turn, and what it names beside. */
export interface Claims {
  claims: (Claim | undefined)[];
  beside: ManifestEntry[];
}

const modeClaim = fc.constantFrom(
  ...[undefined, 0, 0o644, 0o755, 0o700, 0o100555, 0o4755].map((mode) =>
    mode === undefined ? undefined : mode | leastDirectoryMode,
  ),
);
const claim: fc.Arbitrary<Claim> = fc.record({
  type: fc.constantFrom('right', 'right', 'right', undefined, 'file', 'directory', 'symlink'),
  mode: modeClaim,
  size: fc.constantFrom<Claim['size'][]>('right', 'right', undefined, 0, 1, 7),
  linkTarget: fc.constantFrom('right', 'right', undefined, 'a', '..'),
  optional: fc.constantFrom(undefined, undefined, undefined, true),
});
const besideEntry: fc.Arbitrary<ManifestEntry> = fc.record({
  path: fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
  type: fc.constantFrom(undefined, 'file', 'directory', 'symlink'),
  mode: modeClaim,
  size: fc.constantFrom(undefined, 0, 1),
  linkTarget: fc.constantFrom(undefined, 'a', 'b/c'),
  optional: fc.constantFrom(undefined, true),
});

export const manifests: fc.Arbitrary<Claims> = fc.record({
  claims: fc.array(fc.option(claim, { nil: undefined, freq: 3 }), { minLength: 1, maxLength: 8 }),
  beside: fc.uniqueArray(besideEntry, { selector: ({ path }) => path, maxLength: 4 }),
});

/** The manifest of a tree that claims what it should, and some of what it should not. */
export function manifestOf(tree: ModelTree, { claims, beside }: Claims): ManifestEntry[] {
  const entries = new Map(beside.map((entry) => [entry.path, entry]));
  for (const [index, [path, entry]] of [...tree].entries()) {
    const one = claims[index % claims.length];
    if (one === undefined) continue;
    const rightType = entry.type === 'other' ? undefined : entry.type;
    const type = path === '.' ? 'directory' : one.type === 'right' ? rightType : one.type;
    const size = one.size === 'right' ? entry.size : one.size;
    const linkTarget = one.linkTarget === 'right' ? entry.target || undefined : one.linkTarget;
    const facts: ManifestEntry = { path, type, mode: one.mode, size, linkTarget, optional: one.optional };
    const content = one.size === 'right' ? entry.content : 'another';
    if (one.mode !== undefined) facts.digest = { algorithm: 'sha256', value: sha256(content) };
    entries.set(path, facts);
  }
  return [...entries.values()];
}

/** What another process does while the pass waits, to one of the paths that the manifest names. */
export interface Move {
  index: number;
  /** What it makes there: `'right'` is what the manifest says, `'gone'` is nothing. */
  plant: Plant | 'right' | 'gone';
}

export const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.record({
    index: fc.nat(20),
    plant: fc.oneof(
      fc.constantFrom<Move['plant'][]>('right', 'right', 'gone'),
      fc.constant<Plant>({ kind: 'directory', mode: 0o755, entries: [] }),
      other,
    ),
  }),
  { minLength: 1, maxLength: 5 },
);

/**
 * Make the moves.
 *
 * @returns the paths at which something was put or taken away
 */
export function move(root: string, manifest: readonly ManifestEntry[], all: readonly Move[]): string[] {
  const moved: string[] = [];
  for (const { index, plant } of all) {
    const entry = manifest[index % manifest.length];
    if (entry === undefined || entry.path === '.') continue;
    const components = entry.path.split('/');
    // Nothing is done through a link, or in what is no directory.
    const above = components.slice(0, -1).map((_, depth) => join(root, ...components.slice(0, depth + 1)));
    const isReachable = above.every((directory) => {
      const there = lstatSync(directory, { throwIfNoEntry: false });
      if (there === undefined) mkdirSync(directory);
      return there === undefined || there.isDirectory();
    });
    if (!isReachable) continue;
    const full = join(root, entry.path);
    rmSync(full, { recursive: true, force: true });
    if (plant !== 'gone') plantOne(root, full, plant === 'right' ? rightPlant(entry) : plant);
    moved.push(entry.path);
  }
  return moved;
}

function rightPlant({ type, size = 0, linkTarget = 'a' }: ManifestEntry): Plant {
  if (type === 'symlink') return { kind: 'link', target: linkTarget };
  if (type === 'directory') return { kind: 'directory', mode: 0o755, entries: [] };
  return { kind: 'file', mode: 0o644, content: 'x'.repeat(size) };
}

/** Modes as they are asked for, and what they mean. */
const rules: [mode: number | string, rule: (umask: number) => ModelOptions['rule']][] = [
  ['executable', () => 'executable'],
  ['manifest', () => 'manifest'],
  [0o644, () => numeric(0o644)],
  [0o700, () => numeric(0o700)],
  ['go=', () => (mode, isDirectory) => mode & ~(isDirectory ? 0o1077 : 0o3077)],
  // What these make of a mode is not what they make of the result.
  ['go+X,u+x', () => (mode, isDirectory) => mode | (isDirectory || (mode & 0o111) !== 0 ? 0o011 : 0) | 0o100],
  ['g=u,u+rx', () => (mode, isDirectory) => withGroupAsUser(mode, isDirectory) | 0o500],
  [
    'u+rwX,go+rX',
    () => (mode, isDirectory) => mode | 0o644 | (isDirectory || (mode & 0o111) !== 0 ? 0o111 : 0),
  ],
  ...(isRoot
    ? ([
        ['500', () => numeric(0o500)],
        ['a-x', () => (mode) => mode & ~0o111],
        ['u=', () => (mode, isDirectory) => mode & ~(isDirectory ? 0o700 : 0o4700)],
        [
          '=rX',
          (umask) => (mode, isDirectory) => {
            const execute = isDirectory || (mode & 0o111) !== 0 ? 0o111 : 0;
            return (isDirectory ? mode & 0o6000 : 0) | ((0o444 | execute) & ~umask);
          },
        ],
      ] satisfies [string, (umask: number) => ModelRule][])
    : []),
];

function withGroupAsUser(mode: number, isDirectory: boolean): number {
  return (mode & ~(isDirectory ? 0o070 : 0o2070)) | ((mode & 0o700) >> 3);
}

function numeric(wanted: number): ModelRule {
  return (mode, isDirectory) => (isDirectory ? (mode & 0o6000) | wanted | ((wanted & 0o444) >> 2) : wanted);
}

/** Globs as they are given, and what they name. */
const globs: [globs: string[] | undefined, names: (path: string) => boolean][] = [
  [undefined, () => false],
  [undefined, () => false],
  [['a'], (path) => path === 'a'],
  [['**/b'], (path) => path.split('/').at(-1) === 'b'],
  [['c/**'], (path) => path === 'c' || path.startsWith('c/')],
  [['.e', 'a/*'], (path) => path === '.e' || /^a\/[^/]+$/.test(path)],
];

/** Options, for the pass and for the model. */
export interface RandomOptions {
  forPass: ApplyOptions;
  forModel: ModelOptions;
}

/** Random options without a manifest; `discover` counts where there is one. */
export const passOptions: fc.Arbitrary<RandomOptions> = fc
  .record({
    rule: fc.constantFrom(...rules),
    executable: fc.constantFrom(...globs, [
      ['**', '!a'],
      (path: string) => path !== 'a',
    ] as (typeof globs)[0]),
    ignore: fc.constantFrom(...globs),
    detect: fc.boolean(),
    discover: fc.boolean(),
    verify: fc.constantFrom('size', 'content', 'content', 'presence', 'none'),
    unlisted: fc.constantFrom('count', 'count', 'list', 'error'),
    danglingLinks: fc.constantFrom('defer', 'skip', 'error'),
    hardLinks: fc.constantFrom('apply', 'skip', 'error'),
    umask: fc.constantFrom(0o022, 0o077, 0),
    retry: fc.constantFrom(false as const, { retries: 1, minTimeout: 0, maxTimeout: 0 }),
  })
  .map(({ rule: [mode, rule], executable, ignore, retry, ...same }) => ({
    // Only one mode takes it.
    forPass: {
      ...same,
      detect: same.detect && (mode ?? 'executable') === 'executable',
      mode,
      executable: executable[0],
      ignore: ignore[0],
      retry,
      strict: false,
    },
    forModel: {
      ...same,
      rule: rule(same.umask),
      executable: executable[1],
      ignore: ignore[1],
      dryRun: false,
    },
  }));
