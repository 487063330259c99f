import type { ManifestWarning } from '../manifest/manifest.ts';
import { inFlags } from './flags.ts';
import { printableName, printableText } from './printable.ts';

/** As many as are printed one by one. */
const MAX_PRINTED = 10;

/** What was odd in a manifest or in globs, a line each: `note: bin/run: stands more than once …`. */
export function renderWarnings(warnings: readonly ManifestWarning[]): string[] {
  const lines = warnings.slice(0, MAX_PRINTED).map(renderWarning);
  const more = warnings.length - lines.length;
  return more > 0 ? [...lines, `note: and ${more} more; --json has them`] : lines;
}

function renderWarning({ code, path, message }: ManifestWarning): string {
  // A warning of a glob names the option: here it is a flag.
  if (code === 'unmatched-glob') return `note: --${printableText(message)}`;
  const subject = path === undefined ? 'the manifest' : printableName(path);
  return `note: ${subject}: ${printableText(code === 'mount-point' ? inFlags(message) : message)}`;
}
