/**
 * The pass, manifests and records on Windows: modes, names, reading, links. Node for Windows runs them, and so does
 * `windows-imitated.spec.ts` in a process that believes to be on Windows.
 */
import fs, {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chmodr } from '../../lib/compat/chmodr.ts';
import { holdDirectory, openTree } from '../../lib/directory/open.ts';
import { Place } from '../../lib/directory/place.ts';
import { LinkResolver, leadsBelow } from '../../lib/directory/resolve-link.ts';
import { ManifestError } from '../../lib/errors.ts';
import { applyPermissions, readManifest, recordManifest } from '../../lib/index.ts';
import type { ApplyOptions } from '../../lib/options.ts';
import { runAtOnce } from '../../lib/slices.ts';
import { impatient, reasonsOf, rejectedReport } from '../helpers/passes.ts';
import { FAT, type RawEntry, REGULAR, rawZip } from '../helpers/raw-zip.ts';
import { packTar } from '../helpers/tar.ts';

const test = suite('Windows: pass');
/** What was asked of chmod, where Windows is imitated. */
const { chmodsOnWindows } = globalThis as { chmodsOnWindows?: string[] };
const isImitated = chmodsOnWindows !== undefined;

const made: string[] = [];

function tempDirectory(): string {
  const path = realpathSync.native(mkdtempSync(join(tmpdir(), 'permwalk-')));
  made.push(path);
  return path;
}

process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
});

/** Wine has no links, and Windows makes them for administrators and developers alone. */
const canLink = ((): boolean => {
  const path = join(tempDirectory(), 'link');
  try {
    symlinkSync('target', path);
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
})();
const linking = canLink ? test : test.skip;
if (!canLink) console.log('  skipped: what is said of links, for none can be made here');

/** A tree of files with these contents; modes are those that the system gives. */
function plant(contents: Record<string, string>): string {
  const root = tempDirectory();
  for (const [path, content] of Object.entries(contents)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** Every entry and its mode, as node:fs tells it. */
function modes(root: string): string[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return ['.', ...names].map((name) => `${lstatSync(join(root, name)).mode.toString(8)} ${name}`);
}

function changesNothing(root: string, before: readonly string[]): void {
  assert.equal(modes(root), before);
  if (chmodsOnWindows !== undefined) assert.equal(chmodsOnWindows, []);
}

test.before.each(() => {
  if (chmodsOnWindows !== undefined) chmodsOnWindows.length = 0;
});

const script = '#!/bin/sh\n';
const asking: Record<string, ApplyOptions> = {
  'the default': {},
  executable: { executable: '**', detect: true, umask: 0o077 },
  'a symbolic mode': { mode: 'a=rwx', directoryMode: '0700' },
  'a mode': { mode: 0o755, hardLinks: 'error' },
  'hard links': { mode: 'a-w', hardLinks: 'skip' },
  'the modes of a manifest': {
    mode: 'manifest',
    discover: true,
    manifest: [
      { path: 'bin', type: 'directory', mode: 0o500 },
      { path: 'bin/run', type: 'file', mode: 0o6755, size: script.length },
    ],
  },
};

for (const [name, options] of Object.entries(asking)) {
  for (const dryRun of [false, true]) {
    test(`modes are a no-op that is told: ${name}${dryRun ? ', dry run' : ''}`, async () => {
      const root = plant({ 'bin/run': script, f: '' });
      linkSync(join(root, 'f'), join(root, 'g'));
      const before = modes(root);
      const onChange = () => assert.unreachable('nothing is changed');
      const report = await applyPermissions(root, { ...options, dryRun, onChange });
      assert.is(report.modes, 'ignored');
      assert.is(report.counts.unchanged, 5);
      assert.is(report.counts.visited, 5);
      assert.is(report.counts.changed + report.counts.ignored + report.counts.hardLinked, 0);
      changesNothing(root, before);
    });
  }
}

test('options that ask for modes are checked all the same', async () => {
  const root = plant({ f: '' });
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ mode: 'u+q' }, /mode/],
    [{ directoryMode: 'nothing' }, /directoryMode/],
    [{ umask: 22 }, /umask/],
    [{ executable: 5 }, /executable/],
    [{ hardLinks: 'no' }, /hardLinks/],
    [{ detect: true, mode: 'a+x' }, /detect/],
    [{ onChange: 'no' }, /onChange/],
  ];
  for (const [options, message] of wrong) {
    const error = await applyPermissions(root, options).catch((thrown: Error) => thrown);
    assert.instance(error, Error);
    assert.match((error as Error).message, message);
  }
});

test('chmodr changes nothing', async () => {
  const root = plant({ 'd/f': '' });
  const before = modes(root);
  await chmodr(root, 0o777);
  await chmodr(join(root, 'd/f'), 0o777);
  changesNothing(root, before);
});

test('a manifest is held against the tree as elsewhere', async () => {
  const root = plant({ 'a/f': '12', 'a/g': '1' });
  const manifest = [
    { path: 'a/f', type: 'file', size: 2 },
    { path: 'a/g', type: 'file', size: 2 },
    { path: 'a/h', type: 'file' },
    { path: 'a', type: 'file' },
  ] as const;
  const report = await rejectedReport(
    applyPermissions(root, { manifest: manifest.slice(0, 3), retry: impatient }),
  );
  assert.equal(reasonsOf(report), ['a/g: size-mismatch', 'a/h: missing']);
  assert.ok(report.settle.rounds > 0);
  const lenient = await applyPermissions(root, { manifest: manifest.slice(3), retry: false, strict: false });
  assert.equal(reasonsOf(lenient), ['a: type-mismatch']);
  const present = await applyPermissions(root, { manifest: manifest.slice(0, 2), verify: 'presence' });
  assert.ok(present.ok);
  const late = applyPermissions(root, { manifest: manifest.slice(2, 3) });
  setImmediate(() => writeFileSync(join(root, 'a/h'), ''));
  assert.is((await late).settle.recovered, 1);
  const bounded = await applyPermissions(root, { maxEntries: 2 }).catch((error: unknown) => error);
  assert.is((bounded as { code: string }).code, 'ERR_PERMWALK_MAX_ENTRIES');
  const aborted = await applyPermissions(root, { signal: AbortSignal.abort('stop') }).catch((error) => error);
  assert.is(aborted, 'stop');
});

/** Names are UTF-8 (APPNOTE 4.4.4). */
const UTF8 = 1 << 11;

/** Names that Windows cannot hold, or that lead elsewhere there. */
const hostile = [
  '..\\victim',
  'a\\b',
  '\\a',
  'aa:b',
  'a/b:',
  'C:a',
  '\\\\server\\share',
  'f*',
  'f?',
  'a<b',
  'a>b',
  'a|b',
  'a"b',
  'a\u0001b',
  'a.',
  'a /b',
  '...',
  'nul',
  'd/NUL.tar.gz',
  'com1 .txt',
  'lpt\u00b9',
  'conin$',
];

/** What a source comes to, as an error of its manifest. */
async function refusal(read: () => Promise<unknown>): Promise<string> {
  try {
    await read();
  } catch (error) {
    assert.instance(error, ManifestError, String(error));
    return (error as ManifestError).message;
  }
  return 'it was taken';
}

const fileOf = (name: string, content: Uint8Array | string): string => {
  const path = join(tempDirectory(), name);
  writeFileSync(path, content);
  return path;
};

/** A name as mtree(5) writes it. */
const visible = (name: string) =>
  [...Buffer.from(name)]
    .map((byte) => (byte === 0x2f ? '/' : `\\${byte.toString(8).padStart(3, '0')}`))
    .join('');

const sources: Record<string, (name: string) => () => Promise<unknown>> = {
  zip: (name) => () => readManifest(fileOf('a.zip', rawZip([{ name, mode: REGULAR | 0o644, flags: UTF8 }]))),
  tar: (name) => () => readManifest(fileOf('a.tar', packTar([{ name, content: 'x' }]))),
  'a list': (name) => () => readManifest(fileOf('list.json', JSON.stringify(['ok', name]))),
  'mtree(5)': (name) => () =>
    readManifest(fileOf('a.mtree', `#mtree\n./ok type=file\n./${visible(name)} type=file size=1\n`)),
  'an inline manifest': (name) => () => applyPermissions(tempDirectory(), { manifest: [name], retry: false }),
};

for (const [source, reading] of Object.entries(sources)) {
  test(`names that Windows cannot hold are refused in ${source}`, async () => {
    for (const name of hostile) {
      assert.match(await refusal(reading(name)), /on Windows|Windows (?:drops|takes)|drive letter/, name);
    }
  });
}

test('a RECORD has slashes for backslashes, and its names are checked', async () => {
  const rows = (name: string) => `"${name.replaceAll('"', '""')}",,\nx-1.dist-info/RECORD,,\n`;
  for (const name of ['aa:b', 'f*', 'a.', 'd/NUL.tar.gz', 'conin$']) {
    assert.match(await refusal(() => readManifest(fileOf('RECORD', rows(name)))), /Windows/, name);
    const folder = plant({ 'x-1.dist-info/RECORD': rows(name) });
    assert.match(await refusal(() => readManifest(folder)), /Windows/, name);
  }
});

test('names that Windows can hold are taken', async () => {
  const names = ['a/ü b', '.hidden', 'a..b', 'nullable', 'com', 'com10', 'console.txt', 'a;b', "it's", '~$x'];
  const { entries } = await readManifest(fileOf('list.json', JSON.stringify(names)));
  assert.equal(
    entries.map(({ path }) => path),
    names,
  );
});

test('of a second spelling, only one that leads nowhere else counts', async () => {
  const read = (entry: RawEntry) => readManifest(fileOf('a.zip', rawZip([entry])));
  const { entries } = await read({ name: 'a\\b', system: FAT });
  assert.equal(
    entries.map(({ path, alternative }) => [path, alternative]),
    [['a/b', undefined]],
  );
});

test('no name of an entry has what separates names', () => {
  const directory = holdDirectory(plant({ f: '' }));
  for (const name of ['..\\f', 'd\\f', 'f:stream', 'C:']) {
    assert.throws(
      () => directory.lstat(name),
      (error: unknown) => error instanceof RangeError,
      name,
    );
  }
  assert.is(directory.lstat('f')?.type, 'file');
  directory.close();
});

test('a file is read by its identity, however it is asked for', () => {
  const directory = holdDirectory(plant({ f: 'content' }));
  const file = directory.open('f');
  assert.is(Buffer.from(file.read(100)).toString(), 'content');
  if (isImitated) assert.is(typeof file.stats.ino, 'bigint');
  file.close();
  directory.close();
});

test('what takes the place of a file between the look and the opening is not read', () => {
  const outside = plant({ secret: 'secret' });
  const root = plant({ f: 'content', other: 'other' });
  const directory = holdDirectory(root);
  const { openSync } = fs;
  const exchanges: (() => void)[] = [
    ...(canLink ? [() => symlinkSync(join(outside, 'secret'), join(root, 'f'))] : []),
    () => renameSync(join(root, 'other'), join(root, 'f')),
  ];
  for (const exchange of exchanges) {
    // The first one stays, so that no other file gets its number.
    fs.openSync = ((...parameters: Parameters<typeof openSync>) => {
      renameSync(join(root, 'f'), join(root, 'kept'));
      exchange();
      return openSync(...parameters);
    }) as typeof openSync;
    syncBuiltinESMExports();
    try {
      assert.throws(() => directory.open('f'), /ERR_PERMWALK_SWAPPED/);
    } finally {
      fs.openSync = openSync;
      syncBuiltinESMExports();
    }
    unlinkSync(join(root, 'f'));
    renameSync(join(root, 'kept'), join(root, 'f'));
  }
  directory.close();
});

linking('links are understood with backslashes', async () => {
  const root = plant({ 'lib/f': '', 'bin/g': '' });
  const links = { 'bin/in': '../lib/f', 'bin/gone': '../lib/no', 'bin/out': '../../x', 'bin/dot': 'a/../g' };
  for (const [path, target] of Object.entries(links)) symlinkSync(target, join(root, path));
  const report = await applyPermissions(root);
  assert.equal(report.links, [
    { path: 'bin/dot', target: 'a\\..\\g', kind: 'unknown' },
    { path: 'bin/gone', target: '..\\lib\\no', kind: 'dangling' },
    { path: 'bin/out', target: '..\\..\\x', kind: 'outside' },
  ]);
  for (const linkTarget of ['../lib/f', '..\\lib/f']) {
    const manifest = [{ path: 'bin/in', type: 'symlink', linkTarget }] as const;
    assert.ok((await applyPermissions(root, { manifest })).ok, linkTarget);
  }
  const other = [{ path: 'bin/in', type: 'symlink', linkTarget: '../lib/g' }] as const;
  assert.equal(reasonsOf(await applyPermissions(root, { manifest: other, strict: false })), [
    'bin/in: link-mismatch',
  ]);
});

test('where a link leads is told by either separator', () => {
  assert.ok(
    leadsBelow('/cache/.permwalk-1', '..\\.permwalk-1\\f') &&
      leadsBelow('/cache/.permwalk-1', './.permwalk-1'),
  );
  const tree = openTree(plant({ f: '' }));
  const resolver = new LinkResolver(tree);
  const kindOf = (target: string) => runAtOnce(resolver.resolve(new Place(undefined, '.'), target)).kind;
  assert.is(kindOf('.\\f'), 'inside');
  assert.is(kindOf('\\f'), 'unknown');
  assert.is(kindOf('C:f'), 'unknown');
  assert.is(kindOf('C:\\f'), 'outside');
  tree.close();
});

(isImitated ? test.skip : test)('two paths that are one name on disk are unresolved, both', async () => {
  const root = plant({ 'bin/run': '' });
  assert.equal(reasonsOf(await applyPermissions(root, { manifest: ['BIN/Run'] })), []);
  writeFileSync(join(root, 'BIN/x'), '');
  const both = { manifest: ['bin/x', 'bin/X'], retry: false, strict: false } as const;
  const report = await applyPermissions(root, both);
  assert.equal(reasonsOf(report), ['bin/X: type-mismatch', 'bin/x: type-mismatch']);
  assert.is(report.unresolved[0]?.code, 'ERR_PERMWALK_SAME_NAME');
});

test('a record has no modes', async () => {
  const { entries, warnings } = await recordManifest(plant({ 'd/f': '' }));
  assert.equal(
    entries.map(({ path, type, mode }) => [path, type, mode]),
    [
      ['.', 'directory', undefined],
      ['d', 'directory', undefined],
      ['d/f', 'file', undefined],
    ],
  );
  assert.equal(
    warnings.map(({ code }) => code),
    ['no-modes'],
  );
});

(isImitated ? test : test.skip)(
  'a record leaves out names that most programs cannot use, and says so',
  async () => {
    const { entries, warnings } = await recordManifest(plant({ 'd/nul': '', 'd/ok': '' }));
    assert.equal(
      entries.map(({ path }) => path),
      ['.', 'd', 'd/ok'],
    );
    assert.equal(
      warnings.map(({ code, path }) => [code, path]),
      [
        ['no-modes', undefined],
        ['windows-name', 'd/nul'],
      ],
    );
  },
);

test.run();
