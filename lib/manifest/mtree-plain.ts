import type { Buffer } from 'node:buffer';
import type { ManifestDigest, ManifestEntry } from './manifest.ts';
import { isUnused } from './mtree-facts.ts';
import { MAX_LINE } from './mtree-lines.ts';

const TAB = 0x09;
const LINE_FEED = 0x0a;
const BLANK = 0x20;
const HASH = 0x23;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/** Digits that a number holds exactly. */
const MAX_DIGITS = 15;
const MODE_DIGITS = 7;
const SHA256_DIGITS = 64;

/** Bytes that stand for themselves in a word: printable ASCII but what begins a comment, an escape or a pattern. */
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte > BLANK && byte < 0x7f && !'#\\*?['.includes(String.fromCharCode(byte))),
);

const types: ReadonlyMap<string, ManifestEntry['type']> = new Map([
  ['file', 'file'],
  ['dir', 'directory'],
  ['link', 'symlink'],
]);

/**
 * Reads the lines that most of a specification is made of: a name without escapes, and `type`, `mode`, `size`, `nlink` or a SHA-256.
 * Only the parts that are kept become strings, each from its own bytes: a substring of the line would keep the whole line in memory.
 */
export class PlainLine {
  /** Where the line ends that was read last, with what continues it; and how many lines that are. */
  end = 0;
  lines = 0;
  /** Whether there is an entry; a line may be blank, or a comment. */
  hasEntry = false;
  /** Whether the name is a path. */
  isFull = false;
  type: ManifestEntry['type'];
  mode: number | undefined;
  size: number | undefined;
  nlink: number | undefined;
  digest: ManifestDigest | undefined;
  #bytes!: Buffer;
  #nameStart = 0;
  #nameEnd = 0;

  /** The name; of a path, without the `./` that it begins with. */
  get name(): string {
    return this.#bytes.toString('latin1', this.#nameStart, this.#nameEnd);
  }

  /** Read the line at a position. False where it is not plain: nothing was read then. */
  read(bytes: Buffer, start: number): boolean {
    this.#bytes = bytes;
    this.lines = 1;
    let at = start;
    while (bytes[at] === BLANK || bytes[at] === TAB) at += 1;
    const first = bytes[at];
    this.hasEntry = at < bytes.length && first !== LINE_FEED && first !== HASH;
    if (!this.hasEntry) {
      const found = bytes.indexOf(LINE_FEED, at);
      this.end = found === -1 ? bytes.length : found + 1;
      return this.end - start <= MAX_LINE;
    }
    at = this.#readName(at);
    this.type = undefined;
    this.mode = undefined;
    this.size = undefined;
    this.nlink = undefined;
    this.digest = undefined;
    while (at > 0) {
      at = this.#skipBlanks(at);
      if (at >= bytes.length || bytes[at] === LINE_FEED) {
        this.end = Math.min(at + 1, bytes.length);
        return this.end - start <= MAX_LINE;
      }
      at = this.#readWord(at);
    }
    return false;
  }

  /** Behind blanks, and line feeds behind a backslash that no word goes on over. */
  #skipBlanks(start: number): number {
    const bytes = this.#bytes;
    for (let at = start; ; at += 1) {
      const byte = bytes[at];
      if (
        byte === BACKSLASH &&
        bytes[at + 1] === LINE_FEED &&
        isBlank(bytes[at - 1]) &&
        isBlank(bytes[at + 2])
      ) {
        this.lines += 1;
        at += 1;
      } else if (!isBlank(byte)) return at;
    }
  }

  /** Where the name ends; 0 where it is not plain. */
  #readName(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    let isFull = false;
    for (; isPlain[bytes[at] as number] === 1; at += 1) {
      if (bytes[at] === EQUALS) return 0;
      if (bytes[at] === SLASH) isFull = true;
    }
    this.isFull = isFull;
    this.#nameStart = start;
    this.#nameEnd = at;
    // `/set`; `.` and `..`; `././name`.
    if (bytes[start] === SLASH || (bytes[start] === DOT && !this.#beginsHere(start, at))) return 0;
    return isEndOfWord(bytes[at]) ? at : 0;
  }

  /** Whether a name that begins with a dot is `.name` or `./name`. */
  #beginsHere(start: number, end: number): boolean {
    const [second, third] = [this.#bytes[start + 1], this.#bytes[start + 2]];
    if (end - start < 3 || second === DOT) return false;
    if (second !== SLASH) return true;
    this.#nameStart = start + 2;
    return third !== DOT && third !== SLASH;
  }

  /** Where the word ends; 0 where it is not plain. */
  #readWord(start: number): number {
    const bytes = this.#bytes;
    let equals = 0;
    let end = start;
    for (; isPlain[bytes[end] as number] === 1; end += 1) {
      if (equals === 0 && bytes[end] === EQUALS) equals = end;
    }
    if (equals === 0 || !isEndOfWord(bytes[end])) return 0;
    return this.#readFact(bytes.toString('latin1', start, equals), equals + 1, end) ? end : 0;
  }

  #readFact(key: string, start: number, end: number): boolean {
    switch (key) {
      case 'type':
        this.type = types.get(this.#bytes.toString('latin1', start, end));
        return this.type !== undefined;
      case 'mode':
        this.mode = this.#number(start, end, 8, MODE_DIGITS);
        return this.mode !== undefined;
      case 'size':
        this.size = this.#number(start, end, 10, MAX_DIGITS);
        return this.size !== undefined;
      case 'nlink':
        this.nlink = this.#number(start, end, 10, MAX_DIGITS);
        return this.nlink !== undefined;
      case 'sha256':
      case 'sha256digest':
        return this.#readDigest(start, end);
      default:
        return isUnused(key);
    }
  }

  #number(start: number, end: number, base: number, maxDigits: number): number | undefined {
    if (end === start || end - start > maxDigits) return undefined;
    let value = 0;
    for (let at = start; at < end; at += 1) {
      const digit = (this.#bytes[at] as number) - ZERO;
      if (digit < 0 || digit >= base) return undefined;
      value = value * base + digit;
    }
    return value;
  }

  #readDigest(start: number, end: number): boolean {
    if (this.digest !== undefined || end - start !== SHA256_DIGITS) return false;
    const value = this.#bytes.toString('latin1', start, end);
    if (!/^[\da-f]+$/.test(value)) return false;
    this.digest = Object.freeze({ algorithm: 'sha256', value });
    return true;
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === BLANK || byte === TAB;
}

function isEndOfWord(byte: number | undefined): boolean {
  return byte === undefined || byte === LINE_FEED || isBlank(byte);
}
