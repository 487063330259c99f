/** A number in groups of three digits. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** What became of a mode. */
export function changedWord(isDryRun: boolean): string {
  return isDryRun ? 'would change' : 'changed';
}

/** What became of a file that held the text of a link. */
export function restoredWord(isDryRun: boolean): string {
  return isDryRun ? 'would become' : 'became';
}

export function formatDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}
