import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addExecutable, compileMode, type ModeRule } from '../lib/modes/mode.ts';
import { remembered } from '../lib/modes/outcomes.ts';
import { processUmask } from '../lib/modes/umask.ts';
import { extent } from './helpers/extent.ts';

const FILE = false;
const DIRECTORY = true;

const presentMode = fc.nat({ max: 0o7777 });
const permissions = fc.nat({ max: 0o777 });
const umask = fc.oneof(fc.constantFrom(0, 0o002, 0o022, 0o027, 0o077, 0o777), permissions);

/** The target of an entry that no manifest and no glob names. */
function target(mode: number | string, mask: number, present: number, directory: boolean): number {
  return compileMode(mode, mask)(present, directory, undefined, false);
}

/** Compares modes as octal digits, so that a failure can be read. */
function assertMode(actual: number, expected: number, message?: string): void {
  assert.is(actual.toString(8), expected.toString(8), message);
}

const executable = suite('mode: executable');

executable('gives x to the classes that have r', () => {
  const rule = compileMode('executable', 0o022);
  assertMode(rule(0o600, FILE, 0o755, false), 0o700);
  assertMode(rule(0o644, FILE, 0o755, false), 0o755);
  assertMode(rule(0o604, FILE, 0o755, false), 0o705);
  assertMode(rule(0o200, FILE, 0o755, false), 0o200);
  assertMode(rule(0o000, FILE, 0o755, false), 0o000);
});

executable('gives no x that umask has', () => {
  assertMode(compileMode('executable', 0o077)(0o644, FILE, 0o755, false), 0o744);
  assertMode(compileMode('executable', 0o777)(0o644, FILE, 0o755, true), 0o644);
  assertMode(compileMode('executable', 0o011)(0o644, DIRECTORY, undefined, false), 0o744);
  assertMode(addExecutable(0o444, 0o101), 0o454);
});

executable('is for files that the manifest marks by any x bit, or that a glob names', () => {
  const rule = compileMode('executable', 0);
  for (const manifestMode of [0o100, 0o010, 0o001, 0o100755]) {
    assertMode(rule(0o644, FILE, manifestMode, false), 0o755);
  }
  for (const manifestMode of [undefined, 0, 0o644, 0o6000, 0o100666]) {
    assertMode(rule(0o644, FILE, manifestMode, false), 0o644);
    assertMode(rule(0o644, FILE, manifestMode, true), 0o755);
  }
});

executable('is for every directory', () => {
  const rule = compileMode('executable', 0o022);
  assertMode(rule(0o644, DIRECTORY, undefined, false), 0o755);
  assertMode(rule(0o3640, DIRECTORY, 0o644, false), 0o3750);
  assertMode(rule(0o200, DIRECTORY, 0o755, true), 0o200);
});

executable('never loses a bit but of 0666, and adds only x where r is and umask is not', () => {
  fc.assert(
    fc.property(
      presentMode,
      umask,
      fc.boolean(),
      fc.option(fc.nat({ max: 0o177777 }), { nil: undefined }),
      fc.boolean(),
      (present, mask, directory, manifestMode, matched) => {
        fc.pre(directory || present !== 0o666);
        const result = compileMode('executable', mask)(present, directory, manifestMode, matched);
        const added = result & ~present;
        assertMode(result & present, present);
        assertMode(added & ~0o111, 0);
        assertMode(added & mask, 0);
        assertMode((added << 2) & ~present, 0);
      },
    ),
    { numRuns: 5000 },
  );
});

executable.run();

const worldWritable = suite('mode: a file of mode 0666');

worldWritable('that gets x gets what pip gives it, and no other file loses a bit', () => {
  for (const umask of [0o022, 0o077, 0o002, 0, 0o027]) {
    const rule = compileMode('executable', umask);
    assertMode(rule(0o666, FILE, 0o755, false), 0o777 & ~umask);
    assertMode(rule(0o666, FILE, undefined, true), 0o777 & ~umask);
    assertMode(rule(0o666, FILE, 0o644, false), 0o666);
    for (const mode of [0o664, 0o646, 0o660, 0o777, 0o4666, 0o1666, 0o2666]) {
      assert.is(rule(mode, FILE, 0o755, false) & mode, mode);
    }
    assert.is(rule(0o666, DIRECTORY, 0o755, false) & 0o666, 0o666);
  }
  // No x is given, so nothing is taken.
  assertMode(compileMode('executable', 0o111)(0o666, FILE, 0o755, false), 0o666);
  // A mode that somebody asked for is that mode.
  assertMode(compileMode(0o666, 0o022)(0o600, FILE, undefined, true), 0o777 & ~(0o022 & 0o111));
  assertMode(compileMode('a+rw', 0o022)(0o600, FILE, undefined, true), 0o777);
});

worldWritable.run();

const manifest = suite('mode: manifest');

manifest('is exactly the permissions of the manifest without umask', () => {
  const rule = compileMode('manifest', 0o022);
  assertMode(rule(0o600, FILE, 0o777, false), 0o755);
  assertMode(rule(0o777, FILE, 0o100640, false), 0o640);
  assertMode(rule(0o755, DIRECTORY, 0o040700, false), 0o700);
  assertMode(rule(0o755, DIRECTORY, 0o644, false), 0o644);
  assertMode(rule(0o755, FILE, 0o022, false), 0o000);
});

manifest('changes nothing where the manifest does not know', () => {
  const rule = compileMode('manifest', 0o022);
  assertMode(rule(0o7640, FILE, undefined, false), 0o7640);
  assertMode(rule(0o7640, DIRECTORY, undefined, false), 0o7640);
  for (const manifestMode of [0, 0o100000, 0o040000, 0o4000]) {
    assertMode(rule(0o7640, FILE, manifestMode, false), manifestMode & 0o4000);
    assertMode(rule(0o7640, DIRECTORY, manifestMode, false), 0o6000);
  }
});

manifest('adds no special bit; a file loses those present, a directory loses sticky', () => {
  const rule = compileMode('manifest', 0);
  assertMode(rule(0o644, FILE, 0o7755, false), 0o755);
  assertMode(rule(0o755, DIRECTORY, 0o7700, false), 0o700);
  assertMode(rule(0o7644, FILE, 0o755, false), 0o755);
  assertMode(rule(0o7755, DIRECTORY, 0o700, false), 0o6700);
});

manifest('keeps the special bits that the manifest has, too', () => {
  const rule = compileMode('manifest', 0o077);
  assertMode(rule(0o6644, FILE, 0o4755, false), 0o4700);
  assertMode(rule(0o1777, DIRECTORY, 0o1777, false), 0o1700);
  assertMode(rule(0o755, DIRECTORY, 0o1777, false), 0o700);
});

manifest.run();

const numeric = suite('mode: numbers');

numeric('is the mode of files, with x where r is for directories, whatever the umask', () => {
  for (const mode of [0o640, '640', '0640']) {
    const rule = compileMode(mode, 0o777);
    assertMode(rule(0o777, FILE, 0o755, false), 0o640);
    assertMode(rule(0o000, DIRECTORY, undefined, false), 0o750);
  }
  assertMode(target(0, 0, 0o777, FILE), 0);
  assertMode(target('0', 0, 0o777, DIRECTORY), 0);
  for (const all of [0o777, '777']) assertMode(target(all, 0, 0, FILE), 0o777);
});

numeric('removes special bits from files, and only sticky from directories', () => {
  assertMode(target(0o755, 0, 0o7755, FILE), 0o755);
  assertMode(target(0o755, 0, 0o7755, DIRECTORY), 0o6755);
});

numeric.run();

const symbolic = suite('mode: symbolic');

const examples: [mode: string, mask: number, present: number, file: number, directory: number][] = [
  ['u+rwX,go+rX', 0o077, 0o600, 0o644, 0o755],
  ['u+rwX,go+rX', 0o077, 0o700, 0o755, 0o755],
  ['+x', 0o022, 0o644, 0o755, 0o755],
  ['+x', 0o077, 0o644, 0o744, 0o744],
  ['-x', 0o077, 0o755, 0o655, 0o655],
  ['a+x', 0o077, 0o644, 0o755, 0o755],
  ['=rwx', 0o027, 0o000, 0o750, 0o750],
  ['g=u', 0, 0o640, 0o660, 0o660],
  ['o+g', 0, 0o750, 0o755, 0o755],
  ['o-u', 0, 0o527, 0o522, 0o522],
  ['=u', 0o022, 0o7750, 0o755, 0o6755],
  ['u+r-w', 0, 0o200, 0o400, 0o400],
  ['a-x,u+X', 0, 0o755, 0o644, 0o744],
  ['ug=r-w+u', 0, 0o755, 0o445, 0o445],
  ['u=', 0, 0o7755, 0o3055, 0o7055],
  ['g=', 0, 0o7755, 0o5705, 0o7705],
  ['o=', 0, 0o7755, 0o6750, 0o6750],
  ['=', 0o777, 0o7755, 0o0000, 0o6000],
  ['+', 0, 0o7755, 0o7755, 0o7755],
  ['u-rwx', 0, 0o7777, 0o7077, 0o7077],
];

for (const [mode, mask, present, file, directory] of examples) {
  symbolic(`${mode} on ${present.toString(8)} with umask ${mask.toString(8)}`, () => {
    assertMode(target(mode, mask, present, FILE), file, 'file');
    assertMode(target(mode, mask, present, DIRECTORY), directory, 'directory');
  });
}

symbolic('adds no special bit', () => {
  fc.assert(
    fc.property(symbolicMode(), umask, presentMode, fc.boolean(), (mode, mask, present, directory) => {
      assertMode(target(mode, mask, present, directory) & 0o7000 & ~present, 0);
    }),
    { numRuns: 2000 },
  );
});

symbolic.run();

const globs = suite('mode: files that a glob names');

globs('get x where the result has r, masked by umask, in every mode', () => {
  for (const mode of ['executable', 'manifest', 0o640, '640', 'u=rw,g=r,o=']) {
    assertMode(compileMode(mode, 0o022)(0o640, FILE, 0o640, true), 0o750, String(mode));
    assertMode(compileMode(mode, 0o011)(0o640, FILE, 0o640, true), 0o740, String(mode));
  }
  assertMode(compileMode('manifest', 0)(0o4644, FILE, undefined, true), 0o4755);
  assertMode(compileMode('a-r', 0)(0o644, FILE, undefined, true), 0o200);
  assertMode(compileMode(0o200, 0)(0o777, FILE, undefined, true), 0o200);
});

globs('are not about directories', () => {
  assertMode(compileMode('manifest', 0)(0o755, DIRECTORY, 0o644, true), 0o644);
  assertMode(compileMode('a-x', 0)(0o755, DIRECTORY, undefined, true), 0o644);
});

globs('never change anything else: property', () => {
  const mode = fc.oneof(fc.constantFrom('executable', 'manifest'), permissions, symbolicMode());
  fc.assert(
    fc.property(mode, umask, presentMode, permissions, (value, mask, present, manifestMode) => {
      const rule = compileMode(value, mask);
      const plain = rule(present, FILE, manifestMode, false);
      assertMode(rule(present, FILE, manifestMode, true), addExecutable(plain, mask));
      assertMode(rule(present, DIRECTORY, manifestMode, true), rule(present, DIRECTORY, manifestMode, false));
    }),
    { numRuns: 2000 },
  );
});

globs.run();

const refused = suite('mode: refusals');

const refusals: [mode: number | string, message: string][] = [
  [0o4755, '2541 is 0o4755: setuid, setgid and sticky are never added'],
  [0o7777, '4095 is 0o7777: setuid, setgid and sticky are never added'],
  [0o1000, '512 is 0o1000: setuid, setgid and sticky are never added'],
  [755, '755 is 0o1363: setuid, setgid and sticky are never added; did you mean 0o755?'],
  [644, '644 is 0o1204: setuid, setgid and sticky are never added; did you mean 0o644?'],
  [0o100644, '33188 is not from 0 to 0o777'],
  [-1, '-1 is not from 0 to 0o777'],
  [1.5, '1.5 is not an integer'],
  [Number.NaN, 'NaN is not an integer'],
  [Number.POSITIVE_INFINITY, 'Infinity is not an integer'],
  ['4755', '"4755" has a fourth digit: setuid, setgid and sticky are never added'],
  ['00755', '"00755" has more than four octal digits'],
  ['0o755', '"0o755" has "o" at position 2; expected octal digits only; did you mean "755"?'],
  ['789', '"789" has "8" at position 2; expected octal digits only'],
  ['755,u+x', '"755,u+x" has "," at position 4; expected octal digits only'],
  ['u+s', '"u+s" has "s" at position 3; setuid, setgid and sticky are never added, nor removed by name'],
  ['a+rx,o-xt', '"a+rx,o-xt" has "t" at position 9; setuid, setgid and sticky are never added, nor removed'],
  ['g=s', '"g=s" has "s" at position 3; setuid, setgid and sticky are never added'],
  ['+t', '"+t" has "t" at position 2; setuid, setgid and sticky are never added'],
  ['+755', '"+755" has "7" at position 2; octal digits stand alone, without classes and operators'],
  ['u+q7', '"u+q7" has "q" at position 3; expected permissions'],
  ['u=7', '"u=7" has "7" at position 3; octal digits stand alone'],
  ['', '"" is empty; expected '],
  ['u', '"u" ends at position 2; expected another class (u, g, o, a) or an operator (+, -, =)'],
  ['ug', '"ug" ends at position 3; expected another class (u, g, o, a) or an operator (+, -, =)'],
  [
    'rwx',
    `"rwx" has "r" at position 1; expected 'executable', 'manifest', octal digits, a class (u, g, o, a) or`,
  ],
  ['Executable', `"Executable" has "E" at position 1; expected 'executable', 'manifest', octal digits,`],
  [' u+r', '" u+r" has " " at position 1; expected '],
  ['u+r,', '"u+r," ends at position 5; expected a class (u, g, o, a) or an operator (+, -, =)'],
  [',u+r', '",u+r" has "," at position 1; expected '],
  ['u+r,,g+r', '"u+r,,g+r" has "," at position 5; expected a class'],
  [
    'u+rg',
    '"u+rg" has "g" at position 4; expected permissions (r, w, x, X), an operator (+, -, =), a comma or the',
  ],
  ['u+gr', '"u+gr" has "r" at position 4; expected an operator (+, -, =), a comma or the end'],
  [
    'u=a',
    '"u=a" has "a" at position 3; expected permissions (r, w, x, X), a class to copy (u, g, o), an operator',
  ],
  ['u+r\n', '"u+r\\n" has "\\n" at position 4; expected '],
  ['u+😀', '"u+😀" has "😀" at position 3; expected '],
];

for (const [mode, message] of refusals) {
  refused(JSON.stringify(mode), () => {
    assert.throws(
      () => compileMode(mode, 0o022),
      (error: unknown) => {
        assert.ok(error instanceof RangeError);
        assert.is(error.message.slice(0, `mode: ${message}`.length), `mode: ${message}`);
        return true;
      },
    );
  });
}

refused('no hint where nothing can be guessed', () => {
  for (const [mode, end] of [
    [888, 'never added'],
    [4755, 'to 0o777'],
    [-755, 'to 0o777'],
    ['789', 'digits only'],
    ['00o755', 'digits only'],
    ['0o755x', 'digits only'],
  ] as const) {
    assert.throws(
      () => compileMode(mode, 0),
      (error: unknown) => error instanceof RangeError && error.message.endsWith(end),
    );
  }
});

refused('other types', () => {
  const values: [unknown, string][] = [
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [420n, '420'],
    [Symbol('x'), 'Symbol(x)'],
    [Object.create(null), 'an object'],
    [[0o644], 'an object'],
  ];
  for (const [value, name] of values) {
    assert.throws(
      () => compileMode(value as number, 0),
      (error: unknown) =>
        error instanceof TypeError && error.message === `mode: ${name} is not a number or a string`,
    );
  }
});

refused.run();

const gnu = suite('mode: agreement with GNU chmod');

/** Files and as many directories that every run of chmod is tried on, in a directory of their own. */
const PER_KIND = 40;
let scratch = '';
let files: string[] = [];
let directories: string[] = [];
let combinations = 0;

gnu.before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'mode-spec-'));
  files = Array.from({ length: PER_KIND }, (_, index) => join(scratch, `file-${index}`));
  directories = Array.from({ length: PER_KIND }, (_, index) => join(scratch, `directory-${index}`));
  for (const path of files) writeFileSync(path, '');
  for (const path of directories) mkdirSync(path);
});

gnu.after(() => {
  for (const path of directories) chmodSync(path, 0o700);
  rmSync(scratch, { recursive: true });
});

/** Gives the paths these modes; returns what they are then, as a system may not grant every special bit. */
function setModes(paths: string[], modes: number[]): number[] {
  for (const [index, path] of paths.entries()) chmodSync(path, modes[index] ?? 0);
  return readModes(paths);
}

function readModes(paths: string[]): number[] {
  return paths.map((path) => statSync(path).mode & 0o7777);
}

/** Runs chmod under `mask`; false where it does not understand `mode`. */
function runChmod(mode: string, mask: number, paths: string[]): boolean {
  const script = 'umask "$1" && shift && exec chmod -- "$@"';
  const args = ['-c', script, 'sh', mask.toString(8).padStart(4, '0'), mode, ...paths];
  const { error, stderr } = spawnSync('sh', args, { env: { ...process.env, LC_ALL: 'C' }, encoding: 'utf8' });
  if (error) throw error;
  if (stderr.includes('invalid mode')) return false;
  // chmod also complains, rightly, where umask kept it from doing all that `-x` says.
  const complaints = stderr
    .split('\n')
    .filter((line) => line !== '' && !line.includes('new permissions are'));
  assert.equal(complaints, []);
  return true;
}

/** Asserts that `rule` says for each path what chmod made of it. */
function assertSameAsChmod(
  rule: (present: number, directory: boolean) => number,
  chmodMode: string,
  mask: number,
  paths: string[],
  present: number[],
): void {
  const directory = paths === directories;
  const before = setModes(paths, present);
  assert.ok(runChmod(chmodMode, mask, paths), `chmod refuses ${chmodMode}`);
  const kind = directory ? 'directory' : 'file';
  for (const [index, actual] of readModes(paths).entries()) {
    const start = before[index] ?? 0;
    const what = `${chmodMode} with umask ${mask.toString(8)} on a ${kind} of mode ${start.toString(8)}`;
    assertMode(rule(start, directory), actual, what);
    combinations += 1;
  }
}

/** Asserts it for files and directories. */
function assertSameForBoth(mode: string, mask: number, present: number[]): void {
  const compiled = compileMode(mode, mask);
  const rule = (start: number, directory: boolean) => compiled(start, directory, undefined, false);
  assertSameAsChmod(rule, mode, mask, files, present);
  assertSameAsChmod(rule, mode, mask, directories, present);
}

/** Modes of chmod's grammar without s and t. */
function symbolicMode(): fc.Arbitrary<string> {
  const letters = (unit: string, maxLength: number) =>
    fc.string({ unit: fc.constantFrom(...unit), maxLength, size: 'max' });
  const action = fc
    .tuple(fc.constantFrom(...'+-='), fc.oneof(letters('rwxX', 4), fc.constantFrom(...'ugo')))
    .map((parts) => parts.join(''));
  const clause = fc
    .tuple(letters('ugoa', 3), fc.array(action, { minLength: 1, maxLength: 3, size: 'max' }))
    .map(([classes, actions]) => classes + actions.join(''));
  return fc.array(clause, { minLength: 1, maxLength: 3, size: 'max' }).map((clauses) => clauses.join(','));
}

const presentModes = fc.array(presentMode, { minLength: PER_KIND, maxLength: PER_KIND });

gnu('symbolic modes', () => {
  fc.assert(fc.property(symbolicMode(), umask, presentModes, assertSameForBoth), {
    numRuns: extent({ short: 10, full: 150 }),
  });
});

gnu('any string of its letters is refused by both or does the same', () => {
  const anything = fc.string({ unit: fc.constantFrom(...'ugoa+-=rwxX,'), maxLength: 6, size: 'max' });
  fc.assert(
    fc.property(anything, umask, presentModes, (mode, mask, present) => {
      if (runChmod(mode, mask, files)) assertSameForBoth(mode, mask, present);
      else assert.throws(() => compileMode(mode, mask), /^mode: /);
    }),
    { numRuns: extent({ short: 10, full: 150 }) },
  );
});

gnu('numbers and octal digits', () => {
  fc.assert(
    fc.property(permissions, umask, presentModes, fc.nat({ max: 4 }), (mode, mask, present, width) => {
      const digits = mode.toString(8);
      for (const value of [mode, digits, digits.padStart(width, '0')]) {
        const compiled = compileMode(value, mask);
        const rule = (start: number, directory: boolean) => compiled(start, directory, undefined, false);
        assertSameAsChmod(rule, digits, mask, files, present);
        assertSameAsChmod(rule, (mode | ((mode & 0o444) >> 2)).toString(8), mask, directories, present);
      }
    }),
    { numRuns: extent({ short: 3, full: 40 }) },
  );
});

gnu('the mode of a manifest', () => {
  const manifestMode = fc.integer({ min: 1, max: 0o777 });
  fc.assert(
    fc.property(manifestMode, presentMode, umask, presentModes, (known, extra, mask, present) => {
      const compiled = compileMode('manifest', mask);
      // GNU chmod cannot be told to leave a special bit: those that the manifest has, too, are set aside.
      const recorded = extra & 0o7000;
      const rule = (start: number, directory: boolean) => {
        const found = compiled(start, directory, known | recorded, false);
        const kept = directory ? recorded & 0o1000 : recorded;
        assertMode(found & kept, start & kept);
        return found & ~kept;
      };
      const digits = (known & ~mask).toString(8);
      assertSameAsChmod(rule, digits, mask, files, present);
      assertSameAsChmod(rule, digits, mask, directories, present);
    }),
    { numRuns: extent({ short: 3, full: 40 }) },
  );
});

const COMBINATIONS = extent({ short: 1000, full: 10_000 });

gnu(`were compared in more than ${COMBINATIONS} combinations`, () => {
  assert.ok(combinations > COMBINATIONS, `${combinations}`);
});

const version = spawnSync('chmod', ['--version'], { encoding: 'utf8' }).stdout ?? '';
if (version.includes('GNU coreutils')) gnu.run();
else console.log('mode: agreement with GNU chmod: skipped, the chmod of this system is not GNU');

const memory = suite('remembered rule');

memory('answers as the rule does, whatever was asked before, and asks it once', () => {
  let asked = 0;
  const rule: ModeRule = (mode, directory, manifestMode = 0o7000, matched = false) => {
    asked += 1;
    return mode ^ manifestMode ^ (directory ? 1 : 0) ^ (matched ? 2 : 0);
  };
  const again = remembered(rule);
  const manifestModes = [undefined, ...Array.from({ length: 19 }, (_, index) => index)];
  for (const round of [0, 1]) {
    for (const mode of [0, 0o644, 0o7777]) {
      for (const [directory, matched] of [
        [false, false],
        [false, true],
        [true, false],
        [true, true],
      ] as const) {
        for (const [index, manifestMode] of manifestModes.entries()) {
          const expected = rule(mode, directory, manifestMode, matched);
          asked = 0;
          assert.is(again(mode, directory, manifestMode, matched), expected);
          // Memory is bounded: 16 modes of a manifest are remembered.
          assert.is(asked, round === 1 && index < 16 ? 0 : 1);
        }
      }
    }
  }
});

memory.run();

const umasks = suite('umask');

umasks('is that of the process, and stays', () => {
  const before = process.umask(0o027);
  try {
    assertMode(processUmask(), 0o027);
    assertMode(processUmask('/nonexistent'), 0o027);
  } finally {
    assertMode(process.umask(before), 0o027);
  }
});

umasks('leaves nothing where it makes a directory to know it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'umask-spec-'));
  try {
    processUmask('/nonexistent', folder);
    assert.equal(readdirSync(folder), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

umasks('is read from the status file where that names it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'umask-spec-'));
  const file = join(folder, 'status');
  const before = process.umask(0o026);
  try {
    writeFileSync(file, 'Name:\tnode\nUmask:\t0135\nState:\tR (running)\n');
    assertMode(processUmask(file), 0o135);
    writeFileSync(file, 'Name:\tnode\nState:\tR (running)\n');
    assertMode(processUmask(file), 0o026);
  } finally {
    process.umask(before);
    rmSync(folder, { recursive: true });
  }
});

umasks.run();
