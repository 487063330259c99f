import type { Directory } from './directory.ts';
import { isSameEntry } from './entry-stats.ts';

/** Gives names that are one on disk the same text. */
export type FoldName = (name: string) => string;

/** So many entries are looked at to find one that tells. */
const MAX_PROBED = 64;

/**
 * How the file system of a directory compares names: `undefined` where each spelling is a name of its own. It is found out by the
 * other spelling of an entry that is there; nothing is made. Where no entry tells, it is as the system usually is: macOS folds.
 *
 * A file system that folds case is taken to normalise, too (APFS and HFS+ do).
 */
export function foldingOf(directory: Directory): FoldName | undefined {
  return (probe(directory) ?? process.platform === 'darwin') ? foldName : undefined;
}

/** A name without its case and in one normalisation: what full case folding maps to `ss` is `ss` here, too. */
export function foldName(name: string): string {
  return name.normalize('NFD').toUpperCase().toLowerCase().normalize('NFC');
}

/** Whether another spelling leads to the same entry; `undefined` where no entry tells. */
function probe(directory: Directory): boolean | undefined {
  try {
    const listing = directory.list(MAX_PROBED);
    while (listing.next()) {
      const { name } = listing;
      const other = otherCase(name);
      const found = other === name ? undefined : directory.lstat(name);
      if (found === undefined) continue;
      const same = directory.lstat(other);
      // Two hard links may be the two spellings.
      if (same === undefined || !isSameEntry(same, found)) return false;
      if (found.type === 'directory' || found.nlink === 1) return true;
    }
  } catch {
    // What cannot be listed or looked at tells nothing here; the pass says what is wrong with it.
  }
  return undefined;
}

function otherCase(name: string): string {
  const upper = name.toUpperCase();
  return upper === name ? name.toLowerCase() : upper;
}
