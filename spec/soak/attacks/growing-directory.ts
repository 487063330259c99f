import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../../../lib/directory/errors.ts';
import { whileAttacking } from '../../helpers/exchange.ts';
import { extent } from '../../helpers/extent.ts';
import { attackedPasses } from '../../helpers/passes.ts';
import { runtime } from '../../helpers/runtime.ts';
import { modeOf } from '../../helpers/tree.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import { type Course, calmCourse, neglected } from '../course.ts';

const attacker = new URL('../attackers/grow.py', import.meta.url);
/** As many files as are made in the end: what the disk can bear. */
const MOST = extent({ short: 4000, full: 80_000 });
/** As many as must be there before the bound is looked at. */
const MANY = extent({ short: 3000, full: 30_000 });
/** How many times less a pass takes that stops early; a short listing is soon done. */
const LESS = extent({ short: 0.5, full: 3 });
const MAX_ENTRIES = extent({ short: 200, full: 1000 });

/**
 * A directory grows without end while it is listed. With `maxEntries` the pass is rejected, and what it takes does not
 * grow with the directory; without, it does its work on what it finds, and ends.
 */
export async function growingDirectory(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('the attacker needs Linux');
  return underWatch(async (watch) => {
    const course = calmCourse();
    const growing = join(course.root, 'growing');
    mkdirSync(growing);
    watch.exchanged(
      await whileAttacking(attacker, [growing, String(MOST)], async () => {
        await bounded(watch, seconds * 0.4, course, growing);
        await unbounded(watch, seconds * 0.3, course);
      }),
    );
    const grown = readdirSync(growing);
    watch.figure(`${grown.length} entries in the end`);
    // The directory rests: now everything in it must be found.
    for (const { apply, backend } of attackedPasses) {
      const { counts } = await apply(course.root, { mode: 0o644 });
      watch.must(
        counts.visited === grown.length + course.paths.length + 2,
        `${backend}: visited ${counts.visited}`,
      );
      const last = grown.at(-1) ?? '';
      watch.must(modeOf(growing, last) === 0o644, `${backend}: ${last} was left out`);
    }
  });
}

async function bounded(watch: Watch, seconds: number, course: Course, growing: string): Promise<void> {
  while (!existsSync(join(growing, `n${MANY - 1}`))) await sleep(1);
  for (const { apply, backend } of attackedPasses) {
    // Bun's opendir reads a directory to its end: there native calls are what keeps a listing bounded.
    const isPromised = runtime !== 'bun' || backend === 'native';
    // The shortest of many: whatever else the machine does, only what is really done takes time in each of them.
    const shortest = { pass: Number.POSITIVE_INFINITY, listing: Number.POSITIVE_INFINITY };
    let rounds = 0;
    const round = async () => {
      rounds += 1;
      let started = performance.now();
      const outcome = await apply(course.root, { mode: 0o600, maxEntries: MAX_ENTRIES }).then(
        () => 'resolved',
        (error: unknown) => errorCode(error) ?? String(error),
      );
      shortest.pass = Math.min(shortest.pass, performance.now() - started);
      watch.must(outcome === 'ERR_PERMWALK_MAX_ENTRIES', `${backend}, maxEntries: ${outcome}`);
      started = performance.now();
      readdirSync(growing, { withFileTypes: true });
      shortest.listing = Math.min(shortest.listing, performance.now() - started);
    };
    const isShort = () => shortest.pass < shortest.listing / LESS;
    await watch.rounds(
      seconds / attackedPasses.length,
      round,
      () => rounds >= 5 && (isShort() || !isPromised),
    );
    const figure = `a pass with maxEntries ${MAX_ENTRIES}: ${shortest.pass.toFixed(1)} ms`;
    watch.figure(`${backend}: ${figure}; a listing of all: ${shortest.listing.toFixed(1)} ms`);
    watch.must(isShort() || !isPromised, `${backend}: ${figure}: it lists far more than it may use`);
  }
}

async function unbounded(watch: Watch, seconds: number, course: Course): Promise<void> {
  const round = async (number: number) => {
    const mode = number % 2 === 0 ? 0o600 : 0o640;
    for (const { apply, backend } of attackedPasses) {
      const { unresolved } = await apply(course.root, { mode, strict: false });
      watch.must(unresolved.length === 0, `${backend}: ${unresolved[0]}`);
      watch.must(neglected(course, mode).length === 0, `${backend}: not effective in round ${number}`);
    }
  };
  await watch.rounds(seconds, round);
}
