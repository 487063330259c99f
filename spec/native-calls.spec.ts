import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory, RenameKind } from '../lib/directory/directory.ts';
import { errorCode } from '../lib/directory/errors.ts';
import { neverNative } from '../lib/directory/native/load.ts';
import { openNative } from '../lib/directory/native/native.ts';
import { openTree } from '../lib/directory/open.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { runPass } from '../lib/pass/apply.ts';
import type { PermissionReport } from '../lib/report.ts';
import { NOBODY } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { makeFifo } from './helpers/fifo.ts';
import { type NativeCallName, type WatchedNative, watchNativeCalls } from './helpers/native-calls.ts';
import { anchoredPass, hasNative } from './helpers/passes.ts';
import { canActAsRoot } from './helpers/rights.ts';
import { makeTree, modeOf, modesBelow, type TreeShape } from './helpers/tree.ts';

// Native calls fail one after the other, and others act between them: what comes of it is what node:fs makes of it.

const shape: TreeShape = {
  'a/f': 0o600,
  'a/d/g': '#!/bin/sh\n',
  'a/d/l': '-> ../f',
  'a/up': '-> ../b/h',
  'b/h': 0o600,
  'b/gone': '-> nowhere',
  'b/out': '-> ../../outside',
  'c/': 0o700,
};
const crc32Of = (text: string) => crc32(text).toString(16).padStart(8, '0');
const retry = { retries: 3, minTimeout: 0, maxTimeout: 0, randomize: false };
const manifest = ['a/f', 'a/d/g', 'a/d/l', 'b/h', 'b/pipe', 'b/missing', 'c/'];
const withDigest = [{ path: 'a/d/g', digest: { algorithm: 'crc32', value: crc32Of('#!/bin/sh\n') } }, 'a/f'];
const variants: Record<string, ApplyOptions> = {
  'a walk': { mode: 'go+r' },
  'a walk that closes directories': { mode: 'go=r' },
  'a walk with globs': { executable: 'a/**', ignore: 'b/h' },
  'a walk that leaves hard links alone': { mode: 'go+r', hardLinks: 'error' },
  'a walk that looks into files': { detect: true },
  'a dry run': { mode: 'go=r', dryRun: true },
  'a manifest': { mode: 'go+r', manifest },
  'a manifest that only has to be there': { verify: 'presence', manifest },
  'a manifest with digests': { mode: 'go+r', verify: 'content', manifest: withDigest },
  'a manifest and a walk': { mode: 'go+r', manifest, discover: true },
};

/** What a pass came to, without what differs between any two. */
interface Outcome {
  report: unknown;
  told: string[];
  modes: Record<string, string>;
}

/** A tree with everything that a pass deals with. */
function plant(): string {
  const root = makeTree(shape);
  makeFifo(join(root, 'b/pipe'));
  linkSync(join(root, 'a/f'), join(root, 'a/same'));
  return root;
}

function comparable({ counts, unresolved, links, ok, settle }: PermissionReport): unknown {
  const { rounds, recovered } = settle;
  const details = unresolved.map(({ path, reason, code, expected, actual }) => ({
    path,
    reason,
    code,
    expected,
    actual,
  }));
  return { counts, links, ok, rounds, recovered, details };
}

async function outcomeOf(
  root: string,
  options: ApplyOptions,
  pass: (options: ApplyOptions) => Promise<PermissionReport>,
): Promise<Outcome> {
  const told: string[] = [];
  // In which order a directory is listed is not said: either of two hard links may be the first.
  const onChange: ApplyOptions['onChange'] = ({ path, from, to, linkTarget }) => {
    const change = linkTarget ?? `${from.toString(8)} to ${to.toString(8)}`;
    told.push(`${path.replace('same', 'f')}: ${change}`);
  };
  const all: ApplyOptions = { umask: 0o022, retry, strict: false, onChange };
  const report = comparable(await pass({ ...all, ...options }));
  return { report, told: told.sort(), modes: modesBelow(root) };
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

if (hasNative) {
  const failing = suite('native calls: each fails');
  const watched = watchNativeCalls();
  /** One call in so many fails, or has somebody act before it. */
  const STRIDE = extent({ short: 8, full: 1 });

  /** A pass by native calls, the one at this position failing. */
  async function nativeOutcome(options: ApplyOptions, begin: () => void): Promise<Outcome> {
    const root = plant();
    const open = (path: string) => openTree(path, { native: watched.source });
    try {
      begin();
      return await outcomeOf(root, options, (all) => runPass(root, all, open));
    } finally {
      watched.end();
      rmSync(root, { recursive: true });
    }
  }

  for (const [index, [name, options]] of Object.entries(variants).entries()) {
    failing(`in ${name}: the outcome is that of node:fs, and nothing leaks`, async () => {
      const root = plant();
      const expected = await outcomeOf(root, options, (all) => anchoredPass.apply(root, all));
      assert.equal(await nativeOutcome(options, () => watched.begin()), expected);
      const calls = [...watched.calls];
      assert.ok(calls.includes('statx') && calls.includes('close'));
      const descriptors = openDescriptors();
      for (let position = index % STRIDE; position < calls.length; position += STRIDE) {
        const found = await nativeOutcome(options, () => watched.begin(position, 'fails'));
        assert.equal(found, expected, `${calls[position]} fails (call ${position})`);
      }
      const kinds = [...new Set(calls)];
      for (const failed of [...kinds.map((kind) => [kind]), kinds]) {
        const found = await nativeOutcome(options, () => watched.failAll(...failed));
        assert.equal(found, expected, `${failed} fails always`);
      }
      assert.is(openDescriptors(), descriptors);
    });
  }

  failing('a path that is missing, closed or no directory gives node:fs its error', () => {
    const root = makeTree({ f: 0o600, l: '-> f', 'd/': 0o755 });
    const codes = (directory: Directory) =>
      ['nothing', 'f', 'l'].flatMap((name) =>
        [
          () => directory.openDirectory(name),
          () => directory.openDirectory('d').chmod('nothing', () => 0o600),
        ].map(codeOf),
      );
    const found = holding(root, codes);
    assert.equal(found, ['ENOENT', 'ENOENT', 'ENOTDIR', 'ENOENT', 'ERR_PERMWALK_SYMLINK_IN_PATH', 'ENOENT']);
  });

  failing.run();

  const swapping = suite('native calls: others act before each');

  for (const [name, mode] of Object.entries({ 'a walk': 'go=r', 'a walk that adds': 'go+r' })) {
    for (const by of ['link', 'FIFO'] as const) {
      swapping(`entries are exchanged for a ${by} in ${name}: nothing outside changes`, async () => {
        const outside = makeTree({ f: 0o600, 'd/g': 0o600 });
        makeFifo(join(outside, 'pipe'));
        chmodSync(join(outside, 'pipe'), 0o700);
        const before = modesBelow(outside);
        for (const [index, path] of ['a', 'a/f', 'a/d', 'a/d/g'].entries()) {
          let calls = 1;
          for (let position = index % STRIDE; position < calls; position += STRIDE) {
            const root = plant();
            // Where others can put something in a directory, a mode is changed by inode. A chmod by name refuses links alone.
            if (by === 'FIFO') for (const shared of ['', 'a', 'a/d']) chmodSync(join(root, shared), 0o775);
            const full = join(root, path);
            watched.begin(position, () => {
              rmSync(full, { recursive: true });
              if (by === 'FIFO') linkSync(join(outside, 'pipe'), full);
              else symlinkSync(outside, full);
            });
            const open = (tree: string) => openTree(tree, { native: watched.source });
            const { counts } = await runPass(root, { mode, strict: false, retry: false }, open);
            watched.end();
            calls = Math.max(calls, watched.calls.length);
            const said = `${path} before call ${position}, ${watched.calls[position]}`;
            assert.equal(modesBelow(outside), before, said);
            const { changed, unchanged, links, special, visited } = counts;
            assert.is(visited, changed + unchanged + links + special, said);
            rmSync(root, { recursive: true });
          }
        }
      });
    }
  }

  for (const hardLinks of ['apply', 'skip'] as const) {
    swapping(
      `setuid that is taken away before any call but the last is not given back (${hardLinks})`,
      async () => {
        const root = makeTree({ f: 0o4644 });
        const file = join(root, 'f');
        const options: ApplyOptions = { executable: 'f', umask: 0o022, hardLinks, strict: false };
        const run = () => runPass(root, options, (path) => openTree(path, { native: watched.source }));
        watched.begin();
        await run();
        watched.end();
        assert.is(modeOf(file), 0o4755, 'it stays where nobody takes it away');
        const given: string[] = [];
        const { length } = watched.calls;
        for (let position = 0; position < length; position += 1) {
          chmodSync(file, 0o4644);
          watched.begin(position, () => chmodSync(file, 0o644));
          await run();
          watched.end();
          // Right before chmod(2) nobody can know: GNU chmod has the same moment.
          if ((modeOf(file) & 0o4000) !== 0) given.push(watched.calls[position] ?? '');
        }
        assert.equal(given, ['fchmodat2']);
      },
    );
  }

  swapping.run();

  const byName = suite('native calls: a mode by name');

  /** The calls that a change of mode takes, and the mode after it. */
  function changing(root: string, name: string, mode: number, trust: 'inode' | 'name'): NativeCallName[] {
    return holding(root, (directory) => {
      directory.lstat(name);
      watched.begin();
      directory.chmod(name, () => mode, trust);
      watched.end();
      return [...watched.calls];
    });
  }

  const BY_NAME: readonly NativeCallName[] = ['statx', 'fchmodat2'];
  const BY_INODE: readonly NativeCallName[] = ['openat', 'statx', 'fchmodat2', 'close'];

  byName('where only root or we can put anything, and it is asked for', () => {
    const root = makeTree({ f: 0o600, 'd/': 0o700 });
    for (const mode of [0o700, 0o755, 0o1755, 0o2755]) {
      chmodSync(root, mode);
      assert.equal(changing(root, 'f', 0o644, 'name'), BY_NAME, mode.toString(8));
      assert.equal(changing(root, 'd', 0o755, 'name'), BY_NAME);
      assert.equal(changing(root, 'f', 0o600, 'inode'), BY_INODE);
    }
    assert.is(modeOf(root, 'd'), 0o755);
  });

  byName('by inode where the group or others can put anything', () => {
    const root = makeTree({ f: 0o600 });
    for (const mode of [0o770, 0o775, 0o757, 0o777, 0o1777, 0o720, 0o702]) {
      chmodSync(root, mode);
      assert.equal(changing(root, 'f', mode & 0o666, 'name'), BY_INODE, mode.toString(8));
      assert.is(modeOf(root, 'f'), mode & 0o666);
    }
  });

  if (canActAsRoot('to have a directory of somebody else')) {
    byName('by inode in a directory of somebody else', () => {
      const root = makeTree({ f: 0o600 });
      chownSync(root, NOBODY, NOBODY);
      assert.equal(changing(root, 'f', 0o644, 'name'), BY_INODE);
      chownSync(root, 0, 0);
      assert.equal(changing(root, 'f', 0o640, 'name'), BY_NAME);
    });

    byName('by inode where an access control list lets somebody else write', () => {
      const root = makeTree({ f: 0o600 });
      try {
        execFileSync('setfacl', ['-m', `u:${NOBODY}:rwx`, root]);
      } catch {
        return console.log('  skipped: no setfacl, or no access control lists');
      }
      assert.equal(changing(root, 'f', 0o644, 'name'), BY_INODE);
    });
  }

  byName('by inode where special bits are there or wanted', () => {
    const root = makeTree({ f: 0o600, set: 0o4644 });
    const twice: readonly NativeCallName[] = ['statx', ...BY_INODE];
    const withLooks = (calls: readonly NativeCallName[]) => calls.filter((call) => call !== 'statx');
    assert.equal(withLooks(changing(root, 'f', 0o2644, 'name')), withLooks(twice));
    assert.equal(withLooks(changing(root, 'set', 0o644, 'name')), withLooks(twice));
    assert.is(modeOf(root, 'f'), 0o2644);
    assert.is(modeOf(root, 'set'), 0o644);
  });

  byName('by inode once the directory itself was opened to others', () => {
    const root = makeTree({ f: 0o600 });
    holding(root, (directory) => {
      const calls = () => {
        watched.begin();
        directory.chmod('f', (found) => found.mode ^ 0o044, 'name');
        watched.end();
        return [...watched.calls];
      };
      assert.equal(calls(), BY_NAME);
      directory.chmod('.', () => 0o777);
      assert.equal(calls(), BY_INODE);
      directory.chmod('.', () => 0o755);
      assert.equal(calls(), BY_NAME);
    });
  });

  byName('a pass proves of an inode that it has no other link, where those are left alone', async () => {
    for (const [hardLinks, expected] of [
      ['apply', false],
      ['skip', true],
      ['error', true],
    ] as const) {
      const root = makeTree({ f: 0o600, g: 0o600 });
      watched.begin();
      await runPass(root, { mode: 'a+r', hardLinks }, (path) => openTree(path, { native: watched.source }));
      watched.end();
      assert.is(watched.calls.filter((call) => call === 'openat').length > 1, expected, hardLinks);
      assert.equal(modesBelow(root), { '.': '755', f: '644', g: '644' });
    }
  });

  byName('what others rename over a name between look and change keeps its mode', () => {
    for (const position of [0, 1, 2, 3]) {
      const root = makeTree({ f: 0o644, secret: 0o600 });
      chmodSync(root, 0o777);
      holding(root, (directory) => {
        directory.lstat('f');
        watched.begin(position, () => renameSync(join(root, 'secret'), join(root, 'f')));
        directory.chmod('f', (found) => (found.mode === 0o644 ? 0o664 : undefined), 'name');
        watched.end();
      });
      assert.is(modeOf(root, 'f'), 0o600, `before call ${position}`);
    }
  });

  byName.run();

  const renaming = suite('native calls: renames that replace nothing');

  /** A directory by native calls, with a layer in between. */
  function holding<T>(root: string, act: (directory: Directory) => T, calls: WatchedNative = watched): T {
    const directory = openNative(root, undefined, calls.source);
    if (directory === undefined) throw new Error('no anchored backend here');
    try {
      return act(directory);
    } finally {
      directory.close();
    }
  }

  function contentsOf(root: string): Record<string, string> {
    return Object.fromEntries(
      readdirSync(root).map((name) => {
        const stats = lstatSync(join(root, name));
        if (stats.isDirectory()) return [name, `/${readdirSync(join(root, name))}`];
        return [
          name,
          stats.isSymbolicLink()
            ? `-> ${readlinkSync(join(root, name))}`
            : readFileSync(join(root, name), 'utf8'),
        ];
      }),
    );
  }

  const full = (): string => makeTree({ f: 'content f', 'd/x': 'x', 'empty/': 0o755, l: '-> f' });

  renaming('they are there where the kernel has them', () => {
    const kinds: RenameKind[] = ['replace', 'no-replace', 'exchange'];
    assert.equal(
      holding(full(), (directory) => [...directory.renames]),
      kinds,
    );
    const without = openNative(full(), undefined, neverNative);
    assert.equal([...(without?.renames ?? [])], ['replace']);
    for (const kind of ['no-replace', 'exchange'] as const) {
      assert.throws(() => without?.rename('f', without, 'g', kind), RangeError);
    }
    assert.is(without?.backend, 'anchored');
    without?.close();
  });

  renaming('an exchange takes a file, a directory and a link for each other, and between directories', () => {
    const root = full();
    const other = makeTree({ 'd/y': 'y' });
    holding(root, (directory) => {
      directory.rename('f', directory, 'd', 'exchange');
      directory.rename('l', directory, 'empty', 'exchange');
      holding(other, (to) => directory.rename('f', to, 'd', 'exchange'));
    });
    assert.equal(contentsOf(root), { d: 'content f', empty: '-> f', f: '/y', l: '/' });
    assert.equal(contentsOf(other), { d: '/x' });
  });

  renaming('what is there is not replaced', () => {
    const root = full();
    const before = contentsOf(root);
    holding(root, (directory) => {
      for (const [from, to] of [
        ['f', 'l'],
        ['d', 'empty'],
        ['f', 'd'],
        ['l', 'f'],
      ] as const) {
        assert.is(
          codeOf(() => directory.rename(from, directory, to, 'no-replace')),
          'EEXIST',
          `${from} ${to}`,
        );
      }
      assert.equal(contentsOf(root), before);
      directory.rename('d', directory, 'new', 'no-replace');
      directory.rename('f', directory, 'g', 'no-replace');
    });
    assert.equal(Object.keys(contentsOf(root)).sort(), ['empty', 'g', 'l', 'new']);
  });

  renaming('what is missing is ENOENT, and names that are none are refused', () => {
    const root = full();
    const before = contentsOf(root);
    holding(root, (directory) => {
      for (const kind of ['no-replace', 'exchange'] as const) {
        assert.is(
          codeOf(() => directory.rename('nothing', directory, 'f', kind)),
          'ENOENT',
          kind,
        );
        assert.is(
          codeOf(() => directory.rename('nothing', directory, 'new', kind)),
          'ENOENT',
          kind,
        );
        for (const name of ['', '.', '..', 'a/b']) {
          assert.throws(() => directory.rename(name, directory, 'new', kind), RangeError);
          assert.throws(() => directory.rename('f', directory, name, kind), RangeError);
        }
      }
      assert.is(
        codeOf(() => directory.rename('f', directory, 'new', 'exchange')),
        'ENOENT',
      );
    });
    assert.equal(contentsOf(root), before);
  });

  renaming('where the flag fails, nothing that is there is replaced without it', () => {
    const root = full();
    const before = contentsOf(root);
    holding(root, (directory) => {
      watched.failAll('renameat2');
      try {
        assert.is(
          codeOf(() => directory.rename('f', directory, 'l', 'no-replace')),
          'EEXIST',
        );
        assert.is(
          codeOf(() => directory.rename('d', directory, 'empty', 'no-replace')),
          'EEXIST',
        );
        assert.is(
          codeOf(() => directory.rename('f', directory, 'd', 'exchange')),
          'ENOTSUP',
        );
        assert.is(
          codeOf(() => directory.rename('f', directory, 'nothing', 'exchange')),
          'ENOENT',
        );
        assert.equal(contentsOf(root), before);
        directory.rename('f', directory, 'g', 'no-replace');
      } finally {
        watched.end();
      }
    });
    assert.equal(readdirSync(root).sort(), ['d', 'empty', 'g', 'l']);
  });

  renaming.run();

  function codeOf(act: () => unknown): string | undefined {
    try {
      act();
      return undefined;
    } catch (error) {
      return errorCode(error) ?? String(error);
    }
  }
}
