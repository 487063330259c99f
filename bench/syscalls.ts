import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Contender, Target } from './contenders.ts';
import { environment } from './measure/process.ts';
import { isInstalled } from './measure/tools.ts';
import { say } from './progress.ts';
import type { WorkTree } from './trees/work-tree.ts';

/** System calls of one whole process. */
export interface SystemCalls {
  name: string;
  total: number;
  perEntry: number;
  /** The most frequent ones. */
  calls: Record<string, number>;
}

const MOST_FREQUENT = 8;

/** Count system calls with `strace -c -f`, once for each; nothing where there is no strace. */
export function countSystemCalls(
  title: string,
  tree: WorkTree,
  target: Target,
  contenders: readonly Contender[],
): SystemCalls[] {
  if (!isInstalled('strace', '-V')) return [];
  say(`${title}: system calls`);
  const output = join(tmpdir(), `permwalk-bench-${process.pid}.strace`);
  try {
    return contenders.flatMap((contender) => {
      tree.setModes(contender.before);
      const command = ['-c', '-f', '-o', output, ...contender.command(target)];
      const { status } = spawnSync('strace', command, {
        stdio: 'ignore',
        cwd: tmpdir(),
        env: { ...environment, ...contender.environment },
      });
      tree.differences(contender.after);
      // In some containers strace is there and may not trace.
      return status === 0 ? [parse(contender.name, readFileSync(output, 'utf8'), tree.entries.length)] : [];
    });
  } finally {
    rmSync(output, { force: true });
  }
}

function parse(name: string, table: string, entries: number): SystemCalls {
  const calls: [string, number][] = [];
  for (const line of table.split('\n')) {
    const [, count, call] = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line) ?? [];
    if (count !== undefined && call !== undefined && call !== 'total') calls.push([call, Number(count)]);
  }
  const total = calls.reduce((sum, [, count]) => sum + count, 0);
  const top = calls.sort(([, one], [, other]) => other - one).slice(0, MOST_FREQUENT);
  return { name, total, perEntry: total / entries, calls: Object.fromEntries(top) };
}
