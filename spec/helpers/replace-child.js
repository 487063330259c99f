/**
 * Replaces a tree by a new one as another user, and tells what lies beside and at the destination after each call. Plain
 * JavaScript, with permwalk as it is built, for it is started by the hundred.
 *
 *     node replace-child.js LIBRARY UID '{ "destination", "calls": ["ok", "fail"] }'
 *
 * prints it of one destination; without one it is asked for one after the other.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answerAll } from './answer.js';

const FILES = 4;

/**
 * What lies at the destination: `absent`, one version that is whole, or what must never be.
 *
 * @param {string} path
 * @returns {string}
 */
export function contentAt(path) {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return 'absent';
  const names = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const versions = new Set(
    names.map(({ parentPath, path, name }) => readFileSync(join(parentPath ?? path, name), 'utf8')),
  );
  return names.length === FILES && versions.size === 1
    ? [...versions][0]
    : `${names.length} files of ${[...versions]}`;
}

/**
 * A tree of one version.
 *
 * @param {string} directory
 * @param {string} version
 */
export function makeVersion(directory, version) {
  for (let index = 0; index < FILES; index += 1) {
    const below = join(directory, `d${index % 2}`);
    mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `f${index}`), version);
  }
}

/** Work as another user where this one is root. */
async function main([library, uid, task]) {
  const { wrapExtractor } = await import(library);
  if (process.getuid() === 0) {
    process.setgroups([]);
    process.setgid(Number(uid));
    process.setuid(Number(uid));
  }
  const answerTo = async ({ destination, calls }) => {
    const facts = [];
    for (const call of calls) facts.push(await replace(wrapExtractor, destination, call));
    return { facts };
  };
  if (task === undefined) await answerAll(answerTo);
  else process.stdout.write(`${JSON.stringify(await answerTo(JSON.parse(task)))}\n`);
}

/** One call, and what came of it. */
async function replace(wrapExtractor, destination, call) {
  const extract = (_, directory) => {
    makeVersion(directory, 'new');
    // Its owner cannot move it as it is.
    chmodSync(directory, 0o555);
    if (call === 'fail') throw new Error('failed');
  };
  const outcome = await wrapExtractor(extract, { manifest: false, existing: 'replace' })(
    'archive',
    destination,
  ).then(
    (report) => report.outcome,
    (error) => error.message,
  );
  const mode = (lstatSync(destination, { throwIfNoEntry: false })?.mode ?? 0) & 0o7777;
  const names = readdirSync(dirname(destination)).sort();
  return { outcome, content: contentAt(destination), mode, names };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
