/**
 * Passes with permwalk as it is built, and the modes after each as this process sees them: what is mounted for it, no other can
 * see. Each line of standard input is a task in JSON, `{ "setUp", "pass": { "root", "options", "backend", "become", "rename" } }`;
 * `setUp` are shell commands before the pass, `$1` is its root. Prints a line for each: `{ "report", "modes" }` or `{ "error" }`.
 */
import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openChecked } from '../../dist/directory/checked.js';
import { neverNative, runtimeSource } from '../../dist/directory/native/load.js';
import { openTree, realRootPath, treeOf } from '../../dist/directory/open.js';
import { runPass } from '../../dist/pass/apply.js';

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { setUp, pass } = JSON.parse(line);
    if (setUp !== '') runShell(setUp, pass.root);
    answer = await resultOf(pass);
  } catch (error) {
    answer = { error: error.stack };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function runShell(commands, root) {
  const { status, stderr } = spawnSync('sh', ['-e', '-c', commands, 'sh', root], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`set-up ended with ${status}: ${stderr}`);
}

async function resultOf({ root, options, backend, become, rename }) {
  if (become !== undefined) {
    process.setgroups?.([]);
    process.setgid?.(become);
    process.setuid?.(become);
  }
  const openCheckedTree = (path) => treeOf(realRootPath(path), openChecked(realRootPath(path)));
  const from = { native: { after: 0, load: () => runtimeSource.load() }, anchored: neverNative }[backend];
  const open =
    backend === 'path' ? openCheckedTree : (path) => openTree(path, { native: from ?? runtimeSource });
  let isRenamed = rename === undefined;
  const onChange = () => {
    if (!isRenamed) renameSync(...rename);
    isRenamed = true;
  };
  const report = await runPass(root, { ...options, strict: false, onChange }, open);
  return { report, modes: modesBelow(report.root) };
}

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
