import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeName, encodeName } from '../lib/directory/names.ts';
import type { UnresolvedReason } from '../lib/errors.ts';
import {
  formatManifest,
  type Manifest,
  type ManifestEntry,
  readManifest,
  recordManifest,
} from '../lib/index.ts';
import { byteTrees, plantBytes } from './helpers/byte-trees.ts';
import { extent } from './helpers/extent.ts';
import { allPasses, impatient } from './helpers/passes.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

const RUNS = extent({ short: 8, full: 300 });
const restoring = {
  mode: 'manifest',
  umask: 0,
  strict: false,
  retry: impatient,
  danglingLinks: 'skip',
  flattenedLinks: 'restore',
} as const;

async function readBack(manifest: Iterable<ManifestEntry>, format: 'mtree' | 'json'): Promise<Manifest> {
  const file = join(tempDirectory(), 'manifest');
  writeFileSync(file, [...formatManifest(manifest, format)].join(''));
  return readManifest(file);
}

/**
 * Something that happens to an entry, and what a pass says of it: `undefined` where it brings it back, several where that depends on
 * what else there is.
 */
interface Damage {
  readonly kinds: readonly ManifestEntry['type'][];
  readonly act: (path: Buffer | string) => void;
  readonly reason: (
    entry: ManifestEntry,
    root: string,
  ) => UnresolvedReason | undefined | readonly (UnresolvedReason | undefined)[];
}

/** Whether a link that was flattened comes back: for sure where it leads to one name beside it that nothing has. */
function comesBack({ path, linkTarget = '' }: ManifestEntry, root: string): ReturnType<Damage['reason']> {
  const names = linkTarget.split('/').filter((name) => name !== '' && name !== '.');
  const isUp = names.map((name) => name === '..');
  const goesUpLate = isUp.lastIndexOf(true) >= isUp.filter(Boolean).length;
  const goesUpFar = isUp.filter(Boolean).length > path.split('/').length - 1;
  if (linkTarget.startsWith('/') || goesUpLate || goesUpFar) return 'link-flattened';
  const [only = ''] = names;
  const beside = [...path.split('/').slice(0, -1), only].join('/');
  const isNowhere = names.length === 1 && only !== '..' && !isThere(fullPath(root, beside));
  return isNowhere ? undefined : [undefined, 'link-flattened'];
}

function isThere(path: Buffer | string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const damages: readonly Damage[] = [
  { kinds: ['file'], act: (path) => chmodSync(path, 0o600), reason: () => undefined },
  { kinds: ['file'], act: (path) => chmodSync(path, 0o6777), reason: () => undefined },
  { kinds: ['directory'], act: (path) => chmodSync(path, 0o1700), reason: () => undefined },
  { kinds: ['file'], act: (path) => appendFileSync(path, 'more'), reason: () => 'size-mismatch' },
  { kinds: ['file', 'symlink'], act: (path) => unlinkSync(path), reason: () => 'missing' },
  {
    kinds: ['symlink'],
    act: (path) => {
      unlinkSync(path);
      symlinkSync('elsewhere/than before', path);
    },
    reason: () => 'link-mismatch',
  },
  {
    kinds: ['symlink'],
    act: (path) => {
      const text = readlinkSync(path, { encoding: 'buffer' });
      unlinkSync(path);
      writeFileSync(path, text);
    },
    reason: comesBack,
  },
  {
    kinds: ['file'],
    act: (path) => {
      unlinkSync(path);
      symlinkSync('.', path);
    },
    reason: () => 'type-mismatch',
  },
  {
    kinds: ['symlink'],
    act: (path) => {
      unlinkSync(path);
      writeFileSync(path, '');
    },
    reason: () => 'type-mismatch',
  },
];

function fullPath(root: string, path: string): Buffer | string {
  // Not by join: Bun's replaces what is not well-formed.
  return encodeName(`${root}/${path}`);
}

for (const { title, apply } of allPasses) {
  const test = suite(`restore: ${title}`);

  test('record, damage, apply: what can come back has, the rest is named', async () => {
    const choices = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 });
    const property = fc.asyncProperty(
      byteTrees,
      choices,
      fc.constantFrom('mtree' as const, 'json' as const),
      async (plants, chosen, format) => {
        const root = plantBytes(plants);
        const recorded = await recordManifest(root);
        const manifest = await readBack(recorded, format);
        const expected = new Map<string, UnresolvedReason>();
        const undecided = new Map<string, UnresolvedReason>();
        const flattened: ManifestEntry[] = [];
        const touched = new Set<string>();
        for (const [which, how] of chosen) {
          // Another name of a file would be damaged, too.
          const single = recorded.entries.filter(
            ({ path, nlink }) => nlink === undefined && !touched.has(path),
          );
          const entry = single[which % single.length];
          const fitting = damages.filter(({ kinds }) => kinds.includes(entry?.type));
          const damage = fitting[how % fitting.length];
          if (entry === undefined || damage === undefined) continue;
          touched.add(entry.path);
          const reason = damage.reason(entry, root);
          damage.act(fullPath(root, entry.path));
          if (damage.reason === comesBack) flattened.push(entry);
          if (typeof reason === 'object') undecided.set(entry.path, 'link-flattened');
          else if (reason !== undefined) expected.set(entry.path, reason);
        }
        const report = await apply(root, { ...restoring, manifest });
        for (const { path, reason } of report.unresolved) {
          if (undecided.get(path) === reason) expected.set(path, reason);
        }
        for (const { path, linkTarget } of flattened) {
          if (expected.has(path)) continue;
          const text = readlinkSync(fullPath(root, path), { encoding: 'buffer' });
          assert.is(decodeName(text), linkTarget);
        }
        assert.is(report.counts.restored, flattened.filter(({ path }) => !expected.has(path)).length);
        assert.equal(
          Object.fromEntries(report.unresolved.map(({ path, reason }) => [path, reason])),
          Object.fromEntries([...expected].sort(([one], [other]) => (one < other ? -1 : 1))),
        );
        for (const { path, type, mode } of recorded) {
          if (type === 'symlink' || expected.has(path)) continue;
          assert.is(lstatSync(fullPath(root, path)).mode & 0o7777, mode, JSON.stringify(path));
        }
        const check = await apply(root, { ...restoring, manifest, dryRun: true });
        const { changed, restored } = check.counts;
        assert.equal([changed, restored, check.unresolved.length], [0, 0, expected.size]);
      },
    );
    await fc.assert(property, { numRuns: RUNS });
  });

  test('a special bit that was recorded stays where it is, and is missed where it is not', async () => {
    const make = () =>
      makeTree({ 'bin/su': 0o4755, 'bin/w': 0o2755, 'tmp/': 0o1777, 'shared/': 0o2775, f: 0o644 });
    const manifest = await readBack(await recordManifest(make()), 'mtree');
    const whole = make();
    chmodSync(join(whole, 'bin/su'), 0o4700);
    chmodSync(join(whole, 'tmp'), 0o1700);
    const { unresolved } = await apply(whole, { ...restoring, manifest });
    assert.equal(unresolved, []);
    assert.equal(
      ['bin/su', 'bin/w', 'tmp', 'shared'].map((path) => modeOf(whole, path)),
      [0o4755, 0o2755, 0o1777, 0o2775],
    );
    for (const dryRun of [true, false]) {
      const bare = make();
      for (const path of ['bin/su', 'bin/w', 'tmp', 'f']) chmodSync(join(bare, path), 0o700);
      const report = await apply(bare, { ...restoring, manifest, dryRun });
      assert.equal(
        report.unresolved.map(({ path, reason, code, expected, actual }) => [
          path,
          reason,
          code,
          expected,
          actual,
        ]),
        [
          ['bin/su', 0o4755, 0o755],
          ['bin/w', 0o2755, 0o755],
          ['tmp', 0o1777, 0o777],
        ].map(([path, mode, left]) => [
          path,
          'special-bits',
          'ERR_PERMWALK_SPECIAL_BITS',
          { mode },
          { mode: left },
        ]),
      );
      assert.equal(report.counts.changed, 1);
      assert.is(modeOf(bare, 'bin/su'), dryRun ? 0o700 : 0o755);
    }
  });

  test('a bit that was not recorded goes, and in other modes none is missed', async () => {
    const root = makeTree({ f: 0o4755 });
    const manifest = await recordManifest(root);
    chmodSync(join(root, 'f'), 0o2755);
    const report = await apply(root, { ...restoring, manifest });
    assert.equal(
      report.unresolved.map(({ reason }) => reason),
      ['special-bits'],
    );
    assert.is(modeOf(root, 'f'), 0o755);
    for (const mode of ['executable', 'u+rwX', 0o755]) {
      assert.ok((await apply(root, { ...restoring, manifest, mode })).ok, String(mode));
    }
  });

  test('of what is not recorded only the permissions count: an archive gives no special bit, and keeps none', async () => {
    const source = makeTree({ f: 0o4755 });
    const archive = join(tempDirectory(), 'a.tar');
    execFileSync('tar', ['-cf', archive, '-C', source, 'f']);
    for (const manifest of [await readManifest(archive), [{ path: 'f', mode: 0o4755 }]]) {
      for (const before of [0o4755, 0o700]) {
        const root = makeTree({ f: before });
        const report = await apply(root, { ...restoring, manifest });
        assert.equal([report.ok, report.counts.changed, modeOf(root, 'f')], [true, 1, 0o755]);
      }
    }
  });

  test('a tree that lost everything but its contents comes back', async () => {
    const root = makeTree({
      'bin/run': 0o755,
      'bin/': 0o755,
      'etc/secret': 0o600,
      'etc/': 0o700,
      'lib/x.so': 0o644,
      'lib/libx.so.1': '-> x.so',
      'lib/current': '-> .',
      'bin/x': '-> ../lib/current/libx.so.1',
    });
    const manifest = await readBack(await recordManifest(root), 'json');
    const before = [...formatManifest(manifest, 'mtree')].join('');
    for (const path of ['bin/run', 'etc/secret', 'lib/x.so']) {
      const content = readFileSync(join(root, path));
      rmSync(join(root, path));
      writeFileSync(join(root, path), content, { mode: 0o666 });
    }
    for (const path of ['lib/libx.so.1', 'lib/current', 'bin/x']) {
      const text = readlinkSync(join(root, path));
      rmSync(join(root, path));
      writeFileSync(join(root, path), text);
    }
    for (const path of ['bin', 'etc', 'lib']) chmodSync(join(root, path), 0o777);
    assert.ok((await apply(root, { ...restoring, manifest })).ok);
    assert.is([...formatManifest(await recordManifest(root), 'mtree')].join(''), before);
  });

  test.run();
}
