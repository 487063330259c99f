import type { UnresolvedEntryError } from './errors.ts';
import type { ManifestWarning } from './manifest/manifest.ts';
import { captureStack, PlainAggregateError } from './plain-error.ts';
import { oneLine } from './printable.ts';

/**
 * How many entries had which outcome. Each entry counts once: `visited = changed + unchanged + links + special`.
 * Unresolved entries are in none of these.
 */
export interface PermissionCounts {
  /** Entries that were found and dealt with, the root included. */
  visited: number;
  /** Files and directories whose mode was changed (or would be, in a dry run). */
  changed: number;
  /** Files and directories that needed no change. */
  unchanged: number;
  /** Entries left alone on purpose: matched by `ignore`, mount points, hard links with `hardLinks: 'skip'`. */
  ignored: number;
  /** Symbolic links; never changed. */
  links: number;
  /** FIFOs, sockets and devices; never changed. */
  special: number;
  /** Entries that the manifest does not name and that disappeared during the walk; this is no error. */
  vanished: number;
  /**
   * Entries that were found but are not in the manifest. They count here and in one of the others; with `unlisted: 'error'`, they
   * are unresolved.
   */
  unlisted: number;
  /** Entries of the manifest that may be absent, and are. They count in none of the others. */
  absent: number;
  /** Files that were changed and have more than one name, here or elsewhere: all names have the new mode. They are in `changed`, too. */
  hardLinked: number;
  /** With `verify: 'content'`: files that exist, and for which the manifest has no digest that can be compared. */
  unverified: number;
  /** Plain files that became the links whose text they held (or would, in a dry run). They are not in `changed`. */
  restored: number;
}

/** A link that dangles, loops, leads out of the tree, or may. Links to entries of the tree are not listed. */
export interface LinkReport {
  /** Path of the link below the root. */
  path: string;
  /** Text of the link. */
  target: string;
  /**
   * `'dangling'`: its target does not exist. `'outside'`: it leads out of the root. `'loop'`: it leads back to itself. `'unknown'`: a
   * directory on the way may not be searched, or, on Windows, its text does not say where it leads.
   */
  kind: 'dangling' | 'outside' | 'loop' | 'unknown';
}

/** What waiting for entries of the manifest took. */
export interface SettleReport {
  /** Rounds over everything that was missing, after the first look. */
  rounds: number;
  /** Entries that a later round found as the manifest says. */
  recovered: number;
  /** Milliseconds from the end of the first look to the end of the last round; 0 if there was no waiting. */
  waitedMs: number;
}

/** What a pass found and did. `JSON.stringify` of it is complete; its lists are sorted by path. */
export interface PermissionReport {
  /** Real path of the root. */
  root: string;
  /** True if nothing is unresolved. */
  ok: boolean;
  /**
   * `'anchored'`: by descriptors; no path is resolved twice (Linux). `'native'`: the same, but libc itself made some of the calls,
   * because the tree is large, or a rename needed it. `'path'`: by checked paths (elsewhere).
   */
  backend: 'native' | 'anchored' | 'path';
  /**
   * `'ignored'` on Windows, where modes mean nothing: the pass checked options that ask for modes, and changed no mode.
   * `'applied'` everywhere else.
   */
  modes: 'applied' | 'ignored';
  /** True if nothing was changed; `counts.changed` then counts what would be. */
  dryRun: boolean;
  counts: PermissionCounts;
  links: LinkReport[];
  /** Paths of entries that the manifest does not name, with `unlisted: 'list'`. */
  unlisted: string[];
  unresolved: UnresolvedEntryError[];
  settle: SettleReport;
  /** Odd but harmless: the manifest's own warnings (at most 1,000), `no-exec-bits`, and globs that matched nothing. */
  warnings: readonly ManifestWarning[];
  /** Milliseconds from call to report. */
  durationMs: number;
}

/**
 * A strict pass rejects with this error after it has processed everything it can. It is an ordinary object: JSON and structuredClone
 * keep all of it except its `stack`.
 *
 * @example
 * try {
 *   await applyPermissions('cache/bundle', { manifest });
 * } catch (error) {
 *   if (!(error instanceof UnresolvedEntriesError)) throw error;
 *   for (const { path, reason } of error.errors) console.error(reason, path);
 * }
 */
export class UnresolvedEntriesError extends PlainAggregateError {
  override readonly name = 'UnresolvedEntriesError';
  readonly code = 'ERR_PERMWALK_UNRESOLVED';
  /** The whole report; `report.unresolved` is `errors`. */
  readonly report: PermissionReport;
  declare errors: UnresolvedEntryError[];

  constructor(report: PermissionReport) {
    const { unresolved, root } = report;
    const perReason = new Map<string, number>();
    for (const { reason } of unresolved) perReason.set(reason, (perReason.get(reason) ?? 0) + 1);
    const summary = [...perReason].map(([reason, count]) => `${count} ${reason}`).join(', ');
    const first = unresolved[0];
    super(oneLine(`${summary} in ${root}${first ? `; first: ${first.message}` : ''}`));
    this.errors = unresolved;
    this.report = report;
    captureStack(this);
  }

  /** All facts as plain data. `errors` are `report.unresolved`. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, report } = this;
    return { name, code, message, report };
  }
}

/** The state of a pass, passed to `onProgress` between slices. */
export interface PermissionProgress {
  /**
   * `'fill'`: the callback of {@link stageTree} says how far it is. `'visit'`: the first look. `'settle'`: waiting for pending
   * entries. `'finish'`: directories that lose bits, links.
   */
  phase: 'fill' | 'visit' | 'settle' | 'finish';
  /** In phase `'fill'`: how much is done, in units of the callback. */
  done?: number | undefined;
  /** In phase `'fill'`: how much there is to do, if the callback knows. */
  total?: number | undefined;
  /** Counts so far. */
  counts: Readonly<PermissionCounts>;
  /** How many entries the pass waits for, without directories that are only on the way to them. */
  pending: number;
  /** How many entries are unresolved for good so far. */
  unresolved: number;
  /** The first path that it waits for; `.` is the root itself. */
  waitingFor?: string | undefined;
  /** For how many milliseconds it will wait at most, unless something changes. */
  waitMs?: number | undefined;
  /** What would be unresolved if it stopped now: everything that it waits for, and what is so already. Made when it is called. */
  list(): UnresolvedEntryError[];
}

/** One change: of a mode, or of a file that became a link. Only the latter has a `linkTarget`. */
export type PermissionChange = ModeChange | LinkChange;

/** One change of a mode. */
export interface ModeChange {
  /** Path below the root. */
  path: string;
  /** Mode before, `0o0000` to `0o7777`: setuid, setgid and sticky are included. */
  from: number;
  /** Mode after, or in a dry run the one that it would have; `0o0000` to `0o7777`. */
  to: number;
  /** How many names the file has, if it has more than one: all of them have the new mode. */
  names?: number;
  linkTarget?: undefined;
}

/** A plain file that became the link whose text it held. */
export interface LinkChange {
  /** Path below the root. */
  path: string;
  /** Text of the link. */
  linkTarget: string;
  from?: undefined;
  to?: undefined;
  names?: undefined;
}

/**
 * Nothing counted yet.
 *
 * @internal
 */
export function createCounts(): PermissionCounts {
  return {
    visited: 0,
    changed: 0,
    unchanged: 0,
    ignored: 0,
    links: 0,
    special: 0,
    vanished: 0,
    unlisted: 0,
    absent: 0,
    hardLinked: 0,
    unverified: 0,
    restored: 0,
  };
}
