import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionChange } from '../../lib/report.ts';
import { whileExchanging } from '../helpers/exchange.ts';
import type { TestedPass } from '../helpers/passes.ts';
import type { Watch } from './attack.ts';
import {
  armAccessTimes,
  CANARY_SIZE,
  type Course,
  canaries,
  changedCanaries,
  names,
  neglected,
} from './course.ts';
import { mustFool, plainWalk } from './plain.ts';

/** One pass of a race. */
export interface Turn {
  options: ApplyOptions;
  /** The mode that files which nobody attacks have afterwards; `undefined` where the pass leaves it as it is. */
  calm?: number;
}

/** Takes bits away again, so that the pass after it has something to do everywhere. */
export const reset: Turn = { options: { mode: 'a=r,u+wX' }, calm: 0o644 };
/** Waits so short that a race goes on. */
export const tinyRetry = { retries: 1, minTimeout: 1, maxTimeout: 1, maxRetryTime: 10, randomize: false };

/** Prove that a course fools a plain walk. */
export async function proveCourse(watch: Watch, course: Course): Promise<void> {
  const before = canaries(course);
  await whileExchanging(course.pairs, () => {
    mustFool(
      watch,
      () => plainWalk(course.root),
      () => changedCanaries(course, before).length > 0,
    );
  });
}

/** Run passes while names are exchanged. Whatever they are, nothing outside may change, nor even be read. */
export async function race(
  watch: Watch,
  seconds: number,
  course: Course,
  pass: TestedPass,
  turns: readonly Turn[],
): Promise<void> {
  const readOutside = armAccessTimes(course);
  const before = canaries(course);
  watch.watching(before.size);
  const counts = await run(watch, seconds, course, pass, turns);
  const changed = changedCanaries(course, before);
  watch.must(changed.length === 0, `${pass.backend}: changed outside: ${changed}`);
  const read = readOutside();
  watch.must(read.length === 0, `${pass.backend}: read outside: ${read}`);
  watch.must(counts.lookedOutside === 0, `${pass.backend}: looked outside ${counts.lookedOutside} times`);
  watch.must(counts.metAsLink > 0, `${pass.backend}: no pass ever met a link`);
  watch.must(counts.changesOfExchanged > 0, `${pass.backend}: nothing that was exchanged was ever changed`);
}

/** The same where the backend promises only that it ends, and does the rest: what came of the canaries is a figure. */
export async function unpromisedRace(
  watch: Watch,
  seconds: number,
  course: Course,
  pass: TestedPass,
  turns: readonly Turn[],
): Promise<void> {
  const before = canaries(course);
  const { lookedOutside } = await run(watch, seconds, course, pass, turns);
  const changed = changedCanaries(course, before).length;
  const fates = `${changed} of ${names.length} canaries changed, ${lookedOutside} looked at`;
  watch.figure(`${pass.backend}, which does not promise it: ${fates}`);
}

interface RaceCounts {
  /** Passes that met a link where something is exchanged. */
  metAsLink: number;
  /** Entries of reports with facts that only something outside has. */
  lookedOutside: number;
  changesOfExchanged: number;
}

async function run(
  watch: Watch,
  seconds: number,
  course: Course,
  { apply, backend }: TestedPass,
  turns: readonly Turn[],
): Promise<RaceCounts> {
  const exchanged = course.pairs.map(([path]) => path.slice(course.root.length + 1));
  const counts: RaceCounts = { metAsLink: 0, lookedOutside: 0, changesOfExchanged: 0 };
  const onChange = ({ path }: PermissionChange) => {
    if (exchanged.some((name) => `${path}/`.startsWith(`${name}/`))) counts.changesOfExchanged += 1;
  };
  let rounds = 0;
  const exchanges = await whileExchanging(course.pairs, () =>
    watch.rounds(
      seconds,
      async (number) => {
        const { options, calm } = turns[number % turns.length] as Turn;
        const base: ApplyOptions = { strict: false, retry: false, umask: 0o022, onChange };
        const report = await apply(course.root, { ...base, ...options });
        watch.must(report.backend === backend, `served by ${report.backend}`);
        const seen = report.unresolved.filter(({ actual }) => actual?.size === CANARY_SIZE);
        counts.lookedOutside += seen.length;
        if ([...report.links, ...report.unresolved].some(({ path }) => exchanged.includes(path)))
          counts.metAsLink += 1;
        if (calm !== undefined)
          watch.must(neglected(course, calm).length === 0, `${backend}: not effective in turn ${number}`);
        rounds += 1;
      },
      () => rounds >= turns.length && counts.metAsLink > 0 && counts.changesOfExchanged > 0,
    ),
  );
  watch.exchanged(exchanges);
  return counts;
}
