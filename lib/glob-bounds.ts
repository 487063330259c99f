/**
 * Globs become regular expressions that backtrack, and the names that they are held against may have been chosen to
 * make them do so: one more wildcard multiplies the time by the length of a name. These bounds keep the worst path of
 * PATH_MAX bytes (Linux, 4,096) at about half a second, and are far above what globs for a tree have.
 */
const MAX_LENGTH = 4096;
const MAX_WILDCARDS = 3;
const MAX_GLOBSTARS = 2;
const MAX_GROUPS = 8;

/** What has been counted in one component of a glob, between two slashes. */
interface Component {
  wildcards: number;
  groups: number;
}

/**
 * What makes a glob too much to match in bounded time, as the end of a sentence that begins with the glob; `undefined`
 * where nothing does. A component may have three wildcards (`*`, `*(…)`, `+(…)`, `!(…)`) and eight groups, the glob two
 * `**` before its end, and what is repeated, `*(…)` and `+(…)`, may have no wildcard or group in it.
 */
export function findExcess(glob: string): string | undefined {
  if (glob.length > MAX_LENGTH) return `has ${glob.length} characters; at most ${MAX_LENGTH}`;
  const parts = tokens(glob);
  const last = parts.findLastIndex((part) => part !== '**' && part !== '/');
  // `**/**` matches what `**` does.
  const globstars = parts.filter((part, at) => part === '**' && at < last && parts[at - 2] !== '**').length;
  if (globstars > MAX_GLOBSTARS) return `has ${globstars} "**" before its end; at most ${MAX_GLOBSTARS}`;
  return findCrowded(parts) ?? findNested(parts);
}

/** The parts of a glob that matter here: `**`, `*`, `/`, what opens and closes a group, and `x` for anything else. */
function tokens(glob: string): string[] {
  const pattern = /\\.|\[(?:\\.|[^\]\\])+\]\+?|\*+(?!\()|[*+!?@]?\(|\)\+?|[{}]|\/|./gs;
  return Array.from(glob.matchAll(pattern), ([part]) => {
    if (/^\*+$/.test(part)) return part.length > 1 ? '**' : '*';
    if (part.startsWith('[') && part.endsWith(']+')) return '*';
    return /^(?:[*+!?@]?\(|\)\+?|[{}]|\/)$/.test(part) ? part : 'x';
  });
}

function findCrowded(parts: readonly string[]): string | undefined {
  let component: Component = { wildcards: 0, groups: 0 };
  for (const part of parts) {
    if (part === '/') component = { wildcards: 0, groups: 0 };
    if (/^(?:\*|\*\*|[*+!]\()$/.test(part)) component.wildcards += 1;
    if (part.endsWith('(') || part === '{') component.groups += 1;
    if (component.wildcards > MAX_WILDCARDS) {
      return `has more than ${MAX_WILDCARDS} wildcards between two slashes`;
    }
    if (component.groups > MAX_GROUPS) return `has more than ${MAX_GROUPS} groups between two slashes`;
  }
  return undefined;
}

function findNested(parts: readonly string[]): string | undefined {
  const open: string[] = [];
  for (const part of parts) {
    if (part === ')+') return 'repeats a group with a "+" behind it; +(…) does so';
    const isWide = part === '*' || part === '**' || part === '{' || part.endsWith('(');
    if (isWide && open.some((group) => group === '*(' || group === '+(')) {
      return 'repeats what has a wildcard or a group in it';
    }
    if (part === '{' || part.endsWith('(')) open.push(part);
    if (part === '}' || part === ')') open.pop();
  }
  return undefined;
}
