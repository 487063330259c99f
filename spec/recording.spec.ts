import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type as systemType } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  applyPermissions,
  formatManifest,
  type Manifest,
  type ManifestEntry,
  readManifest,
} from '../lib/index.ts';
import type { RecordOptions } from '../lib/record/options.ts';
import { recordManifest, recordTree } from '../lib/record/record.ts';
import { byteTrees, foundBelow, inWords, plantBytes } from './helpers/byte-trees.ts';
import { start } from './helpers/cli.ts';
import { whileExchanging } from './helpers/exchange.ts';
import { extent } from './helpers/extent.ts';
import { passes } from './helpers/passes.ts';
import { canRunOn, javascriptCommand } from './helpers/runtime.ts';
import { makeTree, memoryDirectory, tempDirectory } from './helpers/tree.ts';

/** A file of zeros that takes no space. */
function writeZeros(path: string, size: number): void {
  writeFileSync(path, '');
  truncateSync(path, size);
}

const RUNS = extent({ short: 6, full: 75 });

/** Everything that a manifest is written as. */
function textOf(manifest: Iterable<ManifestEntry>, format: 'mtree' | 'json'): string {
  return [...formatManifest(manifest, format)].join('');
}

async function readBack(manifest: Iterable<ManifestEntry>, format: 'mtree' | 'json'): Promise<Manifest> {
  const file = join(tempDirectory(), 'manifest');
  writeFileSync(file, textOf(manifest, format));
  return readManifest(file);
}

/** Facts that are known, in one order. */
function known(entries: Iterable<ManifestEntry>): unknown {
  return JSON.parse(JSON.stringify([...entries]));
}

async function failure(promise: Promise<unknown>): Promise<Error & { code?: string; path?: string }> {
  return promise.then(
    () => assert.unreachable('does not fail'),
    (error) => error,
  );
}

for (const { title, openTree } of passes) {
  const test = suite(`recording: ${title}`);
  const record = (root: string, options: RecordOptions = {}) => recordTree(root, options, openTree);

  test('records what find finds', async () => {
    await fc.assert(
      fc.asyncProperty(byteTrees, async (plants) => {
        const root = plantBytes(plants);
        const { entries, format, source, warnings } = await record(root);
        assert.equal(entries.map(inWords).sort(), foundBelow(root));
        assert.equal([format, source, warnings], ['tree', root, []]);
      }),
      { numRuns: RUNS },
    );
  });

  test('sorts by name, a directory before what is in it', async () => {
    const root = makeTree({ 'b/x': 0o644, 'b.c': 0o644, 'a/z/y': 0o644, 'a/b': 0o644, c: '-> a' });
    const paths = (await record(root)).entries.map(({ path }) => path);
    assert.equal(paths, ['.', 'a', 'a/b', 'a/z', 'a/z/y', 'b', 'b/x', 'b.c', 'c']);
  });

  test('gives the digest of each file, small, large and empty', async () => {
    const root = makeTree({ empty: '', small: 'x' });
    const large = Buffer.alloc((2 << 20) + 5, 'large');
    writeFileSync(join(root, 'large'), large);
    const contents: Record<string, Buffer> = { empty: Buffer.alloc(0), large, small: Buffer.from('x') };
    // As much as is read at once, and as much as is read in one slice.
    for (const length of [0xffff, 0x1_0000, 0x1_0001, 1 << 20]) {
      contents[`of-${length}`] = large.subarray(0, length);
      writeFileSync(join(root, `of-${length}`), large.subarray(0, length));
    }
    const digests = Object.fromEntries(
      (await record(root, { digest: 'sha256' })).entries.flatMap(({ path, digest }) =>
        digest === undefined ? [] : [[path, digest]],
      ),
    );
    const expected = Object.entries(contents).map(([path, content]) => [
      path,
      { algorithm: 'sha256', value: createHash('sha256').update(content).digest('hex') },
    ]);
    assert.equal(digests, Object.fromEntries(expected));
  });

  test('leaves out what is ignored, and does not enter it', async () => {
    const root = makeTree({ 'a/b/c': 0o644, 'a/.git/x': 0o644, '.git/y': 0o644, 'd.o': 0o644 });
    const paths = (await record(root, { ignore: ['**/.git', '*.o'] })).entries.map(({ path }) => path);
    assert.equal(paths, ['.', 'a', 'a/b', 'a/b/c']);
  });

  test('says that a file changed while it was digested, and where', async () => {
    const change: Record<string, (path: string) => void> = {
      grows: (path) => appendFileSync(path, 'x'),
      shrinks: (path) => truncateSync(path, 1 << 20),
      'is written over': (path) => {
        const file = openSync(path, 'r+');
        writeSync(file, 'x', 0);
        closeSync(file);
      },
    };
    for (const [how, act] of Object.entries(change)) {
      const root = makeTree({ 'd/f': '' });
      const path = join(root, 'd/f');
      writeZeros(path, 4 << 20);
      const onProgress: RecordOptions['onProgress'] = ({ bytes }) => bytes > 0 && act(path);
      const error = await failure(record(root, { digest: 'sha256', onProgress }));
      assert.equal([error.code, error.path], ['ERR_PERMWALK_CHANGED', 'd/f'], how);
    }
  });

  test('stops between two slices, with the reason', async () => {
    const root = makeTree({ f: '' });
    writeZeros(join(root, 'f'), 64 << 20);
    const stop = new AbortController();
    let calls = 0;
    const onProgress = () => {
      calls += 1;
      stop.abort('enough');
    };
    const reason = await record(root, { digest: 'sha256', signal: stop.signal, onProgress }).catch(
      (error) => error,
    );
    assert.equal([reason, calls], ['enough', 1]);
  });

  test('names what vanished, and records the rest', async () => {
    const root = makeTree({ 'a/f': '', 'b/f': 0o644, c: 0o644 });
    writeZeros(join(root, 'a/f'), 4 << 20);
    const onProgress = () => rmSync(join(root, 'b'), { recursive: true, force: true });
    const { entries, warnings } = await record(root, { digest: 'sha256', onProgress });
    assert.equal(
      entries.map(({ path }) => path),
      ['.', 'a', 'a/f', 'c'],
    );
    assert.equal(
      warnings.map(({ code, path }) => [code, path]),
      [['vanished', 'b']],
    );
  });

  test('does not follow a link that took a directory’s place', async () => {
    const outside = makeTree({ secret: 'x' });
    const root = makeTree({ 'a/f': '', 'b/f': 0o644 });
    writeZeros(join(root, 'a/f'), 4 << 20);
    const onProgress = () => {
      rmSync(join(root, 'b'), { recursive: true, force: true });
      symlinkSync(outside, join(root, 'b'));
    };
    const error = await failure(record(root, { digest: 'sha256', onProgress }));
    assert.equal([error.code, error.path], ['ERR_PERMWALK_SYMLINK_IN_PATH', 'b']);
  });

  test.run();
}

const test = suite('recording');

if (process.platform === 'linux') {
  test('records nothing from outside, whatever takes the places of directories and files', async () => {
    const outside = makeTree({ same: 'secret', hidden: 'secret' });
    const secret = createHash('sha256').update('secret').digest('hex');
    const [root, links] = [makeTree({}), tempDirectory()];
    const pairs: [string, string][] = [];
    for (let index = 0; index < 6; index += 1) {
      mkdirSync(join(root, `d${index}`));
      writeFileSync(join(root, `d${index}/same`), 'public');
      writeFileSync(join(root, `f${index}`), 'public');
      symlinkSync(outside, join(links, `d${index}`));
      symlinkSync(join(outside, 'same'), join(links, `f${index}`));
      for (const name of [`d${index}`, `f${index}`]) pairs.push([join(root, name), join(links, name)]);
    }
    const seen = new Set<string>();
    const exchanges = await whileExchanging(pairs, async () => {
      for (let round = 0; round < extent({ short: 40, full: 1000 }); round += 1) {
        const manifest = await recordManifest(root, { digest: 'sha256' }).catch((error) => {
          assert.match(error.code, /^(ENOENT|ENOTDIR|ELOOP|EINVAL|ERR_PERMWALK_(SYMLINK_IN_PATH|SWAPPED))$/);
        });
        if (manifest === undefined) continue;
        for (const { path, type, digest } of manifest) {
          seen.add(`${path.charAt(0)} ${type}`);
          assert.not(path.includes('hidden') || digest?.value === secret, path);
        }
      }
    });
    assert.ok(exchanges > 0);
    assert.equal([...seen].sort(), [
      '. directory',
      'd directory',
      'd file',
      'd symlink',
      'f file',
      'f symlink',
    ]);
  });
}

test('writes the same bytes for the same tree, wherever it is', async () => {
  const shape = { 'a/b': 'x', 'a/c': '-> b', 'd/': 0o700, e: 0o755 };
  for (const format of ['mtree', 'json'] as const) {
    const texts = await Promise.all(
      [makeTree(shape), makeTree(Object.fromEntries(Object.entries(shape).reverse()))].map(async (root) =>
        textOf(await recordManifest(root, { digest: 'sha256' }), format),
      ),
    );
    assert.is(texts[0], texts[1]);
    assert.match(texts[0] ?? '', /^[\n -~]*$/);
  }
});

test('reads back what it wrote, byte for byte', async () => {
  await fc.assert(
    fc.asyncProperty(byteTrees, async (plants) => {
      const recorded = await recordManifest(plantBytes(plants), { digest: 'sha256' });
      for (const format of ['mtree', 'json'] as const) {
        const { entries, warnings } = await readBack(recorded, format);
        assert.equal(known(entries), known(recorded));
        assert.equal(warnings, []);
      }
    }),
    { numRuns: RUNS },
  );
});

test('writes manifests of all kinds, and what mtree(5) cannot hold as JSON', async () => {
  const entries: ManifestEntry[] = [
    { path: 'a', mode: 0o100755 },
    { path: 'b', type: 'file', size: 3, digest: { algorithm: 'crc32', value: '00000001' } },
    { path: 'c', optional: true, alternative: 'C' },
    { path: 'd/', digest: { algorithm: 'sha512', value: 'ab'.repeat(64) } },
  ];
  assert.is(
    textOf(entries, 'mtree'),
    `#mtree\n./a mode=0755\n./b type=file size=3\n./c optional\n./d type=dir\n`,
  );
  assert.equal(known(await readBack(entries, 'json')), [
    ...entries.slice(0, 3),
    { path: 'd', type: 'directory', digest: entries[3]?.digest },
  ]);
  assert.is(textOf([], 'json'), '[\n\n]\n');
  assert.equal(known(await readBack([], 'json')), []);
});

test('refuses a format, a manifest or an entry that is none, before the first chunk', () => {
  assert.throws(() => formatManifest([], 'yaml' as 'json'), /^format: "yaml" is not one of/);
  assert.throws(() => formatManifest([], 'toString' as 'json'), /^format/);
  assert.throws(() => formatManifest('a' as unknown as string[], 'json'), /^manifest: expected/);
  assert.throws(() => formatManifest(['../x'], 'json'), /has a ".." component/);
});

test('refuses wrong options, and a root that is none', async () => {
  const root = makeTree({});
  const wrong: [unknown, RegExp][] = [
    [{ digest: 'md5' }, /^digest: "md5" is not one of/],
    [{ ignore: [''] }, /^ignore: "" is not a glob/],
    [{ ignore: 3 }, /^ignore: expected/],
    [{ depth: 3 }, /^unknown option "depth"/],
    [{ signal: {} }, /^signal: expected/],
    [{ onProgress: 1 }, /^onProgress: expected/],
    [{ crossDevice: 1 }, /^crossDevice: expected/],
    [[], /^options: expected/],
  ];
  for (const [options, pattern] of wrong) {
    assert.match((await failure(recordManifest(root, options as RecordOptions))).message, pattern);
  }
  assert.is((await failure(recordManifest(join(root, 'gone')))).code, 'ENOENT');
  assert.match((await failure(recordManifest('/'))).message, /is the root of the file system/);
});

test('names FIFOs, and leaves them out', async () => {
  const { execFileSync } = await import('node:child_process');
  const root = makeTree({ f: 0o644 });
  execFileSync('mkfifo', [join(root, 'fifo')]);
  for (const digest of ['none', 'sha256'] as const) {
    const { entries, warnings } = await recordManifest(root, { digest });
    assert.equal(
      entries.map(({ path }) => path),
      ['.', 'f'],
    );
    assert.equal(
      warnings.map(({ code, path }) => [code, path]),
      [['special-file', 'fifo']],
    );
  }
});

test('leaves out what is named like a drive: a manifest with it could not be read', async () => {
  const root = makeTree({ 'c:/f': 0o644, 'd/c:': 0o644 });
  const recorded = await recordManifest(root);
  assert.equal(
    recorded.entries.map(({ path }) => path),
    ['.', 'd', 'd/c:'],
  );
  assert.equal(
    recorded.warnings.map(({ code, path }) => [code, path]),
    [['drive-name', 'c:']],
  );
  assert.equal(known(await readBack(recorded, 'mtree')), known(recorded));
});

test('lets the event loop have its turn, in one large directory as well', async () => {
  const root = memoryDirectory(64 << 20);
  mkdirSync(join(root, 'd'));
  for (let index = 0; index < 6000; index += 1) writeFileSync(join(root, 'd', `${index * 7919}`), '');
  let turns = 0;
  const tick = setInterval(() => {
    turns += 1;
  }, 1);
  let calls = 0;
  const { entries } = await recordManifest(root, { onProgress: () => (calls += 1) });
  clearInterval(tick);
  assert.is(entries.length, 6002);
  const paths = entries.map(({ path }) => path);
  assert.equal(paths, [...paths].sort());
  assert.ok(calls > 2 && turns > 2, `${calls} slices, ${turns} turns`);
});

test('lets the event loop have its turn after a megabyte, whatever the clock says', async () => {
  const root = makeTree({});
  for (let index = 0; index < 16; index += 1) writeZeros(join(root, `${index}`), (1 << 20) - 1);
  const seen: number[] = [];
  await recordManifest(root, { digest: 'sha256', onProgress: ({ bytes }) => seen.push(bytes) });
  const steps = seen.map((bytes, index) => bytes - (seen[index - 1] ?? 0));
  assert.ok(Math.max(...steps) < 2 << 20, `${steps}`);
});

/** Whether this process believes to be on macOS: one that it starts does not, and would be measured a second time. */
const isImitated = process.platform === 'darwin' && systemType() !== 'Darwin';

test('needs 400 MiB for a million entries with digests', async () => {
  if (isImitated || !canRunOn(['node'], 'memory is measured of Node')) return;
  const ENTRIES = extent({ short: 5000, full: 200_000 });
  const root = memoryDirectory(512 << 20);
  for (let index = 0; index < ENTRIES; index += 1) {
    const directory = join(root, `package-${index % 50}/module-${index % 500}`);
    if (index < 500) mkdirSync(directory, { recursive: true });
    closeSync(openSync(join(directory, `some-file-${index}.py`), 'w'));
  }
  const script = `
    import { formatManifest, recordManifest } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
    const manifest = await recordManifest(${JSON.stringify(root)}, { digest: 'sha256' });
    let length = 0;
    for (const chunk of formatManifest(manifest, 'json')) length += chunk.length;
    console.log(JSON.stringify([manifest.entries.length, length, process.resourceUsage().maxRSS]));
  `;
  const file = join(tempDirectory(), 'record.mjs');
  writeFileSync(file, script);
  const { stdout, stderr } = await start([...javascriptCommand, file]).result;
  assert.is(stderr, '');
  const [entries, length, kibibytes] = JSON.parse(stdout);
  assert.ok(entries > ENTRIES && length > 100 * ENTRIES);
  const most = 80 + (320 * ENTRIES) / 1_000_000;
  assert.ok(kibibytes < most * 1024, `${kibibytes >> 10} MiB of ${Math.round(most)}`);
});

test('reads a million entries with digests in 450 MiB', async () => {
  if (isImitated || !canRunOn(['node'], 'memory is measured of Node')) return;
  const ENTRIES = extent({ short: 50_000, full: 250_000 });
  const digest = createHash('sha256').update('').digest('hex');
  const lines = Array.from({ length: ENTRIES }, (_, index) => {
    const path = `./package-${index % 50}/module-${index % 500}/some-file-${index}.py`;
    return `${path} type=file mode=0644 size=${index} sha256=${digest}\n`;
  });
  const manifest = join(tempDirectory(), 'tree.mtree');
  writeFileSync(manifest, `#mtree\n${lines.join('')}`);
  const file = join(tempDirectory(), 'read.mjs');
  const script = `
    import { readManifest } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
    const { entries } = await readManifest(${JSON.stringify(manifest)});
    console.log(JSON.stringify([entries.length, process.resourceUsage().maxRSS]));
  `;
  writeFileSync(file, script);
  const { stdout, stderr } = await start([...javascriptCommand, file]).result;
  assert.is(stderr, '');
  const [entries, kibibytes] = JSON.parse(stdout);
  assert.is(entries, ENTRIES);
  const most = 80 + (370 * ENTRIES) / 1_000_000;
  assert.ok(kibibytes < most * 1024, `${kibibytes >> 10} MiB of ${Math.round(most)}`);
});

test('brings a tree back: modes, and a list of what cannot come back', async () => {
  const root = makeTree({ 'bin/run': 0o755, 'bin/': 0o750, lib: '-> bin', 'data/f': 0o600 });
  const manifest = await readBack(await recordManifest(root), 'mtree');
  const { chmodSync } = await import('node:fs');
  for (const [path, mode] of [
    ['bin/run', 0o644],
    ['bin', 0o755],
    ['data/f', 0o666],
  ] as const) {
    chmodSync(join(root, path), mode);
  }
  await applyPermissions(root, { manifest, mode: 'manifest', umask: 0 });
  assert.equal(known(await recordManifest(root)), known(manifest));
});

test.run();
