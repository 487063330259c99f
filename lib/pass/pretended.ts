import type { FoldName } from '../directory/folding.ts';
import type { Place } from '../directory/place.ts';

/** Files that are taken for the links whose text they hold, by path, however the file system compares names. */
export class PretendedLinks {
  readonly #targets = new Map<string, string>();
  readonly #fold: FoldName;

  constructor(fold: FoldName = (name) => name) {
    this.#fold = fold;
  }

  /** Text of the link that an entry of a directory is taken for. */
  at(place: Place, name: string): string | undefined {
    // Mostly there are none: then no path is put together.
    return this.#targets.size === 0 ? undefined : this.#targets.get(this.#fold(place.pathOf(name)));
  }

  add(path: string, target: string): void {
    this.#targets.set(this.#fold(path), target);
  }

  remove(path: string): void {
    this.#targets.delete(this.#fold(path));
  }

  clear(): void {
    this.#targets.clear();
  }
}
