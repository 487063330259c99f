import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { recordManifest } from '../lib/index.ts';
import { isRoot } from './helpers/child.ts';
import { allPasses, impatient, reasonsOf, rejectedReport } from './helpers/passes.ts';
import { canUseByteNames, runtime } from './helpers/runtime.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

/** Descriptors of this process that are files or directories: a runtime closes the pipes of a child when it likes. */
function openDescriptors(): number {
  if (!existsSync('/proc/self/fd')) return 0;
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => target.startsWith('/')).length;
}

const oddNames = [
  ' ',
  'two words ',
  'line\nbreak',
  'tab\t',
  `"double" and 'single'`,
  '-rf',
  '--',
  '$(id)',
  '`id`',
  '*',
  '[a]',
  '{a,b}',
  '!not',
  'back\\slash',
  'emoji 🦊🏳️‍🌈',
  '\u001b[31mred',
  '\u202eltr',
  '...',
  '.hidden',
  'x'.repeat(255),
  'ü'.repeat(127),
];

for (const { backend, title, apply } of allPasses) {
  const test = suite(`hostile (${title})`);

  test('odd names are names like any other', async () => {
    const root = makeTree(Object.fromEntries(oddNames.flatMap((name) => [[`${name}/${name}`, 0o600]])));
    await apply(root, { mode: 'a+rX' });
    for (const name of oddNames) assert.is(modeOf(root, name, name), 0o644, name);
    const manifest = oddNames.map((name) => ({
      path: `${name}/${name}`,
      mode: 0o755,
      type: 'file' as const,
    }));
    const report = await apply(root, { manifest, umask: 0 });
    assert.is(report.counts.changed, oddNames.length);
    for (const name of oddNames) assert.is(modeOf(root, name, name), 0o755, name);
  });

  test('NFC and NFD are two names where the file system says so', async () => {
    const composed = 'caf\u00e9';
    const decomposed = 'cafe\u0301';
    const root = makeTree({ [composed]: 0o600 });
    if (existsSync(join(root, decomposed))) {
      console.log('  skipped: this file system takes both for one name');
      return;
    }
    const report = await rejectedReport(apply(root, { manifest: [composed, decomposed], retry: impatient }));
    assert.equal(reasonsOf(report), [`${decomposed}: missing`]);
    writeFileSync(join(root, decomposed), '');
    assert.is((await apply(root, { manifest: [composed, decomposed] })).counts.visited, 3);
  });

  if (process.platform === 'linux') {
    const withByteNames = canUseByteNames() ? test : test.skip;
    withByteNames('names that are not UTF-8 are served where nothing has to name them', async () => {
      const root = tempDirectory();
      const bytes = (name: string) => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, 'latin1')]);
      mkdirSync(bytes('d\xff'));
      writeFileSync(bytes('d\xff/f\xfe'), '', { mode: 0o600 });
      writeFileSync(bytes('\xe9t\xe9'), '', { mode: 0o600 });
      writeFileSync(join(root, '\ufffd'), '', { mode: 0o600 });
      const report = await apply(root, { mode: 'go+r', manifest: ['\ufffd'], discover: true });
      assert.ok(report.ok);
      assert.is(lstatSync(bytes('d\xff/f\xfe')).mode & 0o777, 0o644);
      assert.is(lstatSync(bytes('\xe9t\xe9')).mode & 0o777, 0o644);
      assert.is(modeOf(root, '\ufffd'), 0o644);

      const globbed = await rejectedReport(apply(root, { executable: '**' }));
      assert.equal(reasonsOf(globbed), ['d\udcff: undecodable-name', '\udce9t\udce9: undecodable-name']);
      assert.is(lstatSync(bytes('\xe9t\xe9')).mode & 0o777, 0o644);
      assert.is(modeOf(root, '\ufffd') & 0o100, 0o100);
      const json = JSON.parse(JSON.stringify(globbed));
      assert.is(json.unresolved[0].path, 'd\udcff');

      const named = await apply(root, { manifest: [{ path: 'd\udcff/f\udcfe', mode: 0o755 }], umask: 0 });
      assert.is(named.counts.changed, 1, 'a manifest may write the bytes as the report does');
      const lossy = await rejectedReport(apply(root, { manifest: ['\ufffdt\ufffd'], retry: impatient }));
      assert.equal(reasonsOf(lossy), ['\ufffdt\ufffd: undecodable-name']);
    });

    test('an entry whose name the runtime cannot use is told of', async () => {
      const root = makeTree({ 'd/f': 0o600, '\ufffd': 0o600 });
      const names = `"$(printf 'd/b\\377')" "$(printf 'd/d\\377')"`;
      execFileSync('sh', ['-c', `set -- ${names}; touch "$1"; mkdir "$2"; touch "$2/in"`], { cwd: root });
      for (const maxEntries of [undefined, 10]) {
        const report = await apply(root, { mode: 'go+r', strict: false, maxEntries });
        const unreached = ['d/b\ufffd: undecodable-name', 'd/d\ufffd: undecodable-name'];
        assert.equal(reasonsOf(report), runtime === 'deno' ? unreached : []);
        assert.is(report.counts.visited, runtime === 'deno' ? 4 : 7);
        assert.equal([modeOf(root, 'd/f'), modeOf(root, '\ufffd')], [0o644, 0o644]);
      }
      const recorded = await recordManifest(root).catch((error) => error);
      if (runtime === 'deno') assert.match(recorded.message, /name is not UTF-8.*"d\/b\ufffd"/);
      else assert.is(recorded.entries.length, 7);
    });
  }

  test('a FIFO, a socket and a device are never changed and never opened', async () => {
    const root = makeTree({ f: 0o600 });
    execFileSync('mkfifo', ['-m', '600', join(root, 'fifo')]);
    const server = createServer().listen(join(root, 'socket'));
    await new Promise((resolve) => server.on('listening', resolve));
    let special = 2;
    if (isRoot) {
      try {
        execFileSync('mknod', ['-m', '600', join(root, 'device'), 'c', '1', '3']);
        special += 1;
      } catch {
        console.log('  skipped: no device nodes may be made here');
      }
    }
    const before = lstatSync(join(root, 'socket')).mode;
    const report = await apply(root, { mode: 'a+rwx', executable: '**' });
    assert.is(report.counts.special, special);
    assert.is(modeOf(root, 'fifo'), 0o600);
    assert.is(lstatSync(join(root, 'socket')).mode, before);
    const manifest = ['fifo', { path: 'socket', type: 'file' as const }];
    const typed = await rejectedReport(apply(root, { manifest, mode: 'a+rwx' }));
    assert.equal(reasonsOf(typed), ['socket: type-mismatch']);
    assert.equal(typed.unresolved[0]?.actual, { type: 'other' });
    await new Promise((resolve) => server.close(resolve));
  });

  test('links are never changed, and neither is what they lead to outside', async () => {
    const outside = makeTree({ f: 0o600, 'd/f': 0o600, 'd/': 0o700 });
    const root = makeTree({
      file: `-> ${outside}/f`,
      directory: `-> ${outside}/d`,
      up: '-> ../../../../../../etc/passwd',
      'deep/up': `-> ../../${outside.split('/').at(-1)}/f`,
    });
    const report = await apply(root, { mode: 0o777, executable: '**' });
    assert.is(report.counts.links, 4);
    assert.is(modeOf(outside, 'f'), 0o600);
    assert.is(modeOf(outside, 'd'), 0o700);
    assert.is(modeOf(outside, 'd/f'), 0o600);
    assert.equal(
      report.links.map(({ path, kind }) => `${path}: ${kind}`),
      ['deep/up: outside', 'directory: outside', 'file: outside', 'up: outside'],
    );
  });

  test('no descriptor stays open, whatever happens', async () => {
    const root = makeTree({ 'a/b/c/f': 0o600, 'a/l': '-> b', 'x/y': 0o600 });
    const before = openDescriptors();
    await apply(root, { mode: 'a+r' });
    await apply(root, { manifest: ['a/b/c/gone', 'a/l/c/f', 'no/such'], retry: impatient, strict: false });
    await apply(root, { mode: 'a+r', maxEntries: 2 }).catch(() => undefined);
    await apply(root, { mode: 'a+w', onChange: () => assert.unreachable() }).catch(() => undefined);
    await apply(join(root, 'gone')).catch(() => undefined);
    await apply(join(root, 'x/y')).catch(() => undefined);
    assert.ok(openDescriptors() <= before);
  });

  if (backend !== 'path') {
    test('trees deeper than PATH_MAX and than the descriptors that are kept', async () => {
      const root = makeTree({});
      const script = `
import os, sys
os.chdir(sys.argv[1])
for i in range(300):
    os.mkdir("d" * 100)
    open("f", "w").close()
    os.mkdir("z")
    open("z/f", "w").close()
    os.chmod("f", 0o600)
    os.chdir("d" * 100)
`;
      execFileSync('python3', ['-c', script, root]);
      const before = openDescriptors();
      const report = await apply(root, { mode: 'go+r', umask: 0 });
      assert.is(report.counts.visited, 1 + 4 * 300);
      const deepest = `${`${'d'.repeat(100)}/`.repeat(299)}f`;
      const manifest = [{ path: deepest, mode: 0o755 }, `${'d'.repeat(100)}/`.repeat(200), 'f', 'z/f'];
      const listed = await apply(root, { manifest, umask: 0, discover: false });
      assert.is(listed.counts.changed, 1);
      assert.is((await apply(root, { mode: 'go+r' })).counts.unchanged, 1 + 4 * 300);
      assert.ok(openDescriptors() <= before);
    });

    test('a directory that is moved while it is held open is found again, or refused', async () => {
      const levels = Array.from({ length: 60 }, (_, index) => `d${index}`);
      const root = makeTree({ [`${levels.join('/')}/f`]: 0o600, 'd0/z': 0o600, z: 0o600 });
      const outside = makeTree({ z: 0o600 });
      let isMoved = false;
      const report = await apply(root, {
        mode: 'go+r',
        strict: false,
        onChange: ({ path }) => {
          // The deepest file: every directory above it but the last ones has been let go of by now.
          if (isMoved || !path.endsWith('/f')) return;
          isMoved = true;
          execFileSync('mv', [join(root, ...levels.slice(0, 30)), join(outside, 'moved')]);
        },
      });
      assert.ok(isMoved);
      assert.is(modeOf(outside, 'z'), 0o600, 'nothing beside what was moved is touched');
      assert.is(modeOf(root, 'd0/z'), 0o644);
      assert.is(modeOf(root, 'z'), 0o644);
      assert.ok(report.ok);
    });
  }

  test('an unreadable directory is reported, never skipped', async () => {
    if (isRoot) {
      console.log('  skipped: root may list everything; file-systems.spec.ts does this as another user');
      return;
    }
    const root = makeTree({ 'closed/f': 0o600, 'closed/': 0o000 });
    const report = await rejectedReport(apply(root, {}));
    assert.equal(reasonsOf(report), ['closed: permission-denied']);
    chmodSync(join(root, 'closed'), 0o700);
    rmSync(root, { recursive: true });
  });

  test.run();
}
