import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, linkSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applyPermissions, type Manifest, ManifestError, readManifest } from '../lib/index.ts';
import { traitsOf } from '../lib/manifest/manifest.ts';
import type { MappingOptions } from '../lib/manifest/mapping.ts';
import { makeZip, runCli } from './helpers/cli.ts';
import { extent } from './helpers/extent.ts';
import { entriesBelow, makeTree, tempDirectory } from './helpers/tree.ts';

async function readJson(entries: readonly unknown[], options: MappingOptions): Promise<Manifest> {
  const file = join(tempDirectory(), 'list.json');
  writeFileSync(file, JSON.stringify(entries));
  return readManifest(file, options);
}

const pathsOf = (manifest: Manifest) => manifest.entries.map(({ path }) => path);

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => assert.unreachable('does not fail'),
    (error) => error,
  );
}

/** A tar archive of a tree, and what GNU tar makes of it. */
function packed(root: string, paths: readonly string[] = ['.']): string {
  const archive = join(tempDirectory(), 'a.tar');
  execFileSync('tar', ['-cf', archive, '-C', root, ...paths]);
  return archive;
}

const test = suite('mapping');

test('strip takes directories off, and what has no more is outside', async () => {
  const entries = ['package/', 'package/a/', 'package/a/b', 'other/x', 'README', 'package/l'];
  const manifest = await readJson(entries, { strip: 1 });
  assert.equal(pathsOf(manifest), ['a', 'a/b', 'x', 'l']);
  assert.equal(manifest.outside, ['README']);
  assert.equal(pathsOf(await readJson(entries, { strip: 2 })), ['b']);
  assert.equal((await readJson(entries, { strip: 2 })).outside, ['other/x', 'README', 'package/l']);
  assert.equal(pathsOf(await readJson(entries, { strip: 0 })), pathsOf(await readJson(entries, {})));
});

test('prefix makes a directory of the source the root', async () => {
  const entries = [
    'extension/',
    'extension/bin/run',
    '[Content_Types].xml',
    'extension.vsixmanifest',
    'docs/',
  ];
  for (const prefix of ['extension', './extension/', 'extension//']) {
    const manifest = await readJson(entries, { prefix });
    assert.equal(pathsOf(manifest), ['bin/run']);
    assert.equal(manifest.outside, ['[Content_Types].xml', 'extension.vsixmanifest', 'docs']);
    assert.equal(manifest.format, 'list');
  }
  assert.equal(pathsOf(await readJson(entries, { prefix: 'extension/bin' })), ['run']);
});

test('second spellings and hard links go with their paths, texts of links stay', async () => {
  const root = makeTree({ 'p/f': 'x', 'p/l': '-> f', 'q/': 0o755 });
  linkSync(join(root, 'p/f'), join(root, 'p/second'));
  linkSync(join(root, 'p/f'), join(root, 'q/third'));
  const manifest = await readManifest(packed(root), { strip: 1 });
  const firsts = manifest.entries.flatMap((entry) => traitsOf(entry).firstName ?? []);
  assert.equal(new Set(firsts).size, 1);
  assert.ok(pathsOf(manifest).includes(firsts[0] as string));
  assert.is(manifest.entries.find(({ path }) => path === 'l')?.linkTarget, 'f');
  // Its first name is cut: what has that path now is another file.
  linkSync(join(root, 'p/f'), join(root, 'q/fourth'));
  mkdirSync(join(root, 'q/p'));
  writeFileSync(join(root, 'q/p/f'), '');
  const archive = packed(root, ['p/f', 'q/third', 'q/fourth', 'q/p/f']);
  const inner = await readManifest(archive, { prefix: 'q' });
  assert.equal(pathsOf(inner).sort(), ['fourth', 'p/f', 'third']);
  const others = inner.entries.flatMap((entry) => traitsOf(entry).firstName ?? []);
  assert.equal([others.length, new Set(others).size, others.includes('p/f')], [2, 1, false]);
  const json = await readJson(
    [
      { path: 'p/a', alternative: 'p/A' },
      { path: 'p/b', alternative: 'B' },
    ],
    { prefix: 'p' },
  );
  assert.equal(
    json.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['a', 'A'],
      ['b', undefined],
    ],
  );
});

test('where two paths become one, the last counts, and a warning names both', async () => {
  const manifest = await readJson(
    ['a/', 'a/d/', 'b/d/', { path: 'a/x', size: 1 }, { path: 'b/x', size: 2 }, 'c/d', 'b/y/z', 'c/y'],
    { strip: 1 },
  );
  assert.equal(
    manifest.entries.map(({ path, size }) => [path, size]),
    [
      ['x', 2],
      ['d', undefined],
      ['y/z', undefined],
      ['y', undefined],
    ],
  );
  assert.equal(
    manifest.warnings.map(({ code, path, message }) => [
      code,
      path,
      /"(.\/.)" and "(.\/.)"/.exec(message)?.slice(1),
    ]),
    [
      ['collision', 'x', ['a/x', 'b/x']],
      ['collision', 'd', ['b/d', 'c/d']],
    ],
  );
});

test('refuses both, what is no number or path, and what leaves nothing', async () => {
  const wrong: [MappingOptions, typeof TypeError | typeof RangeError | typeof ManifestError, RegExp][] = [
    [{ strip: 1, prefix: 'a' }, TypeError, /^strip and prefix/],
    [{ strip: '1' as never }, TypeError, /^strip: expected a number/],
    [{ strip: -1 }, RangeError, /^strip: -1/],
    [{ strip: 1.5 }, RangeError, /^strip: 1.5/],
    [{ prefix: 1 as never }, TypeError, /^prefix: expected a path/],
    [{ prefix: '../a' }, RangeError, /^prefix: "..\/a" has a ".." component/],
    [{ prefix: '/a' }, RangeError, /is absolute/],
    [{ prefix: '.' }, RangeError, /is the root already/],
    [{ prefix: '' }, RangeError, /is empty/],
    [
      { prefix: 'extension' },
      ManifestError,
      /has no path left with prefix "extension": its first path is "package\/a"/,
    ],
    [{ strip: 7 }, ManifestError, /has no path left with strip 7/],
    [{ depth: 7 } as never, TypeError, /^unknown option "depth": known are signal, strip, prefix$/],
  ];
  for (const [options, type, pattern] of wrong) {
    const error = await failure(readJson(['package/a'], options));
    assert.instance(error, type);
    assert.match(error.message, pattern);
  }
});

test('strip gives what GNU tar --strip-components makes', async () => {
  const names = fc.constantFrom('a', 'b', 'c');
  const paths = fc.uniqueArray(
    fc.array(names, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    { minLength: 1, maxLength: 6 },
  );
  await fc.assert(
    fc.asyncProperty(paths, fc.integer({ min: 1, max: 2 }), async (files, strip) => {
      const root = tempDirectory();
      for (const [index, path] of files.entries()) {
        const full = join(root, path);
        try {
          mkdirSync(join(full, '..'), { recursive: true });
          writeFileSync(full, 'x'.repeat(index), { flag: 'wx' });
        } catch {
          // It lies below a file, or is a directory.
          continue;
        }
        chmodSync(full, index % 2 === 0 ? 0o755 : 0o640);
      }
      const archive = packed(root);
      const destination = tempDirectory();
      const args = ['-xpf', archive, '-C', destination, `--strip-components=${strip + 1}`];
      // It fails where a file is in the way of a directory: that is for the warnings.
      if (spawnSync('tar', args, { stdio: 'ignore' }).status !== 0) return;
      const extracted = entriesBelow(destination);
      const reading = readManifest(archive, { strip });
      if (extracted.length === 0)
        return assert.match((await failure(reading)).message, /has no path left with/);
      const manifest = await reading;
      if (manifest.warningCount > 0) return;
      assert.equal(pathsOf(manifest).sort(), extracted.map(([path]) => path).sort());
      const report = await applyPermissions(destination, {
        manifest,
        mode: 'manifest',
        umask: 0,
        retry: false,
      });
      assert.equal([report.ok, report.counts.changed], [true, 0]);
    }),
    { numRuns: extent({ short: 15, full: 150 }) },
  );
});

test('the command maps, too, and says what is outside', async () => {
  const zip = makeZip(join(tempDirectory(), 'a.zip'), {
    'extension/run': { mode: 0o755, content: '' },
    'manifest.xml': {},
  });
  const root = makeTree({ run: 0o644 });
  const mapped = await runCli(['apply', '--umask', '022', '--manifest', zip, '--prefix', 'extension', root]);
  assert.equal([mapped.code, lstatSync(join(root, 'run')).mode & 0o777], [0, 0o755], mapped.stderr);
  assert.match(mapped.stderr, /note: these paths of the manifest are outside[^\n]*\n {2}manifest.xml\n/);
  const stripped = await runCli([
    'check',
    '--umask',
    '022',
    '--strip-components',
    '1',
    '--manifest',
    zip,
    root,
  ]);
  assert.is(stripped.code, 0, stripped.stderr);
  for (const [args, pattern] of [
    [['--strip-components', '1', '--prefix', 'x', '--manifest', zip], /cannot be used with/],
    [['--strip-components', 'x', '--manifest', zip], /Allowed: a whole number/],
    [['--prefix', '../x', '--manifest', zip], /error: option --prefix: /],
    [['--prefix', 'x'], /error: option --prefix: needs --manifest/],
    [['--strip-components', '1'], /error: option --strip-components: needs --manifest/],
  ] as const) {
    const { code, stderr } = await runCli(['check', ...args, root]);
    assert.is(code, 2);
    assert.match(stderr, pattern);
  }
});

test('a prefix that is not ASCII may be the second spelling', async () => {
  // Finder says no encoding: CP437 for Python, UTF-8 for unzip.
  const entries = [
    { path: 't├╢/', alternative: 'tö' },
    { path: 't├╢/├ñ', alternative: 'tö/ä', type: 'file', size: 1 },
    { path: 't├╢/plain', alternative: 'tö/plain' },
    { path: 'C:tö/x', alternative: 'tö/x' },
    { path: 'other' },
  ];
  const second = await readJson(entries, { prefix: 'tö' });
  assert.equal(pathsOf(second), ['ä', 'plain', 'x']);
  assert.equal(second.outside, ['other']);
  assert.ok(second.entries.every(({ alternative }) => alternative === undefined));
  const first = await readJson(entries, { prefix: 't├╢' });
  assert.equal(
    first.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['├ñ', undefined],
      ['plain', undefined],
    ],
  );
  // A name that most extractors leave as it is is not below an ordinary prefix.
  const ordinary = [{ path: 'a\\x', alternative: 'a/x' }, 'a/y'];
  assert.equal(pathsOf(await readJson(ordinary, { prefix: 'a' })), ['y']);
  const stripped = await readJson([{ path: 'C:top/z', alternative: 'top/z' }], { strip: 1 });
  assert.equal(pathsOf(stripped), ['z']);
  assert.not.ok('alternative' in (stripped.entries[0] ?? {}));
});

test('an extraction maps its archive', async () => {
  const root = makeTree({ 'package/bin/run': 0o755, 'package/f': 0o644 });
  const archive = join(tempDirectory(), 'p.tgz');
  execFileSync('tar', ['-czf', archive, '-C', root, 'package']);
  const destination = join(tempDirectory(), 'out');
  const extractor = [
    'tar',
    '-xf',
    '{archive}',
    '-C',
    '{destination}',
    '--strip-components=1',
    '--mode=a-x+X',
  ];
  const args = ['extract', '--strip-components', '1', '--umask', '022', archive, destination, '--'];
  const { code, stderr } = await runCli([...args, ...extractor.slice(0, -1)]);
  assert.is(code, 0, stderr);
  assert.is(lstatSync(join(destination, 'bin/run')).mode & 0o777, 0o755);
});

test.run();
