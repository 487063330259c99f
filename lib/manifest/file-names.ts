import { decodeName, isDecodable } from '../directory/names.ts';
import { isSafePath } from './path.ts';

/** Characters of the bytes 0x80 to 0xff in IBM code page 437 (APPNOTE, appendix D). */
const CP437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/**
 * What unzip makes of the bytes 0x80 to 0xff of a name that was made on FAT: code page 850 becomes ISO 8859-1, in hexadecimal
 * (Info-ZIP, ebcdic.h, oem2iso_850).
 */
const OEM_TO_ISO = Buffer.from(
  'c7fce9e2e4e0e5e7eaebe8efeeecc4c5c9e6c6f4f6f2fbf9ffd6dcf8a3d8d783e1edf3faf1d1aababfaeacbdbca1abbba6a6a6a6a6c1c2c0a9a6a62b2ba2a52b' +
    '2b2d2d2b2d2be3c32b2b2d2da62d2ba4f0d0cacbc869cdcecf2b2ba65fa6ccafd3dfd4d2f5d5b5fededadbd9fdddafb4adb13dbeb6a7f7b8b0a8b7b9b3b2a6a0',
  'hex',
);
/** It leaves out this byte of what it made. */
const UNPRINTABLE = 0xff;

/** Signs that it has in place of control characters, 0x01 to 0x1f, and 0x7f. */
const SIGNS = '☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼';
const DELETE_SIGN = '⌂';

const isAscii = /^[\0-\x7f]*$/;
/** Printable ASCII without a backslash, without what looks like a drive, and without a version. */
const plain = /^(?![A-Za-z]:)[ -[\]-~]*$(?<!;\d*)/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const controls = /[\x01-\x1f\x7f]/g;
/** What unzip takes for the version of a file, as VMS has them, and leaves out. */
const version = /;\d*$/;
/** What bsdtar and node-tar take for drives, and leave out. */
const drives = /^(?:[A-Za-z]:)+(?=[^/])/;

/** A name in an archive: as it is read, and as other programs read it, where they differ. */
export interface SpelledName {
  readonly path: string;
  readonly alternative?: string | undefined;
  /** As unzip reads it, where that is neither of the two. */
  readonly third?: string | undefined;
  /** Why it has two, where the archive is odd. */
  readonly oddity?: keyof typeof oddities | undefined;
}

/** What is odd about names, and what is said of it. */
export const oddities = {
  backslash:
    'has a name with a backslash that may separate directories, and others here may, too: both spellings are accepted',
  'name-encoding': 'has a name of unknown encoding, and others here may, too: both spellings are accepted',
} as const;

/** How the name of a zip entry is to be read. */
export interface ZipNameFacts {
  /** Whether the entry says that it is UTF-8 (APPNOTE 4.4.4 bit 11). */
  readonly isUtf8: boolean;
  /** The name in the Unicode path extra field (APPNOTE 4.6.9), where that belongs to the name. */
  readonly unicodePath: Buffer | undefined;
  /** Whether it was made on a system where a backslash separates names. */
  readonly isDosMade: boolean;
  /** Whether unzip takes its bytes for those of a DOS code page. */
  readonly isTakenForOem: boolean;
}

/** Whether a name has one spelling, whoever reads it. */
export function isPlainName(latin1: string): boolean {
  return plain.test(latin1);
}

/**
 * The name of a zip entry. Where programs disagree, it has two spellings:
 *
 * - bytes that are not said to be UTF-8: CP437 (APPNOTE D.1; Python, yauzl), else the bytes as they are, UTF-8 or not (unzip,
 *   bsdtar, 7-Zip)
 * - a control character in one that is not said to be UTF-8 (`Icon\r` of macOS): that, else the sign that CP437 has for it
 *   (yauzl)
 * - a Unicode path field: that (unzip, bsdtar, 7-Zip), else the name as it stands (Python); of a name that is said to be UTF-8
 *   the other way about (yauzl takes the field everywhere)
 * - a backslash: made on FAT or NTFS it separates (unzip, bsdtar), else it is a character (Python, 7-Zip); made elsewhere
 *   the other way about (yauzl takes it for a separator everywhere)
 * - letters and accents that are said to be UTF-8: as they stand, or composed to one character (bsdtar)
 * - a letter and a colon at the beginning: a name, or nothing (bsdtar)
 *
 * What unzip makes of it is the second or the third spelling: see {@link unzipName}.
 */
export function zipName(raw: Buffer, facts: ZipNameFacts): SpelledName {
  const spelled = spell(raw, facts);
  const { path, alternative } = spelled;
  const other = safely(unzipName(raw, facts));
  if (other === undefined || other === path || other === alternative) return spelled;
  return alternative === undefined ? { ...spelled, alternative: other } : { ...spelled, third: other };
}

function spell(raw: Buffer, facts: ZipNameFacts): SpelledName {
  const latin1 = raw.toString('latin1');
  const isPlainText = facts.unicodePath === undefined && isAscii.test(latin1);
  const { path, alternative, oddity }: SpelledName = isPlainText
    ? { path: latin1, alternative: facts.isUtf8 ? undefined : withSigns(latin1) }
    : decode(raw, facts);
  if (!path.includes('\\')) {
    const other = alternative ?? withoutDrive(path);
    return { path, alternative: other === undefined ? undefined : safely(other), oddity };
  }
  const split = path.replaceAll('\\', '/');
  if (facts.isDosMade) {
    const other = alternative === undefined ? path : otherDosName(raw, alternative, facts);
    return { path: split, alternative: safely(other), oddity: 'backslash' };
  }
  return { path, alternative: safely(alternative ?? split) };
}

/**
 * The other spelling of a name whose backslashes separate. Python takes none for a separator; nor does bsdtar in a name with slashes,
 * or with bytes that are no text.
 */
function otherDosName(raw: Buffer, alternative: string, { isUtf8, unicodePath }: ZipNameFacts): string {
  if (unicodePath !== undefined && !isUtf8) return decodeCp437(raw);
  const splits = !alternative.includes('/') && isDecodable(alternative);
  return splits ? alternative.replaceAll('\\', '/') : alternative;
}

/** A name with the signs of CP437 for control characters; `undefined` where it has none. */
function withSigns(name: string): string | undefined {
  if (name.includes('\\')) return undefined;
  const signs = name.replace(controls, (control) => SIGNS[control.charCodeAt(0) - 1] ?? DELETE_SIGN);
  return signs === name ? undefined : signs;
}

/**
 * The name as unzip has it: without control characters, 0xff and a version; made on FAT, converted from a DOS code page, and with
 * backslashes for slashes where it has none of these.
 */
function unzipName(raw: Buffer, { isUtf8, unicodePath, isTakenForOem }: ZipNameFacts): string {
  const given = isUtf8 ? raw : (unicodePath ?? raw);
  const isConverted = isTakenForOem && given === raw;
  const bytes = isConverted ? raw.map((byte) => OEM_TO_ISO[byte - 0x80] ?? byte) : given;
  const text = decodeName(Buffer.from(bytes.filter((byte) => byte !== UNPRINTABLE)));
  const name = isTakenForOem && !text.includes('/') ? text.replaceAll('\\', '/') : text;
  return name.replace(controls, '').replace(version, '');
}

/**
 * The name of a tar entry as other programs have it: without what they take for a drive (bsdtar, node-tar), or with accents and
 * letters composed (bsdtar). `undefined` where all have the same.
 */
export function otherTarName(path: string): string | undefined {
  const name = withoutDrive(path) ?? path;
  return composed(name) ?? (name === path ? undefined : name);
}

/** The name with each accent and its letter as one character (NFC); `undefined` where it is like that. */
function composed(name: string): string | undefined {
  if (isAscii.test(name)) return undefined;
  const nfc = name.normalize('NFC');
  return nfc === name ? undefined : nfc;
}

/** A name without what bsdtar and node-tar take for a drive; `undefined` where it has none, or nothing is left. */
function withoutDrive(name: string): string | undefined {
  const rest = name.replace(drives, '');
  return rest === name || !isSafePath(rest) ? undefined : rest;
}

function decode(raw: Buffer, { isUtf8, unicodePath }: ZipNameFacts): SpelledName {
  const unicode = unicodePath && decodeName(unicodePath);
  if (isUtf8) {
    const path = decodeName(raw);
    return { path, alternative: unicode === undefined || unicode === path ? composed(path) : unicode };
  }
  if (unicode !== undefined) {
    const cp437 = decodeCp437(raw);
    return { path: unicode, alternative: cp437 === unicode ? decodeName(raw) : cp437 };
  }
  return { path: decodeCp437(raw), alternative: decodeName(raw), oddity: 'name-encoding' };
}

function decodeCp437(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) text += byte < 0x80 ? String.fromCharCode(byte) : CP437.charAt(byte - 0x80);
  return text;
}

/** An alternative is a help, and none where it would lead elsewhere. */
function safely(alternative: string): string | undefined {
  return isSafePath(alternative) ? alternative : undefined;
}
