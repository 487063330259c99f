import { isWindows } from '../directory/platform.ts';
import { escapeForJson, hazards } from '../printable.ts';

/** Spaces that look like the gap between two columns: first, last, or after another space. */
const columnSpaces = /^\p{Zs}|(?<=\p{Zs})\p{Zs}|\p{Zs}$/gu;

const shortEscapes: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `\n`, `\x1b`, `\xff` for a byte that is not UTF-8, otherwise `\u202e`. */
function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  if (code < 0x80) return shortEscapes[character] ?? `\\x${code.toString(16).padStart(2, '0')}`;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** Foreign text as one harmless line: hazards are escaped, everything else stays. */
export function printableText(text: string): string {
  return text.replace(hazards, escapeCharacter);
}

/**
 * A file name as one harmless, unambiguous line: as {@link printableText}, with doubled backslashes (not on Windows,
 * where they separate) and with escapes for spaces that would break a column.
 */
export function printableName(name: string): string {
  const unambiguous = isWindows ? name : name.replaceAll('\\', '\\\\');
  return printableText(unambiguous).replace(columnSpaces, escapeCharacter);
}

/** JSON with the same meaning, without anything that controls a terminal. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(hazards, (character) =>
    character === '\n' ? character : escapeForJson(character),
  );
}
