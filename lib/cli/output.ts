import type { Readable } from 'node:stream';
import { styleText } from 'node:util';
import { printableText } from './printable.ts';

/** Styles of {@link Paint}. */
export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red';

/** Colours a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

const unwritable = new Set<NodeJS.WriteStream>();

/**
 * Survive readers that close their end: `permwalk … | head -1` continues in silence and keeps its exit code. Any other
 * failure to write is reported once, and makes the exit code 1 unless it is already another.
 */
export function guardStreams(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => giveUp(stream, error));
  }
}

/** Set the exit code. An earlier one that is not 0 stays. */
export function setExitCode(code: number): void {
  process.exitCode = process.exitCode || code;
}

function giveUp(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
  const first = !unwritable.has(stream);
  unwritable.add(stream);
  if (error.code === 'EPIPE' || !first) return;
  writeError(`error: cannot write: ${printableText(error.message)}\n`);
  setExitCode(1);
}

function write(stream: NodeJS.WriteStream, text: string): void {
  if (unwritable.has(stream)) return;
  try {
    stream.write(text);
  } catch (error) {
    // Node emits what goes wrong, Deno throws it.
    giveUp(stream, error instanceof Error ? error : new Error(String(error)));
  }
}

/** Write to stdout, as long as somebody reads it. */
export function writeOut(text: string): void {
  write(process.stdout, text);
}

/** Whether somebody still reads stdout. */
export function canWriteOut(): boolean {
  return !unwritable.has(process.stdout);
}

/** Wait until what was written to stdout so far has gone out, or cannot. */
export async function outDrained(): Promise<void> {
  const { stdout } = process;
  if (!stdout.writableNeedDrain || unwritable.has(stdout)) return;
  await new Promise<void>((resolve) => {
    const events = ['drain', 'error', 'close'] as const;
    const done = () => {
      for (const event of events) stdout.off(event, done);
      resolve();
    };
    for (const event of events) stdout.on(event, done);
  });
}

/** Write to stderr, as long as somebody reads it. */
export function writeError(text: string): void {
  write(process.stderr, text);
}

/** Hand on to stderr what a stream says. Where that cannot be written any more, it is read all the same: a full pipe stops who fills it. */
export function passToError(stream: Readable): void {
  const { stderr } = process;
  const readOn = () => {
    stream.unpipe(stderr);
    stream.resume();
  };
  if (unwritable.has(stderr)) return readOn();
  stream.pipe(stderr, { end: false });
  stderr.on('error', readOn);
}

/** Colours, if stdout is a terminal that wants them, or `FORCE_COLOR` says so; that is stronger than `NO_COLOR`, as in Node. */
export function createPaint(): Paint {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  const isForced = FORCE_COLOR !== undefined && !['0', 'false'].includes(FORCE_COLOR);
  const isRefused = FORCE_COLOR !== undefined || Boolean(NO_COLOR) || TERM === 'dumb';
  const plain = !isForced && (isRefused || !process.stdout.isTTY);
  return plain ? (_style, text) => text : (style, text) => styleText(style, text, { validateStream: false });
}

/** Lines that are written together after the current slice of work. */
export interface LineBuffer {
  add(line: string): void;
  /** Write buffered lines now. */
  flush(): void;
}

/** One write for each slice, not for each line: a verbose pass over a large tree stays fast. */
export function createLineBuffer(writeText: (text: string) => void): LineBuffer {
  let lines: string[] = [];
  const flush = (): void => {
    if (lines.length === 0) return;
    const text = lines.join('');
    lines = [];
    writeText(text);
  };
  return {
    flush,
    add(line) {
      if (lines.push(`${line}\n`) === 1) setImmediate(flush);
    },
  };
}
