import fc from 'fast-check';

/** Inputs at least, however long they take: a machine that is at work may need seconds for one. */
const AT_ONCE = 5;

/** Check a property with random inputs until so many seconds are over. */
export async function forSeconds<T>(seconds: number, property: fc.IRawProperty<T, boolean>): Promise<void> {
  const end = performance.now() + seconds * 1000;
  // The report alone would not say what differs.
  do await fc.assert(property, { numRuns: AT_ONCE, includeErrorInReport: true });
  while (performance.now() < end);
}
