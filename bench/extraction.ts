import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bundle } from './bundle.ts';
import type { MeasuredGroup } from './measure/rounds.ts';
import { isInstalled } from './measure/tools.ts';
import { runTrials, type Trial } from './measure/trials.ts';
import { WrongResultError } from './measure/turn.ts';
import type { ExtractRequest } from './programs/extract.mts';
import { listTree, type TreeEntry } from './trees/entries.ts';
import { octal } from './trees/work-tree.ts';

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

/** J6: `wrapExtractor` around an extractor against the extractor alone, in process. */
export function measureExtraction({ tools, entries, zip, folder, rounds, isQuick }: Bundle): MeasuredGroup[] {
  const destination = join(folder, 'extracted');
  const installed = extractors.filter(({ command: [file], probe }) => isInstalled(file, ...probe));
  return installed.slice(0, isQuick ? 1 : undefined).map(({ name, command, keepsModes }) => {
    const trial = (wrapped: boolean): Omit<Trial, 'name' | 'kind'> => {
      const request: ExtractRequest = { dist: tools.index, archive: zip, destination, command, wrapped };
      return {
        command: tools.program('extract', JSON.stringify(request)),
        isInside: true,
        check() {
          check(name, entries, listTree(destination), wrapped || keepsModes);
          rmSync(destination, { recursive: true });
        },
      };
    };
    const ours: Trial = { name: `permwalk around ${name}`, kind: 'permwalk', ...trial(true) };
    return runTrials(tools, `J6 ${name}`, [ours, { name, kind: 'peer', ...trial(false) }], rounds);
  });
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
