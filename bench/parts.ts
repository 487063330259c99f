import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Bench } from 'tinybench';
import type { Tools } from './measure/tools.ts';
import { say } from './progress.ts';
import type { TreeEntry } from './trees/entries.ts';

/** One part of the library by itself. */
export interface MeasuredPart {
  name: string;
  /** Median milliseconds for the whole of the tree. */
  milliseconds: number;
  /** Half of the 95 % confidence interval, relative to the mean, in percent. */
  marginPercent: number;
  samples: number;
}

/** For how long each part is measured, and how often at the least. */
export interface Effort {
  milliseconds: number;
  samples: number;
}

/**
 * Parts of the library by themselves, by tinybench, each over the whole tree: what its modules export today. A part that
 * is no longer there is left out, and named on stderr.
 */
export async function measureParts(
  tools: Tools,
  zip: string,
  entries: readonly TreeEntry[],
  { milliseconds, samples }: Effort,
): Promise<MeasuredPart[]> {
  const bench = new Bench({
    time: milliseconds,
    iterations: samples,
    warmupTime: 0,
    warmupIterations: 1,
  });
  const add = async (name: string, prepare: () => Promise<() => unknown>): Promise<void> => {
    try {
      const run = await prepare();
      await run();
      bench.add(name, run);
    } catch (error) {
      say(`parts: ${name} is left out: ${error instanceof Error ? error.message : error}`);
    }
  };
  const load = (path: string): Promise<unknown> => import(pathToFileURL(join(tools.dist, path)).href);

  await add('a mode for each entry', async () => {
    const { compileMode } = (await load('modes/mode.js')) as typeof import('../lib/modes/mode.ts');
    const rule = compileMode('a+rX', 0o022);
    return () =>
      entries.reduce((sum, { mode, type }) => sum + rule(mode, type === 'directory', undefined, false), 0);
  });
  await add('two globs for each path', async () => {
    const { compileGlobs } = (await load('globs/compile.js')) as typeof import('../lib/globs/compile.ts');
    const matches = await compileGlobs('executable', ['**/*.{so,dylib}', '**/bin/*']);
    return () => entries.filter(({ path }) => matches?.matches(path)).length;
  });
  await add('readZipManifest', async () => {
    const { readZipManifest } = (await load('index.js')) as typeof import('../lib/index.ts');
    return () => readZipManifest(zip);
  });
  await add('the plan of a manifest', async () => {
    const { readZipManifest } = (await load('index.js')) as typeof import('../lib/index.ts');
    const { planOf } = (await load('pass/planner.js')) as typeof import('../lib/pass/planner.ts');
    const { runAtOnce, Slices } = (await load('slices.js')) as typeof import('../lib/slices.ts');
    const { entries: listed } = await readZipManifest(zip);
    return () => runAtOnce(planOf(undefined, listed, new Slices()));
  });

  say('parts of the library');
  const tasks = await bench.run();
  return tasks.flatMap(({ name, result }) => {
    if (!('latency' in result)) return [];
    const { p50, rme, samplesCount } = result.latency;
    return [{ name, milliseconds: p50, marginPercent: rme, samples: samplesCount }];
  });
}
