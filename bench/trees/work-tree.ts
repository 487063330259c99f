import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TreeEntry } from './entries.ts';

/** Which mode an entry has at some moment. Links have none. */
export type ModeOf = (entry: TreeEntry) => number;

/**
 * A copy of a tree to work on: the same names, modes, links and sizes; files are sparse where nobody reads them.
 * It knows which mode each entry has, so that little has to be done before a run, and it is checked after each.
 */
export class WorkTree {
  readonly root: string;
  readonly entries: readonly TreeEntry[];
  readonly #modes: number[];
  #isSure = true;
  #hasLinks = true;

  private constructor(root: string, entries: readonly TreeEntry[]) {
    this.root = root;
    this.entries = entries;
    this.#modes = entries.map(({ mode }) => mode);
  }

  /**
   * Make a copy of a tree.
   *
   * @param contentOf gives so many bytes for a file; without it files are sparse
   */
  static make(
    root: string,
    entries: readonly TreeEntry[],
    contentOf?: (size: number) => Uint8Array,
  ): WorkTree {
    const tree = new WorkTree(root, entries);
    for (const entry of entries) tree.#make(entry, contentOf);
    for (const entry of entries) if (entry.type !== 'link') chmodSync(tree.#full(entry), entry.mode);
    return tree;
  }

  /** One that somebody else has made. */
  static existing(root: string, entries: readonly TreeEntry[]): WorkTree {
    return new WorkTree(root, entries);
  }

  /** Whether the tree has links that {@link showLinks} can take away. */
  get hasLinks(): boolean {
    return this.entries.some(({ type }) => type === 'link');
  }

  /** Bring every entry to a mode. */
  setModes(wanted: ModeOf): void {
    for (const [index, entry] of this.entries.entries()) {
      const mode = wanted(entry);
      if (entry.type === 'link' || (this.#isSure && this.#modes[index] === mode)) continue;
      chmodSync(this.#full(entry), mode);
      this.#modes[index] = mode;
    }
    this.#isSure = true;
  }

  /** What is on disk and should not be so, up to a few lines; nothing where all is well. */
  differences(wanted: ModeOf): string[] {
    const found: string[] = [];
    const differ = (path: string, text: string) => found.length < 5 && found.push(`${path} ${text}`);
    const expected = this.entries.filter(({ type }) => this.#hasLinks || type !== 'link');
    const names = new Map<string, number>();
    for (const entry of expected) {
      const stats = lstatSync(this.#full(entry), { throwIfNoEntry: false });
      const mode = wanted(entry);
      if (stats === undefined) differ(entry.path, 'is gone');
      else if (stats.isSymbolicLink() !== (entry.type === 'link')) differ(entry.path, 'is of another type');
      else if (entry.type !== 'link' && (stats.mode & 0o7777) !== mode) {
        differ(entry.path, `is ${octal(stats.mode & 0o7777)}, expected ${octal(mode)}`);
      }
      names.set(parentOf(entry.path), (names.get(parentOf(entry.path)) ?? 0) + 1);
    }
    for (const { path, type } of expected) {
      if (type !== 'directory') continue;
      const there = readdirSync(join(this.root, path)).length;
      const known = (names.get(path) ?? 0) - (path === '.' ? 1 : 0);
      if (there !== known) differ(path, `has ${there} entries, expected ${known}`);
    }
    // A tree that is not as expected has to be set anew, whatever was known of it.
    this.#isSure = found.length === 0;
    for (const [index, entry] of this.entries.entries()) this.#modes[index] = wanted(entry);
    return found;
  }

  /** Take the links away, or put them back. */
  showLinks(visible: boolean): void {
    if (visible === this.#hasLinks) return;
    for (const entry of this.entries) {
      if (entry.type !== 'link') continue;
      if (visible) this.#make(entry);
      else rmSync(this.#full(entry));
    }
    this.#hasLinks = visible;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #full({ path }: TreeEntry): string {
    return path === '.' ? this.root : `${this.root}/${path}`;
  }

  #make(entry: TreeEntry, contentOf?: (size: number) => Uint8Array): void {
    const full = this.#full(entry);
    if (entry.type === 'directory') mkdirSync(full, { recursive: true });
    else if (entry.type === 'link') symlinkSync(entry.target ?? '', full);
    else {
      const file = openSync(full, 'wx');
      if (contentOf !== undefined) writeSync(file, contentOf(entry.size));
      else if (entry.size > 0) ftruncateSync(file, entry.size);
      closeSync(file);
    }
  }
}

/** Permission bits as octal digits. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash);
}
