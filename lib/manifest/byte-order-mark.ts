import { Buffer } from 'node:buffer';

/** What some editors put before text that is UTF-8. */
const byteOrderMark = Buffer.from('\ufeff');

/** Bytes without a byte order mark before them. */
export function withoutMark(bytes: Buffer): Buffer {
  const mark = bytes.subarray(0, byteOrderMark.length);
  return mark.equals(byteOrderMark) ? bytes.subarray(byteOrderMark.length) : bytes;
}

/** Chunks of bytes without a byte order mark before the first. */
export async function* chunksWithoutMark(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  let isFirst = true;
  for await (const chunk of chunks) {
    yield isFirst ? withoutMark(chunk) : chunk;
    isFirst = false;
  }
}
