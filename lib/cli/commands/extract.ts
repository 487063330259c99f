import type { Command } from 'commander';
import { addFlag, addPassFlags, choice, type ExtractFlags, flag, parseExitCodes } from '../flags.ts';
import { examples, exitCodes } from '../help.ts';
import { setExitCode } from '../output.ts';

/** Fill in `permwalk extract <archive> <destination> -- <command …>`: any extractor, staged, then published with one rename. */
export function fillExtractCommand(command: Command): void {
  command
    .description(
      'Run an extractor in a staging directory beside the destination, set the modes there, wait for entries that ' +
        'the archive names, and publish the tree with one rename. If anything fails, the destination stays as it ' +
        'was, except with --publish in-place. The output of the command goes to stderr.',
    )
    .usage('[options] <archive> <destination> -- <command...>')
    .argument('<archive>', 'an archive; its entries are the manifest')
    .argument('<destination>', 'where the tree goes')
    .argument('<command...>', 'the extractor, after --; {archive} and {destination} are replaced');
  addPassFlags(command, 'the archive');
  command.optionsGroup('What must exist:');
  addFlag(command, flag('--no-manifest', 'read no manifest, and verify nothing'));
  command.optionsGroup('The command:');
  addFlag(
    command,
    flag(
      '--exit-codes <codes>',
      'exit codes of the command that mean success, such as 0,1 for unzip, which exits with 1 for a warning (default: 0)',
      parseExitCodes,
    ),
  );
  command.optionsGroup('Publishing:');
  addFlag(
    command,
    choice(
      '--publish <how>',
      ['atomic', 'in-place'],
      'atomic: stage, then rename once; in-place: the command writes to the destination itself',
    ),
  );
  addFlag(
    command,
    choice(
      '--existing <how>',
      ['error', 'keep', 'replace'],
      'if the destination exists: error; keep: verify and use it; replace: put the new tree in its place',
    ),
  );
  addFlag(command, flag('--durable', 'fsync everything before the rename (default: no)'))
    .addHelpText(
      'after',
      examples([
        ['permwalk extract app.zip /opt/app -- unzip -q {archive} -d {destination}', 'With unzip'],
        [
          'permwalk extract --existing replace app.zip /opt/app -- python3 -m zipfile -e {archive} {destination}',
          'Replace an existing tree',
        ],
      ]),
    )
    .addHelpText(
      'after',
      exitCodes(
        'the destination exists, the command failed, or something is unresolved',
        'the archive or the manifest cannot be read, or the command cannot be run',
      ),
    )
    .action(async (archive: string, destination: string, extractor: string[], flags: ExtractFlags) => {
      const { runExtraction } = await import('../extraction.ts');
      setExitCode(await runExtraction(archive, destination, extractor, flags));
    });
}
