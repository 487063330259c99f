import { spawn, spawnSync } from 'node:child_process';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { Command } from 'commander';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addPassFlags, toApplyOptions } from '../lib/cli/flags.ts';
import { printableJson, printableName, printableText } from '../lib/cli/printable.ts';
import { describeProgress } from '../lib/cli/progress.ts';
import { renderChange, renderReport } from '../lib/cli/table.ts';
import { formatCount } from '../lib/cli/words.ts';
import { UnresolvedEntryError } from '../lib/errors.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { createCounts, type PermissionProgress, type PermissionReport } from '../lib/report.ts';
import {
  cliCommand,
  cliEnvironment,
  makeTree,
  makeZip,
  modeOf,
  modulesCommand,
  runCli,
  runCliAlone,
  runJson,
  start,
  startCli,
} from './helpers/cli.ts';
import { REGULAR, rawZip } from './helpers/raw-zip.ts';
import { canRunOn, canUseByteNames, runtime } from './helpers/runtime.ts';
import { memoryDirectory, tempDirectory } from './helpers/tree.ts';

const hasByteNames = canUseByteNames();
const scratch = tempDirectory();
let umask = 0;

/** A fresh directory, so that no spec sees the tree of another. */
function fresh(): string {
  return mkdtempSync(join(scratch, 'spec-'));
}

/** A tree of so many directories with so many empty files each, in memory where that can be had. */
function makeLargeTree(directories: readonly string[], filesEach: number): string {
  const root = join(memoryDirectory(directories.length * filesEach * 4096), 'tree');
  for (const directory of directories) {
    mkdirSync(join(root, directory), { recursive: true });
    for (let file = 0; file < filesEach; file += 1) writeFileSync(join(root, directory, `f${file}`), '');
  }
  return root;
}

/** A few files, none of them executable. */
function makePlainTree(): string {
  return makeTree(join(fresh(), 'tree'), {
    'bin/tool': {},
    'lib/native.so': {},
    'lib/private.so': { mode: 0o600 },
    'lib/text.txt': {},
    '.hidden/run.so': {},
  });
}

/** A tree and its archive; `late` is in the archive only. */
function makeBundle(late: readonly string[] = []): { root: string; zip: string } {
  const folder = fresh();
  const root = makeTree(join(folder, 'tree'), { 'bin/tool': {}, 'lib/text.txt': {}, 'extra/unknown.sh': {} });
  const missing = Object.fromEntries(late.map((path) => [path, { mode: 0o755 }]));
  const zip = makeZip(join(folder, 'bundle.zip'), {
    'bin/tool': { mode: 0o755 },
    'lib/text.txt': {},
    ...missing,
  });
  return { root, zip };
}

/** Everything of a tree that permwalk could touch. */
function modesOf(root: string): string[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return names.map((name) => `${modeOf(join(root, name))} ${name}`);
}

const quick = ['--retries', '1', '--min-timeout', '1', '--no-randomize'];

const usage = suite('cli: usage');

usage('--help says what each flag means, within 80 columns, on stdout', async () => {
  const flags = [
    '--manifest <file>',
    '--verify <how>',
    '--flattened-links <how>',
    '--discover',
    '--no-discover',
    '--mode <mode>',
    '--executable <glob>',
    '--umask <octal>',
    '--ignore <glob>',
    '--dangling-links <how>',
    '--hard-links <how>',
    '--cross-device',
    '--max-entries <n>',
    '--retries <n>',
    '--factor <number>',
    '--min-timeout <ms>',
    '--max-timeout <ms>',
    '--max-retry-time <ms>',
    '--randomize',
    '--no-randomize',
    '--no-retry',
    '--strict',
    '--no-strict',
    '--json',
    '--verbose',
    '--help',
  ];
  const [program, apply, check] = await Promise.all([
    runCli(['--help']),
    runCli(['apply', '--help']),
    runCli(['check', '--help']),
  ]);
  for (const { code, stdout, stderr } of [program, apply, check]) {
    assert.is(code, 0);
    assert.is(stderr, '');
    assert.match(stdout, /Examples:.*Exit codes:.*130/s);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
  }
  assert.match(program.stdout, /apply .*check /s);
  for (const flag of flags) {
    assert.ok(apply.stdout.includes(flag), `apply --help: ${flag}`);
    assert.ok(check.stdout.includes(flag), `check --help: ${flag}`);
  }
  assert.match(apply.stdout, '--dry-run');
  assert.not.match(check.stdout, '--dry-run');
});

const withCoverage = canRunOn(['node'], 'what is loaded is seen by NODE_V8_COVERAGE') ? usage : usage.skip;

withCoverage('--help loads neither the engine nor what only some passes need', async () => {
  const coverage = join(fresh(), 'coverage');
  const env = cliEnvironment({ NODE_V8_COVERAGE: coverage });
  await start([...modulesCommand, 'apply', '--help'], { env }).result;
  const text = readdirSync(coverage)
    .map((name) => readFileSync(join(coverage, name), 'utf8'))
    .join('');
  const loaded = [...text.matchAll(/"url":"([^"]+)"/g)].map(([, url]) => url ?? '');
  assert.ok(loaded.some((url) => url.endsWith('/cli/flags.js')));
  const heavy = /dist\/pass\/|cli\/pass\.js|\/(micromatch|p-retry|readdirp|yauzl|yocto-spinner)\//;
  assert.equal(
    loaded.filter((url) => heavy.test(url)),
    [],
  );
});

usage('--version is the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const { code, stdout } = await runCli(['--version']);
  assert.is(code, 0);
  assert.is(stdout, `${version}\n`);
});

usage('wrong usage is named on stderr, exits 2 and touches nothing', async () => {
  const root = makePlainTree();
  const before = modesOf(root);
  const glob = ['--executable', '**'];
  const cases: [args: string[], message: RegExp][] = [
    [[], /Usage: permwalk/],
    [['aply', root], /unknown command 'aply'\n\(Did you mean apply\?\)/],
    [['apply'], /missing required argument 'root'/],
    [['apply', root, 'more', ...glob], /too many arguments/],
    [['apply', root, '--retrys', '3', ...glob], /unknown option '--retrys'\n\(Did you mean --retries\?\)/],
    [['check', root, '--dry-run'], /unknown option '--dry-run'/],
    [['apply', root, ...glob, '--mode'], /'--mode <mode>' argument missing/],
    [['apply', root, ...glob, '--mode', 'u+q'], /option --mode: .*u\+q/],
    [['apply', root, ...glob, '--mode', '4755'], /option --mode: .*4755.*setuid/],
    [['apply', root, ...glob, '--mode', 'u+s'], /option --mode: .*u\+s.*setuid/],
    [['apply', root, ...glob, '--mode', ''], /option --mode: ""/],
    [
      ['apply', root, ...glob, '--verify', 'all'],
      /'--verify <how>' argument 'all'.*size, content, presence, none/,
    ],
    [['apply', root, ...glob, '--dangling-links', 'x'], /'--dangling-links <how>'.*defer, skip, error/],
    [['apply', root, ...glob, '--hard-links', 'x'], /'--hard-links <how>'.*apply, skip, error/],
    [['apply', root, ...glob, '--retries', '12abc'], /'--retries <n>' argument '12abc'.*whole number/],
    [['apply', root, ...glob, '--retries', '1.5'], /'--retries <n>' argument '1.5'/],
    [['apply', root, ...glob, '--factor', 'two'], /'--factor <number>' argument 'two'/],
    [['apply', root, ...glob, '--min-timeout', '-5'], /'--min-timeout <ms>' argument '-5'/],
    [['apply', root, ...glob, '--max-timeout', '1s'], /'--max-timeout <ms>' argument '1s'/],
    [['apply', root, ...glob, '--max-retry-time', ''], /'--max-retry-time <ms>' argument ''/],
    [['apply', root, ...glob, '--min-timeout', 'Infinity'], /option --min-timeout: Infinity/],
    [['apply', root, ...glob, '--umask', '888'], /'--umask <octal>' argument '888'/],
    [['apply', root, ...glob, '--umask', '1777'], /'--umask <octal>' argument '1777'/],
    [['apply', root, ...glob, '--max-entries', '0x10'], /'--max-entries <n>' argument '0x10'.*1 or more/],
    [['apply', root, ...glob, '--max-entries', '0'], /'--max-entries <n>' argument '0'.*1 or more/],
    [['apply', root, ...glob, '--directory-mode', 'manifest'], /option --directory-mode: "manifest"/],
    [['apply', root, '--detect', '--mode', '644'], /option --detect: works only in mode 'executable'/],
    [['apply', root, ...glob, '--ignore', ''], /option --ignore: ""/],
    [['apply', root, '--executable', ''], /option --executable: ""/],
    [
      ['apply', root, ...glob, '--no-retry', '--retries', '3'],
      /'--no-retry' cannot be used with .*--retries/,
    ],
    [['apply', ''], /root: expected a path, got ""/],
    [['apply', '/'], /root "\/"/],
    [['apply', join(root, 'none')], /ENOENT: the root ".*none" does not exist/],
    [['apply', join(root, 'bin/tool'), '--manifest', join(root, 'lib/text.txt')], /ENOTDIR.*tool/],
    [['apply', root, ...glob, '--manifest', join(root, 'none.zip')], /none\.zip/],
  ];
  const results = await Promise.all(cases.map(([args]) => runCli(args)));
  for (const [index, [args, message]] of cases.entries()) {
    const { code, stdout = '', stderr = '' } = results[index] ?? {};
    assert.is(code, 2, `${args.join(' ')}: ${code} ${stdout}${stderr}`);
    assert.is(stdout, '', args.join(' '));
    assert.match(stderr, message);
    assert.not.match(stderr, /\n {4}at /, 'no stack');
  }
  assert.equal(modesOf(root), before);
});

usage('what was typed cannot forge a line of an error', async () => {
  const { code, stderr } = await runCli(['apply', '--\u001b[31m\nerror: all well\u202e', 'x']);
  assert.is(code, 2);
  assert.match(stderr, String.raw`'--\x1b[31m\nerror: all well\u202e'`);
  assert.is(stderr.trimEnd().split('\n').length, 2);
});

usage('a broken manifest is one line on stderr and exit 2, even where its names are hostile', async () => {
  const root = makePlainTree();
  const zip = makeZip(join(fresh(), 'bad.zip'), { 'a\nb/../../etc/\u001b[2J': {} });
  const { code, stdout, stderr } = await runCli(['apply', root, '--manifest', zip]);
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.match(stderr, 'bad.zip');
  assert.is(stderr.trimEnd().split('\n').length, 1);
  assert.not.match(stderr, '\u001b');
});

usage('a root that begins with a dash comes after --', async () => {
  const cwd = fresh();
  makeTree(join(cwd, '-tree'), { 'a.so': {} });
  const refused = await runCli(['apply', '-tree'], { cwd });
  assert.is(refused.code, 2);
  const { code } = await runCli(['apply', '--executable', '*.so', '--', '-tree'], { cwd });
  assert.is(code, 0);
  assert.is(modeOf(join(cwd, '-tree/a.so')), '0755');
});

usage('a process of its own prints and ends as one that runs many commands', async () => {
  const folder = fresh();
  const zip = makeZip(join(folder, 'app.zip'), { 'bin/tool': { mode: 0o755 } });
  const calls: [code: number, args: string[]][] = [
    [1, ['check', 'tree', '--executable', 'bin/*']],
    [0, ['record', 'tree']],
    [0, ['apply', 'tree', '--executable', 'bin/*', '--verbose']],
    [1, ['extract', zip, 'new', '--no-retry', '--', 'sh', '-c', 'echo told', '{destination}']],
    [2, ['apply', 'tree', '--mode', 'u+q', '--json']],
  ];
  const runs = calls.map(async ([code, args]) => {
    const cwds = [0, 1].map(() => fresh());
    for (const cwd of cwds) makeTree(join(cwd, 'tree'), { 'bin/tool': {} });
    const [alone, shared] = await Promise.all(
      cwds.map((cwd, index) => [runCliAlone, runCli][index]?.(args, { cwd })),
    );
    const words = (text = '') => text.replace(/permwalk-\S+?\/spec-\w+|[\d.]+ m?s\b/g, '…');
    assert.is(alone?.code, code, args.join(' '));
    for (const stream of ['stdout', 'stderr'] as const)
      assert.is(words(shared?.[stream]), words(alone?.[stream]));
    assert.equal([shared?.code, shared?.signal], [code, null]);
  });
  await Promise.all(runs);
});

const flags = suite('cli: flags');

flags('--executable and --ignore, repeated', async () => {
  const root = makePlainTree();
  const args = [
    '--executable',
    'bin/*',
    '--executable',
    '**/*.so',
    '--ignore',
    '.hidden',
    '--ignore',
    'lib/n*',
  ];
  const { code, report } = await runJson(['apply', root, ...args]);
  assert.is(code, 0);
  assert.is(modeOf(join(root, 'bin/tool')), '0755');
  assert.is(modeOf(join(root, 'lib/private.so')), '0700');
  assert.is(modeOf(join(root, 'lib/native.so')), '0644');
  assert.is(modeOf(join(root, '.hidden/run.so')), '0644');
  assert.is(report.counts.changed, 2);
  assert.is(report.counts.ignored, 2);
});

flags('--mode: octal, symbolic, symbolic with a dash or plus first', async () => {
  const cases: [args: string[], file: string, directory: string][] = [
    [['--mode', '640'], '0640', '0750'],
    [['--mode', '0600'], '0600', '0700'],
    [['--mode', 'go-r'], '0600', '0711'],
    [['--mode=-w'], '0444', '0555'],
    [['--mode', '-w'], '0444', '0555'],
    [['--mode', '+x'], '0755', '0755'],
    [['--mode', 'u+rwX,go-rwx'], '0600', '0700'],
  ];
  const runs = cases.map(async ([args, file, directory]) => {
    const root = makePlainTree();
    const { code } = await runCli(['apply', root, ...args]);
    assert.is(code, 0, args.join(' '));
    assert.is(modeOf(join(root, 'lib/text.txt')), file, args.join(' '));
    assert.is(modeOf(join(root, 'lib')), directory, args.join(' '));
  });
  await Promise.all(runs);
});

flags('--manifest: exec bits as the archive has them; --mode manifest: its modes exactly', async () => {
  const folder = fresh();
  const root = makeTree(join(folder, 'tree'), { 'a.sh': { mode: 0o600 }, 'b.txt': { mode: 0o666 } });
  const zip = makeZip(join(folder, 'bundle.zip'), { 'a.sh': { mode: 0o755 }, 'b.txt': { mode: 0o640 } });
  assert.is((await runCli(['apply', root, '--manifest', zip])).code, 0);
  assert.is(modeOf(join(root, 'a.sh')), '0700');
  assert.is(modeOf(join(root, 'b.txt')), '0666');
  assert.is((await runCli(['apply', root, '--manifest', zip, '--mode', 'manifest'])).code, 0);
  assert.is(modeOf(join(root, 'a.sh')), '0755');
  assert.is(modeOf(join(root, 'b.txt')), '0640');
});

flags('--discover and --no-discover', async () => {
  const { root, zip } = makeBundle();
  const shell = ['--executable', '**/*.sh'];
  const listed = await runJson(['apply', root, '--manifest', zip, ...shell]);
  assert.is(modeOf(join(root, 'extra/unknown.sh')), '0644');
  assert.is(listed.report.counts.unlisted, 0);
  const walked = await runJson(['apply', root, '--manifest', zip, ...shell, '--discover']);
  assert.is(modeOf(join(root, 'extra/unknown.sh')), '0755');
  assert.ok(walked.report.counts.unlisted > 0);
  const other = makePlainTree();
  await runJson(['apply', other, '--executable', '**', '--no-discover']);
  assert.is(modeOf(join(other, 'bin/tool')), '0644');
});

flags('--verify', async () => {
  const folder = fresh();
  const root = makeTree(join(folder, 'tree'), { 'short.txt': { content: 'abc' } });
  const zip = makeZip(join(folder, 'bundle.zip'), { 'short.txt': { content: 'abcdef' } });
  const lacking = makeZip(join(folder, 'lacking.zip'), { 'missing.txt': {} });
  const reasons = async (...args: string[]): Promise<string[]> =>
    (await runJson(['apply', root, ...quick, ...args])).report.unresolved.map(({ reason }) => reason);
  assert.equal(await reasons('--manifest', zip), ['size-mismatch']);
  assert.equal(await reasons('--manifest', zip, '--verify', 'size'), ['size-mismatch']);
  assert.equal(await reasons('--manifest', zip, '--verify', 'presence'), []);
  assert.equal(await reasons('--manifest', lacking, '--verify', 'presence'), ['missing']);
  assert.equal(await reasons('--manifest', lacking, '--verify', 'none'), []);
  const other = makeZip(join(folder, 'other.zip'), { 'short.txt': { content: 'abd' } });
  assert.equal(await reasons('--manifest', other), []);
  assert.equal(await reasons('--manifest', other, '--verify', 'content'), ['content-mismatch']);
  const check = await runCli(['check', root, ...quick, '--manifest', other, '--verify', 'content']);
  assert.is(check.code, 1);
  assert.match(
    check.stdout,
    /content-mismatch +short\.txt +expected file of 3 bytes, crc32 [\da-f]{8}; found/,
  );
  assert.match(check.stdout, /extract again, or wait longer with --max-retry-time/);
});

flags('--unlisted', async () => {
  const folder = fresh();
  const root = makeTree(join(folder, 'tree'), { f: { content: 'x' }, extra: { mode: 0o600 } });
  const zip = makeZip(join(folder, 'bundle.zip'), { f: { content: 'x' } });
  const listed = await runCli(['check', root, '--manifest', zip, '--unlisted', 'list', '--mode', 'a+r']);
  assert.equal([listed.code, modeOf(join(root, 'extra'))], [0, '0600']);
  assert.match(listed.stdout, /not in the manifest\n {2}extra\n/);
  const { code, report } = await runJson(['check', root, '--manifest', zip, '--unlisted', 'error']);
  assert.equal(
    [code, report.unresolved.map(({ path, reason }) => `${path}: ${reason}`)],
    [1, ['extra: unlisted']],
  );
  const told = await runCli(['check', root, '--manifest', zip, '--unlisted', 'error']);
  assert.match(told.stdout, /^ {2}unlisted +remove it, or leave it out with --ignore$/m);
  const refused = await runCli(['check', root, '--unlisted', 'list']);
  assert.is(refused.code, 2);
  assert.match(refused.stderr, /option --unlisted: 'list' needs a manifest/);
});

flags('--dangling-links', async () => {
  const root = makeTree(join(fresh(), 'tree'), { lost: { link: 'nowhere' } });
  for (const how of ['defer', 'skip']) {
    const { code, report } = await runJson(['apply', root, '--dangling-links', how]);
    assert.is(code, 0);
    assert.equal(report.links, [{ path: 'lost', target: 'nowhere', kind: 'dangling' }]);
  }
  const { code, report } = await runJson(['apply', root, '--dangling-links', 'error']);
  assert.is(code, 1);
  assert.is(report.unresolved[0]?.reason, 'dangling-link');
});

flags('--hard-links', async () => {
  const makeLinked = (): string => {
    const root = makeTree(join(fresh(), 'tree'), { 'a.so': {} });
    linkSync(join(root, 'a.so'), join(root, 'b.so'));
    return root;
  };
  const results: [how: string, code: number, mode: string][] = [
    ['apply', 0, '0755'],
    ['skip', 0, '0644'],
    ['error', 1, '0644'],
  ];
  const runs = results.map(async ([how, code, mode]) => {
    const root = makeLinked();
    const result = await runCli(['apply', root, '--executable', '*.so', '--hard-links', how]);
    assert.is(result.code, code, how);
    assert.is(modeOf(join(root, 'a.so')), mode, how);
  });
  await Promise.all(runs);
});

flags('--umask', async () => {
  const root = makePlainTree();
  await runCli(['apply', root, '--executable', 'bin/*', '--umask', '077']);
  assert.is(modeOf(join(root, 'bin/tool')), '0744');
  await runCli(['apply', root, '--mode', '+w', '--umask', '0o002']);
  assert.is(modeOf(join(root, 'bin/tool')), '0764');
});

flags('--max-entries', async () => {
  const root = makePlainTree();
  const { code, stdout, stderr } = await runCli(['apply', root, '--max-entries', '2']);
  assert.is(code, 1);
  assert.is(stdout, '');
  assert.match(stderr, /option --max-entries: more than 2 entries/);
  assert.is((await runCli(['apply', root, '--max-entries', '100'])).code, 0);
});

flags('--cross-device', async () => {
  const root = makeTree(join(fresh(), 'tree'), { 'mounted/': {} });
  const inNamespace = (args: string): string[] => [
    'unshare',
    '--mount',
    ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
    'sh',
    '-c',
    `mount -t tmpfs none "$ROOT/mounted" && : > "$ROOT/mounted/a.so" ${args}`,
  ];
  const env = cliEnvironment({ ROOT: root });
  const [program = '', ...probe] = inNamespace('');
  if (spawnSync(program, probe, { env }).status !== 0) {
    console.log('skipped: no tmpfs can be mounted here');
    return;
  }
  const run = `&& "$@" && stat -c %a "$ROOT/mounted/a.so"`;
  const permwalk = [...cliCommand, 'apply', root, '--executable', '**/*.so'];
  const without = await start([...inNamespace(run), 'sh', ...permwalk], { env }).result;
  assert.match(without.stdout, /\n644\n$/);
  const entered = await start([...inNamespace(run), 'sh', ...permwalk, '--cross-device'], { env }).result;
  assert.match(entered.stdout, /\n755\n$/);
});

/** The options that flags of `apply` turn into. */
function optionsOf(...args: string[]): ApplyOptions {
  const command = addPassFlags(new Command());
  return toApplyOptions(command.parse(args, { from: 'user' }).opts());
}

flags('each flag of waiting turns into the option of its name', () => {
  assert.equal(optionsOf().retry, {});
  const all = [
    ...['--retries', '7', '--factor', '1.5', '--min-timeout', '60', '--max-timeout', '100'],
    ...['--max-retry-time', '300', '--no-randomize'],
  ];
  assert.equal(optionsOf(...all).retry, {
    retries: 7,
    factor: 1.5,
    minTimeout: 60,
    maxTimeout: 100,
    maxRetryTime: 300,
    randomize: false,
  });
  assert.equal(optionsOf('--randomize').retry, { randomize: true });
  assert.equal(optionsOf('--retries', 'Infinity', '--max-timeout', 'Infinity').retry, {
    retries: Number.POSITIVE_INFINITY,
    maxTimeout: Number.POSITIVE_INFINITY,
  });
  assert.is(optionsOf('--no-retry').retry, false);
});

flags('the other flags, too', () => {
  const { umask, directoryMode, mode, hardLinks, crossDevice, maxEntries, executable, retry, ...none } =
    optionsOf(
      ...[
        '--umask',
        '026',
        '--directory-mode',
        'umask',
        '--mode',
        'u+x',
        '--hard-links',
        'skip',
        '--cross-device',
      ],
      ...['--max-entries', '9', '--executable', 'a', '--executable', 'b'],
    );
  assert.equal(none, {});
  assert.equal([umask, directoryMode, mode, hardLinks], ['26', 'umask', 'u+x', 'skip']);
  assert.equal([crossDevice, maxEntries, executable, retry], [true, 9, ['a', 'b'], {}]);
});

flags('flags of waiting reach the pass', async () => {
  const { root, zip } = makeBundle(['never']);
  const settle = async (...args: string[]): Promise<PermissionReport['settle']> =>
    (await runJson(['apply', root, '--manifest', zip, ...args])).report.settle;
  const [exact, once] = await Promise.all([
    settle('--retries', '4', '--min-timeout', '20', '--factor', '1', '--no-randomize'),
    settle('--no-retry'),
  ]);
  assert.is(exact.rounds, 4);
  assert.ok(exact.waitedMs >= 76, `4 waits of 20 ms took ${exact.waitedMs}`);
  assert.equal(once, { rounds: 0, recovered: 0, waitedMs: 0 });
  // However many retries: it ends.
  const bounded = ['--retries', 'Infinity', '--max-timeout', '20', '--max-retry-time', '200', '--randomize'];
  assert.ok((await settle(...bounded)).rounds > 0);
});

flags('--strict and --no-strict', async () => {
  const { root, zip } = makeBundle(['never']);
  const args = ['apply', root, '--manifest', zip, ...quick];
  assert.is((await runCli(args)).code, 1);
  assert.is((await runCli([...args, '--strict'])).code, 1);
  const { code, report } = await runJson([...args, '--no-strict']);
  assert.is(code, 0);
  assert.is(report.ok, false);
  assert.is(report.unresolved.length, 1);
});

flags('--directory-mode', async () => {
  const root = makePlainTree();
  await runCli(['apply', root, '--mode', '640', '--directory-mode', 'umask', '--umask', '027']);
  assert.is(modeOf(join(root, 'lib')), '0750');
  assert.is(modeOf(join(root, 'lib/text.txt')), '0640');
});

flags('--dry-run, or -n, says what would change, changes nothing and exits 0', async () => {
  const root = makePlainTree();
  const before = modesOf(root);
  const { code, stdout } = await runCli(['apply', root, '--executable', 'bin/*', '-n', '--verbose']);
  assert.is(code, 0);
  assert.match(stdout, /^0644 -> 0755 {2}bin\/tool\n/);
  assert.match(stdout, /1 {2}would change/);
  assert.equal(modesOf(root), before);
});

flags('check exits 1 before, 0 after, and changes nothing', async () => {
  const { root, zip } = makeBundle();
  const before = modesOf(root);
  const first = await runCli(['check', root, '--manifest', zip]);
  assert.is(first.code, 1);
  assert.match(first.stdout, /1 would change/);
  assert.match(first.stdout, /\nwould change\n {2}0644 -> 0755 {2}bin\/tool\n/);
  assert.equal(modesOf(root), before);
  assert.is((await runCli(['apply', root, '--manifest', zip])).code, 0);
  const second = await runCli(['check', root, '--manifest', zip]);
  assert.is(second.code, 0);
  assert.match(second.stdout, /0 would change/);
});

flags('check lists the first twenty changes, and all with --verbose', async () => {
  const names = Array.from({ length: 25 }, (_, index) => [`f${index + 10}`, {}]);
  const root = makeTree(join(fresh(), 'tree'), Object.fromEntries(names));
  const [short, verbose] = await Promise.all([
    runCli(['check', root, '--mode', 'a+x']),
    runCli(['check', root, '--mode', 'a+x', '--verbose']),
  ]);
  const listed = (text: string) => text.split('\n').filter((line) => line.includes('0644 -> 0755')).length;
  assert.is(listed(short.stdout), 20);
  assert.match(short.stdout, /\n {2}and 5 more; --verbose lists all\n/);
  assert.is(listed(verbose.stdout), 25);
  assert.not.match(verbose.stdout, /more; --verbose/);
});

flags(
  '--flattened-links restore: check lists the links and exits 1, apply makes them, then all is well',
  async () => {
    const root = join(fresh(), 'tree');
    mkdirSync(join(root, 'lib/\u001b'), { recursive: true });
    const texts: Record<string, string> = { 'lib/\u001b/l': '../f', 'lib/current': '.', out: '/etc' };
    for (const [path, text] of Object.entries(texts)) writeFileSync(join(root, path), text);
    writeFileSync(join(root, 'lib/f'), '');
    const list = join(fresh(), 'list.json');
    const entries = Object.entries(texts).map(([path, linkTarget]) => ({
      path,
      type: 'symlink',
      linkTarget,
    }));
    writeFileSync(list, JSON.stringify(entries));
    const flag = ['--flattened-links', 'restore', '--ignore', 'out'];
    const check = ['check', root, '--manifest', list];
    const unasked = await runCli([...check, '--no-retry', '--ignore', 'out']);
    assert.is(unasked.code, 1);
    assert.match(
      unasked.stdout,
      /\n {2}link-flattened {5}set --flattened-links to restore, which makes links/,
    );
    const first = await runCli([...check, ...flag]);
    assert.is(first.code, 1);
    assert.match(first.stdout, '\nwould change\n  file -> link  lib/');
    for (const line of ['lib/\\x1b/l -> ../f', 'lib/current -> .']) {
      assert.match(first.stdout, `\n  file -> link  ${line}\n`);
    }
    assert.match(first.stdout, / 2 {2}plain files that would become links\n/);
    assert.match(first.stdout, /0 would change, 2 would become links/);
    assert.ok(lstatSync(join(root, 'lib/current')).isFile());
    const applied = await runCli(['apply', root, '--manifest', list, ...flag, '--verbose']);
    assert.is(applied.code, 0);
    assert.match(applied.stdout, 'file -> link  lib/current -> .\n');
    assert.match(applied.stdout, /0 changed, 2 became links/);
    assert.is(readlinkSync(join(root, 'lib/current')), '.');
    const { report } = await runJson([...check, ...flag]);
    assert.equal([report.ok, report.counts.restored, report.counts.links], [true, 0, 2]);
    const outside = await runCli([...check, '--flattened-links', 'restore', '--no-retry']);
    assert.is(outside.code, 1);
    assert.match(outside.stdout, /\n {2}link-flattened {5}out {2}expected symlink -> \/etc/);
    // An entry that has its own advice gets that.
    assert.match(
      outside.stdout,
      /\nwhat to do\n {2}link-flattened {5}its target may lead out of the tree: use an/,
    );
  },
);

flags('a glob that matches nothing is noted, in the report, too', async () => {
  const root = makePlainTree();
  const args = ['apply', root, '--executable', 'run', '--executable', 'bin/*', '--ignore', 'nothing/**'];
  const { code, stdout } = await runCli(args);
  assert.is(code, 0);
  assert.match(stdout, '\nnote: --executable: no file matches the glob "run"\n');
  assert.match(stdout, '\nnote: --ignore: no path matches the glob "nothing/**"\n');
  assert.not.match(stdout, '"bin/*"');
  const { report } = await runJson([...args, '--dry-run']);
  assert.equal(
    report.warnings.map(({ code: kind }) => kind),
    ['unmatched-glob', 'unmatched-glob'],
  );
});

flags('changed files that have other names are counted and named', async () => {
  const root = makePlainTree();
  const outside = join(fresh(), 'outside');
  linkSync(join(root, 'bin/tool'), outside);
  const { stdout } = await runCli(['apply', root, '--executable', 'bin/*']);
  assert.match(stdout, /\nnote: bin\/tool: the same file under other names changed, too \(--hard-links\)\n/);
  assert.is(modeOf(outside), '0755');
});

flags('a root that is a file is changed alone', async () => {
  const root = makePlainTree();
  const before = modesOf(root);
  const file = join(root, 'bin/tool');
  const dry = await runJson(['apply', file, '--mode', '640', '-n']);
  assert.is(dry.code, 0);
  assert.is(dry.report.counts.changed, 1);
  assert.equal(modesOf(root), before);
  const { code, report } = await runJson(['apply', file, '--executable', 'tool']);
  assert.is(code, 0);
  assert.is(report.root, file);
  assert.equal([report.counts.visited, report.counts.changed], [1, 1]);
  assert.is(modeOf(file), '0755');
  assert.equal(
    modesOf(root).filter((line) => !before.includes(line)),
    ['0755 bin/tool'],
  );
  assert.is((await runCli(['check', file, '--executable', 'tool'])).code, 0);
  linkSync(file, join(root, 'other'));
  const spared = await runJson(['apply', file, '--mode', '600', '--hard-links', 'error']);
  assert.is(spared.code, 1);
  assert.is(spared.report.unresolved[0]?.reason, 'hard-linked');
  assert.is(modeOf(file), '0755');
});

flags('a manifest entry that comes late is waited for', async () => {
  const { root, zip } = makeBundle(['late']);
  const running = startCli(['apply', root, '--manifest', zip, '--verbose']);
  await running.seen('stdout', /bin\/tool/);
  writeFileSync(join(root, 'late'), 'content\n');
  const { code, stdout } = await running.result;
  assert.is(code, 0);
  assert.match(stdout, /waited .* in \d+ rounds?, 1 recovered/);
  assert.is(modeOf(join(root, 'late')), '0755');
});

const output = suite('cli: output');

output('--json is one whole document and nothing else', async () => {
  const { root, zip } = makeBundle(['never']);
  const { code, stdout, stderr } = await runCli(['apply', root, '--manifest', zip, ...quick, '--json', '-v']);
  assert.is(code, 1);
  const report = JSON.parse(stdout);
  assert.equal(Object.keys(report), [
    'root',
    'ok',
    'backend',
    'modes',
    'dryRun',
    'counts',
    'links',
    'unlisted',
    'unresolved',
    'settle',
    'warnings',
    'durationMs',
  ]);
  assert.is(stdout, `${JSON.stringify(report, null, 2)}\n`);
  assert.is(report.counts.changed, 1);
  assert.is(report.unresolved[0].path, 'never');
  assert.is(report.unresolved[0].code, 'ENOENT');
  assert.is(stderr, '0644 -> 0755  bin/tool\n');
});

output('--json prints one document that has ok, whatever happens', async () => {
  const { root, zip } = makeBundle(['never']);
  const destination = join(fresh(), 'new');
  const cases: [code: number, ok: boolean, message: RegExp | undefined, args: string[]][] = [
    [0, true, undefined, ['apply', root]],
    [1, false, undefined, ['apply', root, '--manifest', zip, '--no-retry']],
    [2, false, /unknown option '--retrys'/, ['apply', root, '--retrys', '3']],
    [2, false, /missing required argument/, ['apply']],
    [2, false, /ENOENT/, ['apply', join(root, 'none')]],
    [2, false, /option --mode: "u\+q"/, ['apply', root, '--mode', 'u+q']],
    [2, false, /none\.zip: cannot be read/, ['apply', root, '--manifest', join(root, 'none.zip')]],
    [1, false, /option --max-entries: more than 2/, ['apply', root, '--max-entries', '2']],
    [1, false, /EEXIST/, ['extract', zip, root, '--', 'true', '{destination}']],
    [
      1,
      false,
      /ended with code 3/,
      ['extract', zip, destination, '--', 'sh', '-c', 'exit 3', '{destination}'],
    ],
    [2, false, /no-such-command/, ['extract', zip, destination, '--', 'no-such-command', '{destination}']],
  ];
  const runs = cases.map(async ([code, ok, message, [command = '', ...args]]) => {
    const result = await runCli([command, '--json', ...args]);
    assert.is(result.code, code, result.stderr);
    const document = JSON.parse(result.stdout);
    assert.is(document.ok, ok);
    if (message === undefined) return;
    assert.match(document.error.message, message);
    assert.type(document.error.name, 'string');
    assert.match(result.stderr, /^error: /);
  });
  await Promise.all(runs);
});

output('what to do is said once a reason, in flags', async () => {
  const { root, zip } = makeBundle(['never/one', 'never/two']);
  makeTree(root, { gone: { link: 'nowhere' } });
  const args = ['--manifest', zip, '--discover', '--no-retry', '--dangling-links', 'error'];
  const { stdout } = await runCli(['apply', root, ...args]);
  const [, advised = ''] = stdout.split('\nwhat to do\n');
  assert.equal(advised.split('\n').slice(0, 3), [
    '  dangling-link      extract its target, or set --dangling-links to skip',
    '  missing            extract again, or wait longer with --max-retry-time',
    '',
  ]);
});

output('FORCE_COLOR colours what is no terminal, and NO_COLOR nothing', async () => {
  const root = makePlainTree();
  const coloured = async (extra: Record<string, string>): Promise<boolean> =>
    /\p{Cc}\[1m/u.test((await runCli(['apply', root], { env: cliEnvironment(extra) })).stdout);
  const found = await Promise.all([
    coloured({}),
    coloured({ FORCE_COLOR: '1' }),
    coloured({ FORCE_COLOR: '0' }),
  ]);
  assert.equal(found, [false, true, false]);
});

output('help fits into 40 columns', async () => {
  const env = cliEnvironment({ COLUMNS: '40' });
  const helps = await Promise.all(
    [[], ['apply'], ['check'], ['extract']].map((name) => runCli([...name, '--help'], { env })),
  );
  for (const { code, stdout } of helps) {
    assert.is(code, 0);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 40, line);
    assert.match(stdout, /Exit codes:/);
  }
});

output('the table: root, backend, counts, links, every unresolved entry on a line', async () => {
  const { root, zip } = makeBundle(['never/one', 'never/two']);
  makeTree(root, { outside: { link: '/etc/passwd' }, gone: { link: 'nowhere' } });
  const { code, stdout, stderr } = await runCli(['apply', root, '--manifest', zip, '--discover', ...quick]);
  assert.is(code, 1);
  assert.is(stderr, '');
  const lines = stdout.split('\n');
  // On Bun a listing that has a bound is made natively from the first one on.
  const head =
    runtime === 'bun' ? /^\/.*\/tree {2}\((native|path)\)$/ : /^\/.*\/tree {2}\((anchored|path)\)$/;
  assert.match(lines[0] ?? '', head);
  assert.match(stdout, /\n {2} *\d+ {2}visited\n {2} *1 {2}changed\n {2} *\d+ {2}unchanged\n/);
  assert.match(stdout, /\n {2}dangling {2}gone -> nowhere\n {2}outside {3}outside -> \/etc\/passwd\n/);
  assert.match(stdout, /\n {2}missing {12}never\/one {2}expected file of 8 bytes[^\n]*\n/);
  assert.match(stdout, /\n {2}missing {12}never\/two {2}expected file of 8 bytes[^\n]*\n/);
  assert.match(stdout, /\nwhat to do\n {2}missing {12}extract again[^\n]*\n/);
  assert.match(stdout, /\n2 unresolved, 1 changed \([^\n]+\)\n$/);
  assert.not.match(stdout, '\u001b');
});

output('no name of a tree forges a line or talks to the terminal', async () => {
  const hostile = [
    'new\nline\n0 unresolved',
    'escape\u001b[2J\u001b]0;title\u0007',
    'bidi\u202egnp.exe',
    'c1\u009b31m',
    'carriage\rreturn',
    'line\u2028separator',
    ' spaces  inside ',
    'back\\nslash',
  ];
  const ordinary = ['größe-日本語-🙂-👩‍👩‍👧.so'];
  const folder = fresh();
  const names = [...hostile, ...ordinary];
  const root = makeTree(join(folder, 'ro\not'), Object.fromEntries(names.map((name) => [name, {}])));
  makeTree(root, { 'link\n1': { link: 'tar\u001bget' } });
  if (hasByteNames) {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x62, 0xff, 0x9b])]), '');
  }
  const { code, stdout } = await runCli(['apply', root, '--mode', '600', '--verbose']);
  assert.is(code, 0);
  const changes = stdout.split('\n').filter((line) => line.startsWith('0644 -> 0600  '));
  assert.equal(
    changes.map((line) => line.slice(14)).sort(),
    [
      String.raw`new\nline\n0 unresolved`,
      String.raw`escape\x1b[2J\x1b]0;title\x07`,
      String.raw`bidi\u202egnp.exe`,
      String.raw`c1\u009b31m`,
      String.raw`carriage\rreturn`,
      String.raw`line\u2028separator`,
      String.raw`\x20spaces \x20inside\x20`,
      String.raw`back\\nslash`,
      ...(hasByteNames ? [String.raw`b\xff\x9b`] : []),
      ...ordinary,
    ].sort(),
  );
  assert.match(stdout, String.raw`ro\not`);
  assert.match(stdout, String.raw`link\n1 -> tar\x1bget`);
  assert.not.match(stdout, /[^\P{Cc}\n]|\u202e|\u2028/u);

  // An archive may not hold a backslash.
  const archived = hostile.filter((name) => !name.includes('\\')).map((name) => `x/${name}`);
  const zip = makeZip(join(folder, 'hostile.zip'), Object.fromEntries(archived.map((name) => [name, {}])));
  const missing = await runCli(['apply', root, '--manifest', zip, '--no-retry']);
  assert.is(missing.code, 1);
  assert.is(
    missing.stdout.split('\n').filter((line) => /^ {2}missing {12}x\//.test(line)).length,
    archived.length,
  );
  assert.not.match(missing.stdout, /[^\P{Cc}\n]|\u202e|\u2028/u);
  const json = await runCli(['apply', root, '--manifest', zip, '--no-retry', '--json']);
  assert.not.match(json.stdout, /[^\P{Cc}\n]|\u202e|\u2028/u);
  const paths = JSON.parse(json.stdout).unresolved.map(({ path }: { path: string }) => path);
  assert.equal(paths.sort(), archived.sort());
});

output('a reader that goes away ends nothing but the output', async () => {
  const directories = Array.from({ length: 30 }, (_, index) => `d${index}`);
  const root = makeLargeTree(directories, 100);
  const shell = `{ "$@"; echo "code $?" >&2; } | head -1`;
  const args = [...cliCommand, 'apply', root, '--mode', '600', '--verbose'];
  const { stdout, stderr } = await start(['sh', '-c', shell, 'sh', ...args]).result;
  assert.match(stdout, /^0\d{3} -> 0\d{3} {2}[^\n]+\n$/);
  assert.is(stderr, 'code 0\n');
  assert.is(modeOf(join(root, 'd29/f99')), '0600');
});

output('a reader of stderr that goes away ends nothing either', async () => {
  const root = makePlainTree();
  const shell = `{ { "$@"; echo "code $?" >&4; } 2>&1 >&3 | true; } 3>&1 4>&2`;
  const args = [...cliCommand, 'apply', root, '--mode', '600', '--verbose', '--json'];
  const { stdout, stderr } = await start(['sh', '-c', shell, 'sh', ...args]).result;
  assert.is(JSON.parse(stdout).ok, true);
  assert.is(stderr, 'code 0\n');
});

output('an output that cannot be written is said on stderr and exits 1', async () => {
  const root = makePlainTree();
  const args = [...cliCommand, 'apply', root];
  const { code, stderr } = await start(['sh', '-c', '"$@" > /dev/full', 'sh', ...args]).result;
  assert.is(code, 1);
  assert.match(stderr, /^error: cannot write: (ENOSPC|No space left)[^\n]*\n$/);
});

output('a large report arrives whole at a slow reader', async () => {
  const count = 2000;
  const folder = fresh();
  const root = makeTree(join(folder, 'tree'), {});
  const names = Array.from({ length: count }, (_, index) => `${'long-name-'.repeat(8)}${index}`);
  const zip = makeZip(join(folder, 'bundle.zip'), Object.fromEntries(names.map((name) => [name, {}])));
  const shell = `{ "$@"; echo "code $?" >&2; } | { sleep 1; cat; }`;
  const args = [...cliCommand, 'apply', root, '--manifest', zip, '--no-retry', '--json'];
  const { stdout, stderr } = await start(['sh', '-c', shell, 'sh', ...args]).result;
  assert.is(stderr, 'code 1\n');
  assert.is(JSON.parse(stdout).unresolved.length, count);
});

const interruption = suite('cli: interruption');

/** A pass that has changed one file and waits for another that never comes. */
async function startWaiting(...args: string[]) {
  const { root, zip } = makeBundle(['never']);
  const patience = ['--retries', '1000', '--max-retry-time', '60000'];
  const running = startCli(['apply', root, '--manifest', zip, '--verbose', ...patience, ...args]);
  await running.seen(args.includes('--json') ? 'stderr' : 'stdout', /bin\/tool/);
  return { root, ...running };
}

interruption('SIGINT stops, prints what was done and exits 130', async () => {
  const { root, send, result } = await startWaiting();
  send('SIGINT');
  const { code, stdout, stderr } = await result;
  assert.is(code, 130);
  assert.is(stderr, '');
  assert.match(stdout, `${root}  (incomplete)`);
  assert.match(stdout, /\n {2}1 {2}changed\n/);
  assert.match(stdout, /\nunresolved so far\n {2}missing {12}never {2}expected[^\n]*\n/);
  assert.match(stdout, /\ninterrupted by SIGINT: 1 changed so far\n$/);
  assert.is(modeOf(join(root, 'bin/tool')), '0755');
});

interruption('SIGTERM likewise, with 143', async () => {
  const { send, result } = await startWaiting();
  send('SIGTERM');
  const { code, stdout } = await result;
  assert.is(code, 143);
  assert.match(stdout, 'interrupted by SIGTERM');
});

interruption('--json prints an object of its own', async () => {
  const { root, send, result } = await startWaiting('--json');
  send('SIGINT');
  const { code, stdout } = await result;
  assert.is(code, 130);
  const document = JSON.parse(stdout);
  assert.equal(Object.keys(document), ['ok', 'interrupted', 'root', 'dryRun', 'counts', 'unresolved']);
  assert.is(document.ok, false);
  assert.is(document.unresolved[0].path, 'never');
  assert.is(document.interrupted, true);
  assert.is(document.root, root);
  assert.is(document.dryRun, false);
  assert.is(document.counts.changed, 1);
});

interruption('a pass over a large tree stops between slices', async () => {
  const root = makeLargeTree(
    Array.from({ length: 100 }, (_, index) => `d${index}`),
    200,
  );
  const running = startCli(['apply', root, '--mode', '600', '--verbose']);
  await running.seen('stdout', / -> 0600 /);
  running.send('SIGINT');
  const { code, stdout } = await running.result;
  assert.is(code, 130);
  const changed = stdout.split('\n').filter((line) => / -> /.test(line)).length;
  const done = Number(/SIGINT: ([\d,]+) changed so far/.exec(stdout)?.[1]?.replaceAll(',', ''));
  assert.is(done, changed);
  assert.ok(changed < 20_000, `${changed} changed`);
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const set = files.filter((entry) => modeOf(join(entry.parentPath, entry.name)) === '0600').length;
  assert.ok(set <= changed && set > 0, `${set} files of ${changed} changes`);
});

const canFillPipes = canRunOn(['node', 'bun'], 'it waits for the reader of a pipe with all else');
const withFullPipe = canFillPipes ? interruption : interruption.skip;

withFullPipe('a second signal ends the process at once', async () => {
  const root = makeLargeTree(['d'.repeat(60)], 4000);
  // Nobody reads stdout: after the first signal the process is held by what it could not write.
  const child = spawn(cliCommand[0] ?? '', [...cliCommand.slice(1), 'apply', root, '--mode', '600', '-v'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: cliEnvironment(),
  });
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on('exit', (code, signal) => resolve([code, signal]));
  });
  while (modeOf(join(root, 'd'.repeat(60), 'f3999')) !== '0600') await pause(10);
  child.kill('SIGINT');
  await pause(100);
  child.kill('SIGINT');
  const [code, signal] = await ended;
  child.stdout.destroy();
  assert.ok(code === 130 || signal === 'SIGINT', `${code} ${signal}`);
});

const terminal = suite('cli: terminal');

/** A real terminal: runs its arguments on a pseudo-terminal and passes on what is typed. */
const onTerminal = [
  'python3',
  '-c',
  'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))',
];
const hasTerminal = spawnSync('python3', ['-c', 'import pty']).status === 0;

function onTerminalOrSkip(name: string, test: () => Promise<void>): void {
  terminal(name, async () => {
    if (hasTerminal) return test();
    console.log(`skipped: no pseudo-terminal without python3: ${name}`);
  });
}

onTerminalOrSkip('a progress line while it waits, cleared at the end, and colours', async () => {
  const { root, zip } = makeBundle(['never']);
  const args = ['apply', root, '--manifest', zip, '--retries', '3', '--min-timeout', '200', '--no-randomize'];
  const { code, stdout } = await start([...onTerminal, ...cliCommand, ...args]).result;
  assert.is(code, 1);
  assert.match(stdout, /waiting for never \(up to \d s\): \d visited, 1 changed/);
  assert.ok(stdout.indexOf('\u001b[?25l') < stdout.indexOf('\u001b[?25h'), 'the cursor comes back');
  const afterProgress = stdout.slice(stdout.lastIndexOf('\u001b[?25h'));
  assert.match(afterProgress, '\u001b[0K');
  assert.match(afterProgress, '\u001b[31mmissing          \u001b[39m  never');
  assert.not.match(afterProgress, /waiting/);
});

onTerminalOrSkip('no colours with NO_COLOR', async () => {
  const root = makePlainTree();
  const env = cliEnvironment({ NO_COLOR: '1' });
  const { code, stdout } = await start([...onTerminal, ...cliCommand, 'apply', root], { env }).result;
  assert.is(code, 0);
  assert.match(stdout, 'visited');
  assert.not.match(stdout, /\p{Cc}\[\d+m/u);
});

onTerminalOrSkip('Ctrl-C at the keyboard', async () => {
  const { root, zip } = makeBundle(['never']);
  const patience = ['--retries', '1000', '--max-retry-time', '60000'];
  const running = start([...onTerminal, ...cliCommand, 'apply', root, '--manifest', zip, ...patience], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await running.seen('stdout', /waiting for never/);
  running.child.stdin?.write('\u0003');
  const { code, stdout } = await running.result;
  assert.is(code, 130);
  assert.match(stdout, 'interrupted by SIGINT: 1 changed so far');
  assert.ok(stdout.lastIndexOf('\u001b[?25h') > stdout.lastIndexOf('\u001b[?25l'), 'the cursor comes back');
});

onTerminalOrSkip('progress on stderr leaves --json on stdout alone', async () => {
  const { root, zip } = makeBundle(['never']);
  const file = join(fresh(), 'report.json');
  const args = ['apply', root, '--manifest', zip, '--retries', '3', '--min-timeout', '200', '--json'];
  const shell = ['sh', '-c', `"$@" > '${file}'`, 'sh'];
  const { code, stdout } = await start([...onTerminal, ...shell, ...cliCommand, ...args]).result;
  assert.is(code, 1);
  assert.match(stdout, 'waiting for never');
  assert.is(JSON.parse(readFileSync(file, 'utf8')).unresolved.length, 1);
});

terminal('no progress in a pipe', async () => {
  const { root, zip } = makeBundle(['never']);
  const args = ['apply', root, '--manifest', zip, '--retries', '2', '--min-timeout', '200'];
  const { stdout, stderr } = await runCli(args);
  assert.is(stderr, '');
  assert.not.match(stdout, /[^\P{Cc}\n]|waiting /u);
});

const extraction = suite('cli: extract');

const bundle = { 'bin/run': { mode: 0o755 }, 'lib/data': {} } as const;
const pythonUnzip = ['python3', '-m', 'zipfile', '-e', '{archive}', '{destination}'];

extraction('runs any command, publishes the tree with its modes, and reports on stdout alone', async () => {
  const directory = fresh();
  mkdirSync(directory, { recursive: true });
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const destination = join(directory, 'app');
  const noisy = [
    'sh',
    '-c',
    'echo noise; python3 -m zipfile -e "$1" "$2"',
    'sh',
    '{archive}',
    '{destination}',
  ];
  const { code, stdout, stderr } = await runCli(['extract', '--json', archive, destination, '--', ...noisy]);
  assert.is(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert.is(report.outcome, 'created');
  assert.is(report.destination, destination);
  assert.match(stderr, 'noise');
  assert.is(modeOf(join(destination, 'bin/run')), '0755');
  assert.equal(readdirSync(directory).sort(), ['app', 'app.zip']);
});

extraction('a destination that is there: exit 1, kept, or replaced', async () => {
  const directory = fresh();
  const destination = makeTree(join(directory, 'app'), { old: {} });
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const run = (...flags: string[]) =>
    runCli(['extract', ...flags, archive, destination, '--', ...pythonUnzip]);
  const refused = await run();
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /EEXIST.*set --existing to keep or replace\n/);
  const kept = await run('--existing', 'keep', '--no-retry');
  assert.is(kept.code, 1);
  assert.match(kept.stdout, 'missing');
  const replaced = await run('--existing', 'replace', '--durable');
  assert.is(replaced.code, 0, replaced.stderr);
  assert.match(replaced.stdout, 'replaced');
  assert.equal(readdirSync(destination).sort(), ['bin', 'lib']);
  assert.is((await run('--existing', 'keep')).code, 0);
});

extraction('a command that fails or delivers too little publishes nothing: exit 1', async () => {
  const directory = fresh();
  mkdirSync(directory, { recursive: true });
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const destination = join(directory, 'app');
  const run = (flags: string[], ...command: string[]) =>
    runCli(['extract', ...flags, archive, destination, '--', ...command]);
  const failed = await run([], 'sh', '-c', 'echo reason >&2; exit 3', '{destination}');
  assert.is(failed.code, 1);
  assert.match(
    failed.stderr,
    /^reason\nerror: the command "sh" ended with code 3: nothing was published\. .*--exit-codes 0,3\n$/,
  );
  const idle = await run(['--no-retry'], 'true', '{destination}');
  assert.is(idle.code, 1);
  assert.match(
    idle.stdout,
    /^\/.*\/app {2}\(nothing was published\)\n\nunresolved\n {2}missing +bin\/run[\s\S]*missing +lib\/data/,
  );
  assert.match(idle.stdout, /\n2 unresolved: nothing was published\n$/);
  assert.not.match(idle.stdout, /visited|anchored/);
  assert.equal(readdirSync(directory), ['app.zip']);
  const lenient = await run(['--no-manifest'], 'true', '{destination}');
  assert.is(lenient.code, 0);
});

extraction('what is odd in a manifest is told of, ten of a kind at most, and harmlessly', async () => {
  const directory = fresh();
  const site = makeTree(join(directory, 'site'), { a: {} });
  const rows = Array.from({ length: 14 }, () => 'a,,b').join('\n');
  writeFileSync(join(directory, 'RECORD'), `a,md5=x,8\n${rows}\n`);
  const odd = await runCli(['check', '--no-retry', '--manifest', join(directory, 'RECORD'), site]);
  const notes = odd.stdout.split('\n').filter((line) => line.startsWith('note: '));
  assert.is(notes.length, 11, odd.stdout);
  assert.match(
    notes[0] ?? '',
    /^note: the manifest: row 2 has a size that is not a number: only its path counts$/,
  );
  assert.match(notes[10] ?? '', /^note: and \d+ more; --json has them$/);
  const archive = join(directory, 'twice.zip');
  const name = 'a\x1b[31m';
  const entry = { name, mode: REGULAR | 0o644, content: 'x' };
  writeFileSync(archive, rawZip([entry, { ...entry, content: 'yy' }]));
  const told = await runCli(['check', '--no-retry', '--manifest', archive, site]);
  assert.match(told.stdout, /^note: a\\x1b\[31m: is listed more than once/m);
  const { stdout } = await runCli(['check', '--json', '--no-retry', '--manifest', archive, site]);
  const { warnings } = JSON.parse(stdout) as PermissionReport;
  assert.equal(
    warnings.map(({ code, path }) => [code, path]),
    [['duplicate', name]],
  );
});

extraction('what a RECORD lists outside the tree is named, and left alone', async () => {
  const directory = makeTree(join(fresh(), 'site'), {
    'x.py': {},
    'x-1.dist-info/RECORD': { content: 'x.py,,8\n../../bin/x,,5\nx-1.dist-info/RECORD,,\n' },
  });
  const { code, stdout, stderr } = await runCli(['check', '--json', '--manifest', directory, directory]);
  assert.is(code, 0, stderr);
  assert.is(JSON.parse(stdout).counts.visited, 4);
  assert.match(stderr, '../../bin/x');
});

extraction('what cannot be run is named: exit 2', async () => {
  const directory = fresh();
  mkdirSync(directory, { recursive: true });
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  // Directories that everybody may search.
  const env = cliEnvironment({ PATH: [directory, '/usr/bin', '/bin'].join(delimiter) });
  const run = (...args: string[]) => runCli(['extract', archive, join(directory, 'app'), ...args], { env });
  // Bun and Deno look through PATH themselves, and pass over what may not be run.
  const isPassedOver = runtime !== 'node';
  const unsearched = 'or is not there and a directory in PATH may not be searched';
  for (const [args, message] of [
    [['--', 'no-such-command', '{destination}'], 'cannot run "no-such-command": there is no such command'],
    [['--', 'app.zip', '{destination}'], isPassedOver ? 'there is no such command' : unsearched],
    [['--', `${directory}/app.zip`, '{destination}'], 'it may not be run'],
    [['--', 'unzip -q {archive} -d {destination}'], 'is one word: leave out the quotation marks'],
    [['unzip', '-q', '{archive}', '-d', '{destination}'], 'Write -- before the command'],
    [['--', 'unzip', '{archive}'], '{destination}'],
    [[], 'command'],
    [['--existing', 'maybe', '--', ...pythonUnzip], '--existing'],
  ] as const) {
    const { code, stdout, stderr } = await run(...args);
    assert.is(code, 2, stderr);
    assert.is(stdout, '');
    assert.match(stderr, message);
  }
  assert.equal(readdirSync(directory), ['app.zip']);
});

extraction('Ctrl-C stops the command, publishes nothing and leaves nothing: exit 130', async () => {
  const directory = fresh();
  mkdirSync(directory, { recursive: true });
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const command = ['sh', '-c', 'echo started; exec sleep 600', '{destination}'];
  const running = startCli(['extract', archive, join(directory, 'app'), '--', ...command]);
  await running.seen('stderr', /started/);
  running.send('SIGINT');
  const { code, stdout } = await running.result;
  assert.is(code, 130);
  assert.match(stdout, /\(nothing was published\)\n\ninterrupted by SIGINT: nothing was published\n$/);
  assert.equal(readdirSync(directory), ['app.zip']);
});

extraction('an interruption leaves nothing, however long the command takes to end', async () => {
  const directory = fresh();
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const script = 'trap "" INT; echo started; while [ -e "$1" ]; do sleep 0.01; done';
  const command = ['sh', '-c', script, '{destination}', '{archive}'];
  const running = startCli(['extract', archive, join(directory, 'a/b/app'), '--', ...command]);
  await running.seen('stderr', /started/);
  running.send('SIGINT');
  await running.seen('stdout', /interrupted by SIGINT/);
  rmSync(archive);
  const { code, signal } = await running.result;
  assert.equal([code, signal], [130, null]);
  assert.equal(readdirSync(directory), []);
});

extraction('a reader of stderr that goes away does not stop the command', async () => {
  const directory = fresh();
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const destination = join(directory, 'app');
  // More than a pipe holds, on both of its outputs.
  const script = 'for n in 1 2; do seq 100000 >&$n; done; python3 -m zipfile -e "$1" "$2"';
  const command = ['sh', '-c', script, 'sh', '{archive}', '{destination}'];
  const shell = `{ { "$@"; echo "code $?" >&4; } 2>&1 >&3 | true; } 3>&1 4>&2`;
  const args = [...cliCommand, 'extract', '--json', archive, destination, '--', ...command];
  const { stdout, stderr } = await start(['sh', '-c', shell, 'sh', ...args]).result;
  assert.is(JSON.parse(stdout).outcome, 'created');
  assert.is(stderr, 'code 0\n');
});

extraction('exit codes that are no failure, and directories that were made for nothing', async () => {
  const directory = fresh();
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const destination = join(directory, 'a/b/app');
  const warns = ['sh', '-c', 'python3 -m zipfile -e "$1" "$2"; exit 1', 'sh', '{archive}', '{destination}'];
  const run = (...flags: string[]) => runCli(['extract', ...flags, archive, destination, '--', ...warns]);
  const failed = await run();
  assert.is(failed.code, 1);
  assert.match(failed.stderr, '--exit-codes 0,1');
  assert.equal(readdirSync(directory), ['app.zip'], 'a/b was made for it alone');
  assert.is((await run('--exit-codes', '0,x')).code, 2);
  const taken = await run('--exit-codes', '0,1');
  assert.is(taken.code, 0, taken.stderr);
  assert.is(modeOf(join(destination, 'bin/run')), '0755');
});

onTerminalOrSkip('its progress says that the command runs', async () => {
  const directory = fresh();
  const archive = makeZip(join(directory, 'app.zip'), bundle);
  const done = join(directory, 'done');
  const script = 'python3 -m zipfile -e "$1" "$2"; while [ ! -e "$3" ]; do sleep 0.05; done';
  const command = ['sh', '-c', script, 'sh', '{archive}', '{destination}', done];
  const args = ['extract', archive, join(directory, 'app'), '--', ...command];
  const running = start([...onTerminal, ...cliCommand, ...args]);
  await running.seen('stdout', /extracting: sh is running/);
  writeFileSync(done, '');
  const { code, stdout } = await running.result;
  assert.is(code, 0);
  // A busy machine may take a moment before it.
  assert.not.match(stdout.slice(stdout.indexOf('is running')), 'starting');
});

extraction.run();

const rendering = suite('cli: rendering');

rendering('names', () => {
  const cases: [name: string, printed: string][] = [
    ['plain name.txt', 'plain name.txt'],
    ['日本語-é-e\u0301-🙂', '日本語-é-e\u0301-🙂'],
    ['👩\u200d👩\u200d👧', '👩\u200d👩\u200d👧'],
    ['\u0000\u001b\u007f', String.raw`\x00\x1b\x7f`],
    ['\n\r\t', String.raw`\n\r\t`],
    ['\u0085\u009b', String.raw`\u0085\u009b`],
    ['\u061c\u200b\u200e\u202e\u2066\ufeff', String.raw`\u061c\u200b\u200e\u202e\u2066\ufeff`],
    ['\u{e0041}', String.raw`\u{e0041}`],
    ['\udc80\udcff', String.raw`\x80\xff`],
    ['\ud800', String.raw`\ud800`],
    ['a\\nb', String.raw`a\\nb`],
    ['  a   b ', String.raw`\x20\x20a \x20\x20b\x20`],
    ['a\u3000\u3000b', String.raw`a${'\u3000'}\u3000b`],
  ];
  for (const [name, printed] of cases) assert.is(printableName(name), printed);
  assert.is(printableText('C:\\x\n'), String.raw`C:\x\n`);
});

rendering('JSON means the same after escaping', () => {
  const value = { 'a\u202e': ['\u009b', '\u{e0041}', '\udc80', '\n', 'ä'] };
  assert.equal(JSON.parse(printableJson(value)), value);
  assert.not.match(printableJson(value), /[\u009b\u202e]/);
});

rendering('numbers, changes, progress', () => {
  assert.equal([0, 999, 1000, 1_234_567].map(formatCount), ['0', '999', '1,000', '1,234,567']);
  assert.is(renderChange({ path: '.', from: 0o4644, to: 0o755 }), '4644 -> 0755  .');
  const counts = { ...emptyCounts, visited: 12_345, changed: 120 };
  const facts = { counts, unresolved: 0, list: () => [] };
  const cases: [
    Partial<PermissionProgress> & Pick<PermissionProgress, 'phase' | 'pending'>,
    boolean,
    string,
  ][] = [
    [{ phase: 'visit', pending: 3 }, false, 'visiting: 12,345 visited, 120 changed, 3 pending'],
    [{ phase: 'visit', pending: 0 }, true, 'visiting: 12,345 visited, 120 would change'],
    [
      { phase: 'settle', pending: 3, waitingFor: 'a/b\n', waitMs: 11_200 },
      false,
      String.raw`waiting for a/b\n and 2 more (up to 12 s): 12,345 visited, 120 changed`,
    ],
    [
      { phase: 'settle', pending: 1, waitingFor: '.', waitMs: 900 },
      false,
      'waiting for the root, which is not there (up to 1 s): 12,345 visited, 120 changed',
    ],
    [
      { phase: 'settle', pending: 1, waitingFor: 'x'.repeat(100) },
      false,
      `waiting for …${'x'.repeat(39)}: 12,345 visited, 120 changed`,
    ],
  ];
  for (const [progress, isDryRun, expected] of cases) {
    assert.is(describeProgress({ ...facts, ...progress }, isDryRun), expected);
  }
});

const emptyCounts = createCounts();

rendering('the whole report', () => {
  const report: PermissionReport = {
    root: '/srv/tree',
    ok: false,
    backend: 'anchored',
    modes: 'applied',
    dryRun: false,
    counts: {
      ...emptyCounts,
      visited: 1234,
      changed: 20,
      unchanged: 1200,
      links: 14,
      vanished: 1,
      unlisted: 3,
    },
    links: [
      { path: 'a', target: '../x', kind: 'outside' },
      { path: 'b', target: 'b', kind: 'loop' },
    ],
    unlisted: ['extra', 'more\nof it'],
    unresolved: [
      new UnresolvedEntryError({
        path: 'deps/a.dylib',
        reason: 'size-mismatch',
        expected: { type: 'file', size: 12 },
        actual: { type: 'file', size: 7 },
        attempts: 3,
        elapsedMs: 10,
      }),
      new UnresolvedEntryError({
        path: 'deps/b',
        reason: 'permission-denied',
        code: 'EPERM',
        syscall: 'chmod',
        expected: { mode: 0o755 },
        actual: { mode: 0o644 },
        attempts: 1,
        elapsedMs: 0,
      }),
      new UnresolvedEntryError({
        path: 'deps/c',
        reason: 'link-mismatch',
        expected: { type: 'symlink', linkTarget: 'x\u001b' },
        actual: { type: 'symlink', linkTarget: 'y\\n' },
        target: 'y\\n',
        attempts: 1,
        elapsedMs: 0,
      }),
    ],
    warnings: [],
    settle: { rounds: 1, recovered: 2, waitedMs: 1440 },
    durationMs: 1520,
  };
  const expected = String.raw`/srv/tree  (anchored)

  1,234  visited
     20  changed
  1,200  unchanged
     14  symbolic links, never changed
      1  vanished during the walk
      3  not in the manifest

waited 1.4 s in 1 round, 2 recovered

links that lead nowhere or out of the tree
  outside   a -> ../x
  loop      b -> b

not in the manifest
  extra
  more\nof it

unresolved
  size-mismatch      deps/a.dylib  expected file of 12 bytes; found file of 7 bytes
  permission-denied  deps/b  expected mode 0755; found mode 0644; chmod EPERM
  link-mismatch      deps/c  expected symlink -> x\x1b; found symlink -> y\\n

what to do
  size-mismatch      extract again, or wait longer with --max-retry-time
  permission-denied  run as the owner of the entry, or as root
  link-mismatch      remove the link and extract again

3 unresolved, 20 changed (1.5 s)
`;
  assert.is(
    renderReport(report, (_style, text) => text),
    expected,
  );
});

/** Wait a moment between two looks at a condition. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const suites = [usage, flags, output, interruption, terminal, rendering];

usage.before(() => {
  umask = process.umask(0o022);
});
rendering.after(() => {
  process.umask(umask);
});
for (const test of suites) test.run();
