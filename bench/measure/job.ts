import type { Contender } from '../contenders.ts';
import { measureDelays } from '../delay.ts';
import type { Unfit } from '../fitness.ts';
import type { Job } from '../jobs.ts';
import type { BenchOptions } from '../options.ts';
import type { MeasuredTree } from '../results.ts';
import { countSystemCalls } from '../syscalls.ts';
import { factsOf } from '../trees/entries.ts';
import type { Place } from '../trees/place.ts';
import { FEWER_ROUNDS, type MeasuredGroup, runRounds } from './rounds.ts';
import type { Tools } from './tools.ts';

/** Larger trees are for chmod and one row of each runtime: a run takes up to a minute there. */
const MOST_ENTRIES = { quick: 2000, full: 200_000 };
/** Larger trees get {@link FEWER_ROUNDS} rounds. */
const MANY_ENTRIES = 90_000;
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
  const contenders = isLarge ? firstOfRuntimes(job.contenders) : job.contenders;
  const groups = groupsOf(contenders, unfit, tree.hasLinks);
  const rounds = tree.entries.length > MANY_ENTRIES ? Math.min(FEWER_ROUNDS, options.rounds) : options.rounds;
  const measured = groups.map(({ links, contenders }): MeasuredGroup => {
    const target = { root: tree.root, zip: job.needsZip ? place.zip(links) : '' };
    tree.showLinks(links);
    const figures = runRounds(tools, title, tree, target, contenders, rounds);
    if (options.isQuick ? tree.entries.length === Math.max(...options.sizes) : isFirst) {
      const isCounted = ({ name }: Contender) => systemCalls.some((calls) => calls.name === name);
      const isDue = ({ kind, runtime }: Contender) =>
        runtime === undefined && !(options.isQuick && kind === 'peer');
      const due = contenders.filter((one) => isDue(one) && !isCounted(one));
      systemCalls.push(...countSystemCalls(title, tree, target, due));
    }
    return { links, ...figures };
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
    groups: measured,
    ...(eventLoop.length > 0 && { eventLoop }),
    ...(systemCalls.length > 0 && { systemCalls }),
  };
}

/** chmod, and the first contender of each runtime. */
function firstOfRuntimes(contenders: readonly Contender[]): Contender[] {
  const ours = contenders.filter(({ kind }) => kind === 'permwalk');
  const isFirst = (one: Contender) => ours.find(({ runtime }) => runtime === one.runtime) === one;
  return contenders.filter((one) => one.kind === 'yardstick' || isFirst(one));
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
