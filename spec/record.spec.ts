import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ManifestError } from '../lib/errors.ts';
import type { Manifest, ManifestEntry } from '../lib/manifest/manifest.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { readRecordManifest } from '../lib/manifest/record.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { extent } from './helpers/extent.ts';
import { impatient, reasonsOf, rejectedReport } from './helpers/passes.ts';
import { runPython } from './helpers/python.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';
import { factsOf, failureOf, hasCommand, run } from './helpers/zip.ts';

const scratch = tempDirectory();
const at = (name: string): string => join(scratch, name);

/** A RECORD of the scratch directory with this content. */
function recordWith(content: string | Uint8Array, name = 'x-1.dist-info/RECORD'): string {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
  return at(name);
}

/** What a RECORD with this content lists: entries, and paths outside. */
async function readRows(content: string | Uint8Array): Promise<[ManifestEntry[], readonly string[]]> {
  const manifest = await readRecordManifest(recordWith(content));
  return [factsOf(manifest), manifest.outside ?? []];
}

const file = (path: string, size?: number): ManifestEntry => ({
  path,
  type: 'file',
  ...(size !== undefined && { size }),
});

/** Random inputs of a property. */
const RUNS = extent({ short: 120, full: 500 });

const real = suite('RECORD: installed environments');

/** What Python's own reader of CSV says of every RECORD of a directory: sizes and digests, and what lies outside. */
const oracle = `
import base64, csv, glob, json, posixpath, sys
facts, outside = {}, set()
def digest(text):
    name, _, value = text.partition('=')
    if name not in ('sha256', 'sha384', 'sha512'): return None
    is_hex = len(value) == int(name[3:]) // 4
    return name + ' ' + (value if is_hex else base64.urlsafe_b64decode(value + '=' * (-len(value) % 4)).hex())
for record in sorted(glob.glob(glob.escape(sys.argv[1]) + '/*.dist-info/RECORD')):
    own = {}
    with open(record, newline='', encoding='utf-8') as rows:
        for listed, hashed, size in csv.reader(rows):
            path = posixpath.normpath(listed)
            if path.startswith(('../', '/')): outside.add(listed)
            else: own[path] = [int(size) if size else None, digest(hashed)]
    for path, fact in own.items():
        known = facts.setdefault(path, fact)
        facts[path] = [one if one == other else None for one, other in zip(known, fact)]
print(json.dumps([facts, sorted(outside)]))
`;
const locate = `
import json, site, sysconfig
paths = [sysconfig.get_path('purelib'), *site.getsitepackages(), '/usr/lib/python3/dist-packages']
print(json.dumps(paths))
`;
const isInstalled = (path: string): boolean =>
  existsSync(path) &&
  readdirSync(path).some((name) => name.endsWith('.dist-info') && existsSync(join(path, name, 'RECORD')));
const environments = hasCommand('python3')
  ? [...new Set(JSON.parse(runPython(locate, [])) as string[])].filter(isInstalled)
  : [];
if (environments.length === 0)
  process.stderr.write('no installed Python environment: its specs are skipped\n');

for (const path of extent({ short: environments.slice(0, 1), full: environments })) {
  let found: Promise<Manifest> | undefined;
  /** What is read there, once for both. */
  const readOnce = () => {
    found ??= readManifest(path);
    return found;
  };
  real(`${path}, as Python's csv module reads it`, async () => {
    const [facts, outside] = JSON.parse(runPython(oracle, [path])) as [
      Record<string, [size: number | null, digest: string | null]>,
      string[],
    ];
    const manifest = await readOnce();
    const read = manifest.entries.map(({ path: name, size, digest }) => {
      const said = digest === undefined ? null : `${digest.algorithm} ${digest.value}`;
      return [name, [size ?? null, said]] as const;
    });
    assert.equal(new Map(read), new Map(Object.entries(facts)));
    assert.equal([...(manifest.outside ?? [])].sort(), outside);
    assert.is(manifest.format, 'record');
    assert.ok(read.length > 5);
  });

  real(`${path}: a single RECORD is a part of it`, async () => {
    const name = readdirSync(path).find((each) => existsSync(join(path, each, 'RECORD'))) as string;
    const whole = new Set((await readOnce()).entries.map((entry) => entry.path));
    const own = await readManifest(join(path, name, 'RECORD'));
    assert.ok(own.entries.length > 2 && own.entries.every((entry) => whole.has(entry.path)));
    assert.ok(own.entries.some((entry) => entry.path === `${name}/RECORD`));
  });
}

// Pip takes seconds for it.
const hasPip =
  extent({ short: false, full: hasCommand('python3') }) &&
  run('sh', ['-c', 'python3 -m pip --version || true']) !== '';
const withPip = hasPip ? real : real.skip;
if (!hasPip)
  process.stderr.write(
    '  skipped: what pip installs, which npm run test:full looks at where there is a pip\n',
  );

/** A wheel with a module, a library, a script of its own and one that pip makes. */
const makeWheel = `
import base64, hashlib, sys, zipfile
files = {
    'demo/__init__.py': b'value = 1\\n',
    'demo/data, with "quotes".txt': b'data',
    'demo/deep/module.py': b'import demo\\n',
    'demo-1.data/scripts/demo-script': b'#!python\\nprint(1)\\n',
    'demo-1.dist-info/METADATA': b'Metadata-Version: 2.1\\nName: demo\\nVersion: 1\\n',
    'demo-1.dist-info/WHEEL': b'Wheel-Version: 1.0\\nGenerator: spec\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',
    'demo-1.dist-info/entry_points.txt': b'[console_scripts]\\ndemo-entry = demo:value\\n',
}
def row(name, content):
    quoted = '"%s"' % name.replace('"', '""') if '"' in name else name
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()
    return '%s,sha256=%s,%d\\n' % (quoted, digest, len(content))
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    for name, content in files.items(): wheel.writestr(name, content)
    wheel.writestr('demo-1.dist-info/RECORD', ''.join(row(*each) for each in files.items()) + 'demo-1.dist-info/RECORD,,\\n')
`;

withPip('what pip installs into a target directory is its own manifest', async () => {
  const wheel = at('demo-1-py3-none-any.whl');
  runPython(makeWheel, [wheel]);
  const target = at('target');
  run('python3', [
    '-m',
    'pip',
    '-q',
    '--disable-pip-version-check',
    'install',
    '--no-index',
    '--no-deps',
    '--target',
    target,
    wheel,
  ]);
  const manifest = await readManifest(target);
  const listed = new Map(manifest.entries.map((entry) => [entry.path, entry]));
  assert.is(listed.get('demo/data, with "quotes".txt')?.size, 4);
  assert.equal([...(manifest.outside ?? [])].sort(), ['../../bin/demo-entry', '../../bin/demo-script']);
  const report = await applyPermissions(target, { manifest, retry: false });
  assert.ok(report.ok && report.counts.visited > 8);
  writeFileSync(join(target, 'demo/__init__.py'), 'value = 12\n');
  rmSync(join(target, 'demo/deep/module.py'));
  const broken = await rejectedReport(applyPermissions(target, { manifest, retry: impatient }));
  assert.equal(reasonsOf(broken), ['demo/__init__.py: size-mismatch', 'demo/deep/module.py: missing']);
});

real('a wheel unpacked elsewhere', async () => {
  const record = 'demo/run.sh,sha256=abc,10\ndemo-1.data/scripts/x,sha256=abc,3\ndemo-1.dist-info/RECORD,,\n';
  const root = makeTree({
    'demo/run.sh': { mode: 0o644, content: '#!/bin/sh\n' },
    'demo-1.data/scripts/x': 'abc',
    'demo-1.dist-info/RECORD': record,
  });
  const manifest = await readManifest(join(root, 'demo-1.dist-info/RECORD'));
  const options = { manifest, executable: ['demo/*.sh', '*.data/scripts/*'], umask: 0o022 };
  assert.ok((await applyPermissions(root, options)).ok);
  assert.is(modeOf(root, 'demo/run.sh'), 0o755);
  assert.is(modeOf(root, 'demo-1.data/scripts/x'), 0o755);
});

real.run();

const rows = suite('RECORD: rows');

rows('path, hash, size, of which the last two may be empty', async () => {
  const content = 'a/b.py,sha256=x-_,12\na/__pycache__/b.pyc,,\nc,,0\nd,md5=abc==,\n';
  assert.equal(await readRows(content), [
    [file('a/b.py', 12), file('a/__pycache__/b.pyc'), file('c', 0), file('d')],
    [],
  ]);
  assert.equal(await readRows(''), [[], []]);
});

rows('quoted fields, either line end, blank lines, a byte order mark, no line end', async () => {
  const content = '\ufeff"a, b",sha256=x,1\r\n\n"say ""hi""",,2\n\r\n"two\nlines",,\r\nlast,"",3';
  assert.equal(await readRows(content), [
    [file('a, b', 1), file('say "hi"', 2), file('two\nlines'), file('last', 3)],
    [],
  ]);
});

rows('carriage returns alone, as Python reads them', async () => {
  const path = recordWith('a,sha256=x,1\r"b\rc",sha256=x,2\r', 'cr.csv');
  assert.equal(factsOf(await readManifest(path)), [file('a', 1), file('b\rc', 2)]);
});

rows('names that are not ASCII, and bytes that are not UTF-8', async () => {
  const content = Buffer.concat([
    Buffer.from('naïve/文.py,,1\n"caf'),
    Buffer.from([0xe9]),
    Buffer.from('",,2\n'),
  ]);
  assert.equal(await readRows(content), [[file('naïve/文.py', 1), file('caf\udce9', 2)], []]);
});

rows('a backslash separates as a slash does', async () => {
  assert.equal(await readRows('a\\b\\c.py,,1\n..\\..\\Scripts\\x.exe,,2\n'), [
    [file('a/b/c.py', 1)],
    ['../../Scripts/x.exe'],
  ]);
});

rows('another spelling of a path, and a directory', async () => {
  assert.equal(await readRows('./a//b,,1\na/../c/./d,,2\ne/,,\n..x/..y,,3\n'), [
    [file('a/b', 1), file('c/d', 2), { path: 'e', type: 'directory' }, file('..x/..y', 3)],
    [],
  ]);
});

rows('what lies outside is told, in the order of the rows, once', async () => {
  const outside = ['../../../bin/pip', '/etc/x', 'C:/x/y', '//host/share', '..', 'a/../../b', 'c:\\x'];
  const content = [...outside, 'in', ...outside].map((path) => `${path},sha256=x,1\n`).join('');
  assert.equal(await readRows(content), [[file('in', 1)], outside.map((path) => path.replaceAll('\\', '/'))]);
  const manifest = await readRecordManifest(recordWith(content));
  assert.ok(Object.isFrozen(manifest.outside));
  assert.throws(() => (manifest.outside as string[]).push('more'));
});

rows('paths are relative to the directory of the .dist-info, or to that of the RECORD', async () => {
  for (const name of ['y-2.dist-info/RECORD', 'elsewhere/RECORD', 'some.csv']) {
    const manifest = await readRecordManifest(recordWith('a/b,,\n', name));
    assert.equal(factsOf(manifest), [file('a/b')]);
    assert.is(manifest.source, at(name));
  }
});

/** A row as Python's csv module writes it: quoted where it must be. */
function writeRow(path: string, size: string): string {
  const quoted = /[",\r\n]/.test(path) ? `"${path.replaceAll('"', '""')}"` : path;
  return `${quoted},sha256=x,${size}`;
}

rows('any paths, in the dialect of Python', async () => {
  const name = fc.string({ unit: fc.constantFrom(...'ab",; \n\'é文'), minLength: 1, maxLength: 8 });
  const path = fc
    .array(
      name.filter((each) => each.trim() !== ''),
      { minLength: 1, maxLength: 4 },
    )
    .map((parts) => parts.join('/'));
  const sizes = fc.uniqueArray(fc.tuple(path, fc.option(fc.nat(), { nil: undefined })), {
    selector: ([key]) => key,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(sizes, fc.constantFrom('\n', '\r\n'), async (list, end) => {
      const content = list
        .map(([each, size]) => writeRow(each, size === undefined ? '' : String(size)) + end)
        .join('');
      assert.equal(await readRows(content), [list.map(([each, size]) => file(each, size)), []]);
    }),
    { numRuns: RUNS },
  );
});

rows('a large RECORD leaves the event loop its turns', async () => {
  const LINES = extent({ short: 20_000, full: 60_000 });
  const content = Array.from(
    { length: LINES },
    (_, number) => `package/module_${number}.py,sha256=${'x'.repeat(43)},${number}\n`,
  );
  const path = recordWith(content.join(''));
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const manifest = await readManifest(path);
  clearInterval(timer);
  assert.is(manifest.entries.length, LINES);
  const digest = { algorithm: 'sha256', value: Buffer.from('x'.repeat(43), 'base64url').toString('hex') };
  assert.equal(factsOf(manifest).at(-1), { ...file(`package/module_${LINES - 1}.py`, LINES - 1), digest });
  assert.ok(turns > LINES / 6000, `${turns} turns`);
});

rows.run();

const directories = suite('RECORD: directories');

directories('every distribution directly below it', async () => {
  const root = makeTree({
    'b-1.dist-info/RECORD': 'b/x,,1\nb-1.dist-info/RECORD,,\n../../bin/b,,\n',
    'a-1.dist-info/RECORD': 'a.py,,2\n../../bin/a,,\n../../bin/b,,\n',
    'without-1.dist-info/METADATA': '',
    'file.dist-info': '',
    'old.egg-info/RECORD': 'no,,\n',
    'deeper/c-1.dist-info/RECORD': 'no,,\n',
  });
  const manifest = await readManifest(root);
  assert.equal(factsOf(manifest), [file('a.py', 2), file('b/x', 1), file('b-1.dist-info/RECORD')]);
  assert.equal(manifest.outside, ['../../bin/a', '../../bin/b']);
  assert.is(manifest.source, root);
});

directories('of a path that two list with different sizes, none is known', async () => {
  const root = makeTree({
    'a-1.dist-info/RECORD': 'same,,1\ntests/__init__.py,,1\nhalf,,\nkind,,\n',
    'b-1.dist-info/RECORD': 'same,,1\ntests/__init__.py,,2\nhalf,,2\nkind/,,\n',
    'c-1.dist-info/RECORD': 'tests/__init__.py,,1\n',
  });
  const facts = factsOf(await readRecordManifest(root));
  assert.equal(facts, [file('same', 1), file('tests/__init__.py'), file('half'), { path: 'kind' }]);
});

directories('one without any, and what it saw', async () => {
  const none = await failureOf(readManifest(makeTree({ 'a/RECORD': 'x,,\n', 'b.txt': '' })));
  assert.match(none.message, /: is a directory with no \*\.dist-info directly below it$/);
  const without = makeTree({ 'a-1.dist-info/METADATA': '', 'b-1.dist-info/METADATA': '', 'c.dist-info': '' });
  for (const read of [readManifest, readRecordManifest]) {
    const error = await failureOf(read(without));
    assert.match(
      error.message,
      /: is a directory with 3 \*\.dist-info, none with a RECORD, directly below it$/,
    );
    assert.is(error.source, without);
  }
});

directories.run();

const hashes = suite('RECORD: hashes');

/** A hash of this algorithm as a RECORD has it, and in hexadecimal. */
function hashOf(algorithm: string, content: string): { row: string; hex: string } {
  const bytes = createHash(algorithm).update(content).digest();
  return { row: `${algorithm}=${bytes.toString('base64url')}`, hex: bytes.toString('hex') };
}

/** The digest that rows give the path `a`, and the codes of what is odd about them. */
async function digestOfRows(...rows: string[]): Promise<[string | undefined, string[]]> {
  const content = `${rows.map((row) => `a,${row}`).join('\n')}\nb,,2\n`;
  const { entries, warnings } = await readRecordManifest(recordWith(content));
  const digest = entries.find(({ path }) => path === 'a')?.digest;
  return [digest && `${digest.algorithm} ${digest.value}`, warnings.map(({ code }) => code)];
}

hashes('sha256, sha384 and sha512 are digests; no other is', async () => {
  for (const algorithm of ['sha256', 'sha384', 'sha512']) {
    const { row, hex } = hashOf(algorithm, 'x');
    assert.equal(await digestOfRows(`${row},1`), [`${algorithm} ${hex}`, []]);
    assert.equal(await digestOfRows(`${row.toUpperCase().slice(0, 6)}${row.slice(6)}==,1`), [
      `${algorithm} ${hex}`,
      [],
    ]);
  }
  for (const algorithm of ['md5', 'sha1', 'sha224'])
    assert.equal(await digestOfRows(`${hashOf(algorithm, 'x').row},1`), [undefined, []]);
  assert.equal(await digestOfRows(',1'), [undefined, []]);
});

hashes('hexadecimal is taken, and told of once', async () => {
  const { hex } = hashOf('sha256', 'x');
  assert.equal(await digestOfRows(`sha256=${hex},1`), [`sha256 ${hex}`, ['record-hex']]);
  assert.equal(await digestOfRows(`sha256=${hex.toUpperCase()},1`, `sha256=${hex},1`), [
    `sha256 ${hex}`,
    ['record-hex'],
  ]);
});

hashes('what is no hash of its algorithm is ignored, and told of', async () => {
  const { row, hex } = hashOf('sha256', 'x');
  for (const odd of [row.slice(0, -1), `${row}AA`, `sha512=${hex}`, 'sha256=x'])
    assert.equal(await digestOfRows(`${odd},1`), [undefined, ['record-row']], odd);
});

hashes('of two the stronger counts, of two that contradict each other none', async () => {
  const [weak, strong, other] = [hashOf('sha256', 'x'), hashOf('sha512', 'x'), hashOf('sha256', 'y')];
  const stronger = `sha512 ${strong.hex}`;
  assert.equal(await digestOfRows(`${weak.row},1`, `${strong.row},1`), [stronger, []]);
  assert.equal(await digestOfRows(`${strong.row},1`, `${weak.row},1`), [stronger, []]);
  assert.equal(await digestOfRows(`${weak.row},1`, `${other.row},1`), [undefined, ['record-row']]);
  assert.equal(await digestOfRows(`${weak.row},1`, ',1'), [undefined, ['record-row']]);
  // Content of two sizes is not the same.
  assert.equal(await digestOfRows(`${weak.row},1`, `${strong.row},2`), [undefined, ['record-row']]);
  assert.equal(await digestOfRows(`${weak.row},1`, `${strong.row},`), [stronger, ['record-row']]);
  // Of two distributions.
  recordWith(`a,${weak.row},1\n`, 'two/x-1.dist-info/RECORD');
  recordWith(`a,${strong.row},1\n`, 'two/y-1.dist-info/RECORD');
  const { entries } = await readManifest(at('two'));
  assert.is(entries.find(({ path }) => path === 'a')?.digest?.value, strong.hex);
});

hashes.run();

const broken = suite('RECORD: broken and hostile');

const faults: [what: string, content: string, fault: RegExp][] = [
  ['text', 'text\n', /RECORD: is not a RECORD: no row has a path, a hash and a size$/],
  ['a table', 'alice,hunter2,17\nbob,letmein,12\n', /is not a RECORD/],
  ['no path in any row', ',sha256=x,1\n', /is not a RECORD/],
  ['a NUL in a path', 'a\0b,,\n', /row 1 has a path that contains a NUL$/],
  ['a quote that is never closed', 'a,,1\n"b,,2\n', /: is broken: CSV_QUOTE_NOT_CLOSED near line \d+$/],
  [
    'a quote that is never closed, in a long file',
    `"a,,1\n${'b,,2\n'.repeat(50_000)}`,
    /: is broken: CSV_MAX_RECORD_SIZE near line \d+$/,
  ],
];
for (const [what, content, fault] of faults) {
  broken(what, async () => {
    const error = await failureOf(readRecordManifest(recordWith(content)));
    assert.match(error.message, fault);
    assert.is(error.source, at('x-1.dist-info/RECORD'));
  });
}

/** Rows that pip warns of: what is taken of them, and what is said. */
const oddRows: [what: string, row: string, taken: ManifestEntry[], said: RegExp][] = [
  [
    'too few fields',
    'b,',
    [file('b')],
    /^row 2 has 2 fields instead of path, hash and size: only its path counts$/,
  ],
  ['a path alone', 'b', [file('b')], /^row 2 has 1 fields/],
  ['too many fields', 'b,c,2,d', [], /^row 2 has 4 fields instead of path, hash and size: it is skipped$/],
  ['commas at its end', 'b,md5=x,2,,', [file('b', 2)], /^row 2 has 5 fields .* only its path counts$/],
  ['blanks alone', '  ', [], /^row 2 has no path/],
  [
    'a comma that nobody quoted',
    'b,c.dat,md5=x,3',
    [file('b,c.dat', 3)],
    /^row 2 has 4 fields .* only its path counts$/,
  ],
  ['a blank before a size', 'b,md5=x, 4', [file('b', 4)], /^$/],
  ['a size that is no number', 'b,,12k', [file('b')], /^row 2 has a size that is not a number/],
  ['a negative size', 'b,,-1', [file('b')], /^row 2 has a size that is not a number/],
  [
    'a size beyond every number',
    `b,,${'9'.repeat(20)}`,
    [file('b')],
    /^row 2 has a size that is not a number/,
  ],
  ['no path', ',md5=x,1', [], /^row 2 has no path/],
  ['no hash', 'b,secret,1', [file('b', 1)], /^row 2 has a hash field that is not a hash/],
  ['a quote in a field', 'b"c,,1', [file('b"c', 1)], /^$/],
  ['another size', './a,,2', [], /^row 2 repeats a path with different facts/],
];
for (const [what, row, taken, said] of oddRows) {
  broken(`an odd row: ${what}`, async () => {
    for (const name of ['x-1.dist-info/RECORD', 'RECORD', 'some.csv']) {
      const manifest = await readManifest(recordWith(`a,md5=x,1\n${row}\n`, name));
      const first = what === 'another size' ? file('a') : file('a', 1);
      assert.equal(factsOf(manifest), [first, ...taken]);
      assert.is(manifest.format, 'record');
      const messages = manifest.warnings.map(({ message }) => message);
      assert.match(messages.join('\n'), said);
      assert.is(manifest.warningCount, messages.length);
      for (const { code, message } of manifest.warnings) {
        assert.is(code, 'record-row');
        assert.not.match(message, /secret|12k/);
      }
    }
  });
}

broken('a file that is not there, one that is none, and no path', async () => {
  for (const read of [readRecordManifest, readManifest])
    assert.is((await failureOf(read(at('none')))).code, 'ENOENT');
  run('mkfifo', [at('pipe')]);
  assert.match((await failureOf(readRecordManifest(at('pipe')))).message, /pipe: is not a regular file/);
  for (const source of [undefined, 7, new Uint8Array(3)]) {
    const outcome = await readRecordManifest(source as unknown as string).catch((refusal) => refusal);
    assert.instance(outcome, TypeError);
  }
});

broken('any bytes changed give a manifest or a ManifestError', async () => {
  const original = Buffer.from('a/b.py,sha256=x,12\n"c, d","",3\r\n../../bin/e,,\nx-1.dist-info/RECORD,,\n');
  const changes = fc.array(fc.tuple(fc.nat({ max: original.length - 1 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 6,
  });
  const counts = { read: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(changes, async (list) => {
      const bytes = Buffer.from(original);
      for (const [position, value] of list) bytes[position] = value;
      const path = recordWith(bytes);
      for (const read of [readRecordManifest, readManifest]) {
        try {
          await read(path);
          counts.read += 1;
        } catch (error) {
          assert.instance(error, ManifestError, `${(error as Error).stack}`);
          counts.refused += 1;
        }
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(counts.read > RUNS / 10 && counts.refused > RUNS / 10, JSON.stringify(counts));
});

broken.run();

const recognised = suite('RECORD: readManifest');

recognised('a RECORD under any name', async () => {
  const contents = [
    'a,sha256=x_-1,1\n',
    '\ufeffa,sha256=x,1\r\n"b, c",,\r\n',
    'a,,\nx-1.dist-info/RECORD,,\n',
    'a,,\n"x y-1.dist-info/RECORD",,',
    'a\\b,,\nx-1.dist-info\\RECORD,,\n',
    `${'a,,5\n'.repeat(2)}b,md5=abc=,\n`,
    // The first 64 KiB end in the middle of a row.
    Array.from({ length: 3000 }, (_, number) => `package/module_${number}.py,sha256=abcdef,${number}\n`).join(
      '',
    ),
  ];
  for (const content of contents) {
    for (const name of ['x-1.dist-info/RECORD', 'list.txt', 'x.zip']) {
      assert.is((await readManifest(recordWith(content, name))).format, 'record', content.slice(0, 40));
    }
  }
});

recognised('other tables and lists are none', async () => {
  const contents = ['a,b,c\n', 'a,,1\nb,,2\n', 'a,sha256=x,one\n', 'sha256=x\n', 'x.dist-info/RECORD\n'];
  for (const content of contents) {
    const path = recordWith(content, 'other');
    assert.is((await readManifest(path)).format, 'list', content);
    assert.is(basename(path), 'other');
  }
});

recognised('no link is followed below a directory, and what it leads to is not quoted', async () => {
  const outside = makeTree({ 'x.dist-info/RECORD': 'secret,sha256=abc,12\n', secret: 'root:x:0:0\n' });
  for (const shape of [
    { 'a.dist-info': `-> ${outside}/x.dist-info` },
    { 'a.dist-info/RECORD': `-> ${outside}/secret` },
    { 'a.dist-info/RECORD': '-> gone' },
  ]) {
    const error = await readRecordManifest(makeTree(shape)).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    assert.instance(error, ManifestError, JSON.stringify(shape));
    assert.not.match((error as ManifestError).message, /secret,|root:x/);
  }
});

recognised.run();
