/**
 * Passes with permwalk as it is built, and the modes after each as this process sees them: what is mounted for it, no other can
 * see. Is asked `{ "root", "options", "backend", "become", "rename", "lent", "setUp" }`, answers `{ "report", "modes" }`; with
 * `"isRecord"` the options are those of a record, and the answer is the manifest.
 */
import { lstatSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { openChecked } from '../../dist/directory/checked.js';
import { neverNative, runtimeSource } from '../../dist/directory/native/load.js';
import { openTree, realRootPath, treeOf } from '../../dist/directory/open.js';
import { runPass } from '../../dist/pass/apply.js';
import { recordTree } from '../../dist/record/record.js';
import { answerAll } from './answer.js';

await answerAll(async (pass) => {
  const { root, options, backend, become, rename, lent: lendsWorkingDirectory = false, isRecord } = pass;
  if (become !== undefined) {
    process.setgroups?.([]);
    process.setgid?.(become);
    process.setuid?.(become);
  }
  const openCheckedTree = (path) => treeOf(realRootPath(path), openChecked(realRootPath(path)));
  const from = { native: { after: 0, load: () => runtimeSource.load() }, anchored: neverNative }[backend];
  const openHeld = (path) => openTree(path, { native: from ?? runtimeSource, lendsWorkingDirectory });
  const open = backend === 'path' ? openCheckedTree : openHeld;
  if (isRecord) return recordTree(root, options, open);
  let isRenamed = rename === undefined;
  const onChange = () => {
    if (!isRenamed) renameSync(...rename);
    isRenamed = true;
  };
  if (lendsWorkingDirectory) process.chdir(root);
  const report = await runPass(root, { ...options, strict: false, onChange }, open);
  if (lendsWorkingDirectory) process.chdir('/');
  return { report, modes: modesBelow(report.root) };
});

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
