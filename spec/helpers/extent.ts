/**
 * How much the specs do. Both extents make the same assertions: only counts and durations differ.
 *
 * `npm test` is short: every behaviour once, races, attacks and random inputs for a moment. `npm run test:full` takes
 * what {@link FULL} says, as a release wants it.
 */

/** The environment variable that says so, and what it says. */
export const EXTENT_VARIABLE = 'PERMWALK_SPECS';
export const FULL = 'full';

/**
 * A count or a duration.
 *
 * @example const KILLS = extent({ short: 10, full: 100 });
 */
export function extent<T>({ short, full }: { short: T; full: T }): T {
  return process.env[EXTENT_VARIABLE] === FULL ? full : short;
}
