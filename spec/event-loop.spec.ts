import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApplyOptions } from '../lib/options.ts';
import type { PermissionChange, PermissionProgress } from '../lib/report.ts';
import { extent } from './helpers/extent.ts';
import { longPasses, passes } from './helpers/passes.ts';
import { makeTree, memoryDirectory, modeOf } from './helpers/tree.ts';

const TICK_MS = 5;
const LEAST_SHARE = extent({ short: 0.2, full: 0.3 });
/** A short pass has few stretches, of which garbage collection may be one. */
const LONGEST_STRETCH = extent({ short: 0.5, full: 0.25 });
const DIRECTORIES = extent({ short: 60, full: 250 });
const FILES_EACH = 100;
const FILES_IN_ONE = extent({ short: 4000, full: 20_000 });
/** Each is read and replaced, which takes ten times as long as a look at it. */
const FLATTENED = extent({ short: 1000, full: 20_000 });
/** What any of the trees takes at most, in bytes. */
const TREE_SPACE = 256 << 20;

/** A tree of empty files, and their paths below its root. */
interface LargeTree {
  root: string;
  paths: string[];
}

function makeLargeTree(directories: number, filesEach: number): LargeTree {
  const root = memoryDirectory(TREE_SPACE);
  const paths: string[] = [];
  for (let index = 0; index < directories; index += 1) {
    const directory = `d${index % 20}/d${index}`;
    mkdirSync(join(root, directory), { recursive: true });
    for (let file = 0; file < filesEach; file += 1) paths.push(`${directory}/f${file}`);
  }
  for (const path of paths) closeSync(openSync(join(root, path), 'w'));
  return { root, paths };
}

const many = makeLargeTree(DIRECTORIES, FILES_EACH);
const one = makeLargeTree(1, FILES_IN_ONE);
const manifest = many.paths.map((path) => ({ path, type: 'file' as const, size: 0 }));

const nothing = { algorithm: 'sha256', value: createHash('sha256').digest('hex') };
const digested = manifest.map((entry) => ({ ...entry, digest: nothing }));

const directories = memoryDirectory(TREE_SPACE);
const links = memoryDirectory(TREE_SPACE);
for (let index = 0; index < FILES_IN_ONE / 100; index += 1) {
  mkdirSync(join(links, `${index}`));
  for (let below = 0; below < 100; below += 1) {
    mkdirSync(join(directories, `${index}`, `${below}`), { recursive: true });
    symlinkSync('nowhere', join(links, `${index}`, `${below}`));
  }
}

const flattened = Array.from({ length: FLATTENED }, (_, index) => ({
  path: `${index % 20}/${index}`,
  type: 'symlink' as const,
  linkTarget: 'nowhere',
}));

/** Files that hold the text of a link. */
function makeFlattened(): string {
  const root = memoryDirectory(TREE_SPACE);
  for (let index = 0; index < 20; index += 1) mkdirSync(join(root, `${index}`));
  for (const { path, linkTarget } of flattened) writeFileSync(join(root, path), linkTarget);
  return root;
}

let modesGiven = 0;

/** A mode for files that no pass has given before, so that every file gets changed. */
function anotherMode(): number {
  modesGiven += 1;
  return 0o600 + modesGiven;
}

/** Milliseconds of processor time that this process has had: another busy process must not count against it. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** What a timer of 5 ms saw while something ran. */
interface Ticks {
  /** How often it fired, as a share of how often it could have. */
  share: number;
  /** The longest stretch in which it did not fire, as a share of the whole. */
  longestStretch: number;
}

async function ticksDuring(work: () => Promise<unknown>): Promise<Ticks> {
  const times = [processorTime()];
  const timer = setInterval(() => times.push(processorTime()), TICK_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const fired = times.length - 1;
  times.push(processorTime());
  const stretches = times.slice(1).map((time, index) => time - (times[index] ?? time));
  const elapsed = stretches.reduce((sum, stretch) => sum + stretch);
  return { share: fired / (elapsed / TICK_MS), longestStretch: Math.max(...stretches) / elapsed };
}

/** Let the event loop turn often enough for anything that is still under way to go on. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** What a pass rejects with, which need not be an error. */
async function rejectionOf(pass: Promise<unknown>): Promise<unknown> {
  try {
    await pass;
  } catch (reason) {
    return reason;
  }
  throw new Error('the pass did not reject');
}

const tested = passes.filter((pass) => longPasses.includes(pass));
/** What the short run asks of backends but the first: the loops are the same, the calls in them are others. */
const ofEach = ['a walk that changes each file', 'a manifest that changes each file', 'one directory'];

for (const [index, { backend, apply }] of tested.entries()) {
  const test = suite(`event loop (${backend})`);

  const kinds: Record<string, () => [root: string, options: ApplyOptions]> = {
    'a walk that looks at each file': () => [many.root, { mode: 'u+r' }],
    'a walk that changes each file': () => [many.root, { mode: anotherMode() }],
    'a manifest that changes each file': () => [many.root, { manifest, mode: anotherMode() }],
    'a manifest that each file has the size of': () => [many.root, { manifest }],
    'a manifest that each file has the content of': () => [
      many.root,
      { manifest: digested, verify: 'content' },
    ],
    'a walk whose directories are closed when all else is done': () => [
      directories,
      // What the other backends have not taken away.
      { mode: { anchored: 'g-x', native: 'o-x', path: 'go-r' }[backend] },
    ],
    'a walk that looks at links once more at the end': () => [links, {}],
    'a manifest whose flattened links are restored': () => [
      makeFlattened(),
      { manifest: flattened, flattenedLinks: 'restore', danglingLinks: 'skip' },
    ],
    'one directory': () => [one.root, { mode: anotherMode(), executable: '**/*1' }],
  };
  for (const [kind, pass] of Object.entries(kinds)) {
    if (index > 0 && extent({ short: !ofEach.includes(kind), full: false })) continue;
    test(`a timer keeps firing during ${kind}`, async () => {
      const faults: string[] = [];
      // A busy machine makes stretches longer, never shorter: one good pass of three shows what the code does.
      for (let attempt = 0; attempt < 3 && faults.length === attempt; attempt += 1) {
        const [root, options] = pass();
        const { share, longestStretch } = await ticksDuring(async () => {
          const { counts } = await apply(root, options);
          assert.ok(counts.visited >= Math.min(FILES_IN_ONE, FLATTENED));
        });
        // A manifest is checked and planned in one go: only then may a stretch be longer.
        const isLong = longestStretch > LONGEST_STRETCH && options.manifest === undefined;
        if (share < LEAST_SHARE) faults.push(`${Math.round(share * 100)} % of the ticks`);
        else if (isLong) faults.push(`none for ${Math.round(longestStretch * 100)} % of the time`);
      }
      assert.ok(faults.length < 3, faults.join(', '));
    });
  }

  test('onProgress is called on the way, with counts that grow', async () => {
    const seen: PermissionProgress[] = [];
    const options: ApplyOptions = { mode: anotherMode(), onProgress: (progress) => seen.push(progress) };
    const { counts } = await apply(many.root, options);
    const changed = seen.map((progress) => progress.counts.changed);
    assert.ok(new Set(changed).size >= 10, `${new Set(changed).size} states`);
    assert.equal(
      changed,
      changed.toSorted((less, more) => less - more),
    );
    assert.equal(seen.at(-1)?.counts, counts);
    assert.is(seen.at(0)?.phase, 'visit');
    assert.is(seen.at(-1)?.phase, 'finish');
  });

  const reasons = { 'an error': new Error('enough'), 'a string': 'enough', null: null };
  for (const [which, [what, reason]] of Object.entries(reasons).entries()) {
    const aborted = [
      ['a walk', many, {}],
      ['a manifest pass', many, { manifest }],
      ['a walk of one directory', one, {}],
    ] as const;
    // The short run takes each of them with one of the reasons.
    for (const [kind, { root, paths }, listed] of extent({
      short: [aborted[which] as (typeof aborted)[number]],
      full: [...aborted],
    })) {
      test(`an abort with ${what} during ${kind} rejects with it, and nothing more is changed`, async () => {
        const controller = new AbortController();
        const { signal } = controller;
        const changed = new Set<string>();
        const mode = anotherMode();
        let changedAtAbort = 0;
        let progress = 0;
        const onChange = ({ path }: PermissionChange) => changed.add(path);
        const onProgress = () => {
          progress += 1;
        };
        const timer = setInterval(() => {
          if (changed.size === 0 || signal.aborted) return;
          changedAtAbort = changed.size;
          controller.abort(reason);
        });
        const pass = apply(root, { ...listed, mode, signal, onChange, onProgress });
        assert.is(await rejectionOf(pass).finally(() => clearInterval(timer)), reason);
        assert.ok(changed.size - changedAtAbort < paths.length / 10, 'soon');

        progress = 0;
        await turns();
        assert.is(progress, 0);
        const onDisk = paths.filter((path) => modeOf(root, path) === mode);
        assert.equal(
          onDisk,
          paths.filter((path) => changed.has(path)),
        );
        assert.ok(onDisk.length < paths.length);
      });
    }

    test(`an abort with ${what} during the waiting rejects with it`, async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const retry = { retries: 1, minTimeout: 1_000_000, maxTimeout: 1_000_000, maxRetryTime: 1_000_000 };
      const onProgress = ({ phase }: PermissionProgress) => {
        if (phase === 'settle') setImmediate(() => controller.abort(reason));
      };
      const root = makeTree({ f: 0o644 });
      const pass = apply(root, { manifest: ['f', 'never'], retry, signal, onProgress });
      assert.is(await rejectionOf(pass), reason);
    });
  }

  test('an abort while the manifest is being read changes nothing at all', async () => {
    const root = makeTree({ f: 0o600 });
    const controller = new AbortController();
    const { signal } = controller;
    async function* slowManifest() {
      yield 'f';
      controller.abort('enough');
    }
    const pass = apply(root, { manifest: slowManifest(), mode: 0o644, signal });
    assert.is(await rejectionOf(pass), 'enough');
    assert.is(modeOf(root, 'f'), 0o600);
  });

  test.run();
}
