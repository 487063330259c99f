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

/** Whether a test can run on this runtime; where it cannot, the reason is said. */
export function canRunOn(runtimes: readonly Runtime[], reason: string): boolean {
  if (runtimes.includes(runtime)) return true;
  console.log(`  skipped on ${runtime}: ${reason}`);
  return false;
}

/** Whether names that are not UTF-8 reach the system as they are. */
export const canUseByteNames = (): boolean => canRunOn(['node', 'bun'], 'it has no names that are not UTF-8');
