import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { EntryType, UnresolvedReason } from '../../lib/errors.ts';
import type { ManifestEntry } from '../../lib/manifest/manifest.ts';
import type { ApplyOptions } from '../../lib/options.ts';
import { createCounts, type LinkReport, type PermissionCounts } from '../../lib/report.ts';

/** What is known of one entry of a tree. */
export interface ModelEntry {
  type: EntryType;
  mode: number;
  size: number;
  inode: number;
  /** Of a file. */
  content: string;
  /** Of a link. */
  target: string;
}

/** A tree by path; `.` is the root. */
export type ModelTree = Map<string, ModelEntry>;

/** What a rule makes of a mode. */
export type ModelRule = (mode: number, isDirectory: boolean) => number;

/** Options of a pass in the words of the model: what needs no parsing. */
export interface ModelOptions {
  /** Default: none. Normal paths, each once. */
  manifest?: readonly ManifestEntry[] | undefined;
  /** What each `mode` means, beside `'executable'` and `'manifest'`. */
  rule: 'executable' | 'manifest' | ModelRule;
  executable: (path: string) => boolean;
  ignore: (path: string) => boolean;
  detect: boolean;
  discover: boolean;
  verify: NonNullable<ApplyOptions['verify']>;
  /** Default: `'count'`. */
  unlisted?: NonNullable<ApplyOptions['unlisted']>;
  danglingLinks: NonNullable<ApplyOptions['danglingLinks']>;
  hardLinks: NonNullable<ApplyOptions['hardLinks']>;
  dryRun: boolean;
  umask: number;
}

/** Where an entry ends. */
export type ModelEnding =
  | 'changed'
  | 'unchanged'
  | 'links'
  | 'special'
  | 'ignored'
  | 'absent'
  | UnresolvedReason;

/** What must be true after a pass over a tree in which nothing moved. */
export interface Expectation {
  modes: Map<string, number>;
  /** Every entry that was dealt with. */
  endings: Map<string, ModelEnding>;
  links: LinkReport[];
  /** How many the manifest does not name. */
  unlisted: number;
  /** How many files with more than one name were changed. */
  hardLinked: number;
  /** Paths of what the manifest does not name, where they are listed. */
  listed: string[];
  /** How many files have no digest to verify. */
  unverified: number;
  /** Paths of which the first look says the last word, whatever comes later. */
  final: Set<string>;
  /** What each link that dangles waits for. */
  awaited: Map<string, string>;
}

/** What is expected of the report's counts. */
export function countsOf({ endings, unlisted, hardLinked, unverified }: Expectation): PermissionCounts {
  const counts = { ...createCounts(), unlisted, hardLinked, unverified };
  for (const ending of endings.values()) if (isCounted(ending)) counts[ending] += 1;
  counts.visited = counts.changed + counts.unchanged + counts.links + counts.special;
  return counts;
}

/** What is expected of the report's unresolved entries, as `path: reason`. */
export function reasonsIn({ endings }: Expectation): string[] {
  const unresolved = [...endings].filter(([, ending]) => !isCounted(ending));
  return unresolved.map(([path, reason]) => `${path}: ${reason}`).sort();
}

function isCounted(ending: ModelEnding): ending is Exclude<ModelEnding, UnresolvedReason> {
  return ['changed', 'unchanged', 'links', 'special', 'ignored', 'absent'].includes(ending);
}

/** sha256 of a text, in hexadecimal. */
export function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The order in which two names of one file are dealt with decides: nothing is promised. */
export class AmbiguousError extends Error {
  override readonly name = 'AmbiguousError';
}

/** Look at everything in a tree. */
export function takeTree(root: string): ModelTree {
  const tree: ModelTree = new Map();
  const directories = ['.'];
  for (let path = directories.pop(); path !== undefined; path = directories.pop()) {
    const full = join(root, path);
    const stats = lstatSync(full);
    const type = stats.isFile()
      ? 'file'
      : stats.isDirectory()
        ? 'directory'
        : stats.isSymbolicLink()
          ? 'symlink'
          : 'other';
    tree.set(path, {
      type,
      mode: stats.mode & 0o7777,
      size: stats.size,
      inode: stats.ino,
      content: type === 'file' ? readFileSync(full, 'utf8') : '',
      target: type === 'symlink' ? readlinkSync(full) : '',
    });
    if (type === 'directory') directories.push(...readdirSync(full).map((name) => childOf(path, name)));
  }
  return tree;
}

/**
 * What the contract says of a pass: written from it alone, slow and plain, with the whole tree in memory.
 *
 * @param root real path of the tree, to which absolute links may lead
 */
export function expectPass(root: string, tree: ModelTree, options: ModelOptions): Expectation {
  return new Model(root, tree, options).run();
}

/** Where a link leads. */
type Resolution = { kind: 'inside' | 'outside' | 'loop' } | { kind: 'dangling'; missing: string };

/** One name of a file, and what becomes of the mode that the file has by then. */
interface FileName {
  path: string;
  before: number;
  rule: (mode: number) => number;
}

/** What all names of a file together come to. */
interface FileOutcome {
  mode: number;
  /** Of each name in turn. */
  endings: ModelEnding[];
}

const MAX_LINKS = 40;

class Model {
  readonly #root: string;
  readonly #tree: ModelTree;
  readonly #options: ModelOptions;
  readonly #listed = new Map<string, ManifestEntry>();
  /** Directories on the way to what is listed. */
  readonly #implied = new Set<string>();
  readonly #met = new Set<string>();
  /** Whether the manifest lists files with modes, and none with x. */
  readonly #lacksExecutables: boolean;
  /** Files that get a mode, by inode. */
  readonly #files = new Map<number, FileName[]>();
  readonly #expected: Expectation;

  constructor(root: string, tree: ModelTree, options: ModelOptions) {
    this.#root = root;
    this.#tree = tree;
    this.#options = options;
    const known = (options.manifest ?? []).filter(
      ({ type, mode }) => type !== 'directory' && type !== 'symlink' && mode !== undefined,
    );
    this.#lacksExecutables = known.length > 0 && known.every(({ mode = 0 }) => (mode & 0o111) === 0);
    const modes = new Map([...tree].map(([path, { mode }]) => [path, mode]));
    this.#expected = {
      modes,
      endings: new Map(),
      links: [],
      unlisted: 0,
      hardLinked: 0,
      listed: [],
      unverified: 0,
      final: new Set(),
      awaited: new Map(),
    };
  }

  run(): Expectation {
    this.#readManifest();
    this.#directory('.');
    if (this.#options.discover) this.#walk('.');
    for (const path of this.#implied) {
      const type = this.#tree.get(path)?.type;
      if (type === 'directory' && !this.#met.has(path)) this.#directory(path);
      else if (this.#leadsThroughLink(path)) this.#expected.final.add(path);
    }
    for (const [path, listed] of this.#listed) {
      if (!this.#met.has(path) && !this.#isIrrelevant(listed)) this.#visit(path, listed);
    }
    this.#changeFiles();
    this.#expected.listed.sort();
    if (this.#options.verify === 'content') this.#countUnverified();
    this.#expected.links.sort((one, other) => (one.path < other.path ? -1 : 1));
    return this.#expected;
  }

  #readManifest(): void {
    const { manifest = [], ignore, discover } = this.#options;
    for (const entry of manifest) {
      const top = prefixesOf(entry.path).find(ignore);
      if (top === undefined) this.#listed.set(entry.path, entry);
      // The walk tells only of what it finds.
      else if (!discover) this.#end(top, 'ignored');
    }
    for (const path of this.#listed.keys()) {
      for (const above of prefixesOf(path).slice(0, -1))
        if (!this.#listed.has(above)) this.#implied.add(above);
    }
    for (const [path, entry] of this.#listed) {
      // What is listed below it says what it is, even where a glob ignores that.
      const isAbove = manifest.some((other) => other.path.startsWith(`${path}/`));
      if (isAbove && entry.type === undefined) this.#listed.set(path, { ...entry, type: 'directory' });
    }
  }

  #walk(directory: string): void {
    for (const path of this.#below(directory)) {
      if (this.#options.ignore(path)) {
        this.#end(path, 'ignored');
        continue;
      }
      const { type } = this.#tree.get(path) as ModelEntry;
      const listed = this.#listed.get(path);
      const isNamed = listed !== undefined || (type === 'directory' && this.#implied.has(path));
      if (this.#options.manifest !== undefined && !isNamed) {
        if ((this.#options.unlisted ?? 'count') !== 'count') {
          this.#leave(path, type);
          continue;
        }
        this.#expected.unlisted += 1;
      }
      const isTaken = this.#visit(path, listed);
      if (type === 'directory' && isTaken) this.#walk(path);
    }
  }

  /** An entry that the manifest does not name is left as it is, with all that is below it. */
  #leave(path: string, type: EntryType): void {
    const { manifest = [], unlisted } = this.#options;
    const isOnTheWay = type === 'directory' && manifest.some((one) => one.path.startsWith(`${path}/`));
    if (!isOnTheWay) this.#expected.unlisted += 1;
    if (!isOnTheWay && unlisted === 'list') this.#expected.listed.push(path);
    const ending = type === 'symlink' ? 'links' : type === 'other' ? 'special' : 'unchanged';
    if (!isOnTheWay && unlisted === 'error') this.#fail(path, 'unlisted', true);
    else this.#end(path, ending);
    if (type === 'directory') this.#walk(path);
  }

  #countUnverified(): void {
    for (const [path, { digest }] of this.#listed) {
      const ending = this.#expected.endings.get(path);
      const isThere = ending === 'changed' || ending === 'unchanged';
      if (isThere && digest === undefined && this.#tree.get(path)?.type === 'file')
        this.#expected.unverified += 1;
    }
  }

  #below(directory: string): string[] {
    return [...this.#tree.keys()].filter((path) => path !== '.' && parentOf(path) === directory);
  }

  /** Whether the entry is there and of the type that it must be. */
  #visit(path: string, listed: ManifestEntry | undefined): boolean {
    this.#met.add(path);
    const entry = this.#tree.get(path);
    if (entry === undefined) {
      if (this.#leadsThroughLink(path)) return this.#fail(path, 'symlink-in-path', true);
      if (listed !== undefined && !this.#isRequired(path)) return !this.#end(path, 'absent');
      return this.#fail(path, 'missing', false);
    }
    const { type } = entry;
    if (type === 'file') return this.#file(path, entry, listed);
    if (type === 'symlink') return this.#link(path, entry, listed);
    if (listed?.type !== undefined && listed.type !== type) return this.#fail(path, 'type-mismatch', true);
    if (type === 'directory') this.#directory(path);
    else this.#end(path, 'special');
    return true;
  }

  /** True for a link, and for what would be below one. */
  #leadsThroughLink(path: string): boolean {
    return prefixesOf(path).some((one) => this.#tree.get(one)?.type === 'symlink');
  }

  #file(path: string, entry: ModelEntry, listed: ManifestEntry | undefined): boolean {
    const { verify } = this.#options;
    if (listed?.type === 'symlink') {
      const { linkTarget } = listed;
      if (linkTarget === entry.content) return this.#fail(path, 'link-flattened', true);
      // The start of its text may be followed by the rest.
      const isStart = linkTarget?.startsWith(entry.content) === true;
      return this.#fail(path, 'type-mismatch', !isStart);
    }
    if (listed?.type === 'directory') return this.#fail(path, 'type-mismatch', true);
    if (
      (verify === 'size' || verify === 'content') &&
      listed?.size !== undefined &&
      listed.size !== entry.size
    ) {
      return this.#fail(path, 'size-mismatch', false);
    }
    const { inode, content } = entry;
    if (verify === 'content' && listed?.digest !== undefined && listed.digest.value !== sha256(content)) {
      return this.#fail(path, 'content-mismatch', false);
    }
    const names = this.#files.get(inode) ?? [];
    names.push({ path, before: entry.mode, rule: (mode) => this.#fileMode(path, mode, entry, listed) });
    this.#files.set(inode, names);
    return true;
  }

  #link(path: string, { target }: ModelEntry, listed: ManifestEntry | undefined): boolean {
    const { verify, danglingLinks } = this.#options;
    if (listed?.type === 'file' || listed?.type === 'directory')
      return this.#fail(path, 'type-mismatch', true);
    const isOther = listed?.linkTarget !== undefined && listed.linkTarget !== target;
    if (isOther && verify !== 'none') return this.#fail(path, 'link-mismatch', true);
    const resolution = this.#resolve(path, target);
    const { kind } = resolution;
    if (kind === 'inside') {
      return this.#end(path, 'links');
    }
    const mustLead = listed !== undefined && listed.type === undefined;
    const isAwaited = resolution.kind === 'dangling' && this.#isNamed(resolution.missing);
    const isFatal = kind !== 'outside' && (mustLead || isAwaited || danglingLinks === 'error');
    if (isFatal && danglingLinks !== 'skip') {
      const isFinal = kind === 'loop' && mustLead;
      if (resolution.kind === 'dangling') this.#expected.awaited.set(path, resolution.missing);
      return this.#fail(path, 'dangling-link', isFinal);
    }
    this.#expected.links.push({ path, target, kind });
    return this.#end(path, 'links');
  }

  #isNamed(path: string): boolean {
    return (this.#listed.has(path) || this.#implied.has(path)) && this.#isRequired(path);
  }

  /** Whether it must be there, or something below it that is reached only through it. */
  #isRequired(path: string): boolean {
    const isDirectory = this.#implied.has(path) || this.#listed.get(path)?.type === 'directory';
    // What is ignored tells whether the directory that it lies in is optional, too.
    const below = this.#listed.has(path) ? (this.#options.manifest ?? []) : this.#listed.values();
    return [...below].some(
      ({ path: other, optional }) =>
        optional !== true && (other === path || (isDirectory && other.startsWith(`${path}/`))),
    );
  }

  /** Where a link leads, by its text and the tree alone. */
  #resolve(link: string, text: string): Resolution {
    let at = parentOf(link) === '.' ? [] : parentOf(link).split('/');
    let rest: string[] = [];
    const follow = (target: string): boolean => {
      if (!target.startsWith('/')) {
        rest = [...target.split('/'), ...rest];
        return true;
      }
      if (target !== this.#root && !target.startsWith(`${this.#root}/`)) return false;
      at = [];
      rest = [...target.slice(this.#root.length).split('/'), ...rest];
      return true;
    };
    if (!follow(text)) return { kind: 'outside' };
    let links = 1;
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (at.pop() === undefined) return { kind: 'outside' };
        continue;
      }
      const entry = this.#tree.get([...at, name].join('/'));
      if (entry?.type === 'symlink') {
        links += 1;
        if (links > MAX_LINKS) return { kind: 'loop' };
        if (!follow(entry.target)) return { kind: 'outside' };
        continue;
      }
      at.push(name);
      if (entry !== undefined && (rest.length === 0 || entry.type === 'directory')) continue;
      for (const more of rest) {
        if (more === '..' && at.pop() === undefined) return { kind: 'outside' };
        if (more !== '' && more !== '.' && more !== '..') at.push(more);
      }
      return { kind: 'dangling', missing: at.join('/') || '.' };
    }
    return { kind: 'inside' };
  }

  #directory(path: string): void {
    this.#met.add(path);
    const { mode } = this.#tree.get(path) as ModelEntry;
    const target = this.#directoryMode(mode, this.#listed.get(path)?.mode);
    this.#end(path, target === mode ? 'unchanged' : 'changed');
    if (!this.#options.dryRun) this.#expected.modes.set(path, target);
  }

  #directoryMode(mode: number, known: number | undefined): number {
    const { rule, umask } = this.#options;
    if (rule === 'executable') return withExecute(mode, umask);
    if (rule !== 'manifest') return rule(mode, true);
    return known === undefined ? mode : (mode & 0o6000) | (known & 0o777 & ~umask);
  }

  #fileMode(path: string, mode: number, entry: ModelEntry, listed: ManifestEntry | undefined): number {
    const { rule, umask, executable } = this.#options;
    const known = listed?.mode;
    const isDetected = this.#isDetectable(listed) && entry.content.startsWith('#!');
    let target = mode;
    if (rule === 'executable') {
      if (((known ?? 0) & 0o111) !== 0 || isDetected) target = asExecutable(mode, umask);
    } else if (rule === 'manifest') {
      if (known !== undefined) target = known & 0o777 & ~umask;
    } else {
      target = rule(mode, false);
    }
    if (!executable(path)) return target;
    return rule === 'executable' ? asExecutable(target, umask) : withExecute(target, umask);
  }

  #isDetectable(listed: ManifestEntry | undefined): boolean {
    const { detect, rule } = this.#options;
    if (!detect || rule !== 'executable') return false;
    const isKnown = listed?.mode !== undefined && !this.#lacksExecutables;
    return !isKnown && ((listed?.mode ?? 0) & 0o111) === 0;
  }

  /** `verify: 'none'` looks only at what gets a mode, as far as the options and the manifest can tell. */
  #isIrrelevant(listed: ManifestEntry): boolean {
    const { verify, rule, executable } = this.#options;
    if (verify !== 'none' || listed.type === 'directory') return false;
    if (listed.type === 'symlink') return true;
    if (typeof rule === 'function' || executable(listed.path) || this.#isDetectable(listed)) return false;
    return rule === 'executable' ? ((listed.mode ?? 0) & 0o111) === 0 : listed.mode === undefined;
  }

  /** Files that are as they must be get their modes, by every name that they were met with. */
  #changeFiles(): void {
    for (const [inode, names] of this.#files) {
      const all = [...this.#tree].filter(([, entry]) => entry.inode === inode).map(([path]) => path);
      const one = this.#changeInOrder(names, all);
      const other = this.#changeInOrder([...names].reverse(), all);
      const isSame =
        one.mode === other.mode && String(one.endings.toSorted()) === String(other.endings.toSorted());
      // A mode that changes its own result comes to something else at each further name.
      const isTwice = one.endings.filter((ending) => ending === 'changed').length > 1;
      if (!isSame || isTwice) throw new AmbiguousError();
      if (all.length > 1 && one.endings.includes('changed')) this.#expected.hardLinked += 1;
      names.forEach(({ path }, index) => {
        this.#end(path, one.endings[index] as ModelEnding);
      });
      if (!this.#options.dryRun) for (const path of all) this.#expected.modes.set(path, one.mode);
    }
  }

  #changeInOrder(names: readonly FileName[], all: readonly string[]): FileOutcome {
    const { hardLinks } = this.#options;
    const outcome: FileOutcome = { mode: names[0]?.before ?? 0, endings: [] };
    for (const { rule } of names) {
      const target = rule(outcome.mode);
      if (target === outcome.mode) outcome.endings.push('unchanged');
      else if (all.length > 1 && hardLinks === 'skip') outcome.endings.push('ignored');
      else if (all.length > 1 && hardLinks === 'error') outcome.endings.push('hard-linked');
      else {
        outcome.endings.push('changed');
        outcome.mode = target;
      }
    }
    return outcome;
  }

  #end(path: string, ending: ModelEnding): true {
    this.#expected.endings.set(path, ending);
    return true;
  }

  #fail(path: string, reason: UnresolvedReason, isFinal: boolean): false {
    this.#end(path, reason);
    if (isFinal) this.#expected.final.add(path);
    return false;
  }
}

/** A file of mode 0666 is one that nobody gave a mode. */
function asExecutable(mode: number, umask: number): number {
  const target = withExecute(mode, umask);
  return mode === 0o666 && target !== mode ? 0o777 & ~umask : target;
}

function withExecute(mode: number, umask: number): number {
  return mode | (((mode & 0o444) >> 2) & ~umask);
}

function childOf(directory: string, name: string): string {
  return directory === '.' ? name : `${directory}/${name}`;
}

function parentOf(path: string): string {
  return path.split('/').slice(0, -1).join('/') || '.';
}

/** `a`, `a/b`, `a/b/c`. */
function prefixesOf(path: string): string[] {
  const components = path.split('/');
  return components.map((_, index) => components.slice(0, index + 1).join('/'));
}
