import { execFileSync } from 'node:child_process';
import fs, { writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import fc from 'fast-check';
import micromatch from 'micromatch';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UnresolvedEntryError } from '../lib/errors.ts';
import { compileGlobs } from '../lib/globs/compile.ts';
import { compileSegment, isLinear } from '../lib/globs/segment.ts';
import { splitGlob } from '../lib/globs/split.ts';
import { Steps } from '../lib/globs/steps.ts';
import { type ApplyOptions, applyPermissions, type PermissionReport } from '../lib/index.ts';
import { extent } from './helpers/extent.ts';
import { canUseByteNames } from './helpers/runtime.ts';
import { makeTree, memoryDirectory, modeOf } from './helpers/tree.ts';

const PATH_MAX = 4096;
const test = suite('bounds');

/** A pass that reports in place of rejecting. */
function report(root: string, options: ApplyOptions): Promise<PermissionReport> {
  return applyPermissions(root, { retry: false, strict: false, ...options });
}

/** What is unresolved, in short. */
const inShort = ({ reason, code, path }: UnresolvedEntryError) => [reason, code, Buffer.byteLength(path)];

/** Directories in one another, in memory, with a file in each; made by a program that never names a whole path. */
function makeDeep(depth: number, name: string, file: string): string {
  const root = memoryDirectory(depth * 8192);
  const script = [
    'import os, sys',
    'root, depth, name, file = sys.argv[1:]',
    'os.chdir(root)',
    'for _ in range(int(depth)):',
    '    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o644))',
    '    os.mkdir(name); os.chdir(name)',
  ].join('\n');
  execFileSync('python3', ['-B', '-c', script, root, String(depth), name, file]);
  return root;
}

if (process.platform === 'linux') {
  test('a path longer than PATH_MAX is held against no glob, not changed, and reported', async () => {
    const name = 'n'.repeat(99);
    const root = makeDeep(60, name, 'x.so');
    const globs = ['**/x.so', '**/n*/**/*.so', 'n*/**', '**/[x].so', '!**/y'];
    for (const glob of globs) {
      const { unresolved, counts } = await report(root, { executable: glob, dryRun: true });
      // 40 names and their slashes are 4000 bytes: the 41st directory is too long, and whatever is in it is not met.
      assert.equal(unresolved.map(inShort), [['path-too-long', 'ERR_PERMWALK_PATH_TOO_LONG', 4099]], glob);
      assert.is(counts.changed, glob.includes('n*') ? 40 : 41, glob);
      assert.is(counts.visited, 1 + 40 + 41, glob);
    }
    assert.match(
      (await report(root, { ignore: 'y' })).unresolved[0]?.message ?? '',
      /shorter path|without globs/,
    );
    const without = await report(root, { mode: 'a+x' });
    assert.ok(without.ok, 'without globs nothing is too long');
    assert.is(without.counts.visited, 1 + 60 + 60);
  });

  test('the limit counts bytes, and the NUL at the end', async () => {
    const wide = 'é'.repeat(100);
    const root = makeDeep(21, wide, 'x.so');
    const longest = `${`${wide}/`.repeat(20)}`;
    const rest = PATH_MAX - 1 - Buffer.byteLength(longest);
    const place = `${root}/${`${wide}/`.repeat(10)}`;
    const make = `cd "$1" && ${`cd ${wide} && `.repeat(10)} : > "$2"; : > "$3"`;
    execFileSync('sh', ['-c', make, 'sh', place, 'a'.repeat(rest), 'b'.repeat(rest + 1)]);
    const { unresolved } = await report(root, { executable: '**/[ab]*', dryRun: true });
    assert.equal(
      unresolved.map(inShort).sort(),
      [
        ['path-too-long', 'ERR_PERMWALK_PATH_TOO_LONG', PATH_MAX],
        ['path-too-long', 'ERR_PERMWALK_PATH_TOO_LONG', PATH_MAX + 20 * 201 - 4020 + 124],
      ].slice(0, unresolved.length),
    );
  });
} else {
  test.skip('paths beyond PATH_MAX: only the anchored backend goes there, and that is on Linux');
}

test('paths of a manifest that are too long for globs are reported, whether they are there or not', async () => {
  const root = makeTree({ f: 0o644 });
  const deep = 'd/'.repeat(2100);
  const manifest = ['f', `${deep}one`, `${deep}two`, { path: `${deep}three`, type: 'directory' as const }];
  for (const options of [
    { ignore: 'x' },
    { executable: '**/o*' },
    { executable: '**/[o]*', verify: 'none' as const },
  ]) {
    const { unresolved } = await report(root, { manifest, ...options });
    assert.equal(
      unresolved.map(({ path, reason }) => [path.slice(deep.length), reason]).sort(),
      [
        ['one', 'path-too-long'],
        ['three', 'path-too-long'],
        ['two', 'path-too-long'],
      ],
      JSON.stringify(options),
    );
  }
  const without = await report(root, { manifest });
  assert.equal(new Set(without.unresolved.map(({ reason }) => reason)), new Set(['missing']));
});

test('what the system finds too long is path-too-long, too', async () => {
  const name = 'n'.repeat(300);
  const { unresolved } = await report(makeTree({}), { manifest: [name] });
  assert.equal(unresolved.map(inShort), [['path-too-long', 'ENAMETOOLONG', 300]]);
});

/** Names and paths that make matching take long, as many as a hostile tree may have. */
function hostilePaths(count: number): string[] {
  const shapes = [
    (index: number) => `${'a'.repeat(240)}${index}`,
    (index: number) => `${'a/'.repeat(1000)}${index}`,
    (index: number) => `${`${'ab'.repeat(100)}/`.repeat(15)}a${index}`,
    (index: number) => `${'node_modules/'.repeat(300)}x${index}.txt`,
  ];
  return Array.from({ length: count }, (_, index) =>
    (shapes[index % shapes.length] as (index: number) => string)(index),
  );
}

const PATHS = extent({ short: 600, full: 5000 });
const plainGlobs = [
  ['**/node_modules/**/*.md'],
  ['*a*a*b'],
  ['**/a/**/b*'],
  ['**/{a,ab}*b/**/c', '*/*/*'],
  ['**/*.{so,dylib,so.*}', 'a/**'],
];

for (const globs of plainGlobs) {
  test(`${globs} takes no more steps than paths times globs`, async () => {
    const steps = new Steps('ignore', globs);
    const matcher = await compileGlobs('ignore', globs, false, steps);
    const paths = hostilePaths(PATHS);
    for (const path of paths) matcher?.matches(path);
    const [characters, size] = [paths.join('').length, globs.join('').length];
    assert.ok(steps.taken > 0);
    assert.ok(steps.taken <= characters * (size + 3), `${steps.taken} for ${characters} times ${size}`);
  });
}

for (const glob of ['[a]*a*a*b', '**/[n]ode_modules/**/*.md', '!(x)*[a]*b', '!*a*a*b']) {
  test(`${glob} takes a bounded number of steps, then the pass is refused`, async () => {
    const steps = new Steps('ignore', [glob]);
    const matcher = await compileGlobs('ignore', [glob], false, steps);
    const allowed = (paths: readonly string[]) =>
      10 ** 9 + (256 + glob.length) * (2 * paths.join('/').length + 2);
    const paths = hostilePaths(extent({ short: 400, full: 5000 }));
    const asked: string[] = [];
    let failure: NodeJS.ErrnoException | undefined;
    try {
      for (const path of paths) {
        asked.push(path);
        matcher?.matches(path);
      }
    } catch (error) {
      failure = error as NodeJS.ErrnoException;
    }
    assert.ok(steps.taken <= steps.allowed);
    assert.ok(steps.taken <= allowed(asked), `${steps.taken} for ${asked.length} paths`);
    if (failure === undefined) return;
    assert.instance(failure, RangeError);
    assert.is(failure.code, 'ERR_PERMWALK_GLOB_STEPS');
    assert.match(failure.message, /^ignore: glob ".*may take more than .* steps/);
  });
}

test('a pass whose globs would take too many steps rejects and says which glob', async () => {
  const names = Array.from({ length: 600 }, (_, index) => `${'a'.repeat(240)}${index}`);
  const root = makeTree(Object.fromEntries(names.map((name) => [name, 0o600])));
  const failure = await report(root, { executable: '[a]*a*a*b' }).catch((error) => error);
  assert.instance(failure, RangeError);
  assert.is(failure.code, 'ERR_PERMWALK_GLOB_STEPS');
  assert.match(failure.message, 'executable: glob "[a]*a*a*b"');
  assert.ok((await report(root, { executable: '*a*a*b' })).ok, 'what is matched in one go is never too much');
});

test('a glob for a name means what micromatch makes of it', () => {
  const atom = fc.constantFrom(
    ...['a', 'b', 'A', '.', '.', '*', '*', '?', '-', '+', ' ', '.*', '*.*'],
    ...['{a,b}', '{a*,.b}', '{,a}', '{a.*,b}', '{*,b}', '{?,.}', '{a,a,b*}', '{.*,a}'],
  );
  const glob = fc.array(atom, { minLength: 1, maxLength: 5 }).map((all) => all.join(''));
  const character = fc.constantFrom('a', 'b', 'A', 'B', '.', '.', '-', '+', ' ', 'c');
  const name = fc
    .array(character, { minLength: 1, maxLength: 5 })
    .map((all) => all.join(''))
    .filter((text) => text !== '.' && text !== '..');
  let named = 0;
  const check = (text: string, names: string[], nocase: boolean) => {
    if (!isLinear(text) || splitGlob(text) === undefined || text === '**') return;
    const matches = compileSegment(text, nocase).matches;
    const regexp = micromatch.makeRe(text, { dot: true, nocase });
    for (const one of names) {
      assert.is(matches(one), regexp.test(one), `${JSON.stringify(text)} ${JSON.stringify(one)}`);
      if (matches(one)) named += 1;
    }
  };
  const names = fc.array(name, { minLength: 10, maxLength: 20 });
  fc.assert(fc.property(glob, names, fc.boolean(), check), {
    numRuns: extent({ short: 300, full: 5000 }),
  });
  assert.ok(named > 100, `only ${named} were named`);
});

const canCount = canUseByteNames();

/** How often the file system was asked for one entry while something was done. */
async function looksDuring(act: () => Promise<unknown>): Promise<number> {
  const table = fs as unknown as Record<string, (...parameters: unknown[]) => unknown>;
  const originals = ['lstatSync', 'statSync', 'openSync', 'readlinkSync'].map(
    (name) => [name, table[name]] as const,
  );
  let looks = 0;
  for (const [name, original] of originals) {
    table[name] = (...parameters) => {
      looks += 1;
      return original?.(...parameters);
    };
  }
  syncBuiltinESMExports();
  try {
    await act();
  } finally {
    for (const [name, original] of originals) if (original !== undefined) table[name] = original;
    syncBuiltinESMExports();
  }
  return looks;
}

(canCount ? test : test.skip)('maxEntries bounds looks at names that are not UTF-8, too', async () => {
  const COUNT = 300;
  const root = makeTree({ f: 0o600 });
  const byteName = (index: number) =>
    Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff]), Buffer.from(`${index}`)]);
  for (let index = 0; index < COUNT; index += 1) writeFileSync(byteName(index), '');
  const failures: unknown[] = [];
  const looks = await looksDuring(async () => {
    failures.push(await report(root, { mode: 'a+r', maxEntries: 10 }).catch((error) => error.code));
  });
  assert.equal(failures, ['ERR_PERMWALK_MAX_ENTRIES']);
  assert.ok(looks < 60, `${looks} looks`);
  assert.is(modeOf(root, 'f'), 0o600);
  const whole = await report(root, { mode: 'a+r', maxEntries: COUNT + 2 });
  assert.is(whole.counts.visited, COUNT + 2);
});

test.run();
