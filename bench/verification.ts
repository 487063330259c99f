import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bundle } from './bundle.ts';
import { on } from './contenders.ts';
import type { MeasuredGroup } from './measure/rounds.ts';
import { isInstalled } from './measure/tools.ts';
import { runTrials, type Trial } from './measure/trials.ts';
import { WrongResultError } from './measure/turn.ts';
import { archived, closed } from './modes.ts';

/** Output of a command may list every file. */
const MAX_OUTPUT = 1 << 28;

/** Facts that both sides verify. */
const FACTS = 'type,mode,size,link';

/** NetBSD's mtree with its manifests of a bundle; `undefined` where it is not installed. */
function mtreeOf({ tree, folder }: Bundle): { facts: string; digests: string } | undefined {
  if (!isInstalled('mtree', '-c', '-d', '-p', folder)) return undefined;
  const write = (name: string, keys: string) => {
    const path = join(folder, name);
    const args = ['-c', '-k', keys, '-p', tree.root];
    writeFileSync(path, execFileSync('mtree', args, { maxBuffer: MAX_OUTPUT }));
    return path;
  };
  return { facts: write('facts.mtree', FACTS), digests: write('digests.mtree', `${FACTS},sha256`) };
}

/** The command on every runtime; its report must say that nothing is wrong, and that it saw every entry. */
function commandOn(bundle: Bundle, name: string, args: readonly string[], changed = 0): Trial[] {
  return bundle.tools.runtimes.map((runtime) => ({
    ...on(runtime, `permwalk ${name}`),
    command: [runtime.program, bundle.tools.cli, ...args, '--json', bundle.tree.root],
    check({ stdout }) {
      const { ok, counts } = JSON.parse(stdout);
      if (ok !== true || counts.changed !== changed || counts.visited < bundle.entries.length) {
        throw new WrongResultError(`permwalk ${name}: ${JSON.stringify({ ok, counts })}`);
      }
    },
  }));
}

/** What a verification cannot do without: every file opened and read, where a compiler is here. */
function limitOf({ tools: { limit }, tree, entries }: Bundle): Trial[] {
  if (limit === undefined) return [];
  const check: Trial['check'] = ({ stdout }) => {
    // It counts what is in the root.
    const expected = entries.length - 1;
    if (Number(stdout) !== expected) {
      throw new WrongResultError(`C: open and read: ${stdout.trim()} of ${expected} entries`);
    }
  };
  return [{ name: 'C: open and read', kind: 'limit', command: [limit, 'read', tree.root], check }];
}

/** J8: a tree compared with its manifest, facts alone and with content, and brought back. */
export function measureVerification(bundle: Bundle): MeasuredGroup[] {
  const { tools, tree, folder, zip, rounds, entries } = bundle;
  const manifests = mtreeOf(bundle);
  if (manifests === undefined) return [];
  const { facts, digests } = manifests;
  tree.setModes(archived);
  const exact = ['--mode', 'manifest', '--umask', '0'];
  const verify = (name: string, manifest: string): Trial => ({
    name,
    kind: 'yardstick',
    command: ['mtree', '-f', manifest, '-p', tree.root],
    check: () => {},
  });
  const sums = join(folder, 'sums');
  const files = entries.filter(({ type }) => type === 'file').map(({ path }) => join(tree.root, path));
  const sumsOf = { input: `${files.join('\0')}\0`, maxBuffer: MAX_OUTPUT };
  writeFileSync(sums, execFileSync('xargs', ['-0', 'sha256sum'], sumsOf));
  const group = (title: string, trials: Trial[]) => runTrials(tools, `J8 ${title}`, trials, rounds);
  const modes = group('modes', [
    ...commandOn(bundle, 'check, modes and sizes', ['check', '--manifest', facts, ...exact]),
    verify('mtree -f', facts),
  ]);
  const content = ['check', '--verify', 'content'];
  const contents = group('content', [
    ...commandOn(bundle, 'check, sha256', [...content, '--manifest', digests]),
    ...commandOn(bundle, 'check, CRC-32 of a zip', [...content, '--manifest', zip]),
    verify('mtree -f, sha256', digests),
    {
      name: 'sha256sum -c',
      kind: 'peer',
      command: ['sha256sum', '-c', '--quiet', sums],
      check: () => {},
    },
    ...limitOf(bundle),
  ]);
  const before = () => tree.setModes(closed);
  const check = () => {
    const differences = tree.differences(archived);
    if (differences.length > 0) throw new WrongResultError(`J8: ${differences.join('; ')}`);
  };
  const damaged = entries.filter((entry) => closed(entry) !== entry.mode).length;
  const repair = commandOn(bundle, 'apply', ['apply', '--manifest', facts, ...exact], damaged);
  const repairs = group('repair', [
    ...repair.map((trial): Trial => {
      const both: Trial['check'] = (run) => {
        trial.check(run);
        check();
      };
      return { ...trial, before, check: both };
    }),
    {
      name: 'mtree -U',
      kind: 'yardstick',
      command: ['mtree', '-U', '-f', facts, '-p', tree.root],
      before,
      check,
    },
  ]);
  return [modes, contents, repairs];
}

/** J9: a tree written down as a manifest. */
export function measureRecording(bundle: Bundle): MeasuredGroup[] {
  const { tools, tree, rounds, entries } = bundle;
  if (mtreeOf(bundle) === undefined) return [];
  tree.setModes(archived);
  const check: Trial['check'] = ({ stdout }) => {
    // An entry may go on in a next line; what is left are comments, defaults, and the ends of directories.
    const lines = stdout.replaceAll('\\\n', '').split('\n');
    const listed = lines.filter((line) => /^\s*[^#/\s]/.test(line) && line.trim() !== '..').length;
    if (listed !== entries.length) throw new WrongResultError(`J9: ${listed} of ${entries.length} entries`);
  };
  return (['none', 'sha256'] as const).map((digest) => {
    const keys = digest === 'none' ? FACTS : `${FACTS},sha256`;
    return runTrials(
      tools,
      `J9 ${digest}`,
      [
        ...tools.runtimes.map(
          (runtime): Trial => ({
            ...on(runtime, `permwalk --digest ${digest}`),
            command: [runtime.program, tools.cli, 'record', '--digest', digest, tree.root],
            check,
          }),
        ),
        {
          name: digest === 'none' ? 'mtree -c' : 'mtree -c, sha256',
          kind: 'yardstick',
          command: ['mtree', '-c', '-k', keys, '-p', tree.root],
          check,
        },
      ],
      rounds,
    );
  });
}
