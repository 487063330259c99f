import { delimiter, join } from 'node:path';
import { fs } from '../directory/fs.ts';
import { quoted } from '../printable.ts';
import { CommandFailure } from './failure.ts';

/** What Windows runs without a shell, in the order in which it looks for it, and what cmd.exe has to run. */
const PROGRAMS = ['.com', '.exe'];
const BATCH_FILES = ['.bat', '.cmd'];
/** Characters that mean nothing to cmd.exe where they stand outside of quotation marks. */
const harmless = /^[\w#$*+\-./:?@\\\u00a1-\uffff]+$/;
/** Characters that cmd.exe lets nobody write: they end the quotation, or the line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const unwritable = /["\u0000-\u001f\u007f-\u009f]/;
/** As many characters as cmd.exe takes in a line. */
const MAX_LINE = 8191;
/** Variables that cmd.exe has without their being in the environment. */
const dynamic = [
  'cd',
  'cmdcmdline',
  'cmdextversion',
  'date',
  'errorlevel',
  'highestnumanodenumber',
  'random',
  'time',
];

/** A program, and what is put behind it as it is. */
interface Start {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * How to start a batch file: by cmd.exe, for nothing else runs it, and Node refuses to. What cmd.exe would take for more than text is
 * quoted, and what cannot be quoted is refused, so that no file name becomes a command.
 *
 * @param command as the caller names it: a path, or a name to look for in PATH, with or without its extension
 * @returns `undefined` where it is no batch file
 * @throws CommandFailure for an argument that cannot be quoted
 */
export function startOfBatchFile(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Start | undefined {
  const file = findBatchFile(command, environment);
  if (file === undefined) return undefined;
  const line = [`"${file}"`, ...args.map(quote)].join(' ');
  for (const word of [file, ...args]) refuseUnwritable(command, word);
  refuseVariables(command, line, environment);
  if (line.length > MAX_LINE) throw refused(command, line, `more than ${MAX_LINE} characters`);
  // Not COMSPEC: another shell has other rules.
  const shell = join(environment.SystemRoot ?? 'C:\\Windows', 'System32', 'cmd.exe');
  // No AutoRun, quotation marks as they are, `!` as it is; the pair around the whole line is what /s takes away.
  return { program: shell, args: ['/d', '/s', '/e:on', '/v:off', '/c', `"${line}"`] };
}

/** A word for cmd.exe, and for the program behind it, that takes a backslash before a quotation mark for its own. */
function quote(word: string): string {
  return harmless.test(word) && !word.endsWith('\\') ? word : `"${word.replace(/\\+$/, '$&$&')}"`;
}

function refuseUnwritable(command: string, word: string): void {
  const [character] = unwritable.exec(word) ?? [];
  if (character === undefined) return;
  throw refused(command, word, `${quoted(character)} in it`);
}

/** Even between quotation marks cmd.exe puts the value of a variable in the place of its name. */
function refuseVariables(command: string, line: string, environment: NodeJS.ProcessEnv): void {
  const known = new Set([...dynamic, ...Object.keys(environment).map((name) => name.toLowerCase())]);
  for (const between of line.split('%').slice(1, -1)) {
    const [name = ''] = between.toLowerCase().split(':');
    if (known.has(name) || name.startsWith('=')) throw refused(command, line, `%${between}% in it`);
  }
}

function refused(command: string, word: string, what: string): CommandFailure {
  const reason = `cannot pass ${quoted(word)} to the batch file ${quoted(command)}: cmd.exe would not take ${what} as text`;
  return new CommandFailure(`${reason}. Rename that file, or name the program that the batch file starts`, 2);
}

/** Path of the batch file that a command names; `undefined` where it names a program, or nothing. */
function findBatchFile(command: string, environment: NodeJS.ProcessEnv): string | undefined {
  const isPath = /[\\/:]/.test(command);
  // PATH alone: who works among files of others would start theirs.
  const inPath = (environment.Path ?? environment.PATH ?? '').replaceAll('"', '').split(delimiter);
  const folders = isPath ? [''] : inPath.filter(Boolean);
  for (const folder of folders) {
    for (const extension of ['', ...PROGRAMS, ...BATCH_FILES]) {
      const path = folder === '' ? command + extension : join(folder, command + extension);
      const lower = path.toLowerCase();
      const isBatchFile = BATCH_FILES.some((each) => lower.endsWith(each));
      const isRunnable = isBatchFile || PROGRAMS.some((each) => lower.endsWith(each));
      if (isRunnable && fs.statSync(path, { throwIfNoEntry: false })?.isFile())
        return isBatchFile ? path : undefined;
    }
  }
  return undefined;
}
