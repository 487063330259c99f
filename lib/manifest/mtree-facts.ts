import { compileMode } from '../modes/mode.ts';
import { isStronger, normalDigest } from './digest.ts';
import type { ManifestDigest, ManifestEntry } from './manifest.ts';
import { unescapeName } from './mtree-vis.ts';

/** What the keywords of a line say. */
export class MtreeFacts {
  /** `'other'`: a FIFO, a socket or a device. */
  type: ManifestEntry['type'] | 'other' = undefined;
  mode: number | undefined = undefined;
  size: number | undefined = undefined;
  link: string | undefined = undefined;
  nlink: number | undefined = undefined;
  digest: ManifestDigest | undefined = undefined;
  optional = false;
  ignore = false;
  nochange = false;

  /** Say what others say, and nothing else. */
  take(others: MtreeFacts): void {
    this.type = others.type;
    this.mode = others.mode;
    this.size = others.size;
    this.link = others.link;
    this.nlink = others.nlink;
    this.digest = others.digest;
    this.optional = others.optional;
    this.ignore = others.ignore;
    this.nochange = others.nochange;
  }
}

const types: ReadonlyMap<string, MtreeFacts['type']> = new Map([
  ['file', 'file'],
  ['dir', 'directory'],
  ['link', 'symlink'],
  ['block', 'other'],
  ['char', 'other'],
  ['fifo', 'other'],
  ['socket', 'other'],
]);

/** What a keyword is: a fact, a digest of an algorithm, a switch, which stands without a value, or of no use here. */
type Keyword =
  | { readonly kind: 'fact'; readonly name: 'type' | 'mode' | 'size' | 'link' | 'nlink' }
  | { readonly kind: 'digest'; readonly name: string }
  | { readonly kind: 'switch'; readonly name: 'ignore' | 'nochange' | 'optional' }
  | { readonly kind: 'unused' };

/** Digests, and the names that both dialects have for them. */
const algorithms = ['md5', 'rmd160', 'sha1', 'sha256', 'sha384', 'sha512'];

/** What is known, and of no use here: owners, times, flags, checksums; and `contents`, which names a file elsewhere. */
const unused = [
  ...['cksum', 'contents', 'device', 'flags', 'gid', 'gname', 'inode', 'resdevice', 'tags', 'time'],
  ...['uid', 'uname', 'all', 'content'],
];

const keywords: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ...(['type', 'mode', 'size', 'link', 'nlink'] as const).map((name) =>
    entryOf(name, { kind: 'fact', name }),
  ),
  ...(['ignore', 'nochange', 'optional'] as const).map((name) => entryOf(name, { kind: 'switch', name })),
  ...algorithms.map((name) => entryOf(name, { kind: 'digest', name })),
  ...algorithms.map((name) => entryOf(`${name}digest`, { kind: 'digest', name })),
  entryOf('ripemd160digest', { kind: 'digest', name: 'rmd160' }),
  ...unused.map((name) => entryOf(name, { kind: 'unused' })),
]);

function entryOf(name: string, keyword: Keyword): [string, Keyword] {
  return [name, keyword];
}

/** Whether a word is a keyword, with its value or without. */
export function isKeyword(word: string): boolean {
  const keyword = keywords.get(nameOf(word));
  return keyword !== undefined && (keyword.kind === 'switch' || word.includes('='));
}

/**
 * Note what a keyword says.
 *
 * @param onUnknown called with the name of a keyword that neither dialect has
 * @throws RangeError where it has no such value
 */
export function applyKeyword(facts: MtreeFacts, word: string, onUnknown: (name: string) => void): void {
  const name = nameOf(word);
  const keyword = keywords.get(name);
  if (keyword === undefined) return onUnknown(name);
  if (keyword.kind === 'switch') facts[keyword.name] = true;
  else if (keyword.kind === 'fact') applyFact(facts, keyword.name, word.slice(name.length + 1));
  else if (keyword.kind === 'digest') applyDigest(facts, keyword.name, word.slice(name.length + 1));
}

/** Forget what a keyword said, or what all of them said. */
export function forgetKeyword(facts: MtreeFacts, name: string): void {
  if (name === 'all') return facts.take(new MtreeFacts());
  const keyword = keywords.get(name);
  if (keyword?.kind === 'switch') facts[keyword.name] = false;
  else if (keyword?.kind === 'fact') facts[keyword.name] = undefined;
  else if (keyword?.kind === 'digest' && keyword.name === facts.digest?.algorithm) facts.digest = undefined;
}

function nameOf(word: string): string {
  const equals = word.indexOf('=');
  return equals === -1 ? word : word.slice(0, equals);
}

function applyFact(
  facts: MtreeFacts,
  name: 'type' | 'mode' | 'size' | 'link' | 'nlink',
  value: string,
): void {
  if (name === 'type') facts.type = types.get(value) ?? refuse(name);
  else if (name === 'mode') facts.mode = digitsOf(value, 8) ?? parseMode(value);
  else if (name === 'link') facts.link = unescapeName(value) ?? refuse(name);
  else facts[name] = digitsOf(value, 10) ?? (/^\d+$/.test(value) ? Number(value) : refuse(name));
}

/** A short number, without a regular expression: there is one in each line. `undefined` for anything else. */
function digitsOf(value: string, base: 8 | 10): number | undefined {
  if (value.length === 0 || value.length > (base === 8 ? 4 : 15)) return undefined;
  let number = 0;
  for (let index = 0; index < value.length; index += 1) {
    const digit = value.charCodeAt(index) - 0x30;
    if (digit < 0 || digit >= base) return undefined;
    number = number * base + digit;
  }
  return number;
}

/** Octal digits, or a symbolic mode, which is applied to nothing (NetBSD, setmode(3)). */
function parseMode(value: string): number {
  if (/^[0-7]+$/.test(value)) return Number.parseInt(value, 8) & 0o7777;
  if (/^\d/.test(value)) return refuse('mode');
  try {
    return compileMode(value, 0)(0, false, undefined, false);
  } catch {
    return refuse('mode');
  }
}

/** Of several the strongest counts. */
function applyDigest(facts: MtreeFacts, algorithm: string, value: string): void {
  const digest = normalDigest({ algorithm, value }) ?? refuse(algorithm);
  if (facts.digest === undefined || !isStronger(facts.digest, digest)) facts.digest = digest;
}

function refuse(keyword: string): never {
  throw new RangeError(`has a ${keyword} that is none`);
}
