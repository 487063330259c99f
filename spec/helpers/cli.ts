import { type ChildProcess, fork, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zipSync } from 'fflate';
import type { PermissionReport } from '../../lib/report.ts';
import { extent } from './extent.ts';
import { javascriptCommand, runtime } from './runtime.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** The command line of permwalk as the modules that it is bundled from. */
export const modulesCommand: readonly [string, ...string[]] = [
  ...javascriptCommand,
  join(repository, 'dist/cli/main.js'),
];

/**
 * The command line of permwalk as it is shipped: start-up is what most of its specs would wait for. Coverage is counted by the modules
 * that it is bundled from.
 */
export const cliCommand: readonly [string, ...string[]] =
  process.env.NODE_V8_COVERAGE === undefined
    ? [...javascriptCommand, join(repository, 'dist/bin/permwalk.js')]
    : modulesCommand;

/** How a child ended and all that it wrote. */
export interface CliResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A child that is still running. */
export interface RunningCli {
  child: ChildProcess;
  result: Promise<CliResult>;
  /** Send it a signal. By its id: some runtimes think that `child.kill` ends whatever it is sent to. */
  send(signal: NodeJS.Signals): void;
  /** Resolves once what was written to a stream matches; rejects when the child ends before. */
  seen(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<void>;
}

/** The environment of a child: nothing of the surroundings changes its output, or has it read certificates at its start. */
export function cliEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { CI, NO_COLOR, FORCE_COLOR, NODE_EXTRA_CA_CERTS, ...rest } = process.env;
  return { ...rest, TERM: 'xterm', ...extra };
}

/** Start a command and gather its output. */
export function start(command: readonly string[], options: SpawnOptions = {}): RunningCli {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: cliEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      written[name] += text;
    });
  }
  const result = new Promise<CliResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, ...written }));
  });
  const seen = (name: 'stdout' | 'stderr', pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (pattern.test(written[name])) resolve();
      };
      child[name]?.on('data', look);
      child.on('close', () => reject(new Error(`${pattern} never came; ${JSON.stringify(written)}`)));
      look();
    });
  const send = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined) process.kill(child.pid, signal);
  };
  return { child, result, send, seen };
}

/** Start permwalk. */
export function startCli(args: readonly string[], options?: SpawnOptions): RunningCli {
  return start([...cliCommand, ...args], options);
}

/** Run permwalk to its end, in a process of its own. */
export function runCliAlone(args: readonly string[], options?: SpawnOptions): Promise<CliResult> {
  return startCli(args, options).result;
}

/** Where the command runs for what is about its output and its exit code. */
interface CliPlace {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** In the short run one process runs the command again and again: its start takes ten times as long as most of what it does. */
export const sharesProcess =
  runtime === 'node' && cliCommand !== modulesCommand && extent({ short: true, full: false });
let shared: ChildProcess | undefined;
/** Calls that wait for an answer, the first one first. */
const waiting: { resolve(result: CliResult): void; reject(error: Error): void }[] = [];

function startShared(): ChildProcess {
  const child = fork(fileURLToPath(new URL('run-commands.js', import.meta.url)), cliCommand.slice(1), {
    env: cliEnvironment(),
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  const stderr = child.stderr as Socket;
  stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.on('message', (result: CliResult) => waiting.shift()?.resolve(result));
  child.on('close', (code, signal) => {
    shared = undefined;
    const error = new Error(`the command ended its process with ${code ?? signal}: ${errors}`);
    for (const { reject } of waiting.splice(0)) reject(error);
  });
  return child;
}

/** Between two calls it does not keep this process alive, and ends with it. */
function hold(child: ChildProcess, isHeld: boolean): void {
  for (const handle of [child, child.channel, child.stderr as Socket]) {
    if (isHeld) handle?.ref();
    else handle?.unref();
  }
}

/** Run permwalk to its end. */
export async function runCli(args: readonly string[], { cwd, env }: CliPlace = {}): Promise<CliResult> {
  if (!sharesProcess) return runCliAlone(args, { ...(cwd && { cwd }), ...(env && { env }) });
  const child = shared ?? startShared();
  shared = child;
  hold(child, true);
  const result = new Promise<CliResult>((resolve, reject) => waiting.push({ resolve, reject }));
  child.send({
    args,
    cwd: realpathSync(cwd ?? process.cwd()),
    env: env ?? cliEnvironment(),
    umask: process.umask(),
  });
  return result.finally(() => hold(child, waiting.length > 0));
}

/** Run permwalk with `--json` and return its report beside its exit code. */
export async function runJson(
  args: readonly string[],
  options?: CliPlace,
): Promise<{ code: number | null; report: PermissionReport }> {
  const { code, stdout, stderr } = await runCli([...args, '--json'], options);
  try {
    return { code, report: JSON.parse(stdout) };
  } catch {
    throw new Error(`no report on stdout: ${stdout}${stderr}`);
  }
}

/** What a tree is made of: path to mode and content, or to the target of a link. A path with `/` at its end is a directory. */
export type TreePlan = Record<string, { mode?: number; content?: string; link?: string }>;

/** Make a tree below `root`; directories get their modes last. */
export function makeTree(root: string, plan: TreePlan): string {
  mkdirSync(root, { recursive: true });
  const directories: [string, number][] = [];
  for (const [name, { mode, content = 'content\n', link }] of Object.entries(plan)) {
    const path = join(root, name);
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (name.endsWith('/')) directories.push([path, mode ?? 0o755]);
    else if (link !== undefined) symlinkSync(link, path);
    else {
      writeFileSync(path, content);
      chmodSync(path, mode ?? 0o644);
    }
  }
  for (const [path, mode] of directories.reverse()) chmodSync(path, mode);
  return root;
}

/** Make a zip whose entries have Unix modes, in the same words as {@link makeTree}. */
export function makeZip(path: string, plan: TreePlan): string {
  const entries = Object.entries(plan).map(([name, { mode, content = 'content\n', link }]) => {
    const type = link === undefined ? (name.endsWith('/') ? 0o040000 : 0o100000) : 0o120000;
    const defaultMode = name.endsWith('/') ? 0o755 : 0o644;
    const attrs = ((type | (mode ?? defaultMode)) << 16) >>> 0;
    const bytes = new TextEncoder().encode(name.endsWith('/') ? '' : (link ?? content));
    return [name, [bytes, { os: 3, attrs }]] as const;
  });
  writeFileSync(path, zipSync(Object.fromEntries(entries) as Parameters<typeof zipSync>[0]));
  return path;
}

/** Permission bits of a path, as octal digits. */
export function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8).padStart(4, '0');
}
