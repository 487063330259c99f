import { Buffer } from 'node:buffer';
import {
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { DOS_DIRECTORY, FAT, LINK, REGULAR, rawZip } from '../helpers/raw-zip.ts';
import { packTar, paxHeader } from '../helpers/tar.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasCommand, makeWithPython, packZip, run } from '../helpers/zip.ts';

/** One input for readManifest. */
export interface Sample {
  /** What the file is called; that of a RECORD in a `.dist-info` directory has a `/`. */
  name: string;
  bytes: Buffer;
}

const bundleManifest = JSON.stringify({
  name: 'bundle',
  server: { type: 'binary', entry_point: 'bin/run', mcp_config: { command: `\${__dirname}/bin/run` } },
});
const record = [
  'package/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0',
  '"package/a ""quoted"", name.py",sha256=2jmj7l5rSw0yVb_vlWAYkK_YBwkfUvG0lyj0Zo8eN4s,12',
  '../../../bin/run,sha256=2jmj7l5rSw0yVb_vlWAYkK_YBwkfUvG0lyj0Zo8eN4s,220',
  'package-1.0.dist-info/RECORD,,',
  '',
].join('\r\n');
/** mtree(5), as NetBSD writes it, and as libarchive does. */
const netbsdMtree = `#\t   user: someone

/set type=file uid=0 mode=0644 nlink=1
.               type=dir mode=0755 time=1700000000.0
    a\\sb        mode=04755 size=3 \\
                sha256=${'ab'.repeat(32)}
    caf\\M-C\\M-)\\^A\\#\\012 size=1 optional
    link        type=link mode=u=rwx,go=rx link=a\\sb
d               type=dir ignore
    /unset mode
    f           nochange
..
..
`;
const libarchiveMtree = `#mtree
. mode=755 type=dir
./a\\040b mode=4755 type=file nlink=2 size=3 cksum=7 md5digest=${'11'.repeat(16)} sha256digest=${'ab'.repeat(32)}
./caf\\303\\251 mode=644 type=file size=1 contents=/etc/passwd
./link type=link mode=777 link=a\\040b
./dev type=char resdevice=native,1,3
`;
const list = ['bin/run', 'lib/', 'lib/a file', 'lib/\u00fc', '.hidden', ''];

/** A tree that has everything that archives have entries for. */
function makeSource(): string {
  const root = makeTree({
    'bin/run': { mode: 0o755, content: '#!/bin/sh\n' },
    'lib/data': 'x'.repeat(3000),
    'lib/empty': '',
    [`lib/${'long-name-'.repeat(12)}/${'n'.repeat(120)}`]: 'long',
    'lib/\u00fc \u6f22': 'not ASCII',
    'lib/link': '-> data',
    [`lib/${'l'.repeat(101)}`]: `-> ${'t'.repeat(120)}`,
    'manifest.json': bundleManifest,
    'empty/': 0o700,
  });
  run('mkfifo', [join(root, 'lib/fifo')]);
  linkSync(join(root, 'bin/run'), join(root, 'lib/run'));
  writeFileSync(join(root, 'sparse'), 'begin');
  truncateSync(join(root, 'sparse'), 1 << 16);
  const everything = readdirSync(root, { recursive: true, encoding: 'utf8' });
  // The same input must come again from the same seed.
  for (const path of [...everything, '.']) lutimesSync(join(root, path), 1_700_000_000, 1_700_000_000);
  return root;
}

/** Archives, as the tools of this machine make them. */
function makeArchives(directory: string, source: string): void {
  const into = (name: string): string => join(directory, name);
  const names = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.includes('fifo') && path !== 'sparse')
    .sort();
  if (hasCommand('zip')) {
    run('zip', ['-qyX', into('zip.zip'), ...names], source);
    run('zip', ['-qyX', '-fz', into('zip64.zip'), ...names], source);
    run('sh', ['-c', 'printf streamed | zip -qX - - > "$1"', 'sh', into('descriptor.zip')], source);
    run('zip', ['-qyX', '-P', 'secret', into('encrypted.zip'), ...names], source);
  }
  if (hasCommand('bsdtar')) {
    const options = ['--format=zip', '-cf', into('libarchive.zip'), ...names];
    run('bsdtar', options, source);
  }
  if (hasCommand('python3')) {
    makeWithPython(
      into('python.zip'),
      `
with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr(entry('b\\u00e9', 0o100644), 'x')
    archive.writestr(entry('link', 0o120777), 'b')
    archive.writestr(entry('cp437\\u00e9', 0o100600, encoding='cp437'), '')
    archive.comment = b'a comment'
`,
    );
  }
  const tar = (name: string, ...options: string[]): void => {
    run('tar', ['--sort=name', '--owner=0', '--group=0', ...options, '-cf', into(name), '.'], source);
  };
  // The two old formats have no room for long names.
  for (const format of ['ustar', 'v7']) tar(`${format}.tar`, `--format=${format}`, '--exclude=l*');
  const withoutTimes = '--pax-option=delete=atime,delete=ctime';
  tar('pax.tar', '--format=pax', withoutTimes);
  tar('gnu.tar', '--format=gnu');
  tar('sparse-gnu.tar', '--format=gnu', '--sparse', '--exclude=lib');
  for (const version of ['0.0', '0.1', '1.0']) {
    const sparse = ['--sparse', `--sparse-version=${version}`, withoutTimes];
    tar(`sparse-${version}.tar`, '--format=pax', '--exclude=lib', ...sparse);
  }
  run('sh', ['-c', 'gzip -nc "$1" > "$2"', 'sh', into('pax.tar'), into('pax.tgz')]);
  run('sh', ['-c', 'gzip -nc "$1" > "$2"', 'sh', into('sparse-gnu.tar'), into('gnu.tgz')]);
  if (hasCommand('zstd')) run('zstd', ['-q', into('gnu.tar'), '-o', into('gnu.tar.zst')]);
  writeFileSync(into('pax.tar.br'), brotliCompressSync(readFileSync(into('pax.tar'))));
}

/** Archives that have in them whatever is odd and read all the same. */
function makeOdd(directory: string): void {
  const into = (name: string): string => join(directory, name);
  const zip = rawZip(
    [
      { name: 'folder\\sub\\', system: FAT },
      { name: 'folder\\sub\\file', system: FAT, mode: REGULAR | 0o755, content: 'x' },
      { name: 'dos', system: FAT, attributes: DOS_DIRECTORY },
      { name: 'Cafe\u0301', mode: REGULAR | 0o755, content: 'x' },
      { name: 'Cafe\u0301', flags: 1 << 11, mode: REGULAR | 0o755, content: 'yy' },
      { name: '__MACOSX/._x', mode: REGULAR | 0o644 },
      { name: 'link', system: FAT, mode: LINK | 0o777, content: 'dos' },
      { name: 'B::C', mode: REGULAR },
    ],
    { comment: Buffer.from('a comment'), tail: Buffer.from('junk') },
  );
  writeFileSync(into('odd.zip'), zip);
  const tar = packTar([
    { name: 'bin/busybox', mode: '0000755', content: 'hi' },
    { name: 'bin/true', flag: '1', link: '/bin/busybox' },
    { name: '._a', content: 'x' },
    { name: 'a', content: 'x' },
    { name: 'l', flag: '2', link: 'a', content: 'content' },
    paxHeader({ path: 'Cafe\u0301' }),
    { name: 'x' },
  ]);
  writeFileSync(into('odd.tar'), tar.subarray(0, -1024));
}

/** Make one file of each kind that readManifest reads in a directory. */
export function makeCorpus(directory: string): void {
  const into = (name: string): string => join(directory, name);
  makeArchives(directory, makeSource());
  const bundle = packZip({
    'manifest.json': { content: bundleManifest },
    'bin/run': { content: '#!/bin/sh\n', mode: 0o100644 },
    'lib/link': { content: '../bin/run', mode: 0o120777, level: 0 },
  });
  writeFileSync(into('bundle.mcpb'), bundle);
  const signature = Buffer.from('0000signature');
  signature.writeUInt32LE('signature'.length);
  const signed = ['MCPB_SIG_V1', signature, 'MCPB_SIG_END'].map((part) => Buffer.from(part as string));
  writeFileSync(into('signed.mcpb'), Buffer.concat([bundle, ...signed]));
  writeFileSync(into('self-extracting.zip'), Buffer.concat([Buffer.from('#!/bin/sh\nexit\n'), bundle]));
  makeOdd(directory);
  writeFileSync(into('RECORD'), record);
  mkdirSync(into('package-1.0.dist-info'));
  writeFileSync(into('package-1.0.dist-info/RECORD'), record);
  writeFileSync(into('netbsd.mtree'), netbsdMtree);
  writeFileSync(into('libarchive.mtree'), libarchiveMtree);
  writeFileSync(into('lines'), list.join('\n'));
  writeFileSync(into('nul'), list.join('\0'));
  writeFileSync(into('paths.json'), JSON.stringify(list.filter(Boolean), undefined, 1));
  const entries = [
    { path: 'a', type: 'file', mode: 0o755, size: 12 },
    { path: 'b/', mode: 0 },
    { path: 'c', type: 'symlink', linkTarget: 'a' },
    { path: 'd', digest: { algorithm: 'sha256', value: 'ab'.repeat(32) }, nlink: 2 },
  ];
  writeFileSync(into('entries.json'), JSON.stringify(entries));
}

/** What {@link makeCorpus} made. */
export function readCorpus(directory: string): Sample[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ name: path.slice(directory.length + 1), bytes: readFileSync(path) }));
}
