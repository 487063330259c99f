import { quoted } from '../printable.ts';

/** Anything that a path whose names Windows can hold has not (Win32, "Naming Files, Paths, and Namespaces"). */
const suspicious =
  /["*:<>?\\|\p{Cc}]|[. ](?:\/|$)|(?:^|\/)(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³]) *(?:[./]|$)/iu;

const character = /["*:<>?\\|\p{Cc}]/u;
/** Devices are in every directory, and whatever extension follows. */
const device = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³])(?= *(?:\.|$))/iu;

/**
 * What is wrong with a path on Windows, in words without the path itself: a name in it that cannot be, or that leads elsewhere than
 * to a file of that name.
 *
 * @param path `/`-separated, in its one spelling
 */
export function windowsFault(path: string): string | undefined {
  if (path === '.' || !suspicious.test(path)) return undefined;
  const found = character.exec(path)?.[0];
  if (found !== undefined) return `contains ${quoted(found)}, which no name can have on Windows`;
  for (const name of path.split('/')) {
    const reserved = device.exec(name)?.[0];
    if (reserved !== undefined) {
      return `has a name that Windows takes for the device ${reserved.toUpperCase()}`;
    }
    const last = name.at(-1);
    if (last === '.' || last === ' ') {
      return `has a name that ends with a ${last === '.' ? 'dot' : 'blank'}, which Windows drops`;
    }
  }
  return undefined;
}
