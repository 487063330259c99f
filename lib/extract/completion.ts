import { Buffer } from 'node:buffer';
import type { ChildProcess } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';

/** Bytes of a child's stderr that its error quotes: the last ones. */
const MAX_STDERR_BYTES = 4096;

/** Milliseconds in which a foreign stream that ended may still say that it is closed: unzipper writes in between. */
const CLOSE_GRACE_MS = 1000;

/** Error of an extractor that is a child process: it ended badly. */
interface ExtractorExit extends Error {
  code: 'ERR_PERMWALK_EXTRACTOR';
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** The end of what it wrote to stderr. */
  stderr: string;
}

/**
 * Wait until an extractor is done, whatever it returned: a promise or thenable (also of a stream or child process),
 * a stream, a child process, an emitter that ends with `close`, `finish`, `end` or `error`, or nothing, when it was
 * done before it returned. A foreign stream that keeps no state (node-tar's) must not be returned by an async function
 * that has waited for it already: it would be waited for in vain.
 *
 * @throws what it rejects with or emits as `error`; for a child process that exits with another code than 0 or by a
 * signal, an error with code `ERR_PERMWALK_EXTRACTOR`, `exitCode`, `signal` and the end of its `stderr`
 */
export async function completion(returned: unknown): Promise<void> {
  const isPromised = isThenable(returned);
  const result: unknown = isPromised ? await returned : returned;
  if (isChildProcess(result)) return childCompletion(result);
  if (result instanceof Readable || result instanceof Writable) return streamCompletion(result);
  if (!isEmitter(result) || isOver(result)) return;
  // Any other emitter that a promise brought may have said all that it had to say before anybody could listen.
  const isStreamLike = 'pipe' in result || 'write' in result;
  if (isStreamLike || !isPromised) return emitterCompletion(result);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function isEmitter(value: unknown): value is EventEmitter {
  return typeof value === 'object' && value !== null && 'on' in value && typeof value.on === 'function';
}

/** What streams that are not Node's own say of themselves; readable-stream 2 says it in its state only. */
type ForeignStream = Partial<Readable & Writable> & { _writableState?: { finished?: boolean } };

/** True where a foreign stream says that nothing more will come of it. */
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
  // All but its input, which some runtimes would read, too, and fail.
  for (const pipe of child.stdio.slice(1)) {
    // A pipe that nobody reads would stop the child when it is full.
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

/** A stream of Node's own closes by itself when it is done, and its state can be asked for. */
async function streamCompletion(stream: Readable | Writable): Promise<void> {
  // A stream that says when everything is done would never end if nobody read it.
  if ('readableFlowing' in stream && stream.readableFlowing === null) stream.resume();
  await finished(stream);
}

/** Whatever else emits events: `close` is the end; `finish` and `end` are, too, unless `close` comes soon after. */
async function emitterCompletion(emitter: EventEmitter): Promise<void> {
  if ('resume' in emitter && typeof emitter.resume === 'function') emitter.resume();
  // An error that comes when nobody waits any more must not end the process.
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
