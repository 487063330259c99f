#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addApplyCommand } from './commands/apply.ts';
import { addCheckCommand } from './commands/check.ts';
import { addExtractCommand } from './commands/extract.ts';
import { reportFailure } from './failure.ts';
import { examples, exitCodes } from './help.ts';
import { guardStreams, setExitCode, writeError, writeOut } from './output.ts';
import { printableText } from './printable.ts';

/** The command line with all commands. */
function createProgram(): Command {
  const program = new Command('permwalk')
    .description(
      'Set the permissions of an unpacked tree. Never follows a link, waits for entries that a manifest names, ' +
        'reports everything that stays unresolved.',
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help, or the help of a command')
    .helpCommand('help [command]', 'print the help of a command')
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError('See permwalk <command> --help')
    .exitOverride()
    .configureOutput({
      writeOut,
      writeErr: writeError,
      outputError: (message, print) => print(`${printableMessage(message)}\n`),
    });
  addApplyCommand(program);
  addCheckCommand(program);
  addExtractCommand(program);
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
    .addHelpText('after', exitCodes('something is unresolved (check: or would change)'));
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

guardStreams();
try {
  await createProgram().parseAsync();
} catch (error) {
  setExitCode(reportFailure(error));
}
