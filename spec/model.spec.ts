import { deepStrictEqual } from 'node:assert/strict';
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import type { ApplyOptions } from '../lib/options.ts';
import type {
  LinkReport,
  PermissionChange,
  PermissionCounts,
  PermissionProgress,
  PermissionReport,
} from '../lib/report.ts';
import { extent } from './helpers/extent.ts';
import { forSeconds } from './helpers/for-seconds.ts';
import {
  AmbiguousError,
  countsOf,
  type Expectation,
  expectPass,
  reasonsIn,
  takeTree,
} from './helpers/model.ts';
import { allPasses, reasonsOf, type TestedPass } from './helpers/passes.ts';
import {
  type Claims,
  type Entries,
  type Move,
  manifestOf,
  manifests,
  move,
  moves,
  passOptions,
  plantOne,
  plantTree,
  type RandomOptions,
  trees,
} from './helpers/random-trees.ts';
import { canActAsRoot } from './helpers/rights.ts';
import { addToTree, makeTree, modesBelow } from './helpers/tree.ts';

/** Seconds for each property; `MODEL_SECONDS=600` looks for longer. */
const seconds = Number(process.env.MODEL_SECONDS ?? extent({ short: 1, full: 6 }));
const test = suite('model');

/** What a pass came to. */
interface Outcome {
  /** In the words of the model. */
  found: {
    modes: Record<string, string>;
    counts: PermissionCounts;
    links: LinkReport[];
    unlisted: string[];
    unresolved: string[];
  };
  /** What only backends are compared by. */
  details: unknown;
  changes: string[];
}

const modesOf = (modes: Map<string, number>): Record<string, string> =>
  Object.fromEntries([...modes].map(([path, mode]) => [`/${path}`, mode.toString(8)]));
const modesIn = (root: string): Map<string, number> =>
  new Map([...takeTree(root)].map(([path, { mode }]) => [path, mode]));

function expectedOutcome(expected: Expectation): Outcome['found'] {
  const { modes, links } = expected;
  const { listed: unlisted } = expected;
  return {
    modes: modesOf(modes),
    counts: countsOf(expected),
    links,
    unlisted,
    unresolved: reasonsIn(expected),
  };
}

async function outcomeOf({ apply }: TestedPass, root: string, options: ApplyOptions): Promise<Outcome> {
  const changes: string[] = [];
  const onChange = (change: PermissionChange): void => {
    // Which of a file's names is met first is the file system's order, or node's.
    changes.push(JSON.stringify('names' in change ? { ...change, path: 'any of its names' } : change));
  };
  const report = await apply(root, { ...options, onChange });
  const { counts, links, unlisted } = report;
  const unresolved = reasonsOf(report).sort();
  return {
    found: { modes: modesOf(modesIn(root)), counts: { ...counts }, links, unlisted, unresolved },
    details: detailsOf(report, root),
    changes: changes.sort(),
  };
}

/** Everything that the backends must say alike, whatever the root is called. */
function detailsOf(report: PermissionReport, root: string): unknown {
  const { ok, counts, links, unlisted, unresolved, settle } = report;
  const { rounds, recovered } = settle;
  const errors = unresolved.map(({ path, reason, code, expected, actual, target, attempts }) => {
    return { path, reason, code, expected, actual, target, attempts };
  });
  const details = { ok, counts, links, unlisted, unresolved: errors, rounds, recovered };
  return JSON.parse(JSON.stringify(details).replaceAll(root, ''));
}

/** Run a check; a case of which nothing is promised does not count. */
async function unlessAmbiguous(check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!(error instanceof AmbiguousError)) throw error;
    fc.pre(false);
  }
}

/** The same tree, in which every file has one name. */
function withoutNames(entries: Entries): Entries {
  return entries
    .filter(([, plant]) => plant.kind !== 'name')
    .map(([name, plant]) => {
      if (plant.kind !== 'directory') return [name, plant];
      return [name, { ...plant, entries: withoutNames(plant.entries) }];
    });
}

/** Whether any file has two names. */
function hasNames(entries: Entries): boolean {
  return entries.some(
    ([, plant]) => plant.kind === 'name' || (plant.kind === 'directory' && hasNames(plant.entries)),
  );
}

/** Without how often was looked: a file is read again where the pass itself changed it by its other name, if clocks tell. */
function withoutLooks(details: unknown): unknown {
  return JSON.parse(JSON.stringify(details), (key, value) =>
    key === 'rounds' || key === 'attempts' ? undefined : value,
  );
}

/** A pass and a dry run on each backend, over trees in which nothing moves. */
async function checkStill(
  entries: Entries,
  claims: Claims | undefined,
  options: RandomOptions,
): Promise<void> {
  const outcomes: Outcome[] = [];
  for (const dryRun of [false, true]) {
    for (const pass of allPasses) {
      const root = plantTree(entries);
      const tree = takeTree(root);
      const manifest = claims && manifestOf(tree, claims);
      const unlisted = (manifest && options.forModel.unlisted) ?? 'count';
      const discover = options.forModel.discover || manifest === undefined || unlisted !== 'count';
      const same = { manifest, discover, unlisted, dryRun };
      const expected = expectPass(root, tree, { ...options.forModel, ...same });
      const outcome = await outcomeOf(pass, root, { ...options.forPass, ...same });
      deepStrictEqual(outcome.found, expectedOutcome(expected));
      outcomes.push(outcome);
      rmSync(root, { recursive: true });
    }
    const [first, ...others] = outcomes.slice(-allPasses.length);
    for (const { changes } of others) deepStrictEqual(changes, first?.changes);
  }
  const isTimed = options.forPass.verify === 'content' && hasNames(entries);
  const [first, ...others] = outcomes.map(({ details }) => (isTimed ? withoutLooks(details) : details));
  for (const other of others) deepStrictEqual(other, first);
}

/** What is still true of a first look, and what a look after the moves must come to. */
function expectMoved(first: Expectation, second: Expectation, present: Map<string, number>): Expectation {
  const isOpen = (path: string): boolean => !first.final.has(path);
  // A link is given up with what it waits for, where that was dealt with before it: the order decides.
  if ([...first.awaited.values()].some((path) => first.final.has(path))) throw new AmbiguousError();
  const endings = new Map([...second.endings].filter(([path]) => isOpen(path)));
  for (const path of first.final) {
    const ending = first.endings.get(path);
    if (ending !== undefined) endings.set(path, ending);
  }
  const modes = new Map(
    [...second.modes].map(([path, mode]) => [path, isOpen(path) ? mode : (present.get(path) ?? 0)]),
  );
  return { ...second, endings, modes, links: second.links.filter(({ path }) => isOpen(path)) };
}

/** A pass over a tree in which another process moves things while the pass waits. */
async function checkMoved(
  entries: Entries,
  claims: Claims,
  options: RandomOptions,
  planned: readonly Move[],
): Promise<void> {
  const details: unknown[] = [];
  for (const pass of allPasses) {
    const root = plantTree(entries);
    const tree = takeTree(root);
    // What may be absent is looked for once.
    const manifest = manifestOf(tree, claims).map((entry) => ({ ...entry, optional: undefined }));
    const forModel = { ...options.forModel, manifest, discover: false, unlisted: 'count' } as const;
    let expected = expectPass(root, tree, forModel);
    let moved: string[] | undefined;
    const onProgress = ({ phase }: PermissionProgress): void => {
      if (phase !== 'settle' || moved !== undefined) return;
      const paths = move(root, manifest, planned);
      moved = paths;
      const present = takeTree(root);
      const modes = new Map([...present].map(([path, { mode }]) => [path, mode]));
      // What stayed is as it was found, whatever has been done to it since.
      for (const [path, entry] of present) {
        const isNew = paths.some((one) => path === one || path.startsWith(`${one}/`));
        if (!isNew) entry.mode = tree.get(path)?.mode ?? entry.mode;
      }
      expected = expectMoved(expected, expectPass(root, present, forModel), modes);
    };
    const retry = { retries: 1, minTimeout: 0, maxTimeout: 0 };
    const forPass = {
      ...options.forPass,
      manifest,
      discover: false,
      unlisted: 'count',
      retry,
      onProgress,
    } as const;
    const outcome = await outcomeOf(pass, root, forPass);
    deepStrictEqual(summaryOf(outcome.found), summaryOf(expectedOutcome(expected)));
    details.push(outcome.details);
    rmSync(root, { recursive: true });
  }
  for (const one of details) deepStrictEqual(one, details[0]);
}

/**
 * Whether the pass found a mode as it was or made it so says nothing where others make modes, too. Nor does the number of files
 * without a digest: what the pass had given up may be right by then, and is in no count.
 */
function summaryOf({ counts, ...found }: Outcome['found']): unknown {
  const { changed, unchanged, unverified, ...same } = counts;
  return { ...found, counts: same };
}

test('a walk does what the contract says, on both backends, and a dry run tells it', async () => {
  await forSeconds(
    seconds,
    fc.asyncProperty(trees, passOptions, (entries, options) =>
      unlessAmbiguous(() => checkStill(entries, undefined, options)),
    ),
  );
});

test('a manifest, right or wrong, is held against the tree as the contract says', async () => {
  await forSeconds(
    seconds,
    fc.asyncProperty(trees, manifests, passOptions, (entries, claims, options) =>
      unlessAmbiguous(() => checkStill(entries, claims, options)),
    ),
  );
});

test('what moves while the pass waits is held against the manifest at the end', async () => {
  await forSeconds(
    seconds,
    fc.asyncProperty(trees, manifests, passOptions, moves, (entries, claims, options, planned) =>
      unlessAmbiguous(() => checkMoved(withoutNames(entries), claims, options, planned)),
    ),
  );
});

for (const { title, apply } of allPasses) {
  const retry = { retries: 1, minTimeout: 0, maxTimeout: 0 };
  /** Once, when the pass begins to wait. */
  const whenWaiting = (act: () => void): ApplyOptions => {
    let isDone = false;
    const onProgress = ({ phase }: PermissionProgress): void => {
      if (phase !== 'settle' || isDone) return;
      isDone = true;
      act();
    };
    return { retry, strict: false, umask: 0o022, onProgress };
  };

  test(`a link that was right and went while the pass waited is missing (${title})`, async () => {
    const root = makeTree({ f: 0o644, l: '-> f' });
    const manifest = [{ path: 'l', type: 'symlink' as const, linkTarget: 'f' }, 'f', 'late'];
    const options = whenWaiting(() => {
      rmSync(join(root, 'l'));
      addToTree(root, { late: 0o644 });
    });
    deepStrictEqual(reasonsOf(await apply(root, { manifest, ...options })), ['l: missing']);
  });

  test(`a link waits for a target that was there, went, and comes again (${title})`, async () => {
    const root = makeTree({ f: 0o644, l: '-> f' });
    const manifest = [{ path: 'f', mode: 0o755 }, 'l'];
    const options = whenWaiting(() => addToTree(root, { f: 0o644 }));
    let isGone = false;
    const onChange = (): void => {
      if (!isGone) rmSync(join(root, 'f'));
      isGone = true;
    };
    const report = await apply(root, { manifest, ...options, onChange });
    deepStrictEqual(reasonsOf(report), []);
    deepStrictEqual(modesBelow(root).f, '755');
  });

  test(`a FIFO in the place of a directory that gets its mode at the end is not changed (${title})`, async () => {
    const root = makeTree({ 'd/': 0o755 });
    const options = whenWaiting(() => {
      rmSync(join(root, 'd'), { recursive: true });
      plantOne(root, join(root, 'd'), { kind: 'fifo' });
    });
    const fifoMode = (): number | undefined => takeTree(root).get('d')?.mode;
    let before: number | undefined;
    const onProgress: ApplyOptions['onProgress'] = (progress) => {
      options.onProgress?.(progress);
      before ??= takeTree(root).get('d')?.type === 'other' ? fifoMode() : undefined;
    };
    const report = await apply(root, { ...options, onProgress, mode: 'go-rx', manifest: ['d/', 'late'] });
    deepStrictEqual([fifoMode(), before === undefined], [before, false]);
    deepStrictEqual(reasonsOf(report), ['d: type-mismatch', 'late: missing']);
  });

  test(`a link that leads nowhere is held against the manifest at the end, too (${title})`, async () => {
    const root = makeTree({ l: '-> nowhere', m: '-> nowhere' });
    const options = whenWaiting(() => {
      rmSync(join(root, 'l'));
      rmSync(join(root, 'm'));
      addToTree(root, { l: '-> elsewhere', m: 0o644 });
    });
    const links = ['l', 'm'].map((path) => ({ path, type: 'symlink' as const, linkTarget: 'nowhere' }));
    const report = await apply(root, { ...options, manifest: [...links, 'late'] });
    deepStrictEqual(reasonsOf(report), ['l: link-mismatch', 'late: missing', 'm: type-mismatch']);
  });

  test(`a link that was made anew and leads to what does not come is unresolved with it (${title})`, async () => {
    const root = makeTree({ l: '-> nowhere' });
    const options = whenWaiting(() => {
      rmSync(join(root, 'l'));
      addToTree(root, { l: '-> late' });
    });
    const manifest = [{ path: 'l', type: 'symlink' as const }, 'late'];
    const report = await apply(root, { ...options, manifest });
    deepStrictEqual(reasonsOf(report), ['l: dangling-link', 'late: missing']);
    deepStrictEqual(report.links, []);
  });

  test(`what a manifest lists as a link, and things below it, counts once (${title})`, async () => {
    const root = makeTree({ 'a/': 0o744, 'a/b': 0o644 });
    const manifest = [{ path: 'a', type: 'symlink' as const }, 'a/b'];
    const report = await apply(root, { manifest, retry: false, strict: false, umask: 0o022 });
    deepStrictEqual(reasonsOf(report), ['a: type-mismatch']);
    deepStrictEqual([report.counts.visited, modesBelow(root).a], [2, '744']);
  });

  test(`a link waits for what is listed below a path that is listed as a file, too (${title})`, async () => {
    const root = makeTree({ l: '-> a/b' });
    plantOne(root, join(root, 'a'), { kind: 'fifo' });
    const manifest = [{ path: 'a', type: 'file' as const }, 'a/b'];
    const report = await apply(root, { manifest, discover: true, retry: false, strict: false });
    deepStrictEqual(reasonsOf(report), ['a: type-mismatch', 'a/b: missing', 'l: dangling-link']);
  });

  test(`a mode that would change its own result is applied once, waited or not (${title})`, async () => {
    const root = makeTree({ f: 0o644 });
    const options = whenWaiting(() => addToTree(root, { late: 0o644 }));
    await apply(root, { ...options, mode: 'go+X,u+x', manifest: ['f', 'late'] });
    deepStrictEqual(modesBelow(root).f, '744');
  });

  if (canActAsRoot('to pass through directories that are closed to others')) {
    test(`a mode that would change its own result is applied once to a directory that it opens (${title})`, async () => {
      const root = makeTree({ 'd/': 0o037 });
      await apply(root, { mode: 'g=u,u+rx', retry: false });
      deepStrictEqual(modesBelow(root).d, '507');
    });

    test(`a directory that has the inode of one that was opened is another (${title})`, async () => {
      const root = makeTree({ 'd/': 0o037 });
      const { ino } = lstatSync(join(root, 'd'));
      let isReused = false;
      const options = whenWaiting(() => {
        rmSync(join(root, 'd'), { recursive: true });
        for (let index = 0; index < 20 && !isReused; index += 1) {
          const path = join(root, `${index}`);
          mkdirSync(path);
          isReused = lstatSync(path).ino === ino;
          if (isReused) renameSync(path, join(root, 'late'));
        }
        if (isReused) chmodSync(join(root, 'late'), 0o537);
      });
      await apply(root, { ...options, mode: 'g=u,u+rx', manifest: ['d/', 'late/'] });
      if (isReused) deepStrictEqual(modesBelow(root).late, '557');
      else console.log('  skipped: this file system does not use an inode number again at once');
    });
  }
}

test.run();
