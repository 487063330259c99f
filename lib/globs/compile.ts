import { nameOf, parentOf } from '../directory/names.ts';
import { loadCommonJs } from '../load.ts';
import { quoted } from '../printable.ts';
import { effortOf, findExcess, isLongPath, stepsFor } from './bounds.ts';
import { directoryMatcher } from './directory.ts';
import { compileSegment, type SegmentMatcher } from './segment.ts';
import { type SplitGlob, splitGlob } from './split.ts';
import { Steps } from './steps.ts';

/** Whether the entries of one directory are named by a list of globs. */
export type NameMatcher = (name: string) => boolean;

/** A list of globs, compiled. */
export interface Matcher {
  /**
   * Which names in a directory match: `undefined` if none can.
   *
   * Do not ask for a name that makes the path longer than PATH_MAX. The cost is bounded, see {@link Steps}: it may throw.
   *
   * @param path gives the directory's path below the root, `.` for the root; called only if it makes a difference
   */
  in(path: () => string): NameMatcher | undefined;
  /** Whether a path below the root is named. One that is longer than PATH_MAX never is. */
  matches(path: string): boolean;
  /** Globs that have named nothing of what was asked so far. */
  unmatched(): string[];
}

/**
 * Compile globs once, with micromatch's semantics: dot files are included, and a pattern that begins with `!`
 * takes out paths that earlier patterns matched (or all paths, if every pattern begins with `!`). Matched on
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
  return splitMatcher(globs, compiler);
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
      `${option}: glob ${quote(glob)} ${excess}. It is refused, because matching some path could take forever`,
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

/** The same of a glob that names: it names what is called like it, too, as `[id]` and `{a,b}` may be (micromatch). */
function namingRule(glob: string, compiler: Compiler): (path: string) => boolean {
  const matches = wholeRule(glob, compiler);
  return (path) => path === glob || matches(path);
}

/** Each path is asked as a whole: what one glob names another may take out again. */
function wholeMatcher(globs: readonly string[], compiler: Compiler): Matcher {
  const rules = globs.map((glob) => {
    const negated = isNegated(glob);
    const rule = negated ? wholeRule : namingRule;
    const isNamed = rule(withoutTrailingSlash(negated ? glob.slice(1) : glob), compiler);
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
  readonly glob: string;
  readonly isHere: (path: () => string) => boolean;
  readonly name: SegmentMatcher;
}

/** Decide for a directory where that is possible, and ask for a path as a whole only where it is not. */
function splitMatcher(globs: readonly string[], compiler: Compiler): Matcher {
  const { steps } = compiler;
  const rules: DirectoryRule[] = [];
  const whole: { glob: string; isNamed: (path: string) => boolean }[] = [];
  for (const glob of globs) {
    const plain = withoutTrailingSlash(glob);
    const split = splitGlob(plain);
    if (split === undefined) whole.push({ glob, isNamed: namingRule(plain, compiler) });
    else rules.push(...split.map((part) => directoryRule(glob, part, compiler)));
    if (split !== undefined && plain.includes('{')) rules.push(literalRule(glob, plain));
  }
  const left = new Set(globs);
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
      const here = rules.filter((_, index) => key[index] === '1');
      known.set(key, namesMatcher(here, left, steps));
    }
    const byName = known.get(key);
    if (whole.length === 0) return byName;
    const prefix = prefixOf(pathOnce());
    if (isLongPath(prefix)) return undefined;
    return (name) => {
      let isNamed = byName?.(name) === true;
      if (isNamed && left.size === 0) return true;
      const full = prefix + name;
      steps.ask(full.length);
      for (const rule of whole) {
        if ((isNamed && !left.has(rule.glob)) || !rule.isNamed(full)) continue;
        left.delete(rule.glob);
        isNamed = true;
      }
      return isNamed;
    };
  };
  return {
    unmatched: () => [...left],
    matches: (path) => !isLongPath(path) && inDirectory(() => parentOf(path))?.(nameOf(path)) === true,
    in: inDirectory,
  };
}

function directoryRule(glob: string, { directory, name }: SplitGlob, compiler: Compiler): DirectoryRule {
  const { ignoresCase, steps } = compiler;
  const rule = { glob, name: compileSegment(name, ignoresCase) };
  if (directory.length === 0) return { ...rule, isHere: (path) => path() === '.' };
  if (directory.every((segment) => segment === '**')) return { ...rule, isHere: () => true };
  const matches = directoryMatcher(directory, (segment) => compileSegment(segment, ignoresCase), steps);
  return { ...rule, isHere: (path) => !isLongPath(path()) && matches(path()) };
}

/** What is called like a glob with braces. */
function literalRule(glob: string, plain: string): DirectoryRule {
  const [directory, literal] = [parentOf(plain), nameOf(plain)];
  const matches = (name: string): boolean => name === literal;
  return { glob, name: { matches, effort: 1 }, isHere: (path) => path() === directory };
}

/** Names that one of several globs names. Those that have named nothing so far are asked even where another one does. */
function namesMatcher(
  rules: readonly DirectoryRule[],
  left: Set<string>,
  steps: Steps,
): NameMatcher | undefined {
  if (rules.length === 0) return undefined;
  const effort = rules.reduce((sum, { name }) => sum + name.effort, 0);
  return (name) => {
    steps.ask(name.length);
    steps.taken += effort * (name.length + 1);
    let isNamed = false;
    for (const rule of rules) {
      if ((isNamed && !left.has(rule.glob)) || !rule.name.matches(name)) continue;
      if (left.size === 0) return true;
      left.delete(rule.glob);
      isNamed = true;
    }
    return isNamed;
  };
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
