import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeExampleProject } from './helpers/example-project.ts';
import { javascriptCommand } from './helpers/runtime.ts';
import { modeOf, tempDirectory } from './helpers/tree.ts';

const checkout = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(checkout, 'README.md'), 'utf8');

/** Fenced blocks of a language, in the README's order. */
function blocksOf(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code = '']) => code,
  );
}

/** A project with a bundle and its unpacked tree, in which permwalk is installed as it is built. */
function exampleProject(): string {
  const project = tempDirectory();
  makeExampleProject(project);
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(project, 'node_modules/.bin'), { recursive: true });
  symlinkSync(checkout, join(project, 'node_modules/permwalk'));
  for (const name of ['adm-zip', 'extract-zip', 'fflate', 'tar', 'unzipper', 'yauzl']) {
    symlinkSync(join(checkout, 'node_modules', name), join(project, 'node_modules', name));
  }
  const main = join(checkout, 'dist/cli/main.js');
  writeFileSync(
    join(project, 'node_modules/.bin/permwalk'),
    `#!/bin/sh\nexec ${javascriptCommand.join(' ')} "${main}" "$@"\n`,
  );
  chmodSync(join(project, 'node_modules/.bin/permwalk'), 0o755);
  return project;
}

const test = suite('README');
const examples = blocksOf('js');
const commands = [
  ...blocksOf('sh').flatMap((block) => block.trim().split(/(?<!\\)\n/)),
  ...blocksOf('dockerfile').flatMap((block) => block.match(/(?<=^RUN )permwalk .*$/gm) ?? []),
];
const recipes = readme.slice(readme.indexOf('\n## Recipes\n'));
const setUpCommands = ['npm ci && npm run demo', 'npm ci && npm test', 'npm install permwalk'];

test('has examples and commands', () => {
  assert.ok(examples.length >= 14);
  assert.ok(commands.length >= 7);
});

for (const [index, code] of examples.entries()) {
  test(`example ${index + 1} runs`, () => {
    const project = exampleProject();
    // Where there is nothing yet; a loadBundle replaces what is there.
    if (code.includes("await extract('")) rmSync(join(project, 'cache'), { recursive: true });
    writeFileSync(join(project, 'example.js'), code);
    const [program, ...args] = javascriptCommand;
    execFileSync(program, [...args, 'example.js'], { cwd: project, stdio: 'pipe' });
    if (index > 0 && !recipes.includes(code)) return;
    assert.equal(readdirSync(join(project, 'cache')), ['bundle']);
    assert.is(modeOf(project, 'cache/bundle/server/run') & 0o111, 0o111);
    assert.is(modeOf(project, 'cache/bundle/server/main.py') & 0o111, 0);
  });
}

for (const command of commands) {
  if (setUpCommands.includes(command)) continue;
  test(`command runs: ${command}`, () => {
    const project = exampleProject();
    const [, expected = '0'] = /# exit (\d)/.exec(command) ?? [];
    const path = `${join(project, 'node_modules/.bin')}:${process.env.PATH}`;
    const result = spawnSync('sh', ['-c', command], {
      cwd: project,
      encoding: 'utf8',
      env: { ...process.env, PATH: path },
    });
    assert.is(String(result.status), expected, result.stderr);
  });
}

test('the set-up commands are the scripts that there are', () => {
  const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  assert.ok(scripts.demo && scripts.test);
  for (const command of setUpCommands) assert.ok(readme.includes(command), command);
});

test('names every option, reason and flag that there is', () => {
  const options = readFileSync(join(checkout, 'lib/options.ts'), 'utf8');
  const errors = readFileSync(join(checkout, 'lib/errors.ts'), 'utf8');
  const optionNames = /new Set<keyof ApplyOptions>\(\[(.*?)\]/s.exec(options)?.[1]?.match(/\w+/g) ?? [];
  const reasonNames = /export type UnresolvedReason =(.*?);/s.exec(errors)?.[1]?.match(/[\w-]+/g) ?? [];
  assert.ok(optionNames.length > 15 && reasonNames.length > 12);
  for (const name of [...optionNames, ...reasonNames]) assert.ok(readme.includes(`\`${name}\``), name);
});

test.run();
