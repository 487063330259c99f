/** Peer: exec bits by globs as people write it with readdirp and micromatch. */
import { chmodSync, lstatSync } from 'node:fs';
import micromatch from 'micromatch';
import { readdirp } from 'readdirp';

const [root = '', ...globs] = process.argv.slice(2);
const matchers = globs.map((glob) => micromatch.matcher(glob, { dot: true }));

for await (const { path, fullPath } of readdirp(root)) {
  if (!matchers.some((matches) => matches(path))) continue;
  const stats = lstatSync(fullPath);
  if (!stats.isFile()) continue;
  const mode = stats.mode & 0o7777;
  const wanted = mode | ((mode & 0o444) >> 2);
  if (wanted !== mode) chmodSync(fullPath, wanted);
}
