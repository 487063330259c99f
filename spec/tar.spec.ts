import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeName } from '../lib/directory/names.ts';
import { ManifestError } from '../lib/errors.ts';
import type { Manifest, ManifestEntry } from '../lib/manifest/manifest.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { readTarManifest } from '../lib/manifest/tar.ts';
import { isRoot, NOBODY } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { canActAsRoot } from './helpers/rights.ts';
import { canUseByteNames, runtime } from './helpers/runtime.ts';
import {
  askTarfile,
  endMark,
  makeWithTarfile,
  type PackedMember,
  packMember,
  packTar,
  paxHeader,
  seal,
} from './helpers/tar.ts';
import { tempDirectory } from './helpers/tree.ts';
import { factsOf, failureOf, hasCommand, run } from './helpers/zip.ts';

const scratch = tempDirectory();
const at = (name: string): string => join(scratch, name);

/** A file of the scratch directory with this content. */
function fileWith(name: string, content: Uint8Array): string {
  writeFileSync(at(name), content);
  return at(name);
}

/** What is known of the entries of an archive made in this process. */
async function readPacked(...members: PackedMember[]): Promise<ManifestEntry[]> {
  return factsOf(await readTarManifest(fileWith('packed.tar', packTar(members))));
}

/** The error that reading an archive made in this process rejects with. */
function failureOfBytes(bytes: Uint8Array): Promise<ManifestError> {
  return failureOf(readTarManifest(fileWith('broken.tar', bytes)));
}

/** What lies on disk below a directory, in the words of a manifest. */
function factsOnDisk(root: string): Map<string, ManifestEntry> {
  const facts = new Map<string, ManifestEntry>();
  for (const name of ['.', ...(readdirSync(root, { recursive: true }) as string[])]) {
    const stats = lstatSync(join(root, name));
    const entry: ManifestEntry = { path: name };
    if (stats.isFile()) Object.assign(entry, { type: 'file', size: stats.size });
    if (stats.isDirectory()) entry.type = 'directory';
    if (stats.isSymbolicLink())
      Object.assign(entry, { type: 'symlink', linkTarget: readlinkSync(join(root, name)) });
    entry.mode = stats.mode & 0o7777;
    facts.set(name, entry);
  }
  return facts;
}

const long = `${'long-directory/'.repeat(9)}${'n'.repeat(120)}`;
const foreign = `${'日本語のディレクトリ/'.repeat(12)}ファイル.txt`;

/** A tree of everything that tar can keep; long and strange names only where the format has room for them. */
function makeSource(root: string, hasStrangeNames: boolean): void {
  const put = (name: string, content: string, mode = 0o644): void => {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
    chmodSync(join(root, name), mode);
  };
  put('bin/run.sh', '#!/bin/sh\n'.repeat(80), 0o755);
  put('bin/setuid', 'x', 0o4711);
  put('lib/data', 'data');
  put('lib/empty', '', 0o600);
  if (isRoot) put('lib/unreadable', 'secret', 0o000);
  linkSync(join(root, 'bin/run.sh'), join(root, 'lib/hard-link'));
  symlinkSync('../bin/run.sh', join(root, 'lib/link'));
  symlinkSync('/nowhere/at all', join(root, 'lib/dangling'));
  linkSync(join(root, 'lib/dangling'), join(root, 'lib/hard-link-to-link'));
  mkdirSync(join(root, 'sticky'));
  chmodSync(join(root, 'sticky'), 0o1777);
  run('mkfifo', ['-m', '600', join(root, 'fifo')]);
  if (!hasStrangeNames) return;
  put(long, 'long');
  put(foreign, 'foreign', 0o751);
  put(`line\nbreak/${'b\nc'.repeat(50)}`, 'broken line');
  put(' =spaces ', 'spaces');
  put('back\\slash', 'backslash');
  symlinkSync(`${foreign}/${'x'.repeat(200)}`, join(root, 'long-link'));
}

/** Random inputs of a property. */
const RUNS = extent({ short: 150, full: 500 });

const gnu = suite('tar: archives by GNU tar');
const isGnuTar = hasCommand('tar') && run('tar', ['--version']).startsWith('tar (GNU tar)');
const withTar = isGnuTar ? gnu : gnu.skip;
if (!isGnuTar) process.stderr.write('tar is not GNU tar: the specs of its archives are skipped\n');

gnu.before(() => {
  makeSource(at('short'), false);
  makeSource(at('strange'), true);
});

const formats = [
  ['gnu', 'strange'],
  ['oldgnu', 'strange'],
  ['pax', 'strange'],
  ['posix', 'short'],
  ['ustar', 'short'],
  ['v7', 'short'],
] as const;
for (const [format, source] of formats) {
  withTar(`--format=${format}, as tarfile reads it and as tar unpacks it`, async () => {
    // v7 has no type for a FIFO.
    const except = format === 'v7' ? ['--exclude=fifo'] : [];
    run('tar', [`--format=${format}`, ...except, '-cf', at(`${format}.tar`), '.'], at(source));
    const manifest = await readTarManifest(at(`${format}.tar`));
    const facts = factsOf(manifest);
    assert.equal(facts, askTarfile(at(`${format}.tar`)));
    assert.is(manifest.format, 'tar');
    assert.is(manifest.source, at(`${format}.tar`));
    mkdirSync(at(`${format}-unpacked`));
    run('tar', ['-xpf', at(`${format}.tar`)], at(`${format}-unpacked`));
    const onDisk = factsOnDisk(at(`${format}-unpacked`));
    assert.is(facts.length, onDisk.size);
    for (const entry of facts) assert.equal(entry, { ...onDisk.get(entry.path) }, entry.path);
    const byPath = new Map(facts.map((entry) => [entry.path, entry]));
    const script = { type: 'file', mode: 0o755, size: 800 };
    assert.equal(byPath.get('bin/run.sh'), { path: 'bin/run.sh', ...script });
    assert.equal(byPath.get('lib/hard-link'), { path: 'lib/hard-link', ...script });
    assert.is(byPath.get('lib/hard-link-to-link')?.linkTarget, '/nowhere/at all');
    assert.is(byPath.has(foreign), source === 'strange');
    if (format !== 'v7') assert.equal(byPath.get('fifo'), { path: 'fifo', mode: 0o600 });
  });
}

withTar('devices are named, with a mode and without a type', async () => {
  if (!canActAsRoot('to make devices')) return;
  mkdirSync(at('devices'));
  run('mknod', ['-m', '640', at('devices/null'), 'c', '1', '3']);
  run('mknod', ['-m', '660', at('devices/loop'), 'b', '7', '0']);
  run('tar', ['-cf', at('devices.tar'), '-C', at('devices'), 'loop', 'null']);
  assert.equal(factsOf(await readTarManifest(at('devices.tar'))), [
    { path: 'loop', mode: 0o660 },
    { path: 'null', mode: 0o640 },
  ]);
});

const withByteNames = canUseByteNames() ? withTar : gnu.skip;

withByteNames('names that are not UTF-8 keep their bytes', async () => {
  mkdirSync(at('latin1'));
  const names = ['caf\udce9', `${'\udcff'.repeat(110)}x`, 'é\udc80é'];
  for (const name of names) writeFileSync(encodeName(`${at('latin1')}/${name}`), '');
  symlinkSync(encodeName('to/\udcff'), at('latin1/link'));
  for (const format of ['gnu', 'pax', 'ustar']) {
    const exclude = format === 'ustar' ? ['--exclude=*x'] : [];
    run('tar', [`--format=${format}`, ...exclude, '-cf', at('latin1.tar'), '-C', at('latin1'), '.']);
    const facts = factsOf(await readTarManifest(at('latin1.tar')));
    assert.equal(facts, askTarfile(at('latin1.tar')));
    const read = facts.map(({ path }) => path).sort();
    assert.equal(
      read,
      ['.', 'link', ...names].filter((name) => format !== 'ustar' || !name.endsWith('x')).sort(),
    );
    assert.is(facts.find(({ path }) => path === 'link')?.linkTarget, 'to/\udcff');
  }
});

/** Files with holes: few, many (more than one header has room for), only a hole, a hole at the end. */
function makeSparse(root: string): void {
  mkdirSync(root);
  const many = Array.from({ length: 60 }, (_, index) => index * 100_000);
  for (const [name, size, data] of [
    ['few', 5_000_000, [0, 3_000_000]],
    ['many', 6_000_001, many],
    ['hole', 1_000_000, []],
    ['end', 2_000_000, [500_000]],
    ['whole', 3, [0]],
  ] as const) {
    const fd = openSync(join(root, name), 'w', 0o755);
    ftruncateSync(fd, size);
    for (const position of data) writeSync(fd, 'x', position);
    closeSync(fd);
  }
  writeFileSync(join(root, 'zz-behind'), 'behind the sparse files');
}

withTar('sparse files have their real size, in every form', async () => {
  makeSparse(at('sparse'));
  const forms = [
    ['--format=gnu'],
    ...['0.0', '0.1', '1.0'].map((version) => ['--format=pax', `--sparse-version=${version}`]),
  ];
  for (const form of forms) {
    run('tar', [...form, '--sparse', '--sort=name', '-cf', at('sparse.tar'), '-C', at('sparse'), '.']);
    assert.ok(lstatSync(at('sparse.tar')).size < 2_000_000, 'it has no holes');
    const facts = factsOf(await readTarManifest(at('sparse.tar')));
    assert.equal(facts, askTarfile(at('sparse.tar')), form.join(' '));
    assert.equal(
      facts.map(({ path, size }) => [path, size]),
      [
        ['.', undefined],
        ['end', 2_000_000],
        ['few', 5_000_000],
        ['hole', 1_000_000],
        ['many', 6_000_001],
        ['whole', 3],
        ['zz-behind', 23],
      ],
    );
  }
});

withTar('of a path that was appended again, the last entry counts', async () => {
  mkdirSync(at('append'));
  for (const name of ['a', 'b', 'c']) writeFileSync(at(`append/${name}`), 'first');
  linkSync(at('append/a'), at('append/linked'));
  run('tar', ['-cf', at('append.tar'), '-C', at('append'), 'a', 'b', 'c', 'linked']);
  run('rm', [at('append/a'), at('append/b')]);
  writeFileSync(at('append/a'), 'second, longer');
  chmodSync(at('append/a'), 0o755);
  symlinkSync('c', at('append/b'));
  run('tar', ['-rf', at('append.tar'), '-C', at('append'), './a', 'b']);
  const facts = factsOf(await readTarManifest(at('append.tar')));
  assert.equal(facts, [
    { path: 'c', type: 'file', mode: 0o644, size: 5 },
    { path: 'linked', type: 'file', mode: 0o644, size: 5 },
    { path: 'a', type: 'file', mode: 0o755, size: 14 },
    { path: 'b', type: 'symlink', mode: 0o777, linkTarget: 'c' },
  ]);
  mkdirSync(at('append-unpacked'));
  run('tar', ['-xpf', at('append.tar')], at('append-unpacked'));
  const onDisk = factsOnDisk(at('append-unpacked'));
  for (const entry of facts) assert.equal(entry, onDisk.get(entry.path));
});

withTar('incremental archives, labels and volumes', async () => {
  run(
    'tar',
    [
      `--listed-incremental=${at('snapshot')}`,
      '-cf',
      at('incremental.tar'),
      '-V',
      'a label',
      'bin',
      'lib/data',
    ],
    at('short'),
  );
  assert.match(run('tar', ['-tf', at('incremental.tar')]), /^a label\n/);
  assert.equal(
    factsOf(await readTarManifest(at('incremental.tar')))
      .map(({ path, type }) => [path, type])
      .sort(),
    [
      ['bin', 'directory'],
      ['bin/run.sh', 'file'],
      ['bin/setuid', 'file'],
      ['lib/data', 'file'],
    ],
  );
  writeFileSync(at('large'), Buffer.alloc(30_000, 'x'));
  const volumes = ['-f', at('volume-1'), '-f', at('volume-2'), '-f', at('volume-3')];
  run('tar', ['--format=gnu', '-c', '-M', '-L', '20', ...volumes, 'large'], scratch);
  assert.match(
    (await failureOf(readTarManifest(at('volume-1')))).message,
    /entry 1 \("large"\) at offset 0: is cut off/,
  );
  assert.match(
    (await failureOf(readTarManifest(at('volume-2')))).message,
    /continues on from another volume/,
  );
});

withTar('an archive without entries', async () => {
  run('tar', ['-cf', at('none.tar'), '-T', '/dev/null']);
  assert.equal(factsOf(await readTarManifest(at('none.tar'))), []);
});

gnu.run();

const python = suite('tar: archives by Python');

const manyNames = `
for number in range(400):
    directory = '/'.join(['\\u65e5\\u672c\\u8a9e' * 20 + 'd' * (number % 3)] * 4)
    archive.addfile(*member('%s/%03d' % (directory, number), content=b'x' * (number * 7 % 900)))
    archive.addfile(*member('l%d' % number, tarfile.SYMTYPE, linkname=directory + '\\n' + directory))
`;
for (const format of ['PAX_FORMAT', 'GNU_FORMAT']) {
  for (const mode of ['w', 'w:gz']) {
    python(`long names across every border of a read: ${format}, ${mode}`, async () => {
      const open = `with tarfile.open(path, '${mode}', format=tarfile.${format}) as archive:`;
      const path = makeWithTarfile(at('many.tar'), open + manyNames.replaceAll('\n', '\n    '));
      const facts = factsOf(await readTarManifest(path));
      assert.is(facts.length, 800);
      assert.equal(facts, askTarfile(path));
    });
  }
}

python('a global header with a comment, large modes, and sizes beyond octal', async () => {
  const script = `
with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT, pax_headers={'comment': 'of all'}) as archive:
    archive.addfile(*member('a', mode=0o7755))
    archive.addfile(*member('./b//', tarfile.DIRTYPE, mode=0o1755))
    archive.addfile(*member('old', tarfile.AREGTYPE))
    archive.addfile(*member('contiguous', tarfile.CONTTYPE, content=b'abc'))
    archive.addfile(*member('hard', tarfile.LNKTYPE, linkname='./contiguous', mode=0o600))
    archive.addfile(*member('hard/to/nothing', tarfile.LNKTYPE, linkname='not/there', mode=0o711))
`;
  const path = makeWithTarfile(at('python.tar'), script);
  const facts = factsOf(await readTarManifest(path));
  assert.equal(facts, askTarfile(path));
  assert.equal(facts, [
    { path: 'a', type: 'file', mode: 0o7755, size: 0 },
    { path: 'b', type: 'directory', mode: 0o1755 },
    { path: 'old', type: 'file', mode: 0o644, size: 0 },
    { path: 'contiguous', type: 'file', mode: 0o644, size: 3 },
    { path: 'hard', type: 'file', mode: 0o644, size: 3 },
    { path: 'hard/to/nothing', type: 'file', mode: 0o711 },
  ]);
});

python.run();

const compressed = suite('tar: compressed archives');
const plain = packTar([
  { name: 'd/', flag: '5', mode: '0000755' },
  { name: 'd/run', mode: '0000755', content: 'run'.repeat(3000) },
  { name: 'd/link', flag: '2', mode: '0000777', link: 'run' },
]);
const plainFacts: ManifestEntry[] = [
  { path: 'd', type: 'directory', mode: 0o755 },
  { path: 'd/run', type: 'file', mode: 0o755, size: 9000 },
  { path: 'd/link', type: 'symlink', mode: 0o777, linkTarget: 'run' },
];
// Deno's ends the process where the data is broken.
const hasZstd = 'createZstdDecompress' in zlib && runtime !== 'deno';

compressed('gzip, also of several members, under any name', async () => {
  const members = [plain.subarray(0, 700), plain.subarray(700)].map((part) => zlib.gzipSync(part));
  for (const bytes of [zlib.gzipSync(plain), Buffer.concat(members)]) {
    for (const name of ['a.tgz', 'a.tar.gz', 'a.tar', 'a.zip', 'RECORD']) {
      const path = fileWith(name, bytes);
      assert.equal(factsOf(await readTarManifest(path)), plainFacts);
      assert.equal(factsOf(await readManifest(path)), plainFacts);
    }
  }
});

compressed('Brotli, where the name says so', async () => {
  for (const name of ['a.tar.br', 'a.tbr']) {
    const path = fileWith(name, zlib.brotliCompressSync(plain));
    assert.equal(factsOf(await readTarManifest(path)), plainFacts);
    assert.equal(factsOf(await readManifest(path)), plainFacts);
    assert.equal(factsOf(await readManifest(fileWith(name, plain))), plainFacts);
  }
  await failureOf(readManifest(fileWith('a.br', zlib.brotliCompressSync(plain))));
});

compressed('zstd, where the runtime has it', async () => {
  if (!hasCommand('zstd')) return console.log('  skipped: no zstd');
  writeFileSync(at('to-zstd.tar'), plain);
  run('zstd', ['-q', '-f', at('to-zstd.tar'), '-o', at('a.tar.zst')]);
  for (const read of [readTarManifest, readManifest]) {
    if (hasZstd) assert.equal(factsOf(await read(at('a.tar.zst'))), plainFacts);
    else
      assert.match(
        (await failureOf(read(at('a.tar.zst')))).message,
        /is zstd-compressed, which this runtime \(v\d/,
      );
  }
});

compressed('cut off anywhere', async () => {
  const bytes = zlib.gzipSync(plain);
  for (let length = 2; length < bytes.length; length += 1) {
    const error = await failureOfBytes(bytes.subarray(0, length));
    assert.match(
      error.message,
      /: cannot be decompressed \(gzip\): unexpected end of file$/,
      `${length} bytes`,
    );
    assert.is((error.cause as NodeJS.ErrnoException).code, 'Z_BUF_ERROR');
  }
  const brotli = zlib.brotliCompressSync(plain);
  const error = await failureOf(readTarManifest(fileWith('cut.tar.br', brotli.subarray(0, -3))));
  // Deno takes an early end for the end.
  assert.match(error.message, /: cannot be decompressed \(brotli\): unexpected end|is cut off/);
});

compressed('content that is not what its checksum says, far behind the last header', async () => {
  const bytes = zlib.gzipSync(plain, { level: 0 });
  bytes[bytes.length - 600] = 1;
  assert.match(
    (await failureOfBytes(bytes)).message,
    /cannot be decompressed \(gzip\): incorrect data check/,
  );
});

compressed('compressed data that is no archive', async () => {
  const path = fileWith('text.gz', zlib.gzipSync('text '.repeat(200)));
  assert.match(
    (await failureOf(readTarManifest(path))).message,
    /at offset 0: the header at offset 0 has a wrong checksum/,
  );
  assert.match(
    (await failureOf(readManifest(path))).message,
    /text\.gz: is named like an archive \(\.gz\), but is gzip-compressed: text: get the archive itself$/,
  );
});

compressed('a large archive takes little memory, and leaves the event loop its turns', async () => {
  const megabytes = 64;
  const script = `
import gzip, random
with gzip.open(path, 'wb', compresslevel=1) as out, tarfile.open(fileobj=out, mode='w') as archive:
    block = random.Random(1).randbytes(1 << 10) * (1 << 10)
    for number in range(${megabytes}): archive.addfile(*member('f%d' % number, content=block))
    archive.addfile(*member('zeros', content=bytes(${megabytes} << 20)))
`;
  const path = makeWithTarfile(at('large.tar.gz'), script);
  const before = process.memoryUsage().arrayBuffers;
  const started = performance.now();
  let [most, longest, last] = [0, 0, started];
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  try {
    assert.is((await readTarManifest(path)).entries.length, megabytes + 1);
  } finally {
    clearInterval(timer);
  }
  // What waits to be collected is in it: far less than the 128 MiB that it decompresses to.
  assert.ok(most < 80 << 20, `${most >> 20} MiB held`);
  const whole = performance.now() - started;
  assert.ok(longest < whole / 2, `${longest} of ${whole} ms without a turn`);
});

compressed.run();

const reading = suite('tar: reading');

/** How many bytes are read from files while an action runs. */
async function countBytes(action: () => Promise<unknown>): Promise<number> {
  const handle = await open(process.execPath);
  const prototype = Object.getPrototypeOf(handle) as Pick<FileHandle, 'read'>;
  await handle.close();
  const { read } = prototype;
  let bytes = 0;
  prototype.read = async function (this: FileHandle, ...parameters: unknown[]) {
    const result = await Reflect.apply(read, this, parameters);
    bytes += result.bytesRead;
    return result;
  } as typeof read;
  try {
    await action();
  } finally {
    prototype.read = read;
  }
  return bytes;
}

reading('content is passed over, also where its size takes more than octal digits', async () => {
  const size = 9 * 2 ** 30;
  const base256 = Buffer.alloc(12);
  base256[0] = 0x80;
  base256.writeBigUInt64BE(BigInt(size), 4);
  const ends = [
    { name: 'huge', size: base256, mode: '0000755' },
    paxHeader({ size: String(size) }),
    { name: 'huge-too', size: '77777777777' },
    { name: 'last', content: 'x' },
  ];
  const fd = openSync(at('huge.tar'), 'w');
  let position = 0;
  for (const [index, member] of ends.entries()) {
    const bytes = packMember(member);
    writeSync(fd, bytes, 0, bytes.length, position);
    position += bytes.length + (index === 1 || index === 3 ? 0 : size);
  }
  ftruncateSync(fd, position + 1024);
  closeSync(fd);
  let facts: ManifestEntry[] = [];
  const bytes = await countBytes(async () => {
    facts = factsOf(await readTarManifest(at('huge.tar')));
  });
  assert.equal(facts, [
    { path: 'huge', type: 'file', mode: 0o755, size },
    { path: 'huge-too', type: 'file', mode: 0o644, size },
    { path: 'last', type: 'file', mode: 0o644, size: 1 },
  ]);
  assert.ok(bytes < 1 << 20, `${bytes} bytes read`);
  const cut = openSync(at('huge.tar'), 'r+');
  ftruncateSync(cut, size);
  closeSync(cut);
  const error = await failureOf(readTarManifest(at('huge.tar')));
  assert.match(
    error.message,
    new RegExp(`entry 1 \\("huge"\\) at offset 0: is cut off: the archive ends at offset ${size}$`),
  );
});

reading('a ustar prefix, and what GNU tar has in its place', async () => {
  const prefix = 'p'.repeat(155);
  assert.equal(
    (
      await readPacked(
        { name: 'n'.repeat(100), prefix },
        { name: 'a', prefix: 'x', magic: 'ustar  \0' },
        { name: 'v7', prefix: 'x', magic: '' },
      )
    ).map(({ path }) => path),
    [`${prefix}/${'n'.repeat(100)}`, 'a', 'v7'],
  );
});

reading('GNU and pax names, and a v7 directory', async () => {
  assert.equal(
    await readPacked(
      { flag: 'K', name: '././@LongLink', content: 'the target\0' },
      { flag: 'L', name: '././@LongLink', content: 'the name\0rest' },
      { flag: '2', name: 'short', link: 'short' },
      paxHeader({ path: 'naïve', linkpath: 'ünder', mtime: '1.5', size: '' }, 'X'),
      { flag: '2', name: 'short', link: 'short' },
      paxHeader({ path: '', comment: '' }),
      { name: 'own', flag: '\0' },
      { name: 'old/', flag: '\0', mode: '0000755' },
      { name: 'unknown', flag: 'Z', content: 'x' },
      { name: 'no-mode', mode: '' },
      { name: 'acl', flag: 'A', content: 'skipped'.repeat(200) },
      { flag: 'L', name: '././@LongLink', content: 'the label' },
      { name: 'label', flag: 'V' },
      { name: 'after' },
    ),
    [
      { path: 'the name', type: 'symlink', mode: 0o644, linkTarget: 'the target' },
      { path: 'naïve', type: 'symlink', mode: 0o644, linkTarget: 'ünder' },
      { path: 'own', type: 'file', mode: 0o644, size: 0 },
      { path: 'old', type: 'directory', mode: 0o755 },
      { path: 'unknown', type: 'file', mode: 0o644, size: 1 },
      { path: 'no-mode', type: 'file', size: 0 },
      { path: 'after', type: 'file', mode: 0o644, size: 0 },
    ],
  );
});

reading("a type that is none of an extractor's is a file", async () => {
  const members: PackedMember[] = [
    { name: 'inode', flag: 'I', content: 'x' },
    { name: 'no-gnu', flag: 'S', content: 'xyz' },
  ];
  assert.equal(await readPacked(...members), [
    { path: 'inode', type: 'file', mode: 0o644, size: 1 },
    { path: 'no-gnu', type: 'file', mode: 0o644, size: 3 },
  ]);
  for (const command of ['tar', 'bsdtar'].filter(hasCommand)) {
    const root = tempDirectory();
    spawnSync(command, ['-xf', fileWith('types.tar', packTar(members)), '-C', root]);
    const sizes = ['inode', 'no-gnu'].map((name) => lstatSync(join(root, name)).size);
    assert.equal(sizes, [1, 3], command);
  }
});

reading(
  'of two pax headers the last counts alone, and before the names of GNU tar wherever those stand',
  async () => {
    const gnu: PackedMember[] = [
      { flag: 'K', name: '././@LongLink', content: 'gnu target\0' },
      { flag: 'L', name: '././@LongLink', content: 'gnu\0' },
    ];
    const pax = paxHeader({ path: 'pax', linkpath: 'pax target' });
    const own: PackedMember = { flag: '2', name: 'own', link: 'own target' };
    const whole = packTar([
      ...[pax, ...gnu, own],
      ...[
        paxHeader({ path: 'first', size: '5' }),
        paxHeader({ mtime: '1.5' }),
        { name: 'last', content: 'x' },
      ],
      ...[
        paxHeader({ path: 'first', linkpath: 'first' }),
        ...gnu,
        paxHeader({ mtime: '1.5' }),
        { ...own, name: 'l' },
      ],
    ]);
    const path = at('headers.tar');
    writeFileSync(path, whole);
    const expected = ['pax', 'last', 'gnu'];
    const { entries } = await readTarManifest(path);
    assert.equal(
      entries.map((entry) => [entry.path, entry.size, entry.linkTarget]),
      [
        ['pax', undefined, 'pax target'],
        ['last', 1, undefined],
        ['gnu', undefined, 'gnu target'],
      ],
    );
    // bsdtar reads them, and says that it ignores something.
    for (const command of ['tar', 'bsdtar'].filter(hasCommand)) {
      const { stdout } = spawnSync(command, ['-tf', path], { encoding: 'utf8' });
      assert.equal(stdout.trim().split('\n'), expected, command);
    }
  },
);

reading(
  'a name whose 100th byte is a slash, in the default format of GNU tar, bsdtar and tarfile',
  async () => {
    const directory = `${'d'.repeat(49)}/${'e'.repeat(49)}`;
    const tree = tempDirectory();
    mkdirSync(join(tree, directory), { recursive: true });
    writeFileSync(join(tree, directory, 'run.py'), 'hello, world\n', { mode: 0o755 });
    writeFileSync(join(tree, 'z.txt'), 'after\n', { mode: 0o644 });
    const expected = [
      { path: `${directory}/run.py`, type: 'file', mode: 0o755, size: 13 },
      { path: 'z.txt', type: 'file', mode: 0o644, size: 6 },
    ];
    const paths = expected.map(({ path }) => path);
    const makers = {
      tar: ['-C', tree, '-cf', at('tar.tar'), ...paths],
      bsdtar: ['-C', tree, '-cf', at('bsdtar.tar'), ...paths],
      python3: ['-m', 'tarfile', '-c', at('python3.tar'), ...paths],
    };
    for (const [maker, parameters] of Object.entries(makers)) {
      if (!hasCommand(maker)) {
        console.log(`  skipped: no ${maker}`);
        continue;
      }
      execFileSync(maker, parameters, { cwd: tree });
      assert.equal(factsOf(await readTarManifest(at(`${maker}.tar`))), expected, maker);
    }
    const cut = { name: `${directory}/run.py`.slice(0, 100), content: 'hello' };
    const long = { flag: 'L', content: `${directory}/run.py\0` };
    assert.equal(await readPacked(long, cut, { name: 'next' }), [
      { path: `${directory}/run.py`, type: 'file', mode: 0o644, size: 5 },
      { path: 'next', type: 'file', mode: 0o644, size: 0 },
    ]);
  },
);

reading('content is padded to whole blocks whatever its type', async () => {
  for (const flag of [...'AIV', ...'BEFZa89W', '7', '\0']) {
    for (const length of [1, 99, 511, 512, 513]) {
      const entries = await readPacked({ name: 'x', flag, content: 'z'.repeat(length) }, { name: 'after' });
      assert.is(entries.at(-1)?.path, 'after', `${flag} ${length}`);
      if (entries.length > 1) assert.is(entries[0]?.size, length, `${flag} ${length}`);
    }
  }
});

reading('a sparse file whose real size is not said has none', async () => {
  const map = paxHeader({ 'GNU.sparse.map': '0,1' });
  assert.equal(await readPacked(map, { name: 'a', content: 'x' }), [
    { path: 'a', type: 'file', mode: 0o644 },
  ]);
});

reading('links, FIFOs and directories have no content, whatever their size says', async () => {
  const flags = ['1', '2', '3', '4', '5', '6'];
  const members = flags.map((flag) => ({ name: `f${flag}`, flag, link: 'f', size: '00000001000' }));
  assert.is((await readPacked({ name: 'f' }, ...members)).length, 7);
});

reading('a name in whole, and a size that is blank', async () => {
  const [entry] = await readPacked({ name: Buffer.alloc(100, 'é'), size: ' '.repeat(12) });
  assert.equal(entry, { path: 'é'.repeat(50), type: 'file', mode: 0o644, size: 0 });
});

reading('the end mark may be one block, or be followed by anything', async () => {
  const file = packMember({ name: 'a' });
  for (const end of [
    endMark,
    endMark.subarray(0, 512),
    endMark.subarray(0, 700),
    Buffer.concat([endMark, file]),
  ]) {
    assert.is((await readTarManifest(fileWith('end.tar', Buffer.concat([file, end])))).entries.length, 1);
  }
});

reading.run();

const broken = suite('tar: broken and hostile archives');

const badNames: [name: string, fault: RegExp][] = [
  ['../evil', /path "\.\.\/evil" has a "\.\." component/],
  ['a/../../b', /has a "\.\." component/],
  ['a/..', /has a "\.\." component/],
  ['/etc/cron.d/x', /path "\/etc\/cron\.d\/x" is absolute/],
  ['//x', /is absolute/],
  ['C:/x', /starts with a drive letter/],
  ['c:\\x', /starts with a drive letter/],
];
for (const [name, fault] of badNames) {
  broken(`the name ${JSON.stringify(name)}, in every place that has names`, async () => {
    const ways: PackedMember[][] = [
      [{ name }],
      [{ name, flag: '5' }],
      [{ flag: 'L', content: name }, { name: 'good' }],
      [paxHeader({ path: name }), { name: 'good' }],
      [paxHeader({ 'GNU.sparse.name': name }), { name: 'good' }],
    ];
    if (!name.endsWith('..'))
      ways.push([
        {
          name: name.slice(name.lastIndexOf('/') + 1) || 'x',
          prefix: name.slice(0, Math.max(1, name.lastIndexOf('/'))),
        },
      ]);
    for (const way of name.includes('/') ? ways : ways.slice(0, 5)) {
      const error = await failureOfBytes(packTar([{ name: 'first' }, ...way]));
      assert.match(error.message, fault);
      assert.is(error.source, at('broken.tar'));
      assert.ok(error.path);
    }
    if (name.startsWith('/')) return;
    const link = await failureOfBytes(packTar([{ name: 'first' }, { name: 'l', flag: '1', link: name }]));
    assert.match(
      link.message,
      /^.*broken\.tar: entry 2 \("l"\) at offset 512: is a hard link whose target is refused: path "/,
    );
    assert.match(link.message, fault);
    assert.is((await readPacked({ name: 'l', flag: '2', link: name })).length, 1, 'a link may lead anywhere');
  });
}

/** Archives that are at fault in one place, each with what must be said of it. */
const faults: [what: string, bytes: () => Buffer, fault: RegExp][] = [
  ['nothing', () => Buffer.alloc(0), /entry 1 at offset 0: the archive ends at offset 0, without any entry$/],
  [
    'something else',
    () => Buffer.alloc(2000, 'text '),
    /entry 1 at offset 0: the header at offset 0 has a wrong checksum: broken, or not a tar header$/,
  ],
  ['no name', () => packTar([{ name: '' }]), /path "" is empty/],
  [
    'a NUL in a name',
    () => packTar([paxHeader({ path: 'a\0b' }), { name: 'a' }]),
    /path "a\\u0000b" contains a NUL/,
  ],
  [
    'a NUL in a link',
    () => packTar([paxHeader({ linkpath: 'a\0b' }), { name: 'a', flag: '2' }]),
    /path "a": link target "a\\u0000b" is not/,
  ],
  ['a link to nothing', () => packTar([{ name: 'a', flag: '2' }]), /path "a": link target "" is not/],
  [
    'a hard link to nothing',
    () => packTar([{ name: 'a', flag: '1' }]),
    /entry 1 \("a"\) at offset 0: is a hard link whose target is refused: path "" is empty/,
  ],
  [
    'a wrong checksum',
    () => flip(packTar([{ name: 'a' }, { name: 'b' }]), 512),
    /entry 2 at offset 512: the header at offset 512 has a wrong checksum/,
  ],
  [
    'a wrong checksum behind an extended header',
    () => flip(packTar([paxHeader({ path: 'a' }), { name: 'b' }]), 1024),
    /entry 1 at offset 0: the header at offset 1024 has a wrong checksum/,
  ],
  [
    'content that is longer than its size',
    () => packTar([{ name: 'a', size: '00000000005', content: 'x'.repeat(600) }]),
    /entry 2 at offset 1024: the header at offset 1024 has a wrong/,
  ],
  [
    'content that is cut off',
    () => packTar([{ name: 'a', size: '00000010000' }]),
    /entry 1 \("a"\) at offset 0: is cut off: the archive ends at offset 1536$/,
  ],
  [
    'a size that is no number',
    () => packTar([{ name: 'a', size: 'many' }]),
    /entry 1 \("a"\) at offset 0: has a size field that is not a number: "many\\u0000/,
  ],
  [
    'a negative size',
    () => packTar([{ name: 'a', size: Buffer.alloc(12, 0xff) }]),
    /has a size field that is not a number/,
  ],
  [
    'a size beyond every number',
    () => packTar([{ name: 'a', size: Buffer.alloc(12, 0x80) }]),
    /entry 1 \("a"\) at offset 0: has a size field that is not a number/,
  ],
  [
    'a pax size that is no number',
    () => packTar([paxHeader({ size: '-1' }), { name: 'a' }]),
    /entry 1 at offset 0: has an extended header with the size "-1"/,
  ],
  [
    'a pax size beyond every number',
    () => packTar([paxHeader({ size: '9'.repeat(30) }), { name: 'a' }]),
    /has an extended header with the size "9{30}"/,
  ],
  [
    'a sparse size that is no number',
    () => packTar([paxHeader({ 'GNU.sparse.realsize': 'x' }), { name: 'a' }]),
    /with the GNU\.sparse\.realsize "x"/,
  ],
  [
    'a broken pax record',
    () => packTar([{ flag: 'x', content: '12 path=abc\nbroken\n' }, { name: 'a' }]),
    /has an extended header with a broken record at its byte 12$/,
  ],
  [
    'a pax record without its end',
    () => packTar([{ flag: 'x', content: '12 path=abcd' }, { name: 'a' }]),
    /broken record at its byte 0$/,
  ],
  [
    'a pax record that is too long',
    () => packTar([{ flag: 'x', content: '99 path=abcd\n' }, { name: 'a' }]),
    /broken record at its byte 0$/,
  ],
  [
    'an extended header without an entry',
    () => packTar([{ name: 'a' }, paxHeader({ path: 'b' })]),
    /entry 2 at offset 512: has an extended header, but no entry follows it/,
  ],
  [
    'an extended header that is cut off',
    () => packTar([{ flag: 'L', size: '00000010000' }]),
    /entry 1 at offset 0: is cut off/,
  ],
  [
    'an extended header that is too long',
    () => packTar([{ flag: 'L', size: '00400000001' }]),
    /has an extended header of 67108865 bytes; at most 67108864 are read/,
  ],
  [
    'a name that is too long',
    () => packTar([paxHeader({ path: 'x'.repeat(65_537) }), { name: 'a' }]),
    /has a name of 65537 characters; at most 65536$/,
  ],
  [
    'a link target that is too long',
    () => packTar([paxHeader({ linkpath: 'x'.repeat(4097) }), { name: 'a', flag: '2' }]),
    /has a link target of 4097 characters; at most 4096$/,
  ],
  [
    'a global path',
    () => packTar([paxHeader({ path: 'x' }, 'g'), { name: 'a' }]),
    /has a global header that sets path for every entry/,
  ],
  [
    'a global size',
    () => packTar([paxHeader({ comment: 'c', size: '0' }, 'g'), { name: 'a' }]),
    /sets size for every entry/,
  ],
  [
    'an old sparse file that is cut off',
    () =>
      packTar([
        { name: 'a', flag: 'S', magic: 'ustar  \0', alter: (header) => header.fill(1, 482, 483) },
      ]).subarray(0, 700),
    /entry 1 \("a"\) at offset 0: is cut off: the archive ends at offset 700$/,
  ],
  [
    'an old sparse file without a real size',
    () => packTar([{ name: 'a', flag: 'S', magic: 'ustar  \0', alter: (header) => header.write('x', 483) }]),
    /has a size field that is not a number/,
  ],
];
for (const [what, bytes, fault] of faults) {
  broken(what, async () => {
    assert.match((await failureOfBytes(bytes())).message, fault);
  });
}

function flip(bytes: Buffer, position: number): Buffer {
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  return bytes;
}

broken('cut off anywhere before the end mark', async () => {
  const end = plain.length - endMark.length;
  const ends = [512, 512 + 512 + 9216];
  for (let length = 0; length < plain.length; length += 64) {
    const reading = readTarManifest(fileWith('cut.tar', plain.subarray(0, length)));
    // Where a block ends that an entry or its content ends with, every program takes the end.
    if (length >= end || ends.includes(length)) {
      const { entries, warnings } = await reading;
      assert.is(entries.length, length >= end ? 3 : ends.indexOf(length) + 1);
      const code = ['no-end-mark', 'lone-zero-block', undefined][
        length < end + 512 ? 0 : length < end + 576 ? 1 : 2
      ];
      assert.equal(
        warnings.map((warning) => warning.code),
        code === undefined ? [] : [code],
        `${length} bytes`,
      );
    } else
      assert.match((await failureOf(reading)).message, /is cut off|without any entry/, `${length} bytes`);
  }
});

const small = packTar([
  paxHeader({ path: 'long name', 'GNU.sparse.realsize': '7' }),
  { name: 'a', content: 'x' },
  { flag: 'K', content: 'target\0' },
  { name: 'l', flag: '2', link: 't' },
  { name: 'h', flag: '1', link: 'l' },
]);

broken('any bytes changed give a manifest or a ManifestError', async () => {
  const changes = fc.array(fc.tuple(fc.nat({ max: small.length - 1 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 6,
  });
  const counts = { read: 0, refused: 0 };
  const property = fc.asyncProperty(
    changes,
    fc.boolean(),
    fc.boolean(),
    async (list, isSealed, isCompressed) => {
      const bytes = Buffer.from(small);
      for (const [position, value] of list) bytes[position] = value;
      // With right checksums the fields themselves are read.
      if (isSealed)
        for (let start = 0; start < bytes.length - endMark.length; start += 512)
          seal(bytes.subarray(start, start + 512));
      try {
        await readTarManifest(
          fileWith('flipped.tar', isCompressed ? zlib.gzipSync(bytes, { level: 1 }) : bytes),
        );
        counts.read += 1;
      } catch (error) {
        assert.instance(error, ManifestError, `${(error as Error).stack}`);
        counts.refused += 1;
      }
    },
  );
  await fc.assert(property, { numRuns: RUNS });
  assert.ok(counts.read > RUNS / 25 && counts.refused > RUNS / 5, JSON.stringify(counts));
});

broken('any compressed bytes changed give a manifest or a ManifestError', async () => {
  const bytes = zlib.gzipSync(small);
  let refused = 0;
  const property = fc.asyncProperty(
    fc.nat({ max: bytes.length - 1 }),
    fc.integer({ min: 1, max: 255 }),
    async (position, mask) => {
      const copy = Buffer.from(bytes);
      copy[position] = (copy[position] ?? 0) ^ mask;
      await readManifest(fileWith('flipped.tar.gz', copy)).catch((error) => {
        assert.instance(error, ManifestError, `${error.stack}`);
        refused += 1;
      });
    },
  );
  await fc.assert(property, { numRuns: RUNS / 2 });
  assert.ok(refused > 0.36 * RUNS, `${refused} refused`);
});

broken.run();

const files = suite('tar: files that cannot be read');

files('a file that is not there, a directory, a FIFO, no path', async () => {
  const error = await failureOf(readTarManifest(at('nowhere.tar')));
  assert.is(error.code, 'ENOENT');
  assert.is(error.source, at('nowhere.tar'));
  assert.is((await failureOf(readTarManifest(scratch))).code, 'EISDIR');
  run('mkfifo', [at('pipe')]);
  assert.match((await failureOf(readTarManifest(at('pipe')))).message, /pipe: is not a regular file/);
  for (const source of [undefined, 7, plain]) {
    const outcome = await readTarManifest(source as unknown as string).catch((refusal) => refusal);
    assert.instance(outcome, TypeError);
  }
});

files('a file without read permission', async () => {
  const path = fileWith('locked.tar', plain);
  chmodSync(path, 0o000);
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    assert.is((await failureOf(readTarManifest(path))).code, 'EACCES');
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

files('no descriptor stays open, whatever fails', async () => {
  if (process.platform !== 'linux') return;
  const openFiles = (): number => readdirSync('/proc/self/fd').length;
  const before = openFiles();
  const contents = faults.map(([, bytes]) => bytes());
  for (const bytes of [plain, ...contents, ...contents.map((content) => zlib.gzipSync(content))]) {
    for (const read of [readTarManifest, readManifest]) {
      await read(fileWith('leak.tar', bytes)).catch((error) => assert.instance(error, ManifestError));
    }
  }
  assert.is(openFiles(), before);
});

files.run();

const recognised = suite('tar: readManifest');

recognised('every form of header, under any name', async () => {
  const forms: PackedMember[] = [{}, { magic: 'ustar  \0' }, { magic: '' }, { flag: 'L', content: 'name\0' }];
  for (const form of forms) {
    const bytes = packTar([{ name: 'a', ...form }, { name: 'b' }]);
    for (const name of ['x.tar', 'x.zip', 'RECORD', 'list.txt']) {
      const manifest: Manifest = await readManifest(fileWith(name, bytes));
      assert.is(manifest.format, 'tar');
      assert.is(manifest.entries.at(-1)?.path, form.flag === 'L' ? 'name' : 'b');
    }
  }
});

recognised('an archive in an archive is what it is outside', async () => {
  const zipped = packTar([{ name: 'a.zip', content: Buffer.from(`PK\x05\x06${'\0'.repeat(18)}`, 'latin1') }]);
  assert.equal(
    (await readManifest(fileWith('zipped', zipped))).entries.map(({ path }) => path),
    ['a.zip'],
  );
});

recognised('a broken header is named, and zeros are no archive', async () => {
  const error = await failureOf(readManifest(fileWith('broken', flip(packTar([{ name: 'a' }]), 150))));
  assert.match(
    error.message,
    /: is a tar archive whose first header is broken; a manifest is read from a zip/,
  );
  assert.match(
    (await failureOf(readManifest(fileWith('zeros', Buffer.alloc(10_240))))).message,
    /: is data that begins with the bytes 00 00/,
  );
});

recognised('an archive without entries is known by its name', async () => {
  for (const [name, bytes] of [
    ['empty.tar', Buffer.alloc(10_240)],
    ['empty.TGZ', zlib.gzipSync(endMark)],
    ['empty.tar.gz', zlib.gzipSync(Buffer.alloc(10_240))],
  ] as const) {
    const manifest = await readManifest(fileWith(name, bytes));
    assert.is(manifest.format, 'tar', name);
    assert.equal(manifest.entries, [], name);
  }
  for (const [name, bytes] of [
    ['empty.zip', Buffer.alloc(10_240)],
    ['half.tar', Buffer.alloc(700)],
    ['room.tar', Buffer.alloc(20_480)],
    ['disk.tar', Buffer.alloc(1 << 20)],
    ['disk.gz', zlib.gzipSync(endMark)],
    ['disk.tgz', zlib.gzipSync(Buffer.alloc(1 << 20))],
    ['other.tar', Buffer.concat([Buffer.alloc(1023), Buffer.from('x')])],
  ] as const) {
    const { message } = await failureOf(readManifest(fileWith(name, bytes)));
    assert.match(message, /data that begins with the bytes 00 00/, name);
  }
});

recognised('an extended header that nobody named', async () => {
  const { name: _, ...unnamed } = paxHeader({ path: 'long' });
  const bytes = packTar([unnamed, { name: 'short' }]);
  const manifest = await readManifest(fileWith('unnamed.bin', bytes));
  assert.equal(
    manifest.entries.map(({ path }) => path),
    ['long'],
  );
  const old = packTar([{ ...unnamed, magic: '' }, { name: 'short' }]);
  assert.match((await failureOf(readManifest(fileWith('old.bin', old)))).message, /begins with the bytes 00/);
});

recognised('what only some manifests need is loaded only where it is needed', () => {
  const lib = new URL('../lib/', import.meta.url);
  for (const name of readdirSync(lib, { recursive: true }) as string[]) {
    if (!name.endsWith('.ts')) continue;
    const text = readFileSync(new URL(name, lib), 'utf8');
    assert.not.match(text, /^import (?!type ).*from '(?:tar|csv-parse|yauzl)/m, name);
  }
});

recognised.run();
