import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  applyPermissions,
  formatManifest,
  type Manifest,
  type ManifestEntry,
  ManifestError,
  readManifest,
  recordManifest,
} from '../lib/index.ts';
import { type BytePlant, byteTrees, inWords, plantBytes } from './helpers/byte-trees.ts';
import { extent } from './helpers/extent.ts';
import { makeTree, tempDirectory } from './helpers/tree.ts';

const RUNS = extent({ short: 5, full: 50 });
const KEYWORDS = 'type,mode,size,link,nlink,sha256';
/** NetBSD's: macOS has an older one by that name. */
const hasMtree =
  spawnSync('mtree', ['-C'], { input: '. type=dir\n', encoding: 'utf8' }).stdout === '. type=dir \n';
const hasBsdtar = !('error' in spawnSync('bsdtar', ['--version'], { stdio: 'ignore' }));
if (!hasMtree) console.log('  skipped: no mtree of NetBSD here (Debian: mtree-netbsd)');
if (!hasBsdtar) console.log('  skipped: no bsdtar here (Debian: libarchive-tools)');

/** One for all that are read: they are read by the ten thousand. */
const specification = join(tempDirectory(), 'tree.spec');

async function readText(text: string | Buffer): Promise<Manifest> {
  writeFileSync(specification, text);
  return readManifest(specification);
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => assert.unreachable('does not fail'),
    (error) => error,
  );
}

/** Facts that are known, without what only one side knows. */
function facts(entries: Iterable<ManifestEntry>): unknown {
  const plain: ManifestEntry[] = JSON.parse(JSON.stringify([...entries]));
  return plain.sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** Files, directories and links in words: modes of links and whether something is a pattern count for nothing. */
function words(entries: Iterable<ManifestEntry>): string[] {
  return [...entries].map(inWords).sort();
}

function mtree(args: readonly string[], input?: string | Buffer): Buffer {
  return execFileSync('mtree', args, { input: input ?? '', maxBuffer: 64 << 20 });
}

/** Whether a byte is in a name of this kind, or in any name or text of a link. */
function hasByte(plants: readonly BytePlant[], byte: number, wanted?: BytePlant['kind']): boolean {
  return plants.some(({ name, kind, text, entries }) => {
    const isAsked = wanted === undefined || kind === wanted;
    return (isAsked && (name.includes(byte) || text.includes(byte))) || hasByte(entries, byte, wanted);
  });
}

/** What `mtree -f` says of a tree: the paths at fault, or whatever it prints. */
function faultsOf(root: string, specification: string): string {
  const file = join(tempDirectory(), 'tree.spec');
  writeFileSync(file, specification);
  return spawnSync('mtree', ['-f', file, '-p', root], { encoding: 'latin1' }).stdout;
}

const test = suite('mtree');

/** Words that lines are made of: most of them plain, some of them nearly. */
const word = fc.oneof(
  fc.constantFrom('type=file', 'type=dir', 'mode=0644', 'mode=4755', 'size=0', 'size=12', 'nlink=2'),
  fc.constantFrom(
    'uid=0',
    'time=1.5',
    `sha256=${'0a'.repeat(32)}`,
    `sha256digest=${'0B'.repeat(32)}`,
    'optional',
  ),
  fc.constantFrom(
    'type=link link=a',
    'mode=u+x',
    'size=-1',
    'mode=9',
    'link=\\040',
    `md5=${'0a'.repeat(16)}`,
    'type=fifo',
  ),
);
const lineName = fc.oneof(
  fc.constantFrom(
    '.',
    './a',
    './a/b',
    'a',
    '..',
    '/set',
    '/unset all',
    './.b',
    '.b',
    '././c',
    './',
    './..',
    '.x/y',
    'a//b',
  ),
  fc.constantFrom('./a[1]', './\\141', '# ./a', '', './a=b', 'type=file', './ü'),
);
const gap = fc.constantFrom(' ', '  ', '\t', ' \\\n', ' \\\n\t', '\\\n ', '\\\n');
const specificationLine = fc
  .tuple(
    fc.constantFrom('', '  '),
    lineName,
    fc.array(fc.tuple(gap, word), { maxLength: 4 }),
    fc.constantFrom('', ' '),
  )
  .map(([indent, name, words, end]) => `${indent}${name}${words.flat().join('')}${end}`);

test('reads a line that is plain as it reads any other', async () => {
  // With a carriage return at its end a line is plain no more, and says the same.
  const inEnd = (text: string) => `${text.replace(/(?<!\\)\n/g, '\r\n')}\r`;
  const read = (text: string) =>
    readText(text).then(
      ({ entries, warnings }) => ({ entries, warnings }),
      ({ message }) => message.replace(/^.*?tree\.spec: /, ''),
    );
  const lines = fc.array(specificationLine, { minLength: 1, maxLength: 8 });
  const property = fc.asyncProperty(
    fc.constantFrom('#mtree\n', '/set mode=0700\n', '/set type=file nlink=2\n'),
    lines,
    async (head, some) => {
      const text = head + some.join('\n');
      assert.equal(await read(text), await read(inEnd(text)));
    },
  );
  await fc.assert(property, { numRuns: 20 * RUNS });
});

test('reads a specification in pieces, whatever lies where one ends', async () => {
  const continued = Array.from(
    { length: 3000 },
    (_, index) => `./file-${index} type=file \\\n    size=${index}`,
  );
  const text = ['#mtree', ...continued, `# ${'x'.repeat(100_000)} \\`, './last type=dir', ''].join('\n');
  const { entries } = await readText(text);
  assert.equal(
    entries.map(({ size }) => size),
    [...continued.keys(), undefined],
  );
  assert.match((await failure(readText(`${text}./broken mode=9`))).message, /line 6004 has an invalid mode/);
  const zipped = await readText(gzipSync(text));
  assert.equal(zipped.entries, entries);
});

test('reads a compressed specification, as pacman keeps it', async () => {
  const text = `${'# a comment\n'.repeat(5000)}#mtree\n/set type=file mode=644\n./a size=3\n./bin type=dir mode=755\n`;
  const plain = await readText(text);
  const packed = await readText(gzipSync(text));
  assert.equal(packed.entries, plain.entries);
  assert.is(packed.format, 'mtree');
  assert.is(packed.entries.length, 2);
  const cut = await failure(readText(gzipSync(text).subarray(0, -12)));
  assert.match(cut.message, /cannot be decompressed \(gzip\)/);
});

const isFull = extent({ short: false, full: true });
const fullTest = isFull ? test : test.skip;
if (!isFull) console.log('  skipped: 256 MiB of text, which npm run test:full reads');
fullTest('a specification that is compressed and too long is refused before it is held', async () => {
  const long = `#mtree\n${'# a comment that says nothing\n'.repeat(1 << 16)}`;
  // Members that stand one behind the other are one text.
  const member = gzipSync(long);
  const members = Math.ceil((1 << 28) / long.length) + 1;
  const error = await failure(readText(Buffer.concat(Array<Buffer>(members).fill(member))));
  assert.instance(error, ManifestError);
  assert.match(error.message, /more than 268435456 bytes/);
});

test('reads both dialects as one', async () => {
  const netbsd = `#	   user: someone
# .
/set type=file uid=0 gid=0 mode=0644 nlink=1 flags=none
.               type=dir mode=0755 nlink=3 time=1795720699.269273419
    a\\sb        mode=04755 size=3 time=1.5 \\
                sha256=${'ab'.repeat(32)}
    caf\\M-C\\M-) size=1
    p\\M-# size=0
    p\\M-\\ size=0
    x\\^Ay\\M^A\\M-i\\#\\\\\\n\\t\\$ size=2
    ln          type=link mode=0777 link=a\\sb

# ./d
d               type=dir mode=u=rwx,go=rx optional
    f           nlink=2 size=7 md5=${'00'.repeat(16)}
# ./d
..

..
`;
  const libarchive = `#mtree
. time=1.0 mode=755 gid=0 uid=0 type=dir
./a\\040b mode=4755 gname=root type=file size=3 cksum=7 md5digest=${'11'.repeat(16)} sha256digest=${'AB'.repeat(32)}
./caf\\303\\251 mode=644 type=file size=1
./x\\001y\\201\\351\\043\\134\\012\\011 type=file mode=0644 size=2
./p\\243 type=file mode=644 size=0
./p\\334 type=file mode=644 size=0
./ln type=link mode=777 link=a\\040b
./d type=dir mode=755 optional
./d/f type=file mode=644 nlink=2 size=7 md5digest=${'00'.repeat(16)} contents=/etc/passwd resdevice=native,254,0
`;
  const [one, other] = [await readText(netbsd), await readText(libarchive)];
  assert.equal([one.format, other.format], ['mtree', 'mtree']);
  assert.equal([one.warnings, other.warnings], [[], []]);
  assert.equal(facts(one), facts(other));
  assert.equal(facts(one), [
    { path: '.', type: 'directory', mode: 0o755 },
    {
      path: 'a b',
      type: 'file',
      mode: 0o4755,
      size: 3,
      digest: { algorithm: 'sha256', value: 'ab'.repeat(32) },
    },
    { path: 'café', type: 'file', mode: 0o644, size: 1 },
    { path: 'd', type: 'directory', mode: 0o755, optional: true },
    {
      path: 'd/f',
      type: 'file',
      mode: 0o644,
      size: 7,
      digest: { algorithm: 'md5', value: '00'.repeat(16) },
      nlink: 2,
    },
    { path: 'ln', type: 'symlink', mode: 0o777, linkTarget: 'a b' },
    { path: 'p\udca3', type: 'file', mode: 0o644, size: 0 },
    { path: 'p\udcdc', type: 'file', mode: 0o644, size: 0 },
    { path: 'x\x01y\udc81\udce9#\\\n\t', type: 'file', mode: 0o644, size: 2 },
  ]);
});

test('knows what is set and unset, comments, and where a directory ends', async () => {
  const manifest = await readText(`/set type=dir mode=0700
.
  a   # a comment
    /set type=file
    f mode=600
    /unset mode
    g
    /unset all
    h
  ..
  b type=file
..
./a/full/path type=file
`);
  assert.equal(facts(manifest), [
    { path: '.', type: 'directory', mode: 0o700 },
    { path: 'a', type: 'directory', mode: 0o700 },
    { path: 'a/f', type: 'file', mode: 0o600 },
    { path: 'a/full/path', type: 'file' },
    { path: 'a/g', type: 'file' },
    { path: 'a/h' },
    { path: 'b', type: 'file' },
  ]);
});

test('takes only what counts: nochange, ignore, optional, the strongest digest', async () => {
  const manifest = await readText(`#mtree
./a type=file mode=0600 size=3 nochange
./l type=link link=x nochange
./cache type=dir mode=0755 ignore
./cache/x type=file
./cache/deep/er type=file
./o type=file optional
./s type=file sha512=${'01'.repeat(64)} sha256=${'02'.repeat(32)} sha1=${'03'.repeat(20)}
`);
  assert.equal(facts(manifest), [
    { path: 'a' },
    { path: 'cache', type: 'directory', mode: 0o755 },
    { path: 'l', type: 'symlink' },
    { path: 'o', type: 'file', optional: true },
    { path: 's', type: 'file', digest: { algorithm: 'sha512', value: '01'.repeat(64) } },
  ]);
});

test('a byte order mark, and slashes behind the dot', async () => {
  for (const text of ['#mtree\n.//a type=file\n', '. type=dir\n././/a type=file\n', './/a type=file\n']) {
    const manifest = await readText(`\ufeff${text}`);
    assert.is(manifest.format, 'mtree');
    assert.equal(facts([...manifest].slice(-1)), [{ path: 'a', type: 'file' }]);
    assert.equal(facts(manifest), facts(await readText(text)));
    assert.is(manifest.warningCount, 0);
  }
});

test('says what is odd, and reads on', async () => {
  const manifest = await readText(`. type=dir
  dev type=char device=native,1,3
  *.o type=file
  x type=file colour=red
  y type=file colour=blue
..
..
./x type=file mode=0600
`);
  assert.equal(
    manifest.warnings.map(({ code, path }) => [code, path]),
    [
      ['special-file', 'dev'],
      ['pattern', '*.o'],
      ['unknown-keyword', undefined],
      ['unbalanced', undefined],
      ['duplicate', 'x'],
    ],
  );
  assert.equal(facts(manifest), [
    { path: '*.o', type: 'file', optional: true },
    { path: '.', type: 'directory' },
    { path: 'x', type: 'file', mode: 0o600 },
    { path: 'y', type: 'file' },
  ]);
});

test('refuses what leads outside, and what is broken, with the line', async () => {
  const broken: [string, RegExp][] = [
    ['./a/../../x type=file', /has a ".." component/],
    ['/etc/passwd type=file', /line 2 begins with a slash/],
    ['./a\\057\\056\\056\\057\\056\\056\\057x type=file', /has a ".." component/],
    ['./a type=folder', /line 2 has an invalid type/],
    ['./a type=file mode=9', /line 2 has an invalid mode/],
    ['./a type=file mode=lots', /line 2 has an invalid mode/],
    ['./a type=file size=-1', /line 2 has an invalid size/],
    ['./a type=file sha256=12', /line 2 has an invalid sha256/],
    ['./a\\\u0001 type=file', /line 2 has a name with an invalid backslash escape/],
    [`./${'a'.repeat(1 << 18)} type=file`, /line 2 is longer than/],
    ['./a\\000b type=file', /contains a NUL/],
  ];
  for (const [line, pattern] of broken) {
    const error = await failure(readText(`#mtree\n${line}\n`));
    assert.instance(error, ManifestError);
    assert.match(error.message, pattern);
  }
});

test('is recognised by its content, and nothing else is taken for it', async () => {
  for (const [text, format] of [
    ['#mtree\n', 'mtree'],
    ['#\tcomment\n\n. type=dir\n', 'mtree'],
    ['/set type=file\n', 'mtree'],
    ['type=dir mode=0755 .\ntype=file ./a\n', 'mtree'],
    ['a=b\nc\n', 'list'],
    ['bin/type=file\n', 'list'],
    ['some file name with size=3.txt\nbin/x\n', 'list'],
  ] as const) {
    assert.is((await readText(text)).format, format, text);
  }
  assert.equal(facts(await readText('type=dir mode=0755 .\ntype=file ./a\n')), [
    { path: '.', type: 'directory', mode: 0o755 },
    { path: 'a', type: 'file' },
  ]);
});

test('reads any bytes to an end, or says what is wrong', async () => {
  const pieces = [
    '.',
    '..',
    '/set ',
    'type=dir',
    'type=file',
    ' ',
    '\n',
    '\\',
    '#',
    'a',
    '=',
    'mode=',
    '0644',
    '\\M-',
    '\\^',
    '\\1',
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...pieces), { maxLength: 40 }), async (parts) => {
      const error = await readText(`#mtree\n${parts.join('')}`).then(
        () => undefined,
        (thrown) => thrown,
      );
      assert.ok(error === undefined || error instanceof ManifestError, String(error?.stack));
    }),
    { numRuns: 20 * RUNS },
  );
});

if (hasMtree) {
  test('reads what NetBSD’s mtree writes, in each of its forms', async () => {
    await fc.assert(
      fc.asyncProperty(byteTrees, async (plants) => {
        // It writes a directory's name into a comment as it is, and begins a line where that has a line break.
        if (hasByte(plants, 0x0a, 'directory')) return;
        const root = plantBytes(plants);
        const recorded = words(await recordManifest(root));
        const written = mtree(['-c', '-k', KEYWORDS, '-p', root]);
        assert.equal(words(await readText(written)), recorded);
        // It writes `\M-#`, and texts with a backslash at their end (`\M-\`, `\^\`, `\M^\`). It takes the one for a comment, and the
        // others for lines that go on, when it reads them again.
        if ([0xa3, 0xdc, 0x1c, 0x9c].some((byte) => hasByte(plants, byte))) return;
        assert.equal(words(await readText(mtree(['-C', '-k', KEYWORDS], written))), recorded);
        assert.equal(words(await readText(mtree(['-D', '-k', KEYWORDS], written))), recorded);
      }),
      { numRuns: RUNS },
    );
  });

  test('is written so that mtree -f finds nothing wrong', async () => {
    await fc.assert(
      fc.asyncProperty(byteTrees, async (plants) => {
        // It takes such names for patterns, however they are escaped.
        if ([...'*?['].some((character) => hasByte(plants, character.charCodeAt(0)))) return;
        const root = plantBytes(plants);
        const text = [...formatManifest(await recordManifest(root, { digest: 'sha256' }), 'mtree')].join('');
        assert.is(faultsOf(root, text), '');
      }),
      { numRuns: RUNS },
    );
  });

  test('a check finds what mtree -f finds', async () => {
    const damages: Record<string, (root: string) => void> = {
      nothing: () => {},
      'a mode of a file': (root) => chmodSync(join(root, 'd/f'), 0o600),
      'a mode of a directory': (root) => chmodSync(join(root, 'd'), 0o700),
      'a setuid bit': (root) => chmodSync(join(root, 's'), 0o755),
      'a file that is gone': (root) => unlinkSync(join(root, 'd/f')),
      'a directory that is gone': (root) => rmSync(join(root, 'd'), { recursive: true }),
      'a longer file': (root) => appendFileSync(join(root, 'd/f'), 'x'),
      'a link to elsewhere': (root) => {
        unlinkSync(join(root, 'l'));
        symlinkSync('s', join(root, 'l'));
      },
      'a file in place of a link': (root) => {
        unlinkSync(join(root, 'l'));
        writeFileSync(join(root, 'l'), 'd/f');
      },
      'a link in place of a file': (root) => {
        unlinkSync(join(root, 'd/f'));
        symlinkSync('../s', join(root, 'd/f'));
      },
    };
    for (const [name, damage] of Object.entries(damages)) {
      const root = makeTree({ 'd/f': 'content', 'd/': 0o755, s: 0o4755, l: '-> d/f' });
      const text = [...formatManifest(await recordManifest(root), 'mtree')].join('');
      damage(root);
      const options = { manifest: await readText(text), mode: 'manifest', umask: 0, dryRun: true } as const;
      const report = await applyPermissions(root, { ...options, strict: false, retry: false });
      const isWell = report.ok && report.counts.changed === 0;
      assert.is(isWell, faultsOf(root, text) === '', name);
      assert.is(isWell, name === 'nothing', name);
    }
  });
}

if (hasBsdtar) {
  test('reads what bsdtar writes', async () => {
    await fc.assert(
      fc.asyncProperty(byteTrees, async (plants) => {
        const root = plantBytes(plants);
        const args = ['-cf', '-', '--format=mtree', '--options=mtree:all', '.'];
        const written = execFileSync('bsdtar', args, { cwd: root });
        assert.equal(words(await readText(written)), words(await recordManifest(root)));
      }),
      { numRuns: RUNS },
    );
  });

  test('is written so that bsdtar reads the same', async () => {
    await fc.assert(
      fc.asyncProperty(byteTrees, async (plants) => {
        const recorded = await recordManifest(plantBytes(plants), { digest: 'sha256' });
        const file = join(tempDirectory(), 'tree.mtree');
        writeFileSync(file, [...formatManifest(recorded, 'mtree')].join(''));
        const args = [
          '-cf',
          '-',
          '--format=mtree',
          '--options=mtree:!all,type,mode,size,link,nlink',
          `@${file}`,
        ];
        // What is listed is not on the disk here: bsdtar has but what the file says.
        const again = await readText(execFileSync('bsdtar', args, { cwd: tempDirectory(), stdio: 'pipe' }));
        assert.equal(words(again), words(recorded));
        const listed = execFileSync('bsdtar', ['-tvf', file]).toString('latin1').trimEnd().split('\n');
        assert.is(listed.length, recorded.entries.length);
      }),
      { numRuns: RUNS },
    );
  });
}

test.run();
