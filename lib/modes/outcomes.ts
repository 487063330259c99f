import type { ModeRule } from './mode.ts';

const MODES = 0o10000;
const UNKNOWN = -1;
/** So many modes of a manifest are remembered: real ones have a handful, and each takes 32 KiB. */
const MAX_TABLES = 16;

/**
 * What a rule makes of each mode, remembered: the modes of a real tree take few values, and a rule is asked for every entry.
 *
 * @returns the same rule
 */
export function remembered(rule: ModeRule): ModeRule {
  const tables = new Map<number | undefined, Int16Array>();
  let lastKey: number | undefined;
  let last: Int16Array | undefined;
  const tableOf = (manifestMode: number | undefined): Int16Array | undefined => {
    if (last !== undefined && lastKey === manifestMode) return last;
    let table = tables.get(manifestMode);
    if (table === undefined) {
      if (tables.size >= MAX_TABLES) return undefined;
      table = new Int16Array(MODES * 4).fill(UNKNOWN);
      tables.set(manifestMode, table);
    }
    [last, lastKey] = [table, manifestMode];
    return table;
  };
  return (mode, directory, manifestMode, matched) => {
    const table = tableOf(manifestMode);
    if (table === undefined) return rule(mode, directory, manifestMode, matched);
    const index = mode + (directory ? MODES : 0) + (matched ? 2 * MODES : 0);
    let outcome = table[index] as number;
    if (outcome === UNKNOWN) {
      outcome = rule(mode, directory, manifestMode, matched);
      table[index] = outcome;
    }
    return outcome;
  };
}
