import type { Contender } from '../contenders.ts';
import { say } from '../progress.ts';
import { type Run, runProcess } from './process.ts';
import { conclude, type MeasuredGroup } from './rounds.ts';
import type { Tools } from './tools.ts';
import { type Turn, WrongResultError } from './turn.ts';

/** One command that does a job of which more than modes is to be checked. */
export interface Trial extends Pick<Contender, 'name' | 'kind' | 'runtime' | 'environment'> {
  command: readonly string[];
  /** Brings everything in the state before; its time does not count. */
  before?(): void;
  /** Throws WrongResultError where the result is not what it must be. */
  check(run: Run): void;
  /** Whether it prints the seconds that it took inside, as JSON. */
  isInside?: boolean;
}

/**
 * Let each have a turn, round after round; the first round warms up and counts for nothing.
 *
 * @throws WrongResultError where one fails, or its result is wrong
 */
export function runTrials(
  tools: Tools,
  title: string,
  trials: readonly Trial[],
  rounds: number,
): MeasuredGroup {
  const turns = trials.map((trial) => [trial, [] as Turn[]] as const);
  for (let round = 0; round <= rounds; round += 1) {
    say(`${title}: ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}`);
    for (const [trial, taken] of turns) {
      trial.before?.();
      const run = runProcess(tools, trial.command, trial.environment);
      if (run.code !== 0) {
        throw new WrongResultError(`${title}, ${trial.name}: ended with ${run.code}: ${run.stderr}`);
      }
      trial.check(run);
      const seconds = trial.isInside === true ? Number(JSON.parse(run.stdout).seconds) : run.seconds;
      if (round > 0) taken.push({ ...run, seconds });
    }
  }
  return { links: true, ...conclude(turns) };
}
