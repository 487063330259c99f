import { withoutMark } from './byte-order-mark.ts';
import { compressionOf } from './decompress.ts';
import { startsLikeJsonArray, startsLikeJsonObject } from './list.ts';

/** What a file that no manifest is read from is called, by its first bytes; of what is compressed, by those inside. */
const signatures: readonly (readonly [name: string, bytes: string, position?: number])[] = [
  ['a zip archive', 'PK\x03\x04'],
  ['bzip2-compressed data', 'BZh'],
  ['data of compress (.Z)', '\x1f\x9d'],
  ['xz-compressed data', '\xfd7zXZ\0'],
  ['a 7-Zip archive', '7z\xbc\xaf\x27\x1c'],
  ['a RAR archive', 'Rar!\x1a\x07'],
  ['a tar archive whose first header is broken', 'ustar', 257],
  ['an ELF program', '\x7fELF'],
  ['a Windows program', 'MZ'],
  ['a script', '#!'],
  ['UTF-16 text', '\xff\xfe'],
  ['UTF-16 text', '\xfe\xff'],
];

const ASK_AGAIN = 'download the file again, and look at what the server answers';

/** Text that stands in place of a file, and how to get the file. */
const placeholders: readonly (readonly [name: string, form: RegExp, remedy: string])[] = [
  ['a Git LFS pointer', /^version https:\/\/git-lfs\./, 'get the file itself with git lfs pull'],
  ['an HTML page', /^\s*<(?:!doctype\s+html|html|head|body)\b/i, ASK_AGAIN],
  ['an XML document', /^\s*<\?xml\b/i, ASK_AGAIN],
  // A comment before a page, an error of a store without a declaration.
  ['HTML or XML', /^\s*<(?:!--|!doctype\s|[a-z][\w:-]*[\s/>])/i, ASK_AGAIN],
];

/** As many bytes of unknown data as a message shows: a signature. */
const SHOWN_BYTES = 4;
/** How archives are named. */
const archiveSuffixes =
  /\.(?:7z|aab|apk|bz2|cab|conda|crate|crx|deb|dxt|ear|egg|epub|gem|gz|ipa|jar|mcpb|nupkg|rar|rpm|tar|tar\.(?:gz|xz|zst|br|bz2|lz\w*|z)|taz|tbr|tbz2?|tgz|tlz|txz|tzst|vsix|war|whl|xpi|xz|zip|zst)$/i;

/** The end of a name that says that it is an archive's. */
export function archiveSuffix(name: string): string | undefined {
  return archiveSuffixes.exec(name)?.[0];
}

/** What data is that begins like this, in words. No text is quoted: it may be anybody's. */
export function describeStart(head: Buffer): string {
  if (head.length === 0) return 'an empty file';
  const compression = compressionOf(head);
  if (compression !== undefined) return `${compression}-compressed data`;
  const latin1 = withoutMark(head).toString('latin1');
  const known = signatures.find(([, bytes, position = 0]) => latin1.startsWith(bytes, position));
  if (known !== undefined) return known[0];
  const placeholder = placeholderOf(head);
  if (placeholder !== undefined) return placeholder[0];
  if (startsLikeJsonObject(head)) return 'a JSON object';
  if (startsLikeJsonArray(head)) return 'a JSON array';
  if (!isText(head)) {
    const bytes = [...head.subarray(0, SHOWN_BYTES)].map((byte) => byte.toString(16).padStart(2, '0'));
    return `data that begins with the bytes ${bytes.join(' ')}`;
  }
  return latin1.trim() === '' ? 'blank text' : 'text';
}

/** What to do about a file that stands in for another. */
export function remedyFor(head: Buffer): string | undefined {
  return placeholderOf(head)?.[2];
}

/** True where the first bytes are those of a known format, and no text. */
export function hasBinarySignature(head: Buffer): boolean {
  if (compressionOf(head) !== undefined) return true;
  const start = head.toString('latin1', 0, 8);
  return signatures.some(([, bytes]) => /[^ -~]/.test(bytes) && start.startsWith(bytes));
}

/** True where these first bytes are UTF-8 text, or nothing. */
export function isText(head: Buffer): boolean {
  if (head.includes(0)) return false;
  try {
    // The last character may be cut.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function placeholderOf(head: Buffer): (typeof placeholders)[number] | undefined {
  const text = withoutMark(head).toString('latin1');
  return placeholders.find(([, form]) => form.test(text));
}
