import {
  type EntryStats,
  type Identity,
  isSameEntry,
  isSameTime,
  isUnwritten,
} from '../directory/entry-stats.ts';

/** What changed so many milliseconds ago or less may change again without another time: clocks of file systems are coarse. */
const CLOCK_MS = 20;

/** What tells a file from what it was before. */
type Version = Identity & Pick<EntryStats, 'size' | 'mtimeMs' | 'ctimeMs'>;

/** What was read of a file. */
export interface Reading {
  readonly version: Version;
  /** Its digest; `undefined` where it changed while it was read. */
  readonly value: string | undefined;
  /** Whether it need not be read again before its version changes. */
  readonly isFinal: boolean;
}

/**
 * What came of reading a file.
 *
 * @param stats its facts before it was read
 * @param begun when that began, in milliseconds since 1970
 */
export function readingOf(stats: EntryStats, begun: number, value: string | undefined): Reading {
  const isFinal = value !== undefined && isOld(stats.mtimeMs, begun) && isOld(stats.ctimeMs, begun);
  return { version: stats, value, isFinal };
}

function isOld(time: number, now: number): boolean {
  return Math.abs(now - time) > CLOCK_MS;
}

/** A copy to keep: facts hold more than tells a version. */
function keptVersion({ dev, ino, size, mtimeMs, ctimeMs }: Version): Version {
  return { dev, ino, size, mtimeMs, ctimeMs };
}

/** The same, and nothing else was done to it: whoever writes can set the time of writing back. */
export function isSameVersion(one: Version, other: Version): boolean {
  return isSameEntry(one, other) && isUnwritten(one, other) && isSameTime(one.ctimeMs, other.ctimeMs);
}

/** What was read of the files that are waited for, by slot: they are read again only after they changed. */
export class Readings {
  readonly #last = new Map<number, Reading>();

  /** What was read of a file, where it has not changed since. */
  known(slot: number, stats: EntryStats): Reading | undefined {
    const last = this.#last.get(slot);
    return last?.isFinal === true && isSameVersion(last.version, stats) ? last : undefined;
  }

  /** Note what was read; true where it is not what was read before. */
  note(slot: number, reading: Reading): boolean {
    const last = this.#last.get(slot);
    this.#last.set(slot, { ...reading, version: keptVersion(reading.version) });
    if (last === undefined) return false;
    return last.value !== reading.value || !isSameVersion(last.version, reading.version);
  }

  forget(slot: number): void {
    if (this.#last.size > 0) this.#last.delete(slot);
  }
}
