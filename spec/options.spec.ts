import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import extractZip from 'extract-zip';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chmodr, chmodrSync } from '../lib/compat/chmodr.ts';
import {
  type ApplyOptions,
  applyPermissions,
  ManifestError,
  readManifest,
  readRecordManifest,
  readTarManifest,
  readZipManifest,
  type UnresolvedEntriesError,
  wrapExtractor,
} from '../lib/index.ts';
import { writeBundle } from './helpers/bundle.ts';
import { extent } from './helpers/extent.ts';
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
  ['flattenedLinks', { flattenedLinks: true }],
  ['danglingLinks', { danglingLinks: 1 }],
  ['retry', { retry: true }],
  ['retry', { retry: 3 }],
  ['retry option "timeout"', { retry: { timeout: 5 } }],
  ['retry.retries', { retry: { retries: '3' } }],
  ['retry.randomize', { retry: { randomize: 1 } }],
  ['strict', { strict: 0 }],
  ['dryRun', { dryRun: null }],
  ['umask', { umask: true }],
  ['mode', { mode: null }],
  ['directoryMode', { directoryMode: null }],
  ['executable', { executable: null }],
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
  ['flattenedLinks', { flattenedLinks: 'restored' }],
  ['danglingLinks', { danglingLinks: 'follow' }],
  ['retry.retries', { retry: { retries: -1 } }],
  ['retry.retries', { retry: { retries: Number.NaN } }],
  ['retry.retries', { retry: { retries: 2.5 } }],
  ['executable', { executable: `{${'a,'.repeat(40_000)}b}` }],
  ['retry.minTimeout', { retry: { minTimeout: Number.POSITIVE_INFINITY } }],
  ['retry.maxRetryTime', { retry: { maxRetryTime: -5 } }],
  ['umask', { umask: 0o1000 }],
  ['umask', { umask: '888' }],
  ['umask', { umask: '1777' }],
  ['directoryMode', { directoryMode: 'manifest' }],
  ['directoryMode', { directoryMode: 'u+q' }],
  ['directoryMode', { directoryMode: 0o2755 }],
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

const meant: [options: Record<string, unknown>, message: string][] = [
  [
    { manifest: 'a.zip' },
    'manifest: expected a Manifest or an iterable of paths or entries, got "a.zip"; readManifest reads one from a file',
  ],
  [{ manifest: new Uint8Array(3) }, 'got bytes; readZipManifest reads one from bytes'],
  [{ manifest: Promise.resolve([]) }, 'got a promise; await it: await readManifest(…)'],
  [{ retry: 5 }, 'retry: expected an object or false, got 5; did you mean { retries: 5 }?'],
  [{ umask: 22 }, "umask: 22 is 0o026; did you mean 0o22? Write '026' if you do mean 0o026"],
  [{ umask: 77 }, "umask: 77 is 0o115; did you mean 0o77? Write '115' if you do mean 0o115"],
  [
    { mode: null },
    "mode: expected 'executable', 'manifest', a number (0o644) or a string ('u+rwX'), got null; leave it out for the default",
  ],
  [{ mode: 644 }, 'did you mean 0o644?'],
  [
    { mode: 'manifest', detect: true },
    'detect: works only in mode \'executable\', and mode is "manifest": leave one of them out',
  ],
  [{ mode: 0o644, detect: true }, 'and mode is 0o644: leave one of them out'],
  [{ umask: 1000 }, 'umask: 1000 is not an integer from 0 to 0o777'],
  [{ retry: { retries: -1 } }, 'retry.retries: -1 is not a whole number, 0 or more'],
  [{ maxEntries: 0 }, 'maxEntries: 0 is not a whole number, 1 or more'],
  [{ retry: { factor: Number.NaN } }, 'retry.factor: NaN is not a finite number, 0 or more'],
  [
    { directoryMode: 'manifest' },
    "is for files and directories: set mode; expected 'umask' or a mode of chmod",
  ],
  [{ manifest: [{ path: 'f', sise: 3 }] }, 'path "f" has a property "sise"; did you mean "size"?'],
  [{ manifest: [{ sise: 3 }] }, 'an entry after 0 others has a property "sise"; did you mean "size"?'],
  [{ manifest: [{ path: 'f', link_target: 'x' }] }, 'did you mean "linkTarget"?'],
  [{ manifest: [{ path: 'f', mdoe: 0o755 }] }, 'did you mean "mode"?'],
];

for (const [options, message] of meant) {
  test(`says what is meant: ${message}`, async () => {
    const error = await rejection({ ...('mode' in options ? {} : { mode: 'a+r' }), ...options });
    assert.ok(error.message.includes(message), error.message);
  });
}

test('an entry may have properties that are called otherwise', async () => {
  const manifest = [{ path: 'f', sha256: 'x', name: 'f', mtime: 0, hash: '', note: '' }];
  assert.ok((await applyPermissions(makeTree({ f: 0o600 }), { manifest })).ok);
});

test('a umask may be octal digits', async () => {
  const root = makeTree({ f: 0o644 });
  await applyPermissions(root, { mode: '+w', umask: '026' });
  assert.is(modeOf(root, 'f'), 0o644);
  await applyPermissions(root, { mode: '+w', umask: '002' });
  assert.is(modeOf(root, 'f'), 0o664);
});

/** Every function that takes a path, called with something else. */
const pathTakers: [name: string, call: (path: never) => Promise<unknown>, takes: string][] = [
  ['root', (path) => applyPermissions(path), 'a path'],
  ['path', (path) => chmodr(path, 0o644), 'a path'],
  ['path', async (path) => chmodrSync(path, 0o644), 'a path'],
  ['source', (path) => readManifest(path), 'a path'],
  ['source', (path) => readTarManifest(path), 'a path'],
  ['source', (path) => readRecordManifest(path), 'a path'],
  ['source', (path) => readZipManifest(path), 'a path or bytes (Uint8Array)'],
  ['archive', (path) => wrapExtractor(() => {})(path, '/nowhere/at/all'), 'a path or bytes (Uint8Array)'],
  ['destination', (path) => wrapExtractor(() => {})('a', path), 'a path'],
];

test('a wrong path says what was given and what is taken, in every function', async () => {
  const wrong: [unknown, string][] = [
    [new URL('file:///tmp'), 'a URL'],
    [7, '7'],
    [null, 'null'],
    [undefined, 'undefined'],
    [['a'], 'an array'],
    [Promise.resolve('a'), 'a promise'],
    [{}, 'an object'],
  ];
  for (const [name, call, takes] of pathTakers) {
    for (const [value, got] of wrong) {
      const error = await call(value as never).then(
        () => undefined,
        (failure: Error) => failure,
      );
      assert.instance(error, TypeError, `${name} ${got}`);
      assert.ok(error?.message.startsWith(`${name}: expected ${takes}, got ${got}`), error?.message);
    }
  }
  for (const read of [readManifest, readTarManifest, readRecordManifest]) {
    const error = await read(new Uint8Array(3) as never).catch((failure) => failure);
    assert.match(error.message, 'got bytes; readZipManifest reads a zip archive from bytes');
  }
});

test('directoryMode says what directories get, and mode what files get', async () => {
  const cases: [options: ApplyOptions, file: number, directory: number][] = [
    [{ mode: 'manifest', directoryMode: 'umask', umask: 0o022 }, 0o640, 0o755],
    [{ mode: 'manifest', directoryMode: 'umask', umask: '027' }, 0o640, 0o750],
    [{ mode: 'manifest', directoryMode: 0o701 }, 0o640, 0o701],
    [{ mode: 'manifest', directoryMode: '0744' }, 0o640, 0o744],
    [{ mode: 0o604, directoryMode: 'u=rwx,go=' }, 0o604, 0o700],
    [{ mode: 'a+r', directoryMode: 'go-w' }, 0o644, 0o555],
    [{ mode: 'manifest' }, 0o640, 0o555],
    [{ directoryMode: 0o711 }, 0o600, 0o711],
  ];
  for (const [options, file, directory] of cases) {
    const root = makeTree({ 'd/e/f': 0o600, 'd/': 0o555 });
    const manifest = [
      { path: 'd/', mode: 0o555 },
      { path: 'd/e/f', mode: 0o640 },
    ];
    const { counts } = await applyPermissions(root, { manifest, ...options });
    assert.equal([modeOf(root, 'd/e/f'), modeOf(root, 'd')], [file, directory], JSON.stringify(options));
    // What is only on the way to a file of the manifest is a directory, too.
    if (options.directoryMode === 'umask') assert.is(modeOf(root, 'd/e'), directory);
    assert.is(counts.visited, 4);
    assert.is((await applyPermissions(root, { manifest, ...options })).counts.changed, 0);
  }
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
  const deep = (name: string, depth = 10_000) => `${name}/`.repeat(depth);
  const [count, depth] = extent({ short: [400, 1000] as const, full: [40, 10_000] as const });
  const error = await rejection({
    mode: 'a+r',
    manifest: Array.from({ length: count }, (_, index) => deep(`${index}`, depth)),
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
  flattenedLinks: 'restore',
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
  key: 'x',
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
  bigint: true,
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
        // Native calls are loaded once in a process.
        .replaceAll('"backend":"native"', '"backend":"anchored"')
        .replaceAll(/"(?:durationMs|elapsedMs|waitedMs)":\d+/g, '"ms":0'),
    );
  return [
    inOrder([failure, plain, extracted, second, read, [unread.code, unread.message, unread.path]]),
    [modesBelow(root), modesBelow(tree)],
    process.cwd(),
  ];
}

test('what is in Object.prototype is no option, and no fact', async () => {
  // Native calls are loaded by the first one, where there are any.
  await outcomes(makeGround());
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

test('a relative path is the one that it is when the call is made', async () => {
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
