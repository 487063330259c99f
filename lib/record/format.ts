import { show, wrongType } from '../checks.ts';
import { EntryCollector } from '../manifest/collector.ts';
import { checkedManifest, type ManifestEntry } from '../manifest/manifest.ts';
import { jsonLine } from './json.ts';
import { mtreeLine } from './mtree.ts';

/** Characters that are put together before they are handed out: writing line by line would take longer than all the rest. */
const CHUNK = 1 << 16;

/** How a manifest is written. */
interface Form {
  readonly head: string;
  readonly line: (entry: ManifestEntry) => string;
  readonly separator: string;
  readonly foot: string;
}

const forms: Readonly<Record<'mtree' | 'json', Form>> = {
  mtree: { head: '#mtree\n', line: mtreeLine, separator: '', foot: '' },
  json: { head: '[\n', line: jsonLine, separator: ',\n', foot: '\n]\n' },
};

/**
 * Write a manifest as text, in chunks of about 64 KiB. Both formats are ASCII, and {@link readManifest} reads both.
 *
 * - `'mtree'`: mtree(5), which NetBSD's `mtree` and `bsdtar` read: one entry per line, `./path` with octal escapes, and the keywords
 *   `type mode size link nlink optional` and that of the digest, as far as the facts are known. It has no keyword for a second spelling
 *   or a CRC-32: only the JSON has them.
 * - `'json'`: an array of {@link ManifestEntry} objects, one entry per line.
 *
 * @param manifest a manifest, or any iterable of paths or entries
 * @param format `'mtree'` or `'json'`
 * @returns the chunks; all of them together are the text
 * @throws before the first chunk: TypeError or RangeError for a wrong argument, ManifestError for an entry that is not valid
 *
 * @example
 * const text = [...formatManifest(manifest, 'json')].join('');
 */
export function formatManifest(
  manifest: Iterable<string | ManifestEntry>,
  format: 'mtree' | 'json',
): Generator<string, void, undefined> {
  if (typeof manifest !== 'object' || manifest === null || !(Symbol.iterator in manifest)) {
    throw wrongType('manifest', manifest, 'a Manifest or an iterable of paths or entries');
  }
  if (!Object.hasOwn(forms, format)) {
    throw new RangeError(`format: ${show(format)} is not one of 'mtree', 'json'`);
  }
  return chunksOf(entriesOf(manifest), forms[format]);
}

function entriesOf(manifest: Iterable<string | ManifestEntry>): readonly ManifestEntry[] {
  const known = checkedManifest(manifest);
  if (known !== undefined) return known.entries;
  const collector = new EntryCollector();
  for (const entry of manifest) collector.add(entry);
  return collector.entries;
}

function* chunksOf(entries: readonly ManifestEntry[], form: Form): Generator<string, void, undefined> {
  let chunk = form.head;
  let separator = '';
  for (const entry of entries) {
    chunk += separator + form.line(entry);
    separator = form.separator;
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk + form.foot;
}
