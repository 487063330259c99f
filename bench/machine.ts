import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { checkout } from './measure/tools.ts';

/** Where, when and with what something was measured. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  fileSystem: string;
  node: string;
  permwalk: string;
  commit: string;
  date: string;
  command: string;
}

/** Describe the machine, with the file system that a folder is on. */
export function describeMachine(folder: string, args: readonly string[]): Machine {
  const processors = cpus();
  const { version }: { version: string } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    fileSystem: fileSystemOf(folder),
    node: process.version,
    permwalk: version,
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    command: ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
  };
}

function commit(): string {
  const git = (...args: string[]) =>
    spawnSync('git', args, { cwd: checkout, encoding: 'utf8' }).stdout?.trim() ?? '';
  const head = git('rev-parse', '--short', 'HEAD');
  if (head === '') return 'unknown';
  return git('status', '--porcelain', '--', 'lib') === '' ? head : `${head}, changed since`;
}

/** Type of the mount that a folder is on, where Linux says it. */
function fileSystemOf(folder: string): string {
  let mounts: string;
  try {
    mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return 'unknown';
  }
  let found = { point: '', kind: 'unknown' };
  for (const line of mounts.trim().split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4] ?? '';
    const isAbove = point === '/' || folder === point || folder.startsWith(`${point}/`);
    if (isAbove && point.length >= found.point.length)
      found = { point, kind: after.split(' ')[0] ?? 'unknown' };
  }
  return found.kind;
}
