import type { Contender, Target } from './contenders.ts';
import { spreadOf } from './measure/statistics.ts';
import type { Tools } from './measure/tools.ts';
import { takeTurn } from './measure/turn.ts';
import { say } from './progress.ts';
import type { WorkTree } from './trees/work-tree.ts';

/** How late the event loop was during a pass: milliseconds between two turns of a timer of one millisecond. */
export interface EventLoopDelay {
  name: string;
  /** Medians over the runs. */
  p50: number;
  p99: number;
  /** The worst of all runs. */
  max: number;
  runs: number;
}

/** Watch the event loop in runs of their own, so that no watching counts as time. */
export function measureDelays(
  tools: Tools,
  title: string,
  tree: WorkTree,
  target: Target,
  contenders: readonly Contender[],
  runs: number,
): EventLoopDelay[] {
  if (contenders.length > 0) say(`${title}: event loop`);
  return contenders.map((contender) => {
    const delays = Array.from({ length: runs }, () => {
      const { delay } = takeTurn(tools, tree, target, contender);
      if (delay === undefined) throw new Error(`${contender.name}: no delay`);
      return delay;
    });
    const median = (name: 'p50' | 'p99') =>
      spreadOf(delays.map((delay) => delay[name]))?.median ?? Number.NaN;
    return {
      name: contender.name,
      p50: median('p50'),
      p99: median('p99'),
      max: Math.max(...delays.map(({ max }) => max)),
      runs,
    };
  });
}
