import { Buffer } from 'node:buffer';
import { isDeno } from './platform.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Text of the bytes, or `undefined` where they are not UTF-8. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * A name as text. Bytes that are not UTF-8 become U+DC80 to U+DCFF, one each, so that {@link encodeName} gives
 * the same bytes back (PEP 383, `surrogateescape`).
 */
export function decodeName(bytes: Uint8Array): string {
  const whole = decodeUtf8(bytes);
  if (whole !== undefined) return whole;
  let text = '';
  let position = 0;
  while (position < bytes.length) {
    let length = 0;
    let decoded: string | undefined;
    do {
      length += 1;
      decoded = decodeUtf8(bytes.subarray(position, position + length));
    } while (decoded === undefined && length < 4);
    if (decoded === undefined) {
      text += String.fromCharCode(0xdc00 + (bytes[position] ?? 0));
      position += 1;
    } else {
      text += decoded;
      position += length;
    }
  }
  return text;
}

/** True where the name can be written down as text: no byte of it had to be escaped. */
export function isDecodable(name: string): boolean {
  return name.isWellFormed();
}

const REPLACEMENT_CHARACTER = '\ufffd';

/** Whether a name that was listed may have lost bytes that are not UTF-8: nothing can be reached by it then. */
export function mayLackBytes(name: string): boolean {
  return isDeno && name.includes(REPLACEMENT_CHARACTER);
}

/** Whether a name that was listed as text may have bytes that are not, and can be listed as bytes. */
export function mayHaveBytes(name: string): boolean {
  return !isDeno && name.includes(REPLACEMENT_CHARACTER);
}

/** What the system calls take for a path that {@link decodeName} may have made: text, or bytes where text would lie. */
export function encodeName(path: string): string | Buffer {
  if (path.isWellFormed()) return path;
  const bytes: number[] = [];
  for (const character of path) {
    const code = character.charCodeAt(0);
    const isEscapedByte = code >= 0xdc80 && code <= 0xdcff;
    if (isEscapedByte) bytes.push(code - 0xdc00);
    else bytes.push(...encoder.encode(character));
  }
  return Buffer.from(bytes);
}

/** Parent of a path below the root; `.` is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '.' : path.slice(0, slash);
}

/** Last component of a path below the root. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Path of an entry of a directory below the root; `.` is the root. */
export function joinPath(directory: string, name: string): string {
  return directory === '.' ? name : `${directory}/${name}`;
}

/** True where `directory` is the parent of `path`. Makes no strings: it is asked for every entry. */
export function isEntryOf(directory: string, path: string): boolean {
  const slash = path.lastIndexOf('/');
  if (slash === -1) return directory === '.';
  return directory.length === slash && path.startsWith(directory);
}

/** True where `path` is `directory` or lies below it; both below the root, `.` is the root. */
export function isWithin(directory: string, path: string): boolean {
  if (directory === '.' || directory === path) return true;
  return path.startsWith(directory) && path.charCodeAt(directory.length) === 47;
}
