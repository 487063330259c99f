import { Buffer } from 'node:buffer';
import type { ManifestDigest } from './manifest.ts';

/** Bytes of the digests that are known by their algorithm, the weakest first; of another, any even number of digits will do. */
const lengths: ReadonlyMap<string, number> = new Map([
  ['crc32', 4],
  ['md5', 16],
  ['rmd160', 20],
  ['sha1', 20],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
]);
const byStrength = [...lengths.keys()];

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

/** A CRC-32 as a digest. Whoever makes a manifest freezes it. */
export function crc32Digest(crc32: number): ManifestDigest {
  return { algorithm: 'crc32', value: crc32.toString(16).padStart(8, '0') };
}

/**
 * The digest of a hash as a RECORD has it: `sha256=` and base64url without padding (PyPA, "The RECORD file"). Some builders wrote
 * hexadecimal. `undefined` for an algorithm that a RECORD may not have, and for what is no hash of its algorithm.
 */
export function recordDigest(hash: string): { digest: ManifestDigest; isHex: boolean } | undefined {
  const [, algorithm = '', value = ''] = /^(sha256|sha384|sha512)=([\w-]+)=*$/i.exec(hash) ?? [];
  const hex = normalDigest({ algorithm, value });
  if (hex !== undefined) return { digest: hex, isHex: true };
  const digest = normalDigest({ algorithm, value: Buffer.from(value, 'base64url').toString('hex') });
  return digest && { digest, isHex: false };
}

/** Whether the one says more than the other. */
export function isStronger(one: ManifestDigest, other: ManifestDigest): boolean {
  return byStrength.indexOf(one.algorithm) > byStrength.indexOf(other.algorithm);
}

/** What two sources that both list a file say of its content: the stronger of two digests, none where they contradict each other. */
export function commonDigest(
  one: ManifestDigest | undefined,
  other: ManifestDigest | undefined,
): ManifestDigest | undefined {
  if (one === undefined || other === undefined) return undefined;
  if (one.algorithm === other.algorithm) return one.value === other.value ? one : undefined;
  return isStronger(other, one) ? other : one;
}
