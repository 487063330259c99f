/**
 * A pass that begins when this process can open nothing more, and two later ones. With permwalk as it is built: nothing
 * else may be loaded meanwhile.
 *
 *     node exhausted-child.js <root>
 */
import { closeSync, openSync } from 'node:fs';
import { applyPermissions } from '../../dist/index.js';

const [, , root] = process.argv;
const manifest = [{ path: 'run', mode: 0o755 }];

async function outcome(options) {
  try {
    const { ok, counts, unresolved } = await applyPermissions(root, { umask: 0, ...options });
    return {
      ok,
      changed: counts.changed,
      unresolved: unresolved.map(({ path, reason }) => `${path}: ${reason}`),
    };
  } catch (error) {
    return String(error);
  }
}

const taken = [];
try {
  for (;;) taken.push(openSync('/dev/null'));
} catch {
  // None is left.
}
setTimeout(() => {
  for (const fd of taken) closeSync(fd);
}, 1000);
const outcomes = [await outcome({ manifest })];
const retry = { retries: 1, minTimeout: 1 };
for (let time = 0; time < 2; time += 1) {
  outcomes.push(await outcome({ manifest: [...manifest, 'gone'], retry, strict: false }));
}
process.stdout.write(JSON.stringify(outcomes));
