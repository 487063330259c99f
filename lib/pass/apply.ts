import { absolutePath } from '../absolute.ts';
import { type OpenTree, openTree } from '../directory/open.ts';
import { compileGlobs } from '../globs/compile.ts';
import type { ApplyOptions } from '../options.ts';
import type { PermissionReport } from '../report.ts';
import { resolveOptions, type Settings } from '../settings.ts';
import { pause, runAtOnce, runInSlices, Slices } from '../slices.ts';
import type { Globs } from './course.ts';
import { entriesOf } from './entries.ts';
import { ignoredIn } from './ignored.ts';
import type { Plan } from './plan.ts';
import { planOf } from './planner.ts';
import { Run } from './run.ts';

/**
 * Set the modes of an unpacked tree.
 *
 * It looks with lstat and never follows a link. With a manifest, it waits in rounds for the paths that the manifest lists, and for
 * their sizes. It reports what stays unresolved. If everything is in place, it does not wait.
 *
 * @param root directory to work on. A relative path is resolved when the call is made, a link once. `/` is refused.
 * @param options all are optional; {@link ApplyOptions} has the defaults
 * @returns what was found and done
 * @throws TypeError or RangeError for a wrong option, {@link ManifestError} for a wrong manifest, before anything is changed
 * @throws the system's error if the root cannot be opened: ENOTDIR if it is a file, ENOENT if it does not exist and there is no
 * manifest
 * @throws RangeError with code `ERR_PERMWALK_MAX_ENTRIES` for more entries than `maxEntries`, or with code
 * `ERR_PERMWALK_GLOB_STEPS` if a glob takes too many steps
 * @throws the signal's reason when it is aborted, and whatever `onProgress` or `onChange` throws
 * @throws {@link UnresolvedEntriesError} if `strict` is true and something is unresolved; everything else has been done
 *
 * @example
 * import { applyPermissions, readManifest } from 'permwalk';
 *
 * const manifest = await readManifest('bundle.mcpb');
 * const { counts, links } = await applyPermissions('cache/bundle', { manifest });
 */
export function applyPermissions(root: string, options: ApplyOptions = {}): Promise<PermissionReport> {
  return runPass(root, options, openTree);
}

/**
 * The pass, over a tree that `open` holds.
 *
 * @param onPlan called with what the manifest says, before the tree is opened
 * @internal
 */
export async function runPass(
  rootPath: string,
  options: ApplyOptions,
  open: OpenTree,
  onPlan?: (plan: Plan) => void,
): Promise<PermissionReport> {
  return runSettings(rootPath, resolveOptions(rootPath, options), open, onPlan);
}

/**
 * The pass, with options that are checked already.
 *
 * @internal
 */
export async function runSettings(
  rootPath: string,
  settings: Settings,
  open: OpenTree,
  onPlan?: (plan: Plan) => void,
): Promise<PermissionReport> {
  const run = new Run(absolutePath(rootPath), settings);
  const { signal, manifest } = settings;
  signal?.throwIfAborted();
  const slices = new Slices();
  const globs = await globsOf(settings, false);
  const entries =
    manifest === undefined ? [] : await entriesOf(manifest, slices, () => pause(slices, signal));
  const plan = await runInSlices(planOf(manifest, entries, slices), slices, signal);
  onPlan?.(plan);
  const ignored = await runInSlices(ignoredIn(plan, globs.ignore, slices), slices, signal);
  const digesting = settings.verify === 'content' ? await import('../directory/digest.ts') : undefined;
  // Reading the manifest may have let the event loop run.
  signal?.throwIfAborted();
  run.begin(plan, ignored, globs, digesting);
  const tree = await run.openWhenThere(open);
  try {
    const isNamed = plan.size > 1 || settings.ignore.length > 0 || settings.executable.length > 0;
    const fold = isNamed ? tree?.folding() : undefined;
    if (fold !== undefined) await run.fold(fold, await globsOf(settings, true), slices);
    if (tree !== undefined) await run.inSlices(tree, slices);
  } finally {
    tree?.close();
  }
  return run.conclude(tree);
}

/**
 * The pass in one go, without a manifest and without waiting: done when it returns.
 *
 * @throws as {@link applyPermissions} does
 * @internal
 */
export function applyAtOnce(rootPath: string, settings: Settings): PermissionReport {
  const run = new Run(rootPath, settings);
  const slices = new Slices();
  const plan = runAtOnce(planOf(undefined, [], slices));
  const ignored = runAtOnce(ignoredIn(plan, undefined, slices));
  run.begin(plan, ignored, { executable: undefined, ignore: undefined });
  const tree = openTree(rootPath);
  try {
    run.atOnce(tree, slices);
  } finally {
    tree.close();
  }
  return run.conclude(tree);
}

async function globsOf({ executable, ignore }: Settings, folds: boolean): Promise<Globs> {
  return {
    executable: await compileGlobs('executable', executable, folds),
    ignore: await compileGlobs('ignore', ignore, folds),
  };
}
