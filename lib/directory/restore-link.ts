import { Buffer } from 'node:buffer';
import type { Directory, OpenFile } from './directory.ts';
import { type EntryStats, isSameEntry } from './entry-stats.ts';
import { errorCode, swapped } from './errors.ts';
import { decodeName, encodeName } from './names.ts';

/** What a link is called until it takes the place of a file. A process that is killed may leave one. */
const PREFIX = '.permwalk-link-';
const RANDOM_BYTES = 12;
/** Bytes that a link can hold, on Linux (PATH_MAX). */
const MAX_TEXT = 4095;

const REMOVE = 'it was left by restoring a link: remove it';
const MOVE_BACK = 'another process put it where a link was restored: move it back, or remove it';

/** What came of restoring a link. */
export interface Restoration {
  readonly isRestored: boolean;
  /** What kept it from that; `undefined` where the file is not the one that it was. */
  readonly error: unknown;
  /** An entry beside it that stays: why, and what to do about it. */
  readonly left: Left | undefined;
}

const restored: Restoration = { isRestored: true, error: undefined, left: undefined };

function notRestored(left: Left | undefined, error?: unknown): Restoration {
  return { isRestored: false, error, left };
}

/** An entry that could not be removed, or put back. */
export interface Left {
  readonly name: string;
  readonly error: unknown;
  readonly advice: string;
}

/** The bytes of a link's text. */
export function textOf(target: string): Buffer {
  return Buffer.from(encodeName(target));
}

/**
 * Whether a target, as it is written, leads to something below the root: it is relative, and goes up at its start alone, no further
 * than to the root. It may still lead out through a link on its way.
 *
 * @param depth how many directories below the root the link's own directory is; 0 for the root
 */
export function isInnerTarget(target: string, depth: number): boolean {
  const text = textOf(target);
  if (target.startsWith('/') || text.length > MAX_TEXT || decodeName(text) !== target) return false;
  const names = target.split('/').filter((name) => name !== '' && name !== '.');
  const ups = names.filter((name) => name === '..').length;
  return ups <= depth && names.slice(0, ups).every((name) => name === '..');
}

/**
 * Put a link in the place of a file that holds nothing but its text. The link is made beside it and renamed over it.
 *
 * The file is held open meanwhile, so its inode identifies it. If the system can exchange names, the link and the file are exchanged,
 * and exchanged back if it was another file: nothing else is lost. Otherwise the file is checked right before the rename, and
 * whatever another process renames over it between these two calls is lost.
 *
 * @param mayReplace whether a file with these facts may be replaced
 * @throws what opening and looking at the file fails with, EINVAL and ELOOP for what is no file; nothing was done then
 */
export function restoreLink(
  directory: Directory,
  name: string,
  target: string,
  mayReplace: (found: EntryStats) => boolean,
): Restoration {
  const file = directory.open(name);
  try {
    return new Replacement(directory, name, target, file, mayReplace).run();
  } finally {
    file.close();
  }
}

class Replacement {
  readonly #directory: Directory;
  readonly #name: string;
  readonly #target: string;
  readonly #text: Buffer;
  readonly #file: OpenFile;
  readonly #mayReplace: (found: EntryStats) => boolean;
  /** Name of the link until it is in its place. */
  readonly #temporary =
    PREFIX + Buffer.from(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))).toString('base64url');

  constructor(
    directory: Directory,
    name: string,
    target: string,
    file: OpenFile,
    mayReplace: (found: EntryStats) => boolean,
  ) {
    this.#directory = directory;
    this.#name = name;
    this.#target = target;
    this.#text = textOf(target);
    this.#file = file;
    this.#mayReplace = mayReplace;
  }

  run(): Restoration {
    if (!this.#isFile(this.#name)) return notRestored(undefined);
    // Asked before anything is made: to find out may take a while.
    const canExchange = this.#directory.renames.has('exchange');
    try {
      this.#directory.symlink(this.#temporary, this.#target);
    } catch (error) {
      return notRestored(this.#clear(), error);
    }
    return (canExchange ? this.#exchange() : undefined) ?? this.#replace();
  }

  /** `undefined` where the two cannot be exchanged, and nothing was done. */
  #exchange(): Restoration | undefined {
    try {
      this.#directory.rename(this.#temporary, this.#directory, this.#name, 'exchange');
    } catch (error) {
      return errorCode(error) === 'ENOTSUP' ? undefined : notRestored(this.#clear(), error);
    }
    try {
      if (!this.#isFile(this.#temporary)) return this.#putBack();
      this.#directory.unlink(this.#temporary);
      return restored;
    } catch (error) {
      return this.#putBack(error);
    }
  }

  /** Give what was exchanged its name again, and remove the link. */
  #putBack(why?: unknown): Restoration {
    try {
      this.#exchangeBack();
    } catch (error) {
      return notRestored({ name: this.#temporary, error, advice: MOVE_BACK }, why ?? error);
    }
    return notRestored(this.#clear(), why);
  }

  #exchangeBack(): void {
    const [directory, name, temporary] = [this.#directory, this.#name, this.#temporary];
    try {
      directory.rename(temporary, directory, name, 'exchange');
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      // The link is gone: its name is free.
      directory.rename(temporary, directory, name, 'no-replace');
    }
  }

  #replace(): Restoration {
    try {
      if (!this.#isFile(this.#name)) return notRestored(this.#clear());
      this.#directory.rename(this.#temporary, this.#directory, this.#name);
      return restored;
    } catch (error) {
      if (this.#hasTakenPlace()) return restored;
      return notRestored(this.#clear(), error);
    }
  }

  /** Whether the rename was made, and it was a look after it that failed. */
  #hasTakenPlace(): boolean {
    try {
      return !this.#isLink(this.#temporary) && this.#isLink(this.#name);
    } catch {
      // What was the matter before is told.
      return false;
    }
  }

  /** Whether an entry is the file that is held, holds the text, and may be replaced. */
  #isFile(name: string): boolean {
    const found = this.#directory.lstat(name);
    if (found === undefined || !isSameEntry(found, this.#file.stats) || !this.#mayReplace(found))
      return false;
    return this.#text.equals(this.#file.read(this.#text.length + 1));
  }

  /** Whether an entry is the link that is made. */
  #isLink(name: string): boolean {
    const found = this.#directory.lstat(name);
    return found?.type === 'symlink' && this.#directory.readlink(name) === this.#target;
  }

  /** Remove the link, unless something else bears its name by now. */
  #clear(): Left | undefined {
    const name = this.#temporary;
    try {
      if (this.#isLink(name)) this.#directory.unlink(name);
      else if (this.#directory.lstat(name) !== undefined)
        return { name, error: swapped(name), advice: MOVE_BACK };
      // By path it may have been looked for elsewhere: then this throws.
      else this.#directory.stats();
      return undefined;
    } catch (error) {
      return { name, error, advice: REMOVE };
    }
  }
}
