import { lstatSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { on } from './contenders.ts';
import type { MeasuredGroup } from './measure/rounds.ts';
import type { Tools } from './measure/tools.ts';
import { runTrials, type Trial } from './measure/trials.ts';
import { WrongResultError } from './measure/turn.ts';
import type { TreeEntry } from './trees/entries.ts';
import { WorkTree } from './trees/work-tree.ts';
import { makeZip } from './trees/zip.ts';

/** Every so many files there is a link beside them: a framework is mostly links. */
const FILES_PER_LINK = 4;

/** A tree in which each directory has links to files beside them. */
export function withLinks(entries: readonly TreeEntry[]): TreeEntry[] {
  const files = entries.filter(({ type }) => type === 'file');
  const links = files
    .filter((_, index) => index % FILES_PER_LINK === 0)
    .map(({ path }): TreeEntry => {
      const target = path.slice(path.lastIndexOf('/') + 1);
      return { path: `${path}.1`, type: 'link', mode: 0o777, size: target.length, target };
    });
  return [...entries, ...links];
}

/** J10: links that an extractor wrote as files come back, from a zip. */
export function measureRelinking(
  tools: Tools,
  entries: readonly TreeEntry[],
  folder: string,
  rounds: number,
): MeasuredGroup[] {
  mkdirSync(folder);
  const tree = WorkTree.make(join(folder, 'tree'), entries);
  const zip = join(folder, 'tree.zip');
  makeZip(tree.root, zip);
  const links = entries.filter(({ type }) => type === 'link');
  const listing = join(folder, 'links.json');
  writeFileSync(listing, JSON.stringify(links));
  const before = () => {
    for (const { path, target = '' } of links) {
      const full = join(tree.root, path);
      rmSync(full);
      writeFileSync(full, target);
    }
  };
  const check = () => {
    for (const { path, target } of links) {
      const full = join(tree.root, path);
      if (lstatSync(full).isSymbolicLink() && readlinkSync(full) === target) continue;
      throw new WrongResultError(`J10: ${path} is no link to ${target}`);
    }
  };
  const flags = ['apply', '--manifest', zip, '--flattened-links', 'restore', '--json'];
  const group = runTrials(
    tools,
    'J10',
    [
      ...tools.runtimes.map(
        (runtime): Trial => ({
          ...on(runtime, 'permwalk'),
          command: [runtime.program, tools.cli, ...flags, tree.root],
          before,
          check({ stdout }) {
            const { ok, counts } = JSON.parse(stdout);
            if (ok !== true || counts.restored !== links.length) {
              throw new WrongResultError(`J10: ${JSON.stringify({ ok, counts })}`);
            }
            check();
          },
        }),
      ),
      {
        name: 'Node: read, symlink, rename',
        kind: 'yardstick',
        command: tools.program('relink', tree.root, listing),
        before,
        check,
      },
    ],
    rounds,
  );
  rmSync(folder, { recursive: true });
  return [group];
}
