/**
 * Fuzzes readManifest with mutations of real archives. Each input gives a manifest or a ManifestError: it does not hang,
 * nothing else is thrown, and memory stays bounded. `npm run fuzz -- --help` says how.
 */
import { fork } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scriptPath } from '../helpers/runtime.ts';
import { makeCorpus } from './corpus.ts';
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
