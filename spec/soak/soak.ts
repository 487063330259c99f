import { parseArgs } from 'node:util';
import { EXTENT_VARIABLE, FULL } from '../helpers/extent.ts';
import { inMiB, type Result } from './attack.ts';
import { attacks } from './attacks/index.ts';
import { runAttack } from './run.ts';

// Every attack, one after the other, until their time is over. The exit code is 1 where a promise was broken.

const usage = `usage: npm run soak [-- OPTIONS]

  --seconds N   time of each attack (default: half an hour, shared by all)
  --only NAME   this attack; repeatable

Attacks: ${[...attacks.keys()].join(', ')}
`;
const ALL_SECONDS = 30 * 60;

// For the processes of the attacks.
process.env[EXTENT_VARIABLE] = FULL;

/** One line that tells what came of an attack. */
function describe(name: string, result: Result, seconds: number): string {
  const title = name.padEnd(20);
  if (result.skipped !== undefined) return `- ${title} skipped: ${result.skipped}`;
  const { rounds, exchanges, canaries, descriptors, memory, breaches } = result;
  return [
    `${breaches.length === 0 ? '✓' : '✗'} ${title} ${seconds.toFixed(0).padStart(4)} s`,
    `${rounds} rounds`,
    `${exchanges} exchanges`,
    `${canaries} canaries ${breaches.length === 0 ? 'intact' : 'watched'}`,
    `descriptors ${descriptors.before.length} before, ${descriptors.after.length} after`,
    `RSS ${inMiB(memory.rss)}, ${memory.growth < 0 ? '' : '+'}${inMiB(memory.growth)}`,
  ].join(' · ');
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    only: { type: 'string', multiple: true },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit();
}
const names = values.only ?? [...attacks.keys()];
for (const name of names) {
  if (!attacks.has(name)) throw new RangeError(`--only: known are ${[...attacks.keys()].join(', ')}`);
}
const seconds = values.seconds === undefined ? ALL_SECONDS / names.length : Number(values.seconds);
if (!(seconds > 0)) throw new RangeError('--seconds: expected a number above 0');

let isBroken = false;
for (const name of names) {
  const started = performance.now();
  const result = await runAttack(name, seconds);
  console.log(describe(name, result, (performance.now() - started) / 1000));
  for (const figure of result.figures) console.log(`    ${figure}`);
  for (const breach of result.breaches) console.log(`    BREACH: ${breach}`);
  isBroken ||= result.breaches.length > 0;
}
process.exitCode = isBroken ? 1 : 0;
