/**
 * Characters that control a terminal, end a line, reorder it or are invisible: controls, formats (with bidirectional
 * overrides), line and paragraph separators, lone surrogates. The two joiners are ordinary text.
 */
export const hazards = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Every UTF-16 unit of a character, as JSON escapes it. */
export function escapeForJson(character: string): string {
  const units = character.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return units.map((hex) => `\\u${hex}`).join('');
}

/** A message as one harmless line: what would control a terminal or forge a line is escaped as in JSON. */
export function oneLine(text: string): string {
  return /^[ -~]*$/.test(text) ? text : text.replace(hazards, escapeForJson);
}

/** Text in quotation marks, as in JSON, and harmless. */
export function quoted(text: string): string {
  return oneLine(JSON.stringify(text));
}
