/** Several processes at one destination, and processes that are killed, on Windows' own Node. */
import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { extent } from '../helpers/extent.ts';
import { filesIn, permwalk, runNode, script, tempDirectory, versionOf, writeFiles } from './helpers.ts';

const { stageTree } = permwalk;
const child = script('replace-child.js');
const test = suite('processes');

const filesOf = (version: string): string => JSON.stringify(versionOf(version));

/** Beside a destination: a call that clears up what others left. */
const clearUp = (directory: string) =>
  stageTree(join(directory, 'other'), { existing: 'replace' }, () => undefined);

const leftIn = (directory: string) => readdirSync(directory).filter((name) => name.startsWith('.permwalk-'));

/** 75 in all. */
const REPLACEMENTS = extent({ short: 5, full: 25 });
const VERSIONS = extent({ short: ['1', '2'], full: ['1', '2', '3'] });

test('replacements by several processes: none fails, one whole tree is there, and nothing else', async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'tree');
  const ended = await Promise.all(
    VERSIONS.map((version) => runNode([child, destination, filesOf(version), String(REPLACEMENTS)])),
  );
  for (const { code, output, errors } of ended) {
    assert.is(code, 0, errors);
    assert.is(output.trim().split('\n').length, REPLACEMENTS);
  }
  const found = filesIn(destination);
  assert.equal(found, versionOf(found['a.txt'] ?? ''));
  assert.equal(readdirSync(directory), ['tree']);
});

// Old tree aside, new tree in its place, and the old one marked as gone.
for (const [renames, there] of [
  [1, undefined],
  [2, 'new'],
  [3, 'new'],
] as const) {
  test(`killed after ${renames} renames: the next call beside it clears up`, async () => {
    const directory = tempDirectory();
    const destination = join(directory, 'tree');
    writeFiles(destination, versionOf('old'));
    await runNode([child, destination, filesOf('new'), '1', '--kill-after', String(renames)]);
    assert.is(existsSync(destination), there !== undefined);
    assert.is(leftIn(directory).length, 1);
    await clearUp(directory);
    assert.equal(filesIn(destination), versionOf(there ?? 'old'));
    assert.equal(leftIn(directory), []);
  });
}

test('a process that lives is not disturbed', async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'tree');
  writeFiles(destination, versionOf('old'));
  const running = runNode([child, destination, filesOf('new'), '1', '--hang']);
  while (leftIn(directory).every((name) => !existsSync(join(directory, name, 'tree', 'a.txt'))))
    await delay(20);
  const before = leftIn(directory);
  await clearUp(directory);
  assert.equal(leftIn(directory), before);
  writeFileSync(`${destination}.go`, '');
  const { code, errors } = await running;
  assert.is(code, 0, errors);
  assert.equal(filesIn(destination), versionOf('new'));
});

test('where there are no pipes, the age of the marker counts', async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'tree');
  writeFiles(destination, versionOf('old'));
  await runNode([child, destination, filesOf('new'), '1', '--no-pipes', '--kill-after', '1']);
  const [name = ''] = leftIn(directory);
  await clearUp(directory);
  // What is young may be at work: its old tree comes back, and nothing is removed.
  assert.equal(filesIn(destination), versionOf('old'));
  assert.equal(leftIn(directory), [name]);
  const [marker = ''] = readdirSync(join(directory, name)).filter((entry) => entry.startsWith('owner-'));
  const twoDaysAgo = new Date(Date.now() - 2 * 24 * 3600 * 1000);
  utimesSync(join(directory, name, marker), twoDaysAgo, twoDaysAgo);
  await clearUp(directory);
  assert.equal(filesIn(destination), versionOf('old'));
  assert.equal(leftIn(directory), []);
});

test('what bears no marker stays', async () => {
  const directory = tempDirectory();
  const strange = join(directory, '.permwalk-AAAAAAAA');
  writeFiles(strange, { 'old-1/other.txt': 'x', tree: 'x' });
  await clearUp(directory);
  assert.equal(filesIn(strange), { 'old-1/other.txt': 'x', tree: 'x' });
});

test.run();
