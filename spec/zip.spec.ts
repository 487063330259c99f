import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import yauzl from 'yauzl';
import { ManifestError } from '../lib/errors.ts';
import type { Manifest, ManifestEntry } from '../lib/manifest/manifest.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { readZipManifest } from '../lib/manifest/zip.ts';
import { isRoot, NOBODY } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { tempDirectory } from './helpers/tree.ts';
import {
  allFactsOf,
  alter,
  askPython,
  factsOf,
  failureOf,
  findRecords,
  hasCommand,
  makeWithPython,
  packZip,
  run,
} from './helpers/zip.ts';

const stdlib = fileURLToPath(new URL('../node_modules/pyodide/python_stdlib.zip', import.meta.url));
const scratch = tempDirectory();
const at = (name: string): string => join(scratch, name);

/** Entries of most kinds: a directory, executables, links stored and deflated, a name that is not ASCII. */
const bundle = packZip({
  'deps/': { mode: 0o040755 },
  'deps/run.sh': { mode: 0o100755, content: '#!/bin/sh\necho run\n' },
  'deps/lib.so.1': { mode: 0o100644, content: 'library', level: 0 },
  'deps/lib.so': { mode: 0o120777, content: 'lib.so.1', level: 0 },
  'deps/up': { mode: 0o120777, content: '../elsewhere/'.repeat(20) },
  'naïve/文.txt': { mode: 0o100600, content: 'text' },
});
const bundleFacts: ManifestEntry[] = [
  { path: 'deps', type: 'directory', mode: 0o755 },
  { path: 'deps/run.sh', type: 'file', mode: 0o755, size: 19 },
  { path: 'deps/lib.so.1', type: 'file', mode: 0o644, size: 7 },
  { path: 'deps/lib.so', type: 'symlink', mode: 0o777, linkTarget: 'lib.so.1' },
  { path: 'deps/up', type: 'symlink', mode: 0o777, linkTarget: '../elsewhere/'.repeat(20) },
  { path: 'naïve/文.txt', type: 'file', mode: 0o600, size: 4 },
];

/** What is known of the only entry of an archive. */
async function readOne(bytes: Uint8Array): Promise<ManifestEntry | undefined> {
  const facts = factsOf(await readZipManifest(bytes));
  assert.is(facts.length, 1);
  return facts[0];
}

/** Name, size, attributes and local offset of every entry as yauzl reads them. */
async function askYauzl(path: string): Promise<unknown[]> {
  const zip = await yauzl.fromBufferPromise(readFileSync(path), { strictFileNames: true });
  const entries: unknown[] = [];
  for await (const entry of zip.eachEntry()) {
    const { fileName, uncompressedSize, versionMadeBy, externalFileAttributes } = entry;
    const word = externalFileAttributes >>> 16;
    const isKnown = [3, 19].includes(versionMadeBy >>> 8) || word >>> 12 === 8;
    const mode = isKnown ? word & 0o7777 : 0;
    entries.push({ path: fileName.replace(/\/$/, ''), mode, uncompressedSize });
  }
  return entries;
}

/** Compare a manifest with what Python's zipfile and yauzl say of the archive. */
async function assertAgreed(path: string): Promise<Manifest> {
  const manifest = await readZipManifest(path);
  assert.equal(allFactsOf(manifest), askPython(path));
  const seen = await askYauzl(path);
  const read = manifest.entries.map(({ path: name, mode = 0, size, linkTarget }) => {
    return { path: name, mode, uncompressedSize: size ?? Buffer.byteLength(linkTarget ?? '') };
  });
  assert.equal(read, seen);
  return manifest;
}

/** Random inputs of a property. */
const RUNS = extent({ short: 400, full: 1500 });

const real = suite('zip: real archives');

real('the Python library that pyodide ships', async () => {
  const manifest = await assertAgreed(stdlib);
  assert.is(manifest.entries.length, 614);
  assert.is(manifest.entries.filter(({ mode = 0 }) => mode & 0o111).length, 50);
  assert.is(manifest.format, 'zip');
  assert.is(manifest.source, stdlib);
  assert.is([...manifest].length, 614);
  assert.is(await countReads(() => readZipManifest(stdlib)), 1);
});

real('bytes give the same as the file', async () => {
  const bytes = readFileSync(stdlib);
  const file = await readZipManifest(stdlib);
  const padded = new Uint8Array(bytes.length + 20);
  padded.set(bytes, 10);
  for (const source of [bytes, new Uint8Array(bytes), padded.subarray(10, -10)]) {
    const manifest = await readZipManifest(source);
    assert.equal(manifest.entries, file.entries);
    assert.is(manifest.source, undefined);
  }
});

real('an archive by fflate', async () => {
  assert.equal(factsOf(await readZipManifest(bundle)), bundleFacts);
  writeFileSync(at('bundle.zip'), bundle);
  await assertAgreed(at('bundle.zip'));
});

real('an archive by Python with every kind of entry', async () => {
  const script = `
with zipfile.ZipFile(path, 'w') as archive:
    archive.comment = b'a comment'
    archive.writestr(entry('d/', stat.S_IFDIR | 0o1755), b'')
    archive.writestr(entry('d/run', stat.S_IFREG | 0o4755), b'x' * 1000)
    archive.writestr(entry('d/stored', stat.S_IFREG | 0o640, method=zipfile.ZIP_STORED), b'stored')
    archive.writestr(entry('d/bzip2', stat.S_IFREG | 0o640, method=zipfile.ZIP_BZIP2), b'y' * 1000)
    archive.writestr(entry('d/link', stat.S_IFLNK | 0o777), b'run' )
    archive.writestr(entry('d/stored-link', stat.S_IFLNK | 0o755, method=zipfile.ZIP_STORED), '\\u00fc/x'.encode())
    archive.writestr(entry('fifo', stat.S_IFIFO | 0o600), b'')
    archive.writestr(entry('bits-only', 0o711), b'1')
    archive.writestr(entry('bits-only-directory/', 0o711), b'')
    archive.writestr(entry('no-mode'), b'1')
    archive.getinfo('no-mode').external_attr = 0
    archive.writestr(entry('mac', stat.S_IFREG | 0o755, system=19), b'1')
    archive.writestr(entry('dos', stat.S_IFREG | 0o755, system=0), b'1')
    archive.writestr(entry('dos-directory/', stat.S_IFDIR | 0o755, system=0), b'')
    archive.writestr(entry('ntfs-link', stat.S_IFLNK | 0o777, system=10), b'run')
    archive.writestr(entry('\\u65e5\\u672c/\\U0001f600', stat.S_IFREG | 0o644), b'')
    archive.writestr(entry('caf\\u00e9 \\u2593\\u00df', stat.S_IFREG | 0o644, encoding='cp437'), b'cp437')
    archive.writestr(entry('line\\nbreak \\x7f', stat.S_IFREG | 0o644), b'')
    archive.writestr(entry('empty', stat.S_IFREG | 0o000), b'')
    info = entry('commented', stat.S_IFREG | 0o600)
    info.comment = b'c' * 65535
    archive.writestr(info, b'1')
`;
  const path = makeWithPython(at('kinds.zip'), script);
  const manifest = await readZipManifest(path);
  // Python has one spelling of each name.
  const entries = allFactsOf(manifest).map(({ alternative: _, ...entry }) => entry);
  assert.equal(entries, askPython(path));
  const byPath = new Map(factsOf(manifest).map((entry) => [entry.path, entry]));
  const expected: ManifestEntry[] = [
    { path: 'd', type: 'directory', mode: 0o1755 },
    { path: 'd/run', type: 'file', mode: 0o4755, size: 1000 },
    { path: 'd/link', type: 'symlink', mode: 0o777, linkTarget: 'run' },
    { path: 'd/stored-link', type: 'symlink', mode: 0o755, linkTarget: 'ü/x' },
    { path: 'fifo', mode: 0o600 },
    { path: 'bits-only', type: 'file', mode: 0o711, size: 1 },
    { path: 'bits-only-directory', type: 'directory', mode: 0o711 },
    { path: 'no-mode', type: 'file', size: 1 },
    { path: 'mac', type: 'file', mode: 0o755, size: 1 },
    { path: 'dos', type: 'file', mode: 0o755, size: 1 },
    { path: 'dos-directory', type: 'directory' },
    { path: 'ntfs-link' },
    { path: '日本/😀', type: 'file', mode: 0o644, size: 0 },
    { path: 'café ▓ß', type: 'file', mode: 0o644, size: 5, alternative: 'caf\udc82 \udcb2\udce1' },
    { path: 'line\nbreak \x7f', type: 'file', mode: 0o644, size: 0, alternative: 'line◙break ⌂' },
    { path: 'empty', type: 'file', mode: 0, size: 0 },
  ];
  for (const entry of expected) assert.equal(byPath.get(entry.path), entry);
});

real('zip64 that no entry needs', async () => {
  const script = `
with zipfile.ZipFile(path, 'w') as archive:
    for name in ('a', 'b/c'):
        with archive.open(entry(name, stat.S_IFREG | 0o750), 'w', force_zip64=True) as out:
            out.write(name.encode() * 100)
`;
  await assertAgreed(makeWithPython(at('zip64.zip'), script));
});

/** More entries than the 16 bits of the end record count; its central directory is larger than any one read. */
const manyScript = `
with zipfile.ZipFile(path, 'w') as archive:
    for number in range(66000):
        archive.writestr(entry('directory/%02d/file-%05d' % (number % 40, number), stat.S_IFREG | 0o644 | number % 2, method=zipfile.ZIP_STORED), b'')
        if number % 10000 == 7: archive.writestr(entry('link-%d' % number, stat.S_IFLNK | 0o777), b'to/%d' % number)
`;
let many = '';
real.before(() => {
  many = makeWithPython(at('many.zip'), manyScript);
});

real('66,000 entries (zip64), in few reads', async () => {
  let facts: ManifestEntry[] = [];
  const reads = await countReads(async () => {
    facts = allFactsOf(await readZipManifest(many));
  });
  assert.is(facts.length, 66_007);
  // No diff of megabytes where they differ.
  assert.ok(JSON.stringify(facts) === JSON.stringify(askPython(many)), 'Python reads the same');
  // 8 for the central directory of 5 MB, one for each link, and some for the end.
  assert.ok(reads > 5 && reads < 30, `${reads} reads`);
});

real('66,000 entries behind a prefix that the offsets do not count', async () => {
  const bytes = readFileSync(many);
  const facts = JSON.stringify((await readZipManifest(bytes)).entries);
  const other = Buffer.from(bytes.toString('latin1').replaceAll('directory/', 'something/'), 'latin1');
  for (const prefix of [Buffer.alloc(5000, '#'), other]) {
    writeFileSync(at('many-prefixed.zip'), Buffer.concat([prefix, bytes]));
    const prefixed = await readZipManifest(at('many-prefixed.zip'));
    assert.ok(JSON.stringify(prefixed.entries) === facts, 'the prefix changes nothing');
  }
});

real('a zip64 end record with an extensible data sector', async () => {
  const bytes = readFileSync(many);
  const record = bytes.lastIndexOf('PK\x06\x06', undefined, 'latin1');
  const extended = Buffer.concat([
    bytes.subarray(0, record + 56),
    Buffer.alloc(10),
    bytes.subarray(record + 56),
  ]);
  extended.writeUInt32LE(44 + 10, record + 4);
  assert.is((await readZipManifest(extended)).entries.length, 66_007);
});

real('a zip64 end record with a central directory that is too large', async () => {
  const bytes = readFileSync(many);
  const record = bytes.lastIndexOf('PK\x06\x06', undefined, 'latin1');
  bytes.writeBigUInt64LE(bytes.readBigUInt64LE(record + 40) + 1n, record + 40);
  assert.match((await failureOf(readZipManifest(bytes))).message, /would not end before the end record/);
});

real('a zip64 end record and an end record that contradict each other', async () => {
  for (const [field, length] of [
    [10, 2],
    [12, 4],
    [16, 4],
  ] as const) {
    const bytes = readFileSync(many);
    const end = bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1');
    bytes.writeUIntLE(1, end + field, length);
    assert.match((await failureOf(readZipManifest(bytes))).message, /contradict each other$/, `${field}`);
  }
});

real('the event loop turns while a large archive is read', async () => {
  const bytes = readFileSync(many);
  const { setImmediate: original } = globalThis;
  let pauses = 0;
  globalThis.setImmediate = Object.assign((...parameters: Parameters<typeof original>) => {
    pauses += 1;
    return original(...parameters);
  }, original);
  try {
    await readZipManifest(bytes);
  } finally {
    globalThis.setImmediate = original;
  }
  assert.ok(pauses > 4, `${pauses} pauses`);
});

real.run();

/** How often files are read while an action runs. */
async function countReads(action: () => Promise<unknown>): Promise<number> {
  const handle = await open(stdlib);
  const prototype = Object.getPrototypeOf(handle) as Pick<FileHandle, 'read'>;
  await handle.close();
  const { read } = prototype;
  let reads = 0;
  prototype.read = function (this: FileHandle, ...parameters: unknown[]) {
    reads += 1;
    return Reflect.apply(read, this, parameters);
  } as typeof read;
  try {
    await action();
  } finally {
    prototype.read = read;
  }
  return reads;
}

const infoZip = suite('zip: archives by Info-ZIP');
const hasZip = hasCommand('zip') && hasCommand('unzip');
const withZip = hasZip ? infoZip : infoZip.skip;
if (!hasZip)
  process.stderr.write('zip and unzip are not installed: the specs of their archives are skipped\n');

infoZip.before(() => {
  if (!hasZip) return;
  mkdirSync(at('tree/d'), { recursive: true });
  writeFileSync(at('tree/d/run.sh'), '#!/bin/sh\n'.repeat(50));
  chmodSync(at('tree/d/run.sh'), 0o755);
  writeFileSync(at('tree/d/plain'), 'plain');
  chmodSync(at('tree/d/plain'), 0o640);
  symlinkSync('d/run.sh', at('tree/link'));
  symlinkSync('/nowhere/'.repeat(30), at('tree/dangling'));
  run('zip', ['-q', '-r', '-y', '../info.zip', '.'], at('tree'));
});

withZip('a tree with links, as Python and yauzl see it, and as unzip unpacks it', async () => {
  const manifest = await assertAgreed(at('info.zip'));
  const byPath = new Map(factsOf(manifest).map((entry) => [entry.path, entry]));
  assert.equal(byPath.get('d/run.sh'), { path: 'd/run.sh', type: 'file', mode: 0o755, size: 500 });
  assert.equal(byPath.get('link')?.linkTarget, 'd/run.sh');
  assert.equal(byPath.get('dangling')?.linkTarget, '/nowhere/'.repeat(30));
});

withZip('a self-extracting prefix, with offsets that do not count it and with offsets that do', async () => {
  const plain = await readZipManifest(at('info.zip'));
  const prefixed = Buffer.concat([Buffer.from('#!/bin/sh\nexec unzip "$0"\n'), readFileSync(at('info.zip'))]);
  writeFileSync(at('prefixed.zip'), prefixed);
  assert.equal((await readZipManifest(at('prefixed.zip'))).entries, plain.entries);
  copyFileSync(at('prefixed.zip'), at('adjusted.zip'));
  run('zip', ['-q', '-A', at('adjusted.zip')]);
  assert.not.equal(readFileSync(at('adjusted.zip')), prefixed);
  assert.equal((await readZipManifest(at('adjusted.zip'))).entries, plain.entries);
  assert.equal((await readManifest(at('adjusted.zip'))).entries, plain.entries);
});

withZip('encrypted entries are listed; what a link says cannot be known', async () => {
  run('zip', ['-q', '-r', '-y', '-P', 'secret', '../encrypted.zip', '.'], at('tree'));
  const plain = factsOf(await readZipManifest(at('info.zip')));
  const expected = plain.map(({ linkTarget: _, ...entry }) => entry);
  assert.equal(factsOf(await readZipManifest(at('encrypted.zip'))), expected);
});

const with7z = hasCommand('7z') ? infoZip : infoZip.skip;
if (!hasCommand('7z')) process.stderr.write('7z is not installed: the spec of AES is skipped\n');

with7z('what is encrypted as AE-2 has no digest, AE-1 has one', async () => {
  // 7-Zip writes AE-2 (vendor version 2), and no CRC-32.
  run('7z', ['a', '-tzip', '-mem=AES256', '-psecret', at('aes.zip'), 'd'], at('tree'));
  const read = async (bytes: Buffer) =>
    (await readZipManifest(bytes)).entries.filter(({ type }) => type === 'file');
  const files = await read(readFileSync(at('aes.zip')));
  assert.ok(files.some(({ size = 0 }) => size > 0));
  for (const { path, size = 0, digest } of files) assert.is(digest === undefined, size > 0, path);
  const ae1 = readFileSync(at('aes.zip'));
  const aes = Buffer.from([0x01, 0x99, 7, 0, 2, 0, 0x41, 0x45]);
  for (let at = ae1.indexOf(aes); at !== -1; at = ae1.indexOf(aes, at + 1)) ae1.writeUInt16LE(1, at + 4);
  for (const { path, digest } of await read(ae1)) assert.is(digest?.algorithm, 'crc32', path);
});

withZip('an archive comment, and one streamed through a pipe (zip64, data descriptors)', async () => {
  copyFileSync(at('info.zip'), at('commented.zip'));
  spawnSync('zip', ['-q', '-z', at('commented.zip')], { input: 'first line\nsecond line\n' });
  await assertAgreed(at('commented.zip'));
  const streamed = spawnSync('sh', ['-c', 'zip -q -r - d | cat > ../streamed.zip'], { cwd: at('tree') });
  assert.is(streamed.status, 0);
  await assertAgreed(at('streamed.zip'));
});

infoZip.run();

const forms = suite('zip: forms of an archive');

forms('no entries at all', async () => {
  const empty = Buffer.from(`PK\x05\x06${'\0'.repeat(18)}`, 'latin1');
  assert.equal(factsOf(await readZipManifest(empty)), []);
});

forms('the longest comment', async () => {
  const comment = Buffer.alloc(0xffff, 'PK\x05\x07 ');
  const commented = alter(bundle, (copy, end) => copy.writeUInt16LE(comment.length, end + 20));
  assert.equal(factsOf(await readZipManifest(Buffer.concat([commented, comment]))), bundleFacts);
});

forms('a prefix of every kind', async () => {
  const prefixes = [Buffer.from('M'), Buffer.alloc(70_000), bundle, readFileSync(stdlib)];
  for (const prefix of prefixes) {
    assert.equal(factsOf(await readZipManifest(Buffer.concat([prefix, bundle]))), bundleFacts);
  }
});

forms('a size beyond 32 bits, in the zip64 extra field', async () => {
  const zip64 = Buffer.alloc(8);
  zip64.writeBigUInt64LE(5_000_000_000n);
  const bytes = alter(
    packZip({ a: { mode: 0o100644, content: 'x', extra: { 1: zip64 } } }),
    (copy, _, header) => copy.writeUInt32LE(0xffffffff, header + 24),
  );
  assert.equal(await readOne(bytes), { path: 'a', type: 'file', mode: 0o644, size: 5_000_000_000 });
});

forms('a zip64 extra field of what does not fit, and nothing else', async () => {
  const content = 'x'.repeat(30);
  const zip64 = Buffer.alloc(8);
  zip64.writeUInt32LE(content.length);
  const entry = { mode: 0o100644, content, level: 0, extra: { 1: zip64 } } as const;
  const bytes = alter(packZip({ a: entry }), (copy, _, header) =>
    copy.writeUInt32LE(0xffffffff, header + 20),
  );
  assert.equal(await readOne(bytes), { path: 'a', type: 'file', mode: 0o644, size: 30 });
});

forms('the Unicode path extra field counts where its checksum is that of the name', async () => {
  const field = (name: string): Uint8Array => {
    const head = Buffer.alloc(5, 1);
    head.writeUInt32LE(crc32(name), 1);
    return Buffer.concat([head, Buffer.from('Ω.txt')]);
  };
  const right = packZip({ 'w.txt': { extra: { 28789: field('w.txt') } } });
  assert.is((await readOne(right))?.path, 'Ω.txt');
  const wrong = packZip({ 'w.txt': { extra: { 28789: field('v.txt') } } });
  assert.is((await readOne(wrong))?.path, 'w.txt');
});

forms(
  'a name that is said to be UTF-8 counts more than a Unicode path, and that is its other spelling',
  async () => {
    const head = Buffer.alloc(5, 1);
    head.writeUInt32LE(crc32(Buffer.from('é')), 1);
    const field = (name: string) => ({ extra: { 28789: Buffer.concat([head, Buffer.from(name)]) } });
    const facts = { path: 'é', type: 'file', size: 0 };
    assert.equal(await readOne(packZip({ é: field('Ω') })), { ...facts, alternative: 'Ω' });
    assert.equal(await readOne(packZip({ é: field('é') })), facts);
  },
);

forms('a name without the UTF-8 flag is CP437', async () => {
  const bytes = alter(packZip({ é: {} }), (copy, _, header) => copy.writeUInt16LE(0, header + 8));
  assert.is((await readOne(bytes))?.path, '├⌐');
});

forms('names that are spelled in another way', async () => {
  const bytes = packZip({ './a': { mode: 0o100755 }, './': { mode: 0o040700 }, 'b//': {}, 'c/./d': {} });
  assert.equal(factsOf(await readZipManifest(bytes)), [
    { path: 'a', type: 'file', mode: 0o755, size: 0 },
    { path: '.', type: 'directory', mode: 0o700 },
    { path: 'b', type: 'directory' },
    { path: 'c/d', type: 'file', size: 0 },
  ]);
});

forms('a file whose name ends in a slash is a directory', async () => {
  const bytes = packZip({ 'a/': { mode: 0o100755 } });
  assert.equal(await readOne(bytes), { path: 'a', type: 'directory', mode: 0o755 });
});

forms('a link that is not UTF-8 keeps its bytes', async () => {
  const bytes = alter(packZip({ l: { mode: 0o120777, content: 'abc', level: 0 } }), (copy, _, header) => {
    const content = Buffer.from([0x61, 0xff, 0x63]);
    content.copy(copy, copy.indexOf('abc'));
    copy.writeUInt32LE(crc32(content), header + 16);
  });
  assert.is((await readOne(bytes))?.linkTarget, 'a\udcffc');
});

forms('a link compressed in a way that is not known has no target', async () => {
  const link = packZip({ l: { mode: 0o120777, content: 'a'.repeat(50) } });
  const bytes = alter(link, (copy, _, header) => copy.writeUInt16LE(12, header + 10));
  assert.equal(await readOne(bytes), { path: 'l', type: 'symlink', mode: 0o777 });
});

forms('a link of the greatest length', async () => {
  for (const level of [0, 6] as const) {
    const content = 'abcdefgh'.repeat(512);
    assert.is((await readOne(packZip({ l: { mode: 0o120777, content, level } })))?.linkTarget, content);
  }
});

forms('an entry twice with the same facts stands once', async () => {
  const twice = `
with zipfile.ZipFile(path, 'w') as archive:
    for content in (b'same', b'size', b'here'):
        archive.writestr(entry('a', stat.S_IFREG | 0o644), content)
    for _ in range(2): archive.writestr(entry('l', stat.S_IFLNK | 0o777), b'a')
`;
  const manifest = await readZipManifest(makeWithPython(at('twice.zip'), twice));
  assert.equal(
    manifest.entries.map(({ path }) => path),
    ['a', 'l'],
  );
});

forms.run();

const broken = suite('zip: broken and hostile archives');

broken('a path that is a file and a directory', async () => {
  const path = at('both.zip');
  writeFileSync(path, packZip({ a: { mode: 0o100644 }, 'a/': { mode: 0o040755 } }));
  const error = await failureOf(readZipManifest(path));
  assert.match(error.message, /path "a": is listed twice with different facts: type "file" and "directory"/);
  assert.is(error.path, 'a');
  assert.is(error.source, path);
  assert.is(error.code, 'ERR_PERMWALK_MANIFEST');
});

const badNames: [name: string, fault: RegExp][] = [
  ['../evil', /path "\.\.\/evil" has a "\.\." component/],
  ['a/../../b', /has a "\.\." component/],
  ['a/..', /has a "\.\." component/],
  ['/etc/cron.d/x', /path "\/etc\/cron\.d\/x" is absolute/],
  ['C:/x', /starts with a drive letter/],
  ['c:', /starts with a drive letter/],
  ['c:\\x', /starts with a drive letter/],
  ['a\0b', /path "a\\u0000b" contains a NUL/],
];
for (const [name, fault] of badNames) {
  broken(`the name ${JSON.stringify(name)}`, async () => {
    const error = await failureOf(readZipManifest(packZip({ 'good.txt': {}, [name]: { mode: 0o100644 } })));
    assert.match(error.message, fault);
    assert.is(error.path, name);
  });
}

broken('a name that the Unicode path extra field makes hostile', async () => {
  const head = Buffer.alloc(5, 1);
  head.writeUInt32LE(crc32('good'), 1);
  const extra = { 28789: Buffer.concat([head, Buffer.from('../evil')]) };
  assert.match((await failureOf(readZipManifest(packZip({ good: { extra } })))).message, /"\.\.\/evil" has/);
});

broken('no name', async () => {
  const bytes = alter(packZip({ a: {} }), (copy, end, header) => {
    copy.writeUInt16LE(0, header + 28);
    copy.writeUInt16LE(1, header + 32);
    copy.writeUInt32LE(end - header, end + 12);
  });
  assert.match((await failureOf(readZipManifest(bytes))).message, /path "" is empty/);
});

/** Archives with one field changed, each in the one place that must be found. */
const alterations: [what: string, bytes: () => Buffer, fault: RegExp][] = [
  [
    'a stored entry with two sizes',
    () => change('stored', (copy, header) => copy.writeUInt32LE(6, header + 24)),
    /^entry 1 \("a"\) at offset \d+: is stored, and states two sizes: 5 and 6 bytes$/,
  ],
  [
    'a stored encrypted entry with two sizes',
    () => change('stored', (copy, header) => copy.writeUInt16LE(1, header + 8)),
    /two sizes: 5 and 17 bytes/,
  ],
  [
    'data beyond the file',
    () => change('deflated', (copy, header) => copy.writeUInt32LE(0x7fffffff, header + 20)),
    /entry 1 \("a"\) at offset \d+: states 2147483647 bytes of data after a header at offset 0/,
  ],
  [
    'a local header beyond the file',
    () => change('deflated', (copy, header) => copy.writeUInt32LE(0xfffffffe, header + 42)),
    /header at offset 4294967294, but the central directory begins at/,
  ],
  [
    'a local header in the central directory',
    () => change('deflated', (copy, header) => copy.writeUInt32LE(header, header + 42)),
    /but the central directory begins at/,
  ],
  [
    'a local header in the central directory, behind a prefix',
    () => {
      const bytes = change('deflated', (copy, header) => copy.writeUInt32LE(header, header + 42));
      return Buffer.concat([Buffer.alloc(1000), bytes]);
    },
    /header at offset 10\d\d, but the central directory begins at 10\d\d/,
  ],
  [
    'strong encryption',
    () => change('deflated', (copy, header) => copy.writeUInt16LE(0x41, header + 8)),
    /entry 1 \("a"\) at offset \d+: is strongly encrypted/,
  ],
  [
    'masked headers',
    () => change('deflated', (copy, header) => copy.writeUInt16LE(0x2000, header + 8)),
    /is strongly encrypted/,
  ],
  [
    'no header where one should be',
    () => change('deflated', (copy, header) => copy.writeUInt8(0, header + 2)),
    /^entry 1 at offset \d+: is not a central directory header: its signature is 0x2004b50$/,
  ],
  [
    'a name longer than the central directory',
    () => change('deflated', (copy, header) => copy.writeUInt16LE(0xffff, header + 28)),
    /entry 1 at offset \d+: would end after the central directory/,
  ],
  [
    'a comment longer than the central directory',
    () => change('deflated', (copy, header) => copy.writeUInt16LE(1, header + 32)),
    /would end after the central directory/,
  ],
  [
    'a size that the zip64 extra field should have, and has not',
    () => {
      const extra = { 1: new Uint8Array(8) };
      return alter(packZip({ a: { extra } }), (copy, _, header) => copy.fill(0xff, header + 20, header + 28));
    },
    /entry 1 at offset \d+: has a zip64 extra field without its compressed size/,
  ],
  [
    'a size that no number can hold',
    () => {
      const extra = { 1: new Uint8Array(8).fill(0xff) };
      return alter(packZip({ a: { extra } }), (copy, _, header) => copy.fill(0xff, header + 24, header + 28));
    },
    /path "a": size 18446744073709552000 is not/,
  ],
  [
    'an extra field longer than all extra fields',
    () => {
      const extra = { 21845: new Uint8Array(4) };
      return alter(packZip({ a: { extra } }), (copy, _, header) =>
        copy.writeUInt16LE(5, header + 46 + 1 + 2),
      );
    },
    /entry 1 at offset \d+: has an extra field that is longer than the space for extra fields/,
  ],
  [
    'more entries than there are',
    () => alter(bundle, (copy, end) => copy.writeUInt16LE(7, end + 10)),
    /^states 7 entries, but its central directory has 6: it is broken$/,
  ],
  [
    'fewer entries than there are',
    () => alter(bundle, (copy, end) => copy.writeUInt16LE(5, end + 10)),
    /^states 5 entries, but its central directory has 6: it is broken$/,
  ],
  [
    'no entries, with a central directory',
    () => alter(bundle, (copy, end) => copy.writeUInt16LE(0, end + 10)),
    /^states 0 entries, but its central directory has 6/,
  ],
  [
    'a central directory larger than the file',
    () => alter(bundle, (copy, end) => copy.writeUInt32LE(0xfffffff0, end + 12)),
    /has a central directory of 4294967280 bytes at offset \d+ that would not end before the end record/,
  ],
  [
    'a central directory beyond the file',
    () => alter(bundle, (copy, end) => copy.writeUInt32LE(0xfffffff0, end + 16)),
    /bytes at offset 4294967280 that would not end before/,
  ],
  [
    'a central directory that begins too early',
    () =>
      alter(bundle, (copy, end) => {
        copy.writeUInt32LE(copy.readUInt32LE(end + 16) - 10, end + 16);
        copy.writeUInt32LE(copy.readUInt32LE(end + 12) + 10, end + 12);
      }),
    /entry 1 at offset \d+: is not a central directory header/,
  ],
  [
    'several disks',
    () => alter(bundle, (copy, end) => copy.writeUInt16LE(3, end + 4)),
    /is one part of an archive that was split into 4: join them first/,
  ],
  [
    'a zip64 locator that leads nowhere',
    () => withLocator(10n),
    /no zip64 end of central directory record at offset 10$/,
  ],
  [
    'a zip64 locator that leads beyond the file',
    () => withLocator(2n ** 60n),
    /no zip64 end .* at offset 1152921504606847000/,
  ],
  ['a lone local header', () => Buffer.from('PK\x03\x04', 'latin1'), /no end of central directory record/],
  ['nothing', () => Buffer.alloc(0), /no end of central directory record/],
];
for (const [what, bytes, fault] of alterations) {
  broken(what, async () => {
    assert.match((await failureOf(readZipManifest(bytes()))).message, fault);
  });
}

/** The bundle with a zip64 locator that says where a record is that it has not. */
function withLocator(offset: bigint): Buffer {
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeBigUInt64LE(offset, 8);
  const { end } = findRecords(bundle);
  return Buffer.concat([bundle.subarray(0, end), locator, bundle.subarray(end)]);
}

/** An archive of one file of five bytes, with its header changed. */
function change(form: 'stored' | 'deflated', action: (copy: Buffer, header: number) => void): Buffer {
  const entry = { mode: 0o100644, content: 'aaaaa', level: form === 'stored' ? 0 : 6 } as const;
  return alter(packZip({ a: entry }), (copy, _, header) => action(copy, header));
}

/** An archive of one link with content of our own making, deflated. */
function linkWith(deflated: Buffer, size: number, checksum: number): Buffer {
  const placeholder = Buffer.alloc(deflated.length, '#').toString();
  const stored = packZip({ l: { mode: 0o120777, content: placeholder, level: 0 } });
  return alter(stored, (copy, _, header) => {
    deflated.copy(copy, copy.indexOf(placeholder));
    copy.writeUInt16LE(8, header + 10);
    copy.writeUInt32LE(checksum, header + 16);
    copy.writeUInt32LE(size, header + 24);
  });
}

const target = Buffer.from('to/somewhere');
const deflatedTarget = deflateRawSync(target);
const links: [what: string, bytes: () => Buffer, fault: RegExp][] = [
  ['is longer than it says', () => linkWith(deflatedTarget, 5, crc32(target)), /of 5 bytes, but it has 12/],
  [
    'is shorter than it says',
    () => linkWith(deflatedTarget, 13, crc32(target)),
    /of 13 bytes, but it has 12/,
  ],
  ['has another checksum', () => linkWith(deflatedTarget, 12, 7), /CRC-32 is not the stated one/],
  [
    'is cut off',
    () => linkWith(deflatedTarget.subarray(0, 6), 12, crc32(target)),
    /^entry 1 \("l"\) at offset \d+: unexpected end of file$/,
  ],
  [
    'is no deflated data',
    () => linkWith(Buffer.alloc(20, 0xff), 12, 0),
    /entry 1 \("l"\) at offset \d+: invalid/,
  ],
  [
    'says that it has more bytes than a path may have',
    () => packZip({ l: { mode: 0o120777, content: 'x'.repeat(4097) } }),
    /states a link target of 4097 bytes in \d+, but a link has at most 4096/,
  ],
  [
    'is a bomb that says it is small',
    () => linkWith(deflateRawSync(Buffer.alloc(8_000_000)), 10, 0),
    /entry 1 \("l"\) at offset \d+: Cannot create a Buffer larger than 4096 bytes/,
  ],
  [
    'has more data than its size allows',
    () => linkWith(Buffer.alloc(9000), 12, 0),
    /states a link target of 12 bytes in 9000/,
  ],
  ['is empty', () => packZip({ l: { mode: 0o120777, content: '' } }), /path "l": link target "" is not/],
  ['has a NUL', () => packZip({ l: { mode: 0o120777, content: 'a\0b' } }), /link target "a\\u0000b" is not/],
  [
    'lies behind a broken local header',
    () => alter(packZip({ l: { mode: 0o120777, content: 'x' } }), (copy) => copy.writeUInt8(0, 1)),
    /entry 1 \("l"\) at offset \d+: invalid local file header signature/,
  ],
  [
    'lies behind a local header with a name longer than the file',
    () => alter(packZip({ l: { mode: 0o120777, content: 'x' } }), (copy) => copy.writeUInt16LE(0xffff, 26)),
    /entry 1 \("l"\) at offset \d+: file data overflows file bounds/,
  ],
];
for (const [what, bytes, fault] of links) {
  broken(`a link that ${what}`, async () => {
    assert.match((await failureOf(readZipManifest(bytes()))).message, fault);
  });
}

broken('the cause is what zlib found', async () => {
  const cut = await failureOf(readZipManifest(linkWith(deflatedTarget.subarray(0, 6), 12, 0)));
  assert.is((cut.cause as NodeJS.ErrnoException).code, 'Z_BUF_ERROR');
});

broken('cut off anywhere before the end of its end record', async () => {
  const { end } = findRecords(bundle);
  for (let length = 0; length < end + 22; length += 1) {
    const error = await failureOf(readZipManifest(bundle.subarray(0, length)));
    assert.match(error.message, /no end of central directory record/, `${length} bytes`);
  }
});

broken('cut off at the beginning', async () => {
  const { end } = findRecords(bundle);
  for (let start = 1; start <= end; start += 1) {
    assert.match((await failureOf(readZipManifest(bundle.subarray(start)))).message, /would not end before/);
  }
});

broken('any bytes changed give a manifest or a ManifestError', async () => {
  const changes = fc.array(fc.tuple(fc.nat({ max: bundle.length - 1 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 8,
  });
  let refused = 0;
  const property = fc.asyncProperty(changes, async (list) => {
    const bytes = Buffer.from(bundle);
    for (const [position, value] of list) bytes[position] = value;
    try {
      await readZipManifest(bytes);
    } catch (error) {
      assert.instance(error, ManifestError, `${(error as Error).stack}`);
      refused += 1;
    }
  });
  await fc.assert(property, { numRuns: RUNS });
  assert.ok(refused > RUNS / 10, `${refused} refused`);
});

broken('any change of one byte of a header gives a manifest or a ManifestError', async () => {
  const small = packZip({ l: { mode: 0o120777, content: 'target' }, 'd/': { mode: 0o040755 } });
  for (let position = 0; position < small.length; position += 1) {
    for (const value of [0x00, 0x01, 0x2f, 0x7f, 0xff]) {
      const bytes = Buffer.from(small);
      bytes[position] = value;
      await readZipManifest(bytes).catch((error) => assert.instance(error, ManifestError, `${error.stack}`));
    }
  }
});

broken.run();

const files = suite('zip: files that cannot be read');

/** How many descriptors this process has open. */
function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

files('a file that is not there', async () => {
  for (const read of [readZipManifest, readManifest]) {
    const error = await failureOf(read(at('none.zip')));
    assert.is(error.code, 'ENOENT');
    assert.match(error.message, /none\.zip: cannot be read: ENOENT: no such file/);
    assert.is((error.cause as NodeJS.ErrnoException).code, 'ENOENT');
    assert.is(error.source, at('none.zip'));
  }
});

files('a directory', async () => {
  const error = await failureOf(readZipManifest(scratch));
  assert.is(error.code, 'EISDIR');
  assert.match(error.message, /cannot be read: EISDIR/);
});

files('a file without read permission', async () => {
  writeFileSync(at('locked.zip'), bundle);
  chmodSync(at('locked.zip'), 0o000);
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    assert.is((await failureOf(readZipManifest(at('locked.zip')))).code, 'EACCES');
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

files('a FIFO, without waiting for its writer', async () => {
  run('mkfifo', [at('fifo')]);
  assert.match((await failureOf(readZipManifest(at('fifo')))).message, /fifo: is not a regular file/);
});

files('neither a path nor bytes', async () => {
  for (const source of [undefined, null, 7, {}, new URL('file:///x.zip'), [1, 2]]) {
    try {
      await readZipManifest(source as unknown as string);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, TypeError);
      assert.match((error as Error).message, /source: expected a path or bytes/);
    }
  }
});

files('no descriptor stays open, whatever fails', async () => {
  if (process.platform !== 'linux') return;
  const before = openFiles();
  const archives = [...alterations, ...links].map(([, bytes]) => bytes());
  for (const [index, bytes] of [bundle, ...archives].entries()) {
    const path = at(`leak-${index}.zip`);
    writeFileSync(path, bytes);
    const outcome = await readManifest(path).then(
      () => 'read',
      () => 'refused',
    );
    assert.is(outcome, index === 0 ? 'read' : 'refused');
  }
  for (const path of [scratch, at('none.zip'), at('fifo')]) await failureOf(readZipManifest(path));
  assert.is(openFiles(), before);
});

files.run();

const recognised = suite('readManifest: by content');

/** A file of the scratch directory with this content. */
function fileWith(name: string, content: string | Uint8Array): string {
  writeFileSync(at(name), content);
  return at(name);
}

recognised('a zip archive under any name', async () => {
  for (const name of ['bundle.mcpb', 'bundle.whl', 'RECORD', 'list.txt', 'bundle.tar.gz']) {
    assert.equal(factsOf(await readManifest(fileWith(name, bundle))), bundleFacts);
  }
});

recognised('a zip archive behind a prefix', async () => {
  for (const prefix of ['#!/bin/sh\n', 'MZ\0\0', '\x1f\x8b', 'a/b\nc/d\n']) {
    const path = fileWith('prefixed', Buffer.concat([Buffer.from(prefix, 'latin1'), bundle]));
    assert.equal(factsOf(await readManifest(path)), bundleFacts);
  }
});

recognised('a zip archive without entries', async () => {
  const path = fileWith('no-entries', Buffer.from(`PK\x05\x06${'\0'.repeat(18)}`, 'latin1'));
  assert.equal(factsOf(await readManifest(path)), []);
});

recognised('a zip archive that is cut off', async () => {
  const path = fileWith('cut.zip', bundle.subarray(0, -10));
  assert.match((await failureOf(readManifest(path))).message, /no end of central directory record/);
});

const others: [what: string, content: string | Uint8Array, seen: RegExp][] = [
  ['nothing', '', /: is an empty file; a manifest is read from a zip archive/],
  ['gzip', gzipSync('x'), /: is gzip-compressed: text, but not a list of paths;/],
  ['zstd', Buffer.from('28b52ffd00', 'hex'), /zstd/],
  ['xz', Buffer.from('fd377a585a00', 'hex'), /: is xz-compressed data;/],
  ['a program', '\x7fELF\x02\x01', /: is an ELF program;/],
  ['text that is no list of paths', 'deps\trun.sh\n', /: is text, but not a list of paths;/],
  ['text that is cut in a character', `\t${'x'.repeat(510)}é`, /: is text, but not a list of paths;/],
  ['other data', Buffer.from('0001feff', 'hex'), /: is data that begins with the bytes 00 01 fe ff;/],
  ['the signature of an end record alone', 'PK\x05\x06', /cut off/],
];
for (const [what, content, seen] of others) {
  recognised(`${what} is named`, async () => {
    const error = await failureOf(readManifest(fileWith('other', content)));
    assert.match(error.message, seen);
    assert.is(error.source, at('other'));
  });
}

recognised.run();
