import { Buffer } from 'node:buffer';
import { decodeName } from '../directory/names.ts';

/** What a letter behind a backslash stands for (vis(3), and the same of libarchive). */
const letters: Readonly<Record<string, number>> = {
  a: 0x07,
  b: 0x08,
  t: 0x09,
  n: 0x0a,
  v: 0x0b,
  f: 0x0c,
  r: 0x0d,
  E: 0x1b,
  s: 0x20,
};
/** Behind a backslash: three octal digits at most, a byte in hexadecimal, a control character, one with its eighth bit, a letter. */
const escapeForm =
  /\\(?:([0-7]{1,3})|x([\da-fA-F]{1,2})|\^([?-_a-z])|M-([!-~])|M\^([?-_a-z])|([abtnvfrEs])|(\$)|([!-~]))/g;
const isAscii = /^[\0-\x7f]*$/;

/**
 * A name of mtree(5), from its bytes. Both dialects are read: NetBSD's, which is vis(3) (`\s`, `\M-C\M-)`, `\^A`), and libarchive's,
 * which is octal digits.
 *
 * @param text each character is a byte
 * @returns `undefined` where a backslash stands before what it cannot
 */
export function unescapeName(text: string): string | undefined {
  if (!text.includes('\\')) return decodeBytes(text);
  let isBroken = false;
  let end = 0;
  const bytes = text.replace(escapeForm, (...match) => {
    const position = match[9] as number;
    if (text.slice(end, position).includes('\\')) isBroken = true;
    end = position + (match[0] as string).length;
    return byteOf(match as unknown as string[]);
  });
  return isBroken || text.slice(end).includes('\\') ? undefined : decodeBytes(bytes);
}

function byteOf(match: readonly (string | undefined)[]): string {
  const [, octal, hexadecimal, control, meta, metaControl, letter, hidden, itself] = match;
  if (octal !== undefined) return character(Number.parseInt(octal, 8));
  if (hexadecimal !== undefined) return character(Number.parseInt(hexadecimal, 16));
  if (control !== undefined) return character(controlOf(control));
  if (meta !== undefined) return character(0x80 | meta.charCodeAt(0));
  if (metaControl !== undefined) return character(0x80 | controlOf(metaControl));
  if (letter !== undefined) return character(letters[letter] as number);
  return hidden === undefined ? (itself as string) : '';
}

function controlOf(symbol: string): number {
  return symbol === '?' ? 0x7f : symbol.charCodeAt(0) & 0x1f;
}

function character(code: number): string {
  return String.fromCharCode(code & 0xff);
}

function decodeBytes(bytes: string): string {
  return isAscii.test(bytes) ? bytes : decodeName(Buffer.from(bytes, 'latin1'));
}
