import type { Spinner } from 'yocto-spinner';
import type { PermissionProgress } from '../report.ts';
import { formatCount } from './table.ts';

/** A shorter pass shows no progress, and does not load the spinner. */
const delayMs = 100;

/** Milliseconds between two updates: faster than anyone reads, slower than the slices. */
const intervalMs = 80;

const phases = { visit: 'visiting', settle: 'waiting', finish: 'finishing' } as const;

/** The progress line of one pass. */
export interface ProgressLine {
  update(progress: PermissionProgress): void;
  /** Clear the line and show the cursor. */
  stop(): void;
}

/** A progress line on stderr if that is a terminal; otherwise `undefined`. */
export function createProgressLine(): ProgressLine | undefined {
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

  return {
    update(progress) {
      const now = performance.now();
      if (now - shownAt < intervalMs) return;
      shownAt = now;
      text = describeProgress(progress).slice(0, (process.stderr.columns || 80) - 3);
      if (spinner) spinner.text = text;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      spinner?.stop();
    },
  };
}

/** One line: `waiting: 12,345 visited, 120 changed, 3 pending`. */
export function describeProgress({ phase, counts, pending, unresolved }: PermissionProgress): string {
  const parts = [`${formatCount(counts.visited)} visited`, `${formatCount(counts.changed)} changed`];
  if (pending > 0) parts.push(`${formatCount(pending)} pending`);
  if (unresolved > 0) parts.push(`${formatCount(unresolved)} unresolved`);
  return `${phases[phase]}: ${parts.join(', ')}`;
}
