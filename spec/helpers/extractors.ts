/**
 * Extractors as their users call them, and archives made with zip and tar.
 *
 * What each does alone is in the table, and the specs hold it against the disk: it is the evidence of the table in `docs/extractors.md`.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import AdmZip from 'adm-zip';
import decompress from 'decompress';
import extractZip from 'extract-zip';
import { unzipSync } from 'fflate';
import JSZip from 'jszip';
import StreamZip from 'node-stream-zip';
import * as tar from 'tar';
import tarFs from 'tar-fs';
import unzipper from 'unzipper';
import yauzl from 'yauzl';
import * as zipLib from 'zip-lib';
import { makeTree, type TreeShape, tempDirectory } from './tree.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** `links.zip` has no entries of directories, `plain.zip` has no links either. */
export type ArchiveName = 'bundle.zip' | 'links.zip' | 'plain.zip' | 'bundle.tar' | 'bundle.tgz';

const zips = ['bundle.zip', 'plain.zip'] as const;
const tars = ['bundle.tar', 'bundle.tgz'] as const;

/** Executables of every archive, 0755. */
export const executables = ['bin/tool', 'server/run'];
/** Data of every archive, 0644. */
export const data = ['manifest.json', 'server/empty', 'server/lib/deep/data.bin'];
/** Links of every archive but the plain one, to a file and to a directory. */
export const links = { 'bin/run': '../server/run', 'server/current': 'lib' };

const shape: TreeShape = {
  'bin/tool': { content: '#!/bin/sh\n'.repeat(20_000), mode: 0o755 },
  'server/run': { content: '#!/bin/sh\nexec true\n', mode: 0o755 },
  'manifest.json': { content: '{ "name": "example" }\n', mode: 0o644 },
  'server/empty': { content: '', mode: 0o644 },
  'server/lib/deep/data.bin': { content: '\0data'.repeat(100_000), mode: 0o644 },
};

/** What has to be installed for an archive to be made. */
export const makers: Record<ArchiveName, string> = {
  'bundle.zip': 'zip',
  'links.zip': 'zip',
  'plain.zip': 'zip',
  'bundle.tar': 'tar',
  'bundle.tgz': 'tar',
};

/** Make an archive with the tool that its users make it with. */
export function makeArchive(name: ArchiveName): string {
  const withLinks = Object.entries(links).map(([path, target]) => [path, `-> ${target}`]);
  const tree = makeTree(name === 'plain.zip' ? shape : { ...shape, ...Object.fromEntries(withLinks) });
  const archive = join(tempDirectory(), name);
  const [command, ...flags] = {
    'bundle.zip': ['zip', '-q', '-r', '-y', archive, '.'],
    'links.zip': ['zip', '-q', '-r', '-y', '-D', archive, '.'],
    'plain.zip': ['zip', '-q', '-r', '-D', archive, '.'],
    'bundle.tar': ['tar', '-c', '-f', archive, '.'],
    'bundle.tgz': ['tar', '-c', '-z', '-f', archive, '.'],
  }[name] as [string, ...string[]];
  execFileSync(command, flags, { cwd: tree });
  return archive;
}

/** What is left of the archive when the extractor is done. */
export interface Alone {
  executables: 'kept' | 'lost';
  links: 'kept' | 'flattened';
  /** Data that the archive marks 0644: `'open'`, where everybody may write to it afterwards. */
  data: 'kept' | 'open';
}

/** An extractor, around which the specs put permwalk. */
export interface TestedExtractor {
  name: string;
  takes: readonly ArchiveName[];
  alone: Alone;
  /** What has to be installed. */
  command?: string;
  extract(archive: string, directory: string): unknown;
}

const faithful: Alone = { executables: 'kept', links: 'kept', data: 'kept' };
const flattening: Alone = { ...faithful, links: 'flattened' };
const careless: Alone = { ...flattening, executables: 'lost' };

/** Write one entry of an archive that was unpacked in memory. */
async function writeEntry(directory: string, name: string, content: Uint8Array): Promise<void> {
  const path = join(directory, name);
  await mkdir(name.endsWith('/') ? path : dirname(path), { recursive: true });
  if (!name.endsWith('/')) await writeFile(path, content);
}

async function unzipByHand(archive: string, directory: string): Promise<void> {
  const zip = await yauzl.openPromise(archive);
  for await (const entry of zip.eachEntry()) {
    const path = join(directory, entry.fileName);
    const isDirectory = entry.fileName.endsWith('/');
    await mkdir(isDirectory ? path : dirname(path), { recursive: true });
    if (!isDirectory) await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path));
  }
}

export const extractors: TestedExtractor[] = [
  {
    name: 'extract-zip',
    takes: zips,
    alone: faithful,
    extract: (archive, directory) => extractZip(archive, { dir: directory }),
  },
  {
    name: 'adm-zip',
    takes: zips,
    alone: { ...careless, data: 'open' },
    extract: (archive, directory) => new AdmZip(archive).extractAllTo(directory),
  },
  {
    name: 'adm-zip, keepOriginalPermission',
    takes: zips,
    alone: flattening,
    extract: (archive, directory) => new AdmZip(archive).extractAllTo(directory, false, true),
  },
  {
    name: 'adm-zip, asynchronous',
    takes: zips,
    alone: { ...careless, data: 'open' },
    extract: (archive, directory) => new AdmZip(archive).extractAllToAsync(directory),
  },
  {
    name: 'unzipper Extract',
    takes: zips,
    alone: careless,
    extract: (archive, directory) => createReadStream(archive).pipe(unzipper.Extract({ path: directory })),
  },
  {
    name: 'unzipper Open',
    takes: zips,
    alone: careless,
    extract: async (archive, directory) => {
      const zip = await unzipper.Open.file(archive);
      await zip.extract({ path: directory, concurrency: 4 });
    },
  },
  {
    name: 'decompress',
    takes: [...zips, ...tars],
    alone: faithful,
    extract: (archive, directory) => decompress(archive, directory),
  },
  {
    name: 'fflate',
    takes: zips,
    alone: careless,
    extract: async (archive, directory) => {
      for (const [name, content] of Object.entries(unzipSync(readFileSync(archive)))) {
        await writeEntry(directory, name, content);
      }
    },
  },
  {
    name: 'jszip',
    takes: zips,
    alone: careless,
    extract: async (archive, directory) => {
      const zip = await JSZip.loadAsync(readFileSync(archive));
      for (const entry of Object.values(zip.files)) {
        await writeEntry(directory, entry.name, await entry.async('uint8array'));
      }
    },
  },
  {
    name: 'node-stream-zip',
    takes: zips,
    alone: careless,
    extract: async (archive, directory) => {
      const zip = new StreamZip.async({ file: archive });
      await zip.extract(null, directory);
      await zip.close();
    },
  },
  { name: 'yauzl, by hand', takes: zips, alone: careless, extract: unzipByHand },
  {
    name: 'zip-lib',
    takes: zips,
    alone: faithful,
    extract: (archive, directory) => zipLib.extract(archive, directory),
  },
  {
    name: 'tar.x, promise',
    takes: tars,
    alone: faithful,
    extract: (archive, directory) => tar.x({ file: archive, cwd: directory }),
  },
  {
    name: 'tar.x, stream',
    takes: tars,
    alone: faithful,
    extract: (archive, directory) => createReadStream(archive).pipe(tar.x({ cwd: directory })),
  },
  {
    name: 'tar-fs',
    takes: ['bundle.tar'],
    alone: faithful,
    extract: (archive, directory) => createReadStream(archive).pipe(tarFs.extract(directory)),
  },
  {
    name: 'unzip',
    takes: zips,
    alone: faithful,
    command: 'unzip',
    extract: (archive, directory) => spawn('unzip', [archive, '-d', directory]),
  },
  {
    name: 'bsdtar',
    takes: [...zips, ...tars],
    alone: faithful,
    command: 'bsdtar',
    extract: (archive, directory) => spawn('bsdtar', ['-x', '-f', archive, '-C', directory]),
  },
  {
    name: 'python3 -m zipfile',
    takes: zips,
    alone: careless,
    command: 'python3',
    extract: (archive, directory) => spawn('python3', ['-m', 'zipfile', '-e', archive, directory]),
  },
  {
    name: 'python3 -m tarfile',
    takes: tars,
    alone: faithful,
    command: 'python3',
    extract: (archive, directory) => spawn('python3', ['-m', 'tarfile', '-e', archive, directory]),
  },
  {
    // An archive with entries of directories is more than it takes.
    name: 'mcpb unpack',
    takes: ['links.zip', 'plain.zip'],
    alone: flattening,
    extract: unpackWithMcpb,
  },
];

/** The command of @anthropic-ai/mcpb. */
export function unpackWithMcpb(archive: string, directory: string): ChildProcess {
  return spawn(join(checkout, 'node_modules/.bin/mcpb'), ['unpack', archive, directory]);
}

/** What macOS and Pillow have links in, and their links: to a link, through a link, to a file beside it. */
const macShape: TreeShape = {
  'App.framework/Versions/A/App': { content: '#!/bin/sh\necho app\n', mode: 0o755 },
  'App.framework/Versions/A/Resources/Info.plist': { content: 'plist', mode: 0o644 },
  'PIL/.dylibs/libwebp.7.dylib': { content: 'webp', mode: 0o644 },
};
export const macLinks = {
  'App.framework/App': 'Versions/Current/App',
  'App.framework/Resources': 'Versions/Current/Resources',
  'App.framework/Versions/Current': 'A',
  'PIL/.dylibs/libwebp.dylib': 'libwebp.7.dylib',
};

/** An archive of a framework and of libraries as Pillow has them; in this order, whatever the order of a directory. */
export function makeMacArchive(kind: 'zip' | 'tar'): string {
  const withLinks = Object.entries(macLinks).map(([path, target]) => [path, `-> ${target}`]);
  const tree = makeTree({ ...macShape, ...Object.fromEntries(withLinks) });
  const archive = join(tempDirectory(), `mac.${kind}`);
  const paths = [...Object.keys(macShape), ...Object.keys(macLinks).reverse()];
  const flags = kind === 'zip' ? ['-q', '-y', archive] : ['-c', '-f', archive];
  execFileSync(kind, [...flags, ...paths], { cwd: tree });
  return archive;
}

/** Let an extractor do its work without permwalk, and wait as its users do: for its promise, or for `close`. */
export async function extractAlone({ extract }: TestedExtractor, archive: string): Promise<string> {
  const directory = tempDirectory();
  const returned = await extract(archive, directory);
  const isEmitter = typeof returned === 'object' && returned !== null && 'once' in returned;
  if (isEmitter) await once(returned as ChildProcess, 'close');
  return directory;
}

/** True where a command can be started. */
export function hasCommand(command: string): boolean {
  return !('error' in spawnSync(command, ['--version'], { stdio: 'ignore' }));
}

/** Starts to write everything, and returns at once. */
export function extractAndRunAway(archive: string, directory: string): void {
  for (const [name, content] of Object.entries(unzipSync(readFileSync(archive)))) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    createWriteStream(path, { highWaterMark: 1024 }).end(content);
  }
}

/** Writes half of every file before it returns, and the rest when it is told to. */
export function extractByHalves(archive: string, directory: string, rest: Promise<void>): void {
  for (const [name, content] of Object.entries(unzipSync(readFileSync(archive)))) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content.subarray(0, content.length / 2));
    rest.then(() => writeFileSync(path, content));
  }
}
