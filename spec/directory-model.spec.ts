import { dirname } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  directories,
  entriesOnDisk,
  everythingBelow,
  isAllowed,
  isHot,
  Model,
  type Operation,
  operations,
  perform,
  plant,
  UMASK,
} from './helpers/directory-model.ts';
import { whileAttacking } from './helpers/exchange.ts';
import { forSeconds } from './helpers/for-seconds.ts';
import { allPasses, type TestedPass } from './helpers/passes.ts';
import { addToTree, memoryDirectory, tempDirectory } from './helpers/tree.ts';

/** Seconds for each property; `MODEL_SECONDS=600` looks for longer. */
const seconds = Number(process.env.MODEL_SECONDS ?? 1);
/** How often each operation on what is exchanged is done: one moment is as good as another. */
const ATTEMPTS = 50;
const attacker = new URL('soak/attackers/shuffle.py', import.meta.url);

/** Files and directories with every name that an operation may name, so that whoever gets outside finds something to change. */
function makeOutside(parent: string): string {
  const outside = tempDirectory(parent);
  const names = ['h0', 'n0', 'n1', 'x0', 'x1', 'a'];
  const shape = Object.fromEntries(names.map((name): [string, number] => [name, 0o600]));
  for (const name of names) shape[`n2/${name}`] = 0o600;
  addToTree(outside, { ...shape, 'n2/n2/n1': 0o600, h1: '-> nowhere', 'b/': 0o700, 'c/n1': 0o600 });
  return outside;
}

/** A tree for operations, and for whoever attacks it. */
interface Arena {
  readonly root: string;
  readonly workshop: string;
  readonly outside: string;
}

function makeArena(): Arena {
  const root = memoryDirectory(1 << 20);
  return { root, workshop: tempDirectory(dirname(root)), outside: makeOutside(dirname(root)) };
}

/** How often an operation on what another process exchanges came to something, and how often it was refused. */
interface Tally {
  done: number;
  refused: number;
}

/** Do operations on a tree and on its model. */
function run(pass: TestedPass, { root }: Arena, sequence: readonly Operation[], tally: Tally): void {
  plant(root);
  const model = new Model();
  const tree = pass.openTree(root);
  const other = tree.fork(4);
  const attempt = (operation: Operation) => {
    for (let times = 0; times < ATTEMPTS; times += 1) {
      const outcome = perform(tree, other, operation);
      tally['value' in outcome ? 'done' : 'refused'] += 1;
      model.followHot(operation, outcome);
    }
  };
  try {
    for (const operation of sequence) {
      if (!isAllowed(model, operation, pass.backend === 'path')) continue;
      if (isHot(operation)) attempt(operation);
      else {
        const isUncertain = model.isUncertain(operation);
        const outcome = perform(tree, other, operation);
        if (isUncertain) model.followUncertain(operation, outcome);
        else assert.equal(outcome, model.apply(operation), JSON.stringify(operation));
      }
    }
  } finally {
    other.close();
    tree.close();
  }
  assert.equal(Object.fromEntries(entriesOnDisk(root)), model.entries());
}

const test = suite('directory: model');
let umask = 0;
test.before(() => {
  umask = process.umask(UMASK);
});
test.after(() => {
  process.umask(umask);
});

for (const pass of allPasses) {
  test(`operations do what they say, and nothing outside the tree changes, whoever exchanges what (${pass.title})`, async () => {
    const arena = makeArena();
    const before = everythingBelow(arena.outside);
    const tally: Tally = { done: 0, refused: 0 };
    const work = () =>
      forSeconds(
        seconds,
        fc.property(operations, (sequence) => {
          run(pass, arena, sequence, tally);
          assert.equal(everythingBelow(arena.outside), before);
        }),
      );
    if (process.platform !== 'linux') {
      console.log('  nobody attacks: names are exchanged on Linux alone');
      return work();
    }
    const kind = pass.backend === 'path' ? 'entries' : 'directories';
    const command = [kind, arena.root, arena.workshop, arena.outside, ...directories];
    const attacks = await whileAttacking(attacker, command, work);
    assert.ok(attacks > 0 && tally.done > 0 && tally.refused > 0, JSON.stringify({ attacks, ...tally }));
    assert.equal(everythingBelow(arena.outside), before);
    return undefined;
  });
}

test.run();
