import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MeasuredArrivals } from './arrivals.ts';
import type { EventLoopDelay } from './delay.ts';
import type { Unfit } from './fitness.ts';
import type { Machine } from './machine.ts';
import type { MeasuredGroup } from './measure/rounds.ts';
import { jobIds } from './options.ts';
import type { MeasuredPart } from './parts.ts';
import type { MeasuredReplacing } from './replacing.ts';
import type { SystemCalls } from './syscalls.ts';
import type { TreeFacts } from './trees/entries.ts';

/** Everything that was measured of a job on one tree. */
export interface MeasuredTree {
  name: string;
  origin: string;
  facts: TreeFacts;
  /** Debian packages that were not to be had. */
  missing: string[];
  groups: MeasuredGroup[];
  eventLoop?: EventLoopDelay[];
  systemCalls?: SystemCalls[];
}

/** One file of results. */
export interface Results {
  job: string;
  title: string;
  machine: Machine;
  /** Who goes wrong on a tree with links, found on a small one. */
  unfit?: Unfit[];
  /** The first one is what the table tells of. */
  trees?: MeasuredTree[];
  arrivals?: MeasuredArrivals;
  replacing?: MeasuredReplacing[];
  parts?: MeasuredPart[];
}

const DIGITS = 5;
const LINE_WIDTH = 110;

/** Write the results of one job. */
export function writeResults(folder: string, results: Results): void {
  mkdirSync(folder, { recursive: true });
  const short = (_: string, value: unknown) => {
    return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  };
  const text = JSON.stringify(results, short, 2).replace(/^.*\[\n[^[\]{}]*\],?$/gm, onOneLine);
  writeFileSync(join(folder, `${results.job}.json`), `${text}\n`);
}

/** A list of plain values on one line where it fits, as the linter wants it. */
function onOneLine(list: string): string {
  const line = list
    .replace(/\[\n\s*/, '[')
    .replace(/\n\s*\]/, ']')
    .replace(/,\n\s*/g, ', ');
  return line.length <= LINE_WIDTH ? line : list;
}

/** Read what is there, in the order of the jobs. */
export function readResults(folder: string): Results[] {
  const files = jobIds.map((job) => join(folder, `${job}.json`)).filter((file) => existsSync(file));
  return files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
}
