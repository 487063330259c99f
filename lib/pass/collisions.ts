import type { FoldName } from '../directory/folding.ts';
import { nameOf } from '../directory/names.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { Slices } from '../slices.ts';
import type { Ignored } from './ignored.ts';
import type { Plan } from './plan.ts';

/**
 * Slots of entries that the manifest lists under two names which are one name on this disk: only one of them can exist, so the tree
 * cannot match. Two directories are no collision: they become one directory that holds the content of both.
 */
export function* collisionsIn(
  plan: Plan,
  ignored: Ignored,
  fold: FoldName,
  slices: Slices,
): Generator<void, Set<number>> {
  const collisions = new Set<number>();
  for (const directory of plan.directories) {
    const byName = new Map<string, number>();
    for (const below of directory.directories()) byName.set(fold(below.name), plan.slotOf(below));
    for (let position = directory.start; position < directory.end; position += 1) {
      const slot = plan.order[position] as number;
      // Of two spellings of one thing only one is there.
      if (plan.isAlternative(slot)) continue;
      const name = fold(nameOf((plan.entries[slot] as ManifestEntry).path));
      const other = byName.get(name);
      byName.set(name, slot);
      const isClaim = other !== undefined && plan.directoryAt(other)?.isClaimed === true;
      if (other === undefined || isClaim || ignored.has(slot) || ignored.has(other)) continue;
      collisions.add(slot).add(other);
      if (slices.isOver()) yield;
    }
    if (slices.isOver()) yield;
  }
  return collisions;
}
