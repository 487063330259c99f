/** What Windows itself does, and Wine does otherwise: what is open, junctions and links, shares, long paths. */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  failureOf,
  files,
  filesIn,
  permwalk,
  tempDirectory,
  unpack,
  versionOf,
  writeArchive,
  writeFiles,
} from './helpers.ts';

const { applyPermissions, stageTree, wrapExtractor } = permwalk;
const test = suite('Windows itself');

/** Replace a tree by another version. */
const replace = (destination: string, options: Parameters<typeof stageTree>[1] = {}) =>
  stageTree(destination, { existing: 'replace', ...options }, ({ directory }) =>
    writeFiles(directory, versionOf('new')),
  );

test('a tree with an open file is replaced once that is closed', async () => {
  const destination = join(tempDirectory(), 'tree');
  writeFiles(destination, versionOf('old'));
  const fd = openSync(join(destination, 'a.txt'), 'r');
  const replaced = replace(destination, { retry: { retries: 100, maxTimeout: 50 } });
  await delay(300);
  closeSync(fd);
  assert.is((await replaced).outcome, 'replaced');
  assert.equal(filesIn(destination), versionOf('new'));
});

test('a tree with a file that stays open stays as it is, and the error says why', async () => {
  const destination = join(tempDirectory(), 'tree');
  writeFiles(destination, versionOf('old'));
  const fd = openSync(join(destination, 'a.txt'), 'r');
  try {
    const error = await failureOf(replace(destination, { retry: { maxRetryTime: 200 } }));
    assert.match(error.message, 'another process has something open in it');
    assert.equal(filesIn(destination), versionOf('old'));
  } finally {
    closeSync(fd);
  }
});

test('junctions and links are entered neither by a pass nor by a removal', async () => {
  const directory = tempDirectory();
  const outside = join(directory, 'outside');
  writeFiles(outside, { 'kept.txt': 'kept' });
  const destination = join(directory, 'tree');
  writeFiles(destination, versionOf('old'));
  symlinkSync(outside, join(destination, 'junction'), 'junction');
  const report = await applyPermissions(destination, { mode: 'a+rX' });
  assert.is(report.links.length, 1);
  assert.is((await replace(destination)).outcome, 'replaced');
  assert.equal(filesIn(outside), { 'kept.txt': 'kept' });
  assert.equal(readdirSync(directory).sort(), ['outside', 'tree']);
});

test('a junction at the destination is resolved once, as a link is elsewhere', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  mkdirSync(join(directory, 'real'));
  const destination = join(directory, 'real', 'tree');
  writeFiles(destination, versionOf('old'));
  symlinkSync(destination, join(directory, 'junction'), 'junction');
  const report = await wrapExtractor(unpack, { existing: 'replace' })(archive, join(directory, 'junction'));
  assert.is(report.destination, destination);
  assert.equal(filesIn(destination), files);
});

test('an archive in the destination is known by a path through a junction', async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'tree');
  mkdirSync(destination);
  const archive = writeArchive(destination);
  symlinkSync(destination, join(directory, 'junction'), 'junction');
  const there = join(directory, 'junction', 'bundle.zip');
  const error = await failureOf(wrapExtractor(unpack, { existing: 'replace' })(there, destination));
  assert.instance(error, RangeError);
  assert.ok(existsSync(archive));
});

test('a share: its root is refused, what lies below it is extracted to', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  // Every drive of an administrator is a share, too.
  const share = `\\\\localhost\\${directory[0]}$`;
  if (!existsSync(`${share}\\`))
    return console.log('  skipped: this user cannot reach the shares of the drives');
  for (const root of [share, `${share}\\`, `\\\\?\\UNC${share.slice(1)}\\`]) {
    assert.instance(await failureOf(wrapExtractor(unpack)(archive, root)), RangeError);
    assert.instance(await failureOf(applyPermissions(root)), RangeError);
  }
  const destination = join(share, directory.slice(3), 'tree');
  assert.is((await wrapExtractor(unpack)(archive, destination)).outcome, 'created');
  assert.is((await wrapExtractor(unpack, { existing: 'replace' })(archive, destination)).outcome, 'replaced');
  assert.equal(filesIn(join(directory, 'tree')), files);
});

test('paths longer than MAX_PATH', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(
    directory,
    ...Array.from({ length: 6 }, (_, index) => `${index}`.repeat(80)),
    'tree',
  );
  for (const outcome of ['created', 'replaced']) {
    const wrapped = wrapExtractor(unpack, { existing: 'replace', durable: true });
    assert.is((await wrapped(archive, destination)).outcome, outcome);
    assert.equal(filesIn(destination), files);
  }
});

test.run();
