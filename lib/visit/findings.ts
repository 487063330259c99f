import type { EntryFacts, UnresolvedReason } from '../errors.ts';
import type { Finding, Ledger } from '../ledger.ts';
import type { Plan } from '../plan.ts';
import { PlannedEntry } from '../planned.ts';
import { errorCode, swappedCode, transientCodes, UnsafePathError } from '../root/root.ts';

const reasons: ReadonlyMap<string, UnresolvedReason> = new Map([
  ['EPERM', 'permission-denied'],
  ['EACCES', 'permission-denied'],
  ['EROFS', 'read-only'],
]);

/** Name of an errno. Not all runtimes tell the system call. */
const errno = /^E[A-Z0-9]+$/;

/** Notes in the ledger what was found wrong: unresolved for good, or to be looked at again. */
export class Findings {
  readonly #plan: Plan;
  readonly #ledger: Ledger;
  /** Entries that no manifest names and that have to be looked at again. */
  readonly #walked = new Map<string, PlannedEntry>();

  constructor(plan: Plan, ledger: Ledger) {
    this.#plan = plan;
    this.#ledger = ledger;
  }

  /** What has to be come back to by this path, as the manifest or an earlier look has it. */
  known(path: string): PlannedEntry | undefined {
    return this.#plan.find(path) ?? (this.#walked.size > 0 ? this.#walked.get(path) : undefined);
  }

  /** An entry that the walk found and that has to be looked at again: one for a path, however often it is met. */
  walk(path: string, type?: 'directory' | 'symlink'): PlannedEntry {
    const known = this.#walked.get(path);
    if (known !== undefined) return known;
    const walked = new PlannedEntry({ path, type }, 'walked');
    this.#walked.set(path, walked);
    return walked;
  }

  /** Note what an error means for an entry. What is no error of the system is thrown on. */
  failed(path: string, planned: PlannedEntry | undefined, error: unknown): void {
    if (error instanceof UnsafePathError) {
      // What the manifest names below an implied directory is reported by itself, and says why.
      const isNamedBelow = planned?.origin === 'implied' && error.code !== swappedCode;
      if (isNamedBelow) return this.#ledger.arrived(planned);
      this.#ledger.fail(path, planned, { reason: error.reason, code: error.code, cause: error });
      return;
    }
    const code = errorCode(error) ?? '';
    if (!errno.test(code)) throw error;
    const facts = { code, syscall: syscallOf(error), cause: error };
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      this.missing(path, planned, facts);
    } else if (transientCodes.has(code)) {
      this.#ledger.wait(planned ?? this.walk(path), { reason: 'io-error', ...facts });
    } else {
      this.#ledger.fail(path, planned, { reason: reasons.get(code) ?? 'io-error', ...facts });
    }
  }

  /** An entry that is another than the manifest says. */
  mismatch(path: string, planned: PlannedEntry, actual: EntryFacts): void {
    this.#ledger.fail(path, planned, { reason: 'type-mismatch', expected: expectedFacts(planned), actual });
  }

  /** An entry that is not there: waited for where the manifest names it. */
  missing(path: string, planned: PlannedEntry | undefined, facts: Partial<Finding>): void {
    if (planned === undefined || planned.origin === 'walked') return this.#ledger.end(planned, 'vanished');
    // U+FFFD stands for bytes that were lost when the manifest was made: such a name can never be found.
    const reason = path.includes('\ufffd') ? 'undecodable-name' : 'missing';
    this.#ledger.wait(planned, { reason, ...facts, expected: expectedFacts(planned) });
  }
}

/** What the manifest says of an entry. */
export function expectedFacts({ type, size, linkTarget }: PlannedEntry): EntryFacts | undefined {
  if (type === undefined && size === undefined) return undefined;
  const facts: EntryFacts = {};
  if (type !== undefined) facts.type = type;
  if (size !== undefined && type !== 'directory') facts.size = size;
  if (linkTarget !== undefined) facts.linkTarget = linkTarget;
  return facts;
}

function syscallOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? String(error.syscall) : undefined;
}
