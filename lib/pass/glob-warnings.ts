import type { ManifestWarning } from '../manifest/manifest.ts';
import { quoted } from '../printable.ts';
import type { Globs } from './course.ts';

/** A glob that named nothing is most likely mistyped, or the tree another one. */
export function globWarnings(globs: Globs): ManifestWarning[] {
  return (['executable', 'ignore'] as const).flatMap((option) => {
    const unmatched = globs[option]?.unmatched() ?? [];
    return unmatched.map((glob) => {
      const what = option === 'executable' ? 'file' : 'path';
      return { code: 'unmatched-glob', message: `${option}: no ${what} matches the glob ${quoted(glob)}` };
    });
  });
}
