import type { ManifestEntry } from './manifest.ts';

/** Every property that an entry may have. */
export const entryProperties: readonly (keyof ManifestEntry)[] = [
  'path',
  'type',
  'mode',
  'size',
  'linkTarget',
  'optional',
  'alternative',
  'digest',
  'nlink',
];

/**
 * A property of an entry that is one letter away from one that is known: what it says would be lost. Properties that are called anything
 * else are for others, and are left alone.
 *
 * @returns what it is called, and what is meant
 */
export function findMisspelled(entry: object): { given: string; meant: string } | undefined {
  for (const given of Object.keys(entry)) {
    if ((entryProperties as readonly string[]).includes(given)) continue;
    const plain = plainOf(given);
    const meant = entryProperties.find(
      (name) => !Object.hasOwn(entry, name) && isOneApart(plain, plainOf(name)),
    );
    if (meant !== undefined) return { given, meant };
  }
  return undefined;
}

/** `link_target` and `LinkTarget` are `linkTarget`. */
function plainOf(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

/** True for two words that are the same but for one letter: another one, one more, one less, or two that changed places. */
function isOneApart(one: string, other: string): boolean {
  let start = 0;
  while (start < one.length && one[start] === other[start]) start += 1;
  const rests = (skipOne: number, skipOther: number) =>
    one.slice(start + skipOne) === other.slice(start + skipOther);
  const hasSwapped = one[start] === other[start + 1] && one[start + 1] === other[start];
  return rests(0, 0) || rests(1, 1) || rests(1, 0) || rests(0, 1) || (hasSwapped && rests(2, 2));
}
