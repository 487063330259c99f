import { Command } from 'commander';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addFlag, addPassFlags, dryRunFlag, passFlags } from '../lib/cli/flags.ts';
import { readPlainCall } from '../lib/cli/plain-call.ts';
import { recordFlags } from '../lib/cli/record-flags.ts';

/** What commander makes of the same; `undefined` where it refuses it. */
function readByCommander(name: string, args: readonly string[]) {
  const command = new Command(name).argument('<root>');
  if (name === 'record') for (const flag of recordFlags()) addFlag(command, flag);
  else addPassFlags(command);
  if (name === 'apply') addFlag(command, dryRunFlag);
  command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} });
  try {
    command.parse(args, { from: 'user' });
  } catch {
    return undefined;
  }
  return { name, root: command.args[0], flags: command.opts() };
}

/** A value that each flag with one takes. */
const values: Record<string, string> = {
  '--manifest': 'a b.zip',
  '--strip-components': '2',
  '--prefix': 'package',
  '--verify': 'presence',
  '--unlisted': 'list',
  '--flattened-links': 'restore',
  '--mode': 'u+rwX',
  '--directory-mode': 'umask',
  '--executable': '**/*.so',
  '--umask': '0022',
  '--ignore': '.git',
  '--dangling-links': 'skip',
  '--hard-links': 'error',
  '--max-entries': '5',
  '--retries': 'Infinity',
  '--factor': '1.5',
  '--min-timeout': '0',
  '--max-timeout': '7',
  '--max-retry-time': '9',
  '--format': 'json',
  '--digest': 'sha256',
};

const test = suite('plain calls');

test('each flag is read as commander reads it', () => {
  const all = [
    ...[...passFlags().flatMap(([, flags]) => flags), dryRunFlag].map((flag) => ['apply', flag] as const),
    ...recordFlags().map((flag) => ['record', flag] as const),
  ];
  for (const [name, { flags }] of all) {
    const [long = ''] = /--[\w-]+/.exec(flags) ?? [];
    const words = flags.endsWith('>') ? [long, values[long] ?? ''] : [long];
    for (const args of [
      [...words, 'tree'],
      ['tree', ...words, ...words],
    ]) {
      const call = readPlainCall([name, ...args]);
      assert.is.not(call, undefined, `${name} ${args.join(' ')}`);
      assert.equal(call, readByCommander(name, args), `${name} ${args.join(' ')}`);
    }
  }
});

test('flags together are read as commander reads them', () => {
  const calls = [
    ['tree'],
    [''],
    ['--executable', 'a', 'tree', '--executable', 'b', '--mode', '644', '--mode', '755'],
    ['--no-discover', '--discover', '--strict', '--no-strict', '--no-retry', 'tree', '--json'],
  ];
  for (const name of ['apply', 'check']) {
    for (const args of calls) {
      const call = readPlainCall([name, ...args]);
      assert.is.not(call, undefined, args.join(' '));
      assert.equal(call, readByCommander(name, args), args.join(' '));
    }
  }
});

test('whatever is not plain, or wrong, is left to commander', () => {
  const calls = [
    [],
    ['tree'],
    ['help', 'apply'],
    ['extract', 'a.zip', 'tree'],
    ['record', 'tree', '--json'],
    ['record', 'tree', '--digest', 'md5'],
    ['record', '--help'],
    ['--json', 'apply', 'tree'],
    ['apply'],
    ['apply', 'tree', 'other'],
    ['apply', '-n', 'tree'],
    ['apply', '--help'],
    ['apply', 'tree', '--mode'],
    ['apply', 'tree', '--mode', '--json'],
    ['apply', 'tree', '--mode=644'],
    ['apply', 'tree', '--Mode', '644'],
    ['apply', '--', 'tree'],
    ['apply', '-', '--json'],
    ['check', 'tree', '--dry-run'],
    ['apply', 'tree', '--verify', 'most'],
    ['apply', 'tree', '--retries', '1.5'],
    ['apply', 'tree', '--no-retry', '--retries', '1'],
    ['apply', 'tree', '--strip-components', '1', '--prefix', 'a'],
  ];
  for (const args of calls) assert.is(readPlainCall(args), undefined, args.join(' '));
});

test.run();
