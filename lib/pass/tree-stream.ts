import type { Dirent } from 'node:fs';
import { type DirEntry, type EntryInfo, type PathOrDirent, ReaddirpStream } from 'readdirp';
import type { Place } from '../directory/place.ts';

/** A directory on readdirp's way. It knows paths; ours are numbers, for nothing is ever found by them. */
type Step = Pick<Dirent, 'name'> & { readonly place: Place };

/**
 * readdirp's traversal over a held tree. One step of it explores a slice's worth of directories; readdirp is told of those that are
 * left, and comes back to them. Its own reading of directories and its classification of links are replaced.
 */
export class TreeStream extends ReaddirpStream {
  readonly #explore: (place: Place) => Promise<Place[]>;
  readonly #stop: (error: unknown) => void;
  readonly #places = new Map<string, Place>();
  #steps = 0;

  constructor(start: Place, explore: (place: Place) => Promise<Place[]>, stop: (error: unknown) => void) {
    super({ root: '/' });
    this.#explore = explore;
    this.#stop = stop;
    this.parents = [{ path: this.#step(start).name, depth: 1 }];
  }

  /** Not started before it is awaited: readdirp asks one directory ahead, and a listing should be fresh. */
  override _exploreDir(path: string, depth: number): Promise<DirEntry> {
    const lazy: PromiseLike<DirEntry> = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what makes it lazy
      then: (resolve, reject) => this.#exploreStep(path, depth).then(resolve, reject),
    };
    return lazy as Promise<DirEntry>;
  }

  override _formatEntry(dirent: PathOrDirent): EntryInfo {
    const step = dirent as Dirent;
    return { path: step.name, fullPath: step.name, basename: step.name, dirent: step };
  }

  override _getEntryType(): 'directory' {
    return 'directory';
  }

  #step(place: Place): Step {
    this.#steps += 1;
    const name = `/${this.#steps}`;
    this.#places.set(name, place);
    return { name, place };
  }

  async #exploreStep(path: string, depth: number): Promise<DirEntry> {
    const place = this.#places.get(path);
    this.#places.delete(path);
    try {
      const left = place === undefined ? [] : await this.#explore(place);
      return { files: left.map((below) => this.#step(below)) as unknown as Dirent[], depth, path };
    } catch (error) {
      this.#stop(error);
      return { files: [], depth, path };
    }
  }
}
