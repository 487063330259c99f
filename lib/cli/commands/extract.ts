import type { Command } from 'commander';
import { addPassFlags, choice, type ExtractFlags, flag } from '../flags.ts';
import { examples, exitCodes } from '../help.ts';
import { setExitCode } from '../output.ts';

/** Add `permwalk extract <archive> <destination> -- <command …>`: any extractor, staged and published at once. */
export function addExtractCommand(program: Command): void {
  const command = program
    .command('extract')
    .summary('run an extractor, and publish its tree whole and with its modes')
    .description(
      'Run an extractor into a staging directory beside the destination, set the modes there, wait for what the ' +
        'archive promises, and publish the tree with one rename. Whatever fails, the destination is as it was. ' +
        'What the command prints goes to stderr.',
    )
    .usage('[options] <archive> <destination> -- <command...>')
    .argument('<archive>', 'zip, .mcpb or .whl; its entries are the manifest')
    .argument('<destination>', 'where the tree is to be')
    .argument('<command...>', 'the extractor; {archive} and {destination} in it are replaced');
  addPassFlags(command);
  command
    .addOption(flag('--no-manifest', 'nothing must be there'))
    .optionsGroup('Publishing:')
    .addOption(
      choice(
        '--publish <how>',
        ['atomic', 'in-place'],
        'atomic: staged, then one rename; in-place: the command writes to the destination itself',
      ),
    )
    .addOption(
      choice(
        '--existing <how>',
        ['error', 'keep', 'replace'],
        'a destination that is there: error; keep: use it, if it is as promised; replace: put the new tree there',
      ),
    )
    .addOption(flag('--durable', 'have everything reach the disk before the rename (default: no)'))
    .addHelpText(
      'after',
      examples([
        ['permwalk extract app.zip /opt/app -- unzip -q {archive} -d {destination}', 'With unzip'],
        [
          'permwalk extract --existing replace app.zip /opt/app -- python3 -m zipfile -e {archive} {destination}',
          'In place of what is there',
        ],
      ]),
    )
    .addHelpText('after', exitCodes('the command failed, or something is unresolved: nothing was published'))
    .action(async (archive: string, destination: string, extractor: string[], flags: ExtractFlags) => {
      const { runExtraction } = await import('../extraction.ts');
      setExitCode(await runExtraction(archive, destination, extractor, flags));
    });
}
