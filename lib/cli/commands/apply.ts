import type { Command } from 'commander';
import { addFlag, addPassFlags, dryRunFlag, type PassFlags } from '../flags.ts';
import { examples, exitCodes } from '../help.ts';
import { runNamed } from '../run.ts';

/** Fill in `permwalk apply <root>`. */
export function fillApplyCommand(command: Command): void {
  command
    .description(
      'Set the modes of an unpacked tree. Never follows a link, waits for entries that the manifest names, and ' +
        'lists every entry that stays unresolved.',
    )
    .argument('<root>', 'the tree; write -- before a name that begins with a dash');
  addFlag(addPassFlags(command), dryRunFlag)
    .addHelpText(
      'after',
      examples([
        ['permwalk apply --manifest bundle.mcpb cache/bundle', 'Exec bits as in the archive'],
        ["permwalk apply --executable '**/*.{so,dylib}' --executable 'bin/*' tree", 'Exec bits by name'],
        ['permwalk apply --mode u+rwX,go+rX --ignore .git tree', 'Instead of chmod -R'],
        [
          'permwalk apply --manifest app.zip --max-retry-time 60000 --json app',
          'Wait longer, and print JSON for a script',
        ],
      ]),
    )
    .addHelpText('after', exitCodes('something is unresolved and listed, or --max-entries was exceeded'))
    .action((root: string, flags: PassFlags) => runNamed('apply', root, flags));
}
