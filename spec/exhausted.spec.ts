import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { outputOf } from './helpers/child.ts';
import { canRunOn, javascriptCommand } from './helpers/runtime.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

const test = suite('exhausted');

const canStarve = canRunOn(['node', 'bun'], 'it ends itself where it can open nothing');
const testStarved = canStarve ? test : test.skip;

testStarved(
  'a pass that begins without a free descriptor waits for one, and breaks no later pass',
  async () => {
    const root = makeTree({ run: 0o644 });
    const script = fileURLToPath(new URL('helpers/exhausted-child.js', import.meta.url));
    const command = ['-c', 'ulimit -n 256; exec "$@"', 'sh', ...javascriptCommand, script, root];
    const outcomes = JSON.parse(await outputOf(spawn('sh', command, { stdio: ['ignore', 'pipe', 'pipe'] })));
    const waited = { ok: false, changed: 0, unresolved: ['gone: missing'] };
    assert.equal(outcomes, [{ ok: true, changed: 1, unresolved: [] }, waited, waited]);
    assert.is(modeOf(root, 'run'), 0o755);
  },
);

testStarved('an extractor that leaves no free descriptor leaves no staging directory', async () => {
  const parent = tempDirectory();
  const script = fileURLToPath(new URL('helpers/exhausted-extraction-child.js', import.meta.url));
  const command = ['-c', 'ulimit -n 256; exec "$@"', 'sh', ...javascriptCommand, script, parent];
  const found = JSON.parse(await outputOf(spawn('sh', command, { stdio: ['ignore', 'pipe', 'pipe'] })));
  assert.equal(found, { outcomes: ['created', 'nothing is left'], left: ['first'] });
});

test.run();
