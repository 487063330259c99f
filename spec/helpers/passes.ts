import { openChecked } from '../../lib/directory/checked.ts';
import { neverNative, runtimeSource } from '../../lib/directory/native/load.ts';
import { openNative } from '../../lib/directory/native/native.ts';
import { openTree, realRootPath, treeOf } from '../../lib/directory/open.ts';
import type { Tree } from '../../lib/directory/tree.ts';
import type { UnresolvedEntryError } from '../../lib/errors.ts';
import type { ApplyOptions } from '../../lib/options.ts';
import { runPass } from '../../lib/pass/apply.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { UnresolvedEntriesError } from '../../lib/report.ts';
import { byPath, type PathTree } from './by-path.ts';
import { extent } from './extent.ts';
import { runtime } from './runtime.ts';

/** A pass over one of the backends. */
export interface TestedPass {
  backend: Tree['backend'];
  /** How suites call it. */
  title: string;
  /** Hold a tree, for the pass. */
  openTree(path: string): Tree;
  /** Hold a tree, to go through it by path. */
  open(path: string): PathTree;
  apply(root: string, options?: ApplyOptions): Promise<PermissionReport>;
}

function tested(
  backend: TestedPass['backend'],
  open: (path: string) => Tree,
  title: string = backend,
): TestedPass {
  return {
    backend,
    title,
    openTree: open,
    open: (path) => byPath(open(path)),
    apply: (root, options = {}) => runPass(root, options, open),
  };
}

function openCheckedTree(path: string): Tree {
  const realPath = realRootPath(path);
  return treeOf(realPath, openChecked(realPath));
}

/** The path backend, forced. */
export const pathPass = tested('path', openCheckedTree);

/** The anchored backend, without native calls however large the tree. */
export const anchoredPass = tested('anchored', (path) => openTree(path, { native: neverNative }));

/** The same in a process that lends its working directory, as the command does. */
export const lentPass = tested(
  'anchored',
  (path) => openTree(path, { native: neverNative, lendsWorkingDirectory: true }),
  'anchored, working directory lent',
);

/** Native calls from the first one on. */
export const nativePass = tested('native', (path) =>
  openTree(path, { native: { ...runtimeSource, after: 0 } }),
);

/** The pass over a backend. */
export function passOf(backend = 'anchored'): TestedPass {
  if (backend === 'path') return pathPass;
  return backend === 'native' ? nativePass : anchoredPass;
}

/** Whether native calls can be made here. Where they cannot, what says so is printed once. */
export const hasNative = process.platform === 'linux' && runtimeSource.load() !== undefined;
if (process.platform === 'linux' && !hasNative) {
  // A child's output may be its report.
  const isOff = process.env.PERMWALK_NATIVE === '0';
  const lacks = { node: 'koffi cannot be used', bun: 'bun:ffi cannot be used', deno: 'Deno makes none' };
  console.error(`  native calls are skipped: ${isOff ? 'PERMWALK_NATIVE is 0' : lacks[runtime]}`);
}
const native = hasNative ? [nativePass] : [];

/** All that hold directories by descriptors. */
export const heldPasses: TestedPass[] = [anchoredPass, lentPass, ...native];

/** All backends on Linux, the path backend elsewhere: what all promise is tested on all. */
export const passes: TestedPass[] =
  process.platform === 'linux' ? [anchoredPass, pathPass, ...native] : [pathPass];

/** All that differ in which calls they make. */
export const allPasses: TestedPass[] = process.platform === 'linux' ? [...passes, lentPass] : passes;

/** Those that are attacked: one in the short run, all of them in the full one. */
export const attackedPasses: TestedPass[] = extent({ short: passes.slice(0, 1), full: passes });

/** All where a spec takes long; in the short run without native calls, which other specs do. */
export const longPasses: TestedPass[] = allPasses.filter(
  ({ backend }) => backend !== 'native' || extent({ short: false, full: true }),
);

/** The anchored backend, or a clear failure where there is none. */
export function openAnchored(path: string): PathTree {
  const realPath = realRootPath(path);
  const directory = openNative(realPath, undefined, neverNative);
  if (directory === undefined) throw new Error('no anchored backend here');
  return byPath(treeOf(realPath, directory));
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
