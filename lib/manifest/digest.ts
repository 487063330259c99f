import type { ManifestDigest } from './manifest.ts';

/** Bytes of the digests that are known by their algorithm; of another, any even number of digits will do. */
const lengths: ReadonlyMap<string, number> = new Map([
  ['crc32', 4],
  ['md5', 16],
  ['rmd160', 20],
  ['sha1', 20],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
]);

/** A digest in its one spelling, frozen; `undefined` where it is none. */
export function normalDigest(given: unknown): ManifestDigest | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  const { algorithm, value } = given as Partial<ManifestDigest>;
  if (typeof algorithm !== 'string' || typeof value !== 'string') return undefined;
  const name = algorithm.toLowerCase();
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(name) || !/^(?:[\da-f]{2}){1,128}$/i.test(value)) return undefined;
  const length = lengths.get(name);
  if (length !== undefined && value.length !== 2 * length) return undefined;
  return Object.freeze({ algorithm: name, value: value.toLowerCase() });
}
