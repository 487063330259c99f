/**
 * A pass in process: how long `applyPermissions` takes by itself, the manifest read before, and, where it is asked for, how
 * late the event loop was all the while.
 *
 *     node pass.mjs '{ "dist": …, "root": …, "manifest": …, "options": {…}, "watch": false }'
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import type { ApplyOptions } from '../../lib/index.ts';

/** What the program is asked for. */
export interface PassRequest {
  /** Address of the built package's index. */
  dist: string;
  root: string;
  /** Zip that is the manifest. */
  manifest?: string;
  options: ApplyOptions;
  watch: boolean;
}

/** What it prints. Delays are milliseconds between two turns of a timer of one millisecond. */
export interface PassResult {
  seconds: number;
  changed: number;
  delay?: { p50: number; p99: number; max: number };
}

const NS_PER_MS = 1e6;
/** Longer than the timer's resolution: the last stretch counts, too. */
const LAST_TURN_MS = 5;

const { dist, root, manifest: zip, options, watch }: PassRequest = JSON.parse(process.argv[2] ?? '');
const { applyPermissions, readZipManifest }: typeof import('../../lib/index.ts') = await import(dist);
const manifest = zip === undefined ? undefined : await readZipManifest(zip);

const histogram = watch ? monitorEventLoopDelay({ resolution: 1 }) : undefined;
histogram?.enable();
if (watch) await setTimeout(LAST_TURN_MS);
histogram?.reset();
const started = performance.now();
const report = await applyPermissions(root, { ...options, manifest });
const seconds = (performance.now() - started) / 1000;
if (watch) await setTimeout(LAST_TURN_MS);
histogram?.disable();

const result: PassResult = { seconds, changed: report.counts.changed };
if (histogram !== undefined) {
  const [p50, p99, max] = [histogram.percentile(50), histogram.percentile(99), histogram.max];
  result.delay = { p50: p50 / NS_PER_MS, p99: p99 / NS_PER_MS, max: max / NS_PER_MS };
}
process.stdout.write(JSON.stringify(result));
