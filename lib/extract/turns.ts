import { abortable } from '../abortable.ts';

/** Extractions of this process that are under way or wait for their turn. */
interface Turn {
  readonly owner: object;
  readonly archive: unknown;
  readonly result: Promise<unknown>;
}

const turns = new Map<string, Turn[]>();

/**
 * One at a time for a destination: a call that asks for what is already under way or waiting gets the same result;
 * any other waits for all that came before it, however they end.
 *
 * @param owner whose calls are alike: the same extractor with the same options
 * @param archive identity of the archive
 * @param signal ends the waiting for the turn
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
