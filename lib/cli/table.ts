import { describeFacts, type EntryFacts, formatMode, type UnresolvedEntryError } from '../errors.ts';
import type {
  LinkReport,
  PermissionChange,
  PermissionCounts,
  PermissionReport,
  SettleReport,
} from '../report.ts';
import type { Paint } from './output.ts';
import { printableName, printableText } from './printable.ts';

const reasonWidth = 'permission-denied'.length;
const kindWidth = 'dangling'.length;

/** How far a pass came before it was interrupted. */
export interface InterruptedPass {
  interrupted: true;
  root: string;
  dryRun: boolean;
  counts: PermissionCounts;
}

/** The report for a person: a few blocks, one line for each unresolved entry. */
export function renderReport(report: PermissionReport, paint: Paint): string {
  const { root, backend, dryRun, counts, settle, links, unresolved } = report;
  const note = dryRun ? 'dry run' : 'outcome' in report ? String(report.outcome) : '';
  return joinBlocks([
    [renderRoot(root, [backend, note].filter(Boolean).join(', '), paint)],
    renderCounts(counts, dryRun),
    renderSettle(settle),
    renderLinks(links, paint),
    renderUnresolved(unresolved, paint),
    [renderOutcome(report, paint)],
  ]);
}

/** How far the pass came, and why it stopped. */
export function renderInterruption(pass: InterruptedPass, reason: string, paint: Paint): string {
  const { root, dryRun, counts } = pass;
  const done = `${formatCount(counts.changed)} ${changedWord(dryRun)} so far`;
  return joinBlocks([
    [renderRoot(root, 'incomplete', paint)],
    renderCounts(counts, dryRun),
    [paint('yellow', `${reason}: ${done}`)],
  ]);
}

/** One change, the path last: `0644 -> 0755  bin/tool`. */
export function renderChange({ path, from, to }: PermissionChange): string {
  return `${formatMode(from)} -> ${formatMode(to)}  ${printableName(path)}`;
}

/** A number in groups of three digits. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

function joinBlocks(blocks: string[][]): string {
  const filled = blocks.filter((lines) => lines.length > 0);
  return `${filled.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function renderRoot(root: string, note: string, paint: Paint): string {
  return `${paint('bold', printableName(root))}  ${paint('dim', `(${note})`)}`;
}

function changedWord(dryRun: boolean): string {
  return dryRun ? 'would change' : 'changed';
}

/** Counts in a column: the main ones, and others that are not zero. */
function renderCounts(counts: PermissionCounts, dryRun: boolean): string[] {
  const always: [number, string][] = [
    [counts.visited, 'visited'],
    [counts.changed, changedWord(dryRun)],
    [counts.unchanged, 'unchanged'],
  ];
  const whereAny: [number, string][] = [
    [counts.links, 'symbolic links, never changed'],
    [counts.special, 'FIFOs, sockets and devices, never changed'],
    [counts.ignored, 'ignored'],
    [counts.vanished, 'vanished during the walk'],
    [counts.unlisted, 'not in the manifest'],
  ];
  const rows = [...always, ...whereAny.filter(([count]) => count > 0)];
  const cells = rows.map(([count, label]) => [formatCount(count), label] as const);
  const width = Math.max(...cells.map(([count]) => count.length));
  return cells.map(([count, label]) => `  ${count.padStart(width)}  ${label}`);
}

function renderSettle({ rounds, recovered, waitedMs }: SettleReport): string[] {
  if (rounds === 0) return [];
  const waited = `waited ${formatDuration(waitedMs)} in ${formatCount(rounds)} ${plural(rounds, 'round')}`;
  return [`${waited}, ${formatCount(recovered)} recovered`];
}

function renderLinks(links: readonly LinkReport[], paint: Paint): string[] {
  if (links.length === 0) return [];
  const lines = links.map(({ kind, path, target }) => {
    const column = paint('yellow', kind.padEnd(kindWidth));
    return `  ${column}  ${printableName(path)} -> ${printableName(target)}`;
  });
  return ['links that lead nowhere or out of the tree', ...lines];
}

function renderUnresolved(unresolved: readonly UnresolvedEntryError[], paint: Paint): string[] {
  if (unresolved.length === 0) return [];
  const lines = unresolved.map((entry) => {
    const column = paint('red', entry.reason.padEnd(reasonWidth));
    const facts = describeEntry(entry);
    return `  ${column}  ${printableName(entry.path)}${facts && `  ${facts}`}`;
  });
  return ['unresolved', ...lines];
}

/** Why in words: `expected file of 12 bytes; found file of 7 bytes`, and the errno if there is one. */
function describeEntry(entry: UnresolvedEntryError): string {
  const { reason, expected, actual, target, code, syscall } = entry;
  const parts: string[] = [];
  if (expected) parts.push(`expected ${describePrintable(expected)}`);
  if (actual) parts.push(`found ${describePrintable(actual)}`);
  if (target !== undefined && target !== actual?.linkTarget) parts.push(`-> ${printableName(target)}`);
  const saysMore = reason !== 'missing' && !code.startsWith('ERR_PERMWALK_');
  if (saysMore) parts.push([syscall, code].filter(Boolean).join(' '));
  return printableText(parts.join('; '));
}

/** As {@link describeFacts}, with a link's target escaped like a name. */
function describePrintable({ linkTarget, ...facts }: EntryFacts): string {
  const words = describeFacts(facts);
  if (linkTarget === undefined) return words;
  return [words, `-> ${printableName(linkTarget)}`].filter(Boolean).join(' ');
}

function renderOutcome(
  { ok, counts, dryRun, unresolved, durationMs }: PermissionReport,
  paint: Paint,
): string {
  const done = `${formatCount(counts.changed)} ${changedWord(dryRun)}`;
  const words = ok ? done : `${formatCount(unresolved.length)} unresolved, ${done}`;
  const style = ok ? (dryRun && counts.changed > 0 ? 'yellow' : 'green') : 'red';
  return `${paint(style, words)} ${paint('dim', `(${formatDuration(durationMs)})`)}`;
}

function formatDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}
