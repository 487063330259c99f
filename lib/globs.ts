import { findExcess } from './glob-bounds.ts';

/** Whether a path below the root is named by a list of globs. */
export type Matcher = (path: string) => boolean;

/**
 * Compile globs once, with micromatch's semantics: dot files are included, and a pattern that begins with `!`
 * takes out what the patterns before it named (all paths, where every pattern is such a one). Matched on
 * `/`-separated paths below the root.
 *
 * @param option name of the option, for the error
 * @returns `undefined` where there are no globs
 * @throws RangeError for a glob that cannot be compiled, or that a name could make match for ever
 */
export async function compileGlobs(option: string, globs: readonly string[]): Promise<Matcher | undefined> {
  if (globs.length === 0) return undefined;
  const { default: micromatch } = await import('micromatch');
  const compile = (glob: string): RegExp => {
    const excess = findExcess(glob);
    if (excess !== undefined) {
      throw new RangeError(
        `${option}: glob ${quote(glob)} ${excess}. It is refused because some name could keep it busy for ever`,
      );
    }
    try {
      const regexp = micromatch.makeRe(withoutTrailingSlash(glob), { dot: true });
      // What micromatch finds too much to repeat it takes for plain text.
      const isPlain = /\\[*+]\\\(/.test(regexp.source) && !glob.includes('\\');
      if (regexp instanceof RegExp && !isPlain) return regexp;
    } catch (error) {
      throw new RangeError(`${option}: glob ${quote(glob)} cannot be compiled`, { cause: error });
    }
    throw new RangeError(`${option}: glob ${quote(glob)} cannot be compiled`);
  };
  if (!globs.some(isNegated)) {
    const union = new RegExp(globs.map((glob) => compile(glob).source).join('|'));
    return (path) => union.test(path);
  }
  const rules = globs.map((glob) => {
    const negated = isNegated(glob);
    return { negated, regexp: compile(negated ? glob.slice(1) : glob) };
  });
  const initial = rules.every(({ negated }) => negated);
  return (path) =>
    rules.reduce((named, { negated, regexp }) => (regexp.test(path) ? !negated : named), initial);
}

/** A glob as an error shows it: not longer than a line. */
function quote(glob: string): string {
  return JSON.stringify(glob.length > 80 ? `${glob.slice(0, 80)}…` : glob);
}

/** `!a` is a negated glob, `!(a)` an extglob. */
function isNegated(glob: string): boolean {
  return glob.startsWith('!') && !glob.startsWith('!(') && !glob.startsWith('!!');
}

/** Directories are matched without a slash; `build/` means what `build` means. */
function withoutTrailingSlash(glob: string): string {
  return glob.length > 1 && glob.endsWith('/') ? glob.slice(0, -1) : glob;
}
