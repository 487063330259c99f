import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { showDemo } from './demo/demo.ts';
import { makeExampleProject } from './helpers/example-project.ts';
import { readPage } from './helpers/pages.ts';
import { scriptCommand, scriptPath } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';

const demo = scriptPath(new URL('demo/demo.ts', import.meta.url));
const [program, ...args] = scriptCommand;
const run = (...bundle: string[]) => spawnSync(program, [...args, demo, ...bundle], { encoding: 'utf8' });

/** The same in this process, whose start is half of what it takes. */
async function runHere(bundle: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const status = await showDemo(bundle, {
    out: (text) => {
      written.stdout += text;
    },
    error: (text) => {
      written.stderr += text;
    },
  });
  return { status, ...written };
}

/** On the bundle of an npm package. It waits for seconds, so it runs once. */
const shown = run();

const test = suite('demo');

test('shows the failure, the pass and the wrapped extractor, on the bundle of an npm package', () => {
  const { status, stdout, stderr } = shown;
  assert.is(status, 0, stderr);
  assert.match(stdout, /python_stdlib\.zip: \d{3} entries, [1-9]\d* executable/);
  assert.match(stdout, /-> ENOENT: no such file or directory, chmod/);
  const counts = [...stdout.matchAll(/(\d+) of (\d+) executables are executable/g)];
  const [, , total] = counts[0] ?? [];
  assert.equal(
    counts.map(([, count, of]) => [count, of]),
    [
      ['0', total],
      [total, total],
      [total, total],
    ],
  );
  assert.match(stdout, /waited .* in \d+ rounds, 1 recovered/);
  assert.match(stdout, /dangling +link-to-nothing -> not\/in\/the\/bundle/);
  assert.not.match(stdout, /link-to-the-late-file ->/);
  assert.match(stdout, /missing .*expected file of \d+ bytes/);
  assert.match(stdout, /1 entry is unresolved\.\n.*the point of the demo/);
  assert.match(stdout, /the destination did not exist/);
  assert.match(stdout, /created: .* [1-9]\d* modes corrected/);
  assert.match(stdout, /was the point\.\n$/);
});

test('says what README shows of it', () => {
  const { code = '' } =
    readPage('README.md').blocks.find((block) => block.code.includes('A plain walk')) ?? {};
  const lines = code.split('\n').filter((line) => line.trim() !== '' && line.trim() !== '…');
  assert.ok(lines.length > 4);
  for (const line of lines) {
    const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    assert.match(shown.stdout, new RegExp(`^${parts.join('.*')}`, 'm'), line);
  }
});

test('takes any bundle', async () => {
  const project = tempDirectory();
  makeExampleProject(project);
  const { stdout } = await runHere(join(project, 'bundle.mcpb'));
  assert.match(stdout, /bundle\.mcpb: 4 entries, 2 executable/);
});

test('says in one line what is wrong with a file that it cannot use', async () => {
  const text = join(tempDirectory(), 'list');
  writeFileSync(text, 'one\ntwo\n');
  const cases: [file: string, message: RegExp][] = [
    ['/nowhere/some.mcpb', /^demo: there is no file \/nowhere\/some\.mcpb\nUsage: npm run demo/],
    [text, /^demo: .*list: the demo needs a zip/],
    [tempDirectory(), /^demo: /],
  ];
  for (const [index, [file, message]] of cases.entries()) {
    const { status, stdout, stderr } = await (index === 0 ? run(file) : runHere(file));
    assert.is(status, 2);
    assert.is(stdout, '');
    assert.match(stderr, message);
    assert.not.match(stderr, /^ +at /m, 'a stack');
  }
});

test.run();
