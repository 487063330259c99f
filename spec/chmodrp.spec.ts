import { chmodSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as original from 'chmodrp';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chmodr, chmodrSync } from '../lib/compat/chmodrp.ts';
import { byteTrees, plantBytes } from './helpers/byte-trees.ts';
import { isRoot } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { makeTree, modeOf, modesBelow } from './helpers/tree.ts';

/** Trees without links whose names are text: chmodrp cannot name anything else. */
const trees = byteTrees.map((plants) => plantsOf(plants)).filter((plants) => plants.length > 0);

function plantsOf(plants: Parameters<typeof plantBytes>[0]): Parameters<typeof plantBytes>[0] {
  return plants
    .filter(({ kind, name }) => kind !== 'link' && name.toString('utf8').isWellFormed() && isText(name))
    .map((plant) => ({ ...plant, entries: plantsOf(plant.entries) }));
}

function isText(name: Buffer): boolean {
  return Buffer.from(name.toString('utf8')).equals(name);
}

/** The types must fit as they stand, so that the import is all that has to change. */
const forms: Record<string, { ours: typeof original.chmodr; theirs: typeof original.chmodr }> = {
  chmodr: { ours: chmodr, theirs: original.chmodr },
  chmodrSync: {
    ours: async (path, wanted) => chmodrSync(path, wanted),
    theirs: async (path, wanted) => original.chmodrSync(path, wanted),
  },
};

for (const [name, { ours, theirs }] of Object.entries(forms)) {
  const test = suite(`chmodrp: ${name}`);

  if (!isRoot) console.log('  skipped: chmodrp itself is held up by modes that are not for root');
  else {
    test('has the results of chmodrp 1 on trees without links', async () => {
      await fc.assert(
        fc.asyncProperty(trees, fc.integer({ min: 0, max: 0o777 }), async (plants, wanted) => {
          const [tree, copy] = [plantBytes(plants), plantBytes(plants)];
          await ours(tree, wanted);
          await theirs(copy, wanted);
          assert.equal(modesBelow(tree), modesBelow(copy));
        }),
        { numRuns: extent({ short: 30, full: 200 }) },
      );
    });
  }

  test('gives a file the mode itself, and an empty directory x where it has r', async () => {
    const root = makeTree({ f: 0o600, 'd/': 0o700 });
    await ours(join(root, 'f'), 0o640);
    await ours(join(root, 'd'), 0o640);
    assert.equal([modeOf(root, 'f'), modeOf(root, 'd')], [0o640, 0o750]);
  });

  test('never follows a link, where chmodrp changes what it leads to or fails', async () => {
    const outside = makeTree({ secret: 0o600 });
    const root = makeTree({ f: 0o600, dangling: '-> nowhere' });
    symlinkSync(join(outside, 'secret'), join(root, 'link'));
    await ours(root, 0o755);
    assert.equal([modeOf(outside, 'secret'), modeOf(root, 'f')], [0o600, 0o755]);
    if (process.platform !== 'linux') return;
    const failure = await theirs(root, 0o755).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    );
    assert.is(failure?.code, 'ENOENT');
    chmodSync(join(outside, 'secret'), 0o600);
    await theirs(makeTree({ link: `-> ${outside}/secret` }), 0o755);
    assert.is(modeOf(outside, 'secret'), 0o755);
  });

  test('takes strings as octal, and refuses what is no mode before anything is touched', async () => {
    const root = makeTree({ 'd/f': 0o600 });
    await ours(root, '640');
    assert.equal([modeOf(root, 'd'), modeOf(root, 'd/f')], [0o750, 0o640]);
    for (const wrong of [undefined, null, '', 'u+x', 0o4755]) {
      const call = async () => ours(root, wrong as number);
      const error = await call().then(
        () => undefined,
        (failure: Error) => failure,
      );
      assert.ok(error instanceof TypeError || error instanceof RangeError, String(wrong));
    }
    assert.equal([modeOf(root, 'd'), modeOf(root, 'd/f')], [0o750, 0o640]);
  });

  test.run();
}
