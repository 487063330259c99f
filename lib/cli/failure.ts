import { CommanderError } from 'commander';
import { ManifestError } from '../errors.ts';
import { flagOf } from './flags.ts';
import { writeError } from './output.ts';
import { printableText } from './printable.ts';

/** Say on stderr what kept the command from its work, and return the exit code that it makes. */
export function reportFailure(error: unknown): number {
  // What commander refuses it has printed itself; a help text is no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const usage = describeUsageError(error);
  if (usage !== undefined) {
    writeError(`error: ${printableText(usage)}\n`);
    return isPastMaxEntries(error) ? 1 : 2;
  }
  if (isExtractorFailure(error)) {
    writeError(`error: ${printableText(error.message)}\n`);
    return 1;
  }
  const defect = error instanceof Error ? (error.stack ?? error.message) : String(error);
  writeError(`error: ${defect.split('\n').map(printableText).join('\n')}\n`);
  return 1;
}

/** One line for what the caller can put right, `undefined` for a defect of ours. */
function describeUsageError(error: unknown): string | undefined {
  if (error instanceof ManifestError) return error.message;
  if (error instanceof TypeError || error instanceof RangeError) return nameFlag(error.message);
  return isSystemError(error) ? error.message : undefined;
}

/** The API begins with the option (`maxEntries: …`, `retry.factor: …`) or the root; here an option is a flag. */
function nameFlag(message: string): string | undefined {
  if (/^root\b/.test(message)) return message;
  const [prefix, option] = /^(?:option )?([\w.]+)(?=: )/.exec(message) ?? [];
  return prefix && option && `option ${flagOf(option)}${message.slice(prefix.length)}`;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

/** The command of `permwalk extract` ended badly; what it had to say stands on stderr already. */
function isExtractorFailure(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_PERMWALK_EXTRACTOR';
}

/** The one refusal that comes in the middle of a pass, when something may have been changed. */
function isPastMaxEntries(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_PERMWALK_MAX_ENTRIES';
}
