import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runOnMusl, whatIsMissing } from './runtimes/musl.ts';

const checkout = fileURLToPath(new URL('..', import.meta.url));
const missing = whatIsMissing();
if (missing !== undefined) console.log(`  skipped: ${missing}`);
const suiteOf = suite('musl');
const test = missing === undefined ? suiteOf : suiteOf.skip;

const script = `
  const { runtimeSource } = await import('./lib/directory/native/load.ts');
  const { abilities } = runtimeSource.load() ?? {};
  const libraries = require('fs').readFileSync('/proc/self/maps', 'latin1').match(/\\/\\S*(libc|ld-)[^/\\s]*\\.so\\S*/g);
  console.log(JSON.stringify({ abilities, libraries: [...new Set(libraries)] }));
`;

test('native calls are made by musl, which proves itself', () => {
  const { status, stdout, stderr } = runOnMusl(['-e', script], checkout);
  assert.is(status, 0, stderr);
  const { abilities, libraries } = JSON.parse(stdout);
  assert.equal(Object.keys(abilities), ['setsModes', 'renames']);
  assert.ok(libraries.length > 0 && libraries.every((path: string) => /musl/.test(path)), libraries.join());
});

test('all that is said of native calls holds', () => {
  const specs = '^(native|native-calls|native-files|exchange|apply|directory)\\.spec\\.ts$';
  const { stdout, stderr } = runOnMusl(['node_modules/uvu/bin.js', '-c', 'false', 'spec', specs], checkout);
  const count = (name: string) => Number(new RegExp(`^ +${name}: +(\\d+)`, 'm').exec(stdout)?.[1]);
  assert.ok(count('Total') > 100 && count('Passed') === count('Total'), `${stdout}${stderr}`);
  assert.match(stdout, ' native: loading ');
});

suiteOf.run();
