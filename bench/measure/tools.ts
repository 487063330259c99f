import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { say } from '../progress.ts';
import { findRuntimes, type Runtime } from '../runtimes.ts';

/** The checkout that this benchmark is part of. */
export const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** What the harness runs things with. */
export interface Tools {
  /** The built package: its command, and the address of its index. */
  cli: string;
  index: string;
  /** Folder of the built package. */
  dist: string;
  /** What runs permwalk: plain Node first. */
  runtimes: readonly [Runtime, ...Runtime[]];
  /** Command line of one of `bench/programs`. */
  program(name: string, ...args: readonly string[]): string[];
  /** The limit in C, where a compiler is here. */
  limit?: string;
  /** How CPU time and memory are measured. */
  meter: { kind: 'wait4' | 'time'; command: string } | { kind: 'none' };
}

/** Compile what the harness needs: the programs, so that no loader counts as their time, and the two in C. */
export function prepareTools(dist: string, runtimes: readonly string[]): Tools {
  const cache = join(checkout, 'node_modules/.cache/permwalk-bench');
  mkdirSync(cache, { recursive: true });
  const programs = join(checkout, 'bench/programs');
  const entryPoints = readdirSync(programs).map((name) => join(programs, name));
  buildSync({ entryPoints, outdir: join(cache, 'programs'), outExtension: { '.js': '.mjs' }, format: 'esm' });
  const folder = resolve(dist);
  const cli = join(folder, 'bin/permwalk.js');
  if (!existsSync(cli)) throw new Error(`${cli} is not there: npm run build`);
  const limit = compileC('limit', cache);
  return {
    cli,
    index: pathToFileURL(join(folder, 'index.js')).href,
    dist: folder,
    runtimes: findRuntimes(runtimes),
    program: (name, ...args) => [process.execPath, join(cache, 'programs', `${name}.mjs`), ...args],
    ...(limit !== undefined && { limit }),
    meter: findMeter(cache),
  };
}

function compileC(name: string, folder: string): string | undefined {
  const source = join(checkout, 'bench/native', `${name}.c`);
  const output = join(folder, name);
  const { status } = spawnSync('cc', ['-O2', '-o', output, source], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return status === 0 ? output : undefined;
}

function findMeter(folder: string): Tools['meter'] {
  const run = compileC('run', folder);
  if (run !== undefined) return { kind: 'wait4', command: run };
  const time = '/usr/bin/time';
  if (spawnSync(time, ['-f', '%e', 'true']).status === 0) return { kind: 'time', command: time };
  say('no C compiler and no GNU time: CPU time and memory are not measured');
  return { kind: 'none' };
}

/** Whether a command can be run here. */
export function isInstalled(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).error === undefined;
}
