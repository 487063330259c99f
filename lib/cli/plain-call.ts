import { dryRunFlag, type Flag, type PassFlags, passFlags } from './flags.ts';
import { type RecordFlags, recordFlags } from './record-flags.ts';
import type { PassName } from './run.ts';

/** A command, and what it is called with. */
export type PlainCall =
  | { readonly name: PassName; readonly root: string; readonly flags: PassFlags }
  | { readonly name: 'record'; readonly root: string; readonly flags: RecordFlags };

/**
 * What most calls are: `apply`, `check` or `record`, long flags that are known, each with its value in the next argument, and one
 * root. Read without commander, which takes as long to load as a small tree takes, and reads such a call alike.
 *
 * @returns `undefined` for anything else, also for what is wrong: commander says what
 */
export function readPlainCall([name, ...args]: readonly string[]): PlainCall | undefined {
  if (name !== 'apply' && name !== 'check' && name !== 'record') return undefined;
  const byName = new Map(flagsOf(name).map((flag) => [longOf(flag), flag]));
  const given = new Map<string, unknown>();
  const conflicts: string[] = [];
  let root: string | undefined;
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] as string;
    if (!word.startsWith('-')) {
      if (root !== undefined) return undefined;
      root = word;
      continue;
    }
    const flag = byName.get(word);
    if (flag === undefined) return undefined;
    conflicts.push(...flag.conflicts);
    const key = keyOf(word);
    if (!flag.flags.endsWith('>')) {
      given.set(key, !isNegative(word));
      continue;
    }
    at += 1;
    const text = args[at];
    if (text === undefined || text.startsWith('-')) return undefined;
    try {
      given.set(
        key,
        flag.parse === undefined ? text : flag.parse(text, given.get(key) as string[] | undefined),
      );
    } catch {
      return undefined;
    }
  }
  if (root === undefined || conflicts.some((key) => given.has(key))) return undefined;
  const flags = Object.fromEntries(given);
  return name === 'record' ? { name, root, flags } : { name, root, flags: { retry: true, ...flags } };
}

function flagsOf(name: PlainCall['name']): Flag[] {
  if (name === 'record') return recordFlags();
  const all = passFlags().flatMap(([, flags]) => flags);
  return name === 'apply' ? [...all, dryRunFlag] : all;
}

/** `--dry-run` of `-n, --dry-run`, `--retries` of `--retries <n>`. */
function longOf({ flags }: Flag): string {
  return /--[\w-]+/.exec(flags)?.[0] ?? '';
}

function isNegative(word: string): boolean {
  return word.startsWith('--no-');
}

/** `maxEntries` of `--max-entries`, `discover` of `--no-discover`. */
function keyOf(word: string): string {
  const name = word.slice(isNegative(word) ? '--no-'.length : '--'.length);
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
