import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EXTENT_VARIABLE, extent } from './helpers/extent.ts';
import { scriptCommand, scriptPath, uvuArguments } from './helpers/runtime.ts';

/**
 * What works on the path backend, which serves on macOS: the first of these say most of it. They are short in the full run, too: how
 * files are opened is what differs there, and more random inputs open them no other way.
 */
const all = [
  'apply',
  'race',
  'directory',
  'chmodr',
  'detect',
  'extract',
  'flattened',
  'flattened-model',
  'hostile',
  'model',
  'record',
  'recording',
  'restore',
  'settle',
];
/** Those that one process runs: most of the time of some would be its start. */
const groups = [all.slice(0, 3), ...extent({ short: [], full: [all.slice(3)] })];

const run = promisify(execFile);
const checkout = fileURLToPath(new URL('..', import.meta.url));
const imitation = scriptPath(new URL('helpers/imitate-macos.ts', import.meta.url));
const test = suite('macOS, imitated');

/** Run specs in a process that believes to be on macOS. */
async function runSpecs(names: readonly string[]): Promise<string> {
  const [program, ...args] = scriptCommand;
  const command = [...args, '--import', imitation, ...uvuArguments(names)];
  const env = { ...process.env, [EXTENT_VARIABLE]: undefined };
  const { stdout } = await run(program, command, { cwd: checkout, env, maxBuffer: 1 << 26 }).catch(
    (error: { stdout: string; message: string }) => ({ stdout: `${error.stdout}\n${error.message}` }),
  );
  return stdout;
}

if (process.platform === 'linux') {
  for (const specs of groups) {
    test(`${specs.join(', ')}: everything holds where files are opened by the rules of XNU`, async () => {
      const output = await runSpecs(specs);
      const count = (name: string) => Number(new RegExp(`^ +${name}: +(\\d+)`, 'm').exec(output)?.[1]);
      assert.ok(count('Total') > 0 && count('Passed') === count('Total'), output);
    });
  }
}

test.run();
