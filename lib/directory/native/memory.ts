import { Buffer } from 'node:buffer';
import { encodeName } from '../names.ts';
import { STATX_SIZE } from './statx.ts';

/** Longest name that is passed natively, with room for three bytes a character (NAME_MAX is 255 bytes). */
const MAX_NAME = 255;
const NAME_SIZE = 1024;
const NAMES_AT = STATX_SIZE;
/** An empty name: the descriptor itself (AT_EMPTY_PATH). */
const EMPTY_AT = NAMES_AT + 2 * NAME_SIZE;
const SIZE = EMPTY_AT + 8;

/** Memory that the kernel reads and writes. It stays where it is, and is referenced as long as its address is used. */
export class Memory {
  readonly bytes: Buffer;
  readonly address: number;

  constructor(size: number, addressOf: (bytes: Uint8Array) => number) {
    // Not from the pool that small buffers share.
    this.bytes = Buffer.from(new ArrayBuffer(size));
    this.address = addressOf(this.bytes);
  }
}

/** What the calls of one tree need: a `struct statx`, and names that end with a zero. */
export class CallMemory {
  /** What statx(2) wrote last. */
  readonly words: Uint32Array;
  /** Address of an empty name. */
  readonly empty: number;
  /** Address of the `struct statx`. */
  readonly statx: number;
  readonly #memory: Memory;
  /** The name that was read from a listing last, and where its bytes are. Its memory is kept, whatever becomes of the listing. */
  #known: string | undefined;
  #knownAt = 0;
  #knownIn: Memory | undefined;

  constructor(addressOf: (bytes: Uint8Array) => number) {
    this.#memory = new Memory(SIZE, addressOf);
    this.words = new Uint32Array(this.#memory.bytes.buffer, 0, STATX_SIZE / 4);
    this.statx = this.#memory.address;
    this.empty = this.#memory.address + EMPTY_AT;
  }

  /** Remember where the bytes of a name are: most names are asked for right after they were read. */
  know(name: string, address: number, memory: Memory): void {
    this.#known = name;
    this.#knownAt = address;
    this.#knownIn = memory;
  }

  /** Forget them: their memory is used again. */
  forget(): void {
    this.#known = undefined;
    this.#knownIn = undefined;
  }

  /**
   * Address of a name, valid until the call after the next; 0 if it is not a name, so that node:fs refuses it with its own error.
   *
   * @param place 0 or 1, where two names are needed at once
   */
  nameAt(name: string, place: 0 | 1 = 0): number {
    if (this.#knownIn !== undefined && name === this.#known) return this.#knownAt;
    if (name.length > MAX_NAME) return 0;
    const { bytes, address } = this.#memory;
    const offset = NAMES_AT + place * NAME_SIZE;
    const length = writeName(name, bytes, offset);
    if (length === undefined) return 0;
    bytes[offset + length] = 0;
    return address + offset;
  }
}

/** Write the bytes of a name; `undefined` where one of them is zero. Most names are ASCII: a call of the runtime takes longer. */
function writeName(name: string, bytes: Buffer, offset: number): number | undefined {
  for (let index = 0; index < name.length; index += 1) {
    const code = name.charCodeAt(index);
    if (code === 0) return undefined;
    if (code >= 0x80) return writeEncoded(name, bytes, offset);
    bytes[offset + index] = code;
  }
  return name.length;
}

function writeEncoded(name: string, bytes: Buffer, offset: number): number | undefined {
  if (name.includes('\0')) return undefined;
  const encoded = encodeName(name);
  return typeof encoded === 'string' ? bytes.write(encoded, offset) : encoded.copy(bytes, offset);
}
