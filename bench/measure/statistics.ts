/** A median with what it lies between. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** The spread of some values; `undefined` where there are none. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((less, more) => less - more);
  const [middle, min, max] = [sorted.length / 2, sorted[0], sorted.at(-1)];
  const upper = sorted[Math.floor(middle)];
  const lower = sorted[Math.ceil(middle) - 1];
  if (upper === undefined || lower === undefined || min === undefined || max === undefined) return undefined;
  return { median: (lower + upper) / 2, min, max };
}

/** Ratios of what was measured in the same round. */
export function pairwise(these: readonly number[], those: readonly number[]): number[] {
  return these.flatMap((value, round) => {
    const other = those[round];
    return other === undefined ? [] : value / other;
  });
}
