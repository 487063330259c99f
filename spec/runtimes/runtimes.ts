import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** One runtime that the specs must pass on. */
export interface Runtime {
  name: string;
  /** npm package that has its program. */
  package: string;
  /** The program, below `node_modules/.bin`; on Windows, where that has scripts only, below its package. */
  program: string;
  programOnWindows: string;
  /** What comes before a TypeScript file. */
  args: readonly string[];
  /** One of those that the core specs run on. */
  isCore: boolean;
}

const isWindows = process.platform === 'win32';
const nodePackage = `node-${isWindows ? 'win' : process.platform}-${process.arch}`;

function node(version: string, args: readonly string[], isCore = false): Runtime {
  const [name, programOnWindows] = [`node@${version}`, `${nodePackage}/bin/node.exe`];
  return { name, package: `${nodePackage}@${version}`, program: 'node', programOnWindows, args, isCore };
}

// From 22.18 on Node strips types itself.
const stripping = ['--disable-warning=ExperimentalWarning'];

/** The oldest Node that is promised, every line of it that lives, Bun and Deno. */
export const runtimes: readonly Runtime[] = [
  node('20.19.0', ['--import', './spec/typescript/register.js'], true),
  node('22', stripping),
  node('24', stripping),
  node('26', stripping, true),
  {
    name: 'bun',
    package: 'bun',
    program: 'bun',
    programOnWindows: 'bun/bin/bun.exe',
    args: [],
    isCore: true,
  },
  {
    name: 'deno',
    package: 'deno',
    program: 'deno',
    programOnWindows: 'deno/deno.exe',
    args: ['run', '-A'],
    isCore: false,
  },
];

/** Path of a runtime's program, fetched into a folder the first time. */
export function fetchRuntime(runtime: Runtime, folder: string): string {
  const { name, package: packageName, program, programOnWindows } = runtime;
  const prefix = join(folder, name);
  const path = join(prefix, 'node_modules', isWindows ? programOnWindows : join('.bin', program));
  if (!existsSync(path)) {
    fetchPackage(packageName, prefix);
  }
  return realpathSync(path);
}

/** Install a package of npm in a folder, with `force` also one for another platform. */
export function fetchPackage(packageName: string, folder: string, force = false): void {
  const args = ['install', '--silent', '--no-audit', '--no-fund', ...(force ? ['--force'] : [])];
  // npm is a script on Windows.
  execFileSync('npm', [...args, '--prefix', folder, packageName], { stdio: 'inherit', shell: isWindows });
}
