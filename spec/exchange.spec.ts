import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory, RenameKind } from '../lib/directory/directory.ts';
import { systemError } from '../lib/directory/errors.ts';
import { holdDirectory } from '../lib/directory/open.ts';
import { Destination } from '../lib/extract/destination.ts';
import { type Existing, publish } from '../lib/extract/publish.ts';
import { createStaging, removeStaging, type Staging, TREE } from '../lib/extract/staging.ts';
import { stageTree } from '../lib/index.ts';
import { outputOf } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { leftover } from './helpers/leftover.ts';
import { javascriptCommand } from './helpers/runtime.ts';
import { addToTree, tempDirectory } from './helpers/tree.ts';

const REPLACEMENTS = extent({ short: 20, full: 500 });
const lookScript = fileURLToPath(new URL('helpers/look-child.js', import.meta.url));

/** Whether two entries can be exchanged by one rename here. */
function canExchange(): boolean {
  const directory = holdDirectory(tempDirectory());
  try {
    return directory.renames.has('exchange');
  } finally {
    directory.close();
  }
}

type Rename = (act: () => void, kind: RenameKind | undefined, count: number) => void;

/** A staging directory whose renames of the new tree something is put around. */
function withRename(staging: Staging, around: Rename): Staging {
  let count = 0;
  const directory: Directory = new Proxy(staging.directory, {
    get(target: Directory, property: keyof Directory) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (property !== 'rename') return value.bind(target);
      return (name: string, to: Directory, newName: string, kind?: RenameKind) => {
        const act = () => target.rename(name, to === directory ? target : to, newName, kind);
        if (name !== TREE) return act();
        count += 1;
        return around(act, kind, count);
      };
    },
  });
  return { ...staging, directory };
}

interface Finished {
  readonly path: string;
  publish(existing: Existing, around?: Rename): ReturnType<typeof publish>;
}

/** Stage a tree with a file `f` of content `new`, and leave nothing behind. */
async function withFinished(act: (finished: Finished) => Promise<void>): Promise<void> {
  const directory = tempDirectory();
  const destination = new Destination(join(directory, 'out'));
  try {
    const staging = await createStaging(destination);
    writeFileSync(join(staging.treePath, 'f'), 'new');
    const root = staging.directory.openDirectory(TREE);
    try {
      await act({
        path: destination.path,
        publish: (existing, around = (rename) => rename()) =>
          publish(withRename(staging, around), root.opened, existing, { retry: false }),
      });
    } finally {
      root.close();
      await removeStaging(staging, undefined);
    }
  } finally {
    destination.release();
  }
  assert.equal(
    readdirSync(directory).filter((name) => name !== 'out'),
    [],
  );
}

const contentAt = (path: string): string => readFileSync(join(path, 'f'), 'utf8');

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

const test = suite('exchange');

if (!canExchange()) console.log('  skipped: exchanging needs native calls (Bun, or koffi) and renameat2');
else {
  test(`another process sees the old tree or the new one at every look during ${REPLACEMENTS} replacements`, async () => {
    const directory = tempDirectory();
    const destination = join(directory, 'out');
    const stop = join(directory, 'stop');
    const replace = (version: number) =>
      stageTree(destination, { existing: 'replace' }, (stage) =>
        writeFileSync(join(stage.directory, 'f'), `${version}`),
      );
    await replace(0);
    const [program, ...args] = javascriptCommand;
    const child = spawn(program, [...args, lookScript, destination, stop], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = outputOf(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    try {
      for (let version = 1; version <= REPLACEMENTS; version += 1)
        assert.is((await replace(version)).outcome, 'replaced');
    } finally {
      writeFileSync(stop, '');
    }
    const [, last = ''] = (await output).split('\n');
    const { looks, absent, broken, versions } = JSON.parse(last);
    console.log(`  ${last}`);
    assert.equal([absent, broken], [0, 0]);
    assert.ok(versions > 1 && looks > REPLACEMENTS);
    assert.is(contentAt(destination), `${REPLACEMENTS}`);
    assert.equal(readdirSync(directory).sort(), ['out', 'stop']);
  });

  test('replaces by one rename, and what lay there goes with the staging directory', async () => {
    await withFinished(async ({ path, publish }) => {
      addToTree(path, { f: 'old', 'd/g': 'old' });
      const kinds: unknown[] = [];
      const outcome = await publish('replace', (rename, kind) => {
        kinds.push(kind);
        assert.is(contentAt(path), 'old');
        rename();
        assert.is(contentAt(path), 'new');
      });
      assert.is(outcome, 'replaced');
      assert.equal(kinds, ['exchange']);
      assert.equal(readdirSync(path), ['f']);
    });
  });

  test('what another process has just made is not replaced where it must stay, were it empty', async () => {
    for (const existing of ['error', 'keep', 'replace'] as const) {
      await withFinished(async ({ path, publish }) => {
        const outcome = await publish(existing, (rename, _, count) => {
          if (count === 1) mkdirSync(path);
          rename();
        });
        const isReplaced = existing === 'replace';
        assert.is(outcome, isReplaced ? 'replaced' : undefined);
        assert.equal(readdirSync(path), isReplaced ? ['f'] : []);
      });
    }
  });

  test('what another process puts in the place of the old tree is replaced, too', async () => {
    for (const make of [
      (path: string) => addToTree(path, { f: 'other' }),
      (path: string) => writeFileSync(path, 'a file'),
    ]) {
      await withFinished(async ({ path, publish }) => {
        addToTree(path, { f: 'old' });
        const outcome = await publish('replace', (rename) => {
          rmSync(path, { recursive: true });
          make(path);
          rename();
        });
        assert.is(outcome, 'replaced');
        assert.is(contentAt(path), 'new');
      });
    }
  });

  test('where the two cannot be exchanged, or the old one is gone, two renames do it', async () => {
    for (const gone of [true, false]) {
      await withFinished(async ({ path, publish }) => {
        addToTree(path, { f: 'old' });
        const outcome = await publish('replace', (rename, kind) => {
          if (kind !== 'exchange') return rename();
          if (!gone) throw systemError('ENOTSUP', 'cannot be exchanged', 'rename', path);
          rmSync(path, { recursive: true });
          rename();
        });
        assert.is(outcome, 'replaced');
        assert.is(contentAt(path), 'new');
      });
    }
  });

  test('any other failure leaves the old tree where it is', async () => {
    await withFinished(async ({ path, publish }) => {
      addToTree(path, { f: 'old' });
      const { ino } = lstatSync(path);
      const kinds: unknown[] = [];
      const failing = publish('replace', (_, kind) => {
        kinds.push(kind);
        throw systemError('EIO', 'broken', 'rename', path);
      });
      assert.is((await rejection(failing)).code, 'EIO');
      assert.equal(kinds, ['exchange'], 'it was not moved aside');
      assert.is(lstatSync(path).ino, ino);
      assert.is(contentAt(path), 'old');
    });
  });

  test('the old tree of a process that died right after the exchange goes with the next call', async () => {
    const directory = tempDirectory();
    const destination = join(directory, 'out');
    addToTree(destination, { f: 'new' });
    await leftover(directory, { [`${TREE}/f`]: 'old' });
    const { outcome } = await stageTree(destination, { existing: 'keep' }, () => assert.unreachable());
    assert.is(outcome, 'kept');
    assert.is(contentAt(destination), 'new');
    assert.equal(readdirSync(directory), ['out']);
  });

  test('a new tree that vanishes right after the exchange: the old one is put back', async () => {
    await withFinished(async ({ path, publish }) => {
      addToTree(path, { f: 'old' });
      const vanishing = publish('replace', (rename, kind) => {
        rename();
        if (kind === 'exchange') rmSync(path, { recursive: true });
      });
      assert.is((await rejection(vanishing)).code, 'ERR_PERMWALK_SWAPPED');
      assert.is(contentAt(path), 'old');
      assert.ok(existsSync(dirname(path)));
    });
  });
}

test.run();
