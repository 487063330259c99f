/** Passes on a file system that folds names, imitated; writes what each came to, and what tells calls for destinations apart. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolveDestination } from '../../lib/extract/destination.ts';
import type { ApplyOptions, PermissionReport } from '../../lib/index.ts';
import { UnresolvedEntriesError } from '../../lib/index.ts';
import { impatient, pathPass, reasonsOf } from './passes.ts';
import { makeTree, modesBelow } from './tree.ts';

export interface FoldingOutcome {
  counts: PermissionReport['counts'];
  reasons: string[];
  codes: string[];
  modes: Record<string, string>;
}

const nfc = 'caf\u00e9';
const nfd = 'cafe\u0301';

async function outcomeOf(root: string, options: ApplyOptions): Promise<FoldingOutcome> {
  const report = await pathPass.apply(root, { umask: 0o022, retry: impatient, ...options }).catch((error) => {
    if (error instanceof UnresolvedEntriesError) return error.report;
    throw error;
  });
  const codes = report.unresolved.map(({ code }) => code);
  return { counts: report.counts, reasons: reasonsOf(report), codes, modes: modesBelow(root) };
}

const tree = () => makeTree({ 'bin/run': 0o644, 'node_modules/x': 0o644, [`${nfd}/f`]: 0o644 });
const two = () => makeTree({ a: 0o644, b: 0o644 });
const exact = { path: 'bin/run', mode: 0o755 };
const spelled = [
  { path: 'BIN/Run', type: 'file', mode: 0o755 },
  { path: `${nfc}/F`, type: 'file', mode: 0o755 },
  { path: 'Node_Modules/X', type: 'file' },
] as const;

const outcomes: Record<string, FoldingOutcome> = {
  'a glob': await outcomeOf(tree(), { ignore: 'NODE_MODULES', executable: `${nfc}/F` }),
  'a glob and a manifest': await outcomeOf(tree(), { ignore: 'node_modules', manifest: spelled }),
  'a manifest': await outcomeOf(tree(), { manifest: spelled }),
  'a manifest and a walk': await outcomeOf(tree(), { manifest: spelled, discover: true }),
  presence: await outcomeOf(two(), { manifest: ['A', 'B'], verify: 'presence' }),
  'two spellings': await outcomeOf(tree(), { manifest: [exact, { path: 'bin/RUN', mode: 0o644 }] }),
  'two spellings of a directory': await outcomeOf(tree(), { manifest: [exact, 'BIN/', 'Bin/run2'] }),
  'a file and a directory': await outcomeOf(tree(), { manifest: ['bin/run', { path: 'BIN', type: 'file' }] }),
  'an empty tree': await outcomeOf(makeTree({}), { manifest: ['a', 'A'] }),
};
writeFileSync(join(process.argv[2] ?? '', 'outcomes.json'), JSON.stringify(outcomes));

const parent = tree();
const turns = ['out', 'OUT', 'other'].map((name) => {
  const destination = resolveDestination(join(parent, name));
  try {
    return destination.turn;
  } finally {
    destination.release();
  }
});
writeFileSync(join(process.argv[2] ?? '', 'turns.json'), JSON.stringify(turns));
