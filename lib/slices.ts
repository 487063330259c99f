/** Longest stretch of synchronous work, in milliseconds. */
const SLICE_MS = 4;
/** Bytes of files that are read in one stretch at most: some milliseconds. */
export const SLICE_BYTES = 1 << 20;
/** The clock is looked at once in so many questions: asking it takes as long as a few of the smallest steps. */
const QUESTIONS = 8;

/**
 * Work in slices: a generator yields when {@link isOver} says that the time of the slice is used up, and its caller then gives the event
 * loop a turn, or does not.
 */
export class Slices {
  readonly #every: number;
  #end = performance.now() + SLICE_MS;
  #questions = 0;
  #bytes = 0;

  /** @param every the clock is looked at once in so many questions: 1 where a single step may take long */
  constructor(every = QUESTIONS) {
    this.#every = every;
  }

  /** True where the slice has used up its time. Cheap enough to ask for every entry. */
  isOver(): boolean {
    if (this.#bytes >= SLICE_BYTES) return true;
    this.#questions += 1;
    if (this.#questions < this.#every) return false;
    this.#questions = 0;
    return performance.now() >= this.#end;
  }

  /** Note that so many bytes were read. */
  spend(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whether so many more bytes may be read in this slice; a slice in which none were has room for any number. */
  hasRoomFor(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= SLICE_BYTES;
  }

  /** Begin a new slice. */
  begin(): void {
    this.#bytes = 0;
    this.#end = performance.now() + SLICE_MS;
  }
}

/** Let the event loop have its turn, then begin a new slice. Rejects with the signal's reason once it is aborted. */
export async function pause(slices: Slices, signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
  slices.begin();
}

/** Do the work of a generator to its end in one go. */
export function runAtOnce<T>(work: Generator<void, T>): T {
  let step = work.next();
  while (step.done !== true) step = work.next();
  return step.value;
}

/**
 * Do the work of a generator to its end, slice by slice.
 *
 * @param onPause called before each turn of the event loop; what it throws ends the work
 * @throws what the work throws, and the signal's reason
 */
export async function runInSlices<T>(
  work: Generator<void, T>,
  slices: Slices,
  signal?: AbortSignal,
  onPause = () => {},
): Promise<T> {
  try {
    let step = work.next();
    while (step.done !== true) {
      onPause();
      await pause(slices, signal);
      step = work.next();
    }
    return step.value;
  } finally {
    // What it holds open is closed, where it is ended before its end.
    work.return(undefined as T);
  }
}
