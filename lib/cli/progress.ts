import type { Spinner } from 'yocto-spinner';
import type { PermissionProgress } from '../report.ts';
import { printableName } from './printable.ts';
import { changedWord, formatCount } from './words.ts';

/** A shorter pass shows no progress, and does not load the spinner. */
const delayMs = 100;

/** Milliseconds between two updates: faster than anyone reads, slower than the slices. */
const intervalMs = 80;

/** As much of a path as is shown: its end says more than its beginning. */
const shownLength = 40;

const phases = { visit: 'visiting', settle: 'waiting', finish: 'finishing' } as const;

/** The progress line of one run. */
export interface ProgressLine {
  update(progress: PermissionProgress): void;
  /** Say something else. */
  say(text: string): void;
  /** Show another text, which is made only where it is shown. */
  show(describe: () => string): void;
  /** Clear the line and show the cursor. */
  stop(): void;
}

/** A progress line on stderr if that is a terminal; otherwise `undefined`. */
export function createProgressLine(isDryRun: boolean): ProgressLine | undefined {
  const { TERM, CI } = process.env;
  if (!process.stderr.isTTY || TERM === 'dumb' || CI !== undefined) return undefined;

  let text = 'starting';
  let shownAt = 0;
  let spinner: Spinner | undefined;
  let stopped = false;
  const timer = setTimeout(async () => {
    const { default: createSpinner } = await import('yocto-spinner');
    // We handle Ctrl-C: the spinner would end the process in the middle of a slice.
    if (!stopped) spinner = createSpinner({ text, stream: process.stderr, handleSignals: false }).start();
  }, delayMs);

  const say = (words: string): void => {
    text = words.slice(0, (process.stderr.columns || 80) - 3);
    if (spinner) spinner.text = text;
  };
  const show = (describe: () => string): void => {
    const now = performance.now();
    if (now - shownAt < intervalMs) return;
    shownAt = now;
    say(describe());
  };

  return {
    say,
    show,
    update: (progress) => show(() => describeProgress(progress, isDryRun)),
    stop() {
      stopped = true;
      clearTimeout(timer);
      spinner?.stop();
    },
  };
}

/** One line: `waiting for lib/late and 2 more (up to 12 s): 12,345 visited, 120 changed`. */
export function describeProgress(progress: PermissionProgress, isDryRun: boolean): string {
  const { phase, counts, pending, unresolved, waitingFor, waitMs } = progress;
  if (phase === 'fill') return describeFilling(progress);
  const parts = [
    `${formatCount(counts.visited)} visited`,
    `${formatCount(counts.changed)} ${changedWord(isDryRun)}`,
  ];
  if (waitingFor === undefined && pending > 0) parts.push(`${formatCount(pending)} pending`);
  if (unresolved > 0) parts.push(`${formatCount(unresolved)} unresolved`);
  const what = waitingFor === undefined ? '' : ` for ${describeAwaited(waitingFor, pending)}`;
  const howLong = waitMs === undefined ? '' : ` (up to ${Math.ceil(waitMs / 1000)} s)`;
  return `${phases[phase]}${what}${howLong}: ${parts.join(', ')}`;
}

/** One line: `filling: 12 of 300 (4 %)`. */
function describeFilling({ done = 0, total }: PermissionProgress): string {
  if (total === undefined) return `filling: ${formatCount(done)}`;
  const share = total > 0 ? ` (${Math.floor((100 * done) / total)} %)` : '';
  return `filling: ${formatCount(done)} of ${formatCount(total)}${share}`;
}

function describeAwaited(path: string, pending: number): string {
  if (path === '.') return 'the root, which is not there';
  const name = printableName(path);
  const shown = name.length > shownLength ? `…${name.slice(1 - shownLength)}` : name;
  return pending > 1 ? `${shown} and ${formatCount(pending - 1)} more` : shown;
}
