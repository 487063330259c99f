import { isWindows } from '../directory/platform.ts';
import { windowsFault } from '../directory/windows-names.ts';
import { ManifestError } from '../errors.ts';
import { quoted } from '../printable.ts';

/** A drive: a letter, a colon, and then a separator or nothing. `B::Deparse.3pm` and `x:y` are names. */
const drive = /^[A-Za-z]:(?:[\\/]|$)/;

/** A drive, a NUL, or a component that is empty, `.` or `..`: anything that an ordinary path has not. */
const unusual = /^[A-Za-z]:(?:[\\/]|$)|\0|(?:^|\/)\.{0,2}(?:\/|$)/;

/** A manifest path in its one spelling. */
export interface NormalizedPath {
  /** `/`-separated components below the root, without `.` and empty ones; `.` is the root. */
  path: string;
  /** True where the spelling says that it is a directory: a trailing `/` or `/.`, or the root itself. */
  directory: boolean;
}

/**
 * Bring a path of a manifest to its one spelling: `./a//b/` becomes `a/b`, a directory.
 *
 * @param path `/`-separated path below the root. A backslash and a colon are ordinary characters, except on Windows,
 *   where every name is refused that cannot be there, or leads elsewhere.
 * @param source the archive or file that it stands in, for the message.
 * @throws ManifestError where it is empty, absolute, has a `..` component or a NUL, or starts with a drive letter; on Windows, for
 *   names that Windows cannot hold.
 */
export function normalizeManifestPath(path: string, source?: string): NormalizedPath {
  const normal = tryNormalize(path);
  if (!('fault' in normal)) return normal;
  throw new ManifestError(`path ${quoted(path)} ${normal.fault}`, { source, path });
}

/** The same, or what is wrong with the path, in words without the path itself. */
export function tryNormalize(path: string): NormalizedPath | { readonly fault: string } {
  const normal = unusual.test(path) ? (asDirectory(path) ?? rewrite(path)) : { path, directory: false };
  if (!isWindows || 'fault' in normal) return normal;
  const fault = windowsFault(normal.path);
  return fault === undefined ? normal : { fault };
}

/** What is unusual for nothing but a slash at its end: the directories of most archives. */
function asDirectory(path: string): NormalizedPath | undefined {
  const bare = path.slice(0, -1);
  return path.endsWith('/') && !unusual.test(bare) ? { path: bare, directory: true } : undefined;
}

function rewrite(path: string): NormalizedPath | { readonly fault: string } {
  const components = path.split('/');
  const last = components[components.length - 1];
  const normal = components.filter((component) => component !== '' && component !== '.').join('/');
  const fault = findFault(path, components, normal);
  if (fault !== undefined) return { fault };
  return { path: normal || '.', directory: last === '' || last === '.' };
}

/** True where the path leads to something below the root. */
export function isSafePath(path: string): boolean {
  return !('fault' in tryNormalize(path));
}

function findFault(path: string, components: readonly string[], normal: string): string | undefined {
  if (path === '') return 'is empty';
  if (path.startsWith('/')) return 'is absolute';
  if (path.includes('\0')) return 'contains a NUL';
  if (components.includes('..')) return 'has a ".." component';
  return drive.test(normal) ? 'starts with a drive letter' : undefined;
}
