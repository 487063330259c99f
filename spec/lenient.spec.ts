import { closeSync, linkSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { crc32, gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Manifest } from '../lib/manifest/manifest.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { oddExtractors } from './helpers/odd-extractors.ts';
import {
  DIRECTORY,
  DOS_DIRECTORY,
  FAT,
  LINK,
  NTFS,
  type RawEntry,
  REGULAR,
  rawZip,
} from './helpers/raw-zip.ts';
import { canUseByteNames } from './helpers/runtime.ts';
import { endMark, type PackedMember, packMember, packTar, paxHeader } from './helpers/tar.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';
import { alter, factsOf, failureOf, findRecords, hasCommand } from './helpers/zip.ts';

const scratch = tempDirectory();
let archives = 0;

/** A file of these bytes. */
function fileOf(bytes: Buffer, suffix: string): string {
  archives += 1;
  const path = join(scratch, `${archives}${suffix}`);
  writeFileSync(path, bytes);
  return path;
}

const codesOf = ({ warnings }: Manifest): string[] => warnings.map(({ code }) => code);

/**
 * Unpack an archive with every extractor that can, and hold what it left against the manifest.
 *
 * @param but those that read such an archive otherwise than all others
 * @returns the extractors that could
 */
async function holdsAround(
  path: string,
  kind: 'zip' | 'tar',
  but: readonly string[] = [],
): Promise<string[]> {
  const manifest = await readManifest(path);
  const able: string[] = [];
  for (const [name, extract] of Object.entries(oddExtractors[kind])) {
    const root = tempDirectory();
    if (but.includes(name) || !(await extract(path, root))) continue;
    able.push(name);
    const report = await applyPermissions(root, { manifest, retry: false, strict: false });
    assert.equal(
      report.unresolved.map(({ message }) => message),
      [],
      `${name}: ${path}`,
    );
    assert.equal(report.warnings, manifest.warnings);
  }
  return able;
}

const zip = suite('lenient: zip');

/** The manifest of an archive, which every extractor that unpacks it makes. */
async function readHeld(
  entries: readonly RawEntry[],
  atLeast: number,
  but: readonly string[] = [],
): Promise<Manifest> {
  const path = fileOf(rawZip(entries), '.zip');
  const able = await holdsAround(path, 'zip', but);
  if (hasCommand('unzip') && hasCommand('bsdtar')) assert.ok(able.length >= atLeast, able.join());
  return readManifest(path);
}

zip('a Unix mode in an entry made on FAT is taken where it says what the entry is', async () => {
  const manifest = await readHeld(
    [
      { name: 'bin/tool', system: FAT, mode: REGULAR | 0o755, content: '#!/bin/sh\n' },
      { name: 'bits', system: NTFS, mode: 0o755, content: 'x' },
      { name: 'd/', system: FAT, mode: DIRECTORY | 0o700, attributes: DOS_DIRECTORY },
      { name: 'dos', system: FAT, mode: REGULAR | 0o755, attributes: DOS_DIRECTORY },
      { name: 'link', system: FAT, mode: LINK | 0o777, content: 'bin/tool' },
      { name: 'maybe', system: FAT, mode: DIRECTORY | 0o755 },
    ],
    5,
  );
  assert.equal(factsOf(manifest), [
    { path: 'bin/tool', type: 'file', mode: 0o755, size: 10 },
    { path: 'bits', type: 'file', size: 1 },
    { path: 'd', type: 'directory' },
    { path: 'dos', type: 'directory' },
    { path: 'link' },
    { path: 'maybe' },
  ]);
  assert.equal(codesOf(manifest), ['directory-by-attribute', 'link-or-file']);
});

zip('a link made on FAT may be a file, or a link that dangles; it is never awaited', async () => {
  const manifest = await readManifest(
    fileOf(rawZip([{ name: 'l', system: FAT, mode: LINK | 0o777, content: 'gone' }]), '.zip'),
  );
  for (const shape of [{ l: 'gone' }, { l: '-> gone' }]) {
    const report = await applyPermissions(makeTree(shape), { manifest, retry: false });
    assert.ok(report.ok);
  }
});

zip('the last of two entries of a path counts, and is told of', async () => {
  const manifest = await readHeld(
    [
      { name: 'run', mode: REGULAR | 0o644, content: 'old' },
      { name: 'other', mode: REGULAR | 0o644 },
      { name: './run', mode: REGULAR | 0o755, content: 'newer' },
      { name: 'other', mode: REGULAR | 0o644 },
    ],
    4,
  );
  assert.equal(
    manifest.entries.map(({ path, mode, size }) => [path, mode, size]),
    [
      ['other', 0o644, 0],
      ['run', 0o755, 5],
    ],
  );
  assert.equal(codesOf(manifest), ['duplicate']);
  assert.is(manifest.warnings[0]?.path, 'run');
  assert.match(
    manifest.warnings[0]?.message ?? '',
    /size 3 and 5, digest "crc32 [\da-f]{8}" and "crc32 [\da-f]{8}"\): the last entry counts$/,
  );
});

zip(
  'a backslash separates where the archive was made on FAT or NTFS, and either spelling will do',
  async () => {
    for (const system of [FAT, NTFS]) {
      const manifest = await readHeld(
        [
          { name: 'folder\\sub\\', system },
          { name: 'folder\\sub\\file.ext', system, content: 'hello' },
          { name: 'mixed/a\\b', system, content: '1' },
          { name: 'top', system },
        ],
        4,
      );
      assert.equal(factsOf(manifest), [
        { path: 'folder/sub', type: 'directory', alternative: 'folder\\sub\\' },
        { path: 'folder/sub/file.ext', type: 'file', size: 5, alternative: 'folder\\sub\\file.ext' },
        { path: 'mixed/a/b', type: 'file', size: 1, alternative: 'mixed/a\\b' },
        { path: 'top', type: 'file', size: 0 },
      ]);
    }
  },
);

zip('made on Unix, a backslash is a character', async () => {
  const manifest = await readHeld([{ name: 'a\\b', mode: REGULAR | 0o644, content: '1' }], 5);
  assert.is(manifest.entries[0]?.path, 'a\\b');
  const outside = await readManifest(fileOf(rawZip([{ name: '..\\..\\x', mode: REGULAR }]), '.zip'));
  assert.equal(factsOf(outside), [{ path: '..\\..\\x', type: 'file', mode: 0, size: 0 }]);
});

zip('a path that leads out is refused in its converted spelling', async () => {
  for (const name of ['..\\..\\x', 'a\\..\\..\\b', '\\\\host\\share', 'C:\\x', '\\x']) {
    const error = await failureOf(readManifest(fileOf(rawZip([{ name, system: FAT }]), '.zip')));
    assert.match(error.message, /has a "\.\." component|is absolute|drive letter/);
  }
});

zip('a directory by the DOS bit, without a slash', async () => {
  const manifest = await readHeld(
    [
      { name: 'ext', system: FAT, attributes: DOS_DIRECTORY },
      { name: 'ext/run', system: FAT, content: 'hi' },
    ],
    2,
  );
  assert.equal(factsOf(manifest)[0], { path: 'ext', type: 'directory' });
  assert.equal(codesOf(manifest), ['directory-by-attribute']);
  // Alone, some extractors make an empty file of it.
  const alone = await readHeld([{ name: 'ext', system: FAT, attributes: DOS_DIRECTORY }], 5);
  const full = await applyPermissions(makeTree({ ext: 'x' }), {
    manifest: alone,
    retry: false,
    strict: false,
  });
  assert.equal(
    full.unresolved.map(({ reason }) => reason),
    ['type-mismatch'],
  );
});

zip('a directory by its Unix mode, without a slash', async () => {
  const manifest = await readHeld(
    [
      { name: 'ext', mode: DIRECTORY | 0o755, attributes: DOS_DIRECTORY },
      { name: 'back\\', mode: DIRECTORY | 0o755 },
      { name: 'run', mode: REGULAR | 0o755, content: 'x' },
    ],
    6,
  );
  assert.equal(factsOf(manifest)[0], { path: 'ext', type: 'directory', mode: 0o755 });
  assert.equal(codesOf(manifest), ['directory-by-attribute']);
  const full = await applyPermissions(makeTree({ ext: 'x', 'back/': 0o755, run: 'x' }), {
    manifest,
    retry: false,
    strict: false,
  });
  assert.equal(
    full.unresolved.map(({ reason, path }) => [reason, path]),
    [['type-mismatch', 'ext']],
  );
});

zip('what is a directory by its attributes and has content may be a file', async () => {
  const manifest = await readHeld(
    [
      { name: 'dos', system: FAT, attributes: DOS_DIRECTORY, content: 'x' },
      { name: 'file', system: FAT, mode: REGULAR | 0o644, attributes: DOS_DIRECTORY, content: 'x' },
      { name: 'unix', mode: DIRECTORY | 0o755, content: 'x' },
    ],
    5,
  );
  assert.equal(factsOf(manifest), [{ path: 'dos' }, { path: 'file' }, { path: 'unix' }]);
  assert.equal(codesOf(manifest), ['directory-by-attribute']);
});

zip('control characters in a name that is not said to be UTF-8', async () => {
  const manifest = await readHeld(
    [
      { name: 'Icon\r', mode: REGULAR | 0o644, content: 'x' },
      { name: 'bell\x07\x7f', mode: REGULAR | 0o644 },
    ],
    5,
  );
  assert.equal(
    manifest.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['Icon\r', 'Icon♪'],
      ['bell\x07\x7f', 'bell•⌂'],
    ],
  );
});

zip('control characters and versions, which unzip leaves out', async () => {
  const said = 0x800;
  const manifest = await readHeld(
    [
      { name: 'Icon\r', mode: REGULAR | 0o644, content: 'x', flags: said },
      { name: 'new\nline/a\x7fb', mode: REGULAR | 0o755, content: 'y', flags: said },
      { name: 'lib.so;1', mode: REGULAR | 0o755, content: 'z' },
      { name: 'caf\u00e9;22', mode: REGULAR | 0o755, content: 'zz', flags: said },
      { name: 'none;', mode: REGULAR | 0o755 },
      { name: 'd;1/a;b', mode: REGULAR | 0o755 },
      { name: 'e;1/', mode: DIRECTORY | 0o755 },
    ],
    6,
  );
  assert.equal(
    manifest.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['Icon\r', 'Icon'],
      ['new\nline/a\x7fb', 'newline/ab'],
      ['lib.so;1', 'lib.so'],
      ['caf\u00e9;22', 'caf\u00e9'],
      ['none;', 'none'],
      ['d;1/a;b', undefined],
      ['e;1', undefined],
    ],
  );
  const lone = await readManifest(fileOf(rawZip([{ name: '\x01', flags: said }, { name: ';1' }]), '.zip'));
  assert.equal(
    lone.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['\x01', undefined],
      [';1', undefined],
    ],
  );
});

zip('UTF-8 made on FAT without an extra field, which unzip converts', async () => {
  const said = 0x800;
  const manifest = await readHeld(
    [
      { name: 'caf\u00e9/\u6f22\u5b57.so', system: FAT, flags: said, content: 'x' },
      { name: '\u00d8\ud83d\ude00', system: 6, flags: said, content: 'yy' },
      { name: 'a\tb\u00fc;1', system: FAT, flags: said, content: 'z' },
      { name: '\u00e9', system: NTFS, flags: said },
      { name: '\u00e8', mode: REGULAR | 0o644, flags: said },
      // A time: unzip looks at the bit.
      { name: '\u00e0', system: FAT, flags: said, extra: Buffer.from('5554050001000000ff', 'hex') },
      { name: 'plain', system: FAT, flags: said },
    ],
    6,
  );
  assert.equal(
    manifest.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['caf\u00e9/\u6f22\u5b57.so', 'caf+\udcae/\udcb5+\udcf3\u0561\udcf9.so'],
      ['\u00d8\ud83d\ude00', '+\udcad\udc83\udcc7'],
      ['a\tb\u00fc;1', 'ab++'],
      ['\u00e9', undefined],
      ['\u00e8', undefined],
      ['\u00e0', undefined],
      ['plain', undefined],
    ],
  );
});

zip('names of Windows in a DOS code page, of which unzip makes a third spelling', async () => {
  const entries: RawEntry[] = [
    { name: Buffer.from('6772819f652e657865', 'hex'), system: FAT, content: 'x' },
    {
      name: Buffer.from('64848261', 'hex'),
      system: FAT,
      content: 'yy',
      extra: Buffer.from('5554050001000000ff', 'hex'),
    },
    { name: Buffer.from('6d812f', 'hex'), system: 6, attributes: DOS_DIRECTORY },
    { name: Buffer.from('6e81', 'hex'), system: NTFS },
  ];
  // It replaces what is no UTF-8.
  const manifest = await readHeld(entries, 4, ['adm-zip']);
  assert.equal(
    manifest.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['gr\u00fc\u0192e.exe', 'gr\udc81\udc9fe.exe'],
      ['d\u00e4\u00e9a', 'd\udc84\udc82a'],
      ['m\u00fc', 'm\udc81'],
      ['n\u00fc', 'n\udc81'],
    ],
  );
  const strict = { manifest, retry: false, strict: false } as const;
  // Nothing is there: each is named once, by its path.
  const none = await applyPermissions(makeTree({}), strict);
  assert.equal(
    none.unresolved.map(({ path, reason }) => [path, reason]).sort(),
    manifest.entries.map(({ path }) => [path, 'missing']).sort(),
  );
  assert.is(none.counts.unlisted, 0);
});

zip(
  'what is wrong with a third spelling is named by it, and it is waited for, mapped and ignored',
  async () => {
    const name = (text: string): RawEntry => ({ name: text, mode: REGULAR | 0o755, content: 'x' });
    const path = fileOf(rawZip([name('p/a\tb'), name('p/c')]), '.zip');
    const manifest = await readManifest(path);
    const wrong = await applyPermissions(makeTree({ 'p/ab': 'xx', 'p/c': 'x' }), {
      manifest,
      retry: false,
      strict: false,
    });
    assert.equal(
      wrong.unresolved.map((error) => [error.path, error.reason]),
      [['p/ab', 'size-mismatch']],
    );
    const right = await applyPermissions(makeTree({ 'p/ab': 'x', 'p/c': 'x' }), {
      manifest,
      unlisted: 'error',
    });
    assert.is(right.counts.changed, 2);
    const mapped = await readManifest(path, { strip: 1 });
    assert.ok((await applyPermissions(makeTree({ ab: 'x', c: 'x' }), { manifest: mapped, retry: false })).ok);
    const ignored = await applyPermissions(makeTree({ 'p/c': 'x' }), {
      manifest,
      retry: false,
      ignore: 'p/ab',
    });
    assert.ok(ignored.ok);
    const late = makeTree({ 'p/c': 'x' });
    const [report] = await Promise.all([
      applyPermissions(late, { manifest, retry: { minTimeout: 1, maxTimeout: 20, maxRetryTime: 20_000 } }),
      (async () => {
        await setImmediate();
        writeFileSync(join(late, 'p/ab'), 'x');
      })(),
    ]);
    assert.ok(report.ok);
    // Another entry has it for its own.
    const both = await readManifest(fileOf(rawZip([name('a\tb'), name('ab')]), '.zip'));
    const one = await applyPermissions(makeTree({ ab: 'x' }), {
      manifest: both,
      retry: false,
      strict: false,
    });
    assert.equal(
      one.unresolved.map((error) => [error.path, error.reason]),
      [['a\tb', 'missing']],
    );
  },
);

zip('offsets modulo 4 GiB, as macOS writes them', async () => {
  const GAP = 2 ** 32 + 1000;
  const near = [
    { name: 'l', mode: LINK | 0o777, content: 'bin/tool' },
    { name: 'large', mode: REGULAR | 0o644, content: 'x' },
  ];
  const far = [
    { name: 'bin/tool', mode: REGULAR | 0o755, content: '#!/bin/sh\n' },
    { name: 'bin/l', mode: LINK | 0o777, content: 'tool' },
  ];
  const bytes = rawZip([...near, ...far]);
  const { end, headers } = findRecords(bytes);
  const split = bytes.readUInt32LE((headers[near.length] as number) + 42);
  const moved = alter(bytes, (copy) => {
    for (const field of [...headers.slice(near.length).map((header) => header + 42), end + 16]) {
      copy.writeUInt32LE((copy.readUInt32LE(field) + GAP) % 2 ** 32, field);
    }
  });
  const path = fileOf(moved.subarray(0, split), '.zip');
  // A hole: it takes no room.
  const file = openSync(path, 'r+');
  writeSync(file, moved, split, moved.length - split, split + GAP);
  closeSync(file);
  const manifest = await readManifest(path);
  assert.equal(factsOf(manifest), [
    { path: 'l', type: 'symlink', mode: 0o777, linkTarget: 'bin/tool' },
    { path: 'large', type: 'file', mode: 0o644, size: 1 },
    { path: 'bin/tool', type: 'file', mode: 0o755, size: 10 },
    { path: 'bin/l', type: 'symlink', mode: 0o777, linkTarget: 'tool' },
  ]);
  assert.equal(codesOf(manifest), ['wrapped-offsets']);
  const broken = openSync(path, 'r+');
  writeSync(broken, 'X', 0);
  closeSync(broken);
  assert.match(
    (await failureOf(readManifest(path))).message,
    /"l"\) at .*invalid local file header signature/,
  );
});

zip('an archive modulo 4 GiB with a file that begins late', async () => {
  const size = 2 ** 32 - 100_000;
  const bytes = rawZip([
    { name: 'a', mode: REGULAR | 0o644 },
    { name: 'late', mode: REGULAR | 0o755, content: 'x' },
  ]);
  const { end, headers } = findRecords(bytes);
  const [first = 0, late = 0] = headers;
  const local = bytes.readUInt32LE(late + 42);
  const moved = alter(bytes, (copy) => {
    // What lies before it is a file of almost 4 GiB, and so is it.
    for (const [header, at] of [
      [first, 0],
      [late, local],
    ] as const) {
      for (const field of [header + 20, header + 24, at + 18, at + 22]) copy.writeUInt32LE(size, field);
    }
    copy.writeUInt32LE(local + size, late + 42);
    copy.writeUInt32LE((first + 2 * size) % 2 ** 32, end + 16);
  });
  const path = fileOf(moved.subarray(0, local), '.zip');
  const file = openSync(path, 'r+');
  writeSync(file, moved, local, first - local, local + size);
  writeSync(file, moved, first, moved.length - first, first + 2 * size);
  closeSync(file);
  const manifest = await readManifest(path);
  assert.equal(factsOf(manifest), [
    { path: 'a', type: 'file', mode: 0o644, size },
    { path: 'late', type: 'file', mode: 0o755, size },
  ]);
  assert.equal(codesOf(manifest), ['wrapped-offsets']);
});

zip('a link made on OS X, which most programs do not know for one', async () => {
  const DARWIN = 19;
  const manifest = await readHeld(
    [
      { name: 'bin/tool', system: DARWIN, mode: REGULAR | 0o755, content: '#!/bin/sh\n' },
      { name: 'link', system: DARWIN, mode: LINK | 0o777, content: 'bin/tool' },
      { name: 'd/', system: DARWIN, mode: DIRECTORY | 0o755 },
    ],
    6,
  );
  assert.equal(factsOf(manifest), [
    { path: 'bin/tool', type: 'file', mode: 0o755, size: 10 },
    { path: 'link' },
    { path: 'd', type: 'directory', mode: 0o755 },
  ]);
  assert.equal(codesOf(manifest), ['link-or-file']);
});

zip('the label of a volume may be absent', async () => {
  const LABEL = 0x08;
  const entries = [
    ...[FAT, 5, 6, 11].map((system) => ({ name: `label${system}`, system, attributes: LABEL, content: 'x' })),
    { name: 'ntfs', system: NTFS, attributes: LABEL },
    { name: 'unix', mode: REGULAR | 0o644, attributes: LABEL },
    { name: 'd/', system: FAT, attributes: LABEL | DOS_DIRECTORY },
  ];
  const manifest = await readHeld(entries, 5);
  assert.equal(
    manifest.entries.map(({ optional }) => optional),
    [true, true, true, true, undefined, undefined, true],
  );
  assert.equal(codesOf(manifest), ['volume-label']);
});

zip('a backslash in a name that is no UTF-8, as half of a character', async () => {
  // 表.txt and 新/表.txt in Shift JIS.
  const top = Buffer.from('955c2e747874', 'hex');
  const below = Buffer.from('90562f955c2e747874', 'hex');
  const manifest = await readManifest(
    fileOf(
      rawZip([
        { name: top, system: FAT },
        { name: below, system: FAT },
      ]),
      '.zip',
    ),
  );
  assert.equal(
    manifest.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['ò/.txt', '\udc95\\.txt'],
      ['ÉV/ò/.txt', '\udc90V/\udc95\\.txt'],
    ],
  );
  await readHeld([{ name: below, system: FAT, content: 'x' }], 3, ['unzip', 'python', 'adm-zip']);
});

zip('a link or file whose name ends in a slash is a directory', async () => {
  const manifest = await readHeld(
    [
      { name: 'l/', mode: LINK | 0o777, content: 'x' },
      { name: 'f/', mode: REGULAR | 0o644 },
    ],
    1,
  );
  assert.equal(factsOf(manifest), [
    { path: 'l', type: 'directory' },
    { path: 'f', type: 'directory', mode: 0o644 },
  ]);
  assert.equal(codesOf(manifest), ['directory-by-name', 'directory-by-name']);
});

const one: RawEntry = { name: 'run', mode: REGULAR | 0o755, content: 'x' };

zip('bytes behind the end record, and a wrong comment length', async () => {
  const oddities: [bytes: Buffer, code: string][] = [
    [rawZip([one], { tail: Buffer.from('junk') }), 'junk-after-end'],
    [rawZip([one], { comment: Buffer.from('c'), tail: Buffer.alloc(3) }), 'junk-after-end'],
    [rawZip([one], { comment: Buffer.from('short'), commentLength: 50 }), 'comment-length'],
  ];
  for (const [bytes, code] of oddities) {
    const path = fileOf(bytes, '.zip');
    const manifest = await readManifest(path);
    assert.equal(factsOf(manifest), [{ path: 'run', type: 'file', mode: 0o755, size: 1 }]);
    assert.equal(codesOf(manifest), [code]);
    await holdsAround(path, 'zip');
  }
  const whole = await readManifest(fileOf(rawZip([one], { comment: Buffer.from('c') }), '.zip'));
  assert.equal(codesOf(whole), []);
});

zip('other bytes before an archive and behind it', async () => {
  const bytes = rawZip([one], { prefix: Buffer.from('no archive '), tail: Buffer.from('nor this') });
  const unshifted = Buffer.concat([Buffer.from('stub'), rawZip([one], { tail: Buffer.from('junk') })]);
  for (const each of [bytes, unshifted]) {
    const path = fileOf(each, '.zip');
    assert.equal(codesOf(await readManifest(path)), ['junk-after-end']);
    await holdsAround(path, 'zip');
  }
});

zip('the last end record counts; two that programs disagree about are refused', async () => {
  const fake = Buffer.concat([Buffer.from('PK\x05\x06', 'latin1'), Buffer.alloc(18)]);
  const behind = await readManifest(fileOf(Buffer.concat([rawZip([one]), fake]), '.zip'));
  assert.equal(factsOf(behind), []);
  const inner = rawZip([{ ...one, name: 'other' }]);
  for (const comment of [
    fake,
    Buffer.concat([fake, Buffer.from('xx')]),
    inner,
    Buffer.concat([inner, fake]),
  ]) {
    const error = await failureOf(readManifest(fileOf(rawZip([one], { comment }), '.zip')));
    assert.match(error.message, /two end of central directory records that programs disagree about/);
  }
});

zip('a number of entries modulo 65,536', async () => {
  const entries = Array.from({ length: 65_540 }, (_, number) => ({ name: `f${number}`, mode: REGULAR }));
  const archive = rawZip(entries);
  const manifest = await readManifest(fileOf(archive, '.zip'));
  assert.is(manifest.entries.length, 65_540);
  assert.equal(codesOf(manifest), ['entry-count']);
  // The two counts of the end record.
  for (const position of [8, 10]) archive.writeUInt16LE(5, archive.length - 22 + position);
  const wrong = await failureOf(readManifest(fileOf(archive, '.zip')));
  assert.match(wrong.message, /states 5 entries, but its central directory has 65540/);
});

const decomposed = 'Cafe\u0301.app/Contents/Cafe\u0301';

zip('UTF-8 names that are not said to be it may be spelled in two ways, one throughout a path', async () => {
  const entries: RawEntry[] = [
    { name: 'Cafe\u0301.app/', mode: DIRECTORY | 0o755 },
    { name: decomposed, mode: REGULAR | 0o755, content: '#!/bin/sh\n' },
    { name: 'plain', mode: REGULAR | 0o644 },
  ];
  const manifest = await readHeld(entries, 5);
  assert.equal(
    manifest.entries.map(({ path, alternative }) => [path, alternative]),
    [
      ['Cafe╠ü.app', 'Cafe\u0301.app/'].map((name) => name.replace(/\/$/, '')),
      ['Cafe╠ü.app/Contents/Cafe╠ü', decomposed],
      ['plain', undefined],
    ],
  );
  assert.equal(codesOf(manifest), ['name-encoding']);
  const mixed = makeTree({ 'Cafe╠ü.app/Contents/Cafe\u0301': '#!/bin/sh\n', plain: '' });
  const report = await applyPermissions(mixed, { manifest, retry: false, strict: false });
  assert.equal(
    report.unresolved.map(({ path, reason }) => [path, reason]),
    [['Cafe╠ü.app/Contents/Cafe╠ü', 'missing']],
  );
});

zip('a name that is not UTF-8, and not said to be it, may have its bytes as they are', async () => {
  const path = fileOf(
    rawZip([{ name: Buffer.from('caf\xe9', 'latin1'), mode: REGULAR | 0o644, content: 'x' }]),
    '.zip',
  );
  // adm-zip has U+FFFD in place of what is not UTF-8.
  if (canUseByteNames()) await holdsAround(path, 'zip', ['adm-zip']);
  const manifest = await readManifest(path);
  assert.equal(
    manifest.entries.map((entry) => [entry.path, entry.alternative]),
    [['caf\u0398', 'caf\udce9']],
  );
  assert.equal(codesOf(manifest), ['name-encoding']);
});

zip('either spelling is dealt with as the entry, and what is wrong with it is told of it', async () => {
  const manifest = await readManifest(
    fileOf(rawZip([{ name: decomposed, mode: REGULAR | 0o755, content: '#!/bin/sh\n' }]), '.zip'),
  );
  const root = makeTree({ [decomposed]: { mode: 0o644, content: '#!/bin/sh\n' } });
  const report = await applyPermissions(root, { manifest, umask: 0o022, discover: true });
  assert.is(modeOf(root, decomposed), 0o755);
  assert.is(report.counts.visited, 4);
  assert.is(report.counts.unlisted, 0);
  const cut = makeTree({ [decomposed]: '#!' });
  const wrong = await applyPermissions(cut, { manifest, retry: false, strict: false });
  assert.equal(
    wrong.unresolved.map(({ path, reason }) => [path, reason]),
    [[decomposed, 'size-mismatch']],
  );
  const ignored = await applyPermissions(makeTree({}), { manifest, ignore: '**/Cafe\u0301', retry: false });
  assert.is(ignored.counts.ignored, 1);
});

zip('a second spelling that comes late is waited for, and nothing is waited for longer', async () => {
  const manifest = await readManifest(
    fileOf(rawZip([{ name: decomposed, mode: REGULAR | 0o755, content: 'x' }]), '.zip'),
  );
  const root = makeTree({});
  let rounds = 0;
  const report = await applyPermissions(root, {
    manifest,
    umask: 0o022,
    retry: { retries: 50, minTimeout: 1, maxTimeout: 5 },
    onProgress: ({ phase, pending }) => {
      if (phase !== 'settle') return;
      assert.ok(pending <= 1, 'one entry is one, however it is spelled');
      rounds += 1;
      if (rounds !== 3) return;
      mkdirSync(join(root, 'Cafe\u0301.app/Contents'), { recursive: true });
      writeFileSync(join(root, decomposed), 'x', { mode: 0o644 });
    },
  });
  assert.ok(report.ok);
  assert.is(modeOf(root, decomposed), 0o755);
  assert.ok(report.settle.rounds < 10, `${report.settle.rounds} rounds`);
});

zip('a name that is too long in one spelling is one that is not there', async () => {
  const name = '\u00e9'.repeat(120);
  await readHeld([{ name, mode: REGULAR | 0o644, content: 'x' }], 3);
});

zip('the Unicode path extra field has a spelling, the name another', async () => {
  const unicode = Buffer.from('naïve');
  const raw = Buffer.from('na\x8bve', 'latin1');
  const head = Buffer.alloc(9);
  head.writeUInt16LE(0x7075, 0);
  head.writeUInt16LE(5 + unicode.length, 2);
  head.writeUInt8(1, 4);
  head.writeUInt32LE(crc32(raw), 5);
  const extra = Buffer.concat([head, unicode]);
  // bsdtar gives it the bytes of its name.
  const but = canUseByteNames() ? ['adm-zip'] : ['adm-zip', 'bsdtar'];
  const manifest = await readHeld([{ name: raw, mode: REGULAR | 0o644, extra }], 4, but);
  assert.is(manifest.entries[0]?.path, 'naïve');
  const other = await readHeld([{ name: Buffer.from('n?ve'), mode: REGULAR | 0o644, extra }], 4);
  assert.is(other.entries[0]?.path, 'n?ve', 'a field of another name');
});

zip('what macOS puts beside files is optional', async () => {
  const entries: RawEntry[] = [
    { name: 'plugin/', mode: DIRECTORY | 0o755 },
    { name: 'plugin/bin/run', mode: REGULAR | 0o755, content: '#!/bin/sh\n' },
    { name: 'plugin/bin/._run', mode: REGULAR | 0o644, content: 'companion' },
    { name: 'plugin/._alone', mode: REGULAR | 0o644 },
    { name: 'plugin/._bin', mode: REGULAR | 0o644 },
    { name: '__MACOSX/', mode: DIRECTORY | 0o755 },
    { name: '__MACOSX/plugin/bin/._run', mode: REGULAR | 0o644, content: 'companion' },
  ];
  const manifest = await readHeld(entries, 5);
  assert.equal(
    manifest.entries.filter(({ optional }) => optional).map(({ path }) => path),
    ['plugin/bin/._run', 'plugin/._bin', '__MACOSX', '__MACOSX/plugin/bin/._run'],
  );
  const root = makeTree({
    'plugin/bin/run': '#!/bin/sh\n',
    'plugin/._alone': '',
    link: '-> __MACOSX/plugin',
  });
  const report = await applyPermissions(root, { manifest, discover: true });
  assert.is(report.counts.absent, 4);
  assert.is(report.settle.rounds, 0, 'nothing is waited for');
  assert.equal(
    report.links.map(({ path, kind }) => [path, kind]),
    [['link', 'dangling']],
  );
  const cut = makeTree({ 'plugin/bin/run': '#!/bin/sh\n', 'plugin/._alone': '', 'plugin/bin/._run': 'x' });
  const wrong = await applyPermissions(cut, { manifest, retry: false, strict: false });
  assert.equal(
    wrong.unresolved.map(({ path, reason }) => [path, reason]),
    [['plugin/bin/._run', 'size-mismatch']],
  );
});

zip('mode 0 is known with type bits, and unknown without any', async () => {
  const manifest = await readManifest(
    fileOf(
      rawZip([
        { name: 'none', content: 'x' },
        { name: 'zero', mode: REGULAR, content: 'x' },
        { name: 'd/', mode: DIRECTORY },
      ]),
      '.zip',
    ),
  );
  assert.equal(
    manifest.entries.map(({ mode }) => mode),
    [undefined, 0, 0],
  );
  const root = makeTree({ none: 'x', zero: 'x', 'd/': 0o755 });
  await applyPermissions(root, { manifest, mode: 'manifest', umask: 0 });
  assert.equal([modeOf(root, 'none'), modeOf(root, 'zero'), modeOf(root, 'd')], [0o644, 0, 0]);
});

zip('a conda package is an error that names the archive inside it', async () => {
  const members = ['metadata.json', 'pkg-demo-1.0-0.tar.zst', 'info-demo-1.0-0.tar.zst'];
  const conda = rawZip(members.map((name) => ({ name, mode: REGULAR | 0o644 })));
  for (const suffix of ['.conda', '.zip']) {
    const error = await failureOf(readManifest(fileOf(conda, suffix)));
    assert.match(error.message, /is a conda package.*: extract pkg-demo-1\.0-0\.tar\.zst, and read/);
  }
});

zip.run();

const tar = suite('lenient: tar');

async function readTar(bytes: Buffer, atLeast = 3, but: readonly string[] = []): Promise<Manifest> {
  const path = fileOf(bytes, '.tar');
  const able = await holdsAround(path, 'tar', but);
  if (hasCommand('bsdtar')) assert.ok(able.length >= atLeast, able.join());
  return readManifest(path);
}

const run: PackedMember = { name: 'package/run', mode: '0000755', content: '#!/bin/sh\n' };

tar('the end of the file is the end, and so is a lone block of zeros', async () => {
  const member = packMember(run);
  const endings: [bytes: Buffer, codes: string[], count: number][] = [
    [member, ['no-end-mark'], 1],
    [Buffer.concat([member, endMark.subarray(512)]), ['lone-zero-block'], 1],
    [Buffer.concat([member, endMark.subarray(512), packTar([{ name: 'behind' }])]), ['lone-zero-block'], 1],
    [Buffer.concat([member, endMark, Buffer.from('trailing text')]), [], 1],
  ];
  for (const [bytes, codes, count] of endings) {
    const manifest = await readTar(bytes, 2, ['tar-fs']);
    assert.equal(codesOf(manifest), codes);
    assert.is(manifest.entries.length, count);
  }
});

tar('checksums of signed bytes', async () => {
  const member = packMember({ ...run, name: 'caf\u00e9', alter: () => {} });
  // Two bytes of the name are above 0x7f.
  const stated = Number.parseInt(member.toString('latin1', 148, 154), 8);
  member.write((stated - 2 * 256).toString(8).padStart(6, '0'), 148, 'latin1');
  const manifest = await readTar(Buffer.concat([member, endMark]), 2);
  assert.equal(codesOf(manifest), ['signed-checksum']);
});

tar('an extended header of more than a megabyte', async () => {
  const comment = 'x'.repeat(2 << 20);
  const manifest = await readTar(packTar([paxHeader({ comment, path: 'long/run' }), run]), 2, ['node-tar']);
  assert.is(manifest.entries[0]?.path, 'long/run');
});

tar('names with a colon are names', async () => {
  const names = ['B::Deparse.3pm', 'x:y', 'd/C:z', 'x:y:z/e'];
  const manifest = await readTar(packTar(names.map((name) => ({ ...run, name }))));
  assert.equal(
    manifest.entries.map(({ path, alternative }) => [path, alternative]),
    names.map((name, index) => [name, [':Deparse.3pm', 'y', undefined, 'z/e'][index]]),
  );
  const error = await failureOf(readManifest(fileOf(packTar([{ name: 'c:' }]), '.tar')));
  assert.match(error.message, /drive letter/);
});

/** No machine has the absolute target: some extractors would link the real file. */
const busybox: PackedMember[] = [
  { name: 'bin/permwalk-box', mode: '0000755', content: 'hi' },
  { name: 'bin/true', flag: '1', link: '/bin/permwalk-box' },
  { name: 'bin/false', flag: '1', link: './bin/permwalk-box' },
  { name: 'bin/other', flag: '1', link: 'bin/true' },
];

tar('a pax record without a keyword is passed over', async () => {
  const header: PackedMember = { name: 'PaxHeaders/a', flag: 'x', content: '14 path=b/run\n5 =a\n' };
  const named: PackedMember = { name: 'a', mode: '0000755', content: '1' };
  // bsdtar takes no archive that has one.
  const manifest = await readTar(packTar([header, named, { name: 'c' }]), 3, ['bsdtar']);
  assert.equal(
    manifest.entries.map(({ path, mode, size }) => [path, mode, size]),
    [
      ['b/run', 0o755, 1],
      ['c', 0o644, 0],
    ],
  );
});

tar('an absolute hard link target lies below the root', async () => {
  const manifest = await readTar(packTar(busybox), 2);
  assert.equal(
    manifest.entries.map(({ path, type, mode, size }) => [path, type, mode, size]),
    ['permwalk-box', 'true', 'false', 'other'].map((name) => [`bin/${name}`, 'file', 0o755, 2]),
  );
  assert.equal(codesOf(manifest), ['absolute-hard-link']);
});

tar('a file that has links outside is not changed through an absolute hard link', async () => {
  const manifest = await readManifest(fileOf(packTar(busybox), '.tar'));
  const outside = makeTree({ real: { mode: 0o644, content: 'hi' } });
  for (const dryRun of [true, false]) {
    const root = makeTree({ 'bin/permwalk-box': { mode: 0o644, content: 'hi' } });
    linkSync(join(root, 'bin/permwalk-box'), join(root, 'bin/false'));
    linkSync(join(outside, 'real'), join(root, 'bin/true'));
    linkSync(join(outside, 'real'), join(root, 'bin/other'));
    const report = await applyPermissions(root, { manifest, dryRun, strict: false, retry: false });
    assert.equal(
      report.unresolved.map(({ path, reason }) => [path, reason]),
      [
        ['bin/other', 'hard-linked'],
        ['bin/true', 'hard-linked'],
      ],
    );
    assert.is(modeOf(outside, 'real'), 0o644);
    assert.is(modeOf(root, 'bin/permwalk-box'), dryRun ? 0o644 : 0o755);
  }
  // Names in the tree are no links outside.
  const whole = makeTree({ 'bin/permwalk-box': { mode: 0o644, content: 'hi' } });
  for (const name of ['true', 'false', 'other'])
    linkSync(join(whole, 'bin/permwalk-box'), join(whole, 'bin', name));
  const report = await applyPermissions(whole, { manifest, umask: 0o022 });
  assert.ok(report.ok);
  assert.is(modeOf(whole, 'bin/true'), 0o755);
});

tar('a link whose name ends in a slash is a link, as every extractor has it', async () => {
  const manifest = await readTar(packTar([{ name: 'l/', flag: '2', link: 'package/run' }, run]));
  assert.equal(factsOf(manifest)[0], { path: 'l', type: 'symlink', mode: 0o644, linkTarget: 'package/run' });
});

tar('a link that has content, as some programs write it', async () => {
  const link = { name: 'l', flag: '2', link: 'package/run' };
  const manifest = await readTar(packTar([{ ...link, content: 'z'.repeat(600) }, run]), 1, [
    'python',
    'node-tar',
    'tar-fs',
  ]);
  assert.equal(
    manifest.entries.map(({ path }) => path),
    ['l', 'package/run'],
  );
  assert.equal(codesOf(manifest), ['unexpected-content']);
  // A size without content is no content.
  const none = await readTar(packTar([{ ...link, size: '00000000600' }, run]), 1, [
    'tar',
    'bsdtar',
    'node-tar',
  ]);
  assert.equal(codesOf(none), []);
  assert.is(none.entries.length, 2);
});

tar('a type that nobody knows is a file', async () => {
  const manifest = await readTar(packTar([{ name: 'n', flag: 'N', content: 'hi' }, run]), 2, [
    'node-tar',
    'tar-fs',
  ]);
  assert.equal(factsOf(manifest)[0], { path: 'n', type: 'file', mode: 0o644, size: 2 });
});

tar('mode 0 is 0000', async () => {
  const manifest = await readManifest(fileOf(packTar([{ ...run, mode: '0000000' }]), '.tar'));
  assert.is(manifest.entries[0]?.mode, 0);
  const root = makeTree({ 'package/run': '#!/bin/sh\n' });
  await applyPermissions(root, { manifest, mode: 'manifest' });
  assert.is(modeOf(root, 'package/run'), 0);
});

tar.run();

const none = suite('lenient: what is no archive');

const answers: [content: string, what: string, remedy: RegExp][] = [
  [
    '<!DOCTYPE html>\n<html><head><title>404</title></head></html>',
    'an HTML page',
    /download the file again/,
  ],
  ['\ufeff \n<HTML><body>x</body></HTML>', 'an HTML page', /download the file again/],
  [
    '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
    'an XML document',
    /download the file again/,
  ],
  ['<Error><Code>AccessDenied</Code></Error>', 'HTML or XML', /download the file again/],
  ['<!-- cached -->\n<html></html>', 'HTML or XML', /download the file again/],
  [
    'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n',
    'a Git LFS pointer',
    /git lfs pull/,
  ],
  ['{"error":"not found"}', 'a JSON object', /get the archive itself/],
  ['["a/b", "c"]', 'a JSON array', /get the archive itself/],
  ['Not Found\n', 'text', /get the archive itself/],
  ['src/index.js\nREADME.md\n', 'text', /get the archive itself/],
  ['#!/bin/sh\n', 'a script', /get the archive itself/],
  ['', 'an empty file', /get the archive itself/],
];
for (const [content, what, remedy] of answers) {
  none(`${what}, named like an archive: ${JSON.stringify(content.slice(0, 20))}`, async () => {
    for (const suffix of ['.mcpb', '.zip', '.whl', '.tgz', '.tar.gz', '.tar.br', '.conda']) {
      const { message } = await failureOf(readManifest(fileOf(Buffer.from(content), suffix)));
      assert.ok(message.includes(`: is named like an archive (${suffix}), but is ${what}: `), message);
      assert.match(message, remedy);
    }
  });
}

none('what is compressed once too often', async () => {
  const zipped = rawZip([one]);
  const packed: [content: Buffer, what: RegExp][] = [
    [gzipSync(zipped), /: is gzip-compressed: a zip archive: decompress it once, and read that$/],
    [
      gzipSync(gzipSync(zipped)),
      /: is gzip-compressed: gzip-compressed data: decompress it once, and read that$/,
    ],
  ];
  for (const [content, what] of packed)
    assert.match((await failureOf(readManifest(fileOf(content, '.zip')))).message, what);
});

none('a list is recognised by more than being text, and the notes say that it was one', async () => {
  const read = (content: string, name = '') => readManifest(fileOf(Buffer.from(content), name));
  for (const content of ['a/b\nc d/e f\n', './a b\n', 'README\nLICENSE\n', 'My Notes.txt\nbin/\n']) {
    const manifest = await read(content);
    assert.is(manifest.format, 'list', content);
    assert.equal(codesOf(manifest), ['read-as-list']);
  }
  for (const content of [
    'Not Found\n',
    'The requested URL was not found.\n',
    '404: Not Found',
    'https://example.org/a/b\n',
    `${'0'.repeat(64)}  a/b\n`,
    '-rw-r--r-- 1 root root 12 Jan  1 00:00 a/b\n',
    '-----BEGIN CERTIFICATE-----\nMIIB/aGk\n',
    '<Error>a/b</Error>\n',
  ]) {
    assert.match(
      (await failureOf(read(content))).message,
      /is (?:text|an HTML page|an XML document|HTML or XML)/,
      content,
    );
  }
  // What is named like a list may have any names in it.
  assert.is((await read('Not Found\n', '.txt')).entries[0]?.path, 'Not Found');
  assert.match((await failureOf(read('<!DOCTYPE html>', '.txt'))).message, /is an HTML page/);
  assert.equal(codesOf(await read('["a"]')), []);
});

none('a file of that name, or with hash columns, is a RECORD', async () => {
  const directory = makeTree({ RECORD: 'a/b,,12\n', other: 'a/b,,12\n', hashes: 'a/b,md5=x,12\nc\n' });
  assert.is((await readManifest(join(directory, 'RECORD'))).format, 'record');
  assert.is((await readManifest(join(directory, 'hashes'))).format, 'record');
  assert.is((await readManifest(join(directory, 'other'))).format, 'list');
});

none.run();
