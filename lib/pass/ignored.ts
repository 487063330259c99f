import { nameOf } from '../directory/names.ts';
import { isLongPath } from '../globs/bounds.ts';
import type { Matcher } from '../globs/compile.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { Slices } from '../slices.ts';
import type { Plan, PlannedDirectory } from './plan.ts';

/** What the options ignore of a plan: paths by themselves, everything below them, and directories that lead to nothing else. */
export class Ignored {
  /** How many are ignored by themselves, not by a directory above them. */
  readonly topmost: number;
  /** How many paths the manifest lists that are not ignored, besides the root, which is there whether it is listed or not. */
  readonly listed: number;
  readonly #marks: Uint8Array | undefined;

  constructor(topmost: number, listed: number, marks: Uint8Array | undefined) {
    this.topmost = topmost;
    this.listed = listed;
    this.#marks = marks;
  }

  /** Whether nothing is asked of a slot. */
  has(slot: number): boolean {
    return this.#marks !== undefined && this.#marks[slot] !== 0;
  }
}

/** Find out what globs ignore of a plan, in slices. */
export function* ignoredIn(
  plan: Plan,
  ignore: Matcher | undefined,
  slices: Slices,
): Generator<void, Ignored> {
  const { root, directories, entries } = plan;
  let listed = plan.listed - (root.facts === undefined || root.facts.path !== '.' ? 0 : 1);
  if (ignore === undefined) return new Ignored(0, listed, undefined);
  const marks = new Uint8Array(plan.size);
  let topmost = 0;
  const mark = (slot: number, isTopmost: boolean, isListed: boolean) => {
    marks[slot] = 1;
    // A second spelling counts with the first.
    if (plan.isAlternative(slot)) return;
    if (isTopmost) topmost += 1;
    if (isListed) listed -= 1;
  };
  // A directory stands after the one that it is in.
  for (const directory of directories) {
    const parent = directory.parent as PlannedDirectory | undefined;
    const isAbove = parent !== undefined && marks[plan.slotOf(parent)] === 1;
    if (isAbove || (parent !== undefined && ignore.matches(directory.path))) {
      // What is listed as a file is counted as that.
      mark(plan.slotOf(directory), !isAbove && !directory.isClaimed, directory.facts !== undefined);
    }
    const isWhole = marks[plan.slotOf(directory)] === 1;
    const names = isWhole ? undefined : ignore.in(() => directory.path);
    for (const slot of plan.order.subarray(directory.start, directory.end)) {
      const { path } = entries[slot] as ManifestEntry;
      if (isWhole || (names?.(nameOf(path)) === true && !isLongPath(path))) mark(slot, !isWhole, true);
      if (slices.isOver()) yield;
    }
    if (slices.isOver()) yield;
  }
  for (const [slot, twins] of plan.twins) {
    if (marks[slot] === 0 && twins.some((twin) => marks[twin] === 1)) mark(slot, true, true);
  }
  // From the last to the first: a directory that leads only to ignored entries leads to nothing.
  const needed = new Uint8Array(directories.length);
  for (let index = directories.length - 1; index > 0; index -= 1) {
    const directory = directories[index] as PlannedDirectory;
    const slot = plan.slotOf(directory);
    const inIt = plan.order.subarray(directory.start, directory.end);
    const isNeeded =
      marks[slot] === 0 &&
      (directory.facts !== undefined || needed[index] === 1 || inIt.some((entry) => marks[entry] === 0));
    if (isNeeded) needed[(directory.parent as PlannedDirectory).index] = 1;
    else marks[slot] = 1;
    if (slices.isOver()) yield;
  }
  return new Ignored(topmost, listed, marks);
}
