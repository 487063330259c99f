import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Manifest } from '../lib/manifest/manifest.ts';
import type { ApplyOptions } from '../lib/options.ts';
import type { RecordOptions } from '../lib/record/options.ts';
import type { PermissionReport } from '../lib/report.ts';
import { canMount, isRoot, NOBODY, outputOf, startScript } from './helpers/child.ts';
import { type MountedPass, type MountedResult, mountedAlone, passesIn } from './helpers/mounted.ts';
import { hasNative, reasonsOf } from './helpers/passes.ts';
import { runtime } from './helpers/runtime.ts';
import { makeTree, modeOf, modesBelow, type TreeShape, tempDirectory } from './helpers/tree.ts';

const isLinux = process.platform === 'linux';
const native = hasNative ? (['native'] as const) : [];
const backends = isLinux ? (['anchored', 'path', ...native] as const) : (['path'] as const);

/** Whether shell commands work in a mount namespace of their own. `$1` and `$2` are empty directories. */
function works(commands: string): boolean {
  if (!canMount) return false;
  const shell = ['-m', 'sh', '-e', '-c', commands, 'sh', tempDirectory(), tempDirectory()];
  return spawnSync('unshare', shell, { stdio: 'ignore' }).status === 0;
}

const hasMounts = works('mount -t tmpfs none "$1"; mount --bind "$1" "$2"');
const hasOverlay = works(
  'mkdir "$1/u" "$1/w"; mount -t overlay none -o lowerdir=/etc,upperdir="$1/u",workdir="$1/w" "$2"',
);
const hasExt4 = works('truncate -s 8M "$1/i"; mkfs.ext4 -q "$1/i"; mount -o loop "$1/i" "$2"');
const hasBindfs = works('bindfs "$1" "$2"; umount "$2"');
const hasUsers = isRoot && isLinux;

/** Where what the set-up mounts is seen by the passes alone, and a user who owns nothing. */
const mounting = passesIn({ setUp: ':' });
const nobody = passesIn({ asNobody: true });

/** A pass that is not strict, after shell commands that mount something, and the modes after it as its process sees them. */
function mountedPass(pass: MountedPass, setUp: string): Promise<MountedResult> {
  return mounting.ask({ ...pass, setUp });
}

/** The report of such a pass; of one that nobody makes where nothing is mounted. */
async function reportOf(pass: MountedPass): Promise<PermissionReport> {
  return (await (pass.setUp === undefined ? nobody : mounting).ask<MountedResult>(pass)).report;
}

/** What is unresolved with its errno, as `path: reason code`. */
function problemsOf({ unresolved }: PermissionReport): string[] {
  return unresolved.map(({ path, reason, code }) => `${path}: ${reason} ${code}`);
}

/** A tree that belongs to nobody where this process is root, and to this process's user elsewhere. */
function makeUsersTree(shape: TreeShape): string {
  const root = makeTree(shape);
  if (isRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, root]);
  return root;
}

/** Modes of everything in a tree without links; opens its directories on the way, for those who are not root. */
function modesOpening(root: string, path = '.'): Record<string, string> {
  const full = join(root, path);
  const modes: Record<string, string> = { [path]: modeOf(full).toString(8) };
  if (!lstatSync(full).isDirectory()) return modes;
  chmodSync(full, 0o700);
  for (const name of readdirSync(full).sort()) {
    Object.assign(modes, modesOpening(root, path === '.' ? name : `${path}/${name}`));
  }
  return modes;
}

const NEEDS_MOUNTS = 'root, unshare and mount on Linux';
const all = suite('file systems');

/** A test that mounts, and needs something else that is not everywhere. */
function testWhere(isThere: boolean, lack: string) {
  if (isThere) return all;
  const why = canMount ? lack : `${NEEDS_MOUNTS} (and ${lack})`;
  console.log(`  file systems: some tests are skipped, they need ${why}`);
  return all.skip;
}

const testMounts = testWhere(hasMounts, 'mounts to be allowed');
const testHiddenProc = testWhere(
  hasMounts && runtime === 'node',
  'Node, which alone starts without its own /proc',
);
const testOverlay = testWhere(hasOverlay, 'overlayfs');
const testExt4 = testWhere(hasExt4, 'mkfs.ext4 and a loop device');
const testBindfs = testWhere(hasBindfs, 'bindfs');
const testUsers = testWhere(hasUsers, 'root on Linux to act as other users');

/** Do the same on each backend. */
function onEachBackend(check: (backend: PermissionReport['backend']) => Promise<void>): () => Promise<void> {
  return async () => {
    const checks = backends.map(async (backend) => {
      try {
        await check(backend);
      } catch (error) {
        console.error(`\n  ${backend}:`);
        throw error;
      }
    });
    await Promise.all(checks);
  };
}

/** Where the id of the bindfs that shows a directory is written down. */
const pidFileOf = (source: string): string => `${source}.pid`;

/**
 * Shell commands that show a directory at `$1`, or elsewhere, through bindfs, until {@link endBindfs}. In the background it would keep
 * its mount namespace, and so itself, alive for ever.
 */
function startBindfs(source: string, option = '', at = '$1'): string {
  return `
    bindfs -f ${option} "${source}" "${at}" </dev/null >/dev/null 2>&1 &
    echo $! > "${pidFileOf(source)}"
    until mountpoint -q "${at}"; do kill -0 $!; sleep 0.01; done`;
}

/** End the bindfs that shows a directory, where there is one. */
function endBindfs(source: string): void {
  if (!existsSync(pidFileOf(source))) return;
  process.kill(Number(readFileSync(pidFileOf(source), 'utf8')));
  rmSync(pidFileOf(source));
}

/** A tree with a tmpfs, a directory of the same device and a file of it mounted inside. */
function makeMountedTree(): { root: string; elsewhere: string; setUp: string } {
  const elsewhere = makeTree({ 'd/': 0o700, 'd/f': 0o600, file: 0o600 });
  const root = makeTree({ 'a/f': 0o600, 'a/tmp/': 0o700, 'bound/': 0o700, boundfile: 0o600 });
  const setUp = `
    mount -t tmpfs -o mode=700 none "$1/a/tmp"
    mkdir -m 700 "$1/a/tmp/d"
    touch "$1/a/tmp/f" "$1/a/tmp/d/f"
    chmod 600 "$1/a/tmp/f" "$1/a/tmp/d/f"
    mount --bind "${elsewhere}" "$1/bound"
    mount --bind "${elsewhere}/file" "$1/boundfile"`;
  return { root, elsewhere, setUp };
}

for (const backend of ['anchored', ...native] as const) {
  testMounts(`what is mounted inside is not entered, and ignored (${backend})`, async () => {
    const { root, elsewhere, setUp } = makeMountedTree();
    const { report, modes } = await mountedPass({ root, backend, options: { mode: 'a+rX' } }, setUp);
    assert.is(report.backend, backend);
    assert.equal(problemsOf(report), []);
    const { visited, changed, ignored } = report.counts;
    assert.equal({ visited, changed, ignored }, { visited: 3, changed: 1, ignored: 3 });
    assert.is(modes['a/f'], '644');
    assert.is(modes['a/tmp'], '700');
    assert.is(modes['a/tmp/f'], '600');
    assert.is(modes['a/tmp/d/f'], '600');
    assert.equal(modesBelow(elsewhere), { '.': '755', d: '700', 'd/f': '600', file: '600' });
  });

  testMounts(`a file that another is mounted on is ignored, were its mode right (${backend})`, async () => {
    const [root, elsewhere] = [makeTree({ a: 0o644, b: 0o644 }), makeTree({ file: 0o644 })];
    const setUp = `mount --bind "${elsewhere}/file" "$1/b"`;
    const { report } = await mountedPass({ root, backend, options: { mode: 'a+rX' } }, setUp);
    assert.equal([report.counts.unchanged, report.counts.ignored], [2, 1]);
  });

  testMounts(
    `what is mounted inside is known by its mount, whoever renames the directory above it (${backend})`,
    async () => {
      const elsewhere = makeTree({ secret: 0o600 });
      const root = makeTree({ f: 0o600, 'z/m/': 0o700, 'z/f': 0o600 });
      // The root is changed first: what is mounted inside has been looked for by then, and nothing has been listed yet.
      const rename: [string, string] = [join(root, 'z'), join(root, 'zz')];
      const setUp = `mount --bind "${elsewhere}" "$1/z/m"`;
      const { report, modes } = await mountedPass(
        { root, backend, options: { mode: 'a+rwX' }, rename },
        setUp,
      );
      assert.is(report.backend, backend);
      assert.equal(problemsOf(report), []);
      assert.is(report.counts.ignored, 1);
      assert.equal(modes, {
        '.': '777',
        f: '666',
        zz: '777',
        'zz/f': '666',
        'zz/m': '755',
        'zz/m/secret': '600',
      });
    },
  );
}

for (const backend of ['anchored', ...native] as const) {
  testMounts(
    `what is mounted elsewhere is not entered once it is moved into the tree (${backend})`,
    async () => {
      const elsewhere = makeTree({ secret: 0o600 });
      const parent = makeTree({ 'root/f': 0o600, 'z/m/': 0o755, 'z/f': 0o600, 'z/file': 0o600 });
      const root = join(parent, 'root');
      const rename: [string, string] = [join(parent, 'z'), join(root, 'z')];
      const setUp = `
      mount --bind "${elsewhere}" "${parent}/z/m"
      mount --bind "${elsewhere}/secret" "${parent}/z/file"`;
      const { report, modes } = await mountedPass(
        { root, backend, options: { mode: 'a+rwX' }, rename },
        setUp,
      );
      assert.is(report.backend, backend);
      assert.equal(problemsOf(report), []);
      assert.is(report.counts.ignored, 2);
      assert.equal([modes.f, modes['z/f'], modes['z/file']], ['666', '666', '600']);
      assert.equal(modesBelow(elsewhere), { '.': '755', secret: '600' });
    },
  );

  testMounts(`a mount under another one, or on itself, is known, too (${backend})`, async () => {
    const elsewhere = makeTree({ secret: 0o600, 'd/secret': 0o600 });
    const root = makeTree({ f: 0o600, 'a/': 0o755, 'b/f': 0o600 });
    // Nobody finds out which inode the lower one is of.
    const setUp = `
      mount --bind "${elsewhere}" "$1/a"
      mount --bind "${elsewhere}/d" "$1/a"
      mount --bind "$1/b" "$1/b"`;
    const { report } = await mountedPass({ root, backend, options: { mode: 'a+rwX' } }, setUp);
    assert.equal(problemsOf(report), []);
    const { changed, ignored } = report.counts;
    assert.equal({ changed, ignored }, { changed: 2, ignored: 2 });
    assert.equal(modesBelow(elsewhere), { '.': '755', d: '755', 'd/secret': '600', secret: '600' });
    assert.is(modeOf(root, 'b/f'), 0o600);
  });
}

for (const digest of ['none', 'sha256'] as const) {
  testMounts(
    `what is mounted inside is in no record, and each is named (digest: ${digest})`,
    onEachBackend(async (backend) => {
      // By path, what is mounted of the same device cannot be seen.
      const { root, setUp } = makeMountedTree();
      const options: RecordOptions = { digest, ignore: backend === 'path' ? 'bound*' : [] };
      const question = { root, backend, setUp, options, isRecord: true };
      const { entries, warnings } = await mounting.ask<Pick<Manifest, 'entries' | 'warnings'>>(question);
      assert.equal(
        entries.map(({ path }) => path),
        ['.', 'a', 'a/f'],
      );
      const named = warnings.map(({ code, path }) => `${code} ${path}`).sort();
      const all = ['mount-point a/tmp', 'mount-point bound', 'mount-point boundfile'];
      assert.equal(named, backend === 'path' ? all.slice(0, 1) : all);
    }),
  );
}

testMounts('a mount on one of another device is known, too', async () => {
  const elsewhere = makeTree({ secret: 0o600 });
  const root = makeTree({ 'a/': 0o755 });
  const setUp = `mount -t tmpfs none "$1/a"; mount --bind "${elsewhere}" "$1/a"`;
  // Alone: where one mount cannot be told, all are compared.
  const { report } = await mountedAlone({ root, options: { mode: 'a+rwX' } }, { setUp });
  assert.is(report.counts.ignored, 1);
  assert.is(modeOf(elsewhere, 'secret'), 0o600);
});

testMounts(
  'with a digest, what is mounted is not even read',
  onEachBackend(async (backend) => {
    // By path, what is mounted of the same device cannot be seen.
    if (backend === 'path') return;
    const elsewhere = makeTree({ file: 'content' });
    const root = makeTree({ file: '', 'd/': 0o755 });
    const digest = { algorithm: 'sha256', value: createHash('sha256').update('content').digest('hex') };
    const file = { type: 'file', size: 7, mode: 0o755, digest } as const;
    const options: ApplyOptions = {
      verify: 'content',
      retry: false,
      manifest: [
        { path: 'd/file', ...file },
        { path: 'file', ...file },
      ],
    };
    const setUp = `mount --bind "${elsewhere}/file" "$1/file"; mount --bind "${elsewhere}" "$1/d"`;
    const report = await reportOf({ root, backend, options, setUp });
    assert.equal(problemsOf(report), [
      'd/file: unsafe-path ERR_PERMWALK_CROSS_DEVICE',
      'file: unsafe-path ERR_PERMWALK_CROSS_DEVICE',
    ]);
    assert.is(modeOf(elsewhere, 'file'), 0o644);
  }),
);

testMounts('the path backend does not enter another device', async () => {
  const { root, setUp } = makeMountedTree();
  const report = await reportOf({
    root,
    setUp,
    backend: 'path',
    options: { mode: 'a+rX', ignore: 'bound*' },
  });
  assert.equal(problemsOf(report), []);
  assert.is(report.counts.changed, 1);
  assert.is(report.counts.ignored, 3);
});

const mountedFiles = ['a/tmp/d/f', 'a/tmp/f', 'bound/d/f', 'boundfile'];
const mountedEntries = ['a/tmp/', 'a/tmp/d/', 'bound/', 'bound/d/', ...mountedFiles].sort();

for (const discover of [false, true]) {
  testMounts(
    `what a manifest names below a mount point is unsafe and untouched (discover: ${discover})`,
    async () => {
      const passes = [mountedFiles, mountedEntries].map(async (listed) => {
        const { root, elsewhere, setUp } = makeMountedTree();
        const options: ApplyOptions = { mode: 'a+rX', manifest: ['a/f', ...listed], discover };
        const { report, modes } = await mountedPass({ root, options }, setUp);
        const problems = listed.map(
          (path) => `${path.replace(/\/$/, '')}: unsafe-path ERR_PERMWALK_CROSS_DEVICE`,
        );
        assert.equal(problemsOf(report), problems);
        assert.is(report.settle.rounds, 0, 'nothing waits for what will not be entered');
        assert.is(modes['a/f'], '644');
        assert.is(modes['a/tmp/f'], '600');
        assert.is(modes['a/tmp/d/f'], '600');
        assert.equal(modesBelow(elsewhere), { '.': '755', d: '700', 'd/f': '600', file: '600' });
      });
      await Promise.all(passes);
    },
  );
}

testMounts('crossDevice enters what is mounted inside', async () => {
  const { root, elsewhere, setUp } = makeMountedTree();
  const options: ApplyOptions = { mode: 'a+rX', crossDevice: true, manifest: mountedEntries, discover: true };
  const { report, modes } = await mountedPass({ root, options }, setUp);
  assert.equal(problemsOf(report), []);
  assert.is(report.counts.ignored, 0);
  assert.is(modes['a/tmp'], '755');
  assert.is(modes['a/tmp/f'], '644');
  assert.is(modes['a/tmp/d'], '755');
  assert.is(modes['a/tmp/d/f'], '644');
  assert.equal(modesBelow(elsewhere), { '.': '755', d: '755', 'd/f': '644', file: '644' });
});

/** File systems that keep what they are given. Each is mounted at `$1`; `scratch` is an empty directory beside it. */
const ordinary: [name: string, test: typeof testMounts, mount: (scratch: string) => string][] = [
  [
    'ext4',
    testExt4,
    (scratch) => `truncate -s 8M "${scratch}/image"; mkfs.ext4 -q "${scratch}/image"
      mount -o loop "${scratch}/image" "$1"; rmdir "$1/lost+found"`,
  ],
  ['tmpfs', testMounts, () => 'mount -t tmpfs none "$1"'],
  [
    'overlayfs',
    testOverlay,
    (scratch) => `mkdir "${scratch}/lower" "${scratch}/upper" "${scratch}/work"
      mount -t overlay none -o "lowerdir=${scratch}/lower,upperdir=${scratch}/upper,workdir=${scratch}/work" "$1"`,
  ],
  ['a bind mount', testMounts, (scratch) => `mount --bind "${scratch}" "$1"`],
  ['bindfs', testBindfs, (scratch) => startBindfs(scratch)],
];

for (const [name, test, mount] of ordinary) {
  test(
    `${name} as the tree: every mode is set and kept`,
    onEachBackend(async (backend) => {
      const root = tempDirectory();
      const scratch = tempDirectory();
      const setUp = `
        ${mount(scratch)}
        chmod 700 "$1"
        mkdir -m 700 "$1/bin"
        echo content | tee "$1/bin/run" > "$1/bin/data"
        chmod 600 "$1/bin/run" "$1/bin/data"
        ln -s bin/run "$1/link"`;
      const options: ApplyOptions = {
        mode: 'u+rwX,go+rX',
        executable: 'bin/run',
        umask: 0o022,
        manifest: [{ path: 'bin/run', size: 8 }, 'bin/data', { path: 'link', linkTarget: 'bin/run' }],
      };
      const { report, modes } = await mountedPass({ root, options, backend }, setUp).finally(() =>
        endBindfs(scratch),
      );
      assert.equal(problemsOf(report), []);
      assert.is(report.backend, backend);
      assert.is(report.counts.changed, 4);
      assert.is(report.counts.ignored, 0);
      assert.equal(modes, { '.': '755', bin: '755', 'bin/run': '755', 'bin/data': '644' });
    }),
  );
}

testOverlay(
  'what an overlay changes stays as it is below',
  onEachBackend(async (backend) => {
    const lower = makeTree({ 'bin/run': 0o644, 'bin/data': 0o644, 'bin/kept': 0o755 });
    const [upper, work, root] = [makeTree({}), tempDirectory(), tempDirectory()];
    const setUp = `mount -t overlay none -o "lowerdir=${lower},upperdir=${upper},workdir=${work}" "$1"`;
    const options: ApplyOptions = { executable: 'bin/run', mode: 'go-w', umask: 0o022 };
    const { report, modes } = await mountedPass({ root, options, backend }, setUp);
    assert.ok(report.ok);
    assert.is(report.counts.changed, 1);
    assert.equal(modes, { '.': '755', bin: '755', 'bin/run': '755', 'bin/data': '644', 'bin/kept': '755' });
    assert.is(modeOf(lower, 'bin/run'), 0o644);
    assert.equal(
      modesBelow(upper),
      { '.': '755', bin: '755', 'bin/run': '755' },
      'nothing else is copied up',
    );
  }),
);

testOverlay(
  'what is mounted on an overlay of two file systems is known where nothing of itself is',
  async () => {
    const lower = makeTree({ 'd/low': 0o600, 'd/m/': 0o700 });
    const elsewhere = makeTree({ secret: 0o600 });
    const [scratch, root] = [tempDirectory(), tempDirectory()];
    const setUp = `
    mount -t tmpfs none "${scratch}"; mkdir "${scratch}/upper" "${scratch}/work"
    mount -t overlay none -o "xino=off,lowerdir=${lower},upperdir=${scratch}/upper,workdir=${scratch}/work" "$1"
    mount --bind "${elsewhere}" "$1/d/m"`;
    const { report } = await mountedAlone({ root, options: { mode: 'a+r' } }, { setUp });
    const { changed, ignored } = report.counts;
    assert.equal({ changed, ignored }, { changed: 1, ignored: 1 });
    assert.is(modeOf(elsewhere, 'secret'), 0o600);
  },
);

testOverlay(
  'an overlay of two file systems, whose files have their devices: what is mounted on it is known all the same',
  async () => {
    for (const backend of ['anchored', ...native] as const) {
      const lower = makeTree({ 'd/low': 0o600, 'd/m/': 0o700, file: 0o600 });
      const elsewhere = makeTree({ secret: 0o600 });
      const [scratch, root] = [tempDirectory(), tempDirectory()];
      const setUp = `
        mount -t tmpfs none "${scratch}"; mkdir "${scratch}/upper" "${scratch}/work"
        mount -t overlay none -o "xino=off,lowerdir=${lower},upperdir=${scratch}/upper,workdir=${scratch}/work" "$1"
        touch "$1/d/up" "$1/bound" "$1/other"; chmod 600 "$1/d/up"
        mount --bind "${elsewhere}" "$1/d/m"; mount --bind "$1/file" "$1/bound"
        mount --bind "${elsewhere}/secret" "$1/other"`;
      const { report, modes } = await mountedPass({ root, options: { mode: 'a+r' }, backend }, setUp);
      assert.equal(problemsOf(report), []);
      const { changed, ignored } = report.counts;
      assert.equal({ changed, ignored }, { changed: 3, ignored: 3 }, backend);
      assert.equal([modes['d/low'], modes['d/up'], modes.file], ['644', '644', '644']);
      assert.is(modeOf(elsewhere, 'secret'), 0o600);
      const question = { root, backend, options: {}, isRecord: true };
      const { entries } = await mounting.ask<Pick<Manifest, 'entries'>>(question);
      assert.equal(
        entries.map(({ path }) => path),
        ['.', 'd', 'd/low', 'd/up', 'file'],
      );
    }
  },
);

testMounts(
  'a tree that is mounted read-only: what has its mode is well, all else is read-only',
  onEachBackend(async (backend) => {
    const source = makeTree({ 'd/f': 0o600, 'd/well': 0o644, well: 0o755 });
    const root = tempDirectory();
    const setUp = `mount --bind "${source}" "$1"; mount -o remount,bind,ro "$1"`;
    const report = await reportOf({ root, setUp, backend, options: { mode: 'a+rX', executable: 'd/f' } });
    assert.equal(problemsOf(report), ['d/f: read-only EROFS']);
    assert.is(report.counts.unchanged, 4);
    assert.is(report.settle.rounds, 0, 'waiting mends no mount');
    assert.is(modeOf(source, 'd/f'), 0o600);
  }),
);

testMounts(
  'what is mounted read-only is read-only, the rest is done',
  onEachBackend(async (backend) => {
    const root = makeTree({ 'ro/f': 0o600, 'ro/well': 0o644, 'ro/d/': 0o700, 'rw/f': 0o600, 'z/f': 0o600 });
    const setUp = 'mount --bind "$1/ro" "$1/ro"; mount -o remount,bind,ro "$1/ro"';
    const report = await reportOf({ root, setUp, backend, options: { mode: 'a+rX', crossDevice: true } });
    assert.equal(problemsOf(report), ['ro/d: read-only EROFS', 'ro/f: read-only EROFS']);
    assert.is(report.counts.changed, 2);
    assert.is(modeOf(root, 'ro/f'), 0o600);
    assert.is(modeOf(root, 'rw/f'), 0o644);
    assert.is(modeOf(root, 'z/f'), 0o644);
  }),
);

for (const [option, problem, code] of [
  ['--chmod-ignore', 'not-applied', 'ERR_PERMWALK_NOT_APPLIED'],
  ['--chmod-deny', 'permission-denied', 'EPERM'],
] as const) {
  testBindfs(
    `bindfs ${option}: each entry is ${problem}`,
    onEachBackend(async (backend) => {
      const source = makeTree({ 'a/f': 0o600, 'a/well': 0o644, 'b/': 0o700 });
      const root = tempDirectory();
      const setUp = startBindfs(source, option);
      const options = { mode: 'a+rX' };
      const report = await reportOf({ root, setUp, backend, options }).finally(() => endBindfs(source));
      assert.equal(problemsOf(report), [`a/f: ${problem} ${code}`, `b: ${problem} ${code}`]);
      assert.is(report.counts.changed, 0);
      assert.is(report.counts.unchanged, 3);
      if (problem === 'not-applied') {
        const facts = report.unresolved.map(({ expected, actual }) => [expected?.mode, actual?.mode]);
        assert.equal(facts, [
          [0o644, 0o600],
          [0o755, 0o700],
        ]);
      }
    }),
  );
}

testBindfs(
  'what ignores modes is asked for the mode that it left, were the root on another file system',
  onEachBackend(async (backend) => {
    const source = makeTree({ f: 0o600, well: 0o644 });
    const root = makeTree({ f: 0o600, 'inside/': 0o755 });
    const setUp = startBindfs(source, '--chmod-ignore', '$1/inside');
    const options = { mode: 'a+rX', crossDevice: true };
    const report = await reportOf({ root, setUp, backend, options }).finally(() => endBindfs(source));
    assert.equal(problemsOf(report), ['inside/f: not-applied ERR_PERMWALK_NOT_APPLIED']);
    assert.is(report.counts.changed, 1);
    assert.is(modeOf(root, 'f'), 0o644);
  }),
);

testUsers(
  'a plain user: what belongs to others is denied, the rest is done',
  onEachBackend(async (backend) => {
    const root = makeTree({
      'closed/': 0o700,
      'closed/f': 0o600,
      'mine/f': 0o600,
      'theirs/f': 0o600,
      'theirs/mine': 0o600,
      'theirs/well': 0o644,
    });
    for (const path of ['mine', 'mine/f', 'theirs/mine']) chownSync(join(root, path), NOBODY, NOBODY);
    const report = await reportOf({ root, backend, options: { mode: 'a+rX' } });
    assert.equal(reasonsOf(report), ['closed: permission-denied', 'theirs/f: permission-denied']);
    assert.is(report.unresolved[1]?.code, 'EPERM');
    assert.is(report.counts.changed, 2);
    assert.is(modeOf(root, 'mine/f'), 0o644);
    assert.is(modeOf(root, 'theirs/mine'), 0o644);
    assert.is(modeOf(root, 'theirs/f'), 0o600);
    assert.is(modeOf(root, 'closed'), 0o700);
  }),
);

testUsers(
  'a directory that cannot be listed is unresolved, whatever its mode',
  onEachBackend(async (backend) => {
    const root = makeTree({ 'closed/': 0o700, 'closed/f': 0o755, 'open/f': 0o755 });
    const walked = await reportOf({ root, backend });
    assert.equal(problemsOf(walked), ['closed: permission-denied EACCES']);
    const options = { manifest: ['closed/', 'closed/f', 'open/f'] };
    const listed = await reportOf({ root, backend, options });
    assert.equal(problemsOf(listed), ['closed/f: permission-denied EACCES']);
    assert.is(listed.settle.rounds, 0, 'waiting mends no rights');
  }),
);

all(
  'a plain user opens a tree that is closed to himself',
  onEachBackend(async (backend) => {
    const root = makeUsersTree({
      'a/b/f': 0,
      'a/b/x': 0o111,
      'a/': 0,
      'a/b/': 0,
      'unreadable/f': 0,
      'unreadable/': 0o300,
      f: 0,
    });
    chmodSync(root, 0);
    const report = await reportOf({ root, backend, options: { mode: 'u+rwX' } });
    assert.equal(problemsOf(report), []);
    assert.is(report.backend, backend);
    assert.is(report.counts.changed, 8);
    assert.equal(modesOpening(root), {
      '.': '700',
      a: '700',
      'a/b': '700',
      'a/b/f': '600',
      'a/b/x': '711',
      f: '600',
      unreadable: '700',
      'unreadable/f': '600',
    });
  }),
);

all(
  'a plain user closes a tree to himself, what is inside first',
  onEachBackend(async (backend) => {
    const passes = Object.entries({
      'u-x': ['655', '655'],
      'a-w': ['555', '555'],
      'a=rw': ['666', '666'],
      'u=rX,go=': ['500', '500'],
    }).map(async ([mode, [directories, files]]) => {
      const root = makeUsersTree({
        'a/b/f': 0o755,
        'a/b/': 0o755,
        'a/f': 0o755,
        'a.b/f': 0o755,
        'a.b/': 0o755,
      });
      const report = await reportOf({ root, backend, options: { mode } });
      assert.equal(problemsOf(report), [], mode);
      assert.is(report.counts.changed, 7, mode);
      assert.equal(modesOpening(root), {
        '.': directories,
        a: directories,
        'a.b': directories,
        'a.b/f': files,
        'a/b': directories,
        'a/b/f': files,
        'a/f': files,
      });
    });
    await Promise.all(passes);
  }),
);

all(
  'a directory that is opened and closed is opened first and closed last',
  onEachBackend(async (backend) => {
    const root = makeUsersTree({ 'a/': 0o200, 'a/b/': 0o200, 'a/b/f': 0o200 });
    const report = await reportOf({ root, backend, options: { mode: 'u=rX' } });
    assert.equal(problemsOf(report), []);
    assert.is(report.counts.changed, 4);
    assert.equal(modesOpening(root), { '.': '555', a: '500', 'a/b': '500', 'a/b/f': '400' });
  }),
);

all(
  'a manifest closes directories when everything in them has come',
  onEachBackend(async (backend) => {
    const root = makeUsersTree({ 'a/b/f': 0o644, 'a/f': 0o644 });
    const manifest = [
      { path: 'a', type: 'directory', mode: 0o400 },
      { path: 'a/b', type: 'directory', mode: 0o500 },
      { path: 'a/b/f', mode: 0o755 },
      { path: 'a/b/late', mode: 0o755 },
      { path: 'a/f', mode: 0o600 },
    ] as const;
    const retry = { retries: 2, minTimeout: 1, maxTimeout: 1, maxRetryTime: 100 };
    const options: ApplyOptions = { manifest, mode: 'manifest', umask: 0, retry };
    const report = await reportOf({ root, backend, options });
    assert.equal(problemsOf(report), ['a/b/late: missing ENOENT']);
    assert.equal(modesOpening(root), { '.': '755', a: '400', 'a/b': '500', 'a/b/f': '755', 'a/f': '600' });
  }),
);
testUsers(
  'setgid that chmod(2) drops is told',
  onEachBackend(async (backend) => {
    const root = makeUsersTree({ 'd/': 0o2700 });
    // Who is no member of the group, and not root, may not keep it.
    chownSync(join(root, 'd'), NOBODY, NOBODY - 1);
    chmodSync(join(root, 'd'), 0o2700);
    const report = await reportOf({ root, backend, options: { mode: 'g+rx' } });
    assert.equal(
      report.unresolved.map(({ path, reason, expected, actual }) => [path, reason, expected, actual]),
      [['d', 'not-applied', { mode: 0o2750 }, { mode: 0o750 }]],
    );
  }),
);

testMounts('`/` is refused by whatever path', async () => {
  const root = makeTree({});
  // Nothing would be changed, and hardly anything looked at.
  const options: ApplyOptions = { dryRun: true, maxEntries: 1 };
  await mountedPass({ root, options }, 'mount --bind / "$1"').then(
    () => assert.unreachable(),
    (error: Error) =>
      assert.match(error.message, /is the root of the file system: name a directory below it$/m),
  );
});

testUsers('a process that dropped its rights without exec can do what it still may', async () => {
  const root = makeUsersTree({ 'a/b/f': 0o600, 'a/b/': 0, 'a/run': 0o644, theirs: 0o600 });
  chownSync(join(root, 'theirs'), 0, 0);
  const manifest = ['a/b/f', { path: 'a/run', mode: 0o755 }, 'theirs'];
  const options: ApplyOptions = { manifest, mode: 'u+rwX,go+r', executable: 'a/run', umask: 0o022 };
  const { report, modes } = await mountedAlone({ root, options, become: NOBODY });
  assert.equal(problemsOf(report), ['theirs: permission-denied EPERM']);
  assert.equal(modes, {
    '.': '755',
    a: '755',
    'a/b': '744',
    'a/b/f': '644',
    'a/run': '755',
    theirs: '600',
  });
});

testHiddenProc(
  'in a process namespace of its own a process is found by the number that /proc has for it',
  async () => {
    const root = makeTree({ 'bin/run': 0o644 });
    const options: ApplyOptions = { executable: 'bin/run', umask: 0 };
    const { report, modes } = await mountedAlone(
      { root, options },
      { setUp: 'shift 3; exec unshare -pf "$@"' },
    );
    assert.equal(problemsOf(report), []);
    assert.is(report.backend, 'anchored');
    assert.equal(modes, { '.': '755', bin: '755', 'bin/run': '755' });
  },
);

/** What a process can reach there leads to `/`, as its own descriptor of that does. */
const imitatedProc = `
  mount -t tmpfs none /proc; mkdir -p /proc/1/fd /proc/1/fdinfo; ln -s 1 /proc/self
  for fd in $(seq 0 99); do ln -s / /proc/1/fd/$fd; done`;

for (const [what, setUp] of [
  ['a directory', 'mount --bind "$1" /proc'],
  ['an imitation', imitatedProc],
  ['the one of other processes', `unshare -pf mount -t proc none /proc`],
] as const) {
  testHiddenProc(`where /proc is ${what}, the path backend serves`, async () => {
    const root = makeTree({ 'bin/run': 0o644, 'bin/data': 0o644 });
    const { report, modes } = await mountedAlone(
      { root, options: { executable: 'bin/run' } },
      { setUp: `umask 027; ${setUp}` },
    );
    assert.equal(problemsOf(report), []);
    assert.is(report.backend, 'path');
    assert.equal(modes, { '.': '755', bin: '755', 'bin/run': '754', 'bin/data': '644' });
  });

  testHiddenProc(`where /proc is ${what}, an extraction is published all the same`, async () => {
    const script = fileURLToPath(new URL('helpers/extraction-child.js', import.meta.url));
    const parent = tempDirectory();
    const destination = join(parent, 'unpacked');
    const child = startScript(script, [destination], { root: tempDirectory(), setUp });
    assert.is(await outputOf(child), 'created');
    assert.equal(readdirSync(parent), ['unpacked']);
    assert.is(modeOf(destination, 'run'), 0o755);
  });
}

all.after(async () => {
  await Promise.all([mounting.end(), nobody.end()]);
});

all.run();
