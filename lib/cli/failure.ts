import type { CommanderError } from 'commander';
import { ManifestError } from '../errors.ts';
import { quoted } from '../printable.ts';
import { flagOf, inFlags } from './flags.ts';
import { writeError, writeOut } from './output.ts';
import { printableJson, printableText } from './printable.ts';

/** What the command was called with, or what it called, failed: one line for whoever called it. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly code: string = 'ERR_PERMWALK_EXTRACTOR';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** How a run ended that has no report: in words, and for a program. */
interface Failure {
  readonly exitCode: number;
  /** What is printed on stderr; `undefined` where that is there already. */
  readonly text: string | undefined;
  readonly error: { readonly name: string; readonly code?: string; readonly message: string };
}

/**
 * Print on stderr why the command failed, and return the exit code for it.
 *
 * @param isJson whether a program waits for a document on stdout
 */
export function reportFailure(error: unknown, isJson: boolean): number {
  // A help text is no failure.
  if (isCommanderError(error) && error.exitCode === 0) return 0;
  const failure = describe(error);
  if (failure.text !== undefined) writeError(`error: ${failure.text}\n`);
  if (isJson) writeOut(`${printableJson({ ok: false, error: failure.error })}\n`);
  return failure.exitCode;
}

function describe(error: unknown): Failure {
  if (isCommanderError(error)) {
    // commander has printed it.
    const { code, message } = error;
    return {
      exitCode: 2,
      text: undefined,
      error: { name: 'UsageError', code, message: message.replace(/^error: /, '') },
    };
  }
  const { name, code } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { name: 'Error', code: undefined };
  const named = { name, ...(code !== undefined && { code: String(code) }) };
  const message = describeForCaller(error);
  if (message !== undefined) {
    return { exitCode: exitCodeOf(error), text: printableText(message), error: { ...named, message } };
  }
  const defect = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const lines = defect.split('\n').map(printableText);
  return { exitCode: 1, text: lines.join('\n'), error: { ...named, message: lines[0] ?? '' } };
}

/** One line for what the caller can do something about; `undefined` for a defect of permwalk. */
function describeForCaller(error: unknown): string | undefined {
  if (error instanceof ManifestError || error instanceof CommandFailure) return error.message;
  if (error instanceof TypeError || error instanceof RangeError) return nameFlag(error.message);
  if (!isSystemError(error)) return undefined;
  const { code, syscall, path } = error;
  if (code === 'ENOENT' && syscall === 'realpath')
    return `ENOENT: the root ${quoted(path ?? '')} does not exist`;
  return inFlags(error.message);
}

/** 2: nothing was begun. 1: it failed on the way, or the destination is not free. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommandFailure) return error.exitCode;
  const { code } = error as NodeJS.ErrnoException;
  const onTheWay = ['ERR_PERMWALK_MAX_ENTRIES', 'ERR_PERMWALK_GLOB_STEPS', 'EEXIST'];
  return onTheWay.includes(code ?? '') ? 1 : 2;
}

/** Messages of the API begin with the option (`maxEntries: …`, `retry.factor: …`) or an argument. Name the flag instead. */
function nameFlag(message: string): string | undefined {
  if (/^(?:root|destination|archive|source)\b/.test(message)) return message;
  const [option] = /^[\w.]+(?=: )/.exec(message) ?? [];
  return option && `option ${flagOf(option)}${message.slice(option.length)}`;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

/** By its code: most runs load no commander. */
export function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('commander.');
}
