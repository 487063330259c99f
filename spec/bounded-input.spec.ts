import { closeSync, openSync, rmSync, writeFileSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { jsonItems } from '../lib/manifest/json-items.ts';
import type { ReadOptions } from '../lib/manifest/options.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { readRecordManifest } from '../lib/manifest/record.ts';
import { readTarManifest } from '../lib/manifest/tar.ts';
import { readZipManifest } from '../lib/manifest/zip.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { canRunOn } from './helpers/runtime.ts';
import { packMember, packTar, paxHeader } from './helpers/tar.ts';
import { makeTree, tempDirectory } from './helpers/tree.ts';
import { factsOf, failureOf, packZip } from './helpers/zip.ts';

const MIB = 1 << 20;
const scratch = tempDirectory();
let files = 0;

function fileOf(bytes: Buffer | string, suffix: string): string {
  files += 1;
  const path = join(scratch, `${files}${suffix}`);
  writeFileSync(path, bytes);
  return path;
}

const test = suite('bounded input');

/** A tar of one file of zeros, with something behind its end mark. */
function tarOf(length: number, behind = 0): Buffer {
  const header = packMember({ name: 'large', size: length.toString(8).padStart(11, '0') });
  // Zeros that nobody has written yet take no time.
  const bytes = Buffer.alloc(header.length + length + 1024 + behind);
  header.copy(bytes);
  return bytes;
}

test('Brotli that makes more than 64 MiB and 1,100 times its own length is refused', async () => {
  const bomb = zlib.brotliCompressSync(tarOf(80 * MIB), {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 },
  });
  assert.ok(bomb.length < 1000, `${bomb.length} bytes`);
  for (const read of [readManifest, readTarManifest]) {
    const error = await failureOf(read(fileOf(bomb, '.tar.br')));
    assert.match(
      error.message,
      /is compressed \(brotli\) more than an archive would be: \d+ bytes of it make more/,
    );
  }
  const small = zlib.brotliCompressSync(tarOf(60 * MIB), {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 },
  });
  assert.is((await readManifest(fileOf(small, '.tar.br'))).entries[0]?.size, 60 * MIB);
});

test('gzip cannot reach that bound', async () => {
  const bytes = zlib.gzipSync(tarOf(80 * MIB), { level: 1 });
  assert.is((await readManifest(fileOf(bytes, '.tgz'))).entries[0]?.size, 80 * MIB);
});

test('decompression stops at the end mark', async () => {
  const bytes = zlib.brotliCompressSync(tarOf(512, 100 * MIB), {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 },
  });
  assert.is((await readManifest(fileOf(bytes, '.tar.br'))).entries.length, 1);
  // The checksum of gzip stands at its end: a megabyte behind the mark is looked at, not more.
  const near = zlib.gzipSync(tarOf(512, 1000), { level: 1 });
  near[near.length - 6] = (near[near.length - 6] ?? 0) ^ 1;
  assert.match((await failureOf(readManifest(fileOf(near, '.tgz')))).message, /incorrect data check/);
  const far = zlib.gzipSync(tarOf(512, 8 * MIB), { level: 1 });
  far[far.length - 6] = (far[far.length - 6] ?? 0) ^ 1;
  assert.is((await readManifest(fileOf(far, '.tgz'))).entries.length, 1);
});

test('a signal stops every reader, with its own reason', async () => {
  const reason = new Error('enough');
  const readers: [path: string, read: (path: string, options: ReadOptions) => Promise<unknown>][] = [
    [fileOf(packZip({ a: {} }), '.zip'), readZipManifest],
    [fileOf(packTar([{ name: 'a' }]), '.tar'), readTarManifest],
    [fileOf('a,md5=x,1\n', '.csv'), readRecordManifest],
    [fileOf('a/b\n', '.txt'), readManifest],
    [makeTree({ 'x-1.dist-info/RECORD': 'a,,1\n' }), readManifest],
  ];
  for (const [path, read] of readers) {
    const outcome = await read(path, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error);
    assert.is(outcome, reason, path);
    const controller = new AbortController();
    const reading = read(path, { signal: controller.signal }).catch((error: unknown) => error);
    controller.abort(reason);
    assert.is(await reading, reason, path);
  }
});

test('a signal stops what is long', async () => {
  const reason = new Error('enough');
  const bytes = zlib.gzipSync(tarOf(100 * MIB), { level: 1 });
  const list = `[${'"a",'.repeat(500_000)}"a"]`;
  for (const path of [fileOf(bytes, '.tgz'), fileOf(list, '.json')]) {
    const controller = new AbortController();
    const reading = readManifest(path, { signal: controller.signal }).catch((error: unknown) => error);
    setTimeout(() => controller.abort(reason), 5);
    assert.is(await reading, reason);
  }
});

test('options are checked, and only own ones count', async () => {
  const path = fileOf(packZip({ a: {} }), '.zip');
  const wrong: unknown[] = [null, [], 7, { signal: 7 }, { abort: true }];
  for (const options of wrong) {
    for (const read of [readManifest, readZipManifest, readTarManifest, readRecordManifest]) {
      const outcome = await read(path, options as ReadOptions).catch((error: unknown) => error);
      assert.instance(outcome, TypeError);
    }
  }
  const prototype = Object.prototype as Record<string, unknown>;
  const polluted = { signal: AbortSignal.abort(), path: 'x', mode: 0o777, optional: true, alternative: 'y' };
  Object.assign(prototype, polluted);
  try {
    assert.is((await readManifest(path)).entries.length, 1);
    const error = await failureOf(readManifest(fileOf('[{}]', '.json')));
    assert.match(error.message, /item 1: an entry after 0 others has no path/);
    const manifest = await readManifest(fileOf('[{ "path": "a" }]', '.json'));
    assert.equal(Object.keys(manifest.entries[0] ?? {}), ['path', 'type', 'mode', 'size', 'linkTarget']);
    assert.is(manifest.entries[0]?.mode, undefined);
  } finally {
    for (const name of Object.keys(polluted)) delete prototype[name];
  }
});

test('JSON fails at the first item that is refused', async () => {
  const many = `[{}${',{}'.repeat(5_000_000)}]`;
  const before = process.memoryUsage().heapUsed;
  const error = await failureOf(readManifest(fileOf(many, '.json')));
  assert.match(error.message, /item 1: an entry after 0 others has no path$/);
  // Fifteen megabytes of text, and none of the objects in it.
  if (canRunOn(['node', 'deno'], 'what is measured is the heap of V8')) {
    assert.ok(process.memoryUsage().heapUsed - before < 30 * MIB);
  }
});

test('an item of JSON is parsed alone, and no longer than a megabyte', async () => {
  const deep = `["a", {"path": "b", "x": ${'['.repeat(MIB)}`;
  const error = await failureOf(readManifest(fileOf(deep, '.json')));
  assert.match(error.message, /item 2 has more than 1048576 bytes$/);
  const wide = `["a", "${'x'.repeat(2 * MIB)}"]`;
  assert.match((await failureOf(readManifest(fileOf(wide, '.json')))).message, /item 2 has more than/);
  const fits = await readManifest(fileOf(`[{"path": "b", "x": [${'1,'.repeat(1000)}1]}]`, '.json'));
  assert.equal(factsOf(fits), [{ path: 'b' }]);
});

const itemsOf = (text: string): unknown[] => [...jsonItems(Buffer.from(text))].map(({ value }) => value);

test('items are those of JSON.parse', () => {
  const texts = [
    '[]',
    ' [ ] ',
    '["a"]',
    '[\n"a" , "b,]}" ,"\\"]",{"path":"c","x":[1,{"y":"]"}]}\t]\n',
    '["\\\\", "é文", 1, null, true, [], {}]',
    '["a\\u0062"]',
  ];
  for (const text of texts) assert.equal(itemsOf(text), JSON.parse(text));
  for (const text of [
    '[',
    '["a"',
    '["a",]',
    '[,]',
    '["a" "b"]',
    '["a"]x',
    '[}',
    '["\\x"]',
    '["a"}',
    '[1 2]',
  ]) {
    assert.throws(() => JSON.parse(text));
    assert.throws(() => itemsOf(text), /is broken JSON/, text);
  }
});

test('an extended header that is all records is read in slices, and keeps none of them', async () => {
  const records = Object.fromEntries(Array.from({ length: 100_000 }, (_, number) => [`k${number}`, 'v']));
  const path = fileOf(packTar([paxHeader({ ...records, path: 'named' }), { name: 'x' }]), '.tar');
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const manifest = await readManifest(path);
  clearInterval(timer);
  assert.is(manifest.entries[0]?.path, 'named');
  assert.ok(turns > 1, `${turns} turns`);
});

test('names of a tar are 268,435,456 characters at most, were it the same again and again', async () => {
  const member = packTar([paxHeader({ path: 'x'.repeat(65_536) }), { name: 'a' }]).subarray(0, -1024);
  const path = fileOf('', '.tar');
  const file = openSync(path, 'w');
  const many = Array.from({ length: 64 }, () => member);
  for (let times = 0; times <= 64; times += 1) writevSync(file, many);
  closeSync(file);
  const { message } = await failureOf(readManifest(path));
  rmSync(path);
  assert.match(message, /brings the names to 268500992 characters; at most 268435456$/);
});

test('a manifest is frozen, with all that is in it', async () => {
  const listed = [{ path: 'a', digest: { algorithm: 'sha1', value: 'a'.repeat(40) } }];
  for (const path of [fileOf(JSON.stringify(listed), '.json'), fileOf(tarOf(0), '.tar')]) {
    const manifest = await readManifest(path);
    const [entry] = manifest.entries;
    for (const part of [manifest, manifest.entries, manifest.warnings, entry, entry?.digest])
      assert.ok(part === undefined || Object.isFrozen(part));
  }
});

test('a path of a manifest leads through no more directories than a tree has', async () => {
  const root = tempDirectory();
  const apply = (manifest: string[]) =>
    applyPermissions(root, { manifest, retry: false, dryRun: true }).then(
      () => 'it is taken',
      ({ message }: Error) => message,
    );
  assert.match(await apply([`${'a/'.repeat(32_768)}f`]), /… has 65537 characters; at most 65536$/);
  const deep = (name: string) => `${`${name}/`.repeat(30_000)}f`;
  assert.match(
    await apply(['a', 'b', 'c', 'd'].map(deep)),
    /… leads through too many directories that the manifest does not list$/,
  );
});

test('warnings are a thousand at most, and counted', async () => {
  const rows = Array.from({ length: 1500 }, (_, number) => `odd-${number}`).join('\n');
  const manifest = await readManifest(fileOf(`a,md5=x,1\n${rows}\n`, '.csv'));
  assert.is(manifest.warnings.length, 1000);
  assert.is(manifest.warningCount, 1500);
  assert.ok(Object.isFrozen(manifest.warnings) && Object.isFrozen(manifest.warnings[0]));
});

test('what stands in a file that is no archive is in no message', async () => {
  const secret = 'hunter2-S3CRET';
  const contents = [
    `${secret}\tx\n`,
    `user,host,password\nalice,db1,${secret}\n`,
    `a\n/${secret}\n`,
    `["${secret}`,
    `["a", "/${secret}"]`,
    `[{"path": "a", "type": "${secret}"}]`,
    `{"password": "${secret}"}`,
    `a,md5=x,1\n"${secret}`,
    `a,md5=x,1\nb,${secret},1\n`,
    `a,md5=x,${secret}\n${secret}\0,,\n`,
    `\x80\x81${secret}`,
    `a${'\n'}a/${'\n'}${secret}`,
  ];
  for (const content of contents) {
    for (const name of ['-RECORD', '.txt', '.zip', '.json', '']) {
      const path = fileOf(Buffer.from(content, 'latin1'), name);
      const said = await readManifest(path).then(
        ({ warnings }) => warnings.map(({ message }) => message).join('\n'),
        (error: Error) => `${error.message}\n${String((error.cause as Error | undefined)?.message ?? '')}`,
      );
      assert.not.match(said, new RegExp(secret), `${content}: ${said}`);
    }
  }
});

test.run();
