import { abortable } from '../abortable.ts';

/** An extraction of this process that is running or waiting. */
interface Turn {
  readonly owner: object;
  readonly archive: unknown;
  readonly result: Promise<unknown>;
}

const turns = new Map<string, Turn[]>();

/**
 * One extraction at a time for a destination. A call that asks for one that is already running or waiting gets the same
 * result. Any other call waits for all earlier ones, whether they succeed or fail.
 *
 * @param owner stands for one extractor with its options
 * @param archive identity of the archive
 * @param signal ends the waiting
 */
export function takeTurn<T>(
  destination: string,
  owner: object,
  archive: unknown,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  const queue = turns.get(destination) ?? [];
  const same = queue.find((turn) => turn.owner === owner && turn.archive === archive);
  if (same !== undefined) return same.result as Promise<T>;
  const before = queue.map(({ result }) => result.catch(() => undefined));
  const result = abortable(Promise.all(before), signal).then(run);
  const turn: Turn = { owner, archive, result };
  turns.set(destination, [...queue, turn]);
  const leave = () => {
    const left = (turns.get(destination) ?? []).filter((other) => other !== turn);
    if (left.length > 0) turns.set(destination, left);
    else turns.delete(destination);
  };
  result.then(leave, leave);
  return result;
}
