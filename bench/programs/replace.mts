/**
 * Replaces a tree many times while another process looks at it.
 *
 *     node replace.mjs '{ "dist": …, "destination": …, "stop": …, "reader": […], "times": 300 }'
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the program is asked for. */
export interface ReplaceRequest {
  /** Address of the built package's index. */
  dist: string;
  destination: string;
  /** File that tells the reader to stop. */
  stop: string;
  /** Command line of the reader. */
  reader: readonly string[];
  times: number;
}

/** What it prints. */
export interface ReplaceResult {
  seconds: number;
  looks: number;
  /** Looks that found nothing there. */
  nothing: number;
}

const { dist, destination, stop, reader, times }: ReplaceRequest = JSON.parse(process.argv[2] ?? '');
const { stageTree }: typeof import('../../lib/index.ts') = await import(dist);

const replace = (version: number) =>
  stageTree(destination, { existing: 'replace' }, ({ directory }) =>
    writeFileSync(join(directory, 'version'), `${version}`),
  );
await replace(0);
const [file = '', ...args] = reader;
const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
let said = '';
child.stdout.setEncoding('utf8').on('data', (text: string) => {
  said += text;
});
await once(child.stdout, 'data');
const started = performance.now();
for (let version = 1; version <= times; version += 1) await replace(version);
const seconds = (performance.now() - started) / 1000;
writeFileSync(stop, '');
await once(child, 'close');
const seen: Omit<ReplaceResult, 'seconds'> = JSON.parse(said.split('\n')[1] ?? '');
process.stdout.write(JSON.stringify({ seconds, ...seen }));
