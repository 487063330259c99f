import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeName } from '../lib/directory/names.ts';
import { ManifestError } from '../lib/errors.ts';
import type { ManifestEntry } from '../lib/manifest/manifest.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { runJson } from './helpers/cli.ts';
import { extent } from './helpers/extent.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';
import { factsOf, failureOf, run } from './helpers/zip.ts';

const scratch = tempDirectory();
const at = (name: string): string => join(scratch, name);

/** A file of the scratch directory with this content. */
function listWith(content: string | Uint8Array, name = 'list'): string {
  writeFileSync(at(name), content);
  return at(name);
}

/** What a list with this content names. */
async function readList(content: string | Uint8Array): Promise<ManifestEntry[]> {
  const manifest = await readManifest(listWith(content));
  assert.is(manifest.format, 'list');
  assert.is(manifest.source, at('list'));
  assert.is(manifest.outside, undefined);
  return factsOf(manifest);
}

const paths = (...given: string[]): ManifestEntry[] => given.map((path) => ({ path }));
const directory = (path: string): ManifestEntry => ({ path, type: 'directory' });

/** Random inputs of a property. */
const RUNS = extent({ short: 300, full: 1500 });

const lines = suite('list: lines');

lines('LF or CRLF, with or without the last, blank lines skipped', async () => {
  for (const content of ['a\nb/c\n', 'a\r\nb/c\r\n', 'a\nb/c', '\n\na\n  \n\r\nb/c\r\n\n', '\ufeffa\nb/c']) {
    assert.equal(await readList(content), paths('a', 'b/c'), JSON.stringify(content));
  }
});

lines('as find writes them', async () => {
  const root = makeTree({ 'bin/run': 0o600, 'lib/data': 0o600, 'empty/': 0o755 });
  assert.equal((await readList(run('find', ['.'], root))).map(({ path }) => path).sort(), [
    '.',
    'bin',
    'bin/run',
    'empty',
    'lib',
    'lib/data',
  ]);
});

lines('directories, other spellings, and the same path twice', async () => {
  assert.equal(await readList('./a//b\na/b\nc/\n./\nd/.\n ..e \n'), [
    { path: 'a/b' },
    directory('c'),
    directory('.'),
    directory('d'),
    { path: ' ..e ' },
  ]);
});

lines('names that look like something else', async () => {
  const names = [
    '[id]/page.js',
    '{{name}}/x',
    'a,b,c',
    '# comment',
    '{x',
    'BZh',
    'MZ',
    'PK',
    'a"b',
    "it's",
    'back\\slash',
    '<',
  ];
  assert.equal(await readList(names.join('\n')), paths(...names));
  for (const name of names) assert.equal(await readList(name), paths(name), name);
});

lines('names that are not ASCII, and bytes that are not UTF-8', async () => {
  const bytes = Buffer.concat([Buffer.from('naïve/文\ncaf'), Buffer.from([0xe9, 0x0a, 0xff, 0x0a])]);
  assert.equal(await readList(bytes), paths('naïve/文', 'caf\udce9', '\udcff'));
});

lines('a list longer than what it is recognised by', async () => {
  const names = Array.from({ length: 20_000 }, (_, number) => `directory/naïve-${number}`);
  assert.equal(await readList(names.join('\r\n')), paths(...names));
});

lines.run();

const separated = suite('list: separated by NUL');

separated('as find -print0 writes them, names with line breaks included', async () => {
  const root = makeTree({ 'a b/c': 0o644, 'line\nbreak': 0o644, tab: 0o644 });
  writeFileSync(encodeName(`${root}/caf\udce9`), '');
  symlinkSync('a b', join(root, 'link'));
  assert.equal(
    (await readList(Buffer.from(run('find', ['.', '-name', 'caf*', '-prune', '-o', '-print0'], root))))
      .map(({ path }) => path)
      .sort(),
    ['.', 'a b', 'a b/c', 'line\nbreak', 'link', 'tab'],
  );
  const manifest = await readManifest(listWith(Buffer.from('./caf\xe9\0link\0line\nbreak\0', 'latin1')));
  assert.equal(
    manifest.entries.map(({ path }) => path),
    ['caf\udce9', 'link', 'line\nbreak'],
  );
  assert.ok((await applyPermissions(root, { manifest, retry: false })).ok);
});

separated('with or without the last NUL, directories, a byte order mark', async () => {
  for (const content of ['a\0b/\0', 'a\0b/', '\ufeffa\0b/\0']) {
    assert.equal(await readList(content), [{ path: 'a' }, directory('b')]);
  }
});

separated.run();

const json = suite('list: JSON');

json('an array of paths', async () => {
  assert.equal(await readList('["a", "b/c", "d/"]'), [...paths('a', 'b/c'), directory('d')]);
  assert.equal(await readList('\ufeff \n[\n"line\\nbreak", "\\udce9"\n]\n'), paths('line\nbreak', '\udce9'));
  assert.equal(await readList('[ ]'), []);
});

json('an array of entries, and of both', async () => {
  const entries = [
    { path: './bin/run', type: 'file', mode: 0o755, size: 12, comment: 'ignored' },
    { path: 'link', type: 'symlink', linkTarget: 'bin/run' },
    'lib/',
    { path: 'any' },
  ];
  assert.equal(await readList(JSON.stringify(entries)), [
    { path: 'bin/run', type: 'file', mode: 0o755, size: 12 },
    { path: 'link', type: 'symlink', linkTarget: 'bin/run' },
    directory('lib'),
    { path: 'any' },
  ]);
});

json('the entries of a manifest, written down and read again', async () => {
  const script = 'bin/run\nlib/\n';
  const entries = await readList(script);
  assert.equal(await readList(JSON.stringify(entries)), entries);
});

json.run();

const any = suite('list: every form');

any('any paths give the same in every form that can hold them', async () => {
  const unit = fc.constantFrom(...'abc [{"\'é文\u{1f600}');
  const name = fc.string({ unit, minLength: 1, maxLength: 6 }).filter((each) => each.trim() !== '');
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
  const list = fc
    .uniqueArray(path, { minLength: 1, maxLength: 8 })
    .filter(([first = '']) => !/^\s*[[{]/.test(first));
  await fc.assert(
    fc.asyncProperty(list, async (names) => {
      const forms = [
        names.join('\n'),
        `${names.join('\r\n')}\r\n`,
        JSON.stringify(names),
        `${names.join('\0')}\0`,
      ];
      for (const form of forms) assert.equal(await readList(form), paths(...names), JSON.stringify(form));
    }),
    { numRuns: extent({ short: 50, full: 200 }) },
  );
});

any('what the command line takes as --manifest', async () => {
  const root = makeTree({ 'bin/run': 0o644 });
  const list = listWith('[{ "path": "bin/run", "mode": 493 }]');
  const { code, report } = await runJson(['apply', root, '--manifest', list, '--umask', '022']);
  assert.is(code, 0, JSON.stringify(report));
  assert.is(modeOf(root, 'bin/run'), 0o755);
});

any.run();

const refused = suite('list: what is refused');

const faults: [what: string, content: string | Uint8Array, fault: RegExp][] = [
  ['an absolute path', 'a\n/etc/passwd\n', /list: is read as a list of paths; line 2: the path is absolute$/],
  ['a path that leads out', 'a\n\nb/../../c', /line 3: the path has a "\.\." component$/],
  ['a drive letter', 'C:\\x', /line 1: the path starts with a drive letter$/],
  ['a path that leads out, by NUL', 'a\0../b\0', /item 2: the path has a "\.\." component$/],
  ['a path that leads out, in JSON', '["a", "../b"]', /item 2: the path has a "\.\." component$/],
  ['an empty path', '["a", ""]', /item 2: the path is empty$/],
  ['a NUL in JSON', '["a\\u0000b"]', /item 1: the path contains a NUL$/],
  ['an item that is no path', '["a", 7]', /item 2: an entry after 1 others has no path$/],
  ['nothing in place of an item', '["a", null]', /item 2: an entry after 1 others has no path$/],
  ['an entry without a path', '[{ "mode": 420 }]', /item 1: an entry after 0 others has no path$/],
  ['a mode that is none', '[{ "path": "a", "mode": "0755" }]', /item 1: mode is not an integer/],
  ['a size that is none', '[{ "path": "a", "size": -1 }]', /item 1: size is not/],
  [
    'a misspelled property, of which nothing is quoted',
    '[{ "path": "secret", "sise": 1 }]',
    /: is read as a list of paths; item 1: an entry after 0 others has a misspelled property; did you mean "size"\?$/,
  ],
  [
    'a path with different facts',
    '["a", {"path":"a","mode":1}]',
    /item 2: is listed twice with different facts/,
  ],
  ['a path with different kinds', 'a\nb\na/\n', /line 3: is listed twice with different facts: type$/],
  ['JSON that is cut off', '["a", "b"', /list: is broken JSON: /],
  ['JSON that is not UTF-8', Buffer.from('["caf\xe9"]', 'latin1'), /is broken JSON: item 1 is not UTF-8/],
  ['a control character far in', `${'some/path\n'.repeat(9000)}a\tb\n`, /line 9001 has a control character$/],
];
for (const [what, content, fault] of faults) {
  refused(what, async () => {
    const error = await failureOf(readManifest(listWith(content)));
    assert.match(error.message, fault);
    assert.is(error.source, at('list'));
    assert.is(error.code, 'ERR_PERMWALK_MANIFEST');
  });
}

const others: [what: string, content: string | Uint8Array, seen: RegExp][] = [
  ['a script', '#!/bin/sh\necho\n', /: is a script;/],
  ['a JSON object', '{ "name": "x" }\n', /: is a JSON object;/],
  ['an empty JSON object', '{}', /: is a JSON object;/],
  ['a table', 'a\tb\nc\td\n', /: is text, but not a list of paths;/],
  ['blank text', ' \n\n', /: is blank text;/],
  ['UTF-16 with a mark', Buffer.from('\ufeffa/b\nc\n', 'utf16le'), /: is UTF-16 text;/],
  [
    'UTF-16 without one',
    Buffer.from('a/b\nc\n', 'utf16le'),
    /: is data that begins with the bytes 61 00 2f 00/,
  ],
  ['big-endian UTF-16', Buffer.from('\ufeffa\nb', 'utf16le').swap16(), /: is UTF-16 text;/],
  ['a lone carriage return', 'a\rb\n', /: is text, but not a list of paths;/],
  ['an escape', '\x1b[1mbold\n', /: is text, but not a list of paths;/],
  ['two NULs', 'a\0\0b\0', /: is data that begins with the bytes 61 00 00 62/],
  ['a NUL first', '\0a\0', /: is data that begins with/],
  [
    'a picture',
    Buffer.from('89504e470d0a1a0a0000000d', 'hex'),
    /: is data that begins with the bytes 89 50 4e 47/,
  ],
];
for (const [what, content, seen] of others) {
  refused(`${what} is no list`, async () => {
    const error = await failureOf(readManifest(listWith(content)));
    assert.match(error.message, seen);
    assert.match(
      error.message,
      /; a manifest is read from a zip archive .*, a tar archive .*, a Python RECORD .*, a list of paths/,
    );
  });
}

refused('no program, library or script of this machine is a list', async () => {
  const find =
    'find /bin/. /sbin/. -maxdepth 1 -type f; find /usr/lib -type f -name "*.so*" -o -type f -name "*.pyc"';
  const found = run('sh', ['-c', `(${find}) 2>/dev/null | head -n ${extent({ short: 100, full: 400 })}`])
    .trim()
    .split('\n');
  let refusals = 0;
  for (const path of found) {
    try {
      const { format } = await readManifest(path);
      assert.is.not(format, 'list', path);
    } catch (error) {
      assert.instance(error, ManifestError, `${path}: ${(error as Error).stack}`);
      refusals += 1;
    }
  }
  assert.ok(refusals > 50, `${refusals} refused`);
});

refused(
  'any bytes give a manifest or a ManifestError, and no control character is in a list of lines',
  async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: 'binary-ascii', maxLength: 40 }),
    );
    const counts = { read: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(bytes, async (content) => {
        try {
          const { entries } = await readManifest(listWith(content));
          counts.read += 1;
          assert.ok(
            Buffer.from(content).includes(0) ||
              entries.every(({ path }) => [...path].every((each) => each >= ' ')),
          );
        } catch (error) {
          assert.instance(error, ManifestError, `${(error as Error).stack}`);
          counts.refused += 1;
        }
      }),
      { numRuns: RUNS },
    );
    assert.ok(counts.read > RUNS / 150 && counts.refused > RUNS / 15, JSON.stringify(counts));
  },
);

refused('a list that is longer than any', async () => {
  const path = listWith('a\n'.repeat(1 << 16), 'long');
  truncateSync(path, 2 ** 28 + 1);
  assert.match(
    (await failureOf(readManifest(path))).message,
    /: is a list of 268435457 bytes; at most 268435456 are/,
  );
});

refused('no path', async () => {
  for (const source of [undefined, 7, new Uint8Array(3)]) {
    const outcome = await readManifest(source as unknown as string).catch((refusal) => refusal);
    assert.instance(outcome, TypeError);
  }
  mkdirSync(at('directory'));
  assert.match((await failureOf(readManifest(at('directory')))).message, /is a directory with no/);
});

refused.run();
