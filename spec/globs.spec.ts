import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applyPermissions } from '../lib/apply.ts';
import { compileGlobs, type Matcher } from '../lib/globs.ts';
import { makeTree, modesBelow } from './helpers/tree.ts';

const test = suite('globs');

/** Names that make regular expressions backtrack, as long as the system has them. */
const names = [
  `${'a'.repeat(254)}!`,
  `${'ab'.repeat(127)}!`,
  `${`${'a'.repeat(200)}/`.repeat(20)}!`,
  `${'a/'.repeat(2040)}!`,
];

/** Globs and what the refusal of each says. */
const refused: [glob: string, fault: RegExp][] = [
  ['*a*a*a*b', /may take 10\^7 steps to match a path/],
  ['!(a)!(a)!(a)!(a)b', /may take 10\^7 steps/],
  ['*a*a*/*a*a*/b', /may take 10\^10 steps/],
  ['?(a)'.repeat(30), /may take 10\^9 steps/],
  ['{a,aa}'.repeat(30), /may take 10\^9 steps/],
  ['**/a/**/a/**/a/b', /may take 10\^10 steps/],
  ['+(a|a*)*b', /repeats what has a wildcard, a class or a group in it/],
  ['*({a,aa})b', /repeats what has a wildcard, a class or a group in it/],
  ['*(@(a|a))b', /repeats what has a wildcard, a class or a group in it/],
  ['+([a-z]|[a-c])1', /repeats what has a wildcard, a class or a group in it/],
  ['+(a|b|ab)c', /repeats alternatives of different lengths/],
  ['(a|aa)+b', /has a "\(" that none of "\?\*\+@!" stands before/],
  ['[a-z]+[a-z]+b', /has a "\+" that is no \+\(…\)/],
  ['@(a+a+a+)b', /has a "\+" that is no \+\(…\)/],
  ['?(*[a-z]a|+(a,)|a*|a]', /opens a group that "\)" never closes/],
  ['a{b', /opens a group that "}" never closes/],
  ['@(a|{b)c}', /closes with "\)" what was not opened with it/],
  ['"["*a*a*a*a*b"]"', /has a quotation mark/],
  ['x'.repeat(4097), /4097 characters; at most 4096/],
];

for (const [glob, fault] of refused) {
  test(`${glob.slice(0, 30)} is refused before anything is touched`, async () => {
    for (const option of ['executable', 'ignore'] as const) {
      const root = makeTree({ f: 0o600 });
      const before = modesBelow(root);
      try {
        await applyPermissions(root, { mode: 'a+rx', [option]: glob });
        assert.unreachable();
      } catch (error) {
        assert.instance(error, RangeError);
        assert.match((error as Error).message, fault);
        assert.ok((error as Error).message.startsWith(`${option}: glob "`));
      }
      assert.equal(modesBelow(root), before);
    }
  });
}

for (const glob of [
  '**/*.{so,dylib,so.*}',
  '**/site-packages/**/bin/*',
  'lib*-*.so.*',
  '!(*.d).ts',
  '+(a|b)/*',
  '\\*\\*\\*\\*\\*',
  '[*][*][*][*]x',
  '**/**/**/**/x/**',
  'libstdc++.so*',
  '+(foo|bar)',
  'copy \\(1\\)',
  'a)',
  'a}',
  'a\\{b',
  `**/*.{${Array.from('abcdefghijklmnopqrstuvwxyz').join(',')}}`,
]) {
  test(`${glob} is taken`, async () => {
    assert.type(await compileGlobs('ignore', [glob]), 'function');
  });
}

test('whatever is taken ends, whatever the name', async () => {
  const part = fc.constantFrom('a', 'b', '*', '?', '[a-z]', '{a,aa}', '@(a|b*)', '+(a)', '!(b)', '?(a)');
  const component = fc.oneof(
    fc.constant('**'),
    fc.array(part, { minLength: 1, maxLength: 12 }).map((all) => all.join('')),
  );
  const glob = fc.array(component, { minLength: 1, maxLength: 5 }).map((all) => all.join('/'));
  let taken = 0;
  const check = async (text: string) => {
    let matches: Matcher | undefined;
    try {
      matches = await compileGlobs('ignore', [text]);
    } catch {
      return;
    }
    taken += 1;
    for (const name of names) matches?.(name);
  };
  await fc.assert(fc.asyncProperty(glob, check), { numRuns: 200 });
  assert.ok(taken > 40, `only ${taken} were taken`);
});

test.run();
