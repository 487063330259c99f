import { rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeCorpus, readCorpus, type Sample } from './corpus.ts';
import { archivesIn, compareReaders } from './differential.ts';
import { fuzz } from './fuzz.ts';
import { mutate } from './mutate.ts';
import { reshape } from './reshape.ts';
import { makeScratch } from './scratch.ts';

// Fuzzes readManifest, or compares it with other readers, and prints what was found.

const usage = `usage: npm run fuzz [-- OPTIONS]

  --inputs N    so many mutated archives (default: 10000)
  --seed N      what they are made from (default: another one each time)
  --only N      this input of the seed again; it is kept in a file
  --readers     what Python and libarchive read otherwise, see differential.ts

Prints what was found; the exit code is 1 where anything was.
`;

/** Write one input to a file of the working directory. */
function keep(seed: number, number: number, isCompared: boolean): string {
  const directory = makeScratch();
  try {
    const { name, bytes } = isCompared
      ? reshape(archivesIn(join(directory, 'corpus')), seed, number)
      : mutate(corpusIn(join(directory, 'corpus')), seed, number);
    const path = `fuzz-${seed}-${number}-${basename(name)}`;
    writeFileSync(path, bytes);
    return path;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function corpusIn(directory: string): Sample[] {
  makeCorpus(directory);
  return readCorpus(directory);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const { values } = parseArgs({
  options: {
    ...{ inputs: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
    readers: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit();
}
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const from = Number(values.only ?? 0);
const started = performance.now();
if (values.only !== undefined) console.log(`kept in ${keep(seed, from, values.readers)}`);
const count = values.only === undefined ? Number(values.inputs ?? 10_000) : 1;
const compared = values.readers ? await compareReaders(seed, { from, inputs: count }) : undefined;
const { inputs, manifests, findings } = compared ?? (await fuzz(seed, { from, inputs: count }));
const flags = `--seed ${seed}${values.readers ? ' --readers' : ''}`;
for (const { number, what } of findings) console.log(`${flags} --only ${number}: ${what}`);
for (const [name, times] of compared?.known ?? []) console.log(`${String(times).padStart(8)} ${name}`);
if (compared !== undefined) console.log(`${String(compared.alike).padStart(8)} alike`);
const seconds = Math.round((performance.now() - started) / 1000);
console.log(
  `${inputs} inputs of seed ${seed} in ${seconds} s: ${manifests} manifests, ${findings.length} findings`,
);
process.exitCode = findings.length === 0 ? 0 : 1;
