import { basename, dirname } from 'node:path';
import type { Directory } from '../directory/directory.ts';
import type { Identity } from '../directory/entry-stats.ts';
import { holdDirectory, makeDirectories } from '../directory/open.ts';
import { realPath } from '../directory/real-path.ts';
import { removeNamed } from '../directory/remove.ts';

/** Directories that were made on the way to a destination: they go again where nothing comes of it. */
export class MadeParents {
  /** By their real paths, the deepest first. */
  readonly #made: { readonly path: string; readonly identity: Identity }[] = [];

  /** Make a directory, and what is missing on the way to it. What fails leaves nothing. */
  make(path: string): void {
    try {
      makeDirectories(path, (each, identity) => this.#made.unshift({ path: realPath(each), identity }));
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** Remove those that are empty. Each is removed only where it is still the one that was made. */
  remove(): void {
    for (const { path, identity } of this.#made.splice(0)) {
      let parent: Directory | undefined;
      try {
        parent = holdDirectory(dirname(path));
        removeNamed(parent, basename(path), identity);
      } catch {
        // The tree is in it, or what others have put there; what lies above it is in use then, too.
        return;
      } finally {
        parent?.close();
      }
    }
  }
}
