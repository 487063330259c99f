import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory } from '../lib/directory/directory.ts';
import { foldCharacters, foldingOf, foldName } from '../lib/directory/folding.ts';
import { holdDirectory } from '../lib/directory/open.ts';
import { isWindows } from '../lib/directory/platform.ts';
import type { FoldingOutcome } from './helpers/folding-child.ts';
import { scriptCommand, scriptPath } from './helpers/runtime.ts';
import { makeTree, tempDirectory } from './helpers/tree.ts';

const test = suite('names that are one on disk');

test('names are one without their case and in any normalisation', () => {
  for (const [one, other] of [
    ['node_modules', 'NODE_MODULES'],
    ['caf\u00e9', 'CAFE\u0301'],
    ['straße', 'STRASSE'],
    ['straße', 'STRAẞE'],
    ['ϴ', 'θ'],
    ['ﬁle', 'FILE'],
    ['Σίσυφος', 'ΣΊΣΥΦΟΣ'],
  ] as const) {
    assert.is(foldName(one), foldName(other), one);
  }
  for (const [one, other] of [
    ['a', 'b'],
    ['a', 'a '],
    ['cafe', 'caf\u00e9'],
  ] as const) {
    assert.is.not(foldName(one), foldName(other), one);
  }
});

test('on NTFS a character is one for another, and nothing is normalised', () => {
  for (const [name, folded] of [
    ['node_modules', 'NODE_MODULES'],
    ['straße', 'STRAßE'],
    ['cafe\u0301', 'CAFE\u0301'],
    ['caf\u00e9🙂', 'CAF\u00c9🙂'],
  ] as const) {
    assert.is(foldCharacters(name), folded);
  }
});

/** What is in a directory that is made up, by name: which entry it is, of what type, and how many names it has. */
type Entries = Record<string, { ino: number; type?: 'directory' | 'file'; nlink?: number; isGone?: boolean }>;

/** Such a directory, on a file system that folds names or not. */
function directoryOf(entries: Entries, isFolding: boolean): Directory {
  const stats = (name: string) => {
    const other = isFolding
      ? Object.keys(entries).find((one) => foldName(one) === foldName(name))
      : undefined;
    const found = entries[name] ?? entries[other ?? ''];
    return found && !found.isGone ? { dev: 1, type: 'file', nlink: 1, ...found } : undefined;
  };
  return {
    list(most: number) {
      const names = Object.keys(entries).slice(0, most);
      let name: string | undefined;
      return {
        next() {
          name = names.shift();
          return name !== undefined;
        },
        get name() {
          return name;
        },
      };
    },
    lstat: stats,
  } as unknown as Directory;
}

/** As many as are looked at, with names that have no other spelling. */
const enough: Entries = Object.fromEntries(Array.from({ length: 64 }, (_, ino) => [`${ino}`, { ino }]));

const isUsual = process.platform === 'darwin' || isWindows;

/** What tells whether names are folded. */
const telling: Entries[] = [
  { a: { ino: 1 } },
  { A: { ino: 1 } },
  { a: { ino: 1, type: 'directory', nlink: 3 } },
  { '1': { ino: 1 }, a: { ino: 2 } },
  { a: { ino: 1, isGone: true }, b: { ino: 2 } },
  { a: { ino: 1, nlink: 2 }, b: { ino: 2 } },
];
/** What does not. */
const silent: Entries[] = [
  {},
  { '1': { ino: 1 } },
  { a: { ino: 1, isGone: true } },
  { a: { ino: 1, nlink: 2 }, A: { ino: 1, nlink: 2 } },
  { ...enough, a: { ino: 99 } },
];

test('one entry that is found by another spelling tells that names are folded', () => {
  for (const entries of telling) {
    assert.is.not(foldingOf(directoryOf(entries, true)), undefined, JSON.stringify(entries));
  }
  for (const entries of silent) {
    assert.is(foldingOf(directoryOf(entries, true)) !== undefined, isUsual, JSON.stringify(entries));
  }
});

test('one that is not, or is another entry, tells that they are not, on any system', () => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
  for (const value of ['linux', 'darwin']) {
    Object.defineProperty(process, 'platform', { value, configurable: true, enumerable: true });
    try {
      for (const entries of [...telling, { a: { ino: 1 }, A: { ino: 2 } }]) {
        assert.is(foldingOf(directoryOf(entries, false)), undefined, JSON.stringify(entries));
      }
      for (const entries of silent) {
        const fold = foldingOf(directoryOf(entries, false));
        assert.is(fold !== undefined, value === 'darwin' || isWindows, JSON.stringify(entries));
      }
    } finally {
      Object.defineProperty(process, 'platform', platform);
    }
  }
});

test('a directory that cannot be listed tells nothing', () => {
  const list = () => {
    throw new Error('EACCES');
  };
  assert.is(foldingOf({ list } as unknown as Directory) !== undefined, isUsual);
});

if (process.platform === 'linux') {
  test('a file system here keeps spellings apart, also where two of one name are there', () => {
    for (const shape of [{ a: 0o644 }, { a: 0o644, A: 0o644 }, { 'é/': 0o755 }, { '1': 0o644 }, {}]) {
      const directory = holdDirectory(makeTree(shape));
      assert.is(foldingOf(directory), undefined, JSON.stringify(shape));
      directory.close();
    }
  });
}

if (process.platform === 'linux') {
  const helper = (name: string) => scriptPath(new URL(`helpers/${name}`, import.meta.url));
  const folder = tempDirectory();
  let outcomes: Record<string, FoldingOutcome>;
  test.before(() => {
    const imitations = ['imitate-macos.ts', 'imitate-folding.ts'].flatMap((name) => [
      '--import',
      helper(name),
    ]);
    const [program, ...args] = scriptCommand;
    const command = [...args, ...imitations, helper('folding-child.ts'), folder];
    execFileSync(program, command, { stdio: ['ignore', 'ignore', 'inherit'] });
    outcomes = JSON.parse(readFileSync(join(folder, 'outcomes.json'), 'utf8'));
  });

  test('globs name entries in any spelling', () => {
    const { counts, modes } = outcomes['a glob'] as FoldingOutcome;
    assert.is(counts.ignored, 1);
    assert.is(modes['cafe\u0301/f'], '755');
    assert.is(modes['bin/run'], '644');
    const both = outcomes['a glob and a manifest'] as FoldingOutcome;
    assert.equal(both.reasons, []);
    assert.is(both.counts.ignored, 1);
  });

  test('what a manifest lists in another spelling is there', () => {
    for (const name of ['a manifest', 'a manifest and a walk']) {
      const { reasons, modes, counts } = outcomes[name] as FoldingOutcome;
      assert.equal(reasons, [], name);
      assert.is(modes['bin/run'], '755', name);
      assert.is(counts.unlisted, 0, name);
      assert.is(counts.changed, 2, name);
    }
    const { reasons, counts } = outcomes.presence as FoldingOutcome;
    assert.equal(reasons, []);
    assert.is(counts.unchanged, 3);
  });

  test('two paths of a manifest that are one on disk are unresolved, both', () => {
    const { reasons, codes, modes } = outcomes['two spellings'] as FoldingOutcome;
    assert.equal(reasons, ['bin/RUN: type-mismatch', 'bin/run: type-mismatch']);
    assert.equal(codes, ['ERR_PERMWALK_SAME_NAME', 'ERR_PERMWALK_SAME_NAME']);
    assert.is(modes['bin/run'], '644', 'neither won');
    const mixed = outcomes['a file and a directory'] as FoldingOutcome;
    assert.ok(mixed.reasons.includes('BIN: type-mismatch'), mixed.reasons.join());
    const directories = outcomes['two spellings of a directory'] as FoldingOutcome;
    assert.equal(directories.reasons, ['Bin/run2: missing']);
    const empty = outcomes['an empty tree'] as FoldingOutcome;
    assert.equal(empty.reasons, ['A: type-mismatch', 'a: type-mismatch']);
  });

  test('calls for one destination in two spellings take turns', () => {
    const [one, same, other] = JSON.parse(readFileSync(join(folder, 'turns.json'), 'utf8'));
    assert.is(one, same);
    assert.is.not(one, other);
  });
}

test.run();
