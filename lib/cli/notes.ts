import type { ManifestWarning } from '../manifest/manifest.ts';
import { printableName, printableText } from './printable.ts';

/** As many as are printed one by one. */
const MAX_PRINTED = 10;

/** What was odd in a manifest, a line each: `note: "bin/run" stands more than once …`. */
export function renderNotes(warnings: readonly ManifestWarning[]): string {
  const lines = warnings.slice(0, MAX_PRINTED).map(({ path, message }) => {
    const subject = path === undefined ? 'the manifest' : printableName(path);
    return `note: ${subject} ${printableText(message)}\n`;
  });
  const more = warnings.length - lines.length;
  if (more > 0) lines.push(`note: and ${more} more like these; --json has them\n`);
  return lines.join('');
}
