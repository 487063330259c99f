import type { Command } from 'commander';
import { addPassFlags, type PassFlags } from '../flags.ts';
import { examples, exitCodes } from '../help.ts';
import { runNamed } from '../run.ts';

/** Fill in `permwalk check <root>`: the pass of `apply` that changes nothing. */
export function fillCheckCommand(command: Command): void {
  command
    .description(
      'Report what apply would change and what would stay unresolved, and change nothing. Takes the flags of apply, ' +
        'except for -n.',
    )
    .argument('<root>', 'the tree; write -- before a name that begins with a dash');
  addPassFlags(command)
    .addHelpText(
      'after',
      examples([
        ['permwalk check --manifest bundle.mcpb cache/bundle', 'Compare the tree with the archive'],
        [
          'permwalk check --manifest bundle.mcpb --no-retry --verbose cache/bundle',
          'See what differs right now',
        ],
        [
          'permwalk check --mode manifest --manifest app.zip --json app | jq .counts',
          'Print JSON for a script',
        ],
      ]),
    )
    .addHelpText('after', exitCodes('something would change or is unresolved, or --max-entries was exceeded'))
    .action((root: string, flags: PassFlags) => runNamed('check', root, flags));
}
