/**
 * Fuzzes readManifest with mutations of real archives. Each input gives a manifest or a ManifestError: it does not hang,
 * nothing else is thrown, and memory stays bounded.
 *
 *     npm run fuzz -- --inputs 200000 --seed 1          prints what was found; exit 1 where anything was
 *     npm run fuzz -- --readers --inputs 200000         what Python and libarchive read otherwise, see differential.ts
 *     npm run fuzz -- --seed 1 --only 4711              one input again, kept in a file
 */
import { fork } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { scriptPath } from '../helpers/runtime.ts';
import { makeCorpus, readCorpus, type Sample } from './corpus.ts';
import { archivesIn, compareReaders } from './differential.ts';
import { mutate } from './mutate.ts';
import { reshape } from './reshape.ts';
import { makeScratch } from './scratch.ts';

/** MiB by which the peak of a process that reads inputs may grow. */
export const MAX_GROWTH = 200;
/** The file in which the child says where it is. */
export const POSITION = 'position';
/** An input that takes longer hangs. Most take a thousandth of it, even where much else is running. */
const HANG_MS = 30_000;

/** What the child says: something wrong with an input, or how far it came. */
export interface Message {
  number: number;
  what: string;
  /** How many inputs gave a manifest by then. */
  manifests: number;
}

/** An input that gave what it must not. */
export type Finding = Pick<Message, 'number' | 'what'>;

/** What was found, and how much was looked at. */
export interface FuzzResult {
  inputs: number;
  /** How many gave a manifest. */
  manifests: number;
  findings: Finding[];
}

/** Give so many inputs to readManifest, from a number on or until a time is over. */
export async function fuzz(
  seed: number,
  { from = 0, inputs, ms = Number.POSITIVE_INFINITY }: { from?: number; inputs: number; ms?: number },
): Promise<FuzzResult> {
  const directory = makeScratch();
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  const result: FuzzResult = { inputs: 0, manifests: 0, findings: [] };
  const end = performance.now() + ms;
  let next = from;
  try {
    makeCorpus(join(directory, 'corpus'));
    while (next < from + inputs && performance.now() < end) {
      next = await runChild(directory, seed, next, from + inputs, end, result);
    }
  } finally {
    process.off('exit', remove);
    remove();
  }
  return { ...result, inputs: next - from };
}

/** Run one child to its end. Returns the number of the first input that it did not read. */
async function runChild(
  directory: string,
  seed: number,
  from: number,
  to: number,
  end: number,
  result: FuzzResult,
): Promise<number> {
  const scratch = join(directory, 'scratch');
  const positionFile = join(scratch, POSITION);
  const script = scriptPath(new URL('child.ts', import.meta.url));
  const parameters = [join(directory, 'corpus'), scratch, ...[seed, from, to].map(String)];
  writeFileSync(positionFile, `${from}\n`);
  const child = fork(script, parameters);
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  let done: number | undefined;
  child.on('message', (message: Message) => {
    if (message.what === 'done') done = message.number;
    else result.findings.push({ number: message.number, what: message.what });
    if (done !== undefined) result.manifests += message.manifests;
  });
  const position = (): number => Number.parseInt(readFileSync(positionFile, 'utf8'), 10);
  let last = { position: -1, since: performance.now() };
  const watchdog = setInterval(() => {
    const now = performance.now();
    if (position() !== last.position) last = { position: position(), since: now };
    const isHanging = now - last.since > HANG_MS;
    if (isHanging) result.findings.push({ number: last.position, what: `hangs for more than ${HANG_MS} ms` });
    if (isHanging || now > end) kill();
  }, 100);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on('error', reject).on('close', (...how) => resolve(how));
  });
  clearInterval(watchdog);
  process.off('exit', kill);
  if (done !== undefined) return done;
  if (signal !== 'SIGKILL')
    result.findings.push({ number: position(), what: `ended with ${signal ?? code}` });
  return position() + 1;
}

/** Write one input to a file of the working directory. */
function keep(seed: number, number: number, isCompared: boolean): string {
  const directory = makeScratch();
  try {
    const { name, bytes } = isCompared
      ? reshape(archivesIn(join(directory, 'corpus')), seed, number)
      : mutate(corpusIn(join(directory, 'corpus')), seed, number);
    const path = `fuzz-${seed}-${number}-${basename(name)}`;
    writeFileSync(path, bytes);
    return path;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function corpusIn(directory: string): Sample[] {
  makeCorpus(directory);
  return readCorpus(directory);
}

async function main(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const { values } = parseArgs({
    options: {
      ...{ inputs: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
      readers: { type: 'boolean', default: false },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const from = Number(values.only ?? 0);
  const started = performance.now();
  if (values.only !== undefined) console.log(`kept in ${keep(seed, from, values.readers)}`);
  const count = values.only === undefined ? Number(values.inputs ?? 10_000) : 1;
  const compared = values.readers ? await compareReaders(seed, { from, inputs: count }) : undefined;
  const { inputs, manifests, findings } = compared ?? (await fuzz(seed, { from, inputs: count }));
  const flags = `--seed ${seed}${values.readers ? ' --readers' : ''}`;
  for (const { number, what } of findings) console.log(`${flags} --only ${number}: ${what}`);
  for (const [name, times] of compared?.known ?? []) console.log(`${String(times).padStart(8)} ${name}`);
  if (compared !== undefined) console.log(`${String(compared.alike).padStart(8)} alike`);
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `${inputs} inputs of seed ${seed} in ${seconds} s: ${manifests} manifests, ${findings.length} findings`,
  );
  process.exitCode = findings.length === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
