import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Results } from '../bench/results.ts';
import { extent } from './helpers/extent.ts';
import { runtime, scriptCommand, scriptPath } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';

const checkout = fileURLToPath(new URL('..', import.meta.url));
const [program, ...args] = scriptCommand;
/** What each job leaves behind. */
const files = {
  J5: ['J5.json', 'jobs.svg', 'table.md', 'time.svg'],
  J1: ['J1.json', 'memory.svg'],
  J8: ['J8.json'],
  J9: ['J9.json'],
  J10: ['J10.json'],
  J11: ['J11.json'],
};
const jobs = (['J5', 'J1', 'J8', 'J9', 'J10', 'J11'] as const).slice(0, extent({ short: 1, full: 6 }));

const ENTRIES = extent({ short: 200, full: 1000 });

/** One peer to compare with, and one runtime: what says something of all is asked for in the full run, once. */
const few = ['--beside', 'chmodr', '--runtimes', 'node'];

/** Run the benchmark on a small generated tree, one round. */
function bench(out: string, ...more: string[]) {
  const tiny = ['--quick', '--generated-only', '--sizes', String(ENTRIES), '--rounds', '1', '--out', out];
  const on = ['--on', tempDirectory()];
  const command = [
    ...args,
    scriptPath(new URL('../bench/bench.ts', import.meta.url)),
    ...tiny,
    ...on,
    ...more,
  ];
  return spawnSync(program, command, { cwd: checkout, encoding: 'utf8' });
}

function whyNot(): string | undefined {
  if (runtime !== 'node') return 'it measures on Node';
  if (process.platform !== 'linux') return 'GNU chmod and find are needed';
  if (!existsSync(join(checkout, 'dist/bin/permwalk.js'))) return 'dist is not built';
  return spawnSync('zip', ['-v'], { stdio: 'ignore' }).status === 0 ? undefined : 'zip is needed';
}

const suiteOf = suite('bench');
const reason = whyNot();
if (reason !== undefined) console.log(`  skipped: ${reason}`);
const test = reason === undefined ? suiteOf : suiteOf.skip;

test('measures everybody, draws charts and a table, and finds out who follows links and who gives up', () => {
  const out = tempDirectory();
  const weak = join(tempDirectory(), 'weak');
  writeFileSync(weak, 'chmod -R a+rX "$1" && test "$(find "$1" | wc -l)" -lt 100');
  const compared = extent({ short: few, full: ['--runtimes', 'node,koffi'] });
  const { status, stderr } = bench(
    out,
    '--only',
    jobs.join(),
    '--peer',
    `weak=sh ${weak} {root}`,
    ...compared,
  );
  assert.is(status, 0, stderr);
  assert.equal(readdirSync(out).sort(), jobs.flatMap((job) => files[job]).sort());

  const { unfit = [], trees: [tree] = [] }: Results = JSON.parse(readFileSync(join(out, 'J5.json'), 'utf8'));
  assert.is(tree?.facts.entries, ENTRIES);
  assert.ok((tree?.facts.links ?? 0) > 0);
  assert.ok(unfit.some(({ name, reason }) => name === 'chmodr' && /dangling|ENOENT|outside/.test(reason)));
  const namesOf = (links: boolean) =>
    tree?.groups.find((group) => group.links === links)?.contenders.map(({ name }) => name) ?? [];
  assert.ok(namesOf(true).includes('chmod -R a+rX'));
  assert.not.ok(namesOf(true).includes('chmodr'));
  assert.ok(namesOf(false).includes('chmodr'));
  assert.equal(tree?.groups[0]?.gaveUp, ['weak ended with 1: nothing on stderr']);
  assert.not.ok(namesOf(true).includes('weak'));
  const ratio = tree?.groups.flatMap(({ ratios }) => ratios).find(({ to }) => to === 'chmodr');
  assert.is(ratio?.of, 'permwalk');
  assert.is(ratio?.pairs, 1);
  assert.ok((ratio?.median ?? 0) > 0);

  const svg = readFileSync(join(out, 'time.svg'), 'utf8');
  assert.ok(svg.startsWith('<svg'));
  assert.match(svg, extent({ short: /chmodr/, full: /chmodrSync/ }));
  const table = readFileSync(join(out, 'table.md'), 'utf8');
  assert.match(
    table,
    /^\| J5 a\+rX, everything to change \| .* \| chmod -R a\+rX .* \| \d+\.\d+ \[.*\] \|$/m,
  );
  assert.match(table, /\| chmodr \(no links, 0644\)/);
});

const wrong = {
  'on any tree': ['idle=true {root}', /J5, without links, too: idle: .* is 0\d{3}, expected 0\d{3}/],
  'on a large tree alone': [
    'shallow=find {root} -maxdepth 3 ! -type l -exec chmod a+rX {} +',
    /shallow: .* is 0\d{3}, expected 0\d{3}/,
  ],
} as const;
for (const [where, [peer, complaint]] of Object.entries(wrong).slice(0, extent({ short: 0, full: 2 }))) {
  test(`a peer whose result is wrong ${where} ends it with an error, and nothing is written`, () => {
    const out = tempDirectory();
    const { status, stderr } = bench(out, '--only', 'J5', '--peer', peer, ...few);
    assert.is(status, 1);
    assert.match(stderr, complaint);
    assert.equal(readdirSync(out), []);
  });
}

suiteOf.run();
