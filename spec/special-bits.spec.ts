import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApplyOptions } from '../lib/options.ts';
import { watchCalls } from './helpers/faults.ts';
import { allPasses } from './helpers/passes.ts';
import { makeTree, modeOf } from './helpers/tree.ts';

// Special bits are never added. Another process may take one away while a pass is about to set it again.

for (const { backend, title, apply } of allPasses) {
  // Native calls are watched by a spec of their own.
  if (backend === 'native') continue;
  const test = suite(`special bits (${title})`);

  for (const hardLinks of ['apply', 'skip'] as const) {
    test(`setuid that is taken away before any call but the last is not given back (hardLinks: ${hardLinks})`, async () => {
      const root = makeTree({ f: 0o4644 });
      const file = join(root, 'f');
      const options: ApplyOptions = { executable: 'f', umask: 0o022, hardLinks };
      const watched = watchCalls();
      const given: string[] = [];
      try {
        // What is loaded only where it is needed is read from files, too.
        await apply(root, { ...options, dryRun: true });
        watched.begin();
        await apply(root, options);
        watched.end();
        assert.is(modeOf(file), 0o4755, 'it stays where nobody takes it away');
        const { length } = watched.calls;
        assert.ok(length > 3);
        let taken = 0;
        for (let position = 0; position < length; position += 1) {
          chmodSync(file, 0o4644);
          watched.begin(position, () => {
            taken += 1;
            chmodSync(file, 0o644);
          });
          await apply(root, { ...options, strict: false });
          watched.end();
          // Right before chmod(2) nobody can know: GNU chmod has the same moment.
          if ((modeOf(file) & 0o4000) !== 0) given.push(watched.calls[position]?.name ?? '');
        }
        assert.is(taken, length);
      } finally {
        watched.end();
        watched.restore();
      }
      assert.equal(
        given.map((name) => name.replace(/^f/, '')),
        ['chmod'],
      );
    });
  }

  test.run();
}
