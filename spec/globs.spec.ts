import * as fc from 'fast-check';
import micromatch from 'micromatch';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileGlobs, type Matcher } from '../lib/globs/compile.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { extent } from './helpers/extent.ts';
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
  ['+(a|a*)*b', /repeats a group that holds a wildcard, a class or another group/],
  ['*({a,aa})b', /repeats a group that holds a wildcard, a class or another group/],
  ['*(@(a|a))b', /repeats a group that holds a wildcard, a class or another group/],
  ['+([a-z]|[a-c])1', /repeats a group that holds a wildcard, a class or another group/],
  ['+(a|b|ab)c', /repeats alternatives of different lengths/],
  ['(a|aa)+b', /has a "\(" without one of "\?\*\+@!" before it/],
  ['[a-z]+[a-z]+b', /has a "\+" that is not \+\(…\)/],
  ['@(a+a+a+)b', /has a "\+" that is not \+\(…\)/],
  ['?(*[a-z]a|+(a,)|a*|a]', /opens a group that "\)" never closes/],
  ['a{b', /opens a group that "}" never closes/],
  ['@(a|{b)c}', /has a "\)" that does not match what it closes/],
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
    assert.type((await compileGlobs('ignore', [glob]))?.matches, 'function');
  });
}

test('a directory decides as its paths do, however the globs can be split', async () => {
  const atom = fc.constantFrom('a', 'b', '.a', '*', '?', '{a,b}', '{a*,.b}', '*.so', '-', 'bin', '+', '@a');
  const segment = fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom('**', '***', '.', '..', '', 'a**', '**b', '[ab]', '!a', '(a)') },
    { weight: 4, arbitrary: fc.array(atom, { minLength: 1, maxLength: 3 }).map((all) => all.join('')) },
  );
  const glob = fc.array(segment, { minLength: 1, maxLength: 4 }).map((all) => all.join('/'));
  const name = fc.constantFrom(
    'a',
    'b',
    'ab',
    '.a',
    '.b',
    'a.so',
    '.so',
    '-',
    'bin',
    '+',
    '@a',
    'a**',
    '[ab]',
    '{a,b}',
  );
  const directory = fc.array(name, { maxLength: 3 }).map((all) => (all.length === 0 ? '.' : all.join('/')));
  let named = 0;
  const check = async (globs: string[], directories: string[]) => {
    const taken: string[] = [];
    for (const one of globs) {
      const compiled = await compileGlobs('ignore', [one]).catch(() => undefined);
      if (compiled !== undefined) taken.push(one);
    }
    const matcher = await compileGlobs('ignore', taken);
    for (const path of directories) {
      const inIt = matcher?.in(() => path);
      for (const entry of ['a', 'b', 'ab', '.a', '.b', 'a.so', '.so', '-', 'bin', '+', '@a', '{a,b}']) {
        const whole = path === '.' ? entry : `${path}/${entry}`;
        const expected = taken.length > 0 && micromatchEach(whole, taken);
        assert.is(inIt?.(entry) === true, expected, `${JSON.stringify(taken)} ${whole}`);
        assert.is(matcher?.matches(whole) === true, expected);
        if (expected) named += 1;
      }
    }
  };
  const globs = fc.array(glob, { minLength: 1, maxLength: 3 });
  const directories = fc.array(directory, { minLength: 3, maxLength: 6 });
  await check(['a/++', '++/a'], ['.', 'a', '+']);
  await fc.assert(fc.asyncProperty(globs, directories, check), {
    numRuns: extent({ short: 300, full: 5000 }),
  });
  assert.ok(named > 100, `only ${named} were named`);
});

/** What micromatch says of a path and a list of globs, taken one after the other. */
function micromatchEach(path: string, globs: readonly string[]): boolean {
  const isNegated = (glob: string) =>
    glob.startsWith('!') && !glob.startsWith('!(') && !glob.startsWith('!!');
  const plain = (glob: string) => (glob.length > 1 && glob.endsWith('/') ? glob.slice(0, -1) : glob);
  const isMatch = (glob: string) => micromatch.isMatch(path, plain(glob), { dot: true });
  const isTakenOut = (glob: string) => micromatch.makeRe(plain(glob), { dot: true }).test(path);
  let isNamed = globs.every(isNegated);
  for (const glob of globs) {
    if (isNegated(glob) ? isTakenOut(glob.slice(1)) : isMatch(glob)) isNamed = !isNegated(glob);
  }
  return isNamed;
}

test('a glob names what is called like it', async () => {
  for (const glob of ['[id]', 'app/[id]/run', '{a,b}', 'x/{a,b}/y', '{a,b}/', '[...all].js', 'a\\[b']) {
    const matcher = await compileGlobs('ignore', [glob]);
    const path = glob.replace(/\/$/, '');
    assert.ok(matcher?.matches(path), glob);
    assert.not.ok(matcher?.matches(`${path}x`), glob);
    assert.equal(matcher?.unmatched(), []);
    const but = await compileGlobs('ignore', [glob, '!nothing']);
    assert.ok(but?.matches(path), glob);
  }
  const all = await compileGlobs('ignore', ['**', '!{a,b}']);
  assert.ok(all?.matches('{a,b}'));
  assert.not.ok(all?.matches('a'));
});

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
    for (const name of names) matches?.matches(name);
  };
  await fc.assert(fc.asyncProperty(glob, check), { numRuns: 200 });
  assert.ok(taken > 40, `only ${taken} were taken`);
});

test.run();
