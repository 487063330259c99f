import type { Dirent } from 'node:fs';
import { type DirEntry, type EntryInfo, type PathOrDirent, ReaddirpStream } from 'readdirp';
import type { Pace } from '../pace.ts';
import { joinPath } from './names.ts';
import type { ListedEntry } from './root.ts';

/** What the walk asks of the pass. */
export interface Visitor {
  /** Called for each directory, the first one included, before its entries: deal with it and list it. */
  enter(directory: string): ListedEntry[];
  /** Called for each entry that is a directory, right after the one that it is in was listed: whether to descend. */
  descend(directory: string): boolean;
  /** Called for each entry that is not a directory, right after the directory that it is in was listed. */
  visit(path: string, entry: ListedEntry): void;
}

/**
 * readdirp's traversal over a root: its reading of directories and its classification of links are replaced, so
 * that every listing goes through the root and no link is ever resolved. Entries are dealt with while their directory
 * is open, and readdirp is told only of the directories to descend into. Paths in the stream are ours with a `/`
 * before them, for readdirp's are absolute.
 */
class RootStream extends ReaddirpStream {
  readonly #visitor: Visitor;
  readonly #pace: Pace;
  readonly #stop: (error: unknown) => void;

  constructor(start: string, visitor: Visitor, pace: Pace, stop: (error: unknown) => void) {
    super({ root: '/' });
    this.#visitor = visitor;
    this.#pace = pace;
    this.#stop = stop;
    this.parents = [{ path: `/${start}`, depth: 1 }];
  }

  /** Not started before it is awaited: readdirp asks one directory ahead, and a listing should be fresh. */
  override _exploreDir(path: string, depth: number): Promise<DirEntry> {
    const lazy: PromiseLike<DirEntry> = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what makes it lazy
      then: (resolve, reject) => this.#explore(path, depth).then(resolve, reject),
    };
    return lazy as Promise<DirEntry>;
  }

  override _formatEntry(dirent: PathOrDirent, parent: string): EntryInfo {
    const listed = dirent as Dirent;
    const path = joinPath(parent.slice(1), listed.name);
    return { path, fullPath: `/${path}`, basename: listed.name, dirent: listed };
  }

  override _getEntryType(): 'directory' {
    return 'directory';
  }

  async #explore(path: string, depth: number): Promise<DirEntry> {
    const files: Dirent[] = [];
    try {
      if (this.#pace.isOver()) await this.#pace.pause();
      const directory = path.slice(1);
      for (const entry of this.#visitor.enter(directory)) {
        const below = joinPath(directory, entry.name);
        if (!entry.isDirectory()) this.#visitor.visit(below, entry);
        else if (this.#visitor.descend(below)) files.push(entry as Dirent);
        if (this.#pace.isOver()) await this.#pace.pause();
      }
    } catch (error) {
      this.#stop(error);
    }
    return { files, depth, path };
  }
}

/**
 * Visit a directory and everything below it, directories before their entries, in slices.
 *
 * Rejects with whatever the visitor or the pace throws; the stream is destroyed then.
 */
export function walk(start: string, visitor: Visitor, pace: Pace): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (error: unknown) => {
      reject(error);
      stream.destroy();
    };
    const stream = new RootStream(start, visitor, pace, stop);
    // Nothing of ours is only warned about: what cannot be listed has been reported by the visitor.
    stream.on('warn', stop);
    stream.on('error', reject);
    stream.on('end', resolve);
    stream.resume();
  });
}
