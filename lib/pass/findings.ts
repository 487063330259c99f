import type { EntryStats } from '../directory/entry-stats.ts';
import {
  crossDevice,
  errorCode,
  isLocated,
  located,
  swappedCode,
  transientCodes,
  UnsafePathError,
} from '../directory/errors.ts';
import { mayLackBytes } from '../directory/names.ts';
import type { EntryFacts, UnresolvedReason } from '../errors.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import { own } from '../own.ts';
import type { Finding, Ledger } from './ledger.ts';
import { PlannedDirectory } from './plan.ts';
import { NO_SLOT, type Slots, type Subject } from './slots.ts';

const reasons: ReadonlyMap<string, UnresolvedReason> = new Map([
  ['EPERM', 'permission-denied'],
  ['EACCES', 'permission-denied'],
  ['EROFS', 'read-only'],
  ['ENAMETOOLONG', 'path-too-long'],
]);

/** What the system says of a name that a directory cannot have: too long, or not in its encoding. */
const unnameable: ReadonlySet<string> = new Set(['ENAMETOOLONG', 'EILSEQ', 'EINVAL']);

const UNREACHABLE = 'rename it, or use another runtime than Deno, which cannot name it';

/** Name of an errno. Not all runtimes tell the system call. */
const errno = /^E[A-Z0-9]+$/;

/** Notes in the ledger what was found wrong: unresolved for good, or to be looked at again. */
export class Findings {
  readonly #slots: Slots;
  readonly #ledger: Ledger;

  constructor(slots: Slots, ledger: Ledger) {
    this.#slots = slots;
    this.#ledger = ledger;
  }

  /** Note what an error means for an entry. What is no error of the system is thrown on. */
  failed(subject: Subject, thrown: unknown): void {
    const { slot } = subject;
    const error = isLocated(thrown) ? thrown : located(thrown, subject.path);
    if (error instanceof UnsafePathError) {
      // What the manifest names below an implied directory is reported by itself, and says why.
      const isNamedBelow =
        slot !== NO_SLOT && this.#slots.origin(slot) === 'implied' && error.code !== swappedCode;
      if (isNamedBelow) return this.#ledger.arrived(slot);
      return this.#ledger.fail(subject, { reason: error.reason, code: error.code, cause: error });
    }
    const code = errorCode(error) ?? '';
    if (!errno.test(code)) throw error;
    const facts = { code, syscall: syscallOf(error), cause: error };
    const isNameless = unnameable.has(code) && slot !== NO_SLOT && this.#hasOtherSpelling(slot);
    if (code === 'ENOENT' || code === 'ENOTDIR' || isNameless) this.missing(subject, facts);
    else if (transientCodes.has(code)) {
      this.#ledger.wait(this.#slots.adopt(subject), { reason: 'io-error', ...facts });
    } else this.#ledger.fail(subject, { reason: reasons.get(code) ?? 'io-error', ...facts });
  }

  /** An entry that is another than the manifest says. */
  mismatch(subject: Subject, actual: EntryFacts): void {
    const expected = this.expected(subject.slot);
    this.#ledger.fail(subject, { reason: 'type-mismatch', expected, actual });
  }

  /** A file of another size: waited for. */
  otherSize(subject: Subject, size: number, stats: EntryStats): void {
    const expected = { type: 'file', size } as const;
    const actual: EntryFacts = { type: 'file', size: stats.size };
    this.#ledger.wait(subject, { reason: 'size-mismatch', expected, actual });
  }

  /** Something on another file system: left alone, and unresolved where the manifest names it. */
  beyond(subject: Subject): void {
    const { slot } = subject;
    if (slot !== NO_SLOT && this.#slots.origin(slot) === 'listed') {
      this.failed(subject, crossDevice(subject.path));
    } else this.#ledger.end(slot, 'ignored');
  }

  /** An entry that is not there: waited for where the manifest names it. */
  missing(subject: Subject, facts: Partial<Finding>): void {
    const { slot } = subject;
    if (slot === NO_SLOT || this.#slots.origin(slot) === 'walked') {
      if (mayLackBytes(subject.name ?? subject.place.name)) {
        return this.#ledger.fail(subject, { reason: 'undecodable-name', ...facts, advice: UNREACHABLE });
      }
      return this.#ledger.end(slot, 'vanished');
    }
    if (this.#slots.isOptional(slot)) return this.#absent(slot);
    const twins = this.#slots.twins(slot);
    if (twins.some((twin) => this.#slots.state(twin) === 'done')) return this.#ledger.drop(slot);
    // U+FFFD stands for bytes that were lost when the manifest was made: such a name can never be found.
    const reason = hasLostBytes(subject) ? 'undecodable-name' : 'missing';
    this.#ledger.wait(subject, { reason, ...facts, expected: this.expected(slot) });
  }

  /** Something that may be absent counts once, in whichever spelling. */
  #absent(slot: number): void {
    const twins = this.#slots.twins(slot);
    const isUndecided = twins.some((twin) => this.#slots.state(twin) !== 'done');
    const isThere = twins.some((twin) => this.#slots.ending(twin) !== undefined);
    if (isUndecided || isThere) this.#ledger.drop(slot);
    else this.#ledger.absent(slot);
  }

  #hasOtherSpelling(slot: number): boolean {
    return this.#slots.twins(slot).length > 0 || this.#slots.isSoft(slot);
  }

  /** What the manifest says of an entry. */
  expected(slot: number): EntryFacts | undefined {
    const type = this.#slots.type(slot);
    const { size, linkTarget } = this.#slots.facts(slot) ?? own<Partial<ManifestEntry>>({});
    if (type === undefined && size === undefined) return undefined;
    const facts: EntryFacts = {};
    if (type !== undefined) facts.type = type;
    if (size !== undefined && type !== 'directory') facts.size = size;
    if (linkTarget !== undefined) facts.linkTarget = linkTarget;
    return facts;
  }
}

/** Without putting the path together: a manifest may name a path through very many directories. */
function hasLostBytes({ place, name }: Subject): boolean {
  return name?.includes('\ufffd') === true || (place instanceof PlannedDirectory && place.hasLostBytes);
}

function syscallOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? String(error.syscall) : undefined;
}
