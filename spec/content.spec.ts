import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fstatSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ManifestDigest, ManifestEntry } from '../lib/manifest/manifest.ts';
import { readManifest } from '../lib/manifest/read.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import type { PermissionProgress } from '../lib/report.ts';
import { NOBODY, outputOf, passInChild, startScript } from './helpers/child.ts';
import { whileExchanging } from './helpers/exchange.ts';
import { extent } from './helpers/extent.ts';
import { watchCalls } from './helpers/faults.ts';
import { anchoredPass, passes, pathPass, reasonsOf, rejectedReport } from './helpers/passes.ts';
import { canActAsRoot } from './helpers/rights.ts';
import { canRunOn } from './helpers/runtime.ts';
import { addToTree, makeTree, modeOf, type TreeShape, tempDirectory } from './helpers/tree.ts';
import { hasCommand, run } from './helpers/zip.ts';

const MIB = 1 << 20;
const patient = {
  retries: 3,
  minTimeout: 1,
  factor: 1,
  maxTimeout: 1,
  maxRetryTime: 60_000,
  randomize: false,
};

function sha256(content: string | Uint8Array): ManifestDigest {
  return { algorithm: 'sha256', value: createHash('sha256').update(content).digest('hex') };
}

/** An entry for a file with this content. */
function fileOf(path: string, content: string, more: Partial<ManifestEntry> = {}): ManifestEntry {
  return { path, type: 'file', size: Buffer.byteLength(content), digest: sha256(content), ...more };
}

/** A file of random bytes. */
function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = seed; at < length; at += 1) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}

/** Other bytes, and as many: one is another. */
function spoil(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  writeFileSync(path, bytes);
}

/** Something that happens while the pass waits: after each so many rounds. */
function eachRounds(rounds: number, act: (time: number) => void): (progress: PermissionProgress) => void {
  let seen = 0;
  return ({ phase, pending }) => {
    if (phase !== 'settle' || pending === 0) return;
    seen += 1;
    if (seen % rounds === 0) act(seen / rounds);
  };
}

const sizes = [0, 1, 4096, MIB - 1, MIB, MIB + 1, 2 * MIB + 5];
const sized = tempDirectory();
for (const size of sizes) writeFileSync(join(sized, `f${size}`), bytesOf(size, size + 1));

const hashScript = `
import hashlib, json, os, sys, zlib
found = {}
for name in os.listdir(sys.argv[1]):
    data = open(os.path.join(sys.argv[1], name), 'rb').read()
    digests = {'crc32': '%08x' % zlib.crc32(data)}
    for algorithm, known in (('md5', 'md5'), ('rmd160', 'ripemd160'), ('sha1', 'sha1'), ('sha256', 'sha256'), ('sha384', 'sha384'), ('sha512', 'sha512')):
        try: digests[algorithm] = hashlib.new(known, data).hexdigest()
        except ValueError: pass
    found[name] = digests
print(json.dumps(found))
`;
/** Digests of these files by Python, by algorithm. */
const said: Record<string, Record<string, string>> = JSON.parse(run('python3', ['-c', hashScript, sized]));

for (const { title, apply } of passes) {
  const test = suite(`content (${title})`);

  test('is what Python says, in each algorithm and of each size, and any other is not', async () => {
    const algorithms = Object.keys(said.f0 ?? {});
    assert.ok(algorithms.length >= 6, `${algorithms}`);
    for (const algorithm of algorithms) {
      const manifest = sizes.map((size) => {
        const digest = { algorithm, value: said[`f${size}`]?.[algorithm] as string };
        return { path: `f${size}`, size, digest };
      });
      const { counts } = await apply(sized, { manifest, verify: 'content', retry: false });
      assert.equal([counts.visited, counts.unverified], [sizes.length + 1, 0], algorithm);
      // Each has the digest of another.
      const turned = manifest.map((entry, index) => ({ ...entry, digest: manifest.at(index - 1)?.digest }));
      const options = { manifest: turned as ManifestEntry[], verify: 'content', retry: false } as const;
      const report = await rejectedReport(apply(sized, options));
      assert.equal(
        reasonsOf(report),
        manifest
          .map(({ path }) => path)
          .sort()
          .map((path) => `${path}: content-mismatch`),
        algorithm,
      );
    }
  });

  test('other bytes of the same size: what was expected, what was found, and nothing is changed', async () => {
    const root = makeTree({ f: { mode: 0o600, content: 'right' }, g: { mode: 0o600, content: 'wrong' } });
    const manifest = [fileOf('f', 'right', { mode: 0o755 }), fileOf('g', 'right', { mode: 0o755 })];
    const options = { manifest, mode: 'manifest', umask: 0, retry: false } as const;
    const report = await rejectedReport(apply(root, { ...options, verify: 'content' }));
    assert.equal(reasonsOf(report), ['g: content-mismatch']);
    const [error] = report.unresolved;
    assert.is(error?.code, 'ERR_PERMWALK_CONTENT_MISMATCH');
    assert.equal(error?.expected, { type: 'file', size: 5, digest: sha256('right') });
    assert.equal(error?.actual, { type: 'file', size: 5, digest: sha256('wrong') });
    assert.match(error?.message ?? '', `expected file of 5 bytes, sha256 ${sha256('right').value}; found`);
    assert.match(error?.message ?? '', 'extract again, or wait longer');
    assert.equal([modeOf(root, 'f'), modeOf(root, 'g')], [0o755, 0o600]);
    assert.equal([report.counts.changed, report.counts.visited], [1, 2]);
    // Sizes alone say nothing of it.
    await apply(root, options);
  });

  test('a file without a digest that can be made is counted, and no error', async () => {
    const root = makeTree({ none: 'x', unknown: 'x', link: '-> none', 'd/f': 'x', extra: 'x', known: 'x' });
    const manifest = [
      { path: 'none', size: 1 },
      { path: 'unknown', digest: { algorithm: 'sha3-256', value: 'ab' } },
      'link',
      'd/',
      { path: 'd/f', mode: 0o755 },
      { path: 'away', optional: true },
      fileOf('known', 'x', { size: undefined }),
    ];
    const { counts } = await apply(root, { manifest, verify: 'content', discover: true, umask: 0 });
    assert.equal([counts.unverified, counts.changed, counts.unlisted], [3, 1, 1]);
    assert.is((await apply(root, { manifest, umask: 0 })).counts.unverified, 0);
  });

  test('a file of full size that is filled late is waited for, and gets its mode', async () => {
    const content = 'settled at last';
    const root = makeTree({ f: '\0'.repeat(content.length) });
    const report = await apply(root, {
      manifest: [fileOf('f', content, { mode: 0o755 })],
      verify: 'content',
      umask: 0,
      retry: patient,
      onProgress: eachRounds(2, () => writeFileSync(join(root, 'f'), content)),
    });
    assert.equal([modeOf(root, 'f'), report.settle.recovered], [0o755, 1]);
  });

  test('a file that is filled for longer than the retries alone allow is waited for', async () => {
    const content = 'x'.repeat(30);
    const root = makeTree({ f: '\0'.repeat(content.length) });
    const fill = (time: number) =>
      writeFileSync(join(root, 'f'), `${content.slice(0, time)}${'\0'.repeat(content.length - time)}`);
    const report = await apply(root, {
      manifest: [fileOf('f', content)],
      verify: 'content',
      retry: patient,
      onProgress: eachRounds(3, fill),
    });
    assert.ok(report.ok && report.settle.rounds > content.length, `${report.settle.rounds} rounds`);
  });

  test('a file that was as promised and is rewritten while others are waited for is found out', async () => {
    const root = makeTree({ f: 'right' });
    const report = await rejectedReport(
      apply(root, {
        manifest: [fileOf('f', 'right'), 'late'],
        verify: 'content',
        retry: patient,
        onProgress: eachRounds(1, (time) => {
          if (time === 1) writeFileSync(join(root, 'f'), 'wrong');
          if (time === 2) addToTree(root, { late: 'x' });
        }),
      }),
    );
    assert.equal(reasonsOf(report), ['f: content-mismatch']);
    assert.is(report.counts.visited, 2);
  });

  test('what is no file any more is what it is, and what is not there is missing', async () => {
    const root = makeTree({ 'd/f': 'x', link: '-> d/f', f: 'xy', g: 'xy' });
    run('mkfifo', [join(root, 'pipe')]);
    const digested = ['d', 'link', 'pipe', 'd/none', 'f'].map((path) => fileOf(path, 'x'));
    const manifest = [...digested, { path: 'g', size: 1 }];
    const report = await rejectedReport(apply(root, { manifest, verify: 'content', retry: patient }));
    const expected = ['d: type-mismatch', 'd/none: missing', 'f: size-mismatch', 'link: type-mismatch'];
    expected.splice(3, 0, 'g: size-mismatch');
    assert.equal(reasonsOf(report), [...expected, 'pipe: type-mismatch']);
  });

  test('links, files with more than one name, exec bits by content and globs are dealt with as ever', async () => {
    const root = makeTree({ run: '#!/bin/sh\n', lib: 'x', one: 'two', skipped: 'other' });
    linkSync(join(root, 'one'), join(root, 'two'));
    const manifest = [
      fileOf('run', '#!/bin/sh\n'),
      fileOf('lib', 'x'),
      fileOf('one', 'two'),
      fileOf('two', 'two'),
    ];
    const options: ApplyOptions = {
      manifest: [...manifest, fileOf('skipped', 'x')],
      verify: 'content',
      umask: 0,
    };
    const more = { ignore: 'skipped', executable: 'lib', detect: true };
    const changed: string[] = [];
    const { counts } = await apply(root, { ...options, ...more, onChange: ({ path }) => changed.push(path) });
    assert.equal(changed.sort(), ['lib', 'run']);
    assert.equal([counts.ignored, counts.unchanged, counts.unverified], [1, 3, 0]);
    const dry = { manifest, verify: 'content', mode: '700', umask: 0 } as const;
    assert.is((await apply(root, { ...dry, dryRun: true })).counts.changed, 4);
    assert.is(modeOf(root, 'one'), 0o644);
    assert.is((await apply(root, { ...dry, hardLinks: 'skip' })).counts.ignored, 2);
    assert.is((await apply(root, dry)).counts.hardLinked, 1);
  });

  test('an abort ends it inside a large file, and nothing stays open', async () => {
    const root = makeTree({ large: 'x' });
    truncateSync(join(root, 'large'), 64 * MIB);
    const manifest = [{ path: 'large', digest: { algorithm: 'crc32', value: '00000000' } }];
    const stop = new AbortController();
    let slices = 0;
    const onProgress = () => {
      slices += 1;
      if (slices === 8) stop.abort('enough');
    };
    const open = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
    const before = open();
    const outcome = await apply(root, { manifest, verify: 'content', signal: stop.signal, onProgress }).catch(
      (reason) => reason,
    );
    assert.equal([outcome, slices, open()], ['enough', 8, before]);
    const thrown = new Error('of the caller');
    const failing = () => {
      throw thrown;
    };
    const failed = await apply(root, { manifest, verify: 'content', onProgress: failing }).catch(
      (reason) => reason,
    );
    assert.equal([failed, open()], [thrown, before]);
  });

  test('the event loop has its turn after each MiB, of one file and of many', async () => {
    const root = makeTree({ large: '' });
    truncateSync(join(root, 'large'), 24 * MIB);
    const content = 'y'.repeat(MIB >> 3);
    addToTree(root, Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`f${index}`, content])));
    const large = {
      algorithm: 'crc32',
      value: crc32(Buffer.alloc(24 * MIB))
        .toString(16)
        .padStart(8, '0'),
    };
    const many = Array.from({ length: 64 }, (_, index) => fileOf(`f${index}`, content));
    // Two of them are more than a slice reads.
    const half = 'z'.repeat(700 << 10);
    addToTree(root, Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`h${index}`, half])));
    const halves = Array.from({ length: 12 }, (_, index) => fileOf(`h${index}`, half));
    const cases: [ManifestEntry[], number][] = [
      [[{ path: 'large', digest: large }], 24],
      [many, 8],
      [halves, 11],
    ];
    for (const [manifest, least] of cases) {
      let turns = 0;
      await apply(root, { manifest, verify: 'content', onProgress: () => (turns += 1) });
      assert.ok(turns >= least, `${turns} turns of ${least}`);
    }
  });

  test('is as a model says, for any files and any manifest of them', async () => {
    const states = ['right', 'spoiled', 'short', 'gone', 'link', 'directory', 'no digest', 'weak'] as const;
    const arrangement = fc.array(fc.tuple(fc.constantFrom(...states), fc.constantFrom(0o600, 0o755)), {
      maxLength: 12,
    });
    const expectedOf: Record<(typeof states)[number], string | undefined> = {
      ...{ right: undefined, 'no digest': undefined, weak: undefined, spoiled: 'content-mismatch' },
      ...{ short: 'size-mismatch', gone: 'missing', link: 'type-mismatch', directory: 'type-mismatch' },
    };
    await fc.assert(
      fc.asyncProperty(arrangement, async (files) => {
        const shape: TreeShape = { 'd/': 0o755, target: 'x' };
        const manifest = files.map(([state, mode], index) => {
          const path = `d/f${index}`;
          const content = `content of ${index}`;
          if (state === 'link') shape[path] = '-> ../target';
          else if (state === 'directory') shape[`${path}/`] = 0o755;
          else if (state === 'short') shape[path] = { content: 'x' };
          else if (state === 'spoiled') shape[path] = { content: content.toUpperCase() };
          else if (state !== 'gone') shape[path] = { content };
          const entry = fileOf(path, content, { mode });
          if (state === 'no digest') delete entry.digest;
          if (state === 'weak')
            entry.digest = { algorithm: 'md5', value: createHash('md5').update(content).digest('hex') };
          return entry;
        });
        const root = makeTree(shape);
        const options = { manifest, mode: 'manifest', umask: 0, retry: false, strict: false } as const;
        const report = await apply(root, { ...options, verify: 'content' });
        const expected = files.flatMap(([state], index) =>
          expectedOf[state] === undefined ? [] : [`d/f${index}: ${expectedOf[state]}`],
        );
        assert.equal(reasonsOf(report), expected.sort());
        assert.is(report.counts.unverified, files.filter(([state]) => state === 'no digest').length);
        for (const [index, [state, mode]] of files.entries()) {
          if (state === 'gone' || state === 'link' || state === 'directory') continue;
          assert.is(modeOf(root, `d/f${index}`), expectedOf[state] === undefined ? mode : 0o644);
        }
      }),
      { numRuns: extent({ short: 10, full: 150 }) },
    );
  });

  test.run();
}

const sources = suite('content: sources');

/** A tree like an installed package, and what becomes of it: some other bytes. */
const packaged: TreeShape = {
  'pkg/__init__.py': 'import os\n',
  'pkg/data, with "quotes"': 'data',
  'pkg/native.so': { content: `\x7fELF${'x'.repeat(5000)}`, mode: 0o755 },
  'pkg/empty': '',
};
const files = Object.keys(packaged).sort();

/** Verify a tree, spoil each of its files that is not empty in turn, and see it found. */
async function assertVerified(
  root: string,
  manifest: ApplyOptions['manifest'],
  unverified = 0,
): Promise<void> {
  const options: ApplyOptions = { manifest, verify: 'content', retry: false };
  assert.is((await applyPermissions(root, options)).counts.unverified, unverified);
  for (const path of files.slice(0, -1)) {
    if (readFileSync(join(root, path)).length > 0) spoil(join(root, path));
  }
  const report = await rejectedReport(applyPermissions(root, options));
  const spoiled = files.filter((path) => path !== 'pkg/empty' && path !== files.at(-1));
  assert.equal(
    reasonsOf(report),
    spoiled.map((path) => `${path}: content-mismatch`),
  );
}

sources('a zip by Python, unpacked by it: CRC-32', async () => {
  const from = makeTree(packaged);
  const [archive, to] = [join(tempDirectory(), 'a.zip'), tempDirectory()];
  run('python3', ['-m', 'zipfile', '-c', archive, join(from, 'pkg')]);
  run('python3', ['-m', 'zipfile', '-e', archive, to]);
  await assertVerified(to, await readManifest(archive));
});

sources('a RECORD as pip writes it, by Python', async () => {
  const root = makeTree(packaged);
  const script = `
import base64, csv, hashlib, os, sys
os.chdir(sys.argv[1]); os.makedirs('pkg-1.dist-info')
with open('pkg-1.dist-info/RECORD', 'w', newline='') as record:
    rows = csv.writer(record, lineterminator='\\n')
    for place, _, names in os.walk('pkg'):
        for name in names:
            data = open(os.path.join(place, name), 'rb').read()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
            rows.writerow([os.path.join(place, name), 'sha256=' + digest, len(data)])
    rows.writerow(['pkg-1.dist-info/RECORD', '', ''])
`;
  run('python3', ['-c', script, root]);
  // The RECORD itself has no digest.
  await assertVerified(root, await readManifest(root), 1);
});

const withMtree = hasCommand('mtree') ? sources : sources.skip;
if (!hasCommand('mtree'))
  process.stderr.write('mtree is not installed: comparing digests with it is skipped\n');
for (const keyword of ['md5', 'rmd160', 'sha1', 'sha256', 'sha384', 'sha512']) {
  withMtree(`mtree(5) by NetBSD's mtree: ${keyword}`, async () => {
    const root = makeTree(packaged);
    const specification = join(tempDirectory(), 'spec.mtree');
    writeFileSync(specification, run('mtree', ['-c', '-k', `type,size,${keyword}`, '-p', root]));
    const manifest = await readManifest(specification);
    assert.is(manifest.entries.filter(({ digest }) => digest?.algorithm === keyword).length, files.length);
    await assertVerified(root, manifest);
  });
}

sources('what sha256sum says, as entries of our own', async () => {
  const root = makeTree(packaged);
  const lines = run('sha256sum', ['--', ...files], root)
    .trimEnd()
    .split('\n');
  const manifest = lines.map((line, index) => ({
    path: files[index] as string,
    digest: { algorithm: 'SHA256', value: line.replace(/^\\/, '').slice(0, 64).toUpperCase() },
  }));
  await assertVerified(root, manifest);
});

sources('a tar has none: every file is counted', async () => {
  const root = makeTree(packaged);
  const archive = join(tempDirectory(), 'a.tar');
  run('tar', ['-cf', archive, '-C', root, 'pkg']);
  const report = await applyPermissions(root, { manifest: await readManifest(archive), verify: 'content' });
  assert.is(report.counts.unverified, files.length);
});

sources.run();

const reading = suite('content: reading');

reading('a file is read again only after it changed, and that is progress', async () => {
  if (!canRunOn(['node', 'bun'], 'it tells times of a change in whole seconds')) return;
  const root = makeTree({ f: 'wrong' });
  // Clocks of file systems are coarse: what was written just now is read again.
  await sleep(50);
  const calls = watchCalls();
  const reads = () => calls.calls.filter(({ name, path }) => name === 'read' && path.endsWith('f')).length;
  try {
    calls.begin();
    const options = { manifest: [fileOf('f', 'right')], verify: 'content', retry: patient } as const;
    const report = await rejectedReport(anchoredPass.apply(root, options));
    assert.equal([report.settle.rounds, report.unresolved[0]?.attempts, reads()], [3, 4, 1]);
    calls.begin();
    const onProgress = eachRounds(3, (time) => {
      if (time === 1) chmodSync(join(root, 'f'), 0o640);
    });
    const slower = { ...patient, minTimeout: 30, maxTimeout: 30 };
    const again = await rejectedReport(anchoredPass.apply(root, { ...options, retry: slower, onProgress }));
    // A change of ctime is one: it was read again, and the retries began anew.
    assert.is(reads(), 2);
    assert.ok(again.settle.rounds > 3, `${again.settle.rounds} rounds`);
  } finally {
    calls.restore();
  }
});

reading('a file that goes on changing while it is read is not what it was promised', async () => {
  const root = makeTree({ f: 'x' });
  const content = Buffer.alloc(4 * MIB, 'a');
  writeFileSync(join(root, 'f'), content);
  const manifest = [{ path: 'f', size: content.length, digest: sha256(content) }];
  let slices = 0;
  // The first MiB has been read: what was read is right, and what is there is not.
  const onProgress = () => {
    slices += 1;
    if (slices === 2) writeFileSync(join(root, 'f'), Buffer.concat([Buffer.from('b'), content.subarray(1)]));
  };
  const report = await rejectedReport(
    applyPermissions(root, { manifest, verify: 'content', retry: false, onProgress }),
  );
  assert.equal(reasonsOf(report), ['f: content-mismatch']);
  assert.equal(report.unresolved[0]?.actual, { type: 'file', size: content.length });
});

reading('a large file whose name another one gets meanwhile is looked at again', async () => {
  const content = Buffer.alloc(3 * MIB, 'a');
  // One that has its mode already is not looked at for being changed.
  for (const mode of [0o755, 0o644]) {
    const root = makeTree({ f: 'x', g: 'x' });
    for (const name of ['f', 'g']) writeFileSync(join(root, name), content);
    spoil(join(root, 'g'));
    let slices = 0;
    const onProgress = () => {
      slices += 1;
      if (slices === 2) renameSync(join(root, 'g'), join(root, 'f'));
    };
    const manifest = [{ path: 'f', size: content.length, digest: sha256(content), mode }];
    const report = await rejectedReport(
      applyPermissions(root, { manifest, verify: 'content', retry: false, umask: 0, onProgress }),
    );
    assert.equal(reasonsOf(report), ['f: content-mismatch']);
    assert.is(modeOf(root, 'f'), 0o644);
  }
});

const asNobody = canActAsRoot('to verify files of another user') ? reading : reading.skip;

asNobody(
  'a file that its owner may not read is read once its mode lets it, else it is permission-denied',
  async () => {
    for (const backend of ['anchored', 'path'] as const) {
      const closed = { mode: 0o000, content: 'right' };
      const root = makeTree({ opened: closed, closed, other: closed, plain: 'right' });
      run('chown', ['-R', `${NOBODY}:${NOBODY}`, root]);
      const modes = { opened: 0o640, closed: 0o200, other: 0o644, plain: 0o200 };
      const manifest = Object.entries(modes).map(([path, mode]) =>
        fileOf(path, path === 'other' ? 'wrong' : 'right', { mode }),
      );
      const options = { manifest, mode: 'manifest', umask: 0, verify: 'content', retry: false } as const;
      const dry = await passInChild({ root, backend, asNobody: true, options: { ...options, dryRun: true } });
      const denied = ['closed', 'opened', 'other'].map((path) => `${path}: permission-denied`);
      assert.equal(dry.error?.report && reasonsOf(dry.error.report), denied, dry.error?.message);
      const { error } = await passInChild({ root, backend, asNobody: true, options });
      assert.equal(error?.report && reasonsOf(error.report), [
        'closed: permission-denied',
        'other: content-mismatch',
      ]);
      assert.equal([error?.report?.counts.changed, error?.report?.counts.unverified], [2, 0]);
      const left = Object.keys(modes).map((path) => modeOf(root, path));
      assert.equal(left, [0o640, 0, 0o644, 0o200]);
    }
  },
);

reading('memory is flat, however large a file is', async () => {
  if (!canRunOn(['node', 'bun'], 'a script in another directory finds no dependencies')) return;
  const root = makeTree({ small: 'x', large: 'x' });
  truncateSync(join(root, 'small'), MIB);
  truncateSync(join(root, 'large'), extent({ short: 64, full: 1024 }) * MIB);
  // What is built: to compile would take more than all else.
  const script = join(tempDirectory(), 'peak.js');
  const library = new URL('../dist/index.js', import.meta.url).href;
  writeFileSync(
    script,
    `import(${JSON.stringify(library)}).then(async ({ applyPermissions }) => {
       const [root, path] = process.argv.slice(2);
       const manifest = [{ path, digest: { algorithm: 'crc32', value: '00000000' } }];
       const options = { manifest, verify: 'content', retry: false, strict: false };
       const { unresolved } = await applyPermissions(root, options);
       console.log(unresolved.length + " " + process.resourceUsage().maxRSS);
     });`,
  );
  const peaks: number[] = [];
  for (const path of ['small', 'large']) {
    const [unresolved, peak] = (await outputOf(startScript(script, [root, path]))).split(' ').map(Number);
    assert.is(unresolved, 1);
    peaks.push(peak as number);
  }
  const [small = 0, large = 0] = peaks;
  assert.ok(large - small < 24 * 1024, `${small} and ${large} KiB`);
});

reading.run();

const attacked = suite('content: attacked');

/** Two files, of which only one is as promised, and a pass over them; what has the mode is told by descriptors. */
function makePair() {
  const closed = { mode: 0o600 };
  const root = makeTree({ f: { ...closed, content: 'right' }, g: { ...closed, content: 'wrong' } });
  const [right, wrong] = ['f', 'g'].map((name) => openSync(join(root, name), 'r')) as [number, number];
  const manifest = [fileOf('f', 'right', { mode: 0o755 })];
  const options = {
    ...{ manifest, mode: 'manifest', umask: 0, verify: 'content', retry: false, strict: false },
  } as const satisfies ApplyOptions;
  const modes = () => [right, wrong].map((descriptor) => fstatSync(descriptor).mode & 0o777);
  const close = () => [right, wrong].forEach(closeSync);
  return { root, right, options, modes, close };
}

for (const { title, apply } of [anchoredPass, pathPass]) {
  attacked(
    `another file gets the name before each call: what gets the mode is what was read (${title})`,
    async () => {
      const calls = watchCalls();
      try {
        let [position, most, given] = [0, 1, 0];
        for (; position < most; position += 1) {
          const { root, options, modes, close } = makePair();
          calls.begin(position, () => renameSync(join(root, 'g'), join(root, 'f')));
          await apply(root, options);
          calls.end();
          most = calls.calls.length;
          assert.is(modes()[1], 0o600, `before call ${position}, ${calls.calls[position]?.name}`);
          given += Number(modes()[0] === 0o755);
          close();
        }
        // Exchanged after the last look before the change, it still is what was promised.
        assert.ok(given >= 1 && given < most, `${given} of ${most}`);
      } finally {
        calls.restore();
      }
    },
  );
}

for (const { title, apply } of [anchoredPass, pathPass]) {
  attacked(`it is written to before each call: it gets no mode, or is named (${title})`, async () => {
    const calls = watchCalls();
    try {
      for (const content of ['wrong', 'right, and more']) {
        let [position, most, afterwards] = [0, 1, 0];
        for (; position < most; position += 1) {
          const { root, options, modes, close } = makePair();
          calls.begin(position, () => {
            writeFileSync(join(root, 'f'), content);
            // The clock of the file system may not have moved on.
            utimesSync(join(root, 'f'), position + 1, position + 1);
          });
          const report = await apply(root, options);
          calls.end();
          most = calls.calls.length;
          const changed = calls.calls.findIndex(({ name }) => name === 'fchmod');
          const where = `before call ${position}, ${calls.calls[position]?.name}`;
          const isNamed = report.unresolved.some(({ path }) => path === 'f');
          // What is written once it has been looked at after the change is nobody's business.
          const isOver = changed >= 0 && position > changed + 2;
          assert.ok(isNamed || isOver, where);
          if (modes()[0] === 0o755) assert.ok(isOver || (position >= changed - 1 && isNamed), where);
          afterwards += Number(isOver);
          close();
        }
        assert.ok(most - afterwards > 5, `${afterwards} of ${most}`);
      }
    } finally {
      calls.restore();
    }
  });
}

attacked('what is written while the mode is changed is found out once it is looked at again', async () => {
  const calls = watchCalls();
  try {
    const { root, options, modes, close } = makePair();
    const entries = [...options.manifest, fileOf('late', 'late')];
    calls.begin(0);
    await anchoredPass.apply(root, { ...options, manifest: entries });
    calls.end();
    const position = calls.calls.findIndex(({ name }) => name === 'fchmod');
    writeFileSync(join(root, 'f'), 'right');
    for (const name of ['f', 'g']) chmodSync(join(root, name), 0o600);
    calls.begin(position, () => {
      writeFileSync(join(root, 'f'), 'wrong');
      utimesSync(join(root, 'f'), 1, 1);
    });
    const report = await anchoredPass.apply(root, {
      ...{ ...options, manifest: entries, retry: patient },
      onProgress: eachRounds(1, () => writeFileSync(join(root, 'late'), 'late')),
    });
    calls.end();
    assert.equal(reasonsOf(report), ['f: content-mismatch']);
    assert.is(modes()[0], 0o755);
    close();
  } finally {
    calls.restore();
  }
});

attacked('two files change names all the time: only what was read gets the mode', async () => {
  const { root, right, options, modes, close } = makePair();
  let given = 0;
  const exchanges = await whileExchanging([[join(root, 'f'), join(root, 'g')]], async () => {
    while (given < extent({ short: 20, full: 1000 })) {
      given += (await anchoredPass.apply(root, options)).counts.changed;
      assert.is(modes()[1], 0o600);
      fchmodSync(right, 0o600);
    }
  });
  assert.ok(exchanges > 10, `${exchanges} exchanges`);
  close();
});

attacked.run();
