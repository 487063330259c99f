/** Names, `*`, `?`, and braces that hold no others. */
const knownSegment =
  /^(?:[\w.@~=% +-]|\*(?!\*)|\?|\{(?:[\w@~=% ,?-]|\.(?!\.)|\*(?!\*))*,(?:[\w@~=% ,?-]|\.(?!\.)|\*(?!\*))*\})+$/;
/** Length that a glob may have once its braces are written out. */
const MAX_EXPANDED = 4096;
const ANY = '?';

/** What stands before a `*`, and what has to come after it: something, and not another dot alone, or anything. */
interface Piece {
  readonly text: string;
  readonly hasAny: boolean;
  readonly after: 'anything' | 'something' | 'more than a dot';
}

/** One glob without braces, by its `*`. */
interface Pattern {
  readonly pieces: readonly Piece[];
  readonly last: Omit<Piece, 'after'>;
}

/** A glob for one name, compiled. */
export interface SegmentMatcher {
  readonly matches: NameMatcher;
  /** At most so many characters are compared for each character of a name. */
  readonly effort: number;
}

/** Whether {@link compileSegment} knows a glob for one name. */
export function isLinear(segment: string): boolean {
  return knownSegment.test(segment) && !/[+}]\+/.test(segment) && expand(segment) !== undefined;
}

/**
 * Match one name against a glob in steps that are bounded by the product of their lengths: the text between two `*` is searched from
 * the left, and the first match is the best one. A regular expression would try every match.
 * Means what micromatch means with `dot: true`.
 *
 * @param segment a glob for one name that {@link isLinear}
 * @param ignoresCase whether upper and lower case are the same
 */
export function compileSegment(segment: string, ignoresCase: boolean): SegmentMatcher {
  const texts = (expand(segment) ?? []).map((text) => (ignoresCase ? foldText(text) : text));
  const matches = anyOf(texts.map((text) => patternMatcher(patternOf(text))));
  return {
    matches: ignoresCase ? (name) => matches(foldText(name)) : matches,
    effort: texts.reduce((sum, text) => sum + text.length, 1),
  };
}

type NameMatcher = (name: string) => boolean;

/** Made once, and asked for every entry: no closure is made then. */
function anyOf(matchers: readonly NameMatcher[]): NameMatcher {
  const [only] = matchers;
  if (only !== undefined && matchers.length === 1) return only;
  return (name) => {
    for (const matches of matchers) if (matches(name)) return true;
    return false;
  };
}

/** Most globs are a name, or have one `*`. */
function patternMatcher(pattern: Pattern): NameMatcher {
  const { pieces, last } = pattern;
  const [first] = pieces;
  if (last.hasAny || first?.hasAny === true) return (name) => matchPattern(pattern, name);
  if (first === undefined) return (name) => name === last.text;
  if (pieces.length > 1 || first.after !== 'anything') return (name) => matchPattern(pattern, name);
  const { text: start } = first;
  const { text: end } = last;
  if (start === '') return (name) => name.endsWith(end);
  const least = start.length + end.length;
  return (name) => name.length >= least && name.startsWith(start) && name.endsWith(end);
}

function matchPattern({ pieces, last }: Pattern, name: string): boolean {
  let at = 0;
  for (let index = 0; index < pieces.length; index += 1) {
    const piece = pieces[index] as Piece;
    const found = index === 0 ? (standsAt(name, piece, 0) ? 0 : -1) : find(name, piece, at);
    if (found === -1) return false;
    at = found + piece.text.length;
    const rest = name.length - at;
    // Further to the right even less comes after it.
    if (piece.after !== 'anything' && rest === 0) return false;
    if (piece.after === 'more than a dot' && rest === 1 && name[at] === '.') return false;
  }
  const end = name.length - last.text.length;
  return (pieces.length === 0 ? end === 0 : end >= at) && standsAt(name, last, end);
}

function find(name: string, piece: Omit<Piece, 'after'>, from: number): number {
  if (!piece.hasAny) return name.indexOf(piece.text, from);
  const last = name.length - piece.text.length;
  for (let at = from; at <= last; at += 1) if (standsAt(name, piece, at)) return at;
  return -1;
}

function standsAt(name: string, { text, hasAny }: Omit<Piece, 'after'>, at: number): boolean {
  if (!hasAny) return name.startsWith(text, at);
  if (at + text.length > name.length) return false;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] !== ANY && text[index] !== name[at + index]) return false;
  }
  return true;
}

/** In place of a `*` that something has to come after; no glob that is known has these. */
const BOUND_STAR = '>';
const SOME_STAR = '<';
const starAfter: Readonly<Record<string, Piece['after']>> = {
  '*': 'anything',
  [SOME_STAR]: 'something',
  [BOUND_STAR]: 'more than a dot',
};

function patternOf(text: string): Pattern {
  const parts = text.split(/([*<>])/);
  const pieces: Piece[] = [];
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const after = starAfter[parts[index + 1] as string] ?? 'anything';
    pieces.push({ ...pieceOf(parts[index] as string), after });
  }
  return { pieces, last: pieceOf(parts[parts.length - 1] as string) };
}

function pieceOf(text: string): Omit<Piece, 'after'> {
  return { text, hasAny: text.includes(ANY) };
}

/** The glob with its braces written out; `undefined` where that is too long. */
function expand(segment: string): string[] | undefined {
  // micromatch: after a dot that begins a name or stands in braces something has to come, and not another dot alone; and
  // something after that of `*.*`.
  const inBraces = (part: string) => part.replaceAll('.*', `.${BOUND_STAR}`);
  const whole = segment === '*.*' ? `*.${SOME_STAR}` : segment.replace(/^\.\*/, `.${BOUND_STAR}`);
  let texts = [''];
  for (const part of whole.split(/(\{[^}]*\})/)) {
    const choices = part.startsWith('{') ? part.slice(1, -1).split(',').map(inBraces) : [part];
    texts = texts.flatMap((text) => choices.map((choice) => text + choice));
    if (texts.reduce((sum, text) => sum + text.length, 0) > MAX_EXPANDED) return undefined;
  }
  return texts;
}

/** As a regular expression ignores case: by single UTF-16 units. */
function foldText(text: string): string {
  const upper = text.toUpperCase();
  if (upper.length === text.length && /^[ -~]*$/.test(text)) return upper;
  return text.split('').map(foldUnit).join('');
}

function foldUnit(unit: string): string {
  const upper = unit.toUpperCase();
  return upper.length === 1 ? upper : unit;
}
