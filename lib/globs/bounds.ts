import { Buffer } from 'node:buffer';
import { encodeName } from '../directory/names.ts';

/**
 * Globs become regular expressions that backtrack, and somebody may have chosen names that make them do so. The longest path (Linux, PATH_MAX) and the longest name (NAME_MAX) bound how much.
 */
const PATH_MAX = 4096;
const NAME_MAX = 255;
/** About half a second. */
const MAX_STEPS = 10 ** 7;
const ESCAPED = 'a backslash before it makes it an ordinary character';

/** So many UTF-16 units are never too many bytes. */
export const SURELY_SHORT = Math.floor((PATH_MAX - 1) / 3);

/**
 * Whether a path has more bytes than Linux allows (with the NUL at its end): no glob is matched against it, on any system.
 *
 * @param units its length in UTF-16 units
 * @param path builds it; called only if the length does not decide
 */
export function isLong(units: number, path: () => string): boolean {
  // A unit is one to three bytes; one that stands for a byte that is not UTF-8 is that byte.
  if (units * 3 < PATH_MAX) return false;
  return units >= PATH_MAX || Buffer.byteLength(encodeName(path())) >= PATH_MAX;
}

/** See {@link isLong}. */
export function isLongPath(path: string): boolean {
  return isLong(path.length, () => path);
}

/**
 * Why a glob cannot be matched in bounded time, as the end of a sentence that begins with the glob; `undefined` if it can.
 */
export function findExcess(glob: string): string | undefined {
  if (glob.length > PATH_MAX) return `has ${glob.length} characters; at most ${PATH_MAX}`;
  const parts = partsOf(glob);
  const fault = findForeign(glob) ?? findUnclosed(parts) ?? findNested(parts);
  if (fault !== undefined) return fault;
  const steps = worstSteps(countParts(parts));
  if (steps <= MAX_STEPS) return undefined;
  return `may take 10^${Math.round(Math.log10(steps))} steps to match a path: it needs fewer wildcards`;
}

/**
 * The parts of a glob that matter here: `**`, `*` for a wildcard of any length, `/`, what opens, divides and closes a
 * group, `[` for a class, and `x` for anything else.
 */
function partsOf(glob: string): string[] {
  const pattern = /\\.|\[(?:\\.|[^\]\\])+\]|\*+(?!\()|[*+!?@]?\(|[){},|/]|./gs;
  return Array.from(glob.matchAll(pattern), ([part]) => {
    if (/^\*+$/.test(part)) return part.length > 1 ? '**' : '*';
    if (part.startsWith('[') && part.length > 1) return '[';
    return /^(?:[*+!?@]?\(|[){},|/])$/.test(part) ? part : 'x';
  });
}

/** Characters that micromatch copies into the regular expression unchanged, or takes for plain text. */
function findForeign(glob: string): string | undefined {
  const bare = glob.replaceAll(/\\./gs, 'x').replaceAll(/\[[^\]]+\]/gs, ']');
  if (bare.includes('"')) return `has a quotation mark; ${ESCAPED}`;
  if (/(?:^|[^*+!?@])\(/.test(bare)) return `has a "(" without one of "?*+@!" before it; ${ESCAPED}`;
  if (/[\])}]\+(?!\()|\([^)]*\+(?!\()/.test(bare)) return `has a "+" that is not +(…); ${ESCAPED}`;
  return undefined;
}

/** A group that is never closed: micromatch takes the group that was opened last for plain text. */
function findUnclosed(parts: readonly string[]): string | undefined {
  /** What closes each open group. */
  const closing: string[] = [];
  for (const part of parts) {
    if (part === '{') closing.push('}');
    else if (part.endsWith('(')) closing.push(')');
    else if ((part === '}' || part === ')') && closing.length > 0 && closing.pop() !== part) {
      return `has a "${part}" that does not match what it closes; ${ESCAPED}`;
    }
  }
  return closing.length > 0 ? `opens a group that "${closing.at(-1)}" never closes; ${ESCAPED}` : undefined;
}

/** What is repeated and may match in more than one way takes exponential time. */
function findNested(parts: readonly string[]): string | undefined {
  /** Lengths of the alternatives of each open group. */
  const open: { isRepeated: boolean; lengths: number[] }[] = [];
  for (const part of parts) {
    const isGroup = part === '{' || part.endsWith('(');
    if (open.some(({ isRepeated }) => isRepeated) && (isGroup || /^(?:\*\*?|\[)$/.test(part))) {
      return 'repeats a group that holds a wildcard, a class or another group';
    }
    if (isGroup) {
      open.push({ isRepeated: part === '*(' || part === '+(', lengths: [0] });
    } else if (part === '}' || part === ')') {
      const { isRepeated = false, lengths = [] } = open.pop() ?? {};
      if (isRepeated && new Set(lengths).size > 1) return 'repeats alternatives of different lengths';
    } else {
      const lengths = open.at(-1)?.lengths;
      if (part === '|') lengths?.push(0);
      else lengths?.push((lengths.pop() ?? 0) + 1);
    }
  }
  return undefined;
}

/** What a glob is made of that multiplies the ways in which a path may be tried. */
export interface Effort {
  /** Wildcards that share a name with others. */
  readonly shares: number;
  /** `**` that share a path with what follows. */
  readonly globstars: number;
  /** Choices that its groups leave. */
  readonly alternatives: number;
}

/** What a glob is made of. */
export function effortOf(glob: string): Effort {
  return countParts(partsOf(glob));
}

/**
 * Characters that are looked at to try a path in every way. A name of n characters can be shared out among w wildcards, and what
 * follows each looked for, in n^w / w! steps; a path of s slashes among g globstars in s^g ways; a group may be any of its
 * alternatives.
 */
export function stepsFor({ shares, globstars, alternatives }: Effort, path: string): number {
  let longest = 1;
  let slashes = 1;
  let start = 0;
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', start)) {
    longest = Math.max(longest, end - start);
    start = end + 1;
    slashes += 1;
  }
  longest = Math.max(longest, path.length - start);
  let ways = longest * slashes ** globstars * alternatives;
  for (let wildcard = 2; wildcard <= shares + 1; wildcard += 1) ways *= longest / wildcard;
  return path.length + ways;
}

function countParts(parts: readonly string[]): Effort {
  let shares = 0;
  let globstars = 0;
  let alternatives = 1;
  /** How many alternatives each group has that is still open. */
  const divided: number[] = [];
  let wildcards = 0;
  const last = parts.findLastIndex((part) => part !== '**' && part !== '/');
  for (const [at, part] of parts.entries()) {
    if (part === '/') wildcards = 0;
    // `**/**` matches what `**` does, and at the end it matches anything.
    const isGlobstar = part === '**' && (parts[at - 1] ?? '/') === '/' && (parts[at + 1] ?? '/') === '/';
    if (isGlobstar && at < last && parts[at - 2] !== '**') globstars += 1;
    if (/^(?:\*|[*+!]\()$/.test(part) || (part === '**' && !isGlobstar)) {
      wildcards += 1;
      if (wildcards > 1) shares += 1;
    }
    if (part === '?(') alternatives *= 2;
    if (part === '{' || part.endsWith('(')) divided.push(1);
    if (part === ',' || part === '|') divided.push((divided.pop() ?? 0) + 1);
    if (part === '}' || part === ')') alternatives *= divided.pop() ?? 1;
  }
  return { shares, globstars, alternatives };
}

/** The same for the worst of all paths, which has either many slashes or long names. */
function worstSteps({ shares, globstars, alternatives }: Effort): number {
  const longNames = NAME_MAX ** shares * (PATH_MAX / NAME_MAX) ** globstars;
  const manySlashes = 2 ** shares * (PATH_MAX / 2) ** globstars;
  return Math.max(longNames, manySlashes) * alternatives;
}
