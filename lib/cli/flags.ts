import type { Command } from 'commander';
import type { WrapOptions } from '../extract/options.ts';
import type { ApplyOptions, RetryOptions } from '../options.ts';

/** Options of the API that are not data, or that the command line sets itself. */
type Unflagged = 'manifest' | 'retry' | 'signal' | 'onProgress' | 'onChange';

/** The flags of a pass. A flag that was not given is absent. */
export interface PassFlags extends Omit<ApplyOptions, Unflagged>, RetryOptions {
  /** File that the manifest is read from. */
  manifest?: string;
  /** How paths of the manifest become paths of the tree; at most one of both. */
  stripComponents?: number;
  prefix?: string;
  /** False: look once. */
  retry: boolean;
  json?: boolean;
  verbose?: boolean;
}

/** The flags of an extraction. */
export interface ExtractFlags
  extends Omit<PassFlags, 'manifest'>,
    Pick<WrapOptions, 'publish' | 'existing' | 'durable'> {
  /** File that the manifest is read from instead of the archive, or false for none. */
  manifest?: string | false;
  /** Exit codes of the command that are no failure. */
  exitCodes?: readonly number[];
}

/** Flags that are one option of the API, `retry`. */
const retryFlags = ['retries', 'factor', 'minTimeout', 'maxTimeout', 'maxRetryTime', 'randomize'];

/** Flags that have no option of the same name. */
const ownFlags = ['manifest', 'stripComponents', 'prefix', 'retry', 'json', 'verbose'];

/** Turn flags into options; all but the manifest, which has to be read first. */
export function toApplyOptions(flags: PassFlags): ApplyOptions {
  const given = Object.entries(flags);
  const retry: RetryOptions = Object.fromEntries(given.filter(([name]) => retryFlags.includes(name)));
  const options: ApplyOptions = Object.fromEntries(
    given.filter(([name]) => !retryFlags.includes(name) && !ownFlags.includes(name)),
  );
  return { ...options, retry: flags.retry && retry };
}

/** The flag for an option of the API: `maxRetryTime` and `retry.maxRetryTime` become `--max-retry-time`. */
export function flagOf(option: string): string {
  const name = option.slice(option.lastIndexOf('.') + 1);
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Names of options in the words of the library, where it says what to do. */
const optionWords =
  /\b(?:flattenedLinks|danglingLinks|hardLinks|existing|publish)\b(?= to )|\bretry\.\w+|\bcrossDevice\b|(?<=with )ignore$/g;

/** What the library advises, in flags: `set danglingLinks to 'skip'` becomes `set --dangling-links to skip`. */
export function inFlags(advice: string): string {
  return advice.replace(optionWords, flagOf).replaceAll(/(?<= (?:to|or) )'([\w-]+)'/g, '$1');
}

/** The flag of `apply` alone. */
export const dryRunFlag = flag('-n, --dry-run', 'change nothing, report what would change');
/** The flag of all commands. */
export const crossDeviceFlag = flag('--cross-device', 'enter mount points below the root (default: no)');

/** A flag, as help shows it and as commander takes it: `--retries <n>`, or `--no-retry` for a switch. */
export interface Flag {
  readonly flags: string;
  readonly description: string;
  /** Makes what is meant of its text, and of what was given before. Throws {@link InvalidValueError}. */
  readonly parse: ((text: string, previous: readonly string[] | undefined) => unknown) | undefined;
  /** Names of what must not be given together with it. */
  readonly conflicts: readonly string[];
}

/** A value that a flag does not take. */
class InvalidValueError extends Error {
  /** commander knows it by that. */
  readonly code = 'commander.invalidArgument';
  readonly exitCode = 1;
}

/** Add the flags that all commands share. A flag that is added later goes to the last group. */
export function addPassFlags(command: Command, defaultManifest?: string): Command {
  for (const [heading, flags] of passFlags(defaultManifest)) {
    command.optionsGroup(heading);
    for (const one of flags) addFlag(command, one);
  }
  return command.helpOption('-h, --help', 'print this help');
}

/** Add one flag. */
export function addFlag(command: Command, { flags, description, parse, conflicts }: Flag): Command {
  const option = command.createOption(flags, description).conflicts([...conflicts]);
  if (parse !== undefined) option.argParser<unknown>((text, previous) => parse(text, previous as string[]));
  return command.addOption(option);
}

/** Headings, and the flags below them. */
export function passFlags(defaultManifest = 'none'): [string, Flag[]][] {
  return [
    [
      'What must exist:',
      [
        flag(
          '--manifest <file>',
          `what must exist: an archive (zip, .mcpb, .whl, tar), mtree(5), a RECORD or a list of paths (default: ${defaultManifest})`,
        ),
        flag(
          '--strip-components <n>',
          'remove this many leading directories from each path of the manifest (default: 0)',
          parseCount,
        ),
        flag(
          '--prefix <directory>',
          'the directory of the manifest that is the tree, such as package in npm packages',
          undefined,
          ['stripComponents'],
        ),
        choice(
          '--verify <how>',
          ['size', 'content', 'presence', 'none'],
          'what to check for each path of the manifest: presence: that it exists and has the right type; size: also ' +
            'its size; content: also its digest; none: only entries whose mode is set',
        ),
        choice(
          '--unlisted <how>',
          ['count', 'list', 'error'],
          'entries that the manifest does not name: count: treat them like the others, if the tree is walked; ' +
            'list: leave them as they are, and list them; error: leave them, and report them as unresolved',
        ),
        choice(
          '--flattened-links <how>',
          ['error', 'restore'],
          'files that hold the text of a link of the manifest: error: report them as unresolved; restore: make them ' +
            'links again, if the links stay inside the tree',
        ),
        flag('--discover', 'also visit what the manifest does not name (default without a manifest)'),
        flag('--no-discover', 'visit only what the manifest names (default with a manifest)'),
      ],
    ],
    [
      'Which mode:',
      [
        flag(
          '--mode <mode>',
          'executable: add x where r is set, to directories and to files that the manifest marks executable; ' +
            'manifest: exactly as in the manifest; or octal digits, or symbolic (u+rwX,go-w), as in chmod ' +
            '(default: executable)',
        ),
        flag(
          '--directory-mode <mode>',
          'for directories, in place of --mode: umask (0777 less the umask), octal digits, or symbolic ' +
            '(default: as --mode says)',
        ),
        flag(
          '--executable <glob>',
          'files that get x where r is set, whatever the mode; repeatable',
          collect,
        ),
        flag(
          '--detect',
          'for files of unknown mode, look at the first bytes: #!, ELF and Mach-O programs are executable',
        ),
        flag(
          '--umask <octal>',
          'permission bits that are never granted (default: the umask of the process)',
          parseUmask,
        ),
      ],
    ],
    [
      'What to leave alone:',
      [
        flag('--ignore <glob>', 'do not change these, and do not enter them; repeatable', collect),
        choice(
          '--dangling-links <how>',
          ['defer', 'skip', 'error'],
          'defer: wait for a target that the manifest names; skip: only list the link; error: report it as unresolved',
        ),
        choice(
          '--hard-links <how>',
          ['apply', 'skip', 'error'],
          'files with more than one link: apply: change them; skip: leave them; error: report them as unresolved',
        ),
        crossDeviceFlag,
        flag(
          '--max-entries <n>',
          'if there are more entries than this, stop, and exit 1 (default: no limit)',
          parsePositive,
        ),
      ],
    ],
    [
      'Waiting for entries of the manifest:',
      [
        flag('--retries <n>', 'rounds without progress before giving up (default: 10)', parseWhole),
        flag(
          '--factor <number>',
          'each wait is this many times as long as the one before (default: 2)',
          parseDecimal,
        ),
        flag('--min-timeout <ms>', 'first wait (default: 20)', parseDecimal),
        flag('--max-timeout <ms>', 'longest single wait (default: 1000)', parseDecimal),
        flag('--max-retry-time <ms>', 'all waits together (default: 15000)', parseDecimal),
        flag('--randomize', 'make each wait up to twice as long, at random (default)'),
        flag('--no-randomize', 'make each wait exactly as long as set'),
        flag('--no-retry', 'look once, do not wait', undefined, retryFlags),
      ],
    ],
    [
      'Result:',
      [
        flag('--strict', 'exit 1 if anything is unresolved (default)'),
        flag('--no-strict', 'exit 0 even if something is unresolved'),
        flag('--json', 'print only the report on stdout, as JSON'),
        flag('-v, --verbose', 'print each change as it happens (with --json, on stderr)'),
      ],
    ],
  ];
}

/** A flag; a switch if it has no value. */
export function flag(
  flags: string,
  description: string,
  parse: Flag['parse'] = undefined,
  conflicts: readonly string[] = [],
): Flag {
  return { flags, description, parse, conflicts };
}

/** A flag with a closed list of values, the default first. */
export function choice(flags: string, values: readonly [string, ...string[]], description: string): Flag {
  return flag(flags, `${description} (default: ${values[0]})`, (value) => {
    if (values.includes(value)) return value;
    throw new InvalidValueError(`Allowed: ${values.join(', ')}.`);
  });
}

/** Values of a flag that may be given more than once. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

function parseWhole(text: string): number {
  const value = Number(text);
  if (/^(\d+|Infinity)$/.test(text) && (Number.isSafeInteger(value) || text === 'Infinity')) return value;
  throw new InvalidValueError('Allowed: a whole number, 0 or more.');
}

function parsePositive(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && Number.isSafeInteger(value)) return value;
  throw new InvalidValueError('Allowed: a whole number, 1 or more.');
}

/** Exit codes that are no failure: `0,1`. */
export function parseExitCodes(text: string): number[] {
  const codes = text.split(',').map((part) => (/^\d{1,3}$/.test(part.trim()) ? Number(part) : Number.NaN));
  if (codes.every((code) => code <= 255)) return codes;
  throw new InvalidValueError('Allowed: whole numbers from 0 to 255, with commas between them, such as 0,1.');
}

function parseCount(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidValueError('Allowed: a whole number, 0 or more.');
}

function parseDecimal(text: string): number {
  if (/^(\d+(\.\d+)?|Infinity)$/.test(text)) return Number(text);
  throw new InvalidValueError('Allowed: a number, 0 or more, such as 250 or 1.5.');
}

function parseUmask(text: string): string {
  // As digits: these are octal for sure.
  if (/^(0o)?0*[0-7]{1,3}$/.test(text)) return text.replace(/^(0o)?0*(?=.)/, '');
  throw new InvalidValueError('Allowed: octal digits, 0 to 777.');
}
