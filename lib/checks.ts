import { quoted } from './printable.ts';

/**
 * What wrong values are told, and checks for those of options and arguments. Each throws a TypeError for a wrong type and a RangeError for a
 * wrong value; both begin with the name, say what was given, and what is allowed. `undefined` means: not given.
 */

/** A value, for an error message: short, and on one line. */
export function show(value: unknown): string {
  if (typeof value === 'string')
    return quoted(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof URL) return 'a URL';
  if (value instanceof Promise) return 'a promise';
  if (Array.isArray(value)) return 'an array';
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? 'bytes' : 'an object';
}

const MAX_SHOWN = 100;

/** A hint at what was most likely meant, as the end of a message. */
function hintFor(value: unknown): string {
  if (value instanceof URL) return '; pass fileURLToPath(url) of node:url';
  return value instanceof Promise ? '; await it first' : '';
}

/** A value of the wrong type. */
export function wrongType(name: string, value: unknown, expected: string, hint = hintFor(value)): TypeError {
  return new TypeError(`${name}: expected ${expected}, got ${show(value)}${hint}`);
}

/** A path: of a root, a destination, an archive. */
export function checkPath(
  name: string,
  value: unknown,
  expected = 'a path',
  hint?: string,
): asserts value is string {
  if (typeof value !== 'string') throw wrongType(name, value, expected, hint);
  const fault = value === '' ? 'is empty' : value.includes('\0') ? 'has a NUL in it' : undefined;
  if (fault !== undefined)
    throw new RangeError(`${name}: expected ${expected}, got ${show(value)}, which ${fault}`);
}

/** A file that a manifest is read from. An empty path, or one with a NUL, is what cannot be read. */
export function checkSource(source: unknown): asserts source is string {
  if (typeof source === 'string') return;
  const isBytes = ArrayBuffer.isView(source) || source instanceof ArrayBuffer;
  throw wrongType(
    'source',
    source,
    'a path',
    isBytes ? '; readZipManifest reads a zip archive from bytes' : undefined,
  );
}

export function checkObject(name: string, value: unknown, expected = 'an object', hint?: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongType(name, value, expected, hint);
}

/** Refuse a property that is none of those that are known. */
export function checkNames(what: string, value: object, known: ReadonlySet<string>): void {
  for (const name of Object.keys(value)) {
    if (known.has(name)) continue;
    throw new TypeError(`unknown ${what} ${show(name)}: known are ${[...known].join(', ')}`);
  }
}

export function checkSignal(value: AbortSignal | undefined): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw wrongType('signal', value, 'an AbortSignal');
}

export function globs(name: string, value: string | readonly string[] | undefined): readonly string[] {
  const list: unknown = value === undefined ? [] : typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list)) throw wrongType(name, value, 'a glob or an array of globs');
  for (const glob of list) {
    if (typeof glob !== 'string') throw wrongType(name, glob, 'a glob');
    if (glob === '') throw new RangeError(`${name}: "" is not a glob`);
  }
  return list;
}

export function boolean(name: string, value: boolean | undefined): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw wrongType(name, value, 'true or false');
}

export function choice<T extends string>(
  name: string,
  value: T | undefined,
  choices: readonly T[],
): T | undefined {
  if (value === undefined || choices.includes(value)) return value;
  const expected = choices.map((known) => `'${known}'`).join(', ');
  if (typeof value !== 'string') throw wrongType(name, value, `one of ${expected}`);
  throw new RangeError(`${name}: ${show(value)} is not one of ${expected}`);
}

export function number(
  name: string,
  value: number | undefined,
  least: number,
  allowInfinity: boolean,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw wrongType(name, value, 'a number');
  if (value >= least && (allowInfinity || Number.isFinite(value))) return value;
  throw new RangeError(
    `${name}: ${value} is not a ${allowInfinity ? '' : 'finite '}number, ${least} or more`,
  );
}

export function integer(name: string, value: number | undefined, least: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw wrongType(name, value, 'a number');
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new RangeError(`${name}: ${value} is not a whole number, ${least} or more`);
}

export function callback<T>(name: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw wrongType(name, value, 'a function');
}
