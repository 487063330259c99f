/**
 * What other processes do to a file while it becomes a link, at each moment that there is; calls that fail while it does; and what is
 * left where the process is killed. `spec/soak` has them race.
 */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import 'p-retry';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadWith } from '../lib/directory/native/load.ts';
import { openTree } from '../lib/directory/open.ts';
import type { Tree } from '../lib/directory/tree.ts';
import type { ManifestEntry } from '../lib/manifest/manifest.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { runPass } from '../lib/pass/apply.ts';
import type { PermissionReport } from '../lib/report.ts';
import { extent } from './helpers/extent.ts';
import { type FaultCode, faultCodes, type SystemCall, watchCalls } from './helpers/faults.ts';
import { libcWith, watchNativeCalls } from './helpers/native-calls.ts';
import { allPasses, hasNative, reasonsOf } from './helpers/passes.ts';
import { runtime } from './helpers/runtime.ts';
import { entriesBelow, makeTree, tempDirectory } from './helpers/tree.ts';

/** One moment in so many. */
const STRIDE = extent({ short: 11, full: 1 });
const retry = { retries: 3, minTimeout: 0, maxTimeout: 0, randomize: false };
const manifest: ManifestEntry[] = [
  { path: 'd/f', type: 'file' },
  { path: 'd/l', type: 'symlink', linkTarget: 'f' },
];
const options: ApplyOptions = { manifest, flattenedLinks: 'restore', strict: false, retry };
const transient: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ESTALE', 'EBUSY', 'EINTR']);

const plant = (): string => makeTree({ 'd/l': 'f', 'd/f': 'content' });

/** What another process does, with a file of its own that it wants to keep. */
const events: Record<string, (root: string, outside: string) => void> = {
  'a file is renamed over it': (root) => {
    writeFileSync(join(root, 'd/p'), 'precious');
    renameSync(join(root, 'd/p'), join(root, 'd/l'));
  },
  'a file with the same text is renamed over it, and is written to': (root) => {
    writeFileSync(join(root, 'd/p'), 'f');
    renameSync(join(root, 'd/p'), join(root, 'd/l'));
    appendFileSync(join(root, 'd/l'), 'precious');
  },
  'a link is renamed over it': (root) => {
    symlinkSync('precious', join(root, 'd/p'));
    renameSync(join(root, 'd/p'), join(root, 'd/l'));
  },
  'it is removed': (root) => rmSync(join(root, 'd/l')),
  'it gets another name': (root) => linkSync(join(root, 'd/l'), join(root, 'd/other')),
  'its directory is exchanged for a link': (root, outside) => {
    renameSync(join(root, 'd'), join(root, 'moved'));
    symlinkSync(outside, join(root, 'd'));
  },
};

/** Everything in a tree: contents, and texts of links. */
function textsIn(root: string): Record<string, string> {
  return Object.fromEntries(
    entriesBelow(root).flatMap(([path, entry]) => {
      if (entry.isDirectory()) return [];
      const full = join(root, path);
      return [[path, entry.isSymbolicLink() ? `-> ${readlinkSync(full)}` : readFileSync(full, 'utf8')]];
    }),
  );
}

/** What is left beside a link and is not named by the report. */
function unnamed(root: string, report: PermissionReport | undefined): string[] {
  const named = (report?.unresolved ?? []).map(({ path }) => basename(path));
  return entriesBelow(root).flatMap(([path]) =>
    basename(path).startsWith('.permwalk-') && !named.includes(basename(path)) ? [path] : [],
  );
}

/** What one pass came to. */
interface Outcome {
  readonly report: PermissionReport | undefined;
  readonly error: unknown;
  readonly told: number;
  /** Calls that were made until the root was open. */
  readonly opening: number;
}

for (const { title, backend, openTree: open } of allPasses) {
  const test = suite(`flattened links, attacked: ${title}`);
  let watched: ReturnType<typeof watchCalls>;
  test.before(() => {
    watched = watchCalls();
  });
  test.after(() => watched.restore());

  async function run(root: string, position?: number, event?: FaultCode | (() => void)): Promise<Outcome> {
    let [told, opening] = [0, 0];
    let report: PermissionReport | undefined;
    let error: unknown;
    const opened = (path: string): Tree => {
      const tree = open(path);
      opening ||= watched.calls.length;
      return tree;
    };
    const onChange: ApplyOptions['onChange'] = ({ linkTarget }) => {
      told += Number(linkTarget !== undefined);
    };
    watched.begin(position, event);
    try {
      report = await runPass(root, { ...options, onChange }, opened);
    } catch (thrown) {
      error = thrown;
    } finally {
      watched.end();
    }
    return { report, error, told, opening };
  }

  /** The calls of an undisturbed pass. What a runtime loads through node:fs is there by then. */
  async function undisturbed(): Promise<{ calls: SystemCall[]; opening: number }> {
    await run(plant());
    const root = plant();
    const { report, opening, told } = await run(root);
    assert.equal([report?.ok, report?.counts.restored, told], [true, 1, 1]);
    assert.equal(textsIn(root), { 'd/f': 'content', 'd/l': '-> f' });
    return { calls: [...watched.calls], opening };
  }

  /** What was not closed; native calls close what they opened without node:fs. */
  const leaked = (): readonly string[] => (backend === 'native' ? [] : watched.leaked);

  /** The moments between the last look at the file and the rename over it, where names cannot be exchanged. */
  function windowOf(calls: readonly SystemCall[]): (position: number) => boolean {
    const rename = calls.findIndex(({ name }) => name === 'rename');
    const isLook = ({ name, path }: SystemCall) => name === 'lstat' && path.endsWith('/d/l');
    const look = calls.slice(0, rename).findLastIndex(isLook);
    const symlink = calls.findIndex(({ name }) => name === 'symlink');
    assert.ok(rename === -1 || look > symlink, 'it is looked at again once the link is made');
    return (position) => rename !== -1 && look < position && position <= rename;
  }

  for (const [index, [name, act]] of Object.entries(events).entries()) {
    test(`${name}: nothing but the very file is lost, and nothing outside is touched`, async () => {
      const { calls, opening } = await undisturbed();
      const isInWindow = windowOf(calls);
      let most = calls.length;
      for (let position = opening + (index % STRIDE); position < most; position += STRIDE) {
        const root = plant();
        const outside = makeTree({ l: 'f', f: 'content' });
        let hasHappened = false;
        const { report, error } = await run(root, position, () => {
          act(root, outside);
          hasHappened = true;
        });
        most = Math.max(most, watched.calls.length);
        const said = `before call ${position}, ${watched.calls[position]?.name}`;
        assert.is(error, undefined, said);
        // The path backend looks before and after: what comes between reaches what has the name by then.
        const isTouched =
          backend === 'path' && ['symlink', 'rename'].includes(watched.calls[position]?.name ?? '');
        if (!isTouched) assert.equal(textsIn(outside), { f: 'content', l: 'f' }, said);
        const texts = Object.values(textsIn(root));
        assert.ok(texts.includes('content'), said);
        const isKept =
          !hasHappened || !/renamed/.test(name) || texts.some((text) => text.includes('precious'));
        if (backend === 'native' || !isInWindow(position)) assert.ok(isKept, `${said}: lost`);
        assert.equal(unnamed(root, report), [], said);
        assert.equal(leaked(), [], said);
        const { changed = 0, unchanged = 0, links = 0, special = 0, visited } = report?.counts ?? {};
        assert.is(visited, changed + unchanged + links + special, said);
        rmSync(root, { recursive: true });
      }
    });
  }

  test('a link that turns into a file with its text is in the report, too', async () => {
    const entries: ManifestEntry[] = [...manifest, { path: 'd/m', type: 'symlink', linkTarget: 'f' }];
    let most = 1;
    for (let position = 0; position < most; position += extent({ short: 4, full: 1 })) {
      const root = makeTree({ 'd/f': 'content', 'd/l': 'f', 'd/m': '-> f', 'd/p': 'f' });
      watched.begin(position, () => renameSync(join(root, 'd/p'), join(root, 'd/m')));
      const settings = { ...options, manifest: entries, retry: false } as const;
      const { counts, unresolved } = await runPass(root, settings, open);
      watched.end();
      most = watched.calls.length;
      const said = `before call ${position}, ${watched.calls[position]?.name}`;
      // The root, d and what is in it.
      assert.is(counts.visited + unresolved.length, 5, said);
    }
  });

  test('each call fails once: the file or the link is there, and what is wrong is named', async () => {
    const { calls, opening } = await undisturbed();
    for (const [position, { name }] of calls.entries()) {
      if (position < opening) continue;
      for (const [index, code] of faultCodes.entries()) {
        if ((position + index) % STRIDE !== 0) continue;
        const root = plant();
        const { report, error, told } = await run(root, position, code);
        const said = `${code} from ${name} (call ${position})`;
        assert.is(error, undefined, said);
        const { 'd/l': found, 'd/f': content, ...more } = textsIn(root);
        assert.ok(['f', '-> f'].includes(found ?? ''), `${said}: ${found}`);
        assert.is(content, 'content', said);
        assert.equal([unnamed(root, report), leaked()], [[], []], said);
        const isRestored = found === '-> f';
        assert.equal([report?.counts.restored, told], [Number(isRestored), Number(isRestored)], said);
        const reasons = report && reasonsOf(report);
        if (transient.has(code)) assert.equal([reasons, more], [[], {}], said);
        else if (!isRestored) assert.ok(report?.ok === false, `${said}: nothing is said`);
        rmSync(root, { recursive: true });
      }
    }
  });

  test.run();
}

if (hasNative) {
  const test = suite('flattened links, attacked between native calls');
  const watched = watchNativeCalls();

  async function run(root: string, position?: number, event?: 'fails' | (() => void)) {
    const open = (path: string) => openTree(path, { native: watched.source });
    watched.begin(position, event);
    try {
      return await runPass(root, options, open);
    } finally {
      watched.end();
    }
  }

  for (const [index, [name, act]] of Object.entries(events).entries()) {
    test(`${name}: what was put there is never lost`, async () => {
      await run(plant());
      assert.ok(watched.calls.includes('renameat2'));
      let most = watched.calls.length;
      for (let position = index % STRIDE; position < most; position += STRIDE) {
        const root = plant();
        const outside = makeTree({ l: 'f', f: 'content' });
        let hasHappened = false;
        const report = await run(root, position, () => {
          act(root, outside);
          hasHappened = true;
        });
        most = Math.max(most, watched.calls.length);
        const said = `before call ${position}, ${watched.calls[position]}`;
        assert.equal(textsIn(outside), { f: 'content', l: 'f' }, said);
        const texts = Object.values(textsIn(root));
        if (hasHappened && /renamed/.test(name))
          assert.ok(
            texts.some((text) => text.includes('precious')),
            `${said}: lost`,
          );
        assert.equal(unnamed(root, report), [], said);
        rmSync(root, { recursive: true });
      }
    });
  }

  test('each native call fails once: the link is there all the same', async () => {
    await run(plant());
    const calls = [...watched.calls];
    for (const [position, name] of calls.entries()) {
      const root = plant();
      const report = await run(root, position, 'fails');
      assert.equal([reasonsOf(report), report.counts.restored], [[], 1], `${name} (call ${position})`);
      assert.equal(textsIn(root), { 'd/f': 'content', 'd/l': '-> f' });
    }
  });

  /** A pass in which something is done before each rename that exchanges. */
  async function runAmongRenames(root: string, acts: readonly (() => void)[]): Promise<PermissionReport> {
    let renames = Number.POSITIVE_INFINITY;
    const libc = libcWith((name) => {
      if (name === 'renameat2') {
        acts[renames]?.();
        renames += 1;
      }
      return undefined;
    });
    const native = loadWith(() => libc);
    // From here on: its self-check renames, too.
    renames = 0;
    return runPass(root, options, (path) => openTree(path, { native: { after: 0, load: () => native } }));
  }

  const put = (root: string, content: string) => {
    writeFileSync(join(root, 'd/p'), content);
    renameSync(join(root, 'd/p'), join(root, 'd/l'));
  };

  test('what takes the place of the link before the file is put back keeps a name, and is told', async () => {
    const root = plant();
    const report = await runAmongRenames(root, [() => put(root, 'precious'), () => put(root, 'later')]);
    const [[left = '', found] = [], ...more] = Object.entries(textsIn(root)).filter(([path]) =>
      path.includes('.permwalk-link-'),
    );
    assert.equal([found, more, textsIn(root)['d/l']], ['later', [], 'precious']);
    assert.equal(reasonsOf(report), [`${left}: unsafe-path`, 'd/l: type-mismatch']);
    assert.is(report.unresolved[0]?.code, 'ERR_PERMWALK_SWAPPED');
    assert.match(report.unresolved[0]?.message ?? '', 'move it back');
  });

  test('where the link is removed before the file is put back, it gets its name again', async () => {
    const root = plant();
    const remove = () => rmSync(join(root, 'd/l'));
    const report = await runAmongRenames(root, [() => put(root, 'precious'), remove]);
    assert.equal(textsIn(root), { 'd/f': 'content', 'd/l': 'precious' });
    assert.equal(reasonsOf(report), ['d/l: type-mismatch']);
  });

  test.run();
}

const killed = suite('flattened links, killed');
const canTrace =
  process.platform === 'linux' && runtime === 'node' && spawnSync('strace', ['-V']).status === 0;
const command = fileURLToPath(new URL('../dist/bin/permwalk.js', import.meta.url));
/** Everything that changes a directory. */
const CHANGING = ['symlink', 'rename', 'renameat2', 'unlink'];
/** Run the command, with something before it. */
function apply(before: readonly string[], root: string, list: string, native: string): number | null {
  const given = ['apply', '--flattened-links', 'restore', '--manifest', list, root];
  const [program = '', ...args] = [...before, process.execPath, command, ...given];
  return spawnSync(program, args, { env: { ...process.env, PERMWALK_NATIVE: native } }).status;
}

if (!canTrace) console.log('  skipped: needs Linux, Node and strace');
else {
  for (const native of hasNative ? ['0', '1'] : ['0']) {
    killed(`at each call: nothing is lost, and the next call does the rest (native: ${native})`, () => {
      const list = join(tempDirectory(), 'list.json');
      writeFileSync(list, JSON.stringify(manifest));
      const trace = join(tempDirectory(), 'trace');
      const strace = ['strace', '-f', '-qq', '-o'];
      const whole = plant();
      // Only the calls that are counted stop the process; where one of them kills it, every call has to.
      const filter = ['--seccomp-bpf', '-e', `trace=${CHANGING.map((call) => `?${call}`).join(',')}`];
      const traced = [...strace, trace, ...filter];
      assert.is(apply(traced, whole, list, native), 0);
      const calls = readFileSync(trace, 'utf8').matchAll(/^\d+ +(\w+)\(/gm);
      // Calls are traced, too, whose names strace does not know.
      const made = [...calls].flatMap(([, call = '']) => (CHANGING.includes(call) ? [call] : []));
      assert.ok(made.includes('symlink') && made.includes(native === '0' ? 'rename' : 'renameat2'));
      let leftovers = 0;
      // The short run kills at the call that gives the link its name.
      const last = made.lastIndexOf(native === '0' ? 'rename' : 'renameat2');
      const chosen = extent({ short: [last], full: [...made.keys()] });
      for (const index of chosen) {
        const call = made[index] as string;
        const count = made.slice(0, index + 1).filter((one) => one === call).length;
        const root = plant();
        const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${count}`];
        const said = `${call} ${count}`;
        assert.is(apply([...strace, '/dev/null', ...inject], root, list, native), null, said);
        const { 'd/l': found, 'd/f': content, ...left } = textsIn(root);
        assert.ok(['f', '-> f'].includes(found ?? ''), said);
        assert.is(content, 'content', said);
        for (const [path, text] of Object.entries(left)) {
          assert.ok(/^d\/\.permwalk-link-[\w-]{16}$/.test(path), said);
          assert.ok(['f', '-> f'].includes(text), said);
          leftovers += 1;
        }
        assert.is(apply([], root, list, native), 0, said);
        // What the docs say about leftovers.
        spawnSync('find', [root, '-name', '.permwalk-link-*', '-delete']);
        assert.equal(textsIn(root), { 'd/f': 'content', 'd/l': '-> f' }, said);
      }
      console.log(`  ${chosen.length} kills, ${leftovers} leftovers`);
    });
  }
}

killed.run();
