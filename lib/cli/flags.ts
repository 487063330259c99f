import { type Command, InvalidArgumentError, Option } from 'commander';
import type { WrapOptions } from '../extract/options.ts';
import type { ApplyOptions, RetryOptions } from '../options.ts';

/** The options of the API that are no data, or that the command line decides on its own. */
type Unflagged = 'manifest' | 'retry' | 'signal' | 'onProgress' | 'onChange';

/** Everything that the flags of a pass say. What was not given is not there. */
export interface PassFlags extends Omit<ApplyOptions, Unflagged>, RetryOptions {
  /** File that the manifest is read from. */
  manifest?: string;
  /** False for one look only. */
  retry: boolean;
  json?: boolean;
  verbose?: boolean;
}

/** Everything that the flags of an extraction say. */
export interface ExtractFlags
  extends Omit<PassFlags, 'manifest'>,
    Pick<WrapOptions, 'publish' | 'existing' | 'durable'> {
  /** File that the manifest is read from in place of the archive, or false for none. */
  manifest?: string | false;
}

/** Flags that the API takes together, as its option `retry`. */
const retryFlags = ['retries', 'factor', 'minTimeout', 'maxTimeout', 'maxRetryTime', 'randomize'];

/** Flags that are no option of the API as they stand. */
const ownFlags = ['manifest', 'retry', 'json', 'verbose'];

/** The options that the flags stand for, the manifest apart: it must be read first. */
export function toApplyOptions(flags: PassFlags): ApplyOptions {
  const given = Object.entries(flags);
  const retry: RetryOptions = Object.fromEntries(given.filter(([name]) => retryFlags.includes(name)));
  const options: ApplyOptions = Object.fromEntries(
    given.filter(([name]) => !retryFlags.includes(name) && !ownFlags.includes(name)),
  );
  return { ...options, retry: flags.retry && retry };
}

/** The flag that sets an option of the API: `maxRetryTime` and `retry.maxRetryTime` make `--max-retry-time`. */
export function flagOf(option: string): string {
  const name = option.slice(option.lastIndexOf('.') + 1);
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Add every flag that `apply` and `check` share. A flag that is added afterwards stands in the last group. */
export function addPassFlags(command: Command): Command {
  for (const [heading, options] of passFlags()) {
    command.optionsGroup(heading);
    for (const option of options) command.addOption(option);
  }
  return command.helpOption('-h, --help', 'print this help');
}

function passFlags(): [string, Option[]][] {
  return [
    [
      'What must be there:',
      [
        flag(
          '--manifest <file>',
          'what must exist: archive (zip, .mcpb, .whl, tar), RECORD or list of paths (default: none)',
        ),
        choice(
          '--verify <how>',
          ['size', 'presence', 'none'],
          'what is checked of each path in it: size, presence or none',
        ),
        flag(
          '--discover',
          'visit what the manifest does not name, too (default: where there is no manifest)',
        ),
        flag('--no-discover', 'visit nothing else (default: where there is a manifest)'),
      ],
    ],
    [
      'Which mode:',
      [
        flag(
          '--mode <mode>',
          'executable: add x where there is r to what the manifest or --executable says; manifest: exactly ' +
            'as archived; octal digits, or symbolic (u+rwX,go-w), as in chmod (default: executable)',
        ),
        flag('--executable <glob>', 'files that in every mode get x where there is r; repeatable').argParser(
          collect,
        ),
        flag(
          '--detect',
          'of files whose mode the manifest does not know, those are executable whose first bytes say so: ' +
            '#!, ELF, Mach-O',
        ),
        flag('--umask <octal>', "bits that are not given (default: the process's)").argParser(parseUmask),
      ],
    ],
    [
      'What is left alone:',
      [
        flag('--ignore <glob>', 'not touched and not entered; repeatable').argParser(collect),
        choice(
          '--dangling-links <how>',
          ['defer', 'skip', 'error'],
          'defer: wait for a target that the manifest names; skip: only list the link; error: unresolved',
        ),
        choice(
          '--hard-links <how>',
          ['apply', 'skip', 'error'],
          'files with more than one name: apply, skip or error',
        ),
        flag('--cross-device', 'enter mount points below the root (default: no)'),
        flag('--max-entries <n>', 'past so many, give up and exit 1 (default: no bound)').argParser(
          parseWhole,
        ),
      ],
    ],
    [
      'Waiting for what the manifest promises:',
      [
        flag('--retries <n>', 'rounds without progress (default: 10)').argParser(parseWhole),
        flag('--factor <number>', 'from one wait to the next (default: 2)').argParser(parseDecimal),
        flag('--min-timeout <ms>', 'first wait (default: 20)').argParser(parseDecimal),
        flag('--max-timeout <ms>', 'longest single wait (default: 1000)').argParser(parseDecimal),
        flag('--max-retry-time <ms>', 'all waiting together (default: 15000)').argParser(parseDecimal),
        flag('--randomize', 'up to twice each wait, at random (default)'),
        flag('--no-randomize', 'each wait exactly as long as it is set'),
        flag('--no-retry', 'look once, wait for nothing').conflicts(retryFlags),
      ],
    ],
    [
      'Result:',
      [
        flag('--strict', 'exit 1 where anything is unresolved (default)'),
        flag('--no-strict', 'report it, and exit 0 all the same'),
        flag('--json', 'the report alone on stdout, as JSON'),
        flag('-v, --verbose', 'each change as it happens (with --json on stderr)'),
      ],
    ],
  ];
}

/** A flag; without a value it is a switch. */
export function flag(flags: string, description: string): Option {
  return new Option(flags, description);
}

/** A flag with a closed list of values, the default first. */
export function choice(flags: string, values: readonly [string, ...string[]], description: string): Option {
  return flag(flags, `${description} (default: ${values[0]})`).argParser((value) => {
    if (values.includes(value)) return value;
    throw new InvalidArgumentError(`Taken: ${values.join(', ')}.`);
  });
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

function parseWhole(text: string): number {
  const value = Number(text);
  if (/^(\d+|Infinity)$/.test(text) && (Number.isSafeInteger(value) || text === 'Infinity')) return value;
  throw new InvalidArgumentError('Taken: a whole number from 0.');
}

function parseDecimal(text: string): number {
  if (/^(\d+(\.\d+)?|Infinity)$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Taken: a number from 0, such as 250 or 1.5.');
}

function parseUmask(text: string): number {
  if (/^(0o)?0*[0-7]{1,3}$/.test(text)) return Number.parseInt(text.replace('0o', ''), 8);
  throw new InvalidArgumentError('Taken: octal digits from 0 to 777.');
}
