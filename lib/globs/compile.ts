import { quoted } from '../printable.ts';
import { findExcess } from './bounds.ts';
import { splitGlob } from './split.ts';

/** Whether the entries of one directory are named by a list of globs. */
export type NameMatcher = (name: string) => boolean;

/** A list of globs, compiled. */
export interface Matcher {
  /**
   * What is named in a directory: `undefined` where nothing can be.
   *
   * @param path gives the directory's path below the root, `.` for the root; asked only where it makes a difference
   */
  in(path: () => string): NameMatcher | undefined;
  /** Whether a path below the root is named. */
  matches(path: string): boolean;
}

/**
 * Compile globs once, with micromatch's semantics: dot files are included, and a pattern that begins with `!`
 * takes out what the patterns before it named (all paths, where every pattern is such a one). Matched on
 * `/`-separated paths below the root.
 *
 * @param option name of the option, for the error
 * @param folds whether names are compared without their case and normalisation, as the file system does
 * @returns `undefined` where there are no globs
 * @throws RangeError for a glob that cannot be compiled, or that a name could make match for ever
 */
export async function compileGlobs(
  option: string,
  globs: readonly string[],
  folds = false,
): Promise<Matcher | undefined> {
  if (globs.length === 0) return undefined;
  const { default: micromatch } = await import('micromatch');
  if (folds) {
    const makeRe = (glob: string): RegExp =>
      micromatch.makeRe(glob.normalize('NFC'), { dot: true, nocase: true });
    return normalizing(compile(option, globs, makeRe));
  }
  return compile(option, globs, (glob) => micromatch.makeRe(glob, { dot: true }));
}

type MakeRe = (glob: string) => RegExp;

function compile(option: string, globs: readonly string[], makeRe: MakeRe): Matcher {
  for (const glob of globs) check(option, isNegated(glob) ? glob.slice(1) : glob, makeRe);
  if (globs.some(isNegated)) return wholeMatcher(globs, makeRe);
  return splitMatcher(globs.map(withoutTrailingSlash), makeRe);
}

/** The same of names in any normalisation. */
function normalizing(matcher: Matcher): Matcher {
  return {
    matches: (path) => matcher.matches(path.normalize('NFC')),
    in: (path) => {
      const named = matcher.in(() => path().normalize('NFC'));
      return named && ((name) => named(name.normalize('NFC')));
    },
  };
}

/** Refuse a glob that cannot be compiled, or that could take for ever. */
function check(option: string, glob: string, makeRe: MakeRe): void {
  const excess = findExcess(glob);
  if (excess !== undefined) {
    throw new RangeError(
      `${option}: glob ${quote(glob)} ${excess}. It is refused because some name could keep it busy for ever`,
    );
  }
  try {
    const regexp = makeRe(withoutTrailingSlash(glob));
    // What micromatch finds too much to repeat it takes for plain text.
    const isPlain = /\\[*+]\\\(/.test(regexp.source) && !glob.includes('\\');
    if (regexp instanceof RegExp && !isPlain) return;
  } catch (error) {
    throw new RangeError(`${option}: glob ${quote(glob)} cannot be compiled`, { cause: error });
  }
  throw new RangeError(`${option}: glob ${quote(glob)} cannot be compiled`);
}

/** Each path is asked as a whole: what one glob names another may take out again. */
function wholeMatcher(globs: readonly string[], makeRe: MakeRe): Matcher {
  const rules = globs.map((glob) => {
    const negated = isNegated(glob);
    return { negated, regexp: makeRe(withoutTrailingSlash(negated ? glob.slice(1) : glob)) };
  });
  const initial = rules.every(({ negated }) => negated);
  const matches = (path: string) =>
    rules.reduce((named, { negated, regexp }) => (regexp.test(path) ? !negated : named), initial);
  return {
    matches,
    in: (path) => {
      const prefix = prefixOf(path());
      return (name) => matches(prefix + name);
    },
  };
}

/** A glob of which the directory decides once for all its entries: all, none, or those with such names. */
interface DirectoryRule {
  readonly isHere: (path: () => string) => boolean;
  /** `undefined`: every name. */
  readonly name: RegExp | undefined;
}

/** Decide for a directory where that is possible, and ask for a path as a whole only where it is not. */
function splitMatcher(globs: readonly string[], makeRe: MakeRe): Matcher {
  const union = unionOf(globs.map(makeRe));
  const rules: DirectoryRule[] = [];
  const whole: RegExp[] = [];
  for (const glob of globs) {
    const split = splitGlob(glob);
    if (split === undefined) whole.push(makeRe(glob));
    else rules.push(directoryRule(split.directory, split.name, makeRe));
  }
  const wholeUnion = whole.length === 0 ? undefined : unionOf(whole);
  const known = new Map<string, NameMatcher | undefined>();
  return {
    matches: (path) => union.test(path),
    in: (path) => {
      let cached: string | undefined;
      const pathOnce = () => {
        cached ??= path();
        return cached;
      };
      let key = '';
      for (const rule of rules) key += rule.isHere(pathOnce) ? '1' : '0';
      if (!known.has(key)) known.set(key, nameMatcher(rules.filter((_, index) => key[index] === '1')));
      const byName = known.get(key);
      if (wholeUnion === undefined) return byName;
      const prefix = prefixOf(pathOnce());
      return (name) => byName?.(name) === true || wholeUnion.test(prefix + name);
    },
  };
}

function directoryRule(directory: string, name: string, makeRe: MakeRe): DirectoryRule {
  const nameRule = name === '*' ? undefined : makeRe(name);
  if (directory === '**') return { isHere: () => true, name: nameRule };
  if (directory === '.') return { isHere: (path) => path() === '.', name: nameRule };
  const regexp = makeRe(directory);
  return { isHere: (path) => path() !== '.' && regexp.test(path()), name: nameRule };
}

function nameMatcher(rules: readonly DirectoryRule[]): NameMatcher | undefined {
  if (rules.length === 0) return undefined;
  const names = rules.flatMap(({ name }) => name ?? []);
  if (names.length < rules.length) return () => true;
  const union = unionOf(names);
  return (name) => union.test(name);
}

function unionOf(regexps: readonly RegExp[]): RegExp {
  return new RegExp(regexps.map(({ source }) => source).join('|'), regexps[0]?.flags);
}

/** What stands before the name of an entry in its path. */
function prefixOf(directory: string): string {
  return directory === '.' ? '' : `${directory}/`;
}

/** A glob as an error shows it: not longer than a line. */
function quote(glob: string): string {
  return quoted(glob.length > 80 ? `${glob.slice(0, 80)}…` : glob);
}

/** `!a` is a negated glob, `!(a)` an extglob. */
function isNegated(glob: string): boolean {
  return glob.startsWith('!') && !glob.startsWith('!(') && !glob.startsWith('!!');
}

/** Directories are matched without a slash; `build/` means what `build` means. */
function withoutTrailingSlash(glob: string): string {
  return glob.length > 1 && glob.endsWith('/') ? glob.slice(0, -1) : glob;
}
