import { spawn } from 'node:child_process';
import { uvuArguments } from '../helpers/runtime.ts';
import type { Workplace } from './copy.ts';

/** What came of the specs that one process ran. */
export interface SpecResult {
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  output: string;
}

const MAX_MINUTES = 10;

/** Run specs, by the names of their files, in one process. */
export async function runSpecs(
  command: readonly string[],
  names: readonly string[],
  { checkout, user, environment }: Workplace,
  areBuilt = false,
): Promise<SpecResult> {
  const [program = '', ...args] = command;
  const started = performance.now();
  const child = spawn(program, [...args, ...uvuArguments(names, areBuilt)], {
    cwd: checkout,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: what a spec that hangs has started is ended with it.
    detached: true,
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const endGroup = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  const limit = setTimeout(() => {
    output += `\nnot done after ${MAX_MINUTES} minutes\n`;
    endGroup();
  }, MAX_MINUTES * 60_000);
  process.once('exit', endGroup);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', (exitCode, signal) => {
      if (signal !== null) output += `\nended by ${signal}\n`;
      resolve(exitCode);
    });
  });
  clearTimeout(limit);
  process.off('exit', endGroup);
  const count = (name: string) => Number(new RegExp(`^ +${name}: +(\\d+)`, 'm').exec(output)?.[1] ?? 0);
  const passed = count('Passed');
  const skipped = count('Skipped');
  // uvu counts what is skipped in neither; a process that dies says no total.
  const failed = Math.max(count('Total') - passed, code === 0 ? 0 : 1);
  return { passed, failed, skipped, seconds: (performance.now() - started) / 1000, output };
}

/** Lines of the output that say what was skipped, and why. */
export function skipsIn(output: string): string[] {
  return output
    .split('\n')
    .filter((line) => /\bskipped\b/.test(line))
    .map((line) => line.replace(/^.*[•✘] +|^\s+/, ''));
}
