import type { Contender } from '../contenders.ts';
import { measureDelays } from '../delay.ts';
import type { Unfit } from '../fitness.ts';
import type { Job } from '../jobs.ts';
import type { BenchOptions } from '../options.ts';
import type { MeasuredTree } from '../results.ts';
import { countSystemCalls } from '../syscalls.ts';
import { factsOf } from '../trees/entries.ts';
import type { Place } from '../trees/place.ts';
import { type MeasuredGroup, runRounds } from './rounds.ts';
import type { Tools } from './tools.ts';

/** Larger trees are for permwalk, chmod and the limits alone, in fewer rounds: each run would take a minute. */
const MOST_ENTRIES = { quick: 2000, full: 200_000 };
const FEWER_ROUNDS = 3;
const WATCHED_RUNS = { quick: 1, full: 3 };

/** Everything about one job on one tree; system calls and the event loop are watched on the first one only. */
export function measureJob(
  tools: Tools,
  options: BenchOptions,
  job: Job,
  place: Place,
  unfit: readonly Unfit[],
  isFirst: boolean,
): MeasuredTree {
  const { found, tree } = place;
  const title = `${job.id} ${found.name}`;
  const systemCalls: NonNullable<MeasuredTree['systemCalls']> = [];
  const isLarge = tree.entries.length > (options.isQuick ? MOST_ENTRIES.quick : MOST_ENTRIES.full);
  const contenders = job.contenders.filter(({ isSlow }) => !isLarge || isSlow !== true);
  const all = groupsOf(contenders, unfit, tree.hasLinks);
  const chosen = isLarge ? all.slice(0, 1) : all;
  const rounds = isLarge ? Math.min(FEWER_ROUNDS, options.rounds) : options.rounds;
  const groups = chosen.map(({ links, contenders }): MeasuredGroup => {
    const target = { root: tree.root, zip: job.needsZip ? place.zip(links) : '' };
    tree.showLinks(links);
    const measured = runRounds(tools, title, tree, target, contenders, rounds);
    if (options.isQuick ? tree.entries.length === Math.max(...options.sizes) : isFirst) {
      const isCounted = ({ name }: Contender) => systemCalls.some((calls) => calls.name === name);
      const due = contenders.filter((one) => !isCounted(one) && !(options.isQuick && one.kind === 'peer'));
      systemCalls.push(...countSystemCalls(title, tree, target, due));
    }
    return { links, ...measured };
  });
  tree.showLinks(true);
  const target = { root: tree.root, zip: job.needsZip ? place.zip(true) : '' };
  const watchedRuns = options.isQuick ? WATCHED_RUNS.quick : WATCHED_RUNS.full;
  const eventLoop = isFirst ? measureDelays(tools, title, tree, target, job.watched, watchedRuns) : [];
  const { name, origin, missing, entries } = found;
  return {
    name,
    origin,
    facts: factsOf(entries),
    missing,
    groups,
    ...(eventLoop.length > 0 && { eventLoop }),
    ...(systemCalls.length > 0 && { systemCalls }),
  };
}

/** Who is measured together: those who may see links, and those who may not beside permwalk and chmod. */
function groupsOf(contenders: readonly Contender[], unfit: readonly Unfit[], hasLinks: boolean) {
  const isUnfit = ({ name }: Contender) => unfit.some((one) => one.name === name);
  if (!hasLinks || !contenders.some(isUnfit)) return [{ links: true, contenders }];
  const first = contenders.find(({ kind }) => kind === 'permwalk');
  const beside = contenders.filter((one) => one === first || one.kind === 'yardstick' || isUnfit(one));
  return [
    { links: true, contenders: contenders.filter((one) => !isUnfit(one)) },
    { links: false, contenders: beside },
  ];
}
