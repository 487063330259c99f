import type { Slices } from '../slices.ts';

/** As many as are sorted at once: about a millisecond. */
const RUN = 2048;

/** Names in the order of their UTF-16 code units, sorted in slices: a directory may have a million of them. */
export function* sortNames(names: string[], slices: Slices): Generator<void, string[]> {
  if (names.length <= RUN) return names.sort();
  let sorted = names;
  for (let start = 0; start < sorted.length; start += RUN) {
    const run = sorted.slice(start, start + RUN).sort();
    for (let index = 0; index < run.length; index += 1) sorted[start + index] = run[index] as string;
    if (slices.isOver()) yield;
  }
  let spare = new Array<string>(sorted.length);
  for (let width = RUN; width < sorted.length; width *= 2) {
    for (let start = 0; start < sorted.length; start += 2 * width) {
      yield* merge(sorted, spare, start, width, slices);
    }
    [sorted, spare] = [spare, sorted];
  }
  return sorted;
}

/** Merge two runs that lie beside each other. */
function* merge(from: string[], to: string[], start: number, width: number, slices: Slices): Generator<void> {
  const middle = Math.min(start + width, from.length);
  const end = Math.min(start + 2 * width, from.length);
  let [left, right] = [start, middle];
  for (let index = start; index < end; index += 1) {
    const takesLeft = left < middle && (right >= end || (from[left] as string) <= (from[right] as string));
    to[index] = from[takesLeft ? left : right] as string;
    if (takesLeft) left += 1;
    else right += 1;
    if (index % 64 === 0 && slices.isOver()) yield;
  }
}
