import type { EntryStats } from './entry-stats.ts';

/** setuid, setgid and sticky. */
export const SPECIAL_BITS = 0o7000;
/** How often special bits may change between the look that decides and the chmod. */
const MAX_DECISIONS = 8;

/**
 * Decide on a mode. Special bits that stay are looked at once more right before they are set again: another process may have
 * taken them away since. What remains is the moment between that look and chmod(2), as in GNU chmod.
 *
 * @param found the facts to decide on first
 * @param look looks at the same entry again
 */
export function decideOn(
  found: EntryStats,
  look: () => EntryStats,
  decide: (found: EntryStats) => number | undefined,
): { before: EntryStats; mode: number | undefined } {
  let before = found;
  let mode = decide(before);
  for (let decisions = 1; mode !== undefined && (mode & SPECIAL_BITS) !== 0; decisions += 1) {
    const now = look();
    if (now.mode === before.mode || decisions >= MAX_DECISIONS) break;
    before = now;
    mode = decide(before);
  }
  return { before, mode };
}
