import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProcess } from './measure/process.ts';
import { type Spread, spreadOf } from './measure/statistics.ts';
import type { Tools } from './measure/tools.ts';
import { WrongResultError } from './measure/turn.ts';
import type { ArrivalsRequest, ArrivalsResult } from './programs/arrivals.mts';
import { say } from './progress.ts';
import type { TreeEntry } from './trees/entries.ts';
import { WorkTree } from './trees/work-tree.ts';
import { makeZip } from './trees/zip.ts';

/** How a pass ended whose files arrived while it ran. */
export interface MeasuredArrivals {
  /** Seconds that the files took to arrive. */
  arrivalSeconds: Spread;
  /** Seconds from the last arrival to the end of the pass. */
  secondsAfter: Spread;
  settleRounds: Spread;
  recovered: Spread;
  rounds: number[];
}

const ARRIVAL_MS = 1000;

/** J7: the pass begins with the first of the files, which another process writes over a second. Nobody else waits. */
export function measureArrivals(
  tools: Tools,
  entries: readonly TreeEntry[],
  folder: string,
  rounds: number,
): MeasuredArrivals {
  mkdirSync(folder);
  const original = WorkTree.make(join(folder, 'original'), entries);
  const manifest = join(folder, 'manifest.zip');
  makeZip(original.root, manifest);
  original.remove();
  const listing = join(folder, 'listing.json');
  writeFileSync(listing, JSON.stringify(entries));
  const root = join(folder, 'tree');
  const writer = tools.program('arrive', listing, root, String(ARRIVAL_MS)) as [string, ...string[]];
  const request: ArrivalsRequest = { dist: tools.index, root, manifest, writer };
  const results: ArrivalsResult[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    say(`J7: ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}`);
    const run = runProcess(tools, tools.program('arrivals', JSON.stringify(request)));
    if (run.code !== 0) throw new WrongResultError(`J7: ended with ${run.code}: ${run.stderr}`);
    const differences = WorkTree.existing(root, entries).differences(({ mode }) => mode);
    if (differences.length > 0) throw new WrongResultError(`J7: ${differences.join('; ')}`);
    rmSync(root, { recursive: true });
    if (round > 0) results.push(JSON.parse(run.stdout));
  }
  rmSync(folder, { recursive: true });
  const spread = (value: (result: ArrivalsResult) => number): Spread => {
    return spreadOf(results.map(value)) ?? { median: Number.NaN, min: Number.NaN, max: Number.NaN };
  };
  return {
    arrivalSeconds: spread((result) => result.arrivalSeconds),
    secondsAfter: spread((result) => result.seconds),
    settleRounds: spread((result) => result.rounds),
    recovered: spread((result) => result.recovered),
    rounds: results.map(({ seconds }) => seconds),
  };
}
