import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runProcess } from './measure/process.ts';
import { conclude, type MeasuredGroup } from './measure/rounds.ts';
import { isInstalled, type Tools } from './measure/tools.ts';
import { type Turn, WrongResultError } from './measure/turn.ts';
import type { ExtractRequest } from './programs/extract.mts';
import { say } from './progress.ts';
import { listTree, type TreeEntry } from './trees/entries.ts';
import { createContent } from './trees/generated.ts';
import { octal, WorkTree } from './trees/work-tree.ts';
import { makeZip } from './trees/zip.ts';

/** An extractor command; `keepsModes` where it restores exec bits by itself. */
const extractors = [
  {
    name: 'unzip',
    probe: ['-v'],
    command: ['unzip', '-q', '{archive}', '-d', '{destination}'],
    keepsModes: true,
  },
  {
    name: 'python3 -m zipfile',
    probe: ['--version'],
    command: ['python3', '-m', 'zipfile', '-e', '{archive}', '{destination}'],
    keepsModes: false,
  },
] as const;

/** J6: `wrapExtractor` around an extractor against the extractor alone, in process, on a bundle without links. */
export function measureExtraction(
  tools: Tools,
  entries: readonly TreeEntry[],
  folder: string,
  rounds: number,
  isQuick: boolean,
): MeasuredGroup[] {
  mkdirSync(folder);
  const tree = WorkTree.make(join(folder, 'bundle'), entries, createContent());
  const archive = join(folder, 'bundle.zip');
  makeZip(tree.root, archive);
  const destination = join(folder, 'extracted');
  const installed = extractors.filter(({ command: [file], probe }) => isInstalled(file, ...probe));
  const groups = installed
    .slice(0, isQuick ? 1 : undefined)
    .map(({ name, command, keepsModes }): MeasuredGroup => {
      const ours = { name: `permwalk around ${name}`, kind: 'permwalk' as const, wrapped: true };
      const bare = { name, kind: 'peer' as const, wrapped: false };
      const turns = [ours, bare].map((contender) => [contender, [] as Turn[]] as const);
      for (let round = 0; round <= rounds; round += 1) {
        say(`J6 ${name}: ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}`);
        for (const [{ wrapped }, taken] of turns) {
          const request: ExtractRequest = { dist: tools.index, archive, destination, command, wrapped };
          const run = runProcess(tools, tools.program('extract', JSON.stringify(request)));
          if (run.code !== 0)
            throw new WrongResultError(`J6, ${name}: ended with ${run.code}: ${run.stderr}`);
          check(name, entries, listTree(destination), wrapped || keepsModes);
          rmSync(destination, { recursive: true });
          const { seconds }: { seconds: number } = JSON.parse(run.stdout);
          if (round > 0) taken.push({ ...run, seconds });
        }
      }
      return { links: true, ...conclude(turns) };
    });
  rmSync(folder, { recursive: true });
  return groups;
}

/** Hold what was extracted against what was archived: every path, type and size, and the modes where they must be right. */
function check(
  name: string,
  archived: readonly TreeEntry[],
  extracted: TreeEntry[],
  withModes: boolean,
): void {
  const found = new Map(extracted.map((entry) => [entry.path, entry]));
  if (found.size !== archived.length) {
    throw new WrongResultError(`J6, ${name}: ${found.size} entries, expected ${archived.length}`);
  }
  for (const { path, type, size, mode } of archived) {
    const entry = found.get(path);
    const isSame = entry?.type === type && entry.size === size && (!withModes || entry.mode === mode);
    if (isSame) continue;
    const is =
      entry === undefined ? 'is missing' : `is a ${entry.type} of ${entry.size} bytes, ${octal(entry.mode)}`;
    throw new WrongResultError(`J6, ${name}: ${path} ${is}`);
  }
}
