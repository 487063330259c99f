/**
 * Archives of the imitated Electron: a text file that holds every path and content. Anything else is a broken archive. Calls of the
 * original node:fs are passed in, for what is imitated may be in its place.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** The last archive that was read, which most calls ask for again: none is changed once it is written. */
let last: { path: string; archive: Asar } | undefined;

/** Paths in an archive, `/`-separated, and the base64 of their contents. */
type Contents = Readonly<Record<string, string>>;

const MAGIC = 'imitated asar\n';

/** Pack files into an archive. */
export function writeAsar(path: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  const contents = Object.entries(files).map(([name, content]) => [
    name,
    Buffer.from(content).toString('base64'),
  ]);
  writeFileSync(path, `${MAGIC}${JSON.stringify(Object.fromEntries(contents))}`);
}

/** An archive as the imitated node:fs sees it. */
export class Asar {
  readonly #contents: Contents;

  private constructor(contents: Contents) {
    this.#contents = contents;
  }

  /** `undefined` for a broken one. */
  static open(path: string, read: typeof readFileSync = readFileSync): Asar | undefined {
    if (last?.path === path) return last.archive;
    try {
      const text = read(path, 'utf8');
      if (!text.startsWith(MAGIC)) return undefined;
      last = { path, archive: new Asar(JSON.parse(text.slice(MAGIC.length))) };
      return last.archive;
    } catch {
      return undefined;
    }
  }

  /** Content of a file in it; `undefined` where there is none. */
  read(name: string): Buffer | undefined {
    const content = this.#contents[name];
    return content === undefined ? undefined : Buffer.from(content, 'base64');
  }

  /** Names directly in a directory of it, `''` for its root; `undefined` where there is none. */
  list(name: string): string[] | undefined {
    const prefix = name === '' ? '' : `${name}/`;
    const below = Object.keys(this.#contents).filter((path) => path.startsWith(prefix));
    const names = new Set(below.map((path) => path.slice(prefix.length).split('/')[0] as string));
    return names.size === 0 ? undefined : [...names];
  }
}
