import { isLinear } from './segment.ts';

/** A glob by its slashes: each part means by itself what it means in the whole. */
export interface SplitGlob {
  /** Globs for the names on the way to the entry, or `**` for any number of them. None for entries of the root. */
  readonly directory: readonly string[];
  /** Glob for the name of the entry; `*` is every name. */
  readonly name: string;
}

/** Segments that are no names, or of which picomatch takes the slashes beside them, too. */
const oddSegment = /^(?:\.{0,2}|\*\*[^/]+|[^/]+\*\*[^/]*|\*{3,})$/;
const EVERY = '**';

/** Split a glob, or `undefined` where it has to be matched as a whole. One that ends in `**` is two: that, and what is in it. */
export function splitGlob(glob: string): SplitGlob[] | undefined {
  const segments = glob.split('/');
  const isPlain = (segment: string) => segment === EVERY || (isLinear(segment) && !oddSegment.test(segment));
  if (!segments.every(isPlain)) return undefined;
  const last = segments.findLastIndex((segment) => segment !== EVERY);
  if (last === -1) return [{ directory: [EVERY], name: '*' }];
  const itself = { directory: segments.slice(0, last), name: segments[last] as string };
  if (last === segments.length - 1) return [itself];
  const below = { directory: [...segments.slice(0, last + 1), EVERY], name: '*' };
  // micromatch: `a/**` is a, too, but `a*/**` only what is in it.
  return itself.name.endsWith('*') ? [below] : [itself, below];
}
