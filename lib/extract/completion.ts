import { Buffer } from 'node:buffer';
import type { ChildProcess } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';

/** How many of the last bytes of a child's stderr its error quotes. */
const MAX_STDERR_BYTES = 4096;

/** Milliseconds to wait for `close` after a foreign stream has ended: unzipper writes in between. */
const CLOSE_GRACE_MS = 1000;

/** Error of an extractor that is a child process and failed. */
interface ExtractorExit extends Error {
  code: 'ERR_PERMWALK_EXTRACTOR';
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** The end of what it wrote to stderr. */
  stderr: string;
}

/**
 * Wait until an extractor is done. It may return a promise or thenable (also of a stream or child process), a stream, a
 * child process, an emitter that ends with `close`, `finish`, `end` or `error`, or nothing if it is done when it returns.
 * An async function must not return a foreign stream without state (node-tar's) that it has already awaited: permwalk
 * would wait for ever.
 *
 * @throws whatever it rejects with or emits as `error`. For a child process that fails, an error with code
 * `ERR_PERMWALK_EXTRACTOR`, `exitCode`, `signal` and the end of its `stderr`
 */
export async function completion(returned: unknown): Promise<void> {
  const isPromised = isThenable(returned);
  const result: unknown = isPromised ? await returned : returned;
  if (isChildProcess(result)) return childCompletion(result);
  if (result instanceof Readable || result instanceof Writable) return streamCompletion(result);
  if (!isEmitter(result) || isOver(result)) return;
  // Any other emitter from a promise may have emitted everything before we could listen.
  const isStreamLike = 'pipe' in result || 'write' in result;
  if (isStreamLike || !isPromised) return emitterCompletion(result);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function isEmitter(value: unknown): value is EventEmitter {
  return typeof value === 'object' && value !== null && 'on' in value && typeof value.on === 'function';
}

/** State of streams that are not Node's own; readable-stream 2 has it in `_writableState` only. */
type ForeignStream = Partial<Readable & Writable> & { _writableState?: { finished?: boolean } };

/** True if a foreign stream says that it has ended. */
function isOver(emitter: EventEmitter): boolean {
  const { destroyed, closed, writableFinished, readableEnded, _writableState } = emitter as ForeignStream;
  const isWritten = writableFinished === true || _writableState?.finished === true;
  const isRead = readableEnded === true && !('write' in emitter);
  return destroyed === true || closed === true || isWritten || isRead;
}

function isChildProcess(value: unknown): value is ChildProcess {
  return isEmitter(value) && 'exitCode' in value && 'signalCode' in value && 'stdio' in value;
}

async function childCompletion(child: ChildProcess): Promise<void> {
  let tail = Buffer.alloc(0);
  child.stderr?.on('data', (chunk: Buffer | string) => {
    tail = Buffer.concat([tail, Buffer.from(chunk)]).subarray(-MAX_STDERR_BYTES);
  });
  // Not its input: some runtimes would read that, too, and fail.
  for (const pipe of child.stdio.slice(1)) {
    // A full pipe that nobody reads would stop the child.
    if (pipe instanceof Readable && pipe.readableFlowing === null) pipe.resume();
  }
  const hasExited = child.exitCode !== null || child.signalCode !== null;
  const hasClosed = hasExited && child.stdio.every((pipe) => pipe?.closed ?? true);
  if (!hasClosed) await once(child, 'close');
  const { exitCode, signalCode: signal } = child;
  if (exitCode === 0) return;
  const stderr = tail.toString();
  const how = signal === null ? `with code ${exitCode}` : `by ${signal}`;
  const message = `the extractor ended ${how}${stderr === '' ? '' : `: ${stderr.trim()}`}`;
  const facts = { code: 'ERR_PERMWALK_EXTRACTOR', exitCode, signal, stderr } as const;
  throw Object.assign(new Error(message), facts) satisfies ExtractorExit;
}

/** Node's own streams close when they are done, and have a state. */
async function streamCompletion(stream: Readable | Writable): Promise<void> {
  // A readable stream that nobody reads never ends.
  if ('readableFlowing' in stream && stream.readableFlowing === null) stream.resume();
  await finished(stream);
}

/** Other emitters: `close` is the end; so are `finish` and `end`, unless `close` follows soon. */
async function emitterCompletion(emitter: EventEmitter): Promise<void> {
  if ('resume' in emitter && typeof emitter.resume === 'function') emitter.resume();
  // A late error must not end the process.
  emitter.on('error', () => undefined);
  const over = new AbortController();
  const { signal } = over;
  try {
    const closed = once(emitter, 'close', { signal });
    const ended = Promise.race([once(emitter, 'finish', { signal }), once(emitter, 'end', { signal })]);
    const endedLongAgo = ended.then(() => setTimeout(CLOSE_GRACE_MS, undefined, { signal }));
    await Promise.race([closed, endedLongAgo]);
  } finally {
    over.abort();
  }
}
