import { describeFacts, type EntryFacts, formatMode, type UnresolvedEntryError } from '../errors.ts';
import type {
  LinkReport,
  PermissionChange,
  PermissionCounts,
  PermissionReport,
  SettleReport,
} from '../report.ts';
import { inFlags } from './flags.ts';
import { renderWarnings } from './notes.ts';
import type { Paint } from './output.ts';
import { printableName, printableText } from './printable.ts';
import { changedWord, formatCount, formatDuration, plural, restoredWord } from './words.ts';

const reasonWidth = 'permission-denied'.length;
const kindWidth = 'dangling'.length;

/** How many changes of a dry run are listed where each is not printed as it comes. */
export const MAX_LISTED = 20;

/** How far a pass came before it was interrupted. */
export interface InterruptedPass {
  ok: false;
  interrupted: true;
  root: string;
  dryRun: boolean;
  counts: PermissionCounts;
  /** What is unresolved so far, and what was waited for. */
  unresolved: readonly UnresolvedEntryError[];
}

/** What a report does not say. */
export interface Remarks {
  /** The first changes of a dry run, unless they were printed as they came. */
  readonly changes?: readonly PermissionChange[] | undefined;
  /** The first changed files that have other names. */
  readonly hardLinked?: readonly string[] | undefined;
  /** What became of the destination of an extraction, where there is no tree of which more is to be said. */
  readonly leftAs?: string | undefined;
}

/** The report for a person: a few blocks, one line for each unresolved entry. */
export function renderReport(report: PermissionReport, paint: Paint, remarks: Remarks = {}): string {
  const { root, backend, dryRun, counts, settle, links, unlisted, unresolved } = report;
  const { leftAs, changes = [], hardLinked = [] } = remarks;
  const outcome = dryRun ? 'dry run' : 'outcome' in report ? String(report.outcome) : '';
  const note = leftAs ?? [backend, outcome].filter(Boolean).join(', ');
  return joinBlocks([
    [renderRoot(root, note, paint)],
    leftAs === undefined ? renderCounts(counts, dryRun) : [],
    renderSettle(settle),
    renderChanges(changes, counts.changed + counts.restored),
    renderLinks(links, paint),
    renderUnlisted(unlisted),
    renderUnresolved(unresolved, paint),
    renderNotes(report, hardLinked),
    [
      leftAs === undefined
        ? renderOutcome(report, paint)
        : paint('red', `${formatCount(unresolved.length)} unresolved: ${leftAs}`),
    ],
  ]);
}

/** How far the pass came, and why it stopped. */
export function renderInterruption(
  pass: InterruptedPass,
  reason: string,
  paint: Paint,
  leftAs?: string,
): string {
  const { root, dryRun, counts, unresolved } = pass;
  const done = `${formatCount(counts.changed)} ${changedWord(dryRun)} so far`;
  return joinBlocks([
    [renderRoot(root, leftAs ?? 'incomplete', paint)],
    leftAs === undefined ? renderCounts(counts, dryRun) : [],
    renderUnresolved(unresolved, paint, 'unresolved so far'),
    [paint('yellow', `${reason}: ${leftAs ?? done}`)],
  ]);
}

/** One change, the path last: `0644 -> 0755  bin/tool`, or `file -> link  bin/run -> tool`. */
export function renderChange(change: PermissionChange): string {
  const { path, from, to, linkTarget } = change;
  if (linkTarget !== undefined) return `file -> link  ${printableName(path)} -> ${printableName(linkTarget)}`;
  return `${formatMode(from)} -> ${formatMode(to)}  ${printableName(path)}`;
}

function joinBlocks(blocks: string[][]): string {
  const filled = blocks.filter((lines) => lines.length > 0);
  return `${filled.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function renderRoot(root: string, note: string, paint: Paint): string {
  return `${paint('bold', printableName(root))}  ${paint('dim', `(${note})`)}`;
}

/** Counts in a column: the main ones, and others that are not zero. */
function renderCounts(counts: PermissionCounts, dryRun: boolean): string[] {
  const always: [number, string][] = [
    [counts.visited, 'visited'],
    [counts.changed, changedWord(dryRun)],
    [counts.unchanged, 'unchanged'],
  ];
  const whereAny: [number, string][] = [
    [counts.restored, `plain files that ${restoredWord(dryRun)} links`],
    [counts.links, 'symbolic links, never changed'],
    [counts.special, 'FIFOs, sockets and devices, never changed'],
    [counts.ignored, 'ignored'],
    [counts.vanished, 'vanished during the walk'],
    [counts.unlisted, 'not in the manifest'],
    [counts.unverified, 'with no digest in the manifest, so that their content was not verified'],
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

function renderUnlisted(unlisted: readonly string[]): string[] {
  if (unlisted.length === 0) return [];
  const lines = unlisted.slice(0, MAX_LISTED).map((path) => `  ${printableName(path)}`);
  const left = unlisted.length - lines.length;
  return [
    'not in the manifest',
    ...lines,
    ...(left > 0 ? [`  and ${formatCount(left)} more; --json lists all`] : []),
  ];
}

function renderChanges(changes: readonly PermissionChange[], changed: number): string[] {
  if (changes.length === 0) return [];
  const lines = changes.map((change) => `  ${renderChange(change)}`);
  const left = changed - changes.length;
  const more = left > 0 ? [`  and ${formatCount(left)} more; --verbose lists all`] : [];
  return ['would change', ...lines, ...more];
}

/** What a person should know and need not do anything about. */
function renderNotes(
  { warnings, counts, dryRun, modes }: PermissionReport,
  hardLinked: readonly string[],
): string[] {
  const notes = renderWarnings(warnings);
  if (modes === 'ignored') notes.push('note: modes mean nothing on Windows: none was changed');
  const { hardLinked: count } = counts;
  if (count > 0) {
    const names = hardLinked.map(printableName).join(', ');
    const more = count > hardLinked.length ? ` and ${formatCount(count - hardLinked.length)} more` : '';
    const verb = dryRun ? 'would change' : 'changed';
    notes.push(
      `note: ${names}${more}: the same ${plural(count, 'file')} under other names ${verb}, too (--hard-links)`,
    );
  }
  return notes;
}

function renderUnresolved(
  unresolved: readonly UnresolvedEntryError[],
  paint: Paint,
  heading = 'unresolved',
): string[] {
  if (unresolved.length === 0) return [];
  const lines = unresolved.map((entry) => {
    const column = paint('red', entry.reason.padEnd(reasonWidth));
    const facts = describeEntry(entry);
    const name = entry.path === '.' ? '. (the root)' : printableName(entry.path);
    return `  ${column}  ${name}${facts && `  ${facts}`}`;
  });
  return [heading, ...lines, '', ...renderAdvice(unresolved)];
}

/** What to do, each once: mostly one a reason. */
function renderAdvice(unresolved: readonly UnresolvedEntryError[]): string[] {
  const lines = unresolved.map(({ reason, advice }) => `  ${reason.padEnd(reasonWidth)}  ${inFlags(advice)}`);
  return ['what to do', ...new Set(lines)];
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
  const { changed, restored } = counts;
  const links = restored > 0 ? `, ${formatCount(restored)} ${restoredWord(dryRun)} links` : '';
  const done = `${formatCount(changed)} ${changedWord(dryRun)}${links}`;
  const words = ok ? done : `${formatCount(unresolved.length)} unresolved, ${done}`;
  const style = ok ? (dryRun && changed + restored > 0 ? 'yellow' : 'green') : 'red';
  return `${paint(style, words)} ${paint('dim', `(${formatDuration(durationMs)})`)}`;
}
