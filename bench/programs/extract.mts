/**
 * An extractor command, bare or wrapped: how long the extraction takes in process.
 *
 *     node extract.mjs '{ "dist": …, "archive": …, "destination": …, "command": […], "wrapped": true }'
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';

/** What the program is asked for. `{archive}` and `{destination}` in the command are filled in. */
export interface ExtractRequest {
  /** Address of the built package's index. */
  dist: string;
  archive: string;
  destination: string;
  command: readonly string[];
  wrapped: boolean;
}

const { dist, archive, destination, command, wrapped }: ExtractRequest = JSON.parse(process.argv[2] ?? '');
const { wrapExtractor }: typeof import('../../lib/index.ts') = await import(dist);

function start(source: string, directory: string) {
  const filled = command.map((part) => part.replace('{archive}', source).replace('{destination}', directory));
  return spawn(filled[0] ?? '', filled.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function bare(): Promise<void> {
  mkdirSync(destination);
  const [code] = await once(start(archive, destination), 'close');
  if (code !== 0) throw new Error(`the extractor ended with ${code}`);
}

const started = performance.now();
if (wrapped) await wrapExtractor(start)(archive, destination);
else await bare();
process.stdout.write(JSON.stringify({ seconds: (performance.now() - started) / 1000 }));
