import { Buffer } from 'node:buffer';
import type { EntryType } from '../../errors.ts';
import type { Listing } from '../directory.ts';
import type { EntryStats } from '../entry-stats.ts';
import { decodeName } from '../names.ts';
import type { Looker } from '../read.ts';
import type { Memory } from './memory.ts';

/** Where the fields of `struct linux_dirent64` are (getdents(2)). */
const RECORD_LENGTH = 16;
const TYPE = 18;
const NAME = 19;

/** Its kinds (`d_type`). */
const UNKNOWN = 0;
const types: Readonly<Record<number, EntryType>> = { 4: 'directory', 8: 'file', 10: 'symlink' };

const DOT = 46;
const nothing: Memory = { bytes: Buffer.alloc(0), address: 0 };

/** Some records, as getdents(2) wrote them. */
export interface Records {
  readonly memory: Memory;
  /** Bytes that were written. */
  readonly end: number;
}

/** What a listing asks of its directory. */
export interface ListedDirectory extends Looker {
  /** Whether an entry is a mount point, where its facts alone say so; else its name has to be asked for. */
  isBeyond(found: EntryStats): boolean | undefined;
}

/** What a listing asks of the kernel that made it. */
export interface ListingKernel {
  /** Facts of the entry whose name is at this address; `undefined` where that fails. */
  lookAt(fd: number, address: number): EntryStats | undefined;
  /** Where the bytes of a name are that was read. */
  know(name: string, address: number, memory: Memory): void;
  /** The records were read to the end: their memory may be used again. */
  free(records: Records[]): void;
}

/** True for `.` and `..`, which a listing leaves out. */
function isDots(bytes: Uint8Array, at: number): boolean {
  if (bytes[at + NAME] !== DOT) return false;
  const second = bytes[at + NAME + 1];
  return second === 0 || (second === DOT && bytes[at + NAME + 2] === 0);
}

function recordLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + RECORD_LENGTH] as number) + (bytes[at + RECORD_LENGTH + 1] as number) * 256;
}

/** A name that ends with a zero. */
function nameAt(bytes: Buffer, start: number): string {
  let end = start;
  let all = 0;
  for (let byte = bytes[end] as number; byte !== 0; byte = bytes[end] as number) {
    all |= byte;
    end += 1;
  }
  return all < 0x80 ? bytes.toString('latin1', start, end) : decodeName(bytes.subarray(start, end));
}

/** How many entries some records are; `.` and `..` are none. */
export function countEntries({ memory, end }: Records): number {
  let entries = 0;
  for (let at = 0; at < end; at += recordLength(memory.bytes, at)) {
    if (!isDots(memory.bytes, at)) entries += 1;
  }
  return entries;
}

/** Entries read from the records themselves; a name is decoded where it is asked for. */
export class NativeListing implements Listing {
  readonly size: number;
  readonly #chunks: Records[];
  readonly #kernel: ListingKernel;
  readonly #fd: number;
  readonly #directory: ListedDirectory;
  #left: number;
  #chunk = 0;
  #memory: Memory;
  #bytes: Buffer;
  #end: number;
  /** Where the record is, and where the next one is. */
  #at = 0;
  #next = 0;
  #name: string | undefined;

  /**
   * @param size the first so many are listed
   * @param fd descriptor that entries are looked at from
   * @param directory looks at an entry where that fails
   */
  constructor(
    chunks: Records[],
    size: number,
    kernel: ListingKernel,
    fd: number,
    directory: ListedDirectory,
  ) {
    this.#chunks = chunks;
    this.size = size;
    this.#left = size;
    this.#kernel = kernel;
    this.#fd = fd;
    this.#directory = directory;
    const first = chunks[0];
    this.#memory = first?.memory ?? nothing;
    this.#bytes = this.#memory.bytes;
    this.#end = first?.end ?? 0;
  }

  next(): boolean {
    if (this.#left <= 0) {
      if (this.#left === 0) this.#kernel.free(this.#chunks);
      this.#left = -1;
      return false;
    }
    this.#left -= 1;
    this.#name = undefined;
    do {
      if (this.#next >= this.#end) this.#turn();
      this.#at = this.#next;
      this.#next += recordLength(this.#bytes, this.#at);
    } while (isDots(this.#bytes, this.#at));
    return true;
  }

  get name(): string {
    if (this.#name === undefined) {
      const start = this.#at + NAME;
      this.#name = nameAt(this.#bytes, start);
      this.#kernel.know(this.#name, this.#memory.address + start, this.#memory);
    }
    return this.#name;
  }

  get type(): EntryType {
    const type = this.#bytes[this.#at + TYPE] as number;
    // Some file systems do not say. What is gone is found to be gone by whoever looks for a file.
    if (type === UNKNOWN) return this.stats()?.type ?? 'file';
    return types[type] ?? 'other';
  }

  stats(): EntryStats | undefined {
    const address = this.#memory.address + this.#at + NAME;
    return this.#kernel.lookAt(this.#fd, address) ?? this.#directory.lstat(this.name);
  }

  isMountPoint(found: EntryStats): boolean {
    return this.#directory.isBeyond(found) ?? this.#directory.isMountPoint(this.name, found);
  }

  /** Go on with the next chunk. */
  #turn(): void {
    this.#chunk += 1;
    const { memory, end } = this.#chunks[this.#chunk] as Records;
    this.#memory = memory;
    this.#bytes = memory.bytes;
    this.#end = end;
    this.#next = 0;
  }
}
