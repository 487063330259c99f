import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { errorCode } from '../directory/errors.ts';
import { isWindows } from '../directory/platform.ts';
import type { WrapOptions } from '../extract/options.ts';
import { wrapExtractor } from '../extract/wrap.ts';
import { quoted } from '../printable.ts';
import { startOfBatchFile } from './batch-file.ts';
import { CommandFailure } from './failure.ts';
import type { ExtractFlags } from './flags.ts';
import { passToError } from './output.ts';
import { runPass } from './pass.ts';

/**
 * Run one extraction, from flags to exit code, and print everything.
 *
 * @param extractor the command and its arguments; `{archive}` and `{destination}` in them are replaced
 * @throws whatever keeps it from starting
 */
export async function runExtraction(
  archive: string,
  destination: string,
  extractor: readonly string[],
  { publish, existing, durable, exitCodes = [0], ...flags }: ExtractFlags,
): Promise<number> {
  checkCommand(extractor);
  // What cannot be handed on is refused before anything is made.
  commandFor(extractor, archive, destination);
  const { manifest, ...passFlags } = flags;
  const isMapped = passFlags.stripComponents !== undefined || passFlags.prefix !== undefined;
  // wrapExtractor reads the archive as it is.
  const source = manifest ?? (isMapped ? archive : false);
  const given = source === false ? passFlags : { ...passFlags, manifest: source };
  let isStarted = false;
  return runPass(destination, given, {
    // If nothing was started, the existing tree was verified. In place, the tree is what the command left.
    leftAs: () => (publish === 'in-place' || !isStarted ? undefined : 'nothing was published'),
    act: async (options, say) => {
      const wrapOptions: WrapOptions<string> = { ...options, publish, existing, durable };
      if (manifest === false) wrapOptions.manifest = false;
      const run = async (path: string, directory: string) => {
        isStarted = true;
        say(`extracting: ${extractor[0]} is running`);
        const consequence = publish === 'in-place' ? '' : ': nothing was published';
        await completion(
          start(extractor, path, directory, options.signal),
          extractor,
          exitCodes,
          consequence,
        );
        say('extracted');
      };
      return wrapExtractor(run, wrapOptions)(archive, destination);
    },
  });
}

/** Refuse a command that cannot be one, before anything is touched. */
function checkCommand(extractor: readonly string[]): void {
  const [command = ''] = extractor;
  if (extractor.length === 1 && isQuotedWhole(command)) throw quotedWhole(command);
  if (command === '' || !extractor.some((part) => part.includes('{destination}'))) {
    const hint = isWindows ? "; in PowerShell, write it in quotation marks: '{destination}'" : '';
    throw new CommandFailure(
      `the command must contain {destination}, the directory that it writes to${hint}`,
      2,
    );
  }
  const quotation = isWindows
    ? extractor.find((part) => /^'.*\{(?:archive|destination)\}.*'$/.test(part))
    : undefined;
  if (quotation !== undefined) {
    const reason = `cmd.exe passes on the quotation marks of ${quotation}`;
    throw new CommandFailure(`${reason}: write ${quotation.replaceAll("'", '"')}`, 2);
  }
}

/** A command with its arguments as one word: no program is called so. */
function isQuotedWhole(command: string): boolean {
  return /\s/.test(command) && /\{(?:archive|destination)\}/.test(command);
}

function quotedWhole(command: string): CommandFailure {
  const words = `the command ${quoted(command)} is one word: leave out the quotation marks around it`;
  return new CommandFailure(`${words}: -- ${command}`, 2);
}

/** The command with its placeholders filled in, as spawn takes it. */
function commandFor(
  extractor: readonly string[],
  archive: string,
  destination: string,
): { program: string; args: readonly string[]; isVerbatim: boolean } {
  const values: Record<string, string> = { '{archive}': archive, '{destination}': destination };
  const fill = (part: string) => part.replace(/\{archive\}|\{destination\}/g, (name) => values[name] ?? name);
  const [program = '', ...args] = extractor.map(fill);
  const batchFile = isWindows ? startOfBatchFile(program, args) : undefined;
  return { program, args, ...batchFile, isVerbatim: batchFile !== undefined };
}

/** Start the extractor. Its output goes to stderr, because stdout is for the report. */
function start(
  extractor: readonly string[],
  archive: string,
  destination: string,
  signal: AbortSignal | undefined,
): ChildProcess {
  const { program, args, isVerbatim } = commandFor(extractor, archive, destination);
  const child = spawned(program, args, isVerbatim);
  passToError(child.stdout);
  passToError(child.stderr);
  signal?.addEventListener('abort', () => child.kill(), { once: true });
  return child;
}

/** Errors that Node throws, and those that it emits, are told alike. */
function spawned(
  program: string,
  args: readonly string[],
  windowsVerbatimArguments: boolean,
): ChildProcessByStdio<null, Readable, Readable> {
  try {
    return spawn(program, args, { stdio: ['inherit', 'pipe', 'pipe'], windowsVerbatimArguments });
  } catch (error) {
    throw error instanceof Error ? cannotRun(program, error) : error;
  }
}

/** Wait for the command, and say how it failed. What it wrote to stderr is there already. */
async function completion(
  child: ChildProcess,
  extractor: readonly string[],
  exitCodes: readonly number[],
  consequence: string,
): Promise<void> {
  const [command = ''] = extractor;
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', (error) => reject(cannotRun(command, error)));
    child.on('close', (...ending) => resolve(ending));
  });
  if (code !== null && exitCodes.includes(code)) return;
  if (signal !== null)
    throw new CommandFailure(`the command ${quoted(command)} was ended by ${signal}${consequence}`, 1);
  const allowed = [...exitCodes, code].join(',');
  const hint = `If that is a warning only, allow it: --exit-codes ${allowed}`;
  throw new CommandFailure(
    `the command ${quoted(command)} ended with code ${code}${consequence}. ${hint}`,
    1,
  );
}

function cannotRun(command: string, error: Error): CommandFailure {
  const code = errorCode(error) ?? '';
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such command; is it installed, and in PATH?',
    // The system says so, too, where one directory of PATH is closed and no other has the command.
    EACCES: command.includes('/')
      ? 'it may not be run; is it executable?'
      : 'it may not be run, or is not there and a directory in PATH may not be searched',
    // Node says so of batch files that were not found.
    EINVAL: 'there is no such batch file; name it with its path, or put it in PATH',
  };
  const reason = reasons[code] ?? error.message;
  const isOneWord = /\s/.test(command);
  const hint = isOneWord ? ' Leave out the quotation marks around it, if it has arguments.' : '';
  const failure = new CommandFailure(`cannot run ${quoted(command)}: ${reason}${hint}`, 2);
  return Object.assign(failure, { code: code in constants.errno ? code : 'ERR_PERMWALK_EXTRACTOR' });
}
