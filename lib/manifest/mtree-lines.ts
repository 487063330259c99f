const LINE_FEED = 0x0a;
const BACKSLASH = 0x5c;
/** Longest line in bytes, continued ones together: far more than a path and all keywords take, escaped. */
export const MAX_LINE = 1 << 18;
/** What a backslash stands before: also `\M-#`, which NetBSD's mtree writes, and takes for a comment itself. Or a comment's begin. */
const token = /\\(?:M[-^]|\^)?.|#/gs;

/** A line of mtree(5), with what continues it. */
export interface MtreeLine {
  /** Each character is a byte. Without blanks at its ends; empty where nothing counts. */
  readonly text: string;
  /** Where the next one begins. */
  readonly end: number;
  /** How many lines it is made of. */
  readonly lines: number;
}

/**
 * The line of mtree(5) at a position: a backslash at a line's end continues it, `#` begins a comment.
 *
 * @throws RangeError for a line that is longer than 256 KiB
 */
export function mtreeLineAt(text: Buffer, start: number): MtreeLine {
  let lines = 0;
  let end = start;
  let whole = '';
  let isContinued = true;
  while (isContinued && end < text.length) {
    const found = text.indexOf(LINE_FEED, end);
    const stop = found === -1 ? text.length : found;
    lines += 1;
    if (whole.length + stop - end > MAX_LINE) throw new RangeError(`is longer than ${MAX_LINE} bytes`);
    const line = text.toString('latin1', end, stop);
    end = Math.min(stop + 1, text.length);
    const content = contentOf(line);
    isContinued = content.isContinued;
    whole += line.slice(0, content.length);
  }
  return { text: trimEnd(whole).replace(/^[ \t]+/, ''), end, lines };
}

/**
 * Where text can be split without splitting a line: after the last line feed that does not continue a line; 0 if there is none.
 */
export function cutOf(text: Buffer): number {
  for (let at = text.lastIndexOf(LINE_FEED); at > 0; at = text.lastIndexOf(LINE_FEED, at - 1)) {
    if (text[at - 1] !== BACKSLASH) return at + 1;
  }
  return 0;
}

/** How much of a line counts: what stands before a comment, or before the backslash that continues it. */
function contentOf(line: string): { length: number; isContinued: boolean } {
  if (!line.includes('#') && !line.endsWith('\\')) return { length: line.length, isContinued: false };
  let end = 0;
  for (const { 0: found, index } of line.matchAll(token)) {
    if (found === '#') return { length: index, isContinued: false };
    end = index + found.length;
  }
  const isContinued = end < line.length && line.endsWith('\\');
  return { length: isContinued ? line.length - 1 : line.length, isContinued };
}

/** Without the blanks and the carriage return at its end. */
function trimEnd(line: string): string {
  let end = line.length;
  while (end > 0 && ' \t\r'.includes(line.charAt(end - 1))) end -= 1;
  return line.slice(0, end);
}
