import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import extractZip from 'extract-zip';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chmodr } from '../lib/compat/chmodr.ts';
import {
  type ApplyOptions,
  applyPermissions,
  ManifestError,
  readManifest,
  readZipManifest,
  type UnresolvedEntriesError,
  wrapExtractor,
} from '../lib/index.ts';
import { writeBundle } from './helpers/bundle.ts';
import { canRunOn } from './helpers/runtime.ts';
import { makeTree, modeOf, modesBelow } from './helpers/tree.ts';

const test = suite('options');

/** What a pass with wrong options rejects with, once it is sure that nothing was touched. */
async function rejection(options: unknown, ...roots: unknown[]): Promise<Error> {
  const tree = makeTree({ f: 0o600 });
  const [root] = [...roots, tree];
  try {
    await applyPermissions(root as string, options as ApplyOptions);
  } catch (error) {
    assert.instance(error, Error);
    assert.is(modeOf(tree, 'f'), 0o600);
    return error as Error;
  }
  throw new Error(`accepted ${JSON.stringify(options)}`);
}

const wrongTypes: [string, Record<string, unknown>][] = [
  ['option "executables"', { executables: ['x'] }],
  ['manifest', { manifest: 'bundle.zip' }],
  ['manifest', { manifest: new Uint8Array(3) }],
  ['manifest', { manifest: 7 }],
  ['manifest', { manifest: {} }],
  ['mode', { mode: true }],
  ['executable', { executable: 7 }],
  ['executable', { executable: ['a', 7] }],
  ['ignore', { ignore: {} }],
  ['discover', { discover: 'yes' }],
  ['verify', { verify: true }],
  ['danglingLinks', { danglingLinks: 1 }],
  ['retry', { retry: true }],
  ['retry', { retry: 3 }],
  ['retry option "timeout"', { retry: { timeout: 5 } }],
  ['retry.retries', { retry: { retries: '3' } }],
  ['retry.randomize', { retry: { randomize: 1 } }],
  ['strict', { strict: 0 }],
  ['dryRun', { dryRun: null }],
  ['umask', { umask: '022' }],
  ['hardLinks', { hardLinks: false }],
  ['crossDevice', { crossDevice: 'no' }],
  ['maxEntries', { maxEntries: '5' }],
  ['signal', { signal: {} }],
  ['onProgress', { onProgress: 'x' }],
  ['onChange', { onChange: 1 }],
];

for (const [name, options] of wrongTypes) {
  test(`a TypeError names ${name}: ${JSON.stringify(options)}`, async () => {
    const error = await rejection({ mode: 'a+r', ...options });
    assert.instance(error, TypeError);
    assert.ok(error.message.includes(name), error.message);
  });
}

const wrongValues: [string, Record<string, unknown>][] = [
  ['mode', { mode: 'u+s' }],
  ['mode', { mode: 0o4755 }],
  ['mode', { mode: 'everything' }],
  ['mode', { mode: -1 }],
  ['executable', { executable: '' }],
  ['ignore', { ignore: ['a', ''] }],
  ['verify', { verify: 'hash' }],
  ['danglingLinks', { danglingLinks: 'follow' }],
  ['retry.retries', { retry: { retries: -1 } }],
  ['retry.retries', { retry: { retries: Number.NaN } }],
  ['retry.retries', { retry: { retries: 2.5 } }],
  ['executable', { executable: `{${'a,'.repeat(40_000)}b}` }],
  ['retry.minTimeout', { retry: { minTimeout: Number.POSITIVE_INFINITY } }],
  ['retry.maxRetryTime', { retry: { maxRetryTime: -5 } }],
  ['umask', { umask: 0o1000 }],
  ['umask', { umask: -1 }],
  ['hardLinks', { hardLinks: 'copy' }],
  ['maxEntries', { maxEntries: 0 }],
  ['maxEntries', { maxEntries: 1.5 }],
];

for (const [name, options] of wrongValues) {
  test(`a RangeError names ${name} and its value: ${JSON.stringify(options)}`, async () => {
    const error = await rejection({ mode: 'a+r', ...options });
    assert.instance(error, RangeError);
    assert.ok(error.message.includes(name), error.message);
  });
}

test('the hint says how a file becomes a manifest', async () => {
  assert.match((await rejection({ manifest: 'bundle.zip' })).message, 'readManifest');
});

test('options and root must be what they are said to be', async () => {
  for (const options of [null, [], 'x', 7]) assert.instance(await rejection(options), TypeError);
  for (const root of [7, null, {}, new URL('file:///tmp')])
    assert.instance(await rejection({}, root), TypeError);
  for (const root of ['', 'a\0b']) assert.instance(await rejection({}, root), RangeError);
});

const unsafePaths = ['/etc/passwd', '../up', 'a/../../b', '', 'a\0b', 'C:/x', 'c:x', 'a/..'];

for (const path of unsafePaths) {
  test(`a manifest must not name ${JSON.stringify(path)}`, async () => {
    for (const entry of [path, { path, mode: 0o755 }]) {
      const error = await rejection({ mode: 'a+r', manifest: ['f', entry] });
      assert.instance(error, ManifestError);
      assert.is((error as ManifestError).path, path);
    }
  });
}

test('a small manifest must not name a tree of millions of directories', async () => {
  const deep = (name: string) => `${name}/`.repeat(10_000);
  const error = await rejection({
    mode: 'a+r',
    manifest: Array.from({ length: 40 }, (_, index) => deep(`${index}`)),
  });
  assert.instance(error, ManifestError);
  assert.instance(await rejection({ manifest: ['x/'.repeat(40_000)] }), ManifestError);
  const report = await applyPermissions(makeTree({ f: 0o600 }), {
    manifest: [`${deep('d')}f`],
    retry: false,
    strict: false,
  });
  assert.is(report.unresolved.length, 1, 'one deep path is only missing');
});

test('a manifest must not contradict itself', async () => {
  const manifest = [
    { path: 'f', mode: 0o755 },
    { path: './f', mode: 0o644 },
  ];
  const error = await rejection({ manifest });
  assert.instance(error, ManifestError);
  assert.match(error.message, '"f"');
  await applyPermissions(makeTree({ f: 0o600 }), { manifest: ['f', 'f', './f'] });
});

test('an option that is undefined is one that is not given', async () => {
  const root = makeTree({ f: 0o600 });
  const names = ['manifest', 'mode', 'executable', 'ignore', 'retry', 'signal', 'onChange', 'maxEntries'];
  const options = Object.fromEntries(names.map((name) => [name, undefined])) as ApplyOptions;
  assert.ok((await applyPermissions(root, options)).ok);
});

/**
 * What somebody may have put into `Object.prototype`: names of options, of facts, and of what is handed on within. Not `signal`: Node's
 * own streams end by it.
 */
const polluted: Record<string, unknown> = {
  manifest: ['nowhere'],
  mode: 'a+rwx',
  directoryMode: 0o777,
  executable: '**',
  ignore: '**',
  detect: true,
  discover: false,
  verify: 'none',
  danglingLinks: 'error',
  retry: { retries: -1 },
  retries: -1,
  factor: 'x',
  minTimeout: 'x',
  maxTimeout: 'x',
  maxRetryTime: 'x',
  randomize: 'x',
  onFailedAttempt: 'x',
  shouldConsumeRetry: 'x',
  strict: false,
  dryRun: true,
  umask: 0,
  hardLinks: 'error',
  crossDevice: true,
  maxEntries: 1,
  onProgress: () => assert.unreachable('onProgress'),
  onChange: () => assert.unreachable('onChange'),
  publish: 'in-place',
  existing: 'replace',
  durable: 'x',
  path: 'polluted',
  type: 'symlink',
  size: 7,
  linkTarget: 'polluted',
  code: 'EPOLLUTED',
  syscall: 'polluted',
  expected: { size: 7 },
  actual: { size: 7 },
  target: 'polluted',
  source: 'polluted',
  outside: ['polluted'],
  lendsWorkingDirectory: true,
};

/** What calls are tried on. */
function makeGround(): { root: string; tree: string } {
  const rows = 'x.py,,\nx-1.dist-info/RECORD,,\n';
  const root = makeTree({ 'd/f': 0o600, 'd/gone': 0o600, l: '-> d/f', 'x-1.dist-info/RECORD': rows });
  return { root, tree: makeTree({ archive: '', 'd/f': 0o600 }) };
}

/** Everything that calls make of a tree, with as few options as they may have. */
async function outcomes({ root, tree }: ReturnType<typeof makeGround>): Promise<unknown> {
  const manifest = [
    'd/',
    'd/f',
    { path: 'd/gone', mode: 0o755 },
    { path: 'l' },
    { path: 'd/late' },
    'l/below',
  ];
  const retry = { retries: 1, minTimeout: 1, maxTimeout: 1 };
  const failure = await applyPermissions(root, { manifest, retry }).catch(
    (error: UnresolvedEntriesError) => error,
  );
  const plain = await applyPermissions(tree, {});
  const extract = wrapExtractor((_archive: string, directory) => writeFileSync(join(directory, 'f'), ''), {
    manifest: ['f'],
  });
  const extracted = await extract('archive', join(tree, 'new'));
  const second = await extract('archive', join(tree, 'new')).catch((error) => error.code);
  const read = await readManifest(join(root, 'x-1.dist-info/RECORD'));
  const unread = await readManifest(join(tree, 'none')).catch((error) => error);
  const inOrder = (value: unknown) =>
    JSON.parse(
      JSON.stringify(value)
        .replaceAll(root, 'ROOT')
        .replaceAll(tree, 'TREE')
        .replaceAll(/"(?:durationMs|elapsedMs|waitedMs)":\d+/g, '"ms":0'),
    );
  return [
    inOrder([failure, plain, extracted, second, read, [unread.code, unread.message, unread.path]]),
    [modesBelow(root), modesBelow(tree)],
    process.cwd(),
  ];
}

test('what is in Object.prototype is no option, and no fact', async () => {
  const expected = await outcomes(makeGround());
  for (const [name, value] of Object.entries(polluted)) {
    const before = process.cwd();
    const ground = makeGround();
    Object.defineProperty(Object.prototype, name, {
      value,
      configurable: true,
      writable: true,
      enumerable: false,
    });
    let found: unknown;
    try {
      found = await outcomes(ground);
    } catch (error) {
      found = error;
    } finally {
      Reflect.deleteProperty(Object.prototype, name);
    }
    assert.equal(found, expected, name);
    assert.is(process.cwd(), before);
  }
});

const moves = canRunOn(['node', 'bun'], 'specs of one process have one working directory');

(moves ? test : test.skip)('a relative path is the one that it is when the call is made', async () => {
  const here = process.cwd();
  const place = makeTree({
    'tree/f': 0o600,
    'other/tree/f': 0o600,
    'list.txt': 'tree/f\n',
    'other/list.txt': 'no/such\n',
  });
  writeBundle(join(place, 'app.zip'), { 'bin/run': 'right' });
  writeBundle(join(place, 'other/app.zip'), { 'bin/run': 'something else' });
  writeFileSync(join(place, 'app.tar'), '');
  const inTheWay = async <T>(call: () => Promise<T>): Promise<T> => {
    process.chdir(place);
    try {
      const promise = call();
      process.chdir('other');
      return await promise;
    } finally {
      process.chdir(here);
    }
  };
  const { root } = await inTheWay(() => applyPermissions('tree', { mode: 'a+r' }));
  assert.is(root, join(place, 'tree'));
  assert.is(modeOf(place, 'tree/f'), 0o644);
  assert.is((await inTheWay(() => applyPermissions('.', { mode: 'a+r', ignore: '*' }))).root, place);
  await inTheWay(() => chmodr('tree', 0o640));
  await inTheWay(() => chmodr('tree/f', 0o604));
  assert.is(modeOf(place, 'tree/f'), 0o604);
  assert.is(modeOf(place, 'other/tree/f'), 0o600);
  assert.equal(
    [...(await inTheWay(() => readManifest('list.txt')))].map(({ path }) => path),
    ['tree/f'],
  );
  for (const read of [readManifest, readZipManifest]) {
    assert.is([...(await inTheWay(() => read('app.zip')))][0]?.size, 5);
  }
  const extract = wrapExtractor((archive: string, directory) => extractZip(archive, { dir: directory }));
  assert.is((await inTheWay(() => extract('app.zip', 'new'))).root, join(place, 'new'));
  assert.is(readFileSync(join(place, 'new/bin/run'), 'utf8'), 'right');
});

test.run();
