import { abortable } from '../abortable.ts';
import { type Directory, SELF } from '../directory/directory.ts';
import { located, systemError } from '../directory/errors.ts';
import { openTreeIn } from '../directory/open.ts';
import { isWindows } from '../directory/platform.ts';
import { Tree } from '../directory/tree.ts';
import type { ManifestInput } from '../manifest/manifest.ts';
import type { ApplyOptions } from '../options.ts';
import { runPass } from '../pass/apply.ts';
import { type PermissionReport, UnresolvedEntriesError } from '../report.ts';
import type { Destination } from './destination.ts';
import { alreadyThere, explained, mountedOn } from './errors.ts';
import type { ExtractionReport } from './extraction-report.ts';
import { keep } from './keep.ts';
import { clearLeftovers } from './leftovers.ts';
import { beginLifetime, type Lifetime } from './lifetime.ts';
import type { StageSettings } from './options.ts';
import { publish, publishDurably } from './publish.ts';
import { createStaging, removeStaging, type Staging, TREE } from './staging.ts';
import { syncTree } from './sync.ts';

/** How often the tree that another process published may be gone again before it is kept. */
const MAX_TRIES = 10;
/** Bits that a directory has of its own, and hands on to the one that takes its place. */
const PERMISSION_BITS = 0o777;

/** One extraction: how a tree is filled, and what must be in it then. */
export interface Extraction {
  readonly destination: Destination;
  readonly settings: StageSettings;
  /** Refuse what must not be done, before anything is. */
  check?(): void;
  /** What must exist; asked for once where it comes before filling, otherwise after each. */
  manifest(signal: AbortSignal): Promise<ManifestInput | undefined>;
  /** Whether to ask for the manifest before anything is filled. */
  readonly isManifestFirst: boolean;
  /** Fill a directory. */
  fill(directory: string, lifetime: Lifetime): Promise<void>;
}

/** An extraction that is under way. */
interface Work extends Extraction {
  readonly lifetime: Lifetime;
  /** Options of the pass, with the manifest and the signal of this call. */
  options(): Promise<ApplyOptions>;
}

/** Do one extraction, from manifest to published tree. */
export async function extractOnce(extraction: Extraction): Promise<ExtractionReport> {
  const { settings, isManifestFirst } = extraction;
  const { pass } = settings;
  const lifetime = beginLifetime(pass.signal as AbortSignal | undefined);
  const { signal } = lifetime;
  try {
    signal.throwIfAborted();
    extraction.check?.();
    const read = async () => ({
      ...pass,
      signal,
      manifest: await abortable(extraction.manifest(signal), signal),
    });
    const first = isManifestFirst ? await read() : undefined;
    const options = async () => first ?? read();
    return await extract({ ...extraction, lifetime, options });
  } finally {
    lifetime.end();
  }
}

async function extract(work: Work): Promise<ExtractionReport> {
  const { destination, settings, lifetime, options } = work;
  const { existing, publish } = settings;
  destination.renew();
  await clearLeftovers(destination);
  for (let tries = 1; ; tries += 1) {
    const found = destination.lstat();
    const isMounted = found !== undefined && destination.isMountPoint(found);
    if (found !== undefined && existing === 'error') throw alreadyThere(destination.path, isMounted);
    if (isMounted && existing === 'replace' && publish === 'atomic') throw mountedOn(destination.path);
    if (found !== undefined && existing === 'keep') {
      const kept = await keep(destination, await options());
      if (kept !== undefined) return kept;
    }
    lifetime.signal.throwIfAborted();
    if (publish === 'in-place') return extractInPlace(work);
    const published = await extractAtomically(work);
    if (published !== undefined) return published;
    // Another process was faster, and with 'keep' its tree may be gone again.
    if (existing === 'error' || tries === MAX_TRIES) throw alreadyThere(destination.path, false);
  }
}

/** Extract to a staging directory and publish. `undefined` where something is at the destination, and stays. */
async function extractAtomically(work: Work): Promise<ExtractionReport | undefined> {
  const { destination, settings, lifetime, options } = work;
  const { existing, durable, retry } = settings;
  const { signal } = lifetime;
  const staging = await createStaging(destination);
  const madeMode = staging.directory.lstat(TREE)?.mode;
  let isRunning = true;
  const running = work.fill(staging.treePath, lifetime).finally(() => {
    isRunning = false;
  });
  let root: Directory | undefined;
  try {
    await abortable(running, signal);
    const finished = await finish(staging, await options());
    root = finished.root;
    const isOfNobody = !finished.isRootListed && root.opened.mode === madeMode;
    if (existing === 'replace' && isOfNobody) keepMode(root, destination, settings);
    if (durable) await sync(staging, root, signal);
    signal.throwIfAborted();
    const outcome = await (durable ? publishDurably : publish)(staging, root.opened, existing, {
      retry,
      signal,
    });
    return outcome && { ...finished.report, root: destination.path, destination: destination.path, outcome };
  } finally {
    root?.close();
    await removeStaging(staging, isRunning ? running : undefined);
  }
}

/** The pass in the staging directory, and the root that it has worked on: held, so that nothing else can have its identity. */
async function finish(
  staging: Staging,
  pass: ApplyOptions,
): Promise<{ report: PermissionReport; root: Directory; isRootListed: boolean }> {
  const { directory, treePath, destination } = staging;
  let root: Directory | undefined;
  let isRootListed = false;
  const open = () => {
    try {
      root = directory.openRoot(TREE);
      return treeAround(staging, root);
    } catch (error) {
      throw located(error, treePath);
    }
  };
  try {
    const report = await runPass(treePath, pass, open, ({ directories }) => {
      isRootListed = directories[0]?.facts?.mode !== undefined;
    });
    if (root === undefined) throw systemError('ENOENT', 'no such file or directory', 'open', treePath);
    return { report, root, isRootListed };
  } catch (error) {
    root?.close();
    if (!(error instanceof UnresolvedEntriesError) || error.report.root !== treePath) throw error;
    throw new UnresolvedEntriesError({ ...error.report, root: destination.path });
  }
}

/** fsync the tree. An error of the system names the destination, not a descriptor. */
async function sync(staging: Staging, root: Directory, signal: AbortSignal): Promise<void> {
  try {
    await syncTree(treeAround(staging, root), signal);
  } catch (error) {
    throw explained(error, staging.destination.path);
  }
}

/** Give a root whose mode nobody has set that of the directory that it replaces, unless an option says another one. */
function keepMode(root: Directory, destination: Destination, { pass }: StageSettings): void {
  const { mode = 'executable', directoryMode } = pass;
  if (isWindows) return;
  if (directoryMode !== undefined || (mode !== 'executable' && mode !== 'manifest')) return;
  const old = destination.lstat();
  if (old?.type !== 'directory') return;
  const bits = old.mode & PERMISSION_BITS;
  root.chmod(SELF, (found) =>
    (found.mode & PERMISSION_BITS) === bits ? undefined : (found.mode & ~PERMISSION_BITS) | bits,
  );
}

/** The tree of a root in the staging directory that stays held. */
function treeAround({ treePath, path }: Staging, root: Directory): Tree {
  return new Tree(treePath, root, () => {}, { temporaryPath: path });
}

async function extractInPlace(work: Work): Promise<ExtractionReport> {
  const { destination, lifetime } = work;
  const { path, name } = destination;
  destination.renew();
  if (destination.lstat() === undefined) destination.act(() => destination.parent.makeDirectory(name, 0o777));
  destination.openRoot().close();
  await abortable(work.fill(path, lifetime), lifetime.signal);
  const open = () => destination.act(() => openTreeIn(destination.parent, name, path));
  const report = await runPass(path, await work.options(), open);
  return { ...report, destination: path, outcome: 'in-place' };
}
