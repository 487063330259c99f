import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { isCommanderError } from './failure.ts';
import { examples, exitCodes, helpLayout, helpWidth } from './help.ts';
import { writeError, writeOut } from './output.ts';
import { printableText } from './printable.ts';

/** A command in a line, and where its flags are: they are made for the command that is called, and for no other. */
interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<(command: Command) => void>;
}

const commands: readonly CommandEntry[] = [
  {
    name: 'apply',
    summary: 'set the modes of an unpacked tree',
    load: async () => (await import('./commands/apply.ts')).fillApplyCommand,
  },
  {
    name: 'check',
    summary: 'report what apply would change, and change nothing',
    load: async () => (await import('./commands/check.ts')).fillCheckCommand,
  },
  {
    name: 'extract',
    summary: 'run an extractor, set modes, publish the complete tree',
    load: async () => (await import('./commands/extract.ts')).fillExtractCommand,
  },
  {
    name: 'record',
    summary: 'print a tree as a manifest',
    load: async () => (await import('./commands/record.ts')).fillRecordCommand,
  },
];

/** The command line with all commands, and the flags of those that the arguments name. */
async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('permwalk')
    .description(
      'Set the permissions of an unpacked tree. Never follows a link, waits for entries that a manifest names, ' +
        'reports everything that stays unresolved.',
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help, or the help of a command')
    .helpCommand('help [command]', 'print the help of a command')
    .configureHelp(helpLayout)
    .showHelpAfterError('See permwalk <command> --help')
    .exitOverride()
    .configureOutput({
      writeOut,
      writeErr: writeError,
      getOutHelpWidth: helpWidth,
      getErrHelpWidth: helpWidth,
      outputError: (message, print) => print(`${printableMessage(message)}\n`),
    });
  for (const { name, summary, load } of commands) {
    const command = program.command(name).summary(summary);
    if (args.includes(name)) (await load())(command);
  }
  return program
    .addHelpText(
      'after',
      examples([
        ['permwalk apply --manifest bundle.mcpb cache/bundle', 'Exec bits as in the archive'],
        ["permwalk apply --executable 'bin/*' tree", 'Exec bits by name'],
        ['permwalk check --manifest bundle.mcpb cache/bundle', 'Compare the tree with the archive'],
        ['permwalk extract app.zip app -- unzip -q {archive} -d {destination}', 'Around an extractor'],
      ]),
    )
    .addHelpText(
      'after',
      exitCodes('something is unresolved (check: or would change; extract: or the command failed)'),
    );
}

/** The version of the package. package.json is two directories up, built or not. */
function readVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}

/** A message of commander, made printable, so that arguments cannot forge a line. The suggestion keeps its line. */
function printableMessage(message: string): string {
  const [, problem = '', suggestion = ''] = /^(.*?)(\n\(Did you mean [^\n]*)?\n?$/s.exec(message) ?? [];
  return `${printableText(problem)}${suggestion}`;
}

/** `permwalk extract` without the `--` that its command stands behind: commander takes the command's flags for ours. */
function hintAtCommand(error: unknown, args: readonly string[]): void {
  const codes = ['commander.unknownOption', 'commander.missingArgument'];
  if (!isCommanderError(error) || !codes.includes(error.code)) return;
  if (args[0] !== 'extract' || args.includes('--')) return;
  writeError('Write -- before the command: permwalk extract <archive> <destination> -- <command...>\n');
}

/**
 * Do what the arguments say, whatever it is: a command, help, or to say what is wrong with them.
 *
 * @throws whatever keeps it from being done
 */
export async function runProgram(args: readonly string[]): Promise<void> {
  try {
    const program = await createProgram(args);
    await program.parseAsync();
  } catch (error) {
    hintAtCommand(error, args);
    throw error;
  }
}
