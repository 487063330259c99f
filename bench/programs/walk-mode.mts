/** Peer: `a+rX` as people write it with readdirp. */
import { chmodSync, lstatSync } from 'node:fs';
import { readdirp } from 'readdirp';

const root = process.argv[2] ?? '';

function change(path: string): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  const mode = stats.mode & 0o7777;
  const isRun = stats.isDirectory() || (mode & 0o111) !== 0;
  const wanted = mode | (isRun ? 0o555 : 0o444);
  if (wanted !== mode) chmodSync(path, wanted);
}

change(root);
for await (const { fullPath } of readdirp(root, { type: 'all' })) change(fullPath);
