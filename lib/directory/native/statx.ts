import type { EntryType } from '../../errors.ts';
import { type EntryStats, MODE_BITS, typeOfMode } from '../entry-stats.ts';

/** STATX_BASIC_STATS and STATX_MNT_ID (statx(2)). */
export const STATX_MASK = 0x17ff;
const STATX_MNT_ID = 0x1000;

/** Bytes of `struct statx`, which is laid out alike on every architecture. */
export const STATX_SIZE = 256;

/** Where its fields are, in words of 32 bits; two words make a number of 64 bits, the lower one first. */
const MASK = 0;
const NLINK = 4;
const UID = 5;
const MODE = 7;
const INO = 8;
const SIZE = 10;
const CTIME = 24;
const MTIME = 28;
const DEV_MAJOR = 34;
const DEV_MINOR = 35;
const MNT_ID = 36;

const WORD = 0x1_0000_0000;

/** What statx(2) wrote, copied out of its buffer: the next call overwrites that. */
export class NativeStats implements EntryStats {
  readonly type: EntryType;
  readonly mode: number;
  readonly size: number;
  readonly nlink: number;
  readonly uid: number;
  readonly dev: number | bigint;
  readonly ino: number | bigint;
  /** Number of the mount that it is on; `undefined` where the kernel does not say (before Linux 5.8). */
  readonly mount: number | undefined;
  readonly #mtime: number;
  readonly #mtimeNanoseconds: number;
  readonly #ctime: number;
  readonly #ctimeNanoseconds: number;

  constructor(words: Uint32Array) {
    const mode = word(words, MODE) & 0xffff;
    this.type = typeOfMode(mode);
    this.mode = mode & MODE_BITS;
    this.size = word(words, SIZE + 1) * WORD + word(words, SIZE);
    this.nlink = word(words, NLINK);
    this.uid = word(words, UID);
    this.dev = deviceNumber(word(words, DEV_MAJOR), word(words, DEV_MINOR));
    this.ino = whole(word(words, INO + 1), word(words, INO));
    this.mount = (word(words, MASK) & STATX_MNT_ID) === 0 ? undefined : word(words, MNT_ID);
    this.#mtime = seconds(words, MTIME);
    this.#mtimeNanoseconds = word(words, MTIME + 2);
    this.#ctime = seconds(words, CTIME);
    this.#ctimeNanoseconds = word(words, CTIME + 2);
  }

  get mtimeMs(): number {
    return this.#mtime * 1e3 + this.#mtimeNanoseconds / 1e6;
  }

  get ctimeMs(): number {
    return this.#ctime * 1e3 + this.#ctimeNanoseconds / 1e6;
  }
}

function word(words: Uint32Array, index: number): number {
  return words[index] as number;
}

/** A signed number of 64 bits. */
function seconds(words: Uint32Array, index: number): number {
  return (word(words, index + 1) | 0) * WORD + word(words, index);
}

/** A number of 64 bits, exact. */
function whole(high: number, low: number): number | bigint {
  if (high < 0x20_0000) return high * WORD + low;
  return (BigInt(high) << 32n) | BigInt(low);
}

/** What makedev(3) makes of both: the number that node:fs gives. */
function deviceNumber(major: number, minor: number): number | bigint {
  const low = (major & 0xfff) * 0x100 + (minor & 0xff) + (minor - (minor & 0xff)) * 0x1000;
  return major <= 0xfff ? low : (BigInt(major - (major & 0xfff)) << 32n) | BigInt(low);
}
