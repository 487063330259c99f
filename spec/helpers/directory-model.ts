import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { errorCode, UnsafePathError } from '../../lib/directory/errors.ts';
import { nameOf, parentOf } from '../../lib/directory/names.ts';
import { Place } from '../../lib/directory/place.ts';
import type { Tree } from '../../lib/directory/tree.ts';
import type { EntryType } from '../../lib/errors.ts';
import { entriesOf } from './by-path.ts';
import { remove } from './remove.ts';

/** What a tree has in it, as the model has it. */
type Node =
  | { type: 'directory'; mode: number; entries: Map<string, Node>; mayHaveHot: boolean }
  | { type: 'file'; mode: number; content: string }
  | { type: 'symlink'; target: string };
type DirectoryNode = Extract<Node, { type: 'directory' }>;

/** Directories that are always there. In each the names h0 and h1 are another process's, and so is all below them. */
export const directories: readonly string[] = ['.', 'a', 'a/b', 'c'];
const kept: ReadonlySet<string> = new Set(['a', 'b', 'c']);
const isHotName = (name: string): boolean => name.startsWith('h');
const isHotPath = (path: string): boolean => path.split('/').some(isHotName);
/** Directories lose what this takes away. */
export const UMASK = 0o022;

const looks = ['list', 'lstat', 'readlink', 'openDirectory', 'open', 'sync', 'enter', 'rewind'] as const;
const changes = [
  'chmod',
  'makeDirectory',
  'symlink',
  'rename',
  'unlink',
  'removeDirectory',
  'remove',
] as const;

/** One operation on a directory of a tree. Each kind takes what it needs. */
export interface Operation {
  readonly kind: (typeof looks)[number] | (typeof changes)[number];
  readonly directory: string;
  readonly name: string;
  readonly toDirectory: string;
  readonly toName: string;
  readonly mode: number;
  readonly target: string;
}

/** What an operation comes to: what it tells, or the code of the error that it throws. */
export type Outcome = { value: unknown } | { code: string };

const anyDirectory = fc.oneof(
  { arbitrary: fc.constantFrom(...directories), weight: 4 },
  { arbitrary: fc.constantFrom('x0', 'a/x0', 'a/x0/x1', 'c/x0', 'a/b/x0'), weight: 3 },
  {
    arbitrary: fc.constantFrom('h0', 'h1', 'a/h1', 'a/b/h0', 'c/h0', 'h0/n0', 'a/h1/n1', 'c/h0/n0/n1'),
    weight: 4,
  },
);
const anyName = fc.oneof(
  { arbitrary: fc.constantFrom('x0', 'x1', 'x2'), weight: 5 },
  { arbitrary: fc.constantFrom('h0', 'h1'), weight: 4 },
  { arbitrary: fc.constantFrom('n0', 'n1', 'n2'), weight: 3 },
);
const common = {
  directory: anyDirectory,
  toDirectory: anyDirectory,
  toName: anyName,
  mode: fc.constantFrom(0o700, 0o755, 0o711, 0o750, 0o4755),
  target: fc.constantFrom('x0', 'nowhere', '..', '../..', '/etc/passwd', '.'),
};

/** Random sequences of operations. */
export const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    fc.record({
      ...common,
      kind: fc.constantFrom(...looks),
      name: fc.oneof(anyName, fc.constantFrom(...kept)),
    }),
    fc.record({ ...common, kind: fc.constantFrom(...changes), name: anyName }),
    // What most of the work is, more often.
    fc.record({ ...common, kind: fc.constantFrom('chmod', 'open'), name: anyName }),
  ),
  { minLength: 1, maxLength: 150, size: 'max' },
);

/** An operation on what another process may exchange: it may come to anything, and must do no harm. */
export function isHot({ kind, directory, name, toDirectory, toName }: Operation): boolean {
  if (isHotPath(directory) || isHotName(name)) return true;
  return kind === 'rename' && (isHotPath(toDirectory) || isHotName(toName));
}

/**
 * Whether an operation is within what is promised.
 *
 * @param model the tree as it is
 * @param isChecked by path, directories that others exchange are not held: none are given to them
 */
export function isAllowed(model: Model, operation: Operation, isChecked: boolean): boolean {
  const { kind, directory, name, toDirectory, toName } = operation;
  const isFromHot = isHotPath(directory) || isHotName(name);
  const isToHot = isHotPath(toDirectory) || isHotName(toName);
  // What came from another process would be anything, where the model knows what there is.
  if (kind === 'rename' && isFromHot && !isToHot) return false;
  if (!isChecked) return true;
  if (kind === 'makeDirectory') return !isFromHot;
  return !(kind === 'rename' && !isFromHot && isToHot && model.typeOf(directory, name) === 'directory');
}

class ModelError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** A tree in memory: what must be there after each operation, and what the operation must have come to. */
export class Model {
  readonly #root: DirectoryNode;

  /** What {@link plant} plants. */
  constructor() {
    this.#root = newDirectory(0o755);
    for (const path of directories) {
      const planted = path === '.' ? this.#root : newDirectory(0o755);
      if (path !== '.') this.#find(parentOf(path)).entries.set(nameOf(path), planted);
      planted.entries.set('x0', newDirectory(0o755));
      planted.entries.set('x1', { type: 'file', mode: 0o644, content: 'content' });
      planted.entries.set('x2', { type: 'symlink', target: 'x0' });
    }
  }

  /** Do it. */
  apply(operation: Operation): Outcome {
    try {
      return { value: this.#do(operation) };
    } catch (error) {
      if (error instanceof ModelError) return { code: error.code };
      throw error;
    }
  }

  /** What is left for the model to know after an operation on what another process exchanges. */
  followHot({ kind, directory, name, toDirectory }: Operation, outcome: Outcome): void {
    if ('code' in outcome) return;
    if (kind === 'rename') {
      if (!isHotPath(directory) && !isHotName(name)) this.#find(directory).entries.delete(name);
      if (!isHotPath(toDirectory)) this.#find(toDirectory).mayHaveHot = true;
    } else if ((kind === 'symlink' || kind === 'makeDirectory') && !isHotPath(directory)) {
      this.#find(directory).mayHaveHot = true;
    }
  }

  /** The same where a directory may have held what the model does not know of. */
  followUncertain(operation: Operation, outcome: Outcome): void {
    if ('code' in outcome) return;
    this.apply(operation);
  }

  typeOf(directory: string, name: string): Node['type'] | undefined {
    try {
      return this.#find(directory).entries.get(name)?.type;
    } catch {
      return undefined;
    }
  }

  /** Whether a directory may hold what the model does not know of. */
  isUncertain({ kind, directory, name, toDirectory, toName }: Operation): boolean {
    const mayHaveHot = (above: string, one: string) => {
      try {
        const node = this.#find(above).entries.get(one);
        return node?.type === 'directory' && node.mayHaveHot;
      } catch {
        return false;
      }
    };
    if (kind === 'removeDirectory') return mayHaveHot(directory, name);
    return kind === 'rename' && mayHaveHot(toDirectory, toName);
  }

  /** Everything that is there, by path. */
  entries(): Record<string, string> {
    return Object.fromEntries(describe('.', this.#root));
  }

  #find(path: string): DirectoryNode {
    let at: Node | undefined = this.#root;
    for (const name of path === '.' ? [] : path.split('/')) {
      at = (at as DirectoryNode).entries.get(name);
      if (at === undefined) throw new ModelError('ENOENT');
      if (at.type === 'symlink') throw new ModelError('ERR_PERMWALK_SYMLINK_IN_PATH');
      if (at.type !== 'directory') throw new ModelError('ENOTDIR');
    }
    return at as DirectoryNode;
  }

  #do(operation: Operation): unknown {
    const { kind, directory, name, mode, target } = operation;
    if (kind === 'rewind') return undefined;
    const at = this.#find(directory);
    const { entries } = at;
    const found = entries.get(name);
    const there = (): Node => {
      if (found === undefined) throw new ModelError('ENOENT');
      return found;
    };
    const absent = (): void => {
      if (found !== undefined) throw new ModelError('EEXIST');
    };
    switch (kind) {
      case 'list':
        return [...entries].map(([one, { type }]) => `${one} ${type}`).sort();
      case 'enter':
        return at.mode;
      case 'lstat':
        return found && factsOf(found);
      case 'sync':
        return undefined;
      case 'readlink': {
        const link = there();
        if (link.type !== 'symlink') throw new ModelError('EINVAL');
        return link.target;
      }
      case 'openDirectory': {
        const one = there();
        if (one.type === 'symlink') throw new ModelError('ERR_PERMWALK_SYMLINK_IN_PATH');
        if (one.type !== 'directory') throw new ModelError('ENOTDIR');
        return one.mode;
      }
      case 'open': {
        const file = there();
        if (file.type !== 'file') throw new ModelError('EINVAL');
        return file.content;
      }
      case 'chmod': {
        const changed = there();
        if (changed.type === 'symlink') return undefined;
        const before = changed.mode;
        changed.mode = modeFor(changed.type, mode);
        return [before, changed.mode];
      }
      case 'makeDirectory':
        absent();
        entries.set(name, newDirectory(mode & 0o777 & ~UMASK));
        return undefined;
      case 'symlink':
        absent();
        entries.set(name, { type: 'symlink', target });
        return undefined;
      case 'unlink':
        if (there().type === 'directory') throw new ModelError('EISDIR');
        entries.delete(name);
        return undefined;
      case 'removeDirectory': {
        const removed = there();
        if (removed.type !== 'directory') throw new ModelError('ENOTDIR');
        if (removed.entries.size > 0) throw new ModelError('ENOTEMPTY');
        entries.delete(name);
        return undefined;
      }
      case 'remove':
        entries.delete(name);
        return undefined;
      case 'rename':
        return this.#rename(operation, entries);
    }
  }

  #rename({ name, toDirectory, toName }: Operation, from: Map<string, Node>): undefined {
    const to = this.#find(toDirectory).entries;
    const moved = from.get(name);
    if (moved === undefined) throw new ModelError('ENOENT');
    const replaced = to.get(toName);
    if (replaced === moved) return;
    if (moved.type === 'directory' && isBelow(moved, to)) throw new ModelError('EINVAL');
    if (replaced?.type === 'directory' && isBelow(replaced, from)) throw new ModelError('ENOTEMPTY');
    if (replaced !== undefined) {
      if (moved.type !== 'directory' && replaced.type === 'directory') throw new ModelError('EISDIR');
      if (moved.type === 'directory' && replaced.type !== 'directory') throw new ModelError('ENOTDIR');
      if (replaced.type === 'directory' && replaced.entries.size > 0) throw new ModelError('ENOTEMPTY');
    }
    from.delete(name);
    to.set(toName, moved);
  }
}

function newDirectory(mode: number): DirectoryNode {
  return { type: 'directory', mode, entries: new Map(), mayHaveHot: false };
}

/** Whether a directory is, or has below it, the one with these entries. */
function isBelow(above: DirectoryNode, entries: Map<string, Node>): boolean {
  if (above.entries === entries) return true;
  return [...above.entries.values()].some((node) => node.type === 'directory' && isBelow(node, entries));
}

/** A directory gets no special bits. */
function modeFor(type: EntryType, mode: number): number {
  return type === 'directory' ? mode & 0o777 : mode;
}

function factsOf(node: Node): string {
  if (node.type === 'symlink') return 'symlink';
  return `${node.type} ${node.mode.toString(8)}`;
}

function describe(path: string, node: Node): [path: string, facts: string][] {
  if (node.type === 'symlink') return [[path, `-> ${node.target}`]];
  if (node.type === 'file') return [[path, `${factsOf(node)} ${node.content}`]];
  const below = [...node.entries].sort().flatMap(([name, one]) => describe(`${path}/${name}`, one));
  return [[path, factsOf(node)], ...below];
}

/** Do an operation on a tree; of a rename, `other` holds where it goes to. */
export function perform(tree: Tree, other: Tree, operation: Operation): Outcome {
  try {
    return { value: performed(tree, other, operation) };
  } catch (error) {
    const code = errorCode(error);
    // Deno does not always tell the system call: the name of an errno says that it was one.
    const isOurs = error instanceof UnsafePathError || /^E[A-Z0-9]+$/.test(code ?? '');
    if (!isOurs || code === undefined) throw error;
    return { code: code === 'EEXIST' && operation.kind === 'rename' ? 'ENOTEMPTY' : code };
  }
}

function performed(tree: Tree, other: Tree, operation: Operation): unknown {
  const { kind, name, toName, mode, target } = operation;
  other.rewind();
  if (kind === 'rewind') return tree.rewind();
  const place = placeOf(operation.directory);
  if (kind === 'enter') return tree.enter(place).stats.mode;
  const directory = tree.goTo(place);
  switch (kind) {
    case 'list': {
      const known = entriesOf(directory.list()).filter((entry) => !isHotName(entry.name));
      return known.map((entry) => `${entry.name} ${entry.type}`).sort();
    }
    case 'lstat': {
      const found = directory.lstat(name);
      if (found === undefined) return undefined;
      return found.type === 'symlink' ? 'symlink' : `${found.type} ${found.mode.toString(8)}`;
    }
    case 'chmod': {
      let type: EntryType = 'other';
      const { before, after } = directory.chmod(name, (found) => {
        type = found.type;
        return type === 'file' || type === 'directory' ? modeFor(type, mode) : undefined;
      });
      return after === undefined ? undefined : [before.mode, after];
    }
    case 'openDirectory': {
      const below = directory.openDirectory(name);
      below.close();
      return below.opened.mode;
    }
    case 'open': {
      const file = directory.open(name);
      const content = Buffer.from(file.read(100)).toString();
      file.close();
      return content;
    }
    case 'rename':
      directory.rename(name, other.goTo(placeOf(operation.toDirectory)), toName);
      return tree.rewind();
    case 'makeDirectory':
      return directory.makeDirectory(name, mode & 0o777);
    case 'symlink':
      return directory.symlink(name, target);
    case 'remove':
      remove(directory, name, name);
      // The tree would go on with what was removed or renamed, were it on its way.
      return tree.rewind();
    case 'removeDirectory':
      directory.removeDirectory(name);
      return tree.rewind();
    default:
      return directory[kind](name);
  }
}

/** The place of a path, made anew. */
function placeOf(path: string): Place {
  const root = new Place(undefined, '.');
  return path === '.' ? root : path.split('/').reduce((above, name) => new Place(above, name), root);
}

/** Take away what is not another process's, and plant something in the directories that are always there. */
export function plant(root: string): void {
  for (const path of directories) {
    const full = join(root, path);
    mkdirSync(full, { recursive: true });
    chmodSync(full, 0o755);
    for (const name of readdirSync(full)) {
      if (!kept.has(name) && !isHotName(name)) rmSync(join(full, name), { recursive: true, force: true });
    }
    mkdirSync(join(full, 'x0'), 0o755);
    writeFileSync(join(full, 'x1'), 'content', { mode: 0o644 });
    symlinkSync('x0', join(full, 'x2'));
  }
}

/** Everything in a tree but what is another process's, in the words of the model. */
export function entriesOnDisk(root: string, path = '.'): [path: string, facts: string][] {
  const full = join(root, path);
  const stats = lstatSync(full);
  if (stats.isSymbolicLink()) return [[path, `-> ${readlinkSync(full)}`]];
  const mode = (stats.mode & 0o7777).toString(8);
  if (stats.isFile()) return [[path, `file ${mode} ${readFileSync(full, 'utf8')}`]];
  if (!stats.isDirectory()) return [[path, 'other']];
  const names = readdirSync(full).filter((name) => !isHotName(name));
  return [
    [path, `directory ${mode}`],
    ...names.sort().flatMap((name) => entriesOnDisk(root, `${path}/${name}`)),
  ];
}

/** Everything about a tree that nobody may change: each inode with its mode and times, and what is in it. */
export function everythingBelow(path: string): string[] {
  const { dev, ino, mode, nlink, uid, gid, size, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
  const facts = [path, dev, ino, mode, nlink, uid, gid, size, mtimeNs, ctimeNs].join(' ');
  if ((mode & 0o170000n) === 0o040000n) {
    return [
      facts,
      ...readdirSync(path)
        .sort()
        .flatMap((name) => everythingBelow(join(path, name))),
    ];
  }
  if ((mode & 0o170000n) === 0o100000n) return [`${facts} ${readFileSync(path, 'utf8')}`];
  return [facts];
}
