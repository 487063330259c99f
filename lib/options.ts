import type { ManifestInput } from './manifest/manifest.ts';
import type { PermissionChange, PermissionProgress } from './report.ts';

/** The platform's `AbortSignal`; `unknown` where no types of a platform are installed. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer Type } } ? Type : unknown;

/** How long to wait for entries that the manifest names. The names are p-retry's. */
export interface RetryOptions {
  /** Rounds without progress before giving up. Progress resets the count. Default 10. */
  retries?: number | undefined;
  /** How many times as long each wait is as the one before. Default 2. */
  factor?: number | undefined;
  /** Milliseconds before the first retry. Default 20. */
  minTimeout?: number | undefined;
  /** Longest wait between two rounds in milliseconds. Default 1000. */
  maxTimeout?: number | undefined;
  /** Longest time for all waits together, in milliseconds. Default 15000. */
  maxRetryTime?: number | undefined;
  /** Multiply each wait by a random factor from 1 to 2. Default true. */
  randomize?: boolean | undefined;
}

/** Options of {@link applyPermissions}. */
export interface ApplyOptions {
  /** What must exist: from {@link readManifest}, or an iterable of paths or entries. Default: nothing has to exist. */
  manifest?: ManifestInput | undefined;
  /**
   * Which mode an entry gets. Default `'executable'`.
   *
   * - `'executable'`: directories, and files that the manifest marks executable (any x bit) or that `executable` matches, get
   *   x for every class that has r, less the umask. Nothing loses a bit, with one exception, as with pip: a file of exactly
   *   0666 that gets x gets 0777 less the umask.
   * - `'manifest'`: exactly the manifest's `mode & 0o777 & ~umask`; an unknown mode changes nothing. With a manifest of format
   *   `'mtree'`, `'tree'` or `'list'`, special bits stay if the manifest has them, too. One that only the manifest has is
   *   unresolved (`special-bits`).
   * - a number (`0o644`), or its octal digits in a string: files get that mode; directories get it with x where it has
   *   r. As with GNU chmod, directories keep setuid and setgid.
   * - any other string: a symbolic mode (`u+rwX,go+rX`), applied as GNU chmod applies it.
   */
  mode?: number | 'executable' | 'manifest' | (string & {}) | undefined;
  /**
   * Which mode directories get, instead of what `mode` gives them. Default: what `mode` gives them.
   *
   * - `'umask'`: what mkdir gives them, `0o777 & ~umask`.
   * - a number (`0o755`), or its octal digits in a string: exactly that mode; setuid and setgid stay.
   * - any other string: a symbolic mode (`u+rwx,go+rX`), applied as GNU chmod applies it.
   */
  directoryMode?: number | 'umask' | (string & {}) | undefined;
  /**
   * micromatch globs of files that also get x where they have r, less the umask, in every `mode`. They match the
   * path below the root, written with `/`; names that begin with a dot match, too. A glob that begins with `!` takes out
   * paths that earlier globs matched. Default none.
   */
  executable?: string | readonly string[] | undefined;
  /** micromatch globs, as in `executable`, of entries that are not changed and, if they are directories, not entered. Default none. */
  ignore?: string | readonly string[] | undefined;
  /**
   * In mode `'executable'`: let the first bytes of a file (`#!`, an ELF program, a Mach-O program) decide if it is
   * executable, if the manifest does not name it or does not know its mode. Default false. Refused in other modes.
   */
  detect?: boolean | undefined;
  /**
   * Walk the tree as well, and so visit entries that the manifest does not name. Default: true without a manifest,
   * false with one.
   */
  discover?: boolean | undefined;
  /**
   * What to check for every path of the manifest. `'size'` (default): it exists, with its type, and its size or link target.
   * `'content'`: also its digest, where the manifest has one (sha512, sha384, sha256, sha1, rmd160, md5 or crc32); files
   * without one are counted in `unverified`. `'presence'`: it exists, with its type and link target. `'none'`: checks only
   * entries whose mode it sets.
   */
  verify?: 'size' | 'content' | 'presence' | 'none' | undefined;
  /**
   * What the pass does with entries that the manifest does not name. `'count'` (default): if the pass walks the tree (`discover`),
   * it treats them like the others, and counts them. `'list'`: the pass walks the tree, leaves them as they are, and names them in
   * `report.unlisted`. `'error'`: the same, but each is unresolved. What `ignore` matches is not unlisted. `'list'` and `'error'`
   * need a manifest.
   */
  unlisted?: 'count' | 'list' | 'error' | undefined;
  /**
   * What happens to a plain file that holds exactly the text of a link that the manifest has in its place. Many extractors leave
   * such files. `'error'` (default): it is unresolved (`link-flattened`). `'restore'`: once everything else is there, it becomes
   * that link, if the link stays inside the tree: its target is relative, has `..` only at its start, and leads neither outside
   * nor in a circle. Files that have more than one name, files of another user and mount points stay as they are; so do all files
   * with `verify: 'none'` or on Windows.
   */
  flattenedLinks?: 'error' | 'restore' | undefined;
  /**
   * What happens to a link whose target does not exist. `'defer'` (default): wait for the target if the manifest names
   * it; the link is unresolved if the target never appears. Any other dangling link is checked once more at the end, and listed.
   * `'skip'`: list it at once. `'error'`: it is unresolved if it still dangles at the end.
   */
  danglingLinks?: 'defer' | 'skip' | 'error' | undefined;
  /**
   * How long to wait for entries of the manifest; `false`: look once. Around an extractor on Windows, also how long to try renames
   * while another process has something open; `false`: try once.
   */
  retry?: RetryOptions | false | undefined;
  /** Reject with `UnresolvedEntriesError` if anything is unresolved, after everything else is done. Default true. */
  strict?: boolean | undefined;
  /** Change nothing, report what would change. Default false. */
  dryRun?: boolean | undefined;
  /**
   * Permission bits that are never granted: 0 to 0o777, or octal digits in a string (`'022'`). Default: the umask of the process.
   * The numbers 22, 27 and 77 are refused, because they most likely mean 0o22, 0o27 and 0o77.
   */
  umask?: number | string | undefined;
  /**
   * What happens to a file with more than one link whose mode would change. `'apply'` (default): change it. `'skip'`: leave
   * it. `'error'`: leave it, and report it as unresolved.
   */
  hardLinks?: 'apply' | 'skip' | 'error' | undefined;
  /** Enter mount points below the root. Default false. */
  crossDevice?: boolean | undefined;
  /** Reject with a `RangeError` (`ERR_PERMWALK_MAX_ENTRIES`) if there are more entries than this. Default: no limit. */
  maxEntries?: number | undefined;
  /** Checked between slices of a few milliseconds; the promise rejects with the signal's reason. */
  signal?: Signal | undefined;
  /** Called between slices of a few milliseconds. If it throws, the pass rejects with that error. */
  onProgress?: ((progress: PermissionProgress) => void) | undefined;
  /**
   * Called for every mode that changed, and every file that became a link; in a dry run, for those that would. If it throws, the
   * pass rejects with that error.
   */
  onChange?: ((change: PermissionChange) => void) | undefined;
}
