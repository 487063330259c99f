import { quoted } from '../printable.ts';

/**
 * Which mode an entry gets: its present permission bits with setuid, setgid and sticky (`0o0000` to `0o7777`),
 * whether it is a directory, the manifest's mode where one is known (type bits may be set), and whether an
 * `executable` glob matched it. Returns the target, `0o0000` to `0o7777`, which is `mode` itself where nothing
 * changes. It throws nothing and allocates nothing.
 */
export type ModeRule = (
  mode: number,
  directory: boolean,
  manifestMode: number | undefined,
  matched: boolean,
) => number;

/** A {@link ModeRule} before the `executable` globs have their say. */
type BaseRule = (mode: number, directory: boolean, manifestMode: number | undefined) => number;

/** One operator of a symbolic mode with its permissions; all that can be masked in advance is. */
interface Action {
  operator: string;
  /** Permission bits that the action may set or remove. */
  reach: number;
  /** Bits that the letters r, w and x name. */
  named: number;
  /** Bits that the letter X names. */
  namedIfExecutable: number;
  /** Right shift that brings the class to copy from to the lowest three bits. */
  copiedShift: number | undefined;
  /** Bits that `=` removes before it sets the others. */
  clearedOfFile: number;
  clearedOfDirectory: number;
}

const ALL_BITS = 0o7777;
const ALL_PERMISSIONS = 0o777;
const ALL_READ = 0o444;
const ALL_EXECUTE = 0o111;
const SETUID_SETGID = 0o6000;
const SPECIAL_BITS = 0o7000;
/** What a program leaves that knows no modes and no umask. */
const WORLD_WRITABLE = 0o666;

/** GNU chmod counts setuid to u, setgid to g and sticky to o. */
const CLASS_BITS: Record<string, number> = { u: 0o4700, g: 0o2070, o: 0o1007, a: ALL_BITS };
const CLASS_SHIFT: Record<string, number> = { u: 6, g: 3, o: 0 };
const PERMISSION_BITS: Record<string, number> = { r: ALL_READ, w: 0o222, x: ALL_EXECUTE };

/** As much of a clause as follows POSIX chmod's grammar without s and t: its classes, then its actions. */
const CLAUSE = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxX]*))*)/;
const ACTION = /([-+=])([^-+=]*)/g;

/**
 * Compiles the option `mode` to a rule; all parsing and all refusals happen here.
 *
 * - `'executable'`: x for every class that has r, masked by `umask`, for directories, for files that the
 *   manifest marks executable (any x bit), and for files that are `matched`. No bit is ever removed, but for one case: a
 *   file of mode 0666 that gets x was made by a program that knows no modes, and gets `0o777 & ~umask`, as pip has it.
 * - `'manifest'`: the manifest's `mode & 0o777 & ~umask`; nothing changes where it is unknown.
 * - a number, `0` to `0o777`, or a string of one to four octal digits: that mode for files; directories also
 *   get x for every class that has r in it.
 * - any other string: POSIX chmod's symbolic mode, without `s` and `t`. Clauses without a class obey `umask`.
 *
 * Special bits that are present are treated as GNU chmod treats them: a numeric or manifest mode removes all
 * of them from a file and only sticky from a directory, and `=` does so for the classes that it is for. Those that
 * the manifest's mode has, too, stay.
 *
 * In every mode, a file that is `matched` then also gets x for every class that has r, masked by `umask`.
 *
 * @param mode the option's value.
 * @param umask bits that are not given, `0` to `0o777`.
 * @param directoryMode the option's value: what directories get in place of what `mode` says of them.
 * @throws {TypeError} where `mode` is neither a number nor a string.
 * @throws {RangeError} where `mode` is not one of the above, or asks for setuid, setgid or sticky. The message
 * names the value and the reason; positions in it count from 1.
 */
export function compileMode(
  mode: number | string,
  umask: number,
  directoryMode?: number | string | undefined,
): ModeRule {
  const rule = compileBaseRule(mode, umask);
  const directoryRule = directoryMode === undefined ? rule : compileDirectoryRule(directoryMode, umask);
  const widen = mode === 'executable' ? makeExecutable : addExecutable;
  return (present, directory, manifestMode, matched) => {
    const target = (directory ? directoryRule : rule)(present, directory, manifestMode);
    return matched && !directory ? widen(target, umask) : target;
  };
}

/**
 * `mode` (`0o0000` to `0o7777`) with x for every class that has r, except where `umask` has that x. Removes
 * no bit and throws nothing.
 */
export function addExecutable(mode: number, umask: number): number {
  return mode | (((mode & ALL_READ) >> 2) & ~umask);
}

/** A file with x: see {@link compileMode}. */
function makeExecutable(mode: number, umask: number): number {
  const target = addExecutable(mode, umask);
  return mode === WORLD_WRITABLE && target !== mode ? ALL_PERMISSIONS & ~umask : target;
}

function compileBaseRule(mode: number | string, umask: number): BaseRule {
  if (typeof mode === 'number') return numericRule(checkNumber(mode));
  if (typeof mode !== 'string') throw wrongType(mode);
  if (mode === 'executable') return executableRule(umask);
  if (mode === 'manifest') return manifestRule(umask);
  if (mode === '') throw refusal(mode, "is empty; expected 'executable', 'manifest' or a mode of chmod");
  if (/^\d/.test(mode)) return numericRule(parseOctal(mode));
  return symbolicRule(parseSymbolic(mode, umask));
}

/** A rule for directories alone. A number is what it says: no x is added to it. */
function compileDirectoryRule(mode: number | string, umask: number): BaseRule {
  if (mode === 'umask') return (present) => replacePermissions(present, true, ALL_PERMISSIONS & ~umask);
  if (mode === 'executable' || mode === 'manifest') {
    const problem = "is for files and directories: set mode; expected 'umask' or a mode of chmod";
    throw inDirectoryMode(refusal(mode, problem));
  }
  try {
    const rule = compileBaseRule(mode, umask);
    if (typeof mode !== 'number' && !/^\d/.test(mode)) return rule;
    const permissions = typeof mode === 'number' ? mode : Number.parseInt(mode, 8);
    return (present) => replacePermissions(present, true, permissions);
  } catch (error) {
    throw inDirectoryMode(error as Error);
  }
}

/** A refusal that names the other option. */
function inDirectoryMode(error: Error): Error {
  const words = error.message.replace("'executable', 'manifest'", "'umask'");
  error.message = words.replace(/^mode/, 'directoryMode');
  return error;
}

function executableRule(umask: number): BaseRule {
  return (mode, directory, manifestMode = 0) => {
    if (directory) return addExecutable(mode, umask);
    return (manifestMode & ALL_EXECUTE) !== 0 ? makeExecutable(mode, umask) : mode;
  };
}

function manifestRule(umask: number): BaseRule {
  return (mode, directory, manifestMode) =>
    manifestMode === undefined
      ? mode
      : replacePermissions(mode, directory, manifestMode & ALL_PERMISSIONS & ~umask) |
        (mode & manifestMode & SPECIAL_BITS);
}

function numericRule(fileMode: number): BaseRule {
  const directoryMode = addExecutable(fileMode, 0);
  return (mode, directory) => replacePermissions(mode, directory, directory ? directoryMode : fileMode);
}

/** What GNU chmod does with a numeric mode: of the special bits, a directory keeps setuid and setgid. */
function replacePermissions(mode: number, directory: boolean, permissions: number): number {
  return directory ? (mode & SETUID_SETGID) | permissions : permissions;
}

function symbolicRule(actions: readonly Action[]): BaseRule {
  return (mode, directory) => {
    let result = mode;
    for (const action of actions) result = applyAction(action, result, directory);
    return result;
  };
}

function applyAction(action: Action, mode: number, directory: boolean): number {
  let bits = action.named;
  if (directory || (mode & ALL_EXECUTE) !== 0) bits |= action.namedIfExecutable;
  if (action.copiedShift !== undefined) bits |= inAllClasses(mode >> action.copiedShift) & action.reach;
  if (action.operator === '+') return mode | bits;
  if (action.operator === '-') return mode & ~bits;
  return (mode & ~(directory ? action.clearedOfDirectory : action.clearedOfFile)) | bits;
}

/** The lowest three bits, repeated for u, g and o. */
function inAllClasses(bits: number): number {
  return (bits & 0o7) * 0o111;
}

function parseSymbolic(text: string, umask: number): Action[] {
  const actions: Action[] = [];
  let start = 0;
  for (const clause of text.split(',')) {
    const [understood = '', classes = '', operations = ''] = CLAUSE.exec(clause) ?? [];
    if (operations === '' || understood !== clause)
      throw unexpected(text, start + understood.length, understood);
    for (const [, operator = '', permissions = ''] of operations.matchAll(ACTION)) {
      actions.push(compileAction(classes, operator, permissions, umask));
    }
    start += clause.length + 1;
  }
  return actions;
}

function compileAction(classes: string, operator: string, permissions: string, umask: number): Action {
  const anonymous = classes === '';
  const affected = anonymous ? ALL_BITS : unionOf(classes, CLASS_BITS);
  const reach = affected & ALL_PERMISSIONS & (anonymous ? ~umask : ALL_BITS);
  return {
    operator,
    reach,
    named: unionOf(permissions, PERMISSION_BITS) & reach,
    namedIfExecutable: permissions.includes('X') ? reach & ALL_EXECUTE : 0,
    copiedShift: CLASS_SHIFT[permissions],
    // umask limits what `=` sets, not what it removes.
    clearedOfFile: affected,
    clearedOfDirectory: affected & ~SETUID_SETGID,
  };
}

function unionOf(letters: string, bitsOf: Record<string, number>): number {
  let bits = 0;
  for (const letter of letters) bits |= bitsOf[letter] ?? 0;
  return bits;
}

function checkNumber(mode: number): number {
  if (!Number.isInteger(mode)) throw refusal(mode, 'is not an integer');
  if (mode >= 0 && mode <= ALL_PERMISSIONS) return mode;
  // 644 for 0o644 is the likeliest mistake.
  const hint = /^[0-7]{3}$/.test(String(mode)) ? `; did you mean 0o${mode}?` : '';
  if (mode < 0 || mode > ALL_BITS) throw refusal(mode, `is not from 0 to 0o777${hint}`);
  throw refusal(mode, `is 0o${mode.toString(8)}: setuid, setgid and sticky are never added${hint}`);
}

function parseOctal(text: string): number {
  const wrong = text.search(/[^0-7]/);
  if (wrong !== -1) {
    const digits = /^0o([0-7]{1,4})$/i.exec(text)?.[1];
    const hint = digits === undefined ? '' : `; did you mean "${digits}"?`;
    throw refusal(text, `${found(text, wrong)}; expected octal digits only${hint}`);
  }
  // GNU chmod takes a fifth digit as the wish to remove setuid and setgid from directories too.
  if (text.length > 4) throw refusal(text, 'has more than four octal digits');
  const mode = Number.parseInt(text, 8);
  if (mode > ALL_PERMISSIONS)
    throw refusal(text, 'has a fourth digit: setuid, setgid and sticky are never added');
  return mode;
}

/** The refusal of what stands at index `at`; `understood` is what its clause has before that. */
function unexpected(text: string, at: number, understood: string): RangeError {
  const problem = found(text, at);
  if (/[st]/.test(text.charAt(at))) {
    return refusal(text, `${problem}; setuid, setgid and sticky are never added, nor removed by name`);
  }
  if (/\d/.test(text.charAt(at))) {
    return refusal(text, `${problem}; octal digits stand alone, without classes and operators`);
  }
  const words = at === 0 ? "'executable', 'manifest', octal digits, " : '';
  return refusal(text, `${problem}; expected ${words}${expectedAfter(understood)}`);
}

function expectedAfter(understood: string): string {
  if (understood === '') return 'a class (u, g, o, a) or an operator (+, -, =)';
  if (/^[ugoa]+$/.test(understood)) return 'another class (u, g, o, a) or an operator (+, -, =)';
  const next = 'an operator (+, -, =), a comma or the end';
  if (/[-+=]$/.test(understood)) return `permissions (r, w, x, X), a class to copy (u, g, o), ${next}`;
  return /[ugo]$/.test(understood) ? next : `permissions (r, w, x, X), ${next}`;
}

/** Says which character stands at index `at`, or that the text ends there. */
function found(text: string, at: number): string {
  const codePoint = text.codePointAt(at);
  if (codePoint === undefined) return `ends at position ${at + 1}`;
  return `has ${quoted(String.fromCodePoint(codePoint))} at position ${at + 1}`;
}

function refusal(mode: number | string, problem: string): RangeError {
  return new RangeError(`mode: ${typeof mode === 'string' ? quoted(mode) : mode} ${problem}`);
}

function wrongType(mode: unknown): TypeError {
  const isObject = typeof mode === 'object' && mode !== null;
  return new TypeError(`mode: ${isObject ? 'an object' : String(mode)} is not a number or a string`);
}
