import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender, Target } from './contenders.ts';
import type { Job } from './jobs.ts';
import type { Tools } from './measure/tools.ts';
import { takeTurn, WrongResultError } from './measure/turn.ts';
import type { TreeEntry } from './trees/entries.ts';
import { WorkTree } from './trees/work-tree.ts';
import { makeZip } from './trees/zip.ts';

/** A contender whose result on a tree with links is wrong, and how. It is measured without them. */
export interface Unfit {
  name: string;
  reason: string;
}

const PRIVATE = 0o600;

/**
 * Find out who goes wrong on a small tree with links: to a file of the tree, to nothing, and to what lies outside.
 *
 * @throws WrongResultError for one that goes wrong without links, too, and for permwalk or GNU chmod in any case
 */
export function findUnfit(tools: Tools, job: Job, folder: string): Unfit[] {
  return job.contenders.flatMap((contender) => {
    const reason = wrongWith(tools, job, contender, join(folder, 'trial'), true);
    if (reason === undefined) return [];
    const plain = wrongWith(tools, job, contender, join(folder, 'trial'), false);
    if (plain !== undefined) throw new WrongResultError(`${job.id}, without links, too: ${plain}`);
    if (contender.kind !== 'peer') throw new WrongResultError(`${job.id}: ${reason}`);
    return [{ name: contender.name, reason }];
  });
}

/** What a contender does wrong on the small tree, if anything. */
function wrongWith(
  tools: Tools,
  job: Job,
  contender: Contender,
  folder: string,
  links: boolean,
): string | undefined {
  const outside = join(folder, 'outside');
  const secrets = [join(outside, 'secret'), join(outside, 'directory/secret')];
  mkdirSync(join(outside, 'directory'), { recursive: true });
  for (const secret of secrets) writeFileSync(secret, '', { mode: PRIVATE });
  const strayed = () => secrets.some((secret) => (lstatSync(secret).mode & 0o777) !== PRIVATE);
  const said: string[] = [];
  try {
    const tree = WorkTree.make(join(folder, 'tree'), trialEntries(outside));
    tree.showLinks(links);
    const target: Target = { root: tree.root, zip: join(folder, 'trial.zip') };
    if (job.needsZip) makeZip(tree.root, target.zip);
    takeTurn(tools, tree, target, contender);
  } catch (error) {
    if (!(error instanceof WrongResultError)) throw error;
    said.push(error.message.replaceAll(`${folder}/`, ''));
  }
  if (strayed()) said.push(`${contender.name} changed a file outside the tree, through a link`);
  // Who follows links may have closed a directory outside.
  execFileSync('chmod', ['-R', 'u+rwX', folder]);
  rmSync(folder, { recursive: true });
  return said.length === 0 ? undefined : said.join('; ');
}

function trialEntries(outside: string): TreeEntry[] {
  const directory = (path: string): TreeEntry => ({ path, type: 'directory', mode: 0o755, size: 0 });
  const file = (path: string, mode: number): TreeEntry => ({ path, type: 'file', mode, size: 10 });
  const link = (path: string, target: string): TreeEntry => ({
    path,
    type: 'link',
    mode: 0o777,
    size: 0,
    target,
  });
  return [
    directory('.'),
    directory('bin'),
    file('bin/tool', 0o755),
    directory('lib'),
    file('lib/data.txt', 0o644),
    file('lib/native.so', 0o644),
    link('inside', 'lib/data.txt'),
    link('lib/missing.so', 'nowhere.so'),
    link('lib/outside-directory', join(outside, 'directory')),
    link('lib/outside.so', join(outside, 'secret')),
  ];
}
