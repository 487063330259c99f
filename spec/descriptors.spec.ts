import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { outputOf } from './helpers/child.ts';
import type { DescriptorPass, DescriptorUse } from './helpers/descriptors-child.ts';
import { extent } from './helpers/extent.ts';
import { passes } from './helpers/passes.ts';
import { canRunOn, scriptPath } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';

const DEPTH = extent({ short: 60, full: 200 });
const WIDE_FILES = extent({ short: 900, full: 20_000 });
const WIDE_DIRECTORIES = extent({ short: 100, full: 2500 });
const WIDTH = WIDE_FILES + WIDE_DIRECTORIES;
const LIMIT = 64;
/** Directories that are held open on the way to where the work is, and to where a link led; what is open for a moment beside. */
const MOST_OPEN = 24 + 7 + 4;
/** Each link leads as deep as this. */
const LINK_DEPTH = 20;

/** A tree that is deep and wide, and the paths of its files. */
function makeLargeTree(): { root: string; files: string[] } {
  const root = tempDirectory();
  const files: string[] = [];
  for (let depth = 1, path = 'd'; depth <= DEPTH; depth += 1, path += '/d') {
    mkdirSync(join(root, path));
    symlinkSync(`${'d/'.repeat(LINK_DEPTH)}f`, join(root, path, 'l'));
    files.push(`${path}/f`);
  }
  mkdirSync(join(root, 'wide'));
  for (let index = 0; index < WIDE_FILES; index += 1) files.push(`wide/f${index}`);
  for (let index = 0; index < WIDE_DIRECTORIES; index += 1) mkdirSync(join(root, `wide/d${index}`));
  for (const path of files) closeSync(openSync(join(root, path), 'w'));
  return { root, files };
}

if (
  process.platform === 'linux' &&
  canRunOn(['node', 'bun'], 'it opens descriptors of its own at any time')
) {
  const { root, files } = makeLargeTree();
  const list = join(tempDirectory(), 'list');
  writeFileSync(list, files.join('\n'));
  const script = scriptPath(new URL('helpers/descriptors-child.ts', import.meta.url));
  // Without r for the group and others, so that directories get no x for it.
  const permissions = [0o701, 0o702, 0o703, 0o710, 0o720, 0o730];

  const globs = { executable: ['**/f1*', 'wide/f2'], ignore: ['wide/f3*'] };
  // Each with a mode that no entry has yet.
  const both = passes.flatMap(({ backend }) =>
    [{ options: globs }, { options: {}, source: list }].map(
      ({ options, ...rest }): DescriptorPass => ({
        backend,
        root,
        options: { ...options, mode: permissions.shift() as number },
        ...rest,
      }),
    ),
  );
  /** In a process that may open few descriptors: a tree by globs and by a manifest, on each backend. */
  const uses = outputOf(
    spawn(process.execPath, [...process.execArgv, script, `${LIMIT}`, JSON.stringify(both)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  ).then((output) => JSON.parse(output) as DescriptorUse[]);
  // Each test waits for it.
  uses.catch(() => undefined);

  for (const [index, { backend }] of passes.entries()) {
    const test = suite(`descriptors (${backend})`);

    test(`globs on a tree ${DEPTH} deep and ${WIDTH} wide, with ${LIMIT} descriptors`, async () => {
      const use = (await uses)[2 * index] as DescriptorUse;
      assert.is(use.backend, backend);
      const ignored = files.filter((path) => path.startsWith('wide/f3')).length;
      assert.is(use.counts.ignored, ignored);
      assert.is(use.counts.changed, 2 + DEPTH + files.length + WIDE_DIRECTORIES - ignored);
      assert.ok(use.most - use.before.length <= MOST_OPEN, `${use.most - use.before.length} open`);
      assert.equal(use.after, use.before);
    });

    test(`a manifest for a tree ${DEPTH} deep and ${WIDTH} wide, with ${LIMIT} descriptors`, async () => {
      const use = (await uses)[2 * index + 1] as DescriptorUse;
      assert.is(use.backend, backend);
      assert.is(use.counts.changed, 2 + DEPTH + files.length);
      assert.ok(use.most - use.before.length <= MOST_OPEN, `${use.most - use.before.length} open`);
      assert.equal(use.after, use.before);
    });

    test.run();
  }
} else {
  const test = suite('descriptors');
  test.skip('a bound on descriptors: they are counted in /proc/self/fd, which only Linux has');
  test.run();
}
