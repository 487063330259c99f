import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { outputOf, startScript } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { bundledLibrary } from './helpers/library.ts';
import { memoryDirectory } from './helpers/tree.ts';

const maker = fileURLToPath(new URL('helpers/deep.py', import.meta.url));
const child = fileURLToPath(new URL('helpers/deep-child.js', import.meta.url));

interface DeepCost {
  counts: { visited: number; changed: number };
  /** CPU time in microseconds. */
  cpu: number;
  /** Most memory that the process ever had, in KiB. */
  peak: number;
}

const SHALLOW = extent({ short: 2000, full: 10_000 });
const DEEP = extent({ short: 8000, full: 100_000 });
/** Bytes that a directory in memory takes, with room. */
const DIRECTORY_BYTES = 4096;
/** A path of the deepest is 25 MB: with one for each directory on the way, 1.3 TB would be needed. */
const MOST_KIB = 400 * 1024;

/** Takes something away from directories, which is left for the end, the deepest first. */
const options = { mode: 'go-rwx', maxEntries: 2 * DEEP };

/** What a pass costs over a tree that is so deep. */
async function costOf(library: string, depth: number): Promise<DeepCost> {
  const root = memoryDirectory(depth * DIRECTORY_BYTES);
  execFileSync('python3', ['-B', maker, root, String(depth)]);
  const output = await outputOf(startScript(child, [library, root, JSON.stringify(options)]));
  const cost = JSON.parse(output) as DeepCost;
  // The root is there besides, and nobody else may enter it.
  assert.equal(cost.counts, { visited: 1 + depth + 2 * (depth / 10), changed: depth + depth / 10 });
  return cost;
}

const test = suite('deep trees');

if (process.platform === 'linux') {
  test(`${DEEP} directories in one another cost memory and time with their number, not with its square`, async () => {
    const library = bundledLibrary();
    const [shallow, deep] = [await costOf(library, SHALLOW), await costOf(library, DEEP)];
    const factor = DEEP / SHALLOW;
    assert.ok(deep.peak <= MOST_KIB, `${deep.peak} KiB`);
    // Twice as much as with the number: with its square it would be ten times as much.
    assert.ok(deep.cpu <= 2 * factor * shallow.cpu, `${deep.cpu} to ${shallow.cpu} microseconds of CPU`);
  });
} else {
  test.skip('deeper than a path: only the anchored backend goes there, and that is on Linux');
}

test.run();
