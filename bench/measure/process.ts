import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import type { Tools } from './tools.ts';

/** What a process took. */
export interface Usage {
  seconds: number;
  /** User and system. */
  cpuSeconds?: number;
  peakMiB?: number;
}

/** A process that is over. */
export interface Run extends Usage {
  code: number;
  stdout: string;
  stderr: string;
}

const MAX_OUTPUT = 1 << 28;
/** Node 20 parses the certificates that this names at every start, a quarter of a chmod: they are no part of what is measured. */
export const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
const KIB_PER_MIB = 1024;

/** Run a command to its end and measure the whole of it. */
export function runProcess(
  tools: Tools,
  command: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Run {
  const { meter } = tools;
  const prefix = { wait4: (path: string) => [path], time: (path: string) => [path, '-q', '-f', '%U %S %M'] };
  const [file = '', ...args] =
    meter.kind === 'none' ? command : [...prefix[meter.kind](meter.command), ...command];
  const started = performance.now();
  const result = spawnSync(file, args, {
    cwd: tmpdir(),
    env: { ...environment, ...more },
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const seconds = (performance.now() - started) / 1000;
  if (result.error !== undefined) throw result.error;
  const { status, stdout, stderr } = result;
  const run: Run = { seconds, code: status ?? -1, stdout, stderr };
  if (meter.kind === 'wait4') {
    const [wall, cpu, kib, code] = numbers(result.output[3] ?? '');
    return { ...run, seconds: wall, cpuSeconds: cpu, peakMiB: kib / KIB_PER_MIB, code };
  }
  if (meter.kind === 'time') {
    const lines = stderr.trimEnd().split('\n');
    const [user, system, kib] = numbers(lines.at(-1) ?? '');
    const rest = lines.slice(0, -1).join('\n');
    return { ...run, stderr: rest, cpuSeconds: user + system, peakMiB: kib / KIB_PER_MIB };
  }
  return run;
}

function numbers(text: string): [number, number, number, number] {
  const [first = Number.NaN, second = Number.NaN, third = Number.NaN, fourth = 0] = text
    .trim()
    .split(' ')
    .map(Number);
  return [first, second, third, fourth];
}
