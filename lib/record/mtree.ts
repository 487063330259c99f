import { Buffer } from 'node:buffer';
import { encodeName } from '../directory/names.ts';
import { formatMode } from '../errors.ts';
import { digestOf, isOptional, linksOf, type ManifestEntry } from '../manifest/manifest.ts';

/** What every reader of mtree(5) takes as it stands. Not `*?[`, which make a pattern of a name; not `#`, `=`, `\`. */
const plain = /^[\w%+,./:@^~-]*$/;
const types = { file: 'file', directory: 'dir', symlink: 'link' } as const;
/** Digests that NetBSD's mtree and libarchive have a keyword for. */
const digestKeywords: ReadonlySet<string> = new Set(['md5', 'rmd160', 'sha1', 'sha256', 'sha384', 'sha512']);

/** An entry as a line of mtree(5). */
export function mtreeLine(entry: ManifestEntry): string {
  const { path, type, mode, size, linkTarget } = entry;
  const [nlink, digest] = [linksOf(entry), digestOf(entry)];
  let line = path === '.' ? '.' : `./${escapeName(path)}`;
  if (type !== undefined) line += ` type=${types[type]}`;
  if (mode !== undefined) line += ` mode=${formatMode(mode & 0o7777)}`;
  const isFile = type !== 'directory' && type !== 'symlink';
  if (size !== undefined && isFile) line += ` size=${size}`;
  if (linkTarget !== undefined) line += ` link=${escapeName(linkTarget)}`;
  if (nlink !== undefined && type === 'file') line += ` nlink=${nlink}`;
  if (digest !== undefined && isFile && digestKeywords.has(digest.algorithm)) {
    line += ` ${digest.algorithm}=${digest.value}`;
  }
  if (isOptional(entry)) line += ' optional';
  return `${line}\n`;
}

/** A name with every byte that may mean something as three octal digits behind a backslash. */
function escapeName(name: string): string {
  if (plain.test(name)) return name;
  let text = '';
  for (const byte of Buffer.from(encodeName(name) as Buffer)) {
    const character = String.fromCharCode(byte);
    text += plain.test(character) ? character : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return text;
}
