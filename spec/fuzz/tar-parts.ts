import { Buffer } from 'node:buffer';
import { seal } from '../helpers/tar.ts';
import type { Random } from './random.ts';

const BLOCK = 512;

/** A header of a tar archive and the blocks behind it. */
export interface TarPart {
  header: Buffer;
  content: Buffer;
  /** Whether its checksum is made anew. */
  isSealed: boolean;
}

/** Headers and what follows each, as far as their sizes can be read; what cannot be is a part of its own. */
export function readTarParts(bytes: Buffer): TarPart[] {
  const parts: TarPart[] = [];
  for (let start = 0; start + BLOCK <= bytes.length; ) {
    const header = Buffer.from(bytes.subarray(start, start + BLOCK));
    const isHeader = header.some((byte) => byte !== 0);
    const size = isHeader ? Number.parseInt(header.toString('latin1', 124, 135), 8) || 0 : 0;
    const isWithout = '123456'.includes(header.toString('latin1', 156, 157));
    const length = isWithout ? 0 : Math.ceil(size / BLOCK) * BLOCK;
    const content = Buffer.from(bytes.subarray(start + BLOCK, start + BLOCK + length));
    // Further zero blocks are the end, which is written anew.
    if (!isHeader && parts.length > 0) break;
    parts.push({ header, content, isSealed: isHeader });
    start += BLOCK + length;
  }
  return parts;
}

/** The archive again, mostly with its end mark. */
export function writeTarParts(parts: readonly TarPart[], random: Random): Buffer {
  const whole = Buffer.concat(
    parts.flatMap(({ header, content, isSealed }) => [isSealed ? seal(header) : header, content]),
  );
  return random.oneIn(10) ? whole : Buffer.concat([whole, Buffer.alloc(2 * BLOCK)]);
}
