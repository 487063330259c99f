import { errorCode, transientCodes } from '../directory/errors.ts';
import type { FoldName } from '../directory/folding.ts';
import type { OpenTree } from '../directory/open.ts';
import type { Tree } from '../directory/tree.ts';
import type { EntryFacts } from '../errors.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import { own } from '../own.ts';
import type { PermissionReport, SettleReport } from '../report.ts';
import { UnresolvedEntriesError } from '../report.ts';
import type { Settings } from '../settings.ts';
import { runAtOnce, runInSlices, type Slices } from '../slices.ts';
import { collisionsIn } from './collisions.ts';
import { type Books, Course, type Digesting, type Globs } from './course.ts';
import { globWarnings } from './glob-warnings.ts';
import { type Ignored, ignoredIn } from './ignored.ts';
import { byPath, Ledger } from './ledger.ts';
import { Pass } from './pass.ts';
import type { Plan } from './plan.ts';
import { Teller } from './progress.ts';
import { settle, waitFor } from './settle.ts';
import { NO_SLOT, Slots, Subject } from './slots.ts';
import { walk } from './walk.ts';
import { warningsOf } from './warnings.ts';

/** One call: from the plan to the report. */
export class Run {
  readonly #rootPath: string;
  readonly #settings: Settings;
  readonly #started = performance.now();
  readonly #settled: SettleReport = { rounds: 0, recovered: 0, waitedMs: 0 };
  readonly #teller: Teller;
  #books!: Books;

  constructor(rootPath: string, settings: Settings) {
    this.#rootPath = rootPath;
    this.#settings = settings;
    this.#teller = new Teller(settings.onProgress);
  }

  /** Open the books. */
  begin(plan: Plan, ignored: Ignored, globs: Globs, digesting?: Digesting): void {
    const slots = new Slots(plan);
    const ledger = new Ledger(slots, this.#settings.maxEntries);
    this.#books = { plan, ignored, globs, fold: undefined, slots, ledger, digesting };
    ledger.meet(1);
    ledger.expect(ignored.listed);
    if (!this.#settings.discover) ledger.countIgnored(ignored.topmost);
  }

  /** Open the books anew for a file system that folds names; what is listed twice in two spellings is unresolved. */
  async fold(fold: FoldName, globs: Globs, slices: Slices): Promise<void> {
    const { plan, digesting } = this.#books;
    const { signal } = this.#settings;
    const ignored = await runInSlices(ignoredIn(plan, globs.ignore, slices), slices, signal);
    this.begin(plan, ignored, globs, digesting);
    this.#books = { ...this.#books, fold };
    const { slots, ledger } = this.#books;
    for (const slot of await runInSlices(collisionsIn(plan, ignored, fold, slices), slices, signal)) {
      const { type, mode, size, linkTarget } = slots.facts(slot) ?? own<Partial<ManifestEntry>>({});
      const expected = { type: type ?? slots.type(slot), mode, size, linkTarget } as EntryFacts;
      const code = 'ERR_PERMWALK_SAME_NAME';
      ledger.fail(slots.subject(slot), { reason: 'type-mismatch', code, expected });
    }
  }

  /** Open the tree; where a manifest lists something in it, wait for it. `undefined` where it never appeared, which is noted. */
  async openWhenThere(open: OpenTree): Promise<Tree | undefined> {
    const { retry, signal, manifest } = this.#settings;
    if (manifest === undefined) return open(this.#rootPath);
    const started = performance.now();
    let attempts = 0;
    let last: unknown;
    if (retry !== false) this.#teller.waits(retry);
    const attempt = () => {
      if (attempts > 0) this.#teller.tellOfRoot(attempts, this.#books.ledger);
      attempts += 1;
      try {
        return open(this.#rootPath);
      } catch (error) {
        const code = errorCode(error) ?? '';
        if (code !== 'ENOENT' && !transientCodes.has(code)) throw error;
        last = error;
        return undefined;
      }
    };
    const tree = attempt() ?? (retry === false ? undefined : await waitFor(attempt, retry, signal));
    const elapsedMs = attempts > 1 ? Math.round(performance.now() - started) : 0;
    this.#settled.rounds = attempts - 1;
    this.#settled.waitedMs = elapsedMs;
    if (tree !== undefined) return tree;
    if (errorCode(last) !== 'ENOENT') throw last;
    this.#missingRoot(NO_SLOT, { attempts, elapsedMs });
    return undefined;
  }

  /** The whole pass; the event loop has its turn after each slice. */
  async inSlices(tree: Tree, slices: Slices): Promise<void> {
    const { discover } = this.#settings;
    slices.begin();
    const pass = this.#pass(tree, slices);
    const run = <T>(work: Generator<void, T>) =>
      runInSlices(work, slices, this.#settings.signal, () => this.#progress());
    const explore = async (place: Parameters<Pass['explore']>[0]) => {
      if (slices.isOver()) await run(aPause());
      return run(pass.explore(place));
    };
    if (discover) await walk(this.#books.plan.root, explore);
    await run(pass.visitPlan());
    await this.#settle(pass, run);
    if (this.#settled.rounds > 0) {
      await run(pass.confirm());
      if (this.#books.ledger.isWaitingForMore()) await this.#settle(pass, run);
      await run(pass.findUnlisted());
      if (this.#books.ledger.isWaitingForMore()) await this.#settle(pass, run);
    }
    await this.#finish(pass, run);
    // What failed for a moment only while it was finished gets its rounds, too.
    if (this.#books.ledger.isWaitingForMore()) {
      await this.#settle(pass, run);
      await this.#finish(pass, run);
    }
    await run(pass.giveUp());
    this.#progress();
  }

  /** The same without waiting, in one go. */
  atOnce(tree: Tree, slices: Slices): void {
    const pass = this.#pass(tree, slices);
    runAtOnce(pass.walk(this.#books.plan.root));
    runAtOnce(pass.finish());
    runAtOnce(pass.giveUp());
  }

  /**
   * The report of a pass that is over.
   *
   * @throws UnresolvedEntriesError when `strict` and something is unresolved
   */
  conclude(tree: Tree | undefined): PermissionReport {
    const { dryRun, strict, modes } = this.#settings;
    const { unresolved, counts, links, unlisted, recovered } = this.#books.ledger;
    const report: PermissionReport = {
      root: tree?.path ?? this.#rootPath,
      ok: unresolved.size === 0,
      backend: tree?.backend ?? 'path',
      modes,
      dryRun,
      counts,
      links: [...links.values()].sort(byPath),
      unlisted: [...unlisted].sort(),
      unresolved: [...unresolved.values()].sort(byPath),
      settle: { ...this.#settled, recovered },
      warnings: [
        ...warningsOf(this.#settings, this.#books.plan),
        ...(tree === undefined ? [] : globWarnings(this.#books.globs)),
      ],
      durationMs: Math.round(performance.now() - this.#started),
    };
    if (strict && !report.ok) throw new UnresolvedEntriesError(report);
    return report;
  }

  #pass(tree: Tree, slices: Slices): Pass {
    return new Pass(new Course(tree, this.#settings, this.#books, slices));
  }

  async #finish(pass: Pass, run: RunSlices): Promise<void> {
    this.#settings.signal?.throwIfAborted();
    this.#teller.phase = 'finish';
    await run(pass.finish());
  }

  async #settle(pass: Pass, run: RunSlices): Promise<void> {
    const { retry, signal } = this.#settings;
    if (retry === false || this.#books.ledger.pending === 0) return;
    this.#teller.phase = 'settle';
    const started = performance.now();
    const waitedBefore = this.#settled.waitedMs;
    const maxRetryTime = Math.max(0, retry.maxRetryTime - waitedBefore);
    this.#teller.waits({ ...retry, maxRetryTime });
    this.#progress();
    const round = async () => {
      this.#settled.rounds += 1;
      this.#books.ledger.progressed = false;
      await run(pass.round());
      // Progress resets the retries.
      if (this.#books.ledger.progressed) {
        const left = Math.max(0, started + maxRetryTime - performance.now());
        this.#teller.waits({ ...retry, maxRetryTime: left });
      }
      this.#progress();
      return this.#books.ledger.progressed || pass.isRootGone();
    };
    const isPending = () => this.#books.ledger.pending > 0 && !pass.isRootGone();
    await settle({ isPending, round }, { ...retry, maxRetryTime }, signal);
    if (pass.isRootGone()) this.#missingRoot(this.#books.plan.slotOf(this.#books.plan.root), {});
    this.#settled.waitedMs = waitedBefore + Math.round(performance.now() - started);
  }

  #missingRoot(slot: number, how: { attempts?: number; elapsedMs?: number }): void {
    const subject = new Subject(this.#books.plan.root, undefined, slot);
    const expected = { type: 'directory' } as const;
    this.#books.ledger.fail(subject, { reason: 'missing', code: 'ENOENT', expected, ...how });
  }

  #progress(): void {
    this.#teller.tell(this.#books);
  }
}

type RunSlices = <T>(work: Generator<void, T>) => Promise<T>;

function* aPause(): Generator<void> {
  yield;
}
