import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fuzz } from './fuzz/fuzz.ts';
import { extent } from './helpers/extent.ts';
import { hasCommand } from './helpers/zip.ts';

const INPUTS = extent({ short: 500, full: 20_000 });
const MOST_MS = 15_000;

const test = suite('fuzz');
const isGnuTar = process.platform === 'linux' && hasCommand('tar') && hasCommand('gzip');
const name =
  'readManifest of mutated archives gives a manifest or a ManifestError, in bounded time and memory';

if (isGnuTar) {
  test(name, async () => {
    const seed = Date.now() % 1_000_000;
    const { inputs, findings } = await fuzz(seed, { inputs: INPUTS, ms: MOST_MS });
    const found = findings.map(({ number, what }) => `--seed ${seed} --only ${number}: ${what}`);
    assert.is(found.join('\n'), '', 'npm run fuzz with these parameters gives the input again');
    assert.ok(inputs > 0);
  });
} else {
  test.skip(`${name}: needs GNU tar and gzip`);
}

test.run();
