import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stageTree } from '../lib/extract/stage-tree.ts';
import { wrapExtractor } from '../lib/extract/wrap.ts';
import type { ManifestEntry } from '../lib/manifest/manifest.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { NOBODY, passInChild } from './helpers/child.ts';
import { watchCalls } from './helpers/faults.ts';
import { anchoredPass, impatient, passes, reasonsOf, rejectedReport } from './helpers/passes.ts';
import { canActAsRoot, giveAway, withoutRights } from './helpers/rights.ts';
import { canUseByteNames } from './helpers/runtime.ts';
import { addToTree, makeTree, modeOf, modesBelow, tempDirectory } from './helpers/tree.ts';
import { run } from './helpers/zip.ts';

const manifest = [{ path: 'bin/run', mode: 0o755 }, 'lib/'];
/** What the manifest names, and everything else that a tree may have. */
const shape = {
  'bin/run': 0o600,
  'bin/extra': 0o600,
  'lib/': 0o700,
  'lib/new/': 0o700,
  'lib/new/deep/f': 0o600,
  'lib/link': '-> ../../outside',
  dangling: '-> nowhere',
};
const unlisted = ['bin/extra', 'dangling', 'lib/link', 'lib/new', 'lib/new/deep', 'lib/new/deep/f', 'pipe'];

function makeExample(): string {
  const root = makeTree(shape);
  run('mkfifo', ['-m', '600', join(root, 'pipe')]);
  return root;
}

for (const { title, apply } of passes) {
  const test = suite(`unlisted (${title})`);

  test('list: everything that the manifest does not name, and nothing of it is changed', async () => {
    const root = makeExample();
    const before = modesBelow(root);
    const changed: string[] = [];
    const options: ApplyOptions = {
      manifest,
      unlisted: 'list',
      mode: 'a+rwX',
      directoryMode: 'a+rwx',
      executable: '**',
      danglingLinks: 'error',
      onChange: ({ path }) => changed.push(path),
    };
    const report = await apply(root, options);
    assert.equal(report.unlisted, unlisted);
    assert.is(report.counts.unlisted, unlisted.length);
    assert.equal(changed.sort(), ['.', 'bin', 'bin/run', 'lib']);
    assert.equal(report.links, []);
    const { counts } = report;
    assert.equal([counts.changed, counts.unchanged, counts.links, counts.special], [4, 4, 2, 1]);
    const after = modesBelow(root);
    for (const path of unlisted.filter((one) => one in before)) assert.is(after[path], before[path], path);
  });

  test('error: each of them is unresolved, and left as it is', async () => {
    const root = makeExample();
    const before = modesBelow(root);
    const options: ApplyOptions = { manifest, unlisted: 'error', mode: 'a+rwX', discover: true };
    const report = await rejectedReport(apply(root, options));
    assert.equal(
      reasonsOf(report),
      unlisted.map((path) => `${path}: unlisted`),
    );
    assert.equal([report.unlisted, report.counts.unlisted, report.counts.changed], [[], unlisted.length, 4]);
    const [error] = report.unresolved;
    assert.equal([error?.code, error?.actual], ['ERR_PERMWALK_UNLISTED', { type: 'file' }]);
    assert.match(error?.message ?? '', 'remove it, or leave it out with ignore');
    const after = modesBelow(root);
    for (const path of unlisted.filter((one) => one in before)) assert.is(after[path], before[path], path);
    for (const path of ['bin/extra', 'dangling', 'lib/link', 'lib/new', 'pipe'])
      rmSync(join(root, path), { recursive: true });
    assert.ok((await apply(root, options)).ok);
  });

  test('count: only where the tree is walked, and what is found is visited like the rest', async () => {
    const root = makeExample();
    const quiet = await apply(root, { manifest });
    assert.equal([quiet.counts.unlisted, quiet.unlisted], [0, []]);
    const walked = await apply(root, { manifest, unlisted: 'count', discover: true, mode: 'a+rX' });
    assert.equal([walked.counts.unlisted, walked.unlisted], [unlisted.length, []]);
    assert.ok(walked.counts.changed > 4);
  });

  test('what is ignored is not unlisted, nor what is on the way to it, nor what may be absent', async () => {
    const root = makeTree({ 'a/b/c': 0o600, 'x/y': 0o600, 'x/z': 0o600, '__MACOSX/._f': 0o600, f: 0o600 });
    const optional = { path: '__MACOSX/._f', optional: true };
    const options = { manifest: ['a/b/c', 'f', optional], unlisted: 'list', mode: 'a+rX' } as const;
    const { unlisted: found, counts } = await apply(root, { ...options, ignore: ['a/b/c', 'x/y'] });
    assert.equal(found, ['x', 'x/z']);
    assert.is(counts.ignored, 2);
    assert.equal((await apply(root, { ...options, ignore: 'x' })).unlisted, []);
    assert.equal((await apply(root, options)).unlisted, ['x', 'x/y', 'x/z']);
  });

  test('what comes while others are waited for is listed where its directory comes', async () => {
    const root = makeTree({ f: 0o644 });
    let isMade = false;
    const { unlisted: found, settle } = await apply(root, {
      manifest: ['f', 'late/g'],
      unlisted: 'list',
      retry: { minTimeout: 1, maxTimeout: 5 },
      onProgress: ({ phase }) => {
        if (phase !== 'settle' || isMade) return;
        isMade = true;
        addToTree(root, { 'late/g': 0o644, 'late/h': 0o644 });
      },
    });
    assert.equal([found, settle.recovered], [['late/h'], 1]);
  });

  test('what comes or goes while others are waited for is as it is at the end', async () => {
    for (const how of ['list', 'error'] as const) {
      const root = makeTree({
        'd/f': 0o644,
        'part.tmp': 0o644,
        'stays/s': 0o600,
        'on/way': 0o600,
        left: 0o600,
      });
      let isMade = false;
      const report = await apply(root, {
        ...{ manifest: ['d/f', 'whole', 'on/way'], ignore: ['left', 'on/way'], unlisted: how, strict: false },
        ...{ mode: 'a+rX', maxEntries: 13, retry: { minTimeout: 1, maxTimeout: 5 } },
        onProgress: ({ phase }) => {
          if (phase !== 'settle' || isMade) return;
          isMade = true;
          addToTree(root, { 'new/n': 0o600, 'd/e': 0o600 });
          symlinkSync('..', join(root, 'd/l'));
          renameSync(join(root, 'part.tmp'), join(root, 'whole'));
        },
      });
      const found = ['d/e', 'd/l', 'new', 'new/n', 'stays', 'stays/s'];
      const named = how === 'list' ? report.unlisted : report.unresolved.map(({ path }) => path);
      assert.equal([named, report.settle.recovered], [found, 1]);
      const { visited, changed, unchanged, links, special, ignored, unlisted: counted } = report.counts;
      // The root, d, d/f, whole and on.
      const listed = how === 'list' ? found.length : 0;
      assert.equal([visited, links, special, counted], [5 + listed, listed && 1, 0, found.length]);
      assert.equal([visited, ignored], [changed + unchanged + links, 2]);
      assert.equal([modeOf(root, 'd/e'), modeOf(root, 'stays/s')], [0o600, 0o600]);
    }
  });

  test('what lies where a directory should be is found again after waiting', async () => {
    const manifest = ['q/c', { path: 'd/x', optional: true }];
    const retry = { retries: 1, minTimeout: 0, maxTimeout: 0 };
    const report = await apply(makeTree({ d: '-> a' }), {
      manifest,
      unlisted: 'error',
      strict: false,
      retry,
    });
    assert.ok(reasonsOf(report).includes('d: unlisted'));
    assert.is(report.counts.unlisted, 1);
  });

  test('a name that is not UTF-8 is listed as every other', async () => {
    if (!canUseByteNames()) return;
    const root = makeTree({ f: 0o644 });
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x61, 0xff])]), '');
    const { unlisted: found } = await apply(root, { manifest: ['f'], unlisted: 'list' });
    assert.equal(found, ['a\udcff']);
  });

  test('a link where the manifest leads through a directory is unlisted, and what lies behind it unresolved', async () => {
    const root = makeTree({ 'real/f': 0o644 });
    symlinkSync('real', join(root, 'd'));
    const options: ApplyOptions = { manifest: ['d/f', 'real/f'], unlisted: 'list', retry: false };
    const report = await rejectedReport(apply(root, options));
    assert.equal([report.unlisted, reasonsOf(report)], [['d'], ['d/f: symlink-in-path']]);
    assert.ok(lstatSync(join(root, 'd')).isSymbolicLink());
  });

  test.run();
}

const test = suite('unlisted');

const asNobody = canActAsRoot('to list directories of another user') ? test : test.skip;

asNobody('a directory that cannot be listed is unresolved: what is in it cannot be told', async () => {
  const root = makeTree({ f: 0o644, 'closed/g': 0o600, 'closed/': 0o000, 'open/h': 0o600 });
  run('chown', ['-R', `${NOBODY}:${NOBODY}`, root]);
  run('chmod', ['000', join(root, 'closed')]);
  const options = { manifest: ['f'], unlisted: 'list', mode: 'a+rwX', retry: false } as const;
  const { error } = await passInChild({ root, asNobody: true, options });
  const report = error?.report;
  assert.equal(report && reasonsOf(report), ['closed: permission-denied'], error?.message);
  assert.equal(report?.unlisted, ['closed', 'open', 'open/h']);
  assert.is(report?.counts.unlisted, 3);
  assert.is(lstatSync(join(root, 'closed')).mode & 0o777, 0);
  const failing = await passInChild({ root, asNobody: true, options: { ...options, unlisted: 'error' } });
  const failed = failing.error?.report;
  assert.equal(
    failed?.unresolved.map(({ path, reason, code }) => [path, reason, code]),
    [
      ['closed', 'unlisted', 'EACCES'],
      ['open', 'unlisted', 'ERR_PERMWALK_UNLISTED'],
      ['open/h', 'unlisted', 'ERR_PERMWALK_UNLISTED'],
    ],
  );
  assert.match(failed?.unresolved[0]?.message ?? '', /what is in it cannot be listed/);
  assert.is(failed?.counts.unlisted, 3);
});

asNobody('what cannot be listed is looked for again after waiting, and named once', async () => {
  for (const unlisted of ['list', 'error'] as const) {
    const root = makeTree({ f: 0o644, 'closed/g': 0o600 });
    giveAway(root);
    chmodSync(join(root, 'closed'), 0);
    const report = await withoutRights(() =>
      anchoredPass.apply(root, { manifest: ['f', 'late'], unlisted, strict: false, retry: impatient }),
    );
    const reason = unlisted === 'list' ? 'permission-denied' : 'unlisted';
    assert.equal(reasonsOf(report), [`closed: ${reason}`, 'late: missing']);
    assert.equal([report.unlisted, report.counts.unlisted], [unlisted === 'list' ? ['closed'] : [], 1]);
    const opened = await withoutRights(() =>
      anchoredPass.apply(root, {
        ...{ manifest: ['f', 'late'], unlisted, strict: false, retry: impatient },
        onProgress: ({ phase }) => {
          if (phase === 'settle') chmodSync(join(root, 'closed'), 0o700);
        },
      }),
    );
    const left = unlisted === 'list' ? [] : ['closed: unlisted', 'closed/g: unlisted'];
    assert.equal(reasonsOf(opened), [...left, 'late: missing']);
    assert.is(opened.counts.unlisted, 2);
  }
});

test('a directory that cannot be listed for a moment is listed later, also when all is looked for again', async () => {
  const calls = watchCalls();
  try {
    const entries: ManifestEntry[] = [
      { path: 'd', type: 'directory', mode: 0o555 },
      { path: 'd/f' },
      { path: 'late', size: 3 },
    ];
    const options: ApplyOptions = {
      ...{ manifest: entries, mode: 'manifest', unlisted: 'list', strict: false },
      retry: { retries: 3, minTimeout: 0, maxTimeout: 0 },
    };
    const fail = async (position?: number) => {
      const root = makeTree({ 'd/f': 0o600, 'd/u': 0o600, 'e/v': 0o600, late: 'not all' });
      calls.begin(position, 'EMFILE');
      const { counts, ...report } = await anchoredPass.apply(root, options);
      calls.end();
      const where = `before call ${position}`;
      assert.equal(
        [report.unlisted, reasonsOf(report)],
        [['d/u', 'e', 'e/v'], ['late: size-mismatch']],
        where,
      );
      assert.equal([counts.visited, counts.changed, counts.unchanged], [6, 1, 5], where);
    };
    await fail();
    const listings = calls.calls.flatMap(({ name }, position) => (name === 'readdir' ? [position] : []));
    assert.ok(listings.length >= 6);
    for (const position of listings) await fail(position);
  } finally {
    calls.restore();
  }
});

test('needs a walk, and a manifest', async () => {
  const root = makeTree({});
  const refusals: [ApplyOptions, RegExp][] = [
    [
      { manifest, unlisted: 'list', discover: false },
      /^unlisted: 'list' walks the tree, and discover is false/,
    ],
    [{ unlisted: 'error' }, /^unlisted: 'error' needs a manifest$/],
    [{ unlisted: 'all' as 'list' }, /^unlisted: "all" is not one of 'count', 'list', 'error'$/],
  ];
  for (const [options, expected] of refusals) {
    const error = await applyPermissions(root, options).catch((refusal) => refusal);
    assert.match(String((error as Error).message), expected);
    assert.ok(error instanceof TypeError || error instanceof RangeError);
  }
});

test('around an extractor, too: what an archive does not list is not published', async () => {
  const destination = join(tempDirectory(), 'tree');
  const extract = wrapExtractor(
    async (_archive: string, directory: string) => addToTree(directory, { f: 0o644, extra: 0o644 }),
    { manifest: () => ['f'], unlisted: 'error', retry: false },
  );
  assert.equal(reasonsOf(await rejectedReport(extract('archive', destination))), ['extra: unlisted']);
  assert.not.ok(lstatSync(destination, { throwIfNoEntry: false }));
  const options = { manifest: ['f'], unlisted: 'list' } as const;
  const staged = await stageTree(destination, options, ({ directory }) => {
    mkdirSync(join(directory, 'd'));
    writeFileSync(join(directory, 'f'), '');
  });
  assert.equal(staged.unlisted, ['d']);
  for (const without of [{ manifest: false }, {}] as const) {
    const error = await stageTree(destination, { ...without, unlisted: 'list' }, () => {}).catch(
      (one) => one,
    );
    assert.match(String(error), /^TypeError: unlisted: 'list' needs a manifest/);
  }
});

test.run();
