import { quoted } from '../printable.ts';

// What names cannot be: Win32, "Naming Files, Paths, and Namespaces".
const character = /["*:<>?\\|\p{Cc}]/u;
/** Devices are in every directory, and whatever extension follows. */
const device = /(?<=^|\/)(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³])(?= *(?:[./]|$))/i;
const dropped = /[. ](?=\/|$)/;

/**
 * What is wrong with a path on Windows, in words without the path itself: a name in it that cannot be, or that leads elsewhere than
 * to a file of that name.
 *
 * @param path `/`-separated, in its one spelling
 */
export function windowsFault(path: string): string | undefined {
  if (path === '.') return undefined;
  const found = character.exec(path)?.[0];
  if (found !== undefined) return `contains ${quoted(found)}, which no name can have on Windows`;
  const reserved = device.exec(path)?.[0];
  if (reserved !== undefined) return `has a name that Windows takes for the device ${reserved.toUpperCase()}`;
  const last = dropped.exec(path)?.[0];
  if (last === undefined) return undefined;
  return `has a name that ends with a ${last === '.' ? 'dot' : 'space'}, which Windows drops`;
}
