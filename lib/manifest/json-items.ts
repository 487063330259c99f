import { ManifestError } from '../errors.ts';

/** Longest item in bytes: more than any path takes, escaped. It is what is parsed at once. */
const MAX_ITEM = 1 << 20;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** One item of a JSON array. */
export interface JsonItem {
  /** The first one's is 1. */
  readonly number: number;
  readonly value: unknown;
}

/**
 * The items of a JSON array, parsed one at a time as they are asked for: a few bytes can stand for many objects, and the first
 * item that is refused ends the reading.
 *
 * @param text UTF-8, beginning with blanks and a bracket
 * @throws ManifestError where it is broken, or an item is longer than 1 MiB. No message quotes the text.
 */
export function* jsonItems(text: Buffer): Generator<JsonItem, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let position = skipBlanks(text, 0) + 1;
  let number = 0;
  position = skipBlanks(text, position);
  if (text[position] === CLOSE_ARRAY) return checkRest(text, position + 1);
  for (;;) {
    number += 1;
    const end = endOfValue(text, position, number);
    yield { number, value: parse(decoder, text.subarray(position, end), number) };
    position = skipBlanks(text, end);
    if (text[position] === CLOSE_ARRAY) return checkRest(text, position + 1);
    if (text[position] !== COMMA) throw broken(number, position);
    position = skipBlanks(text, position + 1);
  }
}

function parse(decoder: { decode(bytes: Buffer): string }, bytes: Buffer, number: number): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw new ManifestError(`is broken JSON: item ${number} is not UTF-8, or cannot be parsed`);
  }
}

function checkRest(text: Buffer, position: number): void {
  const rest = skipBlanks(text, position);
  if (rest < text.length)
    throw new ManifestError(`is broken JSON: something follows the array, at byte ${rest}`);
}

function skipBlanks(text: Buffer, from: number): number {
  let position = from;
  while (position < text.length && [0x20, 0x09, 0x0a, 0x0d].includes(text[position] as number)) position += 1;
  return position;
}

/** Where a value ends; what is wrong inside it is left to its parsing. */
function endOfValue(text: Buffer, start: number, number: number): number {
  const limit = Math.min(text.length, start + MAX_ITEM);
  let depth = 0;
  let position = start;
  while (position < limit) {
    const byte = text[position] as number;
    if (byte === QUOTE) position = endOfString(text, position, limit);
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) depth += 1;
    else if (depth > 0 && (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT)) depth -= 1;
    else if (depth === 0 && (byte === COMMA || byte === CLOSE_ARRAY || byte === CLOSE_OBJECT))
      return position;
    position += 1;
  }
  if (limit < text.length) throw new ManifestError(`item ${number} has more than ${MAX_ITEM} bytes`);
  throw broken(number, position);
}

/** Where the quote stands that ends a string, or the limit. */
function endOfString(text: Buffer, start: number, limit: number): number {
  let position = start + 1;
  while (position < limit && text[position] !== QUOTE) position += text[position] === BACKSLASH ? 2 : 1;
  return position;
}

function broken(number: number, position: number): ManifestError {
  return new ManifestError(`is broken JSON: item ${number} ends unexpectedly at byte ${position}`);
}
