import type { Directory } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode } from '../directory/errors.ts';
import { move } from '../directory/move.ts';
import type { EntryType } from '../errors.ts';
import type { Destination } from './destination.ts';

/** Before a number in the name of a directory that holds an old tree, by the name that it had. */
export const OLD = 'old-';
/** Its name: the number, and the mode and inode of a root that has to be given w to move it. */
const OLD_NAME = /^old-(\d+)(?:-([0-7]+)-(\d+))?$/;
/** Before the number once a new tree has taken its place: it is to be removed, and never put back. */
const GONE = 'gone-';
const OWNER_WRITE = 0o200;

/** The old tree, moved aside in a staging directory while the new one takes its place. */
export class Aside {
  readonly #staging: Directory;
  readonly #name: string;
  readonly #directory: Directory;
  #isTaken = false;

  /**
   * @param number another one for each in a staging directory
   * @param found what is at the destination
   */
  constructor(staging: Directory, number: number, found: EntryStats) {
    this.#staging = staging;
    this.#name = `${OLD}${number}${isLocked(found) ? `-${found.mode.toString(8)}-${found.ino}` : ''}`;
    staging.makeDirectory(this.#name, 0o700);
    this.#directory = staging.openDirectory(this.#name);
  }

  /** Whether it holds an old tree. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Move what is at the destination aside; where nothing is there, there is nothing to do. */
  take({ parent, name }: Destination): void {
    try {
      move(parent, name, this.#directory, name);
      this.#isTaken = true;
    } catch (error) {
      // A directory that was moved and could not be given its mode back was moved.
      this.#isTaken = this.#directory.lstat(name) !== undefined;
      if (errorCode(error) !== 'ENOENT' || this.#isTaken) throw error;
    }
  }

  /** Put it back, unless something is at the destination. */
  putBack({ parent, name }: Destination): void {
    if (!this.#isTaken || parent.lstat(name) !== undefined) return;
    move(this.#directory, name, parent, name);
    this.#isTaken = false;
  }

  /** Another tree has taken its place: whatever happens from now on, it is not put back. */
  retire(): void {
    retire(this.#staging, this.#name);
    this.#isTaken = false;
  }

  close(): void {
    this.#directory.close();
  }
}

/**
 * Put old trees that a dead process had moved aside back, the latest first, where nothing is in their places. A root that had been
 * given w to move it gets its mode back, wherever it is by now.
 */
export function putBackAll(staging: Directory, parent: Directory): void {
  for (const { name: old, mode, ino } of oldIn(staging)) {
    const directory = staging.openDirectory(old);
    try {
      for (const { name } of entriesOf(directory)) {
        if (parent.lstat(name) === undefined) move(directory, name, parent, name);
      }
    } finally {
      directory.close();
    }
    if (mode !== undefined) relock(parent, mode, ino);
  }
}

/** Nothing in a staging directory is to be put back any more. */
export function retireAll(staging: Directory): void {
  for (const { name } of oldIn(staging)) retire(staging, name);
}

function retire(staging: Directory, name: string): void {
  staging.rename(name, staging, GONE + Number.parseInt(name.slice(OLD.length), 10));
}

/** A directory that its owner cannot move: it is given w for a moment. */
function isLocked({ type, mode }: EntryStats): boolean {
  return type === 'directory' && (mode & OWNER_WRITE) === 0;
}

/** Give a directory that was given w to move it, and is where it was, its mode back. */
function relock(parent: Directory, mode: number, ino: string | undefined): void {
  const isMeant = (found: EntryStats) => `${found.ino}` === ino && found.mode === (mode | OWNER_WRITE);
  for (const { name, type } of entriesOf(parent)) {
    const found = type === 'directory' ? parent.lstat(name) : undefined;
    if (found !== undefined && isMeant(found)) parent.chmod(name, (now) => (isMeant(now) ? mode : undefined));
  }
}

/** A directory with an old tree. */
interface Old {
  readonly name: string;
  readonly number: number;
  /** Mode of a root that had to be given w to move it, and its inode. */
  readonly mode: number | undefined;
  readonly ino: string | undefined;
}

/** Directories with old trees, the latest first. */
function oldIn(staging: Directory): Old[] {
  const found: Old[] = [];
  for (const { name, type } of entriesOf(staging)) {
    const [, number, mode, ino] = OLD_NAME.exec(name) ?? [];
    if (number === undefined || type !== 'directory') continue;
    found.push({
      name,
      number: Number(number),
      mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
      ino,
    });
  }
  return found.sort((one, other) => other.number - one.number);
}

function entriesOf(directory: Directory): { name: string; type: EntryType }[] {
  const entries: { name: string; type: EntryType }[] = [];
  const listing = directory.list();
  while (listing.next()) entries.push({ name: listing.name, type: listing.type });
  return entries;
}
