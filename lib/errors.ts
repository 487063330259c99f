import type { PermissionReport } from './report.ts';

/** What kind of thing an entry is. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'other';

/** Facts of one entry, expected or found. Only what is known is there. */
export interface EntryFacts {
  /** Kind of the entry. `'other'` is a FIFO, socket or device. */
  type?: EntryType;
  /** Size in bytes. */
  size?: number;
  /** Permission bits with setuid, setgid and sticky: `0o0000` to `0o7777`. */
  mode?: number;
  /** Text of a symbolic link. */
  linkTarget?: string;
}

/**
 * Why an entry is unresolved.
 *
 * - `missing`: the manifest names it, and it is not there.
 * - `size-mismatch`: it is there with another number of bytes than the manifest says.
 * - `type-mismatch`: it is there as another kind of entry.
 * - `link-flattened`: a link that lies there as a plain file holding the target's text.
 * - `link-mismatch`: a link that points elsewhere than the manifest says.
 * - `dangling-link`: a link whose target is not there.
 * - `symlink-in-path`: a directory on the way is a link, which is never followed.
 * - `permission-denied`: EPERM or EACCES.
 * - `read-only`: EROFS.
 * - `not-applied`: chmod succeeded and the mode is not what was set (vfat, FUSE, some network mounts).
 * - `hard-linked`: a file with more than one link, and `hardLinks` is `'error'`.
 * - `undecodable-name`: its name is not UTF-8, and a manifest or glob would have to name it.
 * - `unsafe-path`: it lies where the pass must not go: on another device, or swapped under the pass.
 * - `io-error`: anything else that the system reported; see `code`.
 */
export type UnresolvedReason =
  | 'missing'
  | 'size-mismatch'
  | 'type-mismatch'
  | 'link-flattened'
  | 'link-mismatch'
  | 'dangling-link'
  | 'symlink-in-path'
  | 'permission-denied'
  | 'read-only'
  | 'not-applied'
  | 'hard-linked'
  | 'undecodable-name'
  | 'unsafe-path'
  | 'io-error';

/** What {@link UnresolvedEntryError} is made of. */
export interface UnresolvedEntryDetails {
  path: string;
  reason: UnresolvedReason;
  code?: string | undefined;
  syscall?: string | undefined;
  expected?: EntryFacts | undefined;
  actual?: EntryFacts | undefined;
  target?: string | undefined;
  attempts: number;
  elapsedMs: number;
  cause?: unknown;
}

/** What is to be done about each reason, as the end of the error's message. */
const advice: Record<UnresolvedReason, string> = {
  missing: 'extract it again, or wait longer with retry.maxRetryTime',
  'size-mismatch': 'extract it again, or wait longer with retry.maxRetryTime',
  'type-mismatch': 'remove what lies there and extract it again',
  'link-flattened': 'use an extractor that makes symbolic links',
  'link-mismatch': 'remove the link and extract it again',
  'dangling-link': "extract its target, or set danglingLinks to 'skip'",
  'symlink-in-path': 'remove the link; it is never followed',
  'permission-denied': 'run as the owner of the entry',
  'read-only': 'remount the file system read-write',
  'not-applied': 'the file system does not keep modes; mount it with the modes that are needed',
  'hard-linked': "copy the file, or set hardLinks to 'apply'",
  'undecodable-name': 'rename it, or work without manifest and globs',
  'unsafe-path': 'see the code',
  'io-error': 'see the code',
};

/** Facts in the order and words of a person: `file of 12 bytes, mode 0644`. */
export function describeFacts(facts: EntryFacts): string {
  const parts: string[] = [];
  if (facts.type !== undefined || facts.size !== undefined) {
    const size = facts.size === undefined ? '' : `of ${facts.size} bytes`;
    parts.push([facts.type, size].filter(Boolean).join(' '));
  }
  if (facts.mode !== undefined) parts.push(`mode ${formatMode(facts.mode)}`);
  if (facts.linkTarget !== undefined) parts.push(`-> ${JSON.stringify(facts.linkTarget)}`);
  return parts.join(', ');
}

/** A mode as chmod's users write it: four octal digits. */
export function formatMode(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** Facts without what is not known, keys in one order, so that their JSON is stable. */
function compactFacts(facts: EntryFacts | undefined): EntryFacts | undefined {
  if (facts === undefined) return undefined;
  const compact: EntryFacts = {};
  if (facts.type !== undefined) compact.type = facts.type;
  if (facts.size !== undefined) compact.size = facts.size;
  if (facts.mode !== undefined) compact.mode = facts.mode;
  if (facts.linkTarget !== undefined) compact.linkTarget = facts.linkTarget;
  return compact;
}

/**
 * One entry that could not be brought to its mode or could not be verified. It was not changed, except where
 * `reason` is `'not-applied'` or `'io-error'`, when the system may have changed it. Its `stack` has no frames.
 */
export class UnresolvedEntryError extends Error {
  override readonly name = 'UnresolvedEntryError';
  /** Path below the root, `/`-separated; `.` is the root. Bytes that are not UTF-8 stand as U+DC80 to U+DCFF. */
  readonly path: string;
  /** Why, from a closed list. */
  readonly reason: UnresolvedReason;
  /** Name of the errno (`'ENOENT'`), or `ERR_PERMWALK_…` where the system reported none. */
  readonly code: string;
  /** System call that failed, where one did. */
  readonly syscall: string | undefined;
  /** What the manifest or the mode asked for. */
  readonly expected: EntryFacts | undefined;
  /** What was there at the last look. */
  readonly actual: EntryFacts | undefined;
  /** Text of the link, for the reasons that are about links. */
  readonly target: string | undefined;
  /** How many times it was looked at. */
  readonly attempts: number;
  /** Milliseconds between the first and the last look. */
  readonly elapsedMs: number;

  constructor(details: UnresolvedEntryDetails) {
    const { path, reason, expected, actual, target } = details;
    const code = details.code ?? `ERR_PERMWALK_${reason.toUpperCase().replaceAll('-', '_')}`;
    const facts = [
      expected && `expected ${describeFacts(expected)}`,
      actual && `found ${describeFacts(actual)}`,
      target !== undefined && `target ${JSON.stringify(target)}`,
    ].filter(Boolean);
    const found = facts.length > 0 ? ` (${facts.join('; ')})` : '';
    const message = `${code}: ${reason} ${JSON.stringify(path)}${found}: ${advice[reason]}`;
    // A report may have a million of them, and how we came to each says nothing: its stack would be half of its memory.
    const { stackTraceLimit } = Error;
    Reflect.set(Error, 'stackTraceLimit', 0);
    super(message, { cause: details.cause });
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
    this.path = path;
    this.reason = reason;
    this.code = code;
    this.syscall = details.syscall;
    this.expected = compactFacts(expected);
    this.actual = compactFacts(actual);
    this.target = target;
    this.attempts = details.attempts;
    this.elapsedMs = details.elapsedMs;
  }

  /** All of it as plain data, keys always in this order; `undefined` is left out by JSON. */
  toJSON(): Record<string, unknown> {
    const { cause } = this;
    return {
      path: this.path,
      reason: this.reason,
      code: this.code,
      syscall: this.syscall,
      expected: this.expected,
      actual: this.actual,
      target: this.target,
      attempts: this.attempts,
      elapsedMs: this.elapsedMs,
      message: this.message,
      cause: cause instanceof Error ? { name: cause.name, message: cause.message } : cause,
    };
  }
}

/** Rejection of a strict pass: everything that could be done was done, and these entries are left. */
export class UnresolvedEntriesError extends AggregateError {
  override readonly name = 'UnresolvedEntriesError';
  readonly code = 'ERR_PERMWALK_UNRESOLVED';
  /** The whole report; `report.unresolved` holds the same errors as `errors`. */
  readonly report: PermissionReport;
  declare errors: UnresolvedEntryError[];

  constructor(report: PermissionReport) {
    const { unresolved, root } = report;
    const perReason = new Map<string, number>();
    for (const { reason } of unresolved) perReason.set(reason, (perReason.get(reason) ?? 0) + 1);
    const summary = [...perReason].map(([reason, count]) => `${count} ${reason}`).join(', ');
    const first = unresolved[0];
    super(unresolved, `${summary} in ${root}${first ? `; first: ${first.message}` : ''}`);
    this.report = report;
  }
}

/** A manifest that cannot be read or must not be used. Nothing was touched. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  /** `ERR_PERMWALK_MANIFEST`, or the errno's name where the source could not be read. */
  readonly code: string;
  /** The archive or file, or `undefined` for entries given in memory. */
  readonly source: string | undefined;
  /** The manifest path that is at fault, where one is. */
  readonly path: string | undefined;

  constructor(
    message: string,
    details: { source?: string | undefined; path?: string | undefined; code?: string; cause?: unknown } = {},
  ) {
    super(details.source === undefined ? message : `${details.source}: ${message}`, { cause: details.cause });
    this.code = details.code ?? 'ERR_PERMWALK_MANIFEST';
    this.source = details.source;
    this.path = details.path;
  }
}
