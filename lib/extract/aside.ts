import { join } from 'node:path';
import type { Directory } from '../directory/directory.ts';
import { errorCode } from '../directory/errors.ts';
import { move } from '../directory/move.ts';
import type { Destination } from './destination.ts';
import { isInUse } from './in-use.ts';

/** Before a number in the name of a directory that holds an old tree, by the name that it had. */
export const OLD = 'old-';
/** Before the number once a new tree has taken its place: it is to be removed, and never put back. */
const GONE = 'gone-';

/** The old tree, moved aside in a staging directory while the new one takes its place. */
export class Aside {
  readonly #staging: Directory;
  readonly #name: string;
  readonly #directory: Directory;
  #isTaken = false;
  #oldName = '';

  /** @param number another one for each in a staging directory */
  constructor(staging: Directory, number: number) {
    this.#staging = staging;
    this.#name = `${OLD}${number}`;
    staging.makeDirectory(this.#name, 0o700);
    this.#directory = staging.openDirectory(this.#name);
  }

  /** Whether it holds an old tree. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Where the old tree lies in the staging directory. */
  get path(): string {
    return join(this.#name, this.#oldName);
  }

  /** Move what is at the destination aside; where nothing is there, there is nothing to do. */
  take({ parent, name }: Destination): void {
    this.#oldName = name;
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
    this.#isTaken = false;
    try {
      retire(this.#staging, this.#name);
    } catch (error) {
      // It says so to a process that finds it. Here it is removed next, and waited for.
      if (!isInUse(error)) throw error;
    }
  }

  close(): void {
    this.#directory.close();
  }
}

/** Put old trees that a dead process had moved aside back, the latest first, where nothing is in their places. */
export function putBackAll(staging: Directory, parent: Directory): void {
  for (const old of oldIn(staging)) {
    const directory = staging.openDirectory(old);
    try {
      const listing = directory.list();
      while (listing.next()) {
        const { name } = listing;
        if (parent.lstat(name) === undefined) move(directory, name, parent, name);
      }
    } finally {
      directory.close();
    }
  }
}

/** Nothing in a staging directory is to be put back any more. */
export function retireAll(staging: Directory): void {
  for (const name of oldIn(staging)) retire(staging, name);
}

function retire(staging: Directory, name: string): void {
  staging.rename(name, staging, GONE + name.slice(OLD.length));
}

/** Names of directories with old trees, the latest first. */
function oldIn(staging: Directory): string[] {
  const names: string[] = [];
  const listing = staging.list();
  while (listing.next()) {
    if (listing.name.startsWith(OLD) && listing.type === 'directory') names.push(listing.name);
  }
  return names.sort((one, other) => Number(other.slice(OLD.length)) - Number(one.slice(OLD.length)));
}
