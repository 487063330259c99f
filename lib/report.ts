import type { UnresolvedEntryError } from './errors.ts';

/**
 * How many entries came to which end. Each entry counts once:
 * `visited = changed + unchanged + links + special`; entries that are unresolved are counted in none of them.
 */
export interface PermissionCounts {
  /** Entries that were there and are dealt with, the root included. */
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
  /** Entries that no manifest names and that disappeared during the walk. */
  vanished: number;
  /** Entries that were found and that the manifest does not name; counted beside the others. */
  unlisted: number;
}

/** A link that leads nowhere or out of the tree. A link to an entry of the tree is not listed. */
export interface LinkReport {
  /** Path of the link below the root. */
  path: string;
  /** Text of the link. */
  target: string;
  /** `'dangling'`: its target is not there. `'outside'`: it leads out of the root. `'loop'`: links in a circle. */
  kind: 'dangling' | 'outside' | 'loop';
}

/** What waiting for the manifest's promises took. */
export interface SettleReport {
  /** Rounds over what was unresolved, after the first look. */
  rounds: number;
  /** Entries that a later round found as promised. */
  recovered: number;
  /** Milliseconds from the end of the first look to the end of the last round; 0 where nothing was waited for. */
  waitedMs: number;
}

/** What a pass found and did. `JSON.stringify` of it is complete; lists are sorted by path. */
export interface PermissionReport {
  /** Real path of the root. */
  root: string;
  /** True where nothing is unresolved. */
  ok: boolean;
  /** `'anchored'`: descriptors, no path is ever resolved twice (Linux). `'path'`: checked paths (elsewhere). */
  backend: 'anchored' | 'path';
  /** True where nothing was changed and `changed` counts what would be. */
  dryRun: boolean;
  counts: PermissionCounts;
  links: LinkReport[];
  unresolved: UnresolvedEntryError[];
  settle: SettleReport;
  /** Milliseconds from call to report. */
  durationMs: number;
}

/** A state of the pass, handed to `onProgress` between slices. */
export interface PermissionProgress {
  /** `'visit'`: the first look. `'settle'`: waiting for what is pending. `'finish'`: restrictive directories, links. */
  phase: 'visit' | 'settle' | 'finish';
  /** Counts so far. */
  counts: Readonly<PermissionCounts>;
  /** Entries waited for. */
  pending: number;
  /** Entries that are unresolved for good so far. */
  unresolved: number;
}

/** One change of a mode. */
export interface PermissionChange {
  /** Path below the root. */
  path: string;
  /** Mode before, setuid, setgid and sticky included. */
  from: number;
  /** Mode after. */
  to: number;
}

/** Nothing counted yet. */
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
  };
}
