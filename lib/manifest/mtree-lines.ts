/** Longest line in bytes, continued ones together: far more than a path and all keywords take, escaped. */
const MAX_LINE = 1 << 18;
/** Bytes that are decoded at once: a call of the runtime for each line takes longer than all else that is done to it. */
const BLOCK = 1 << 16;
/** What a backslash stands before: also `\M-#`, which NetBSD's mtree writes, and takes for a comment itself. Or a comment's begin. */
const token = /\\(?:M[-^]|\^)?.|#/gs;

const TAB = 0x09;
const CARRIAGE_RETURN = 0x0d;
const BLANK = 0x20;
const BACKSLASH = 0x5c;

/** The lines of mtree(5): a backslash at a line's end continues it, `#` begins a comment, blank lines count for nothing. */
export class MtreeLines {
  /** Number of the line that was read last, from 1; of a continued one, that of its first line. */
  number = 0;
  readonly #bytes: Buffer;
  /** Where the bytes begin that are not decoded yet. */
  #decoded = 0;
  #block = '';
  #position = 0;
  #lines = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /**
   * The next line, with what continues it, each character a byte, without blanks at its ends. Never empty; `undefined` at the end.
   *
   * @throws RangeError for a line that is longer than 256 KiB
   */
  next(): string | undefined {
    for (;;) {
      this.number = this.#lines + 1;
      const line = this.#line(0);
      if (line === undefined) return undefined;
      const text = trim(isPlain(line) ? line : this.#whole(line));
      if (text !== '') return text;
    }
  }

  /** A line without its comment, and with what continues it. */
  #whole(first: string): string {
    let line: string | undefined = first;
    let whole = '';
    while (line !== undefined) {
      const { length, isContinued } = contentOf(line);
      whole += line.slice(0, length);
      line = isContinued ? this.#line(whole.length) : undefined;
    }
    return whole;
  }

  /** What stands before the next line feed, or the end. */
  #line(before: number): string | undefined {
    let end = this.#block.indexOf('\n', this.#position);
    while (end === -1 && this.#decoded < this.#bytes.length) {
      const rest = this.#block.slice(this.#position);
      this.#check(before + rest.length);
      const next = Math.min(this.#decoded + BLOCK, this.#bytes.length);
      this.#block = rest + this.#bytes.toString('latin1', this.#decoded, next);
      this.#decoded = next;
      this.#position = 0;
      end = this.#block.indexOf('\n', rest.length);
    }
    const start = this.#position;
    if (end === -1) {
      if (start === this.#block.length) return undefined;
      end = this.#block.length;
    }
    this.#check(before + end - start);
    this.#lines += 1;
    this.#position = Math.min(end + 1, this.#block.length);
    return this.#block.slice(start, end);
  }

  #check(length: number): void {
    if (length <= MAX_LINE) return;
    throw new RangeError(`is longer than ${MAX_LINE} bytes`);
  }
}

/** Whether nothing of a line is a comment, and nothing continues it. */
function isPlain(line: string): boolean {
  return line.charCodeAt(line.length - 1) !== BACKSLASH && !line.includes('#');
}

/** How much of a line counts: what stands before a comment, or before the backslash that continues it. */
function contentOf(line: string): { length: number; isContinued: boolean } {
  if (isPlain(line)) return { length: line.length, isContinued: false };
  // Most lines of NetBSD's mtree go on in the next one, or are comments.
  const backslash = line.indexOf('\\');
  const comment = line.indexOf('#');
  if (comment === -1 && backslash === line.length - 1) return { length: backslash, isContinued: true };
  if (comment !== -1 && (backslash === -1 || comment < backslash)) {
    return { length: comment, isContinued: false };
  }
  let end = 0;
  for (const { 0: found, index } of line.matchAll(token)) {
    if (found === '#') return { length: index, isContinued: false };
    end = index + found.length;
  }
  const isContinued = end < line.length && line.endsWith('\\');
  return { length: isContinued ? line.length - 1 : line.length, isContinued };
}

/** Without blanks before it, and without blanks and carriage returns behind it. */
function trim(line: string): string {
  let end = line.length;
  while (end > 0 && (isBlank(line.charCodeAt(end - 1)) || line.charCodeAt(end - 1) === CARRIAGE_RETURN))
    end -= 1;
  let start = 0;
  while (start < end && isBlank(line.charCodeAt(start))) start += 1;
  return line.slice(start, end);
}

/** True for a space and a tab. */
export function isBlank(code: number): boolean {
  return code === BLANK || code === TAB;
}
