/** Extractions, on Windows' own Node. */
import fs, { existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join, parse } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packTar } from '../helpers/tar.ts';
import { packZip } from '../helpers/zip.ts';
import {
  failureOf,
  files,
  filesIn,
  permwalk,
  realPaths,
  tempDirectory,
  unpack,
  writeArchive,
  writeFiles,
} from './helpers.ts';

const { applyPermissions, ManifestError, readManifest, stageTree, UnresolvedEntriesError, wrapExtractor } =
  permwalk;

const test = suite('extractions');
const { absolute, isFileSystemRoot } = realPaths;
const quick = { retry: { maxRetryTime: 200 } } as const;

test('create, keep, replace, in place', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(directory, 'out', 'tree');
  const created = await wrapExtractor(unpack)(archive, destination);
  assert.is(created.outcome, 'created');
  assert.is(created.destination, destination);
  assert.equal(filesIn(destination), files);

  const untouched = () => assert.unreachable('nothing is to be extracted');
  assert.is((await wrapExtractor(untouched, { existing: 'keep' })(archive, destination)).outcome, 'kept');
  const error = await failureOf(wrapExtractor(untouched)(archive, destination));
  assert.is(error.code, 'EEXIST');

  const other = writeArchive(directory, { 'other.txt': 'other' }, 'other.zip');
  const replaced = await wrapExtractor(unpack, { existing: 'replace' })(other, destination);
  assert.is(replaced.outcome, 'replaced');
  assert.equal(filesIn(destination), { 'other.txt': 'other' });

  const inPlace = await wrapExtractor(unpack, { publish: 'in-place', existing: 'replace' })(
    archive,
    destination,
  );
  assert.is(inPlace.outcome, 'in-place');
  assert.equal(filesIn(destination), { ...files, 'other.txt': 'other' });
  assert.equal(readdirSync(join(directory, 'out')), ['tree']);
});

test('the extractor gets a path in the spelling of the system', async () => {
  const directory = tempDirectory();
  let given = '';
  await stageTree(join(directory, 'tree'), {}, (stage) => {
    given = stage.directory;
  });
  assert.not.match(given, '/');
  assert.match(given, /\\\.permwalk-[\w-]{8}\\tree$/);
});

test('late files are waited for', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(directory, 'tree');
  let late: Promise<void> | undefined;
  const extract = (_: string, staging: string) => {
    late = delay(100).then(() => unpack(archive, staging));
  };
  await wrapExtractor(extract)(archive, destination);
  await late;
  assert.equal(filesIn(destination), files);
});

test('what is missing or has another size is named, and nothing is published', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(directory, 'tree');
  const changes = [
    ['missing', { 'bin/run': files['bin/run'] ?? '', 'empty.txt': '' }],
    ['size-mismatch', { ...files, 'lib/a/b.txt': 'longer text' }],
  ] as const;
  for (const [reason, content] of changes) {
    const extract = (_: string, staging: string) => writeFiles(staging, content);
    const error = await failureOf(wrapExtractor(extract, quick)(archive, destination));
    assert.instance(error, UnresolvedEntriesError, String(error));
    const { errors } = error as InstanceType<typeof UnresolvedEntriesError>;
    assert.equal(
      errors.map(({ path, reason }) => [path, reason]),
      [['lib/a/b.txt', reason]],
    );
    assert.not(existsSync(destination));
  }
  assert.equal(readdirSync(directory), ['bundle.zip']);
});

/** Names that lead elsewhere. */
const hostile = [
  '../out',
  'a/../../out',
  '/out',
  'C:/out',
  'C:out',
  'a\\b',
  '..\\out',
  'file:stream',
  'a/\\\\srv/x',
];

test('names that lead elsewhere are refused before anything is made, wherever they stand', async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'tree');
  const untouched = () => assert.unreachable('nothing is to be extracted');
  // A manifest of the caller's own is read by the pass.
  const unpackNothing = () => undefined;
  for (const name of hostile) {
    const zip = join(directory, 'hostile.zip');
    writeFileSync(zip, packZip({ [name]: { content: 'x', mode: 0o100644 } }));
    const tar = join(directory, 'hostile.tar');
    writeFileSync(tar, packTar([{ name, content: 'x' }]));
    const list = join(directory, 'hostile.json');
    writeFileSync(list, JSON.stringify([name]));
    const sources = {
      zip: () => wrapExtractor(untouched)(zip, destination),
      tar: () => wrapExtractor(untouched)(tar, destination),
      list: async () => wrapExtractor(untouched, { manifest: await readManifest(list) })(zip, destination),
      inline: () => wrapExtractor(unpackNothing, { manifest: [name] })(zip, destination),
    };
    for (const [source, extract] of Object.entries(sources)) {
      const error = await failureOf(extract());
      assert.instance(error, ManifestError, `${name} from ${source}: ${error}`);
    }
  }
  assert.equal(readdirSync(directory).sort(), ['hostile.json', 'hostile.tar', 'hostile.zip']);
});

test("'replace' refuses an archive that lies in the destination, in whatever spelling", async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'tree');
  mkdirSync(join(destination, 'sub'), { recursive: true });
  const archive = writeArchive(join(destination, 'sub'));
  const upper = join(directory, 'TREE', 'SUB', 'BUNDLE.ZIP');
  for (const spelling of [archive, `\\\\?\\${archive}`, archive.replaceAll('\\', '/'), upper]) {
    const error = await failureOf(wrapExtractor(unpack, { existing: 'replace' })(spelling, destination));
    assert.instance(error, RangeError, `${spelling}: ${error}`);
    assert.match(error.message, 'would remove the archive');
  }
  assert.ok(existsSync(archive));
});

test('roots of drives and shares are refused', async () => {
  const { root } = parse(tempDirectory());
  const letter = root.slice(0, 2);
  for (const path of [root, `${letter}/`, `\\\\?\\${root}`, `${root}x\\..`, 'C:\\']) {
    const error = await failureOf(wrapExtractor(unpack, { manifest: false })('archive', path));
    assert.instance(error, RangeError, `${path}: ${error}`);
    const pass = await failureOf(applyPermissions(path));
    assert.instance(pass, RangeError, `${path}: ${pass}`);
  }
});

test('a destination that Windows would make another name of is refused', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  for (const name of ['dot.', 'blank ', 'NUL', 'com1.txt', 'file:stream', 'a.\\b', 'a*b']) {
    const error = await failureOf(wrapExtractor(unpack)(archive, `${directory}\\${name}`));
    assert.instance(error, RangeError, `${name}: ${error}`);
    assert.match(error.message, /^destination: ".*" (has a name that|contains)/);
  }
  assert.equal(readdirSync(directory), ['bundle.zip']);
});

test('errors of an extractor, and the reason of a signal, are handed on as they are', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(directory, 'tree');
  const thrown = new Error('of the extractor');
  const failing = () => Promise.reject(thrown);
  assert.is(await failureOf(wrapExtractor(failing)(archive, destination)), thrown);
  const controller = new AbortController();
  const aborting = () => controller.abort(thrown);
  assert.is(
    await failureOf(wrapExtractor(aborting, { signal: controller.signal })(archive, destination)),
    thrown,
  );
  assert.equal(readdirSync(directory), ['bundle.zip']);
});

test('a prefix before a path is taken off, at the roots of drives and shares, too', () => {
  for (const [path, expected] of [
    ['\\\\?\\C:\\a\\b', 'C:\\a\\b'],
    ['\\\\.\\C:\\a', 'C:\\a'],
    ['\\\\?\\C:\\', 'C:\\'],
    ['\\\\?\\UNC\\server\\share\\a', '\\\\server\\share\\a'],
    ['\\\\?\\Volume{1}\\a', '\\\\?\\Volume{1}\\a'],
    ['\\\\server\\share', '\\\\server\\share\\'],
  ] as const) {
    assert.is(absolute(path), expected);
  }
  for (const root of ['C:\\', '\\\\server\\share\\']) assert.ok(isFileSystemRoot(root), root);
  for (const path of ['C:\\a', '\\\\server\\share\\a']) assert.not(isFileSystemRoot(path), path);
  assert.is(absolute('C:rel'), join(absolute('C:'), 'rel'));
});

test('long paths, and paths with a prefix, are taken as they are meant', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(directory, 'd'.repeat(100), 'e'.repeat(100), 'tree');
  assert.is((await wrapExtractor(unpack)(archive, `\\\\?\\${destination}`)).destination, destination);
  assert.equal(filesIn(destination), files);
});

test('spellings of one destination take one turn, and share one extraction', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  let running = 0;
  let runs = 0;
  const extract = async (path: string, staging: string) => {
    runs += 1;
    running += 1;
    assert.is(running, 1);
    unpack(path, staging);
    await delay(50);
    running -= 1;
  };
  const wrapped = wrapExtractor(extract, { existing: 'replace' });
  const spellings = ['Case', 'cASE', 'CASE'].map((name) => join(directory, name));
  await Promise.all(spellings.map((destination) => wrapped(archive, destination)));
  assert.is(runs, 1);
  assert.is(readdirSync(directory).length, 2);
  const anew = wrapExtractor(extract, { existing: 'replace' });
  await Promise.all([...spellings.map((path) => anew(archive, path)), wrapped(archive, spellings[1] ?? '')]);
  assert.is(runs, 3);
  assert.equal(
    readdirSync(directory)
      .map((name) => name.toLowerCase())
      .sort(),
    [basename(archive), 'case'],
  );
});

test('durable: files and read-only files reach the disk, which no directory has to', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(directory, 'tree');
  const extract = (path: string, staging: string) => {
    unpack(path, staging);
    // So extractors make an entry without w.
    writeFileSync(join(staging, 'read-only'), 'x', { mode: 0o444 });
  };
  const { fsyncSync, openSync } = fs;
  // Wine lets root write to what is read-only; Windows lets nobody.
  fs.openSync = (path, flags, mode) => {
    const isToWrite =
      typeof flags === 'number' && (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) !== 0;
    const found = isToWrite ? lstatSync(path, { throwIfNoEntry: false }) : undefined;
    if (found === undefined || (found.mode & 0o200) !== 0) return openSync(path, flags, mode);
    throw Object.assign(new Error('EPERM: operation not permitted, open'), {
      code: 'EPERM',
      syscall: 'open',
    });
  };
  let flushed = 0;
  fs.fsyncSync = (fd) => {
    fsyncSync(fd);
    flushed += 1;
  };
  syncBuiltinESMExports();
  try {
    for (const outcome of ['created', 'replaced']) {
      flushed = 0;
      const wrapped = wrapExtractor(extract, { durable: true, existing: 'replace' });
      assert.is((await wrapped(archive, destination)).outcome, outcome);
      assert.is(flushed, Object.keys(files).length + 1);
      assert.equal(filesIn(destination), { ...files, 'read-only': 'x' });
      assert.is(lstatSync(join(destination, 'read-only')).mode & 0o222, 0);
    }
  } finally {
    Object.assign(fs, { fsyncSync, openSync });
    syncBuiltinESMExports();
  }
  assert.equal(readdirSync(directory).sort(), ['bundle.zip', 'tree']);
});

test.run();
