import { collectedMemory, heldBytes, restingMemory } from './attack.ts';

/** Shortest time between two looks at memory in milliseconds, and what part of the time looking may take. */
const INTERVAL_MS = 100;
const LOOKING = 0.1;

/** Do something, and see how many bytes more were in use at their most than before, what is garbage left out. */
export async function peakOf(work: () => Promise<void>): Promise<number> {
  const before = heldBytes(await restingMemory());
  let peak = before;
  let timer: NodeJS.Timeout | undefined;
  const wait = (milliseconds: number) => {
    timer = setTimeout(() => {
      const started = performance.now();
      peak = Math.max(peak, inUse());
      wait(Math.max(INTERVAL_MS, (performance.now() - started) / LOOKING));
    }, milliseconds);
  };
  wait(INTERVAL_MS);
  try {
    await work();
  } finally {
    clearTimeout(timer);
  }
  // What was made last is in use until the event loop has had its turn.
  return Math.max(peak, inUse()) - before;
}

function inUse(): number {
  return heldBytes(collectedMemory());
}
