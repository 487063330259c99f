import type { Archive } from './archive.ts';
import type { Compression } from './decompress.ts';
import { decompress } from './decompress.ts';

/** Bytes that are read at once from an archive that is not compressed. */
const SPAN = 1 << 17;

/** Bytes of an archive, decompressed, from front to back. No more than one chunk is held. */
export class ByteStream {
  /** How many bytes were taken or skipped. */
  offset = 0;
  /** What was read and not yet taken begins at `#start` of it. */
  #chunk: Buffer = Buffer.alloc(0);
  #start = 0;
  readonly #archive: Archive;
  readonly #signal: AbortSignal | undefined;
  /** What a compressed archive decompresses to. */
  readonly #chunks: AsyncIterator<Buffer, void, undefined> | undefined;

  /**
   * @param archive is not closed by it
   * @param signal looked at between chunks of what is decompressed
   */
  constructor(archive: Archive, compression: Compression | undefined, signal?: AbortSignal | undefined) {
    this.#archive = archive;
    this.#signal = signal;
    if (compression !== undefined) this.#chunks = decompress(archive, compression, () => this.isAborted);
  }

  get isAborted(): boolean {
    return this.#signal?.aborted === true;
  }

  /** The next bytes; fewer than `length` only at the end. */
  async take(length: number): Promise<Buffer> {
    if (this.#held < length) await this.#gather(length);
    const bytes = this.#chunk.subarray(this.#start, this.#start + length);
    this.#advance(bytes.length);
    return bytes;
  }

  /** Pass over the next bytes, without reading them where that can be. False where the end comes before. */
  async skip(length: number): Promise<boolean> {
    const end = this.offset + length;
    this.#advance(Math.min(this.#held, length));
    if (this.#chunks === undefined) {
      this.#advance(Math.min(end, this.#archive.size) - this.offset);
    }
    while (this.offset < end) {
      this.#chunk = await this.#read();
      this.#start = 0;
      if (this.#chunk.length === 0) return false;
      this.#advance(Math.min(this.#chunk.length, end - this.offset));
    }
    return true;
  }

  /** Let go of what decompresses. Must be called once, whatever happened. */
  async close(): Promise<void> {
    await this.#chunks?.return?.();
  }

  get #held(): number {
    return Math.max(0, this.#chunk.length - this.#start);
  }

  #advance(length: number): void {
    this.#start += length;
    this.offset += length;
  }

  async #gather(length: number): Promise<void> {
    const parts = [this.#chunk.subarray(this.#start)];
    let held = this.#held;
    while (held < length) {
      const next = await this.#read(held);
      if (next.length === 0) break;
      parts.push(next);
      held += next.length;
    }
    this.#chunk = parts.length === 2 && parts[0]?.length === 0 ? (parts[1] as Buffer) : Buffer.concat(parts);
    this.#start = 0;
  }

  /** The next chunk behind the `held` bytes; empty at the end. */
  async #read(held = 0): Promise<Buffer> {
    if (this.#chunks !== undefined) {
      this.#signal?.throwIfAborted();
      const { value } = await this.#chunks.next();
      return value ?? Buffer.alloc(0);
    }
    const position = this.offset + held;
    return this.#archive.read(position, Math.min(SPAN, this.#archive.size - position));
  }
}
