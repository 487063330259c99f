/** What `spec/windows` holds, by Windows' own Node: on Windows, and on Linux under Wine where that is installed. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { buildSync } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canRunOn, scriptPath } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';
import { endAll, runOnWine, whatIsMissing } from './runtimes/wine.ts';

const MAX_MINUTES = 5;
const isWindows = process.platform === 'win32';
const run = promisify(execFile);
const test = suite('Windows');

interface Room {
  readonly holds: string;
  /** Why it needs more than Wine. */
  readonly onlyOnWindows?: string;
  /** Whether it runs on Linux, too, in a process that believes to be on Windows. */
  readonly isImitated?: boolean;
}

/** Files of `spec/windows`. */
const rooms: Record<string, Room> = {
  pass: { holds: 'the pass, manifests and records' },
  extract: { holds: 'extractions, hostile names, roots, spellings, durable' },
  processes: { holds: 'processes that are killed, and many at one destination', isImitated: true },
  'in-use': { holds: 'renames and removals while something is open', isImitated: true },
  cli: { holds: 'the command line' },
  system: {
    holds: 'links, open files, UNC, long paths',
    onlyOnWindows: 'Wine has no junctions, lets what is open be renamed, and has no shares',
  },
};

interface Outcome {
  readonly output: string;
  readonly code: number | null;
}

async function runHere(script: URL, before: readonly string[] = []): Promise<Outcome> {
  const args = [...process.execArgv, ...before, scriptPath(script)];
  return run(process.execPath, args, { maxBuffer: 1 << 26 }).then(
    ({ stdout, stderr }) => ({ output: stdout + stderr, code: 0 }),
    (error) => ({ output: `${error.stdout}${error.stderr}${error.message}`, code: 1 }),
  );
}

function assertPassed({ output, code }: Outcome): void {
  const count = (name: string) => Number(new RegExp(`^ +${name}: +(\\d+)`, 'm').exec(output)?.[1]);
  assert.ok(code === 0 && count('Total') > 0 && count('Passed') === count('Total'), output);
}

const scriptOf = (room: string) => new URL(`windows/${room}.ts`, import.meta.url);

/** The imitation in JavaScript: who is started with it need not read TypeScript. */
function imitation(): string {
  const outfile = join(tempDirectory(), 'imitation.mjs');
  const source = new URL('helpers/imitate-windows-extraction.ts', import.meta.url);
  const entryPoints = [fileURLToPath(source)];
  // package.json says that modules have no side effects: this one is nothing but those.
  const how = { platform: 'node', format: 'esm', ignoreAnnotations: true } as const;
  buildSync({ entryPoints, outfile, bundle: true, ...how });
  return pathToFileURL(outfile).href;
}

if (canRunOn(['node'], 'it is about Node')) {
  const missing = isWindows ? undefined : whatIsMissing();
  if (missing !== undefined) console.log(`  skipped under Wine: ${missing}`);
  for (const [room, { holds, onlyOnWindows, isImitated = false }] of Object.entries(rooms)) {
    if (isWindows) test(`${room}: ${holds}`, async () => assertPassed(await runHere(scriptOf(room))));
    else if (onlyOnWindows !== undefined) console.log(`  skipped: ${holds}: ${onlyOnWindows}`);
    else {
      if (missing === undefined) {
        test(`${room}, under Wine: ${holds}`, async () => {
          const args = ['--disable-warning=ExperimentalWarning', fileURLToPath(scriptOf(room))];
          assertPassed(await runOnWine(args, MAX_MINUTES));
        });
      }
      if (isImitated && process.platform === 'linux') {
        test(`${room}, imitated: ${holds}`, async () => {
          assertPassed(await runHere(scriptOf(room), ['--import', imitation()]));
        });
      }
    }
  }
  test.after(() => {
    if (missing === undefined && !isWindows) endAll();
  });
}

test.run();
