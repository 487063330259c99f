import type { Case, Difference } from './compare.ts';
import { knownOfTar } from './known-tar.ts';
import { knownOfZip } from './known-zip.ts';

/** A way in which readers differ, which was looked at. */
export interface Known {
  readonly name: string;
  /** Who reads what an extractor will have made. `either`: extractors differ, and the manifest holds with some of them. */
  readonly right: 'permwalk' | 'the other' | 'either';
  readonly why: string;
  is(difference: Difference, about: Context): boolean;
}

/** An archive with everything in it that is read otherwise. */
export interface Context extends Case {
  readonly differences: readonly Difference[];
}

/** What a difference is known as; `undefined` for a finding. */
export function classify(difference: Difference, about: Context): Known | undefined {
  return [...known, ...(about.kind === 'zip' ? knownOfZip : knownOfTar)].find((one) =>
    one.is(difference, about),
  );
}

/** A refusal of ours that says so, of an archive that another reader lists. Listing takes more than extracting does. */
function refusedByUs(name: string, why: string, says: RegExp): Known {
  const is = ({ what, why: said = '' }: Difference): boolean => what === 'refused by us' && says.test(said);
  return { name: `refused by permwalk: ${name}`, right: 'permwalk', why, is };
}

const known: readonly Known[] = [
  refusedByUs(
    'unsafe names',
    'they lead out, or nowhere; extractors refuse them, or rewrite them each in another way',
    /has a ".." component|is absolute|starts with a drive letter|contains a NUL|path "" is empty/,
  ),
  refusedByUs(
    'a file or a link where a directory must be',
    'the root and a name that ends in `/.` are directories: GNU tar and unzip cannot make anything else of them',
    /is spelled as a directory/,
  ),
  refusedByUs(
    'a file and a directory of one path',
    'only one of them can be there: extractors fail, or keep the one or the other',
    /is listed twice with different facts: type "directory" and|is listed twice with different facts: type \S+ and "directory"|is listed twice .*"directory"/,
  ),
  refusedByUs(
    'a link that leads nowhere',
    'nobody can make a link without a text',
    /link target "" is not a string|link target ".*" is not a string/,
  ),
  refusedByUs(
    'parts of a larger archive',
    'what it is a part of holds the rest: the message says so',
    /was split into|another volume of a multi-volume/,
  ),
];
