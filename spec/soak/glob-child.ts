import { createInterface } from 'node:readline';
import { applyPermissions } from '../../lib/index.ts';

// Matches names against each glob that comes in as a line of JSON, and says what came of it, a line each: `taken`, or
// the error. `glob-child.ts <root>`: the root is empty, and none of the names is looked for.

export interface GlobTask {
  glob: string;
  names: string[];
}

const [root = ''] = process.argv.slice(2);

for await (const line of createInterface({ input: process.stdin })) {
  const { glob, names } = JSON.parse(line) as GlobTask;
  const outcomes: string[] = [];
  for (const option of ['ignore', 'executable'] as const) {
    const options = { manifest: names, [option]: glob, verify: 'none', retry: false, strict: false } as const;
    const outcome = await applyPermissions(root, options).then(
      () => 'taken',
      (error: unknown) => String(error),
    );
    // How many steps are allowed grows with what each option is asked.
    outcomes.push(
      outcome.replace(`${option}: `, 'option: ').replace(/(?<=more than )\d+(?= steps)/, 'so many'),
    );
  }
  const [first, second] = outcomes;
  console.log(first === second ? first : `two outcomes: ${outcomes}`);
}
