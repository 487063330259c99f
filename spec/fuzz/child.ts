/**
 * Gives inputs to readManifest, one after the other, and says over IPC what went wrong. Where it is stands in a file, so
 * that who watches it knows even when it hangs.
 *
 *     child.ts <corpus> <scratch> <seed> <from> <to>
 */
import { mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ManifestError } from '../../lib/errors.ts';
import type { Manifest } from '../../lib/manifest/manifest.ts';
import { readManifest } from '../../lib/manifest/read.ts';
import { readZipManifest } from '../../lib/manifest/zip.ts';
import { readCorpus, type Sample } from './corpus.ts';
import { MAX_GROWTH, type Message, POSITION } from './fuzz.ts';
import { mutate } from './mutate.ts';

const [corpusDirectory = '', scratch = '', ...numbers] = process.argv.slice(2);
const [seed = 0, from = 0, to = 0] = numbers.map(Number);

const corpus = readCorpus(corpusDirectory);
const position = openSync(join(scratch, POSITION), 'r+');
let number = from;
let manifests = 0;

function say(message: Message): void {
  process.send?.(message);
}

function fail(what: string): void {
  say({ number, what, manifests });
}

process.on('unhandledRejection', (error) => fail(`unhandled rejection: ${describe(error)}`));
process.on('uncaughtException', (error) => fail(`uncaught exception: ${describe(error)}`));

function describe(error: unknown): string {
  return error instanceof Error ? `${error.stack ?? error}` : String(error);
}

/** Whether there is a manifest; else there is a ManifestError. Anything else is what must not be. */
async function isManifest(reading: () => Promise<Manifest>): Promise<boolean> {
  try {
    const { entries, warnings, warningCount } = await reading();
    const leadsOut = (path: string) => path.startsWith('/') || /(^|\/)\.\.(\/|$)|^$|\0/.test(path);
    const wrong = entries.find(({ path, alternative = 'a' }) => leadsOut(path) || leadsOut(alternative));
    if (wrong !== undefined) fail(`a path that leads out: ${JSON.stringify(wrong)}`);
    const spellings = entries.flatMap(({ path, alternative }) => [path, alternative ?? []].flat());
    if (new Set(spellings).size < spellings.length) fail('a path that two entries have');
    if (warnings.length > Math.min(warningCount, 1000)) fail(`${warnings.length} warnings`);
    return true;
  } catch (error) {
    if (!(error instanceof ManifestError)) fail(describe(error));
    return false;
  }
}

async function read({ name, bytes }: Sample): Promise<void> {
  const path = join(scratch, name);
  const isRecord = name.includes('/');
  if (isRecord) mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, bytes);
  if (await isManifest(() => readManifest(isRecord ? scratch : path))) manifests += 1;
  if (/\.(zip|mcpb)$/.test(name)) await isManifest(() => readZipManifest(bytes));
  rmSync(isRecord ? join(path, '..') : path, { recursive: true });
}

const peak = (): number => process.resourceUsage().maxRSS / 1024;
// What is loaded once is loaded by then.
for (const sample of corpus) await read(sample);
const before = peak();
manifests = 0;
for (; number < to; number += 1) {
  writeSync(position, `${number}\n`, 0);
  await read(mutate(corpus, seed, number));
  if (peak() - before <= MAX_GROWTH) continue;
  fail(`grew by ${Math.round(peak() - before)} MiB in ${number - from + 1} inputs`);
  break;
}
say({ number: Math.min(number + 1, to), what: 'done', manifests });
