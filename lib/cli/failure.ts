import { CommanderError } from 'commander';
import { ManifestError } from '../errors.ts';
import { flagOf } from './flags.ts';
import { writeError } from './output.ts';
import { printableText } from './printable.ts';

/** Print on stderr why the command failed, and return the exit code for it. */
export function reportFailure(error: unknown): number {
  // commander has already printed what it refuses; a help text is not a failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const usage = describeUsageError(error);
  if (usage !== undefined) {
    writeError(`error: ${printableText(usage)}\n`);
    return isPastBound(error) ? 1 : 2;
  }
  if (isExtractorFailure(error)) {
    writeError(`error: ${printableText(error.message)}\n`);
    return 1;
  }
  const defect = error instanceof Error ? (error.stack ?? error.message) : String(error);
  writeError(`error: ${defect.split('\n').map(printableText).join('\n')}\n`);
  return 1;
}

/** One line for what the caller can fix; `undefined` for a defect of permwalk. */
function describeUsageError(error: unknown): string | undefined {
  if (error instanceof ManifestError) return error.message;
  if (error instanceof TypeError || error instanceof RangeError) return nameFlag(error.message);
  return isSystemError(error) ? error.message : undefined;
}

/** Messages of the API begin with the option (`maxEntries: …`, `retry.factor: …`) or the root. Name the flag instead. */
function nameFlag(message: string): string | undefined {
  if (/^root\b/.test(message)) return message;
  const [prefix, option] = /^(?:option )?([\w.]+)(?=: )/.exec(message) ?? [];
  return prefix && option && `option ${flagOf(option)}${message.slice(prefix.length)}`;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

/** True if the command of `permwalk extract` failed. Its own output is on stderr already. */
function isExtractorFailure(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_PERMWALK_EXTRACTOR';
}

/** True for refusals that come in the middle of a pass, after something may have been changed. */
function isPastBound(error: unknown): boolean {
  const codes: readonly unknown[] = ['ERR_PERMWALK_MAX_ENTRIES', 'ERR_PERMWALK_GLOB_STEPS'];
  return error instanceof RangeError && 'code' in error && codes.includes(error.code);
}
