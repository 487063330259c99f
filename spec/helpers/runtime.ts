import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILT, nameOfBuilt } from '../typescript/built.ts';

type Runtime = 'node' | 'bun' | 'deno';

function currentRuntime(): Runtime {
  if (process.versions.deno !== undefined) return 'deno';
  return process.versions.bun === undefined ? 'node' : 'bun';
}

/** The runtime that the specs run on. */
export const runtime = currentRuntime();

/** What comes before a script in JavaScript that runs on this runtime. */
export const javascriptCommand: readonly [string, ...string[]] =
  runtime === 'deno' ? [process.execPath, 'run', '-A'] : [process.execPath];

/** The same for a script of the specs: with what this process itself needs to read TypeScript. */
export const scriptCommand: readonly [string, ...string[]] = [...javascriptCommand, ...process.execArgv];

/** The same for one that looks at its memory: with `gc()`. */
export const collectingCommand: readonly [string, ...string[]] = [
  ...javascriptCommand,
  runtime === 'deno' ? '--v8-flags=--expose-gc' : '--expose-gc',
  ...process.execArgv,
];

const checkout = fileURLToPath(new URL('../..', import.meta.url));
/** Whether this is what `spec/typescript/build.ts` made. */
const isBuilt = import.meta.filename !== fileURLToPath(import.meta.url);

/** Path of a script of the specs that this process can start as it was started: what was made of TypeScript, or the source. */
export function scriptPath(source: URL | string): string {
  const path = fileURLToPath(source);
  return isBuilt && path.endsWith('.ts')
    ? join(checkout, BUILT, `${nameOfBuilt(relative(checkout, path))}.js`)
    : path;
}

/** Arguments of uvu, in the checkout, for spec files: what was made of them, or their sources. */
export function uvuArguments(names: readonly string[], areBuilt = isBuilt): string[] {
  const [folder, prefix] = areBuilt ? [BUILT, nameOfBuilt('spec/')] : ['spec', ''];
  return ['node_modules/uvu/bin.js', '-c', 'false', folder, `^${prefix}(${names.join('|')})\\.spec\\.[jt]s$`];
}

/** Whether a test can run on this runtime; where it cannot, the reason is said. */
export function canRunOn(runtimes: readonly Runtime[], reason: string): boolean {
  if (runtimes.includes(runtime)) return true;
  console.log(`  skipped on ${runtime}: ${reason}`);
  return false;
}

/** Whether names that are not UTF-8 reach the system as they are. */
export const canUseByteNames = (): boolean => canRunOn(['node', 'bun'], 'it has no names that are not UTF-8');
