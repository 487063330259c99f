import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApplyOptions } from '../lib/options.ts';
import { isRoot, NOBODY } from './helpers/child.ts';
import { type MountedResult, passesIn } from './helpers/mounted.ts';
import { anchoredPass, lentPass, reasonsOf } from './helpers/passes.ts';
import { makeTree, modeOf, modesBelow, tempDirectory } from './helpers/tree.ts';

// That a pass is the same from its own directory is said by the specs that run on all passes.

// In `a/b` there are two entries to look at: for one alone it is not moved.
const shape = { 'a/b/f': 0o600, 'a/b/e': 0o600, 'a/g': 0o600, 'c/h': 0o600 };

if (process.platform === 'linux') {
  const test = suite('working directory');

  test('what was lent is given back, whatever the pass came to', async () => {
    const before = process.cwd();
    const root = makeTree({ ...shape, link: '-> nowhere' });
    const seen = new Set<string>();
    const onChange = () => seen.add(process.cwd());
    await lentPass.apply(root, { mode: 'a+r', onChange });
    assert.is(process.cwd(), before);
    assert.ok(seen.has(join(root, 'a/b')), 'it was really used');

    const missing = { manifest: ['gone'], retry: false } as const;
    const found = await lentPass.apply(root, { ...missing, strict: false });
    assert.equal(reasonsOf(found), ['gone: missing']);
    assert.is(process.cwd(), before);
    const stop = () => {
      throw new Error('stop');
    };
    await lentPass.apply(root, { mode: 'a+w', onChange: stop }).then(
      () => assert.unreachable(),
      (error: Error) => assert.is(error.message, 'stop'),
    );
    assert.is(process.cwd(), before);
  });

  test('the library never moves it', async () => {
    const before = process.cwd();
    const seen = new Set<string>();
    await anchoredPass.apply(makeTree(shape), { mode: 'a+r', onChange: () => seen.add(process.cwd()) });
    assert.equal([...seen], [before]);
  });

  test('it is lent to one root at a time: a second one does without', () => {
    const first = makeTree({ 'd/f': 0o600 });
    const second = makeTree({ 'd/f': 0o644 });
    const before = process.cwd();
    const roots = [lentPass.open(first), lentPass.open(second)];
    const modes = () => roots.map((root) => (root.lstat('d/f')?.mode ?? 0) & 0o777);
    for (let times = 0; times < 3; times += 1) assert.equal(modes(), [0o600, 0o644]);
    for (const [index, root] of roots.entries()) root.chmod('d/f', () => 0o640 + index);
    assert.equal(modes(), [0o640, 0o641]);
    for (const root of roots) root.close();
    assert.is(process.cwd(), before);
    const third = lentPass.open(first);
    for (let looks = 0; looks < 2; looks += 1) assert.is(third.lstat('d/f')?.mode, 0o640);
    assert.is(process.cwd(), join(first, 'd'), 'and to the next one after it was given back');
    third.close();
  });

  test('an error that passes does not leave the process elsewhere', () => {
    const before = process.cwd();
    const tree = makeTree({ 'd/f': 0o600 });
    const { chdir } = process;
    for (const failures of [0, 1]) {
      const root = lentPass.open(tree);
      for (let looks = 0; looks < 2; looks += 1) root.lstat('d/f');
      assert.is.not(process.cwd(), before);
      let calls = 0;
      process.chdir = (directory) => {
        calls += 1;
        if (calls <= failures) throw new Error('ESTALE');
        chdir(directory);
      };
      try {
        root.close();
      } finally {
        process.chdir = chdir;
      }
      assert.equal([process.cwd(), calls], [before, failures + 1]);
    }
  });

  test('it is a directory and no path: what is put in the place of its name is left alone', () => {
    const tree = makeTree({ 'd/e/f': 0o600 });
    const outside = makeTree({ 'e/f': 0o600 });
    const root = lentPass.open(tree);
    assert.is((root.lstat('d/e/f')?.mode ?? 0) & 0o777, 0o600);
    renameSync(join(tree, 'd'), join(tree, 'moved'));
    symlinkSync(outside, join(tree, 'd'));
    root.chmod('d/e/f', () => 0o711);
    assert.is(modeOf(tree, 'moved/e/f'), 0o711);
    root.close();
    assert.is(modeOf(outside, 'e/f'), 0o600);
  });

  test('a process whose working directory was removed works all the same', async () => {
    const before = process.cwd();
    const gone = join(tempDirectory(), 'gone');
    const root = makeTree(shape);
    mkdirSync(gone);
    process.chdir(gone);
    try {
      rmSync(gone, { recursive: true });
      const report = await lentPass.apply(root, { mode: 'a+r' });
      assert.is(report.counts.changed, 4);
    } finally {
      process.chdir(before);
    }
  });

  const nobody = passesIn({ asNobody: true });
  test.after(() => nobody.end());

  const unprivileged: Record<string, ApplyOptions> = {
    'takes x from all directories': { mode: 'a-x' },
    'meets directories that may be read and not searched': { mode: 'a+r' },
    'closes the directory that it was started in': { mode: '=' },
  };
  for (const [what, options] of Object.entries(unprivileged)) {
    test(`a pass without rights that ${what} says the same with and without it`, async () => {
      const outcomes = [];
      for (const lent of [false, true]) {
        const root = makeTree({ ...shape, 'a/': 0o644 });
        if (isRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, root]);
        const asked = { root, options, backend: 'anchored', lent };
        const { report } = await nobody.ask<MountedResult>(asked);
        const { root: _, durationMs: __, ...told } = report;
        outcomes.push({ told, ...(isRoot && { modes: modesBelow(root) }) });
      }
      assert.equal(outcomes[1], outcomes[0]);
    });
  }

  test.run();
}
