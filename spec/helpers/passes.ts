import { runPass } from '../../lib/apply.ts';
import { UnresolvedEntriesError, type UnresolvedEntryError } from '../../lib/errors.ts';
import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { openAnchoredRoot } from '../../lib/root/anchored.ts';
import { openRoot, realRootPath } from '../../lib/root/open.ts';
import { openPathRoot } from '../../lib/root/path.ts';
import type { Root } from '../../lib/root/root.ts';

/** A pass over one of the backends. */
export interface TestedPass {
  backend: 'anchored' | 'path';
  /** How suites call it. */
  title: string;
  open(path: string): Root;
  apply(root: string, options?: ApplyOptions): Promise<PermissionReport>;
}

function tested(
  backend: TestedPass['backend'],
  open: (path: string) => Root,
  title: string = backend,
): TestedPass {
  return { backend, title, open, apply: (root, options = {}) => runPass(root, options, open) };
}

/** The path backend, forced. */
export const pathPass = tested('path', (path) => openPathRoot(realRootPath(path)));

/** The backend that the platform gets: anchored wherever there is a genuine `/proc`. */
export const defaultPass = tested('anchored', openRoot);

/** The same in a process that lends its working directory, as the command does. */
export const lentPass = tested(
  'anchored',
  (path) => openRoot(path, { lendsWorkingDirectory: true }),
  'anchored, working directory lent',
);

/** Both backends on Linux, the path backend elsewhere: what both promise is tested on both. */
export const passes: TestedPass[] = process.platform === 'linux' ? [defaultPass, pathPass] : [pathPass];

/** All that differ in which calls they make. */
export const allPasses: TestedPass[] = process.platform === 'linux' ? [...passes, lentPass] : passes;

/** The anchored backend, or a clear failure where there is none. */
export function openAnchored(path: string): Root {
  const root = openAnchoredRoot(realRootPath(path));
  if (root === undefined) throw new Error('no anchored backend here');
  return root;
}

/** Short waits, so that what never comes is given up soon. */
export const impatient = { retries: 2, minTimeout: 1, maxTimeout: 2, maxRetryTime: 200 };

/** The report of a strict pass that must reject. */
export async function rejectedReport(pass: Promise<PermissionReport>): Promise<PermissionReport> {
  try {
    await pass;
  } catch (error) {
    if (error instanceof UnresolvedEntriesError) return error.report;
    throw error;
  }
  throw new Error('expected a rejection');
}

/** What is unresolved, as `path: reason`. */
export function reasonsOf(report: { unresolved: Pick<UnresolvedEntryError, 'path' | 'reason'>[] }): string[] {
  return report.unresolved.map(({ path, reason }) => `${path}: ${reason}`);
}
