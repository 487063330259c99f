/** A number in groups of three digits. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** What became of a mode. */
export function changedWord(isDryRun: boolean): string {
  return isDryRun ? 'would change' : 'changed';
}

export function formatDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}
