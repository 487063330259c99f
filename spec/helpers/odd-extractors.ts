import { spawnSync } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import AdmZip from 'adm-zip';
import extractZip from 'extract-zip';
import * as tar from 'tar';
import tarFs from 'tar-fs';
import yauzl from 'yauzl';
import { runPythonModule } from './python.ts';
import { hasCommand } from './zip.ts';

/** Unpacks an archive. True where it could; some warn, and end with code 1 all the same. */
type OddExtractor = (archive: string, directory: string) => Promise<boolean>;

/** A command that is not asked anything, and has no time to wait for an answer. */
function command(...line: string[]): OddExtractor {
  return async (archive, directory) => {
    const [name = '', ...parameters] = line.map((part) =>
      part.replace('{archive}', archive).replace('{directory}', directory),
    );
    const { status, error } = spawnSync(name, parameters, { stdio: 'ignore', timeout: 60_000 });
    return error === undefined && status === 0;
  };
}

function pythonModule(name: 'zipfile' | 'tarfile'): OddExtractor {
  const isThere = hasCommand('python3');
  return async (archive, directory) => isThere && runPythonModule(name, ['-e', archive, directory]);
}

function inProcess(extract: (archive: string, directory: string) => unknown): OddExtractor {
  return async (archive, directory) => {
    try {
      await extract(archive, directory);
      return true;
    } catch {
      return false;
    }
  };
}

async function byHand(archive: string, directory: string): Promise<void> {
  const zip = await yauzl.openPromise(archive);
  for await (const entry of zip.eachEntry()) {
    const path = join(directory, entry.fileName);
    const isDirectory = entry.fileName.endsWith('/');
    await mkdir(isDirectory ? path : dirname(path), { recursive: true });
    if (!isDirectory) await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path));
  }
}

/** Extractors that people use, for archives that are odd: those that cannot unpack one say so. */
export const oddExtractors: Record<'zip' | 'tar', Record<string, OddExtractor>> = {
  zip: {
    unzip: command('unzip', '-q', '-o', '{archive}', '-d', '{directory}'),
    bsdtar: command('bsdtar', '-xf', '{archive}', '-C', '{directory}'),
    python: pythonModule('zipfile'),
    '7z': command('7z', 'x', '-y', '-bd', '-o{directory}', '{archive}'),
    'extract-zip': inProcess((archive, directory) => extractZip(archive, { dir: directory })),
    'adm-zip': inProcess((archive, directory) => new AdmZip(archive).extractAllTo(directory, true, true)),
    yauzl: inProcess(byHand),
  },
  tar: {
    tar: command('tar', '-xf', '{archive}', '-C', '{directory}'),
    bsdtar: command('bsdtar', '-xf', '{archive}', '-C', '{directory}'),
    python: pythonModule('tarfile'),
    'node-tar': inProcess((archive, directory) => tar.x({ file: archive, cwd: directory })),
    'tar-fs': inProcess((archive, directory) =>
      pipeline(createReadStream(archive), tarFs.extract(directory)),
    ),
  },
};
