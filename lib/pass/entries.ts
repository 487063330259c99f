import { EntryCollector } from '../manifest/collector.ts';
import {
  checkedManifest,
  type Manifest,
  type ManifestEntry,
  type ManifestInput,
} from '../manifest/manifest.ts';
import type { Slices } from '../slices.ts';

/**
 * The entries of a manifest, checked; those of our own readers are already.
 *
 * @param pause lets the event loop have its turn
 * @throws ManifestError for a manifest that must not be used
 */
export async function entriesOf(
  manifest: ManifestInput,
  slices: Slices,
  pause: () => Promise<void>,
): Promise<readonly ManifestEntry[]> {
  const known = checkedManifest(manifest);
  if (known !== undefined) return known.entries;
  const collector = new EntryCollector(
    Object.hasOwn(manifest, 'source') ? (manifest as Manifest).source : undefined,
  );
  if (!(Symbol.asyncIterator in manifest)) {
    // What structuredClone and JSON leave of a Manifest has entries, and no iterator.
    for (const entry of Symbol.iterator in manifest ? manifest : (manifest as Manifest).entries) {
      collector.add(entry);
      if (slices.isOver()) await pause();
    }
  } else {
    for await (const entry of manifest) {
      collector.add(entry);
      if (slices.isOver()) await pause();
    }
  }
  return collector.entries;
}
