import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compareReaders } from './fuzz/differential.ts';
import { fuzz } from './fuzz/fuzz.ts';
import { outputOf, startScript } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { bare } from './helpers/python.ts';
import { scriptPath } from './helpers/runtime.ts';
import { hasCommand } from './helpers/zip.ts';

const INPUTS = extent({ short: 500, full: 10_000 });
const COMPARED = extent({ short: 200, full: 5000 });
const MOST_MS = 15_000;
const SEED = 1;

const test = suite('fuzz');
/** Whether Python can load what bsdtar reads with. */
function hasLibarchive(): boolean {
  const script = "import ctypes; ctypes.CDLL('libarchive.so.13')";
  return spawnSync('python3', [...bare, '-c', script]).status === 0;
}

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

const comparison =
  'of mutated archives Python and libarchive read what readManifest reads, but for what is known';
if (isGnuTar && hasLibarchive()) {
  test(comparison, async () => {
    // Always the same inputs: whoever looks for a difference that is not known yet runs the command.
    const { inputs, alike, findings } = await compareReaders(SEED, { inputs: COMPARED, ms: MOST_MS });
    const found = findings.map(({ number, what }) => `--readers --seed ${SEED} --only ${number}: ${what}`);
    assert.is(found.join('\n'), '', 'npm run fuzz with these parameters gives the input again');
    assert.ok(alike > inputs / 4, `${alike} of ${inputs} are read alike`);
  });
} else {
  test.skip(`${comparison}: needs GNU tar, python3 and libarchive`);
}

test('the command tells how it is used', async () => {
  const script = scriptPath(new URL('fuzz/command.ts', import.meta.url));
  assert.match(
    await outputOf(startScript(script, ['--help'])),
    /^usage: npm run fuzz .*--inputs N .*--seed N .*--only N .*--readers /s,
  );
});

test.run();
