/** Longest stretch of synchronous work, in milliseconds. */
export const SLICE_MS = 4;
/** Bytes of files that are read in one stretch at most: some milliseconds. */
export const SLICE_BYTES = 1 << 20;

/** Synchronous work in slices: when a slice is over, the event loop gets its turn. */
export interface Pace {
  /** True where the slice has used up its time. Cheap enough to ask for every entry. */
  isOver(): boolean;
  /** Let the event loop run, then begin a new slice. Rejects with the signal's reason once it is aborted. */
  pause(): Promise<void>;
}

/**
 * @param signal looked at between slices
 * @param questions the clock is looked at once in so many: asking it takes as long as the smallest steps
 */
export function createPace(signal: AbortSignal | undefined, questions = 1): Pace {
  let end = performance.now() + SLICE_MS;
  let asked = 0;
  return {
    isOver: () => {
      asked += 1;
      if (asked < questions) return false;
      asked = 0;
      return performance.now() >= end;
    },
    pause: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      end = performance.now() + SLICE_MS;
    },
  };
}
