/** What the specs share that Windows' own Node runs: the package as it is built, and directories that go with the process. */
import { spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';
import { scriptPath } from '../helpers/runtime.ts';
import { packZip } from '../helpers/zip.ts';

/** A module of the package as it is built. */
const load = (path: string): Promise<unknown> => import(new URL(`../../dist/${path}`, import.meta.url).href);

export const permwalk = (await load('index.js')) as typeof import('../../lib/index.ts');
export const realPaths = (await load(
  'directory/real-path.js',
)) as typeof import('../../lib/directory/real-path.ts');

export const batchFiles = (await load('cli/batch-file.js')) as typeof import('../../lib/cli/batch-file.ts');
/** Whether it is Wine that behaves as Windows, as far as it does. */
export const isWine = process.env.PERMWALK_WINE === '1';

/** Text by path below a directory, `/`-separated. */
export type Files = Record<string, string>;

/** What the specs replace trees by. */
export const files: Files = { 'bin/run': '#!/bin/sh\n', 'lib/a/b.txt': 'text', 'empty.txt': '' };

const made: string[] = [];

/** A new empty directory that goes when the process ends. */
export function tempDirectory(): string {
  const path = realpathSync.native(mkdtempSync(join(tmpdir(), 'permwalk-')));
  made.push(path);
  return path;
}

process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
});

/** Write files below a directory. */
export function writeFiles(directory: string, content: Files): void {
  for (const [path, text] of Object.entries(content)) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

/** The files below a directory. */
export function filesIn(directory: string): Files {
  const found: Files = {};
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path.slice(directory.length + 1).replaceAll('\\', '/')] = readFileSync(path, 'utf8');
  }
  return found;
}

/** Write an archive of files; its path. */
export function writeArchive(directory: string, content: Files = files, name = 'bundle.zip'): string {
  const entries = Object.entries(content).map(([path, text]) => [path, { content: text, mode: 0o100755 }]);
  const path = join(directory, name);
  writeFileSync(path, packZip(Object.fromEntries(entries)));
  return path;
}

/** Unpack an archive, as an extractor without any care does. */
export function unpack(archive: string, directory: string): void {
  for (const [path, content] of Object.entries(unzipSync(readFileSync(archive)))) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

/** How a process ended, and what it printed. */
export interface Ended {
  code: number | null;
  output: string;
  errors: string;
}

/** What is loaded before a script: all that was loaded here, but nothing that reads TypeScript for JavaScript. */
function loadersFor(file = ''): string[] {
  const { execArgv } = process;
  const isNeeded = (index: number) => !/typescript\/register\.js$/.test(execArgv[index] ?? '');
  return execArgv.filter(
    (_, index) =>
      !file.endsWith('.js') || (isNeeded(index) && (execArgv[index] !== '--import' || isNeeded(index + 1))),
  );
}

/** Run a script, with its output in files: under Wine pipes hang. */
export async function runNode(
  args: readonly string[],
  { env = {}, cwd }: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Ended> {
  const folder = tempDirectory();
  const paths = [join(folder, 'output'), join(folder, 'errors')];
  const descriptors = paths.map((path) => openSync(path, 'w'));
  const child = spawn(process.execPath, [...loadersFor(args[0]), ...args], {
    stdio: ['ignore', ...descriptors],
    env: { ...process.env, ...env },
    cwd,
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('exit', resolve);
  });
  for (const descriptor of descriptors) closeSync(descriptor);
  const [output = '', errors = ''] = paths.map((path) => readFileSync(path, 'utf8'));
  return { code, output, errors };
}

/** Path of a script beside this one. */
export function script(name: string): string {
  return scriptPath(new URL(name, import.meta.url));
}

/** The error that something rejects with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; path?: string }> {
  const result = await promise.then(
    () => undefined,
    (error: Error) => error,
  );
  if (result === undefined) throw new Error('it did not fail');
  return result;
}

/** The files of one version of a tree: each of them says which. */
export function versionOf(version: string): Files {
  return { 'a.txt': version, 'b/c.txt': version, 'b/d/e.txt': version };
}
