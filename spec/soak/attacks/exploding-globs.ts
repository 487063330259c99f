import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as fc from 'fast-check';
import { extent } from '../../helpers/extent.ts';
import { scriptPath } from '../../helpers/runtime.ts';
import { tempDirectory } from '../../helpers/tree.ts';
import { type Result, skip, underWatch } from '../attack.ts';
import type { GlobTask } from '../glob-child.ts';

const script = scriptPath(new URL('../glob-child.ts', import.meta.url));
/** Seconds of processor time in which every glob must have been refused or matched: far more than any that is bounded. */
const PATIENCE = 5;
const POLL_MS = 50;
/** The short run tries every fourth glob, and fewer random ones. */
const STRIDE = extent({ short: 4, full: 1 });
const RANDOM = extent({ short: 10, full: 50 });
/** Directories in one another of the deepest name: each is a name of its own to be matched. */
const LEVELS = extent({ short: 200, full: 2040 });
/** Clock ticks in a second in proc(5): the same on every Linux. */
const TICKS = 100;

/** Names that make regular expressions backtrack, as long as a tree or a manifest may have them. */
const names = [
  `${'a'.repeat(254)}!`,
  `${'ab'.repeat(127)}!`,
  `${'a'.repeat(8)}!`,
  `${'a/'.repeat(30)}!`,
  `${`${'a'.repeat(200)}/`.repeat(20)}!`,
  `${'a/'.repeat(LEVELS)}!`,
  `[${'a'.repeat(200)}!]`,
];

/** Globs that would not end: by braces, by extglobs, by what micromatch hands on to the regular expression. */
const exploding = [
  '{1..1000000}',
  '{1..1000000000..1}',
  '{a,b}'.repeat(30),
  '{a,b}'.repeat(800),
  `${'{a,aa}'.repeat(30)}b`,
  `${'{a,{a,{a,aa}}}'.repeat(20)}b`,
  `${'{'.repeat(1000)}a,b${'}'.repeat(1000)}`,
  `${`{${'a,'.repeat(100)}a}`.repeat(8)}b`,
  `${`@(${'a|'.repeat(100)}a)`.repeat(8)}b`,
  `${'{a,a}/'.repeat(30)}b`,
  `${'@(a|a)/'.repeat(30)}b`,
  '{a,aa}+b',
  '+(a|a*)*b',
  '+(a|aa)b',
  '+(a|b|ab)c',
  '*(ab|a|b)c',
  '+([a-z]|[a-c])1',
  '*(a*)b',
  '+(*)b',
  '(a+)+b',
  '(?:a|aa)+b',
  '@(a+a+a+a+a+a+)b',
  '(?:a+a+a+a+a+a+)b',
  '[a-z]+[a-z]+[a-z]+[a-z]+[a-z]+b',
  `${'*a'.repeat(20)}b`,
  `${'!(b)'.repeat(20)}b`,
  `${'?(a)'.repeat(40)}b`,
  '"["*a*a*a*a*a*a*b"]"',
  `${'**/a/'.repeat(10)}b`,
  '**/*a*a/**/*a*a/*a*b',
  `${'+('.repeat(500)}a${')'.repeat(500)}`,
  `${'!(a'.repeat(500)}${')'.repeat(500)}`,
  `${'('.repeat(4000)}`,
  `${'['.repeat(4000)}`,
  `${'*'.repeat(4000)}`,
  'x'.repeat(70_000),
];

/** Globs that a tree needs: these must be taken. */
const ordinary = ['**/*.{so,dylib,so.*}', '**/bin/*', '!(*.d).ts', 'lib*-*.so.*', '**/__pycache__/**'];

const parts = [
  'a',
  'b',
  'ab',
  '*',
  '**',
  '?',
  '[a-z]',
  '[a-z]+',
  '+',
  '/',
  '"',
  '(',
  ')',
  '|',
  '{',
  '}',
  ',',
];
const groups = [
  '@(',
  '+(',
  '*(',
  '?(',
  '!(',
  '(?:',
  'a|',
  '|a',
  'a,',
  '{a,aa}',
  '{a,a}',
  '+(a|b)',
  '\\',
  '[',
  ']',
];
const randomGlob = fc
  .array(fc.constantFrom(...parts, ...groups), { minLength: 1, maxLength: 40 })
  .map((all) => all.join(''))
  .filter((glob) => glob !== '');

/**
 * Globs that explode, and any others: each is refused with a RangeError that names the option and the glob, or matched
 * against names that were made for it, in time that is bounded.
 */
export async function explodingGlobs(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('processor time is read from /proc: Linux');
  return underWatch(async (watch) => {
    const matcher = new Matcher(tempDirectory());
    const counts = { taken: 0, refused: 0 };
    const match = async (glob: string) => {
      const outcome = await matcher.match({ glob, names });
      const shown = JSON.stringify(glob.slice(0, 60));
      if (outcome === 'taken') counts.taken += 1;
      else if (outcome.startsWith(`RangeError: option: glob ${shown.slice(0, -1)}`)) counts.refused += 1;
      else watch.breach(`${shown} (${glob.length} characters): ${outcome.slice(0, 200)}`);
      return outcome;
    };
    for (const glob of ordinary) watch.must((await match(glob)) === 'taken', `${glob} is refused`);
    for (const glob of exploding.filter((_, index) => index % STRIDE === 0)) await match(glob);
    const rest = extent({ short: seconds, full: Math.max(seconds / 4, 1) });
    await watch.rounds(rest, async () => {
      for (const glob of fc.sample(randomGlob, RANDOM)) await match(glob);
    });
    matcher.stop();
    await matcher.ended;
    watch.figure(`${counts.taken} globs were taken, ${counts.refused} refused`);
    watch.must(counts.taken > ordinary.length && counts.refused > 0, 'all were taken, or all refused');
  });
}

/** A process that matches; it is ended and started anew where a glob takes it too long. */
class Matcher {
  ended: Promise<unknown> = Promise.resolve();
  readonly #root: string;
  #child: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  /** What came of it. */
  async match(task: GlobTask): Promise<string> {
    const isWarm = this.#child !== undefined;
    if (!isWarm) await this.#start();
    const { pid = 0 } = this.#child as ChildProcess;
    const before = processorSeconds(pid);
    let isHung = false;
    const timer = setInterval(() => {
      if (processorSeconds(pid) - before < PATIENCE) return;
      isHung = true;
      this.stop();
    }, POLL_MS);
    this.#child?.stdin?.write(`${JSON.stringify(task)}\n`);
    const line = await this.#lines?.next();
    clearInterval(timer);
    if (line?.done === false) return line.value;
    await this.ended;
    return isHung ? `takes more than ${PATIENCE} s` : 'ended the process';
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  async #start(): Promise<void> {
    const child = spawn(process.execPath, [...process.execArgv, script, this.#root], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.on('error', () => undefined);
    this.#child = child;
    this.ended = new Promise((resolve) => child.on('close', resolve));
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    // Everything is loaded and compiled with the first glob, which nobody waits for.
    child.stdin.write(`${JSON.stringify({ glob: 'a', names: [] })}\n`);
    await this.#lines.next();
  }
}

/** What a process has used of the processor; nothing of one that is gone. */
function processorSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  } catch {
    return 0;
  }
}
