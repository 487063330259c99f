import { posix } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ManifestError } from '../lib/errors.ts';
import { EntryCollector } from '../lib/manifest/collector.ts';
import type { ManifestEntry } from '../lib/manifest/manifest.ts';
import { normalizeManifestPath } from '../lib/manifest/path.ts';

/** The error that an action throws. */

/** All that a collector gathers of these entries. */
function collectEntries(given: Iterable<string | ManifestEntry>, source?: string): ManifestEntry[] {
  const collector = new EntryCollector(source);
  for (const entry of given) collector.add(entry);
  return collector.entries;
}

function failureOf(action: () => unknown): ManifestError {
  try {
    action();
  } catch (error) {
    assert.instance(error, ManifestError, `${error}`);
    return error as ManifestError;
  }
  return assert.unreachable('nothing was thrown') as never;
}

/** Entries without the keys of what is not known. */
function collect(given: Iterable<string | ManifestEntry>): ManifestEntry[] {
  return JSON.parse(JSON.stringify(collectEntries(given))) as ManifestEntry[];
}

const normalize = suite('manifest path');

const spellings: [given: string, path: string, directory: boolean][] = [
  ['a', 'a', false],
  ['a/b.c', 'a/b.c', false],
  ['a/', 'a', true],
  ['a//', 'a', true],
  ['./a', 'a', false],
  ['././a', 'a', false],
  ['.//a', 'a', false],
  ['a//b', 'a/b', false],
  ['a/./b', 'a/b', false],
  ['a/.', 'a', true],
  ['a/./', 'a', true],
  ['.', '.', true],
  ['./', '.', true],
  ['.//.', '.', true],
  ['...', '...', false],
  ['..a', '..a', false],
  ['a..', 'a..', false],
  ['.a', '.a', false],
  ['.a/', '.a', true],
  ['a/.b', 'a/.b', false],
  ['a/..b/c..', 'a/..b/c..', false],
  ['.bin/..x/', '.bin/..x', true],
  [' ', ' ', false],
  ['-rf', '-rf', false],
  ['a\nb', 'a\nb', false],
  ['\n', '\n', false],
  ['a\n/', 'a\n', true],
  ['a\\b', 'a\\b', false],
  ['ab:c', 'ab:c', false],
  ['1:', '1:', false],
  ['a/C:', 'a/C:', false],
  ['é/\u{1f600}', 'é/\u{1f600}', false],
  ['\udc80', '\udc80', false],
  ['__proto__', '__proto__', false],
];
for (const [given, path, directory] of spellings) {
  normalize(`${JSON.stringify(given)} is ${JSON.stringify(path)}`, () => {
    assert.equal(normalizeManifestPath(given), { path, directory });
  });
}

const faults: [given: string, fault: RegExp][] = [
  ['', /path "" is empty/],
  ['/', /path "\/" is absolute/],
  ['/etc/passwd', /is absolute/],
  ['//a', /is absolute/],
  ['..', /has a "\.\." component/],
  ['../a', /has a "\.\." component/],
  ['a/..', /has a "\.\." component/],
  ['a/../b', /has a "\.\." component/],
  ['a/../', /has a "\.\." component/],
  ['./..', /has a "\.\." component/],
  ['\0', /contains a NUL/],
  ['a\0', /path "a\\u0000" contains a NUL/],
  ['a/b\0c/d', /contains a NUL/],
  ['C:', /starts with a drive letter/],
  ['c:\\a', /starts with a drive letter/],
  ['C:/Windows', /starts with a drive letter/],
  ['Z:\\x', /starts with a drive letter/],
  ['./C:/x', /starts with a drive letter/],
];
for (const [given, fault] of faults) {
  normalize(`${JSON.stringify(given)} is refused`, () => {
    const error = failureOf(() => normalizeManifestPath(given, 'list.txt'));
    assert.match(error.message, fault);
    assert.match(error.message, /^list\.txt: /);
    assert.is(error.path, given);
    assert.is(error.source, 'list.txt');
    assert.is(error.code, 'ERR_PERMWALK_MANIFEST');
  });
}

const component = fc.oneof(
  fc.constantFrom('', '.', '..', '...', '.a', 'a.', 'C:', 'a', '\n', '\0', 'ü', '__proto__'),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const path = fc.array(component, { maxLength: 6 }).map((components) => components.join('/'));

normalize('agrees with path.posix.normalize, and refuses exactly what leaves the root', () => {
  const property = fc.property(path, (given) => {
    const components = given.split('/');
    const oracle = posix.normalize(given).replace(/\/$/, '');
    const isRefused =
      given === '' ||
      given.startsWith('/') ||
      components.includes('..') ||
      given.includes('\0') ||
      /^[A-Za-z]:(?:[/\\]|$)/.test(oracle);
    if (isRefused) {
      failureOf(() => normalizeManifestPath(given));
      return;
    }
    const normal = normalizeManifestPath(given);
    assert.is(normal.path, oracle);
    assert.is(normal.directory, ['', '.'].includes(components.at(-1) ?? ''));
    assert.equal(normalizeManifestPath(`${normal.path}/`), { path: oracle, directory: true });
  });
  fc.assert(property, { numRuns: 3000 });
});

normalize.run();

const entries = suite('manifest entries');

entries('keep their order and lose what a manifest does not know', () => {
  const given = [
    'z/',
    { path: './b', type: 'file', mode: 0o755, size: 3, owner: 'root', mtime: 7 },
    'a',
    { path: 'l', type: 'symlink', mode: 0o177777, linkTarget: '../x' },
    { path: '.' },
  ] as const;
  assert.equal(collect(given), [
    { path: 'z', type: 'directory' },
    { path: 'b', type: 'file', mode: 0o755, size: 3 },
    { path: 'a' },
    { path: 'l', type: 'symlink', mode: 0o177777, linkTarget: '../x' },
    { path: '.', type: 'directory' },
  ]);
});

entries('do not change with what they were made of', () => {
  const given = { path: 'a', size: 1 };
  const [entry] = collectEntries([given]);
  given.size = 2;
  assert.is(entry?.size, 1);
});

entries('stand once where they are given twice with the same facts', () => {
  const same: (string | ManifestEntry)[][] = [
    ['a', './a', 'a'],
    ['a/', { path: 'a', type: 'directory' }, { path: 'a//', type: 'directory' }],
    [
      { path: 'a', type: 'file', mode: 0o644, size: 0 },
      { path: 'a', type: 'file', mode: 0o644, size: 0 },
    ],
    [
      { path: 'a', mode: 0 },
      { path: 'a', mode: 0 },
    ],
    [
      { path: 'a', linkTarget: 'b' },
      { path: 'a', linkTarget: 'b' },
    ],
  ];
  for (const given of same) assert.is(collectEntries(given).length, 1, JSON.stringify(given));
});

const conflicts: [first: string | ManifestEntry, second: string | ManifestEntry, fault: RegExp][] = [
  ['a', 'a/', /type unknown and "directory"/],
  ['a/', { path: 'a', type: 'file' }, /type "directory" and "file"/],
  [{ path: 'a', mode: 0o644 }, { path: 'a', mode: 0o755 }, /mode 0644 and 0755/],
  ['a', { path: 'a', mode: 0o755 }, /mode unknown and 0755/],
  ['a', { path: 'a', mode: 0 }, /mode unknown and 0000/],
  [{ path: 'a', size: 1 }, { path: 'a', size: 2 }, /size 1 and 2/],
  [{ path: 'a', size: 0 }, 'a', /size 0 and unknown/],
  [{ path: 'a', linkTarget: 'b' }, { path: 'a', linkTarget: 'c' }, /link target "b" and "c"/],
  [{ path: 'a', size: 1, mode: 1 }, { path: 'a', size: 2, mode: 2 }, /mode 0001 and 0002, size 1 and 2/],
];
for (const [first, second, fault] of conflicts) {
  entries(`are refused where they differ: ${fault.source}`, () => {
    const error = failureOf(() => collectEntries(['x', first, second], 'list.txt'));
    assert.match(error.message, /^list\.txt: path "a": is listed twice with different facts: /);
    assert.match(error.message, fault);
    assert.is(error.path, 'a');
  });
}

const badFacts: [entry: Record<string, unknown>, fault: RegExp][] = [
  [{ mode: -1 }, /mode -1/],
  [{ mode: 0o200000 }, /mode 65536/],
  [{ mode: 1.5 }, /mode 1\.5/],
  [{ mode: Number.NaN }, /mode NaN/],
  [{ mode: '0755' }, /mode "0755"/],
  [{ mode: null }, /mode null/],
  [{ size: -1 }, /size -1/],
  [{ size: 2 ** 53 }, /size 9007199254740992/],
  [{ size: Number.POSITIVE_INFINITY }, /size Infinity/],
  [{ size: '1' }, /size "1"/],
  [{ size: 1n }, /size 1n /],
  [{ type: 'socket' }, /type "socket"/],
  [{ type: Object.create(null) }, /type an object is not/],
  [{ size: Object.create(null) }, /size an object is not/],
  [{ type: 'toString' }, /type "toString"/],
  [{ linkTarget: '' }, /link target ""/],
  [{ linkTarget: 'a\0b' }, /link target "a\\u0000b"/],
  [{ linkTarget: 7 }, /link target 7/],
  [{ path: 'a/', type: 'file' }, /spelled as a directory \("a\/"\), but its type is file/],
  [{ path: 'a/', type: 'symlink' }, /its type is symlink/],
];
for (const [facts, fault] of badFacts) {
  entries(`are refused with a bad fact: ${fault.source}`, () => {
    const error = failureOf(() => collectEntries([{ path: 'a', ...facts } as ManifestEntry]));
    assert.match(error.message, /^path "a": /);
    assert.match(error.message, fault);
    assert.is(error.path, 'a');
  });
}

entries('are refused without a path', () => {
  for (const given of [undefined, null, 7, {}, { path: 7 }, { path: null }, []]) {
    const error = failureOf(() => collectEntries(['a', 'b', given as unknown as string]));
    assert.match(error.message, /an entry after 2 others has no path/);
  }
});

entries('may be named like members of objects', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'a/__proto__/b', '__proto__/'];
  assert.equal(
    collectEntries(names.slice(0, -1)).map((entry) => entry.path),
    names.slice(0, -1),
  );
  assert.match(failureOf(() => collectEntries(names)).message, /path "__proto__": is listed twice/);
  assert.not('type' in {});
});

entries('can be added one by one', () => {
  const collector = new EntryCollector('list.txt');
  collector.add('a');
  collector.add({ path: 'b', size: 1 });
  collector.add('a');
  assert.equal(
    collector.entries.map((entry) => entry.path),
    ['a', 'b'],
  );
  assert.match(failureOf(() => collector.add('b')).message, /^list\.txt: path "b"/);
});

entries.run();
