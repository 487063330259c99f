/**
 * Characters that talk to a terminal, end a line, reorder it or hide in it: controls, formats (bidirectional
 * overrides among them), separators of lines and paragraphs, lone surrogates. The two joiners are ordinary text.
 */
const hazards = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Spaces that would be taken for the gap between two columns: first, last, or after another one. */
const columnSpaces = /^\p{Zs}|(?<=\p{Zs})\p{Zs}|\p{Zs}$/gu;

const shortEscapes: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `\n`, `\x1b`, `\xff` for a byte that is not UTF-8, `\u202e` for everything else. */
function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  if (code < 0x80) return shortEscapes[character] ?? `\\x${code.toString(16).padStart(2, '0')}`;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** Text of others as one harmless line: what is dangerous is escaped, all else stays as it is. */
export function printableText(text: string): string {
  return text.replace(hazards, escapeCharacter);
}

/**
 * A file's name as one harmless line that can be told from every other name: as {@link printableText}, and
 * backslashes are doubled (not on Windows, where they separate) and spaces that would break a column escaped.
 */
export function printableName(name: string): string {
  const unambiguous = process.platform === 'win32' ? name : name.replaceAll('\\', '\\\\');
  return printableText(unambiguous).replace(columnSpaces, escapeCharacter);
}

/** A JSON document that means the same and holds nothing that a terminal would obey. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(hazards, (character) =>
    character === '\n' ? character : escapeForJson(character),
  );
}

/** Every UTF-16 unit of a character as JSON writes it. */
function escapeForJson(character: string): string {
  const units = character.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return units.map((hex) => `\\u${hex}`).join('');
}
