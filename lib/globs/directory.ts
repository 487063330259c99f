import type { SegmentMatcher } from './segment.ts';
import type { Steps } from './steps.ts';

const EVERY = '**';

/**
 * Match the path of a directory against globs for its names, in all ways at once: each name is matched against each glob at most once.
 *
 * @param segments globs for names, and `**` for any number of them
 * @param matcherOf makes a matcher for one name
 * @returns whether a path below the root is named; `.` is the root
 */
export function directoryMatcher(
  segments: readonly string[],
  matcherOf: (segment: string) => SegmentMatcher,
  steps: Steps,
): (path: string) => boolean {
  const isEvery = segments.map((segment) => segment === EVERY);
  const matchers = segments.map((segment) => (segment === EVERY ? undefined : matcherOf(segment)));
  const end = segments.length;
  /** Reach a place between two globs, and those after `**`, which may stand for nothing. */
  const reach = (states: Set<number>, from: number): void => {
    for (let state = from; ; state += 1) {
      states.add(state);
      if (isEvery[state] !== true) return;
    }
  };
  const holds = (matcher: SegmentMatcher | undefined, name: string): boolean => {
    if (matcher === undefined) return false;
    steps.taken += matcher.effort * (name.length + 1);
    return matcher.matches(name);
  };
  return (path) => {
    let states = new Set<number>();
    reach(states, 0);
    let start = 0;
    while (path !== '.' && start < path.length) {
      const slash = path.indexOf('/', start);
      const name = path.slice(start, slash === -1 ? path.length : slash);
      start += name.length + 1;
      const next = new Set<number>();
      for (const state of states) {
        steps.taken += 1;
        if (state === end) continue;
        if (isEvery[state] === true) reach(next, state);
        else if (holds(matchers[state], name)) reach(next, state + 1);
      }
      if (next.size === 0) return false;
      states = next;
    }
    return states.has(end);
  };
}
