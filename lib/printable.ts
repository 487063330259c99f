/**
 * Characters that control a terminal, end a line, reorder it or are invisible: controls, formats (with bidirectional
 * overrides), line and paragraph separators, lone surrogates. The two joiners are ordinary text.
 */
export const hazards = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * A foreign name in double quotes, for a message: JSON, with escapes for everything that controls a terminal. `JSON.parse` gives
 * the name back.
 */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(hazards, escapeForJson);
}

/** Every UTF-16 unit of a character, as a JSON escape. */
export function escapeForJson(character: string): string {
  const units = character.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return units.map((hex) => `\\u${hex}`).join('');
}
