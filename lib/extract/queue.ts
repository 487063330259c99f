import { isDeepStrictEqual } from 'node:util';

/** What a call asks for: calls for one destination that ask for the same share one extraction. */
export interface Subject {
  /** Compared one by one, with `Object.is`. */
  readonly parts: readonly unknown[];
  /** Compared by what is in it. */
  readonly options?: object;
}

/** One call that waits for an extraction. */
interface Call {
  readonly signal: AbortSignal | undefined;
  readonly run: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const turns = new Map<string, Turn[]>();

/**
 * One extraction at a time for a destination. A call that asks for what is already running or waiting shares it: it gets the same
 * result, whether that succeeds or fails. Any other call waits for all earlier ones.
 *
 * The first of the calls that share one runs it. If that call aborts, the next one runs its own; if any other call aborts, it only
 * leaves.
 *
 * @param run the caller's own extraction; it ends when the caller's signal is aborted
 */
export function takeTurn<T>(
  destination: string,
  subject: Subject,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  const queue = turns.get(destination) ?? [];
  const same = queue.find((turn) => isSame(turn.subject, subject));
  if (same !== undefined) return same.join(signal, run);
  const turn: Turn = new Turn(subject, () => leave(destination, turn));
  const before = queue.map(({ ended }) => ended);
  turns.set(destination, [...queue, turn]);
  const result = turn.join(signal, run);
  turn.begin(before);
  return result;
}

function isSame(one: Subject, other: Subject): boolean {
  return (
    one.parts.length === other.parts.length &&
    one.parts.every((part, index) => Object.is(part, other.parts[index])) &&
    isDeepStrictEqual(one.options, other.options)
  );
}

function leave(destination: string, turn: Turn): void {
  const left = (turns.get(destination) ?? []).filter((other) => other !== turn);
  if (left.length > 0) turns.set(destination, left);
  else turns.delete(destination);
}

/** Calls that share one extraction. */
class Turn {
  readonly subject: Subject;
  /** Resolves when it is over, and never rejects. */
  readonly ended: Promise<void>;
  #end = () => {};
  readonly #leave: () => void;
  readonly #calls = new Set<Call>();
  #running: Call | undefined;

  constructor(subject: Subject, leave: () => void) {
    this.subject = subject;
    this.#leave = leave;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  join<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      const onAbort = () => {
        // The one that runs ends by itself, and has cleaned up then.
        if (call !== this.#running && this.#calls.delete(call)) reject(signal?.reason);
      };
      const settled =
        <V>(settle: (value: V) => void) =>
        (value: V) => {
          signal?.removeEventListener('abort', onAbort);
          settle(value);
        };
      const call: Call = { signal, run, resolve: settled(resolve), reject: settled(reject) };
      this.#calls.add(call);
      signal?.addEventListener('abort', onAbort, { once: true });
    }) as Promise<T>;
  }

  /** Wait for earlier turns, then run one call after the other until one was not aborted. */
  async begin(before: readonly Promise<void>[]): Promise<void> {
    await Promise.all(before);
    let settle: ((call: Call) => void) | undefined;
    while (settle === undefined) {
      const [call] = this.#calls;
      if (call === undefined) break;
      this.#running = call;
      try {
        const result = await call.run();
        settle = ({ resolve }) => resolve(result);
      } catch (error) {
        if (call.signal?.aborted) {
          this.#calls.delete(call);
          call.reject(error);
        } else settle = ({ reject }) => reject(error);
      }
    }
    // Whoever calls from now on begins anew.
    this.#leave();
    for (const call of this.#calls) settle?.(call);
    this.#end();
  }
}
