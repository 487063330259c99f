import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeExampleProject } from './helpers/example-project.ts';
import { scriptCommand } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';

const demo = fileURLToPath(new URL('demo/demo.ts', import.meta.url));
const [program, ...args] = scriptCommand;
const run = (...bundle: string[]) => execFileSync(program, [...args, demo, ...bundle], { encoding: 'utf8' });

const test = suite('demo');

test('shows the failures and what came of them, on the bundle of an npm package', () => {
  const output = run();
  assert.match(output, /python_stdlib\.zip: \d{3} entries, [1-9]\d* executable/);
  assert.match(output, /ENOENT: no such file or directory, chmod/);
  const [, before, total] = /before +(\d+) of (\d+)/.exec(output) ?? [];
  const [, after] = /after +(\d+) of/.exec(output) ?? [];
  assert.is(before, '0');
  assert.is(after, total);
  assert.match(output, /waited .* in \d+ rounds, 1 recovered/);
  assert.match(output, /dangling +link-to-nothing -> not\/in\/the\/bundle/);
  assert.not.match(output, /link-to-the-late-file ->/);
  assert.match(output, /missing .*expected file of \d+ bytes/);
});

test('takes any bundle', () => {
  const project = tempDirectory();
  makeExampleProject(project);
  assert.match(run(join(project, 'bundle.mcpb')), /bundle\.mcpb: 4 entries, 2 executable/);
});

test.run();
