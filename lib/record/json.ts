import { alternativeOf, digestOf, isOptional, linksOf, type ManifestEntry } from '../manifest/manifest.ts';

/** Everything but printable ASCII: so nothing reorders a line of a terminal, and bytes that are not UTF-8 survive. */
const unprintable = /[^ -~]/g;

/** An entry as JSON, with its properties in one order. */
export function jsonLine(entry: ManifestEntry): string {
  const { path, type, mode, size, linkTarget } = entry;
  const optional = isOptional(entry) || undefined;
  const more = {
    nlink: linksOf(entry),
    digest: digestOf(entry),
    optional,
    alternative: alternativeOf(entry),
  };
  const facts = { path, type, mode, size, linkTarget, ...more };
  return JSON.stringify(facts).replace(unprintable, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
