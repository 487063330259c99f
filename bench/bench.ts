/**
 * Measures the built package against what people use today, on large Python trees.
 *
 *     npm run bench [-- --quick]
 *
 * Every run begins with the same modes, takes its turn among the others, and counts only when every mode afterwards is
 * what it must be. Results, charts and a table go to `bench/results`.
 */
import { join } from 'node:path';
import { measureArrivals } from './arrivals.ts';
import { type MeasureBundle, measureBundles } from './bundle.ts';
import { drawCharts } from './charts.ts';
import type { Contender } from './contenders.ts';
import { measureExtraction } from './extraction.ts';
import { findUnfit } from './fitness.ts';
import { makeFolder } from './folder.ts';
import { type Job, listJobs } from './jobs.ts';
import { describeMachine } from './machine.ts';
import { measureJob } from './measure/job.ts';
import { isInstalled, prepareTools, type Tools } from './measure/tools.ts';
import { type BenchOptions, readOptions, resultsFolder, resultsPage, usage } from './options.ts';
import { measureParts } from './parts.ts';
import { say } from './progress.ts';
import { measureRelinking, withLinks } from './relinking.ts';
import { measureReplacing } from './replacing.ts';
import { type MeasuredTree, type Results, readResults, writeResults } from './results.ts';
import { embedTable, writeTable } from './table.ts';
import { factsOf } from './trees/entries.ts';
import { generateTree } from './trees/generated.ts';
import { Place } from './trees/place.ts';
import { type FoundTree, findRealTree } from './trees/real.ts';
import { measureShape, readShape, writeShape } from './trees/shape.ts';
import { measureRecording, measureVerification } from './verification.ts';

/** Files of generated trees are small: their sizes are compared, their content is only ever zipped. */
const GENERATED_SIZE = 1024;
const LINKED_ENTRIES = { quick: 1000, full: 20_000 };
const ARRIVING_ENTRIES = { quick: 2000, full: 5000 };
const PARTS = { quick: { milliseconds: 1, samples: 2 }, full: { milliseconds: 2000, samples: 5 } };

/** All that is the same for the whole of a benchmark. */
interface Bench {
  options: BenchOptions;
  tools: Tools;
  /** Folder that is removed in the end. */
  folder: string;
  record(job: string, title: string, results: Partial<Results>): void;
}

async function main(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  if (options === 'help') {
    process.stdout.write(usage);
  } else if (options.isMeasuringShape) {
    const { entries, origin } = findRealTree(options.tree);
    writeShape(measureShape(entries, origin));
  } else {
    if (!options.isRendering) await measure(options, args);
    const results = readResults(options.out);
    drawCharts(options.out, results);
    writeTable(options.out, results);
    if (options.out === resultsFolder) embedTable(resultsPage, resultsFolder);
    say(`results are in ${options.out}`);
  }
}

async function measure(options: BenchOptions, args: readonly string[]): Promise<void> {
  process.umask(0o022);
  const tools = prepareTools(options.dist, options.runtimes);
  const folder = makeFolder(options.on);
  const machine = describeMachine(folder, args);
  const bench: Bench = {
    options,
    tools,
    folder,
    record: (job, title, results) => writeResults(options.out, { job, title, machine, ...results }),
  };
  const hasZip = isInstalled('zip', '-v');
  if (!hasZip) say('zip is not installed: all but J3, J4, J5 and J11 is left out');
  const isAsked = (job: string) =>
    options.only.includes(job) && (hasZip || ['J3', 'J4', 'J5', 'J11'].includes(job));
  const jobs = besideOf(options, listJobs(tools, options.peers)).filter(({ id }) => isAsked(id));
  await measureTrees(bench, jobs, isAsked('parts'));
  measureBundles(
    { tools, folder: join(folder, 'bundle'), rounds: options.rounds, isQuick: options.isQuick },
    bundleJobs
      .filter(({ id }) => isAsked(id))
      .map(({ id, title, measure }) => ({
        measure,
        record: (trees) => bench.record(id, title, { trees }),
      })),
  );
  const generate = (size: { quick: number; full: number }) =>
    generateTree(readShape(), options.isQuick ? size.quick : size.full, { maxSize: GENERATED_SIZE });
  if (isAsked('J7')) {
    const entries = generate(ARRIVING_ENTRIES);
    const arrivals = measureArrivals(tools, entries, join(folder, 'arrivals'), options.rounds);
    bench.record('J7', 'files that arrive during the pass', { arrivals });
  }
  if (isAsked('J10')) {
    const entries = withLinks(generate(LINKED_ENTRIES));
    const groups = measureRelinking(tools, entries, join(folder, 'links'), options.rounds);
    const origin = 'generated in the measured shape, with a link beside every fourth file';
    const trees = [{ name: 'links', origin, facts: factsOf(entries), missing: [], groups }];
    bench.record('J10', 'links that became files, from a zip', { trees });
  }
  if (isAsked('J11')) {
    const replacing = measureReplacing(tools, join(folder, 'replacing'), options.isQuick);
    bench.record('J11', 'replaced while another process looks', { replacing });
  }
}

/** Jobs with those who were asked for, and those who were added. */
function besideOf({ beside, peers }: BenchOptions, jobs: Job[]): Job[] {
  if (beside === undefined) return jobs;
  const known = jobs.flatMap(({ contenders }) => contenders.map(({ name }) => name));
  const unknown = beside.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`--beside: ${unknown.join(', ')} is none of ${known.join(', ')}`);
  const added = peers.map((text) => text.split('=')[0] ?? '');
  const stays = ({ kind, name }: Contender) => kind !== 'peer' || [...beside, ...added].includes(name);
  return jobs.map((job) => ({ ...job, contenders: job.contenders.filter(stays) }));
}

/** J1 to J5 and the parts, tree by tree: the first one for all of them, the others for how they grow. */
async function measureTrees(bench: Bench, jobs: readonly Job[], needsParts: boolean): Promise<void> {
  const { options, tools, folder } = bench;
  const unfit = new Map(jobs.map((job) => [job, findUnfit(tools, job, folder)]));
  for (const [{ id }, found] of unfit) for (const { reason } of found) say(`${id}, with links: ${reason}`);
  const measured = new Map<Job, MeasuredTree[]>(jobs.map((job) => [job, []]));
  for (const [index, find] of treesToMeasure(options).entries()) {
    const due = jobs.filter(({ scales }) => index === 0 || scales);
    const isForParts = index === 0 && needsParts;
    if (due.length === 0 && !isForParts) continue;
    const found = find();
    say(`tree ${found.name}: ${found.entries.length} entries, from ${found.origin}`);
    for (const name of found.missing) say(`not to be had: ${name}`);
    const place = new Place(folder, found);
    for (const job of due) {
      const trees = measured.get(job) ?? [];
      trees.push(measureJob(tools, options, job, place, unfit.get(job) ?? [], index === 0));
      bench.record(job.id, job.title, { unfit: unfit.get(job) ?? [], trees });
    }
    if (isForParts) {
      const effort = options.isQuick ? PARTS.quick : PARTS.full;
      const parts = await measureParts(tools, place.zip(true), found.entries, effort);
      bench.record('parts', 'parts of the library, over the whole tree', { parts });
    }
    place.remove();
  }
}

/** Each tree is found when its turn comes: a million entries need not be held all the time. */
function treesToMeasure({ isGeneratedOnly, sizes, tree }: BenchOptions): (() => FoundTree)[] {
  const generated = sizes.map((size) => (): FoundTree => {
    const entries = generateTree(readShape(), size, { maxSize: GENERATED_SIZE });
    return { name: `generated ${size}`, origin: 'generated in the measured shape', entries, missing: [] };
  });
  if (isGeneratedOnly) return generated;
  return [() => findRealTree(tree), ...generated];
}

/** What is measured on a tree with content. */
const bundleJobs: readonly { id: string; title: string; measure: MeasureBundle }[] = [
  { id: 'J6', title: 'wrapped against bare extraction', measure: measureExtraction },
  { id: 'J8', title: 'compared with a manifest, and brought back', measure: measureVerification },
  { id: 'J9', title: 'written down as a manifest', measure: measureRecording },
];

try {
  await main(process.argv.slice(2));
} catch (error) {
  const isOurs = error instanceof Error && error.name === 'WrongResultError';
  process.stderr.write(`bench: ${error instanceof Error ? (isOurs ? error.message : error.stack) : error}\n`);
  process.exitCode = 1;
}
