import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { say } from '../progress.ts';
import type { FoundTree } from './real.ts';
import { WorkTree } from './work-tree.ts';
import { makeZip } from './zip.ts';

/** A copy of a tree with its zips. */
export class Place {
  readonly found: FoundTree;
  readonly tree: WorkTree;
  readonly #folder: string;
  readonly #zips = new Map<boolean, string>();

  constructor(folder: string, found: FoundTree) {
    this.found = found;
    this.#folder = join(folder, 'place');
    mkdirSync(this.#folder);
    this.tree = WorkTree.make(join(this.#folder, 'tree'), found.entries);
  }

  /** The tree as a zip, with or without its links, made when it is first asked for. */
  zip(links: boolean): string {
    const known = this.#zips.get(links);
    if (known !== undefined) return known;
    const path = join(this.found.cache ?? this.#folder, links ? 'tree.zip' : 'tree-without-links.zip');
    this.#zips.set(links, path);
    if (existsSync(path)) return path;
    say(`zipping ${this.found.name}${links ? '' : ' without its links'}`);
    this.tree.showLinks(links);
    this.tree.setModes(({ mode }) => mode);
    makeZip(this.tree.root, path);
    return path;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}
