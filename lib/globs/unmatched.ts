import type { Matcher, NameMatcher } from './compile.ts';

/**
 * A matcher that knows which of its globs have named nothing so far. Only what is named is asked again, and only of those.
 *
 * @param matcher of all globs together
 * @param compileOne of one glob alone
 */
export function noticing(
  matcher: Omit<Matcher, 'unmatched'>,
  globs: readonly string[],
  compileOne: (glob: string) => (path: string) => boolean,
): Matcher {
  const left = new Map(globs.map((glob) => [glob, compileOne(glob)]));
  const notice = (path: string) => {
    for (const [glob, names] of left) if (names(path)) left.delete(glob);
  };
  const noticingIn = (path: () => string, names: NameMatcher): NameMatcher => {
    let prefix: string | undefined;
    return (name) => {
      if (!names(name)) return false;
      if (left.size > 0) {
        prefix ??= prefixOf(path());
        notice(prefix + name);
      }
      return true;
    };
  };
  return {
    matches: (path) => {
      const isNamed = matcher.matches(path);
      if (isNamed && left.size > 0) notice(path);
      return isNamed;
    },
    in: (path) => {
      const names = matcher.in(path);
      return names === undefined || left.size === 0 ? names : noticingIn(path, names);
    },
    unmatched: () => [...left.keys()],
  };
}

/** What stands before the name of an entry in its path. */
export function prefixOf(directory: string): string {
  return directory === '.' ? '' : `${directory}/`;
}
