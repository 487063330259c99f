import type { Contender, Target } from '../contenders.ts';
import { say } from '../progress.ts';
import type { WorkTree } from '../trees/work-tree.ts';
import { pairwise, type Spread, spreadOf } from './statistics.ts';
import type { Tools } from './tools.ts';
import { FailedRunError, type Turn, takeTurn } from './turn.ts';

type Who = Pick<Contender, 'name' | 'kind' | 'note' | 'runtime'>;

/** What one contender took in all rounds. */
export interface Measured {
  name: string;
  kind: Contender['kind'];
  runtime?: string;
  note?: string;
  /** Spreads over the rounds. */
  seconds: Spread;
  cpuSeconds?: Spread;
  peakMiB?: Spread;
  /** Seconds of every round. */
  rounds: number[];
}

/** How often one took as long as another, round by round. */
export interface Ratio extends Spread {
  of: string;
  to: string;
  pairs: number;
}

/** Contenders that took turns on the same tree. */
export interface MeasuredGroup {
  /** Whether the tree had its links, or was without them for those that would follow them. */
  links: boolean;
  contenders: Measured[];
  ratios: Ratio[];
  /** What peers said that ended with an error in the warm-up, such as one that runs out of memory on a large tree. */
  gaveUp?: string[];
}

/** One who takes longer than this in the warm-up is measured in {@link FEWER_ROUNDS} rounds only. */
const SLOW_SECONDS = 20;
export const FEWER_ROUNDS = 3;

/** Let everybody have a turn, round after round: A B C A B C; the first round warms up and counts for nothing. */
export function runRounds(
  tools: Tools,
  title: string,
  tree: WorkTree,
  target: Target,
  contenders: readonly Contender[],
  rounds: number,
): Omit<MeasuredGroup, 'links'> {
  const turns = new Map<Contender, Turn[]>(contenders.map((contender) => [contender, []]));
  const slow = new Set<Contender>();
  const gaveUp: string[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    say(`${title}: ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}`);
    for (const [contender, taken] of turns) {
      if (slow.has(contender) && round > FEWER_ROUNDS) continue;
      try {
        const turn = takeTurn(tools, tree, target, contender);
        if (round > 0) taken.push(turn);
        else if (turn.seconds > SLOW_SECONDS) slow.add(contender);
      } catch (error) {
        const mayGiveUp = round === 0 && contender.kind === 'peer';
        if (!mayGiveUp || !(error instanceof FailedRunError)) throw error;
        say(`${title}: ${error.message}`);
        gaveUp.push(error.message);
        turns.delete(contender);
      }
    }
  }
  return { ...conclude([...turns]), ...(gaveUp.length > 0 && { gaveUp }) };
}

/** Put together what everybody's turns say. */
export function conclude(turns: readonly (readonly [Who, Turn[]])[]) {
  const contenders = turns.map(([contender, taken]) => measured(contender, taken));
  const ours = contenders.filter(({ kind }) => kind === 'permwalk');
  const yardsticks = contenders.filter(({ kind }) => kind === 'yardstick');
  const others = contenders.filter(({ kind }) => kind !== 'permwalk');
  const pairs = [
    // Peers stand beside plain Node alone; the rest of the pairs would say nothing new.
    ...ours.flatMap((one) =>
      (one.runtime === undefined ? others : yardsticks).map((other) => [one, other] as const),
    ),
    ...others
      .flatMap((one) => yardsticks.map((other) => [one, other] as const))
      .filter(([one, other]) => one !== other),
  ];
  return { contenders, ratios: pairs.map(([one, other]) => ratio(one, other)) };
}

function measured({ name, kind, note, runtime }: Who, turns: Turn[]): Measured {
  const seconds = turns.map((turn) => turn.seconds);
  const cpuSeconds = spreadOf(turns.flatMap((turn) => turn.cpuSeconds ?? []));
  const peakMiB = spreadOf(turns.flatMap((turn) => turn.peakMiB ?? []));
  return {
    name,
    kind,
    ...(runtime !== undefined && { runtime }),
    ...(note !== undefined && { note }),
    seconds: someSpread(seconds),
    ...(cpuSeconds && { cpuSeconds }),
    ...(peakMiB && { peakMiB }),
    rounds: seconds,
  };
}

function ratio(of: Measured, to: Measured): Ratio {
  const ratios = pairwise(of.rounds, to.rounds);
  return { of: of.name, to: to.name, ...someSpread(ratios), pairs: ratios.length };
}

function someSpread(values: readonly number[]): Spread {
  const spread = spreadOf(values);
  if (spread === undefined) throw new Error('nothing was measured');
  return spread;
}
