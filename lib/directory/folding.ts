import type { Directory } from './directory.ts';
import { isSameEntry } from './entry-stats.ts';
import { isWindows } from './platform.ts';

/** Gives names that are one on disk the same text. */
export type FoldName = (name: string) => string;

/** So many entries are looked at to find one that tells. */
const MAX_PROBED = 64;

/**
 * How the file system of a directory compares names: `undefined` if each spelling is a name of its own. To find out, another spelling
 * of an existing entry is looked up; nothing is made. If no entry shows it, the system's usual behaviour counts: macOS and Windows
 * fold.
 *
 * A file system that folds case is taken to normalise, too (APFS and HFS+ do), except on Windows.
 */
export function foldingOf(directory: Directory): FoldName | undefined {
  const fold = isWindows ? foldCharacters : foldName;
  return (probe(directory) ?? (isWindows || process.platform === 'darwin')) ? fold : undefined;
}

/** A name without its case and in one normalisation: what full case folding maps to `ss` is `ss` here, too. */
export function foldName(name: string): string {
  return name.normalize('NFD').toLowerCase().toUpperCase().normalize('NFC');
}

/** The same of NTFS: a character for a character, and no normalisation. */
export function foldCharacters(name: string): string {
  const fold = (character: string) => {
    const upper = character.toUpperCase();
    return upper.length === character.length ? upper : character;
  };
  return Array.from(name, fold).join('');
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
