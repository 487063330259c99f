import { constants } from '../fs.ts';
import { descriptorPath, O_PATH } from '../proc.ts';
import {
  countEntries,
  type ListedDirectory,
  type ListingKernel,
  NativeListing,
  type Records,
} from './listing.ts';
import { CallMemory, Memory } from './memory.ts';
import { NativeStats, STATX_MASK } from './statx.ts';
import type { CallNumbers, NativeInterface, SystemCall } from './system-call.ts';

/** Flags that node:fs lacks (fcntl(2), statx(2), renameat2(2)); they are the same on x64 and arm64. */
const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

const TO_LIST = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | O_CLOEXEC;
const TO_HOLD = O_PATH | constants.O_NOFOLLOW | O_CLOEXEC;
/** Through a link of `/proc` to a descriptor: the very inode, which no link is. */
const TO_REOPEN = constants.O_RDONLY | constants.O_NONBLOCK | O_CLOEXEC;

/** Bytes of a chunk of a listing: some thousand names. */
const CHUNK_SIZE = 0x1_0000;

/** A directory's own facts, in place of those of an entry. */
export const ITSELF = undefined;

/**
 * System calls on names in held directories, made by libc. Each says only whether it was done: what was not is done again by
 * node:fs, which says why. One tree has one, so that no other overwrites what the kernel wrote.
 */
export class Kernel implements ListingKernel {
  readonly #call: SystemCall;
  readonly #numbers: CallNumbers;
  readonly #addressOf: NativeInterface['addressOf'];
  readonly #memory: CallMemory;
  /** Memory that was read into last, and its address. */
  #target: Uint8Array | undefined;
  #targetAt = 0;
  readonly #newChunk: () => Memory;
  /** Chunks that no listing uses. */
  readonly #chunks: Memory[] = [];

  constructor({ call, addressOf }: NativeInterface, numbers: CallNumbers) {
    this.#call = call;
    this.#numbers = numbers;
    this.#addressOf = addressOf;
    this.#memory = new CallMemory(addressOf);
    this.#newChunk = () => new Memory(CHUNK_SIZE, addressOf);
  }

  /** Open a directory to be listed; `undefined` where that fails. It is never a link. */
  openDirectory(fd: number, name: string): number | undefined {
    return this.#open(fd, this.#memory.nameAt(name), TO_LIST);
  }

  /** A descriptor that names an entry (O_PATH); `undefined` where that fails. */
  hold(fd: number, name: string): number | undefined {
    return this.#open(fd, this.#memory.nameAt(name), TO_HOLD);
  }

  /** Open what a descriptor names to read it; `undefined` where that fails. */
  reopen(held: number): number | undefined {
    return this.#open(held, this.#memory.nameAt(descriptorPath(held)), TO_REOPEN);
  }

  /**
   * So many bytes of a file from a position, or all that it has there; `undefined` where that fails.
   *
   * @param bytes memory of its own: part of another one may be moved
   */
  read(fd: number, bytes: Uint8Array, maxBytes: number, position: number): number | undefined {
    if (maxBytes > bytes.byteLength || bytes.byteLength !== bytes.buffer.byteLength) return undefined;
    if (bytes !== this.#target) [this.#target, this.#targetAt] = [bytes, this.#addressOf(bytes)];
    const length = this.#call(this.#numbers.pread64, fd, this.#targetAt, maxBytes, position, 0);
    return length < 0 ? undefined : length;
  }

  /**
   * Let go of a descriptor. It is gone whatever close(2) says, and its number may be somebody else's by then: it is never
   * closed again.
   */
  close(fd: number): void {
    this.#call(this.#numbers.close, fd, 0, 0, 0, 0);
  }

  /** Facts of an entry, or of the directory itself; `undefined` where that fails. */
  look(fd: number, name: string | typeof ITSELF): NativeStats | undefined {
    if (name === ITSELF) return this.lookAt(fd, this.#memory.empty);
    const address = this.#memory.nameAt(name);
    return address === 0 ? undefined : this.lookAt(fd, address);
  }

  /** Set the mode of an entry, which is not followed, or of the descriptor itself. False where that fails. */
  setMode(fd: number, name: string | typeof ITSELF, mode: number): boolean {
    const address = name === ITSELF ? this.#memory.empty : this.#memory.nameAt(name);
    const flags = name === ITSELF ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
    return address !== 0 && this.#call(this.#numbers.fchmodat2, fd, address, mode, flags, 0) === 0;
  }

  /** Rename so that nothing is replaced. False where that fails. */
  rename(fd: number, name: string, to: number, newName: string, kind: 'no-replace' | 'exchange'): boolean {
    this.#memory.forget();
    const from = this.#memory.nameAt(name, 0);
    const target = this.#memory.nameAt(newName, 1);
    if (from === 0 || target === 0) return false;
    const flag = kind === 'exchange' ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    return this.#call(this.#numbers.renameat2, fd, from, to, target, flag) === 0;
  }

  /**
   * The entries of a directory that is open for it and was not listed yet; `undefined` where that fails.
   *
   * @param at the descriptor that entries are looked at from
   * @param directory looks at an entry where statx fails
   */
  list(fd: number, at: number, directory: ListedDirectory, most: number): NativeListing | undefined {
    this.#memory.forget();
    const records: Records[] = [];
    let entries = 0;
    while (entries < most) {
      const memory = this.#chunks.pop() ?? this.#newChunk();
      const end = this.#call(this.#numbers.getdents64, fd, memory.address, CHUNK_SIZE, 0, 0);
      if (end <= 0) this.#chunks.push(memory);
      if (end < 0) {
        this.free(records);
        return undefined;
      }
      if (end === 0) break;
      const chunk = { memory, end };
      records.push(chunk);
      entries += countEntries(chunk);
    }
    return new NativeListing(records, Math.min(entries, most), this, at, directory);
  }

  /** Facts of the entry whose name is at an address; `undefined` where that fails. */
  lookAt(fd: number, address: number): NativeStats | undefined {
    const { empty, statx, words } = this.#memory;
    const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (address === empty ? AT_EMPTY_PATH : 0);
    const result = this.#call(this.#numbers.statx, fd, address, flags, STATX_MASK, statx);
    return result === 0 ? new NativeStats(words) : undefined;
  }

  /** Where the bytes of a name are that was read. */
  know(name: string, address: number, memory: Memory): void {
    this.#memory.know(name, address, memory);
  }

  /** Memory of a listing that was read to its end. */
  free(records: Records[]): void {
    this.#memory.forget();
    for (let chunk = records.pop(); chunk !== undefined; chunk = records.pop())
      this.#chunks.push(chunk.memory);
  }

  #open(fd: number, address: number, flags: number): number | undefined {
    if (address === 0) return undefined;
    const opened = this.#call(this.#numbers.openat, fd, address, flags, 0, 0);
    return opened < 0 ? undefined : opened;
  }
}
