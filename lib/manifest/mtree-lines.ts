const LINE_FEED = 0x0a;
/** Longest line in bytes, continued ones together: far more than a path and all keywords take, escaped. */
const MAX_LINE = 1 << 18;
/** What a backslash stands before: also `\M-#`, which NetBSD's mtree writes, and takes for a comment itself. Or a comment's begin. */
const token = /\\(?:M[-^]|\^)?.|#/gs;

/** A line of mtree(5), with what continues it. */
export interface MtreeLine {
  /** Of its first line, from 1. */
  readonly number: number;
  /** Each character is a byte. Without blanks at its ends, never empty. */
  readonly text: string;
}

/**
 * The lines of mtree(5): a backslash at a line's end continues it, `#` begins a comment, blank lines count for nothing.
 *
 * @throws RangeError for a line that is longer than 256 KiB
 */
export function* mtreeLines(text: Buffer): Generator<MtreeLine, void, undefined> {
  let number = 0;
  let start = 0;
  while (start < text.length) {
    const first = number + 1;
    let whole = '';
    let isContinued = true;
    while (isContinued && start < text.length) {
      const found = text.indexOf(LINE_FEED, start);
      const end = found === -1 ? text.length : found;
      number += 1;
      if (whole.length + end - start > MAX_LINE) {
        throw new RangeError(`line ${first} is longer than ${MAX_LINE} bytes`);
      }
      const line = text.toString('latin1', start, end);
      start = end + 1;
      const content = contentOf(line);
      isContinued = content.isContinued;
      whole += line.slice(0, content.length);
    }
    const trimmed = trimEnd(whole).replace(/^[ \t]+/, '');
    if (trimmed !== '') yield { number: first, text: trimmed };
  }
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
