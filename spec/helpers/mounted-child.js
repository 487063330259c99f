/**
 * One pass with permwalk as it is built, and the modes after it as this process sees them: what is mounted for it, no
 * other can see. Most of its time would be the start-up of a TypeScript loader.
 *
 *     node mounted-child.js '{ "root", "options", "backend", "become" }'
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runPass } from '../../dist/apply.js';
import { openRoot, realRootPath } from '../../dist/root/open.js';
import { openPathRoot } from '../../dist/root/path.js';

const { root, options, backend, become } = JSON.parse(process.argv[2]);
if (become !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(become);
  process.setuid?.(become);
}
const open = backend === 'path' ? (path) => openPathRoot(realRootPath(path)) : openRoot;
const report = await runPass(root, { ...options, strict: false }, open);
process.stdout.write(JSON.stringify({ report, modes: modesBelow(report.root) }));

/** Mode of everything below a directory but links, by path; nothing of what this process may not look at. */
function modesBelow(directory, path = '.') {
  const modes = {};
  try {
    const stats = lstatSync(join(directory, path));
    if (stats.isSymbolicLink()) return modes;
    modes[path] = (stats.mode & 0o7777).toString(8);
    if (!stats.isDirectory()) return modes;
    for (const name of readdirSync(join(directory, path)))
      Object.assign(modes, modesBelow(directory, join(path, name)));
  } catch (error) {
    if (error.code !== 'EACCES') throw error;
  }
  return modes;
}
