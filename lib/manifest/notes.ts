import type { ManifestWarning } from './manifest.ts';

/** As many warnings as are kept: a hostile archive can have one for each of its entries. */
const MAX_WARNINGS = 1000;

/** Collects what is odd in a source. */
export class Notes {
  readonly warnings: ManifestWarning[] = [];
  /** How many there were, also beyond those that are kept. */
  count = 0;
  readonly #once = new Set<string>();

  /**
   * @param code stable name of the kind
   * @param message a sentence; never the content of a file
   * @param path the entry that it is about
   */
  add(code: string, message: string, path?: string): void {
    this.count += 1;
    if (this.warnings.length >= MAX_WARNINGS) return;
    this.warnings.push(Object.freeze({ code, ...(path !== undefined && { path }), message }));
  }

  /** The same of a kind that an archive has in many entries or in none: the first of them is noted. */
  addFirst(code: string, message: string, path: string): void {
    if (this.#once.has(code)) return;
    this.#once.add(code);
    this.add(code, message, path);
  }
}
