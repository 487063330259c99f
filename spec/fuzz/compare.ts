import type { Manifest, ManifestEntry } from '../../lib/manifest/manifest.ts';
import { normal } from '../helpers/oracles.ts';
import type { Answer, Listed, ReaderName } from './readers.ts';

/** What permwalk has of an archive: a manifest, or why it refuses it. */
export type Outcome = { manifest: Manifest } | { refusal: string };

/** Everything about one archive. */
export interface Case {
  kind: 'zip' | 'tar';
  bytes: Buffer;
  ours: Outcome;
  answers: ReadonlyMap<ReaderName, Answer>;
}

/** Something that another reader has otherwise. */
export interface Difference {
  reader: ReaderName;
  what: 'refused by us' | 'refused by it' | 'missing' | 'more' | 'type' | 'mode' | 'size' | 'link';
  path: string;
  ours?: ManifestEntry;
  its?: Listed;
  /** Why it was refused, by whom it was. */
  why?: string;
}

const MODE_BITS = 0o7777;

type Resolved = Listed & { path: string };

/** The last entry of each path, hard links as what they link to. */
function lastOf(entries: readonly Listed[]): Map<string, Resolved> {
  const last = new Map<string, Resolved>();
  for (const entry of entries) {
    if (entry.path === null) continue;
    const path = normal(entry.path);
    let one: Resolved = { ...entry, path };
    if (entry.hardLink !== undefined) {
      const target = last.get(normal(entry.hardLink.replace(/^\/+/, '')));
      one = target === undefined ? { path, hardLink: entry.hardLink } : { ...target, path };
    }
    last.delete(path);
    last.set(path, one);
  }
  return last;
}

/** Where the other readers differ from us on an archive. */
export function differencesOf({ ours, answers }: Case): Difference[] {
  return [...answers].flatMap(([reader, { entries, error }]) => {
    if ('refusal' in ours) {
      const isWhole = error === null && entries.every(({ fault }) => fault === undefined);
      return isWhole ? [{ reader, what: 'refused by us' as const, path: '', why: ours.refusal }] : [];
    }
    const refused = error !== null && [{ reader, what: 'refused by it' as const, path: '', why: error }];
    return [...(refused || []), ...entriesThatDiffer(ours.manifest, reader, entries, error === null)];
  });
}

function entriesThatDiffer(
  manifest: Manifest,
  reader: ReaderName,
  entries: readonly Listed[],
  isWhole: boolean,
): Difference[] {
  const found: Difference[] = [];
  const seen = lastOf(entries);
  for (const ours of manifest) {
    const { path, alternative = path } = ours;
    const key = [path, alternative].find((one) => seen.has(one)) ?? path;
    const its = seen.get(key);
    seen.delete(key);
    if (its !== undefined) {
      for (const what of factsThatDiffer(ours, its)) found.push({ reader, what, path, ours, its });
    } else if (isWhole) found.push({ reader, what: 'missing', path, ours });
  }
  for (const its of seen.values()) found.push({ reader, what: 'more', path: its.path, its });
  return found;
}

/** What both say, and say otherwise. */
function factsThatDiffer(ours: ManifestEntry, its: Resolved): ('type' | 'mode' | 'size' | 'link')[] {
  if (isOther(ours.type, its.type)) return ['type'];
  const differs: ('mode' | 'size' | 'link')[] = [];
  if (isOther(ours.mode, its.mode === undefined ? undefined : its.mode & MODE_BITS)) differs.push('mode');
  if (ours.type === 'file' && isOther(ours.size, its.size)) differs.push('size');
  if (ours.type === 'symlink' && isOther(ours.linkTarget, its.linkTarget)) differs.push('link');
  return differs;
}

function isOther(one: unknown, other: unknown): boolean {
  return one !== undefined && other !== undefined && one !== other;
}
