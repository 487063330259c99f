/**
 * Runs spec files side by side, a process each, as many at once as there are cores, and one more.
 *
 *     npm test                      every spec file, short, with trees in memory where there is room and TMPDIR says nothing else
 *     npm test -- apply zip         spec/apply.spec.ts and spec/zip.spec.ts, with all that they print
 *     npm run test:full             every spec file with long attacks, all kills and installs, more random inputs
 *
 * `--except NAME` leaves a file out. Ends with the sum of all files; the exit code is 1 where anything failed.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXTENT_VARIABLE, FULL } from './helpers/extent.ts';
import { ownWorkplace } from './runtimes/copy.ts';
import { directoryInMemory } from './runtimes/memory.ts';
import { runSpecs, type SpecResult, skipsIn } from './runtimes/specs.ts';
import { buildSpecs } from './typescript/build.ts';
import { withSourcePositions } from './typescript/stacks.ts';

/** Files that take longest, the longest first: a core that begins one of them last would keep the others waiting. */
const slowest = [
  'attack',
  'cli',
  'macos',
  'faults',
  'publish',
  'bounds',
  'host',
  'recording',
  'event-loop',
  'bench',
  'content',
  'flattened-attacked',
  'mtree',
  'record',
  'directory',
  'extractors',
  'directory-model',
  'bounded-input',
  'descriptors',
  'flattened-model',
  'readme',
  'fuzz',
  'killed',
  'native-calls',
  'tar',
  'file-systems',
  'zip',
  'windows',
  'lenient',
  'demo',
  'settle',
  'deep',
  'package',
  'mcpb',
  'bundled',
];

const checkout = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: 'boolean' }, except: { type: 'string', multiple: true, default: [] } },
});

/** `apply` for `apply`, `apply.spec.ts` and `spec/apply.spec.ts`. */
const nameOf = (file: string): string => basename(file).replace(/\.spec(\.ts)?$/, '');

/** Names of the spec files to run, those that take longest first. */
function chosenNames(): string[] {
  const all = readdirSync(fileURLToPath(new URL('.', import.meta.url)))
    .filter((file) => file.endsWith('.spec.ts'))
    .map(nameOf);
  const [asked, except] = [positionals.map(nameOf), values.except.map(nameOf)];
  const unknown = [...asked, ...except].filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new RangeError(`no spec ${unknown.join(', ')}: there are ${all.join(', ')}`);
  const rank = (name: string) => (slowest.includes(name) ? slowest.indexOf(name) : slowest.length);
  return (asked.length > 0 ? [...new Set(asked)] : all)
    .filter((name) => !except.includes(name))
    .sort((one, other) => rank(one) - rank(other));
}

/** One line on a file; its output below where it failed, or where it was asked for. */
function tell(name: string, { passed, failed, seconds, output }: SpecResult): void {
  const outcome =
    failed > 0 ? `✘ ${name}: ${failed} failed, ${passed} passed` : `✓ ${name}: ${passed} passed`;
  console.log(`${outcome} (${seconds.toFixed(1)} s)`);
  if (failed > 0 || positionals.length > 0) console.log(withSourcePositions(output, checkout));
  else for (const line of skipsIn(output)) console.log(`    ${line}`);
  if (failed > 0) console.log(`  run it alone: ${commandFor(name)}\n`);
}

function commandFor(name: string): string {
  return values.full ? `npm run test:full -- ${name}` : `npm test -- ${name}`;
}

/** Whether coverage is counted: by the modules of `lib` as they are. */
const isCounted = process.env.NODE_V8_COVERAGE !== undefined;
/** What comes before spec files in TypeScript. */
const loader = ['--import', new URL('typescript/register.js', import.meta.url).href];
const command = [process.execPath, ...(isCounted ? loader : [])];
const workplace = ownWorkplace(checkout);
if (values.full) workplace.environment[EXTENT_VARIABLE] = FULL;
// A disk takes a third of a short run: removing a directory may wait for it. The full run meets the disk.
else workplace.environment.TMPDIR ??= directoryInMemory();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const started = performance.now();
const waiting = chosenNames();
const sum = { passed: 0, failed: 0, skipped: 0 };
const failed: string[] = [];

/** Run one file after the other until none is left. */
async function work(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const result = await runSpecs(command, [name], workplace, !isCounted);
    for (const count of ['passed', 'failed', 'skipped'] as const) sum[count] += result[count];
    if (result.failed > 0) failed.push(name);
    tell(name, result);
  }
}

if (!isCounted) await buildSpecs(checkout);
// One more than there are cores: some specs wait.
await Promise.all(Array.from({ length: availableParallelism() + 1 }, work));
// In the words of uvu.
console.log(`\n  Total:     ${sum.passed + sum.failed}`);
console.log(`  Passed:    ${sum.passed}`);
console.log(`  Skipped:   ${sum.skipped}`);
console.log(`  Duration:  ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
for (const name of failed) console.log(`✘ ${name} failed; run it alone: ${commandFor(name)}`);
process.exitCode = failed.length > 0 ? 1 : 0;
