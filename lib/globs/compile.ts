import { nameOf, parentOf } from '../directory/names.ts';
import { loadCommonJs } from '../load.ts';
import { quoted } from '../printable.ts';
import { effortOf, findExcess, isLongPath, stepsFor } from './bounds.ts';
import { directoryMatcher } from './directory.ts';
import { linearMatcher } from './segment.ts';
import { type SplitGlob, splitGlob } from './split.ts';
import { Steps } from './steps.ts';
import { noticing, prefixOf } from './unmatched.ts';

/** Whether the entries of one directory are named by a list of globs. */
export type NameMatcher = (name: string) => boolean;

/** A list of globs, compiled. */
export interface Matcher {
  /**
   * What is named in a directory: `undefined` where nothing can be.
   *
   * Ask it of no name that makes the path longer than PATH_MAX. What it costs is bounded, see {@link Steps}: it may throw.
   *
   * @param path gives the directory's path below the root, `.` for the root; asked only where it makes a difference
   */
  in(path: () => string): NameMatcher | undefined;
  /** Whether a path below the root is named. One that is longer than PATH_MAX never is. */
  matches(path: string): boolean;
  /** Globs that have named nothing of what was asked so far. */
  unmatched(): string[];
}

/**
 * Compile globs once, with micromatch's semantics: dot files are included, and a pattern that begins with `!`
 * takes out what the patterns before it named (all paths, where every pattern is such a one). Matched on
 * `/`-separated paths below the root.
 *
 * @param option name of the option, for the error
 * @param folds whether names are compared without their case and normalisation, as the file system does
 * @param steps counts what matching costs
 * @returns `undefined` where there are no globs
 * @throws RangeError for a glob that cannot be compiled, or that a name could make match for ever
 */
export async function compileGlobs(
  option: string,
  globs: readonly string[],
  folds = false,
  steps = new Steps(option, globs),
): Promise<Matcher | undefined> {
  if (globs.length === 0) return undefined;
  const { default: micromatch } = await loadCommonJs('micromatch', () => import('micromatch'));
  if (!folds) {
    const makeRe = (glob: string): RegExp => micromatch.makeRe(glob, { dot: true });
    return compile(option, globs, { makeRe, ignoresCase: false, steps });
  }
  const makeRe = (glob: string): RegExp => micromatch.makeRe(glob, { dot: true, nocase: true });
  const normal = globs.map((glob) => glob.normalize('NFC'));
  return normalizing(compile(option, normal, { makeRe, ignoresCase: true, steps }));
}

/** What globs are compiled with. */
interface Compiler {
  readonly makeRe: (glob: string) => RegExp;
  readonly ignoresCase: boolean;
  readonly steps: Steps;
}

function compile(option: string, globs: readonly string[], compiler: Compiler): Matcher {
  for (const glob of globs) check(option, isNegated(glob) ? glob.slice(1) : glob, compiler.makeRe);
  if (globs.some(isNegated)) return wholeMatcher(globs, compiler);
  const compileOne = (glob: string) => {
    let one: Omit<Matcher, 'unmatched'> | undefined;
    return (path: string) => {
      one ??= splitMatcher([withoutTrailingSlash(glob)], compiler);
      return one.matches(path);
    };
  };
  return noticing(splitMatcher(globs.map(withoutTrailingSlash), compiler), globs, compileOne);
}

/** The same of names in any normalisation. */
function normalizing(matcher: Matcher): Matcher {
  return {
    unmatched: matcher.unmatched,
    matches: (path) => matcher.matches(path.normalize('NFC')),
    in: (path) => {
      const named = matcher.in(() => path().normalize('NFC'));
      return named && ((name) => named(name.normalize('NFC')));
    },
  };
}

/** Refuse a glob that cannot be compiled, or that could take for ever. */
function check(option: string, glob: string, makeRe: Compiler['makeRe']): void {
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

/** A glob that is matched as a whole, by a regular expression. */
function wholeRule(glob: string, { makeRe, steps }: Compiler): (path: string) => boolean {
  const regexp = makeRe(glob);
  const effort = effortOf(glob);
  return (path) => {
    steps.take(stepsFor(effort, path), glob);
    return regexp.test(path);
  };
}

/** Each path is asked as a whole: what one glob names another may take out again. */
function wholeMatcher(globs: readonly string[], compiler: Compiler): Matcher {
  const rules = globs.map((glob) => {
    const negated = isNegated(glob);
    const isNamed = wholeRule(withoutTrailingSlash(negated ? glob.slice(1) : glob), compiler);
    return { glob, negated, isNamed };
  });
  const left = new Set(globs);
  const initial = rules.every(({ negated }) => negated);
  const matches = (path: string) => {
    compiler.steps.ask(path.length);
    return rules.reduce((named, { glob, negated, isNamed }) => {
      if (!isNamed(path)) return named;
      left.delete(glob);
      return !negated;
    }, initial);
  };
  return {
    unmatched: () => [...left],
    matches: (path) => !isLongPath(path) && matches(path),
    in: (path) => {
      const prefix = prefixOf(path());
      return isLongPath(prefix) ? undefined : (name) => matches(prefix + name);
    },
  };
}

/** A glob of which the directory decides once for all its entries: all, none, or those with such names. */
interface DirectoryRule {
  readonly isHere: (path: () => string) => boolean;
  /** `*`: every name. */
  readonly name: string;
}

/** Decide for a directory where that is possible, and ask for a path as a whole only where it is not. */
function splitMatcher(globs: readonly string[], compiler: Compiler): Omit<Matcher, 'unmatched'> {
  const { steps } = compiler;
  const rules: DirectoryRule[] = [];
  const whole: ((path: string) => boolean)[] = [];
  for (const glob of globs) {
    const split = splitGlob(glob);
    if (split === undefined) whole.push(wholeRule(glob, compiler));
    else rules.push(...split.map((part) => directoryRule(part, compiler)));
  }
  const known = new Map<string, NameMatcher | undefined>();
  const inDirectory = (path: () => string): NameMatcher | undefined => {
    let cached: string | undefined;
    const pathOnce = () => {
      if (cached === undefined) {
        cached = path();
        steps.ask(cached.length);
      }
      return cached;
    };
    let key = '';
    for (const rule of rules) key += rule.isHere(pathOnce) ? '1' : '0';
    if (!known.has(key)) {
      const names = rules.filter((_, index) => key[index] === '1').map(({ name }) => name);
      known.set(key, namesMatcher(names, compiler));
    }
    const byName = known.get(key);
    if (whole.length === 0) return byName;
    const prefix = prefixOf(pathOnce());
    if (isLongPath(prefix)) return undefined;
    return (name) => {
      if (byName?.(name) === true) return true;
      const path = prefix + name;
      steps.ask(path.length);
      return whole.some((isNamed) => isNamed(path));
    };
  };
  return {
    matches: (path) => !isLongPath(path) && inDirectory(() => parentOf(path))?.(nameOf(path)) === true,
    in: inDirectory,
  };
}

function directoryRule({ directory, name }: SplitGlob, compiler: Compiler): DirectoryRule {
  if (directory.length === 0) return { isHere: (path) => path() === '.', name };
  if (directory.every((segment) => segment === '**')) return { isHere: () => true, name };
  const matches = directoryMatcher(directory, (segment) => nameMatcher(segment, compiler), compiler.steps);
  return { isHere: (path) => !isLongPath(path()) && matches(path()), name };
}

/** Names that one of several globs names. */
function namesMatcher(globs: readonly string[], compiler: Compiler): NameMatcher | undefined {
  if (globs.length === 0) return undefined;
  if (globs.includes('*')) return () => true;
  const quick = globs.filter(isQuick);
  const slow = globs.filter((glob) => !isQuick(glob)).map((glob) => nameMatcher(glob, compiler));
  if (quick.length === 0) return slow.length === 1 ? slow[0] : (name) => slow.some((one) => one(name));
  const { steps, makeRe } = compiler;
  const union = unionOf(quick.map(makeRe));
  const each = quick.reduce((sum, glob) => sum + effortOf(glob).alternatives, 0);
  return (name) => {
    steps.ask(name.length);
    steps.taken += each * (name.length + 1);
    return union.test(name) || slow.some((one) => one(name));
  };
}

/** One glob for one name. */
function nameMatcher(glob: string, { makeRe, ignoresCase, steps }: Compiler): NameMatcher {
  const matches = isQuick(glob) ? undefined : linearMatcher(glob, ignoresCase, steps);
  if (matches !== undefined) {
    return (name) => {
      steps.ask(name.length);
      return matches(name);
    };
  }
  const regexp = makeRe(glob);
  const { alternatives } = effortOf(glob);
  return (name) => {
    steps.ask(name.length);
    steps.taken += alternatives * (name.length + 1);
    return regexp.test(name);
  };
}

/** Whether a regular expression is done with a name in one go. */
function isQuick(glob: string): boolean {
  const { shares, alternatives } = effortOf(glob);
  return shares === 0 && alternatives <= glob.length;
}

function unionOf(regexps: readonly RegExp[]): RegExp {
  return new RegExp(regexps.map(({ source }) => source).join('|'), regexps[0]?.flags);
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
