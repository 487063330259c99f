/**
 * The specs on every runtime that is promised, as this process's user, and as one without rights where that is root.
 *
 *     npm run test:runtimes                    every spec, a process each
 *     npm run test:runtimes -- --core          the core specs on the oldest and the newest Node and on Bun
 *     npm run test:runtimes -- bun node@22     on these runtimes
 *
 * The runtimes are npm packages, kept in `.runtimes/`.
 */
import { readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { copiedWorkplace, ownWorkplace, type Workplace } from './copy.ts';
import { fetchRuntime, type Runtime, runtimes } from './runtimes.ts';
import { runSpecs, type SpecResult, skipsIn } from './specs.ts';

/** Specs of what differs between runtimes, and that start few processes. */
const coreSpecs = [
  'apply',
  'chmodr',
  'completion',
  'directory',
  'extract',
  'hostile',
  'list',
  'mode',
  'restore',
  'settle',
  'staging',
  'tar',
  'working-directory',
  'zip',
];

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const { values, positionals } = parseArgs({ allowPositionals: true, options: { core: { type: 'boolean' } } });
const isCore = values.core === true;
const unknown = positionals.filter((name) => !runtimes.some((runtime) => runtime.name === name));
if (unknown.length > 0) {
  throw new Error(`no runtime ${unknown.join(', ')}: ${runtimes.map(({ name }) => name).join(', ')}`);
}
const chosen = runtimes.filter(({ name, isCore: isOfCore }) =>
  positionals.length > 0 ? positionals.includes(name) : isOfCore || !isCore,
);

/** Names of the specs that one process runs. */
function groups(): string[][] {
  if (isCore) return [coreSpecs];
  return readdirSync(join(checkout, 'spec'))
    .filter((file) => file.endsWith('.spec.ts'))
    .sort()
    .map((file) => [file.replace(/\.spec\.ts$/, '')]);
}

const rows: string[][] = [['runtime', 'user', 'passed', 'failed', 'skipped', 'seconds']];

/** Run all that is asked for on one runtime as one user; what fails is printed whole, of the others what is skipped. */
async function runOn(runtime: Runtime, workplace: Workplace): Promise<SpecResult> {
  const program = workplace.reach(fetchRuntime(runtime, join(checkout, '.runtimes')));
  const user = workplace.user === undefined ? userInfo().username : 'nobody';
  const sum = { passed: 0, failed: 0, skipped: 0, seconds: 0, output: '' };
  for (const names of groups()) {
    const result = await runSpecs([program, ...runtime.args], names, workplace);
    for (const name of ['passed', 'failed', 'skipped', 'seconds'] as const) sum[name] += result[name];
    const about = `${runtime.name} ${user} ${isCore ? 'core' : names.join(' ')}`;
    if (result.failed > 0) console.log(`${about}\n${result.output}`);
    const skips = skipsIn(result.output);
    for (const line of skips) console.log(`${about}: ${line}`);
    if (result.skipped > 0 && skips.length === 0) {
      console.log(`${about}: ${result.skipped} tests do not run, and nothing says why`);
      sum.failed += 1;
    }
  }
  const { passed, failed, skipped, seconds } = sum;
  rows.push([runtime.name, user, ...[passed, failed, skipped].map(String), seconds.toFixed(1)]);
  return sum;
}

const workplaces = [ownWorkplace(checkout)];
if (process.getuid?.() === 0 && !isCore) workplaces.push(copiedWorkplace(checkout));
process.once('exit', () => {
  for (const workplace of workplaces) workplace.remove();
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
let failed = 0;
for (const workplace of workplaces) {
  const results: SpecResult[] = [];
  // The core specs wait more than they work.
  if (isCore) results.push(...(await Promise.all(chosen.map((runtime) => runOn(runtime, workplace)))));
  else for (const runtime of chosen) results.push(await runOn(runtime, workplace));
  for (const result of results) failed += result.failed;
}
const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
for (const row of rows) {
  const cells = row.map((cell, column) => {
    const width = widths[column] ?? 0;
    return column < 2 ? cell.padEnd(width) : cell.padStart(width);
  });
  console.log(cells.join('  '));
}
process.exitCode = failed > 0 ? 1 : 0;
