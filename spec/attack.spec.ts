import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { extent } from './helpers/extent.ts';
import { runtime } from './helpers/runtime.ts';
import type { Result } from './soak/attack.ts';
import { attacks } from './soak/attacks/index.ts';
import { runAttack } from './soak/run.ts';

const SECONDS = extent({ short: 0.2, full: 20 });
/** Attacks at once: they have nothing to do with each other. */
const AT_ONCE = extent({ short: 2, full: 5 });

const test = suite('attack');
const results = new Map<string, Promise<Result>>();

if (runtime === 'node') {
  test.before(() => {
    const running: Promise<unknown>[] = [];
    for (const [index, name] of [...attacks.keys()].entries()) {
      // Each waits for the one that is as many places before it as run at once.
      const result = Promise.resolve(running[index - AT_ONCE]).then(() => runAttack(name, SECONDS));
      running.push(result.catch(() => undefined));
      results.set(name, result);
    }
  });

  for (const name of attacks.keys()) {
    test(name, async () => {
      const result = await (results.get(name) as Promise<Result>);
      if (result.skipped !== undefined) console.log(`\n  skipped: ${result.skipped}`);
      for (const figure of result.figures) console.log(`\n  ${name}: ${figure}`);
      assert.equal(result.breaches, []);
      assert.ok(result.rounds > 0 || result.skipped !== undefined, 'something was attacked');
    });
  }
} else {
  test('every attack', () => {
    console.log('  skipped: memory is looked at with --expose-gc of Node');
  });
}

test.run();
