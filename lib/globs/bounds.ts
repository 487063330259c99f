/**
 * Globs become regular expressions that backtrack, and the names that they are held against may have been chosen to make
 * them do so. The longest path (Linux, PATH_MAX) and the longest name (NAME_MAX) bound how much.
 */
const PATH_MAX = 4096;
const NAME_MAX = 255;
/** About half a second. */
const MAX_STEPS = 10 ** 7;
const ESCAPED = 'a backslash before it makes it an ordinary character';

/**
 * What makes a glob too much to match in bounded time, as the end of a sentence that begins with the glob; `undefined`
 * where nothing does.
 */
export function findExcess(glob: string): string | undefined {
  if (glob.length > PATH_MAX) return `has ${glob.length} characters; at most ${PATH_MAX}`;
  const parts = partsOf(glob);
  const fault = findForeign(glob) ?? findUnclosed(parts) ?? findNested(parts);
  if (fault !== undefined) return fault;
  const steps = countSteps(parts);
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

/** What micromatch hands on to the regular expression as it stands, and what it takes for plain text. */
function findForeign(glob: string): string | undefined {
  const bare = glob.replaceAll(/\\./gs, 'x').replaceAll(/\[[^\]]+\]/gs, ']');
  if (bare.includes('"')) return `has a quotation mark; ${ESCAPED}`;
  if (/(?:^|[^*+!?@])\(/.test(bare)) return `has a "(" that none of "?*+@!" stands before; ${ESCAPED}`;
  if (/[\])}]\+(?!\()|\([^)]*\+(?!\()/.test(bare)) return `has a "+" that is no +(…); ${ESCAPED}`;
  return undefined;
}

/** A group without its end: micromatch takes the last one that was opened for plain text, whichever that is. */
function findUnclosed(parts: readonly string[]): string | undefined {
  /** What closes each open group. */
  const closing: string[] = [];
  for (const part of parts) {
    if (part === '{') closing.push('}');
    else if (part.endsWith('(')) closing.push(')');
    else if ((part === '}' || part === ')') && closing.length > 0 && closing.pop() !== part) {
      return `closes with "${part}" what was not opened with it; ${ESCAPED}`;
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
      return 'repeats what has a wildcard, a class or a group in it';
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

/**
 * In how many ways a path may be tried, at worst. A name of n bytes can be shared out among w wildcards in n^(w-1) ways, a
 * path of s slashes among g globstars in s^g ways, and a group may be any of its alternatives. A path has either many
 * slashes or long names.
 */
function countSteps(parts: readonly string[]): number {
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
  const longNames = NAME_MAX ** shares * (PATH_MAX / NAME_MAX) ** globstars;
  const manySlashes = 2 ** shares * (PATH_MAX / 2) ** globstars;
  return Math.max(longNames, manySlashes) * alternatives;
}
