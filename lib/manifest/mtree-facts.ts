import { compileMode } from '../modes/mode.ts';
import { isStronger, normalDigest } from './digest.ts';
import type { ManifestDigest, ManifestEntry } from './manifest.ts';
import { unescapeName } from './mtree-vis.ts';

/** What the keywords of a line say. */
export interface MtreeFacts {
  /** `'other'`: a FIFO, a socket or a device. */
  type?: ManifestEntry['type'] | 'other';
  mode?: number;
  size?: number;
  link?: string;
  nlink?: number;
  digest?: ManifestDigest;
  optional?: boolean;
  ignore?: boolean;
  nochange?: boolean;
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

/** Digests, and the names that both dialects have for them. */
const algorithms = ['md5', 'rmd160', 'sha1', 'sha256', 'sha384', 'sha512'];
const digests: ReadonlyMap<string, string> = new Map([
  ...algorithms.map((name) => [name, name] as const),
  ...algorithms.map((name) => [`${name}digest`, name] as const),
  ['ripemd160digest', 'rmd160'],
]);

/** Keywords that stand without a value. */
const switches = ['ignore', 'nochange', 'optional'] as const;
type Switch = (typeof switches)[number];

/** What is known, and of no use here: owners, times, flags, checksums; and `contents`, which names a file elsewhere. */
const unused: ReadonlySet<string> = new Set([
  ...['cksum', 'contents', 'device', 'flags', 'gid', 'gname', 'inode', 'resdevice', 'tags', 'time'],
  ...['uid', 'uname', 'all', 'content'],
]);

/** Whether a keyword is known, and of no use here. */
export function isUnused(name: string): boolean {
  return unused.has(name);
}

/** Whether a word is a keyword, with its value or without. */
export function isKeyword(word: string): boolean {
  const name = nameOf(word);
  if (isSwitch(name)) return true;
  return word.includes('=') && (isFact(name) || digests.has(name) || unused.has(name));
}

/**
 * Note what a keyword says.
 *
 * @param onUnknown called with the name of a keyword that neither dialect has
 * @throws RangeError where it has no such value
 */
export function applyKeyword(facts: MtreeFacts, word: string, onUnknown: (name: string) => void): void {
  const name = nameOf(word);
  const value = word.slice(name.length + 1);
  if (isSwitch(name)) facts[name] = true;
  else if (digests.has(name)) applyDigest(facts, digests.get(name) as string, value);
  else if (isFact(name)) applyFact(facts, name, value);
  else if (!unused.has(name)) onUnknown(name);
}

/** Forget what a keyword said, or what all of them said. */
export function forgetKeyword(facts: MtreeFacts, name: string): void {
  if (name === 'all') for (const key of Object.keys(facts)) delete facts[key as keyof MtreeFacts];
  else if (isSwitch(name) || isFact(name)) delete facts[name];
  else if (digests.get(name) === facts.digest?.algorithm) delete facts.digest;
}

const factNames = ['type', 'mode', 'size', 'link', 'nlink'] as const;
type FactName = (typeof factNames)[number];

function isFact(name: string): name is FactName {
  return (factNames as readonly string[]).includes(name);
}

function isSwitch(name: string): name is Switch {
  return (switches as readonly string[]).includes(name);
}

function nameOf(word: string): string {
  const equals = word.indexOf('=');
  return equals === -1 ? word : word.slice(0, equals);
}

function applyFact(facts: MtreeFacts, name: FactName, value: string): void {
  if (name === 'type') facts.type = types.get(value) ?? refuse(name);
  else if (name === 'link') facts.link = unescapeName(value) ?? refuse(name);
  else if (name === 'mode') facts.mode = parseMode(value);
  else facts[name] = /^\d+$/.test(value) ? Number(value) : refuse(name);
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
  throw new RangeError(`has an invalid ${keyword}`);
}
