import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { extent } from '../helpers/extent.ts';
import { runtime } from '../helpers/runtime.ts';

/** Bytes by which memory may be larger in the second half of a phase than it was at a quarter. */
const MAX_RSS_GROWTH = 48 << 20;
const MAX_HEAP_GROWTH = 8 << 20;
/** Seconds that an attack gets beyond its time, on a machine that is at work, to have any effect. */
const PATIENCE_SECONDS = 60;
/** Rounds after which everything that is loaded and compiled once is there. */
const WARM_UP_ROUNDS = 3;
/** How often memory is looked at in the second half: each look collects what is garbage a few times. */
const LATE_LOOKS = extent({ short: 1, full: 4 });
/** No more breaches of one kind are kept than tell what is wrong. */
const MAX_BREACHES = 20;

/** What came of an attack. */
export interface Result {
  /** Passes, or whatever else was attacked, that were run to their end. */
  rounds: number;
  /** What the attacker did, where there is one. */
  exchanges: number;
  /** Things outside that were watched, whatever their number of rounds. */
  canaries: number;
  /** Descriptors of the process, by their names. */
  descriptors: { before: string[]; after: string[] };
  /** Largest growth of a phase between a quarter of its time and its second half, in bytes, and memory at the end. */
  memory: { growth: number; rss: number };
  /** Everything that must not be. Empty where every promise held. */
  breaches: string[];
  /** Further figures, in words. */
  figures: string[];
  /** Why nothing was attacked here. */
  skipped?: string;
}

/** Attacks for so many seconds. */
export type Attack = (seconds: number) => Promise<Result>;

/** What an attack tells while it is under way. */
export interface Watch {
  /** Note that a promise was broken. */
  breach(what: string): void;
  /** Note a breach unless a condition holds. */
  must(holds: boolean, what: string): void;
  /** Note a figure. */
  figure(what: string): void;
  /** Note what the attacker did. */
  exchanged(times: number): void;
  /** Note how many things are watched. */
  watching(canaries: number): void;
  /**
   * Run rounds for so many seconds, and see whether memory stays flat.
   *
   * @param isMet whether the rounds have met what they must meet; while they have not, they get up to a minute more
   */
  rounds(
    seconds: number,
    round: (number: number) => Promise<void> | void,
    isMet?: () => boolean,
  ): Promise<void>;
}

/**
 * Run an attack, and watch over what no attack may do to the process: a rejection that nobody handles, a warning, a
 * descriptor that stays open, memory that grows. Wants `--expose-gc`.
 */
export async function underWatch(run: (watch: Watch) => Promise<void>): Promise<Result> {
  const result = emptyResult();
  const watch = watchInto(result);
  const onRejection = (reason: unknown) => watch.breach(`unhandled rejection: ${reason}`);
  const onWarning = (warning: Error & { code?: string }) => {
    const isExpected = warning.name === 'ExperimentalWarning' || warning.code === 'ERR_PERMWALK_LEFTOVER';
    watch.must(isExpected, `warning: ${warning}`);
  };
  process.on('unhandledRejection', onRejection);
  process.on('warning', onWarning);
  doFirstThings();
  await restingMemory();
  result.descriptors.before = openDescriptors();
  try {
    await run(watch);
  } catch (error) {
    watch.breach(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await restingMemory();
  result.descriptors.after = openDescriptors();
  const { before, after } = result.descriptors;
  watch.must(String(before) === String(after), `descriptors: ${before} before, ${after} after`);
  result.memory.rss = process.memoryUsage.rss();
  process.off('unhandledRejection', onRejection);
  process.off('warning', onWarning);
  return result;
}

let hasStarted = false;

/**
 * The first child of a process leaves it descriptors for its signals, and so does the first signal that is waited for on Deno; Bun has
 * one more for what is said of errors.
 */
function doFirstThings(): void {
  if (!hasStarted) spawnSync(process.execPath, ['--version']);
  const nothing = () => {};
  process.on('SIGUSR2', nothing).off('SIGUSR2', nothing);
  process.stderr.write('');
  hasStarted = true;
}

/** The result of an attack that cannot be made here. */
export function skip(why: string): Result {
  return { ...emptyResult(), skipped: why };
}

export function emptyResult(): Result {
  return {
    rounds: 0,
    exchanges: 0,
    canaries: 0,
    descriptors: { before: [], after: [] },
    memory: { growth: 0, rss: 0 },
    breaches: [],
    figures: [],
  };
}

function watchInto(result: Result): Watch {
  const breach = (what: string) => {
    if (result.breaches.length < MAX_BREACHES) result.breaches.push(what);
  };
  return {
    breach,
    must: (holds, what) => {
      if (!holds) breach(what);
    },
    figure: (what) => {
      result.figures.push(what);
    },
    exchanged: (times) => {
      result.exchanges += times;
    },
    watching: (canaries) => {
      result.canaries += canaries;
    },
    rounds: async (seconds, round, isMet = () => true) => {
      const memory = new FlatMemory(seconds);
      const isPatient = () => memory.elapsed() * seconds < seconds + PATIENCE_SECONDS;
      for (let number = 0; memory.elapsed() < 1 || (!isMet() && isPatient()); number += 1) {
        await round(number);
        result.rounds += 1;
        await memory.look(number + 1);
      }
      result.memory.growth = Math.max(result.memory.growth, memory.rssGrowth);
      for (const fault of memory.faults()) breach(fault);
    },
  };
}

/** Looks at memory at a quarter of some time, and a few times in its second half. */
class FlatMemory {
  rssGrowth = 0;
  #heapGrowth = 0;
  #early: NodeJS.MemoryUsage | undefined;
  #looks = 0;
  readonly #started = performance.now();
  readonly #milliseconds: number;

  constructor(seconds: number) {
    this.#milliseconds = seconds * 1000;
  }

  /** Which part of the time is over. */
  elapsed(): number {
    return (performance.now() - this.#started) / this.#milliseconds;
  }

  /** @param rounds how many are over */
  async look(rounds: number): Promise<void> {
    const elapsed = this.elapsed();
    if (this.#early === undefined) {
      if (elapsed >= 0.25 && rounds >= WARM_UP_ROUNDS) this.#early = await restingMemory();
      return;
    }
    if (this.#looks === LATE_LOOKS || elapsed < 0.5 + (this.#looks * 0.5) / LATE_LOOKS) return;
    this.#looks += 1;
    const late = await restingMemory();
    this.rssGrowth = Math.max(this.rssGrowth, late.rss - this.#early.rss);
    this.#heapGrowth = Math.max(this.#heapGrowth, heldBytes(late) - heldBytes(this.#early));
  }

  faults(): string[] {
    const faults: string[] = [];
    if (this.rssGrowth > MAX_RSS_GROWTH) faults.push(`memory: RSS grew by ${inMiB(this.rssGrowth)}`);
    if (this.#heapGrowth > MAX_HEAP_GROWTH)
      faults.push(`memory: the heap grew by ${inMiB(this.#heapGrowth)}`);
    return faults;
  }
}

/** Memory in use once what is garbage is gone. */
export function collectedMemory(): NodeJS.MemoryUsage {
  globalThis.gc?.();
  return process.memoryUsage();
}

/** Bytes of the heap and of what belongs to it outside, which Bun counts to the heap. */
export function heldBytes({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return runtime === 'bun' ? heapUsed : heapUsed + external;
}

export function inMiB(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** The same once the event loop has let go of what was awaited last, and what was found to be garbage is freed. */
export async function restingMemory(): Promise<NodeJS.MemoryUsage> {
  for (let times = 0; times < 3; times += 1) {
    await nextTurns();
    collectedMemory();
  }
  await nextTurns();
  return process.memoryUsage();
}

/** Descriptors of this process by what they lead to. None where there is no `/proc`. */
function openDescriptors(): string[] {
  if (process.platform !== 'linux') return [];
  const names = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one that the listing itself was made with.
      return '';
    }
  });
  return names.filter((name) => name !== '').sort();
}

/** What was closed is gone after a few turns of the event loop. */
async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
