import { isWindows } from './platform.ts';
import { windowsFault } from './windows-names.ts';

/**
 * What the text of a link says: names to follow from the link's directory, names to follow from the root, or that it leads out of
 * the root. `'unknown'` where that cannot be told.
 */
export type LinkTarget =
  | { readonly from: 'here' | 'root'; readonly names: readonly string[] }
  | 'outside'
  | 'unknown';

/**
 * Read the text of a link. An absolute one leads outside unless it names the root or something below it.
 *
 * @param rootNames names of the root's real path, as {@link namesOfPath} gives them
 */
export function readTarget(target: string, rootNames: readonly string[]): LinkTarget {
  return isWindows ? readWindowsTarget(target, rootNames) : readPosixTarget(target, rootNames);
}

/** The names that an absolute path leads through. On Windows the drive is the first of them, or the server of a share. */
export function namesOfPath(path: string): string[] {
  return splitTarget(path).filter(Boolean);
}

/** The names in the text of a link, with empty ones and dots. */
export function splitTarget(target: string): string[] {
  return isWindows ? target.split(/[\\/]/) : target.split('/');
}

/** Whether two texts of links are the same: Windows writes a backslash for a slash. */
export function isSameTarget(one: string, other: string): boolean {
  return one === other || (isWindows && one.replaceAll('\\', '/') === other.replaceAll('\\', '/'));
}

function readPosixTarget(target: string, rootNames: readonly string[]): LinkTarget {
  const names = target.split('/');
  if (!target.startsWith('/')) return { from: 'here', names };
  let position = 0;
  for (const expected of rootNames) {
    while (names[position] === '' || names[position] === '.') position += 1;
    if (names[position] !== expected) return 'outside';
    position += 1;
  }
  return { from: 'root', names: names.slice(position) };
}

/** `\\?\` and `\??\`: what follows is taken as it is, and a slash separates nothing. */
const verbatim = /^\\(?:\\|\?)\?\\/;
/** A drive with a path, or a share, by its server and name. No server is called as a drive is. */
const complete = /^[A-Za-z]:[\\/]|^[\\/]{2}(?![.?\\/]|[A-Za-z]:)/;

/**
 * The same by the rules of Windows: with drives, shares and backslashes. What Windows would read in a way that depends on more than
 * the text is unknown: a path without a drive, a drive without a path, other spellings of the root, devices, and `..` behind a name,
 * which is dropped with that name before any link is followed.
 *
 * @param rootNames a drive (`C:`) or a server first
 */
export function readWindowsTarget(text: string, rootNames: readonly string[]): LinkTarget {
  const isVerbatim = verbatim.test(text);
  const plain = isVerbatim ? text.replace(verbatim, '').replace(/^UNC\\/i, '\\\\') : text;
  if (isVerbatim && plain.includes('/')) return 'unknown';
  const names = plain.split(/[\\/]/);
  if (complete.test(plain)) return belowRoot(names, rootNames);
  return isVerbatim || names[0] === '' ? 'unknown' : known('here', names);
}

function belowRoot(names: readonly string[], rootNames: readonly string[]): LinkTarget {
  const given = names.filter((name, index) => index === names.length - 1 || (name !== '' && name !== '.'));
  const shared = rootNames.findIndex((expected, index) => !isSameName(given[index], expected, index));
  if (shared === -1) return known('root', given.slice(rootNames.length));
  const [other = '', expected = ''] = [given[shared], rootNames[shared]];
  // Another case may be the same name, and a short one (`PROGRA~1`) that of a long one; `..` may come back.
  const mayBeTheSame = other.toUpperCase() === expected.toUpperCase() || other.includes('~');
  return mayBeTheSame || given.includes('..') ? 'unknown' : 'outside';
}

/** Drives have no case. */
function isSameName(name: string | undefined, expected: string, index: number): boolean {
  return name === expected || (index === 0 && name?.toUpperCase() === expected.toUpperCase());
}

/** Names that mean what they say: `..` leads up before every other name alone, and none is a stream or device. */
function known(from: 'here' | 'root', names: readonly string[]): LinkTarget {
  let isLeading = from === 'here';
  for (const name of names) {
    if (name === '' || name === '.' || (name === '..' && isLeading)) continue;
    // Of `..`, too: it ends with a dot.
    if (windowsFault(name) !== undefined) return 'unknown';
    isLeading = false;
  }
  return { from, names };
}
