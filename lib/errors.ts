import { own } from './own.ts';
import { captureStack, PlainError } from './plain-error.ts';
import { oneLine, quoted } from './printable.ts';

/** What kind of thing an entry is. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'other';

/** Facts of one entry, expected or found. Unknown facts are absent. */
export interface EntryFacts {
  /** Kind of the entry. `'other'` is a FIFO, socket or device. */
  type?: EntryType;
  /** Size in bytes. */
  size?: number;
  /** Permission bits with setuid, setgid and sticky: `0o0000` to `0o7777`. */
  mode?: number;
  /** Text of a symbolic link. */
  linkTarget?: string;
  /** Digest of a file's content, in hexadecimal. */
  digest?: { readonly algorithm: string; readonly value: string };
}

/**
 * Why an entry is unresolved.
 *
 * - `missing`: listed in the manifest but never appeared.
 * - `size-mismatch`: a file whose size is not the one in the manifest.
 * - `content-mismatch`: a file whose content is not the one in the manifest, by its digest.
 * - `type-mismatch`: another kind of entry has its name.
 * - `link-flattened`: the manifest has a link, the disk a plain file that holds the link's text.
 * - `link-mismatch`: a link whose target is not the one in the manifest.
 * - `dangling-link`: a link whose target does not exist, or that leads in a circle (`ELOOP`).
 * - `symlink-in-path`: a directory on the way is a link, which is never followed.
 * - `permission-denied`: EPERM or EACCES.
 * - `read-only`: EROFS.
 * - `not-applied`: chmod succeeded, but the file has another mode (vfat, FUSE, some network mounts).
 * - `special-bits`: it lacks setuid, setgid or sticky, which the manifest has. permwalk never adds these.
 * - `hard-linked`: a file with more than one link, and `hardLinks` is `'error'`; or an extractor linked a file outside the tree.
 * - `unlisted`: it is not in the manifest, and `unlisted` is `'error'`.
 * - `undecodable-name`: its name is not UTF-8, and a manifest or a glob would have to name it. On Deno: its name is not UTF-8.
 * - `path-too-long`: its path is longer than 4095 bytes, and there are globs; or it is longer than the system allows.
 * - `unsafe-path`: it is on another device, or was replaced during processing.
 * - `io-error`: any other error of the system; see `code`.
 */
export type UnresolvedReason =
  | 'missing'
  | 'size-mismatch'
  | 'content-mismatch'
  | 'type-mismatch'
  | 'link-flattened'
  | 'link-mismatch'
  | 'dangling-link'
  | 'symlink-in-path'
  | 'permission-denied'
  | 'read-only'
  | 'not-applied'
  | 'special-bits'
  | 'hard-linked'
  | 'unlisted'
  | 'undecodable-name'
  | 'path-too-long'
  | 'unsafe-path'
  | 'io-error';

/** Arguments of {@link UnresolvedEntryError}. */
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
  /** What to do about it, in place of what the reason says. */
  advice?: string | undefined;
  cause?: unknown;
}

/**
 * What to do about each reason; the end of the message.
 *
 * @internal
 */
export const advice: Readonly<Record<UnresolvedReason, string>> = {
  missing: 'extract again, or wait longer with retry.maxRetryTime',
  'size-mismatch': 'extract again, or wait longer with retry.maxRetryTime',
  'content-mismatch': 'extract again, or wait longer with retry.maxRetryTime',
  'type-mismatch': 'remove the entry that has its name and extract again',
  'link-flattened':
    "set flattenedLinks to 'restore', which makes links that stay inside the tree, or use an extractor that makes links",
  'link-mismatch': 'remove the link and extract again',
  'dangling-link': "extract its target, or set danglingLinks to 'skip'",
  'symlink-in-path': 'a directory on the way is a link, which is never followed: remove it and extract again',
  'permission-denied': 'run as the owner of the entry, or as root',
  'read-only': 'remount the file system read-write',
  'not-applied': 'the file system does not keep modes: mount it with the modes you need',
  'special-bits': 'if you want the bit, add it with chmod, as root or the owner',
  'hard-linked': "replace it with a copy, or set hardLinks to 'apply'",
  unlisted: 'remove it, or leave it out with ignore',
  'undecodable-name': 'rename it, or use neither manifest nor globs',
  'path-too-long': 'move it to a shorter path, or work without globs',
  'unsafe-path': 'set crossDevice if it is a mount point; otherwise find out which process replaced it',
  'io-error': 'the code says what the system reported',
};

/**
 * Facts in words: `file of 12 bytes, mode 0644`.
 *
 * @internal
 */
export function describeFacts(given: EntryFacts): string {
  const facts = own(given);
  const parts: string[] = [];
  if (facts.type !== undefined || facts.size !== undefined) {
    const size = facts.size === undefined ? '' : `of ${facts.size} bytes`;
    parts.push([facts.type, size].filter(Boolean).join(' '));
  }
  if (facts.digest !== undefined) parts.push(`${facts.digest.algorithm} ${facts.digest.value}`);
  if (facts.mode !== undefined) parts.push(`mode ${formatMode(facts.mode)}`);
  if (facts.linkTarget !== undefined) parts.push(`-> ${quoted(facts.linkTarget)}`);
  return parts.join(', ');
}

/**
 * A mode as four octal digits.
 *
 * @internal
 */
export function formatMode(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** Known facts only, keys in one order, so that their JSON is stable. */
function compactFacts(facts: EntryFacts | undefined): EntryFacts | undefined {
  if (facts === undefined) return undefined;
  const known = own(facts);
  const compact: EntryFacts = {};
  if (known.type !== undefined) compact.type = known.type;
  if (known.size !== undefined) compact.size = known.size;
  if (known.mode !== undefined) compact.mode = known.mode;
  if (known.linkTarget !== undefined) compact.linkTarget = known.linkTarget;
  if (known.digest !== undefined) compact.digest = known.digest;
  return compact;
}

/**
 * One entry whose mode could not be set, or that is not as the manifest says. The pass did not change it, with these exceptions: for
 * `'not-applied'` and `'io-error'` the system may have changed it, for `'special-bits'` its permissions have been set, and so have
 * those of a file with `'content-mismatch'` that its owner could not read before. It has no `stack`, and is an ordinary object: JSON
 * and structuredClone keep all of it.
 */
export class UnresolvedEntryError extends PlainError {
  override readonly name = 'UnresolvedEntryError';
  /** Path below the root, with `/`; `.` is the root. Bytes that are not UTF-8 are U+DC80 to U+DCFF. */
  readonly path: string;
  /** Why; see {@link UnresolvedReason}. */
  readonly reason: UnresolvedReason;
  /** Name of the errno (`'ENOENT'`), or `ERR_PERMWALK_…` if there was none. */
  readonly code: string;
  /** System call that failed, if one did. */
  readonly syscall: string | undefined;
  /** What the manifest or the mode asked for. */
  readonly expected: EntryFacts | undefined;
  /** What the last look found. */
  readonly actual: EntryFacts | undefined;
  /** Text of the link, for reasons about links. */
  readonly target: string | undefined;
  /** How many times it was looked at. */
  readonly attempts: number;
  /** Milliseconds between the first and the last look. */
  readonly elapsedMs: number;
  /** In place of what its reason says. */
  readonly #advice: string | undefined;

  constructor(given: UnresolvedEntryDetails) {
    const details = own(given);
    const { path, reason, expected, actual, target } = details;
    const code = details.code ?? `ERR_PERMWALK_${reason.toUpperCase().replaceAll('-', '_')}`;
    const facts = [
      expected && `expected ${describeFacts(expected)}`,
      actual && `found ${describeFacts(actual)}`,
      target !== undefined && `target ${quoted(target)}`,
    ].filter(Boolean);
    const found = facts.length > 0 ? ` (${facts.join('; ')})` : '';
    const message = `${code}: ${reason} ${quoted(path)}${found}: ${details.advice ?? advice[reason]}`;
    super(oneLine(message));
    if (details.cause !== undefined) this.cause = details.cause;
    this.path = path;
    this.reason = reason;
    this.code = code;
    this.syscall = details.syscall;
    this.expected = compactFacts(expected);
    this.actual = compactFacts(actual);
    this.target = target;
    this.attempts = details.attempts;
    this.elapsedMs = details.elapsedMs;
    this.#advice = details.advice;
  }

  /**
   * What to do about it, which its message ends with.
   *
   * @internal
   */
  get advice(): string {
    return this.#advice ?? advice[this.reason];
  }

  /** All facts as plain data, keys in this order; JSON leaves out `undefined`. */
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
      cause: plainCause(cause),
    };
  }
}

/** What JSON has of a cause. */
function plainCause(cause: unknown): unknown {
  return cause instanceof Error ? { name: cause.name, message: cause.message } : cause;
}

/**
 * A manifest that cannot be read or must not be used. Nothing was changed. The error is an ordinary object: JSON and structuredClone
 * keep all of it except its `stack`.
 *
 * @example
 * const manifest = await readManifest('bundle.mcpb').catch((error) => {
 *   if (error instanceof ManifestError && error.code === 'ENOENT') return undefined;
 *   throw error;
 * });
 */
export class ManifestError extends PlainError {
  override readonly name = 'ManifestError';
  /** `ERR_PERMWALK_MANIFEST`, or the errno's name if the source could not be read. */
  readonly code: string;
  /** The archive or file; `undefined` for entries in memory. */
  readonly source: string | undefined;
  /** The path of the manifest at fault, if there is one. */
  readonly path: string | undefined;

  constructor(
    message: string,
    given: { source?: string | undefined; path?: string | undefined; code?: string; cause?: unknown } = {},
  ) {
    const details = own(given);
    super(oneLine(details.source === undefined ? message : `${details.source}: ${message}`));
    this.code = details.code ?? 'ERR_PERMWALK_MANIFEST';
    this.source = details.source;
    this.path = details.path;
    if (details.cause !== undefined) this.cause = details.cause;
    captureStack(this);
  }

  /** All facts as plain data; JSON leaves out `undefined`. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, source, path, cause } = this;
    return { name, code, message, source, path, cause: plainCause(cause) };
  }
}
