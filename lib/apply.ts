import { resolve } from 'node:path';
import { UnresolvedEntriesError } from './errors.ts';
import { byPath, Ledger } from './ledger.ts';
import { type ApplyOptions, resolveOptions, type Settings } from './options.ts';
import { createPace, type Pace } from './pace.ts';
import { createPlan, type Plan } from './plan.ts';
import type { PlannedDirectory, PlannedEntry } from './planned.ts';
import type { PermissionProgress, PermissionReport, SettleReport } from './report.ts';
import { isWithin, nameOf } from './root/names.ts';
import { openRoot } from './root/open.ts';
import { errorCode, type ListedEntry, type Root, transientCodes, typeOf } from './root/root.ts';
import { walk } from './root/walk.ts';
import { settle, waitFor } from './settle.ts';
import { Visit } from './visit/visit.ts';

/**
 * Bring the modes of an unpacked tree in order.
 *
 * Looks with lstat and never follows a link; with a manifest, waits in rounds for the paths that it promises, and
 * for their sizes; reports what stays unresolved. With everything in place nothing waits.
 *
 * @param root directory to work on; a link is resolved once. `/` is refused.
 * @returns what was found and done
 * @throws TypeError or RangeError for an option, {@link ManifestError} for a manifest, before anything is touched
 * @throws ENOENT where the root is not there and no manifest says that it must come; ENOTDIR where it is a file
 * @throws RangeError with code `ERR_PERMWALK_MAX_ENTRIES` past `maxEntries`
 * @throws the signal's reason when it is aborted, and whatever `onProgress` or `onChange` throws
 * @throws {@link UnresolvedEntriesError} when `strict` and something is unresolved: all else has been done
 */
export function applyPermissions(root: string, options: ApplyOptions = {}): Promise<PermissionReport> {
  return runPass(root, options, openRoot);
}

/** The pass, over a root that `open` holds. */
export async function runPass(
  rootPath: string,
  options: ApplyOptions,
  open: (path: string) => Root,
): Promise<PermissionReport> {
  return runSettings(rootPath, resolveOptions(rootPath, options), open);
}

/** The pass, with options that are checked already. */
export async function runSettings(
  rootPath: string,
  settings: Settings,
  open: (path: string) => Root,
): Promise<PermissionReport> {
  const started = performance.now();
  settings.signal?.throwIfAborted();
  const plan = await createPlan(
    settings,
    createPace(settings.signal, () => undefined),
  );
  // Reading the manifest may have let the event loop run.
  settings.signal?.throwIfAborted();
  const ledger = new Ledger(settings.maxEntries);
  ledger.meet(1);
  ledger.expect(plan.listed);
  const settled: SettleReport = { rounds: 0, recovered: 0, waitedMs: 0 };
  const root = await openWhenThere(rootPath, open, plan, settings, settled, ledger);
  try {
    if (root !== undefined) await new Pass(root, plan, ledger, settings, settled).run();
  } finally {
    root?.close();
  }
  return conclude(rootPath, root, ledger, settings, settled, started);
}

/**
 * The report of a pass that is over.
 *
 * @throws UnresolvedEntriesError when `strict` and something is unresolved
 */
export function conclude(
  rootPath: string,
  root: Root | undefined,
  ledger: Ledger,
  settings: Settings,
  settled: SettleReport,
  started: number,
): PermissionReport {
  const report: PermissionReport = {
    root: root?.path ?? resolve(rootPath),
    ok: ledger.unresolved.size === 0,
    backend: root?.backend ?? 'path',
    dryRun: settings.dryRun,
    counts: ledger.counts,
    links: [...ledger.links.values()].sort(byPath),
    unresolved: [...ledger.unresolved.values()].sort(byPath),
    settle: { ...settled, recovered: ledger.recovered },
    durationMs: Math.round(performance.now() - started),
  };
  if (settings.strict && !report.ok) throw new UnresolvedEntriesError(report);
  return report;
}

/** Open the root; if a manifest names something in it, wait for it. `undefined` if it never appeared, which is noted. */
async function openWhenThere(
  path: string,
  open: (path: string) => Root,
  plan: Plan,
  settings: Settings,
  settled: SettleReport,
  ledger: Ledger,
): Promise<Root | undefined> {
  const { retry, signal } = settings;
  if (!plan.hasManifest) return open(path);
  const started = performance.now();
  let attempts = 0;
  let last: unknown;
  const attempt = () => {
    attempts += 1;
    try {
      return open(path);
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (code !== 'ENOENT' && !transientCodes.has(code)) throw error;
      last = error;
      return undefined;
    }
  };
  const root = attempt() ?? (retry === false ? undefined : await waitFor(attempt, retry, signal));
  const elapsedMs = attempts > 1 ? Math.round(performance.now() - started) : 0;
  settled.rounds = attempts - 1;
  settled.waitedMs = elapsedMs;
  if (root !== undefined) return root;
  if (errorCode(last) !== 'ENOENT') throw last;
  const expected = { type: 'directory' } as const;
  ledger.fail('.', undefined, { reason: 'missing', code: 'ENOENT', expected, attempts, elapsedMs });
  return undefined;
}

/** One pass over an open root: visit, settle, finish. */
class Pass {
  readonly #plan: Plan;
  readonly #ledger: Ledger;
  readonly #settings: Settings;
  readonly #settled: SettleReport;
  readonly #root: Root;
  readonly #visit: Visit;
  readonly #pace: Pace;
  #phase: PermissionProgress['phase'] = 'visit';

  constructor(root: Root, plan: Plan, ledger: Ledger, settings: Settings, settled: SettleReport) {
    this.#plan = plan;
    this.#ledger = ledger;
    this.#settings = settings;
    this.#settled = settled;
    this.#root = root;
    this.#visit = new Visit(root, settings, plan, ledger);
    this.#pace = createPace(settings.signal, () => this.#progress());
  }

  async run(): Promise<void> {
    if (this.#settings.discover) await this.#walk('.');
    else this.#ledger.counts.ignored += this.#plan.ignored;
    await this.#visitPlan();
    await this.#settle();
    await this.#confirm();
    await this.#finish();
    // What failed for a moment only while it was finished gets its rounds, too.
    if (this.#ledger.isWaitingForMore()) {
      await this.#settle();
      await this.#finish();
    }
    for (const _ of this.#ledger.giveUp()) if (this.#pace.isOver()) await this.#pace.pause();
    this.#progress();
  }

  /**
   * Where something had to be waited for, another process may have been at work all the while, and may have made anew
   * what was dealt with before: look at everything that was promised once more.
   */
  async #confirm(): Promise<void> {
    if (this.#settled.rounds === 0) return;
    this.#root.rewind();
    const directories = [this.#plan.root];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      for (const planned of [directory.entry, ...directory.entries()]) {
        this.#visit.confirm(planned);
        if (this.#pace.isOver()) await this.#pace.pause();
      }
      for (const below of directory.directories()) directories.push(below);
    }
    if (this.#ledger.isWaitingForMore()) await this.#settle();
  }

  async #finish(): Promise<void> {
    this.#settings.signal?.throwIfAborted();
    this.#phase = 'finish';
    for (const _ of this.#visit.endings()) if (this.#pace.isOver()) await this.#pace.pause();
  }

  async #walk(start: string): Promise<void> {
    await walk(start, this.#visit, this.#pace);
  }

  /** Visit everything that the manifest names and that the walk did not meet, directory by directory. */
  async #visitPlan(): Promise<void> {
    const directories: PlannedDirectory[] = [this.#plan.root];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      const { entry } = directory;
      const outcome = entry.state === 'open' ? this.#enter(directory) : this.#visit.reached(entry);
      if (typeof outcome === 'object') {
        await this.#skip(directory, outcome.error);
        continue;
      }
      if (outcome !== undefined) this.#visit.endDirectory(entry.path, entry, outcome);
      await this.#visitEntries(directory);
      for (const below of [...directory.directories()].reverse()) directories.push(below);
      if (this.#pace.isOver()) await this.#pace.pause();
    }
  }

  #enter({ entry, isLeaf }: PlannedDirectory): ReturnType<Visit['directory']> {
    return isLeaf && entry.path !== '.'
      ? this.#visit.leaf(entry.path, entry)
      : this.#visit.directory(entry.path, entry);
  }

  async #visitEntries(directory: PlannedDirectory): Promise<void> {
    const open: PlannedEntry[] = [];
    for (const planned of directory.entries())
      if (planned.state === 'open' && this.#plan.isAsked(planned)) open.push(planned);
    const found = this.#list(directory.entry.path, open);
    for (const planned of open) {
      const listed = found?.get(nameOf(planned.path));
      if (listed === undefined) this.#visit.look(planned.path, planned);
      else this.#visit.entry(planned.path, planned, typeOf(listed));
      if (this.#pace.isOver()) await this.#pace.pause();
    }
  }

  /** One listing in place of a look at each entry, where only presence is asked. What it lacks is looked for. */
  #list(directory: string, open: readonly PlannedEntry[]): Map<string, ListedEntry> | undefined {
    if (this.#settings.verify !== 'presence' || open.length < 2) return undefined;
    try {
      const found = new Map<string, ListedEntry>();
      for (const entry of this.#root.list(directory)) found.set(entry.name, entry);
      return found;
    } catch {
      // Looking at each entry says what is wrong with it, and needs less: x on the directory, not r.
      return undefined;
    }
  }

  /** Note of everything below a directory that it cannot be reached. */
  async #skip(unreachable: PlannedDirectory, error: unknown): Promise<void> {
    const directories = [unreachable];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      for (const planned of directory.entries()) {
        if (planned.state === 'open' && this.#plan.isAsked(planned)) this.#visit.unreachable(planned, error);
        if (this.#pace.isOver()) await this.#pace.pause();
      }
      for (const below of [...directory.directories()].reverse()) {
        if (below.entry.state === 'open') this.#visit.unreachable(below.entry, error);
        directories.push(below);
      }
    }
  }

  async #settle(): Promise<void> {
    const { retry, signal } = this.#settings;
    if (retry === false || this.#ledger.pending === 0) return;
    this.#phase = 'settle';
    const started = performance.now();
    const waitedBefore = this.#settled.waitedMs;
    const maxRetryTime = Math.max(0, retry.maxRetryTime - waitedBefore);
    this.#progress();
    await settle(
      { isPending: () => this.#ledger.pending > 0 && !this.#visit.isRootGone(), round: () => this.#round() },
      { ...retry, maxRetryTime },
      signal,
    );
    if (this.#visit.isRootGone()) {
      const expected = { type: 'directory' } as const;
      this.#ledger.fail('.', this.#plan.root.entry, { reason: 'missing', code: 'ENOENT', expected });
    }
    this.#settled.waitedMs = waitedBefore + Math.round(performance.now() - started);
  }

  /** Look at everything that is pending once more. Returns whether anything is other than before. */
  async #round(): Promise<boolean> {
    this.#settled.rounds += 1;
    this.#ledger.progressed = false;
    this.#root.rewind();
    let blocked: { path: string; error: unknown } | undefined;
    for (const planned of this.#ledger.waiting()) {
      if (planned.state !== 'pending') continue;
      if (blocked !== undefined && isWithin(blocked.path, planned.path)) {
        this.#visit.unreachable(planned, blocked.error);
      } else if (planned.type !== 'directory') {
        this.#visit.look(planned.path, planned);
      } else if (this.#settings.discover && planned.isWalked !== true) {
        await this.#walk(planned.path);
      } else {
        const outcome = this.#visit.directory(planned.path, planned);
        if (typeof outcome === 'object') blocked = { path: planned.path, error: outcome.error };
        else this.#visit.endDirectory(planned.path, planned, outcome);
      }
      if (this.#pace.isOver()) await this.#pace.pause();
    }
    this.#progress();
    return this.#ledger.progressed || this.#visit.isRootGone();
  }

  #progress(): void {
    const { counts, pending, unresolved } = this.#ledger;
    this.#settings.onProgress?.({
      phase: this.#phase,
      counts: { ...counts },
      pending,
      unresolved: unresolved.size,
    });
  }
}
