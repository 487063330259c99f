/**
 * A pass that begins while another process writes the tree: how long after the last arrival it ends, with everything
 * resolved.
 *
 *     node arrivals.mjs '{ "dist": …, "root": …, "manifest": …, "writer": […] }'
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** What the program is asked for. */
export interface ArrivalsRequest {
  /** Address of the built package's index. */
  dist: string;
  root: string;
  /** Zip that is the manifest. */
  manifest: string;
  /** Command that prints when it began and when the last entry was there. */
  writer: readonly [string, ...string[]];
}

/** What it prints. `seconds` is the time after the last arrival. */
export interface ArrivalsResult {
  seconds: number;
  arrivalSeconds: number;
  rounds: number;
  recovered: number;
}

const NS_PER_SECOND = 1e9;

const { dist, root, manifest: zip, writer }: ArrivalsRequest = JSON.parse(process.argv[2] ?? '');
const { applyPermissions, readZipManifest }: typeof import('../../lib/index.ts') = await import(dist);
const manifest = await readZipManifest(zip);

const child = spawn(writer[0], writer.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
let printed = '';
child.stdout.setEncoding('utf8').on('data', (text: string) => {
  printed += text;
});
const closed = once(child, 'close');
await once(child.stdout, 'data');
const report = await applyPermissions(root, { manifest });
const ended = process.hrtime.bigint();
const [code] = await closed;
if (code !== 0) throw new Error(`the writer ended with ${code}`);
const [began = 0n, last = 0n] = printed.trim().split('\n').map(BigInt);
const result: ArrivalsResult = {
  seconds: Number(ended - last) / NS_PER_SECOND,
  arrivalSeconds: Number(last - began) / NS_PER_SECOND,
  rounds: report.settle.rounds,
  recovered: report.settle.recovered,
};
process.stdout.write(JSON.stringify(result));
