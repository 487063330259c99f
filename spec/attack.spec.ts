import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { outputOf, startScript } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { scriptPath } from './helpers/runtime.ts';
import type { Result } from './soak/attack.ts';
import { attacks } from './soak/attacks/index.ts';
import { runAttack } from './soak/run.ts';
import { runTogether } from './soak/together.ts';

const SECONDS = extent({ short: 0.1, full: 1 });
/** Attacks at once, in a process each: they have nothing to do with each other. */
const AT_ONCE = 5;

const names = [...attacks.keys()];
/** Results, in the order of the names. The short run starts one process for all. */
const results = extent({ short: () => runTogether(names, SECONDS), full: sideBySide });

async function* sideBySide(): AsyncGenerator<Result> {
  const running: Promise<Result>[] = [];
  for (const [index, name] of names.entries()) {
    // Each waits for the one that is as many places before it as run at once.
    const before = Promise.resolve(running[index - AT_ONCE]).catch(() => undefined);
    running.push(before.then(() => runAttack(name, SECONDS)));
  }
  for (const result of running) result.catch(() => undefined);
  yield* running;
}

const test = suite('attack');

test('the command tells how it is used, and names every attack', async () => {
  const help = await outputOf(startScript(scriptPath(new URL('soak/soak.ts', import.meta.url)), ['--help']));
  assert.match(help, /^usage: npm run soak .*--seconds N .*--only NAME /s);
  assert.ok(help.endsWith(`\nAttacks: ${names.join(', ')}\n`));
});

const ofAll = results();
for (const name of names) {
  test(name, async () => {
    const { value: result } = await ofAll.next();
    assert.ok(result, 'there is a result');
    if (result.skipped !== undefined) console.log(`\n  skipped: ${result.skipped}`);
    for (const figure of result.figures) console.log(`\n  ${name}: ${figure}`);
    assert.equal(result.breaches, []);
    assert.ok(result.rounds > 0 || result.skipped !== undefined, 'something was attacked');
  });
}

test.run();
