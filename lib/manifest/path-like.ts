/** What stands in place of a file, by its first line: markup, a Git LFS pointer, a key. */
const placeholders: readonly RegExp[] = [/^\s*<[!?a-z]/i, /^version https:\/\/git-lfs\./, /^-----BEGIN /];
/** What no line of a list of paths is: an address, a checksum before a name, what `ls -l` prints. */
const others: readonly RegExp[] = [
  /^[a-z][a-z0-9+.-]*:\/\//i,
  /^[0-9a-f]{32,128} [ *]/i,
  /^[-dlbcps][-rwxsStT]{9}[.+@]?\s/,
];

/** Whether text that begins with this line stands in place of something else. */
export function isPlaceholder(line: string): boolean {
  return placeholders.some((form) => form.test(line));
}

/**
 * Whether a line looks like a path, and not like prose. A name may have blanks; one without a separator and an extension is
 * taken for a sentence then.
 */
export function looksLikePath(line: string): boolean {
  const text = line.trim();
  if (isPlaceholder(text) || others.some((form) => form.test(text)) || text.includes('://')) return false;
  if (!/\s/.test(text)) return true;
  return !/[.!?:;,]$/.test(text) && (text.includes('/') || /\.\w{1,8}$/.test(text));
}
