import type { Command } from 'commander';
import { addFlag } from '../flags.ts';
import { examples } from '../help.ts';
import { type RecordFlags, recordFlags } from '../record-flags.ts';
import { runRecording } from '../run.ts';

const exitCodes = `
Exit codes:
  0    the whole tree is recorded
  1    a file changed while it was read, or the output could not be written
  2    wrong usage, or something in the tree cannot be read; nothing was printed
  130  interrupted (143 by SIGTERM); nothing was printed`;

/** Fill in `permwalk record <root>`: the tree as a manifest, on stdout. */
export function fillRecordCommand(command: Command): void {
  command
    .description(
      'Print a tree as a manifest: type, mode, size, link target and number of links of every entry, sorted. ' +
        'apply and check read it with --manifest. What is left out is named on stderr.',
    )
    .argument('<root>', 'the tree; write -- before a name that begins with a dash');
  for (const one of recordFlags()) addFlag(command, one);
  command
    .helpOption('-h, --help', 'print this help')
    .addHelpText(
      'after',
      examples([
        ['permwalk record dist > dist.mtree', 'Keep the modes of a tree'],
        ['permwalk apply --manifest dist.mtree --mode manifest --umask 0 dist', 'Bring them back'],
        [
          'permwalk record --format json --digest sha256 --ignore .git . > tree.json',
          'With digests, as JSON',
        ],
      ]),
    )
    .addHelpText('after', exitCodes)
    .action((root: string, flags: RecordFlags) => runRecording(root, flags));
}
