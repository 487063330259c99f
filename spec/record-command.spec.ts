import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRoot } from './helpers/child.ts';
import { cliCommand, cliEnvironment, runCli, runJson, startCli } from './helpers/cli.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

const run = cliCommand.map((word) => `'${word}'`).join(' ');

/** Run it in a shell, for what a shell does with its output. */
function inShell(script: string, cwd: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('bash', ['-o', 'pipefail', '-c', script], {
    cwd,
    encoding: 'utf8',
    env: cliEnvironment(),
  });
}

const test = suite('record command');

test('prints a tree as mtree(5), or as JSON', async () => {
  const root = makeTree({ 'bin/run': { mode: 0o755, content: 'x' }, 'a b': '-> bin/run' });
  const mtree = await runCli(['record', root]);
  assert.equal([mtree.code, mtree.stderr], [0, '']);
  assert.is(
    mtree.stdout,
    '#mtree\n. type=dir mode=0755\n./a\\040b type=link link=bin/run\n./bin type=dir mode=0755\n./bin/run type=file mode=0755 size=1\n',
  );
  const json = await runCli(['record', '--format', 'json', '--digest', 'sha256', '--ignore', 'a*', root]);
  assert.equal(JSON.parse(json.stdout), [
    { path: '.', type: 'directory', mode: 0o755 },
    { path: 'bin', type: 'directory', mode: 0o755 },
    {
      path: 'bin/run',
      type: 'file',
      mode: 0o755,
      size: 1,
      digest: {
        algorithm: 'sha256',
        value: execFileSync('sha256sum', { input: 'x' }).toString().slice(0, 64),
      },
    },
  ]);
});

test('what it prints brings the tree back', async () => {
  const root = makeTree({ 'bin/run': 0o755, 'etc/key': 0o600, 'tmp/': 0o1777 });
  const file = join(tempDirectory(), 'tree.mtree');
  assert.is(inShell(`${run} record '${root}' > '${file}'`, root).status, 0);
  for (const path of ['bin/run', 'etc/key']) chmodSync(join(root, path), 0o666);
  const args = ['--manifest', file, '--mode', 'manifest', '--umask', '0'];
  const broken = await runJson(['check', ...args, root]);
  assert.equal([broken.code, broken.report.counts.changed], [1, 2]);
  assert.is((await runCli(['apply', ...args, root])).code, 0);
  assert.equal([modeOf(root, 'bin/run'), modeOf(root, 'etc/key')], [0o755, 0o600]);
  assert.is((await runCli(['check', ...args, root])).code, 0);
});

test('leaves out the file that it writes to, and says so', () => {
  const root = makeTree({ f: 0o644 });
  const { status, stderr } = inShell(`${run} record . > tree.mtree`, root);
  assert.is(status, 0);
  assert.is(
    readFileSync(join(root, 'tree.mtree'), 'utf8'),
    '#mtree\n. type=dir mode=0755\n./f type=file mode=0644 size=0\n',
  );
  assert.match(stderr, /^note: tree.mtree: is the file that the record is written to, and is left out\n$/);
});

test('names what is left out on stderr', async () => {
  const root = makeTree({ f: 0o644 });
  execFileSync('mkfifo', [join(root, 'pipe\n')]);
  const { code, stdout, stderr } = await runCli(['record', root]);
  assert.equal([code, stdout.includes('pipe')], [0, false]);
  assert.match(stderr, /^note: pipe\\n: is a FIFO, a socket or a device/);
});

test('wrong usage, a root that is none, and what cannot be read are 2, with nothing on stdout', async () => {
  const root = makeTree({ f: 0o644, 'closed/f': 0o600 });
  for (const [args, pattern] of [
    [['--format', 'yaml', root], /Allowed: mtree, json/],
    [['--digest', 'md5', root], /Allowed: none, sha256/],
    [['--manifest', 'x', root], /unknown option '--manifest'/],
    [[], /missing required argument 'root'/],
    [[join(root, 'gone')], /ENOENT/],
    [[join(root, 'f')], /ENOTDIR/],
    [['/'], /is the root of the file system/],
    [['--ignore', '', root], /error: option --ignore: "" is not a glob/],
  ] as const) {
    const { code, stdout, stderr } = await runCli(['record', ...args]);
    assert.equal([code, stdout], [2, ''], stderr);
    assert.match(stderr, pattern);
  }
  if (isRoot) return console.log('  skipped: root may list every directory');
  chmodSync(join(root, 'closed'), 0);
  const { code, stdout, stderr } = await runCli(['record', root]);
  assert.equal([code, stdout], [2, ''], stderr);
  assert.match(stderr, /EACCES.*"closed"/);
});

test('a reader that leaves early is no failure, a full disk is one', () => {
  const root = makeTree({});
  for (let index = 0; index < 3000; index += 1) writeFileSync(join(root, `a-rather-long-name-${index}`), '');
  const early = inShell(`${run} record . | head -1`, root);
  assert.equal([early.status, early.stdout, early.stderr], [0, '#mtree\n', '']);
  const whole = inShell(`${run} record . | cat | wc -l`, root);
  assert.equal([whole.status, whole.stdout.trim()], [0, '3002']);
  if (!existsSync('/dev/full')) return;
  const full = inShell(`${run} record . > /dev/full`, root);
  assert.is(full.status, 1);
  assert.match(full.stderr, /^error: cannot write: .*(ENOSPC|os error 28)/);
});

test('Ctrl-C ends it with 130, and nothing on stdout', async () => {
  const root = makeTree({});
  mkdirSync(join(root, 'd'));
  // Sparse: a gigabyte to digest that takes no space.
  for (let index = 0; index < 8; index += 1) {
    execFileSync('truncate', ['-s', '1G', join(root, 'd', `${index}`)]);
  }
  const running = startCli(['record', '--digest', 'sha256', root], { env: cliEnvironment() });
  // It digests once it has opened a file.
  const opened = () => {
    const held = spawnSync('ls', ['-l', `/proc/${running.child.pid}/fd`], { encoding: 'utf8' }).stdout;
    return held.includes(join(root, 'd/'));
  };
  if (process.platform === 'linux') {
    while (!opened()) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  running.send('SIGINT');
  const { code, stdout, stderr } = await running.result;
  assert.equal([code, stdout], [130, '']);
  assert.match(stderr, /interrupted by SIGINT; nothing was printed/);
});

test.run();
