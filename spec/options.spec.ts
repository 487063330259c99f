import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ManifestError } from '../lib/errors.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { makeTree, modeOf } from './helpers/tree.ts';

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

const unsafePaths = ['/etc/passwd', '../up', 'a/../../b', '', 'a\0b', 'C:/x', 'c:\\x', 'a/..'];

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

test.run();
