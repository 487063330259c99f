import type { Contender, Target } from '../contenders.ts';
import type { PassResult } from '../programs/pass.mts';
import type { WorkTree } from '../trees/work-tree.ts';
import { type Run, runProcess, type Usage } from './process.ts';
import type { Tools } from './tools.ts';

/** A result that is not what it must be: the benchmark is over. */
export class WrongResultError extends Error {
  override readonly name = 'WrongResultError';
}

/** It ended with an error. */
export class FailedRunError extends WrongResultError {}

/** One run that was checked. */
export interface Turn extends Usage {
  delay?: PassResult['delay'];
}

/**
 * Bring the tree in the state before, run the contender, and check everything that it did before its time counts.
 *
 * @throws WrongResultError where it failed, or where any entry, or permwalk's own count of changes, is not as expected
 */
export function takeTurn(tools: Tools, tree: WorkTree, target: Target, contender: Contender): Turn {
  const { name, before, after } = contender;
  tree.setModes(before);
  const run = runProcess(tools, contender.command(target), contender.environment);
  const differences = tree.differences(after);
  if (run.code !== 0) throw new FailedRunError(`${name} ended with ${run.code}: ${complaint(run.stderr)}`);
  if (differences.length > 0) throw new WrongResultError(`${name}: ${differences.join('; ')}`);
  const { seconds, cpuSeconds, peakMiB } = run;
  const usage = {
    seconds,
    ...(cpuSeconds !== undefined && { cpuSeconds }),
    ...(peakMiB !== undefined && { peakMiB }),
  };
  if (contender.prints === undefined) return usage;
  const { inside, changed, delay } = printed(run, contender.prints);
  const expected = tree.entries.filter(
    (entry) => entry.type !== 'link' && before(entry) !== after(entry),
  ).length;
  if (changed !== expected) {
    throw new WrongResultError(`${name} says that it changed ${changed} entries, expected ${expected}`);
  }
  return { ...usage, ...(inside !== undefined && { seconds: inside }), ...(delay && { delay }) };
}

function printed(
  run: Run,
  prints: 'report' | 'inside',
): Pick<PassResult, 'changed' | 'delay'> & { inside?: number } {
  if (prints === 'report') return { changed: JSON.parse(run.stdout).counts.changed };
  const { seconds, ...rest }: PassResult = JSON.parse(run.stdout);
  return { inside: seconds, ...rest };
}

/** The line of an output that says what went wrong. */
function complaint(text: string): string {
  const lines = text.trim().split('\n');
  return lines.find((line) => /^(fatal )?\w*error\b/i.test(line)) ?? (lines[0] || 'nothing on stderr');
}
