import { spawnSync } from 'node:child_process';
import fs, {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { basename, dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { publish, publishDurably, syncTree } from '../lib/extract/publish.ts';
import {
  createStaging,
  exists,
  PREVIOUS,
  removeAbandoned,
  removeInside,
  removeStaging,
  type Staging,
  TREE,
} from '../lib/extract/staging.ts';
import { wrapExtractor } from '../lib/index.ts';
import { type AsyncCall, around, canReplace } from './helpers/around.ts';
import { isRoot, NOBODY } from './helpers/child.ts';
import { giveAway, withoutRights } from './helpers/rights.ts';
import { addToTree, makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string; path?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

function openDirectories(): string[] {
  if (!existsSync('/proc/self/fd')) return [];
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.includes('.permwalk-') ? [target] : [];
    } catch {
      return [];
    }
  });
}

const isReplaceable = canReplace();

/** A number that no process has: that of one that is over. */
const deadProcess = spawnSync('true').pid;

/** A staging directory as a process that died leaves it; the shape is what lies in it. */
async function abandoned(
  destination: string,
  shape: Record<string, string>,
  pid = deadProcess,
): Promise<string> {
  const staging = await createStaging(destination);
  await removeInside(staging.held, TREE);
  staging.held.close();
  const path = staging.held.path.replace(`-${process.pid}-`, `-${pid}-`);
  renameSync(staging.held.path, path);
  addToTree(path, shape);
  return path;
}

const staging = suite('staging');

staging('lies beside the destination, is private, and has an empty tree', async () => {
  const destination = join(tempDirectory(), 'out');
  const { held, tree } = await createStaging(destination);
  assert.is(dirname(held.path), dirname(destination));
  assert.match(basename(held.path), new RegExp(`^\\.permwalk-[0-9a-f]{16}-${process.pid}-\\w+$`));
  assert.is(modeOf(held.path), 0o700);
  assert.is(tree, join(held.path, 'tree'));
  assert.equal(readdirSync(held.path), ['tree']);
  assert.equal(readdirSync(tree), []);
  await removeStaging(held);
  held.close();
  assert.equal(readdirSync(dirname(destination)), []);
  assert.equal(openDirectories(), []);
});

if (isReplaceable) {
  staging('that somebody else got hold of before we did is refused', async () => {
    const exchanges: [string, (path: string) => void][] = [
      ['is not empty', (path) => writeFileSync(join(path, 'planted'), '')],
    ];
    if (isRoot) {
      exchanges.push([
        'is not ours',
        (path) => {
          process.seteuid?.(0);
          chownSync(path, NOBODY + 1, NOBODY);
          chmodSync(path, 0o777);
          process.seteuid?.(NOBODY);
        },
      ]);
    }
    for (const [name, exchange] of exchanges) {
      const destination = join(tempDirectory(), 'out');
      giveAway(dirname(destination));
      const exchanging =
        (original: AsyncCall): AsyncCall =>
        async (...parameters) => {
          const path = (await original(...parameters)) as string;
          exchange(path);
          return path;
        };
      const create = () => rejection(createStaging(destination));
      const error = await around('mkdtemp', exchanging, () => withoutRights(create));
      assert.is(error.code, 'ERR_PERMWALK_SWAPPED', name);
      assert.is(dirname(error.path ?? ''), dirname(destination));
      assert.equal(openDirectories(), [], name);
    }
  });
}

staging('is removed with everything in it, whatever its modes', async () => {
  const directory = tempDirectory();
  giveAway(directory);
  const { held, tree } = await withoutRights(() => createStaging(join(directory, 'out')));
  addToTree(tree, { 'a/': 0o000, 'a/b/': 0o500, 'a/b/f': 0o400 });
  addToTree(held.path, { 'previous/': 0o500, 'previous/d/': 0o100, 'previous/d/f': 0o400, stray: 0o000 });
  giveAway(directory);
  await withoutRights(() => removeStaging(held));
  held.close();
  assert.equal(readdirSync(directory), []);
});

staging('whose name has become the name of something else is emptied, and that stays', async () => {
  const directory = tempDirectory();
  const { held } = await createStaging(join(directory, 'out'));
  renameSync(held.path, join(directory, 'moved'));
  mkdirSync(held.path);
  await removeStaging(held);
  assert.equal(readdirSync(directory).sort(), [basename(held.path), 'moved']);
  assert.equal(readdirSync(join(directory, 'moved')), []);
  rmSync(held.path, { recursive: true });
  await removeStaging(held);
  assert.equal(readdirSync(directory), ['moved']);
  held.close();
});

staging('that cannot be emptied is an error', async () => {
  const directory = tempDirectory();
  const { held, tree } = await createStaging(join(directory, 'out'));
  mkdirSync(join(tree, 'foreign'));
  writeFileSync(join(tree, 'foreign/f'), '');
  if (isRoot) {
    giveAway(directory);
    chownSync(join(tree, 'foreign'), 0, 0);
    const error = await withoutRights(() => rejection(removeStaging(held)));
    assert.is(error.code, 'EACCES');
    assert.ok(existsSync(join(tree, 'foreign/f')));
  }
  await removeStaging(held);
  held.close();
});

if (isReplaceable) {
  staging('only what is locked is opened, and removed at the second try', async () => {
    for (const [code, tries] of [
      ['EACCES', 2],
      ['EPERM', 2],
      ['EIO', 1],
    ] as const) {
      const { held } = await createStaging(join(tempDirectory(), 'out'));
      let calls = 0;
      const failing =
        (original: AsyncCall): AsyncCall =>
        (...parameters) => {
          calls += 1;
          return calls > 1
            ? original(...parameters)
            : Promise.reject(Object.assign(new Error(code), { code }));
        };
      const outcome = await around('rm', failing, () =>
        removeInside(held, TREE).then(
          () => 'gone',
          (error) => error.code,
        ),
      );
      assert.is(outcome, tries === 1 ? code : 'gone');
      assert.is(calls, tries, code);
      held.close();
    }
  });
}

staging('there is something, were it a link that dangles', async () => {
  const directory = makeTree({ f: 0o644, dangling: '-> nowhere' });
  assert.ok(await exists(join(directory, 'f')));
  assert.ok(await exists(join(directory, 'dangling')));
  assert.not.ok(await exists(join(directory, 'gone')));
  assert.is((await rejection(exists(join(directory, 'f/below')))).code, 'ENOTDIR');
});

staging.run();

const leftovers = suite('leftovers of processes that died');

leftovers('go, and nothing else does', async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'out');
  const dead = await abandoned(destination, { 'tree/f': 'x', stray: 'y' });
  const alive = await abandoned(destination, { 'tree/f': 'x' }, process.pid);
  const other = await abandoned(join(directory, 'other'), { 'tree/f': 'x' });
  const nameless = join(directory, `${basename(dead).slice(0, -(`${deadProcess}`.length + 7))}x`);
  assert.ok(dead.startsWith(nameless.slice(0, -1)));
  const foreignHost = dead.replace(/\.permwalk-.{16}/, `.permwalk-${'0'.repeat(16)}`);
  for (const path of [nameless, foreignHost]) mkdirSync(path);
  await removeAbandoned(destination);
  assert.equal(
    readdirSync(directory).sort(),
    [alive, other, nameless, foreignHost].map((path) => basename(path)).sort(),
  );
  assert.ok(existsSync(join(alive, 'tree/f')));
  assert.equal(openDirectories(), []);
});

leftovers('of a process that may not be signalled stay: it is alive', async () => {
  const directory = tempDirectory();
  giveAway(directory);
  await withoutRights(async () => {
    const path = await abandoned(join(directory, 'out'), { 'tree/f': 'x' }, isRoot ? process.ppid : 1);
    await removeAbandoned(join(directory, 'out'));
    assert.ok(existsSync(join(path, 'tree/f')));
  });
});

leftovers('an old tree that was moved aside is put back where nothing has taken its place', async () => {
  const cases: [name: string, shape: Record<string, string>, taken: boolean, expected: string | undefined][] =
    [
      ['moved aside, the new one not yet moved', { 'previous/f': 'old', 'tree/f': 'new' }, false, 'old'],
      ['replaced', { 'previous/f': 'old' }, false, undefined],
      ['another is there', { 'previous/f': 'old', 'tree/f': 'new' }, true, 'another'],
      ['nothing was moved aside', { 'tree/f': 'new' }, false, undefined],
    ];
  for (const [name, shape, taken, expected] of cases) {
    const directory = tempDirectory();
    const destination = join(directory, 'out');
    await abandoned(destination, shape);
    if (taken) addToTree(destination, { f: 'another' });
    await removeAbandoned(destination);
    const content = existsSync(destination) ? readFileSync(join(destination, 'f'), 'utf8') : undefined;
    assert.is(content, expected, name);
    assert.equal(readdirSync(directory), expected === undefined ? [] : ['out'], name);
  }
});

leftovers(
  'what has their name and is something else stays, and what it leads to is not touched',
  async () => {
    const directory = tempDirectory();
    const destination = join(directory, 'out');
    const outside = makeTree({ 'tree/f': 'x', 'previous/f': 'x' });
    const link = await abandoned(destination, {});
    rmSync(link, { recursive: true });
    symlinkSync(outside, link);
    const file = await abandoned(destination, {});
    rmSync(file, { recursive: true });
    writeFileSync(file, '');
    const last = await abandoned(destination, { 'tree/f': 'x' });
    await removeAbandoned(destination);
    assert.not.ok(existsSync(last), 'what comes after them goes');
    assert.equal(readdirSync(directory).sort(), [basename(link), basename(file)].sort());
    assert.equal(readdirSync(outside).sort(), ['previous', 'tree']);
    assert.ok(existsSync(join(outside, 'tree/f')));
  },
);

if (isRoot) {
  leftovers('of another user stay', async () => {
    const directory = tempDirectory();
    const destination = join(directory, 'out');
    const path = await abandoned(destination, { 'previous/f': 'old', 'tree/f': 'x' });
    giveAway(path);
    await removeAbandoned(destination);
    assert.equal(readdirSync(directory), [basename(path)]);
    assert.ok(existsSync(join(path, 'tree/f')));
    assert.equal(openDirectories(), []);
  });
}

if (isReplaceable) {
  leftovers('whose old tree cannot be put back stay as they are', async () => {
    const directory = tempDirectory();
    const destination = join(directory, 'out');
    const path = await abandoned(destination, { 'previous/f': 'old', 'tree/f': 'new' });
    const failing = (): AsyncCall => () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
    await around('rename', failing, () => removeAbandoned(destination));
    assert.is(readFileSync(join(path, 'previous/f'), 'utf8'), 'old');
    assert.ok(existsSync(join(path, 'tree/f')));
    assert.equal(openDirectories(), []);
  });

  leftovers('hide no mistake', async () => {
    const destination = join(tempDirectory(), 'out');
    const path = await abandoned(destination, { 'tree/f': 'new' });
    const mistake = new TypeError('not a path');
    const failing =
      (original: AsyncCall): AsyncCall =>
      (given, ...rest) =>
        given === dirname(path) ? original(given, ...rest) : Promise.reject(mistake);
    assert.is(await around('readdir', failing, () => rejection(removeAbandoned(destination))), mistake);
  });

  leftovers('of another host, or of another process namespace, stay', async () => {
    const { hostname } = os;
    const { readlinkSync: readlink } = fs;
    const elsewhere: [string, () => void][] = [
      ['host', () => Object.assign(os, { hostname: () => 'elsewhere' })],
      ['namespace', () => Object.assign(fs, { readlinkSync: () => 'pid:[1]' })],
    ];
    const fail = () => {
      throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
    };
    if (process.platform === 'linux')
      elsewhere.push(['no namespace', () => Object.assign(fs, { readlinkSync: fail })]);
    const names = new Set<string>();
    for (const [where, go] of elsewhere) {
      const directory = tempDirectory();
      const destination = join(directory, 'out');
      const remove = () => removeAbandoned(destination);
      const be = async <T>(act: () => Promise<T>): Promise<T> => {
        go();
        syncBuiltinESMExports();
        try {
          return await act();
        } finally {
          Object.assign(os, { hostname });
          Object.assign(fs, { readlinkSync: readlink });
          syncBuiltinESMExports();
        }
      };
      const path = await be(() => abandoned(destination, { 'tree/f': 'x' }));
      names.add(basename(path).split('-')[1] ?? '');
      await remove();
      assert.ok(existsSync(join(path, 'tree/f')), where);
      await be(remove);
      assert.equal(readdirSync(directory), [], where);
    }
    assert.is(names.size, elsewhere.length);
  });
}

leftovers('are not looked for where nobody may look; anything else is an error', async () => {
  const directory = tempDirectory();
  giveAway(directory);
  chmodSync(directory, 0o300);
  await withoutRights(() => removeAbandoned(join(directory, 'out')));
  chmodSync(directory, 0o700);
  assert.is((await rejection(removeAbandoned(join(directory, 'gone/out')))).code, 'ENOENT');
});

leftovers.run();

const publishing = suite('publish');

/** A staging directory with a finished tree for `out` in a directory. */
async function finished(
  directory = tempDirectory(),
): Promise<{ directory: string; destination: string; staging: Staging; names(): string[] }> {
  const destination = join(directory, 'out');
  const staging = await createStaging(destination);
  writeFileSync(join(staging.tree, 'f'), 'new');
  return {
    directory,
    destination,
    staging,
    names: () => readdirSync(directory).filter((name) => !name.startsWith('.')),
  };
}

const contentOf = (destination: string) => readFileSync(join(destination, 'f'), 'utf8');

publishing('where nothing is there', async () => {
  for (const existing of ['error', 'keep', 'replace'] as const) {
    const { destination, staging } = await finished();
    assert.is(await publish(staging, destination, existing), 'created');
    assert.is(contentOf(destination), 'new');
    assert.equal(readdirSync(staging.held.path), []);
    staging.held.close();
  }
});

publishing(
  'what is there stays, were it empty or a link that dangles, unless it is to be replaced',
  async () => {
    const shapes: Record<string, (path: string) => void> = {
      directory: (path) => addToTree(path, { f: 'old' }),
      'empty directory': (path) => mkdirSync(path),
      file: (path) => writeFileSync(path, 'old'),
      'dangling link': (path) => symlinkSync('nowhere', path),
    };
    for (const [name, make] of Object.entries(shapes)) {
      for (const existing of ['error', 'keep'] as const) {
        const { destination, staging } = await finished();
        make(destination);
        const { ino } = lstatSync(destination);
        assert.is(await publish(staging, destination, existing), undefined, name);
        assert.is(lstatSync(destination).ino, ino, name);
        assert.ok(existsSync(join(staging.tree, 'f')), name);
        staging.held.close();
      }
      const { destination, staging } = await finished();
      make(destination);
      const { ino } = lstatSync(destination);
      assert.is(await publish(staging, destination, 'replace'), 'replaced', name);
      assert.is(contentOf(destination), 'new', name);
      assert.is(lstatSync(join(staging.held.path, PREVIOUS)).ino, ino, name);
      staging.held.close();
    }
  },
);

publishing('only a directory', async () => {
  for (const make of [
    (path: string) => symlinkSync('/', path),
    (path: string) => writeFileSync(path, 'no tree'),
  ]) {
    const { destination, staging, names } = await finished();
    rmSync(staging.tree, { recursive: true });
    make(staging.tree);
    const error = await rejection(publish(staging, destination, 'replace'));
    assert.is(error.code, 'ERR_PERMWALK_SYMLINK_IN_PATH');
    assert.is(error.path, staging.tree);
    assert.equal(names(), []);
    staging.held.close();
  }
});

if (isReplaceable) {
  /** Do something before, or after, the renames that lead to a path. */
  const meanwhile =
    (
      isMeant: (from: string, to: string) => boolean,
      event: { before?: () => void; after?: () => void },
    ): ((original: AsyncCall) => AsyncCall) =>
    (original) =>
    async (...parameters) => {
      const [from, to] = parameters as [string, string];
      if (!isMeant(from, to)) return original(...parameters);
      event.before?.();
      try {
        return await original(...parameters);
      } finally {
        event.after?.();
      }
    };

  publishing('what another process puts there first is kept, or replaced', async () => {
    for (const existing of ['error', 'keep', 'replace'] as const) {
      for (const make of [
        (path: string) => addToTree(path, { f: 'first' }),
        (path: string) => writeFileSync(path, 'first'),
      ]) {
        const { destination, staging } = await finished();
        let isFirst = true;
        const before = () => {
          if (isFirst) make(destination);
          isFirst = false;
        };
        const racing = meanwhile((_, to) => to === destination, { before });
        const outcome = await around('rename', racing, () => publish(staging, destination, existing));
        assert.not.ok(isFirst);
        assert.is(outcome, existing === 'replace' ? 'replaced' : undefined);
        const isNew = existsSync(join(destination, 'f')) && contentOf(destination) === 'new';
        assert.is(isNew, existing === 'replace');
        staging.held.close();
      }
    }
  });

  publishing(
    'what another process puts there while nothing was there to move aside is replaced',
    async () => {
      const { destination, staging } = await finished();
      let isFirst = true;
      const after = () => {
        if (isFirst) addToTree(destination, { f: 'first' });
        isFirst = false;
      };
      const racing = meanwhile((from) => from === destination, { after });
      assert.is(await around('rename', racing, () => publish(staging, destination, 'replace')), 'replaced');
      assert.is(contentOf(destination), 'new');
      staging.held.close();
    },
  );

  publishing(
    'an old tree that was moved aside is replaced, were what came in its place gone again',
    async () => {
      const { destination, staging } = await finished();
      addToTree(destination, { f: 'old' });
      let renames = 0;
      const before = () => {
        renames += 1;
        // Ours goes aside, another is put there, and is taken away before it is moved aside, too.
        if (renames === 2) addToTree(destination, { f: 'first' });
        if (renames === 3) rmSync(destination, { recursive: true });
      };
      const racing = meanwhile((from, to) => from === destination || to === destination, { before });
      const outcome = await around('rename', racing, () => publish(staging, destination, 'replace'));
      assert.is(outcome, 'replaced');
      assert.is(contentOf(destination), 'new');
      assert.is(renames, 4);
      staging.held.close();
    },
  );

  publishing('what is put there while the old tree is put back is replaced, too', async () => {
    const { destination, staging } = await finished();
    addToTree(destination, { f: 'old' });
    let renames = 0;
    const before = () => {
      renames += 1;
      // Ours goes aside, another is put there and goes; the old one is put back, and another is there again.
      if (renames === 2) addToTree(destination, { f: 'first' });
      if (renames === 3) addToTree(destination, { f: 'second' });
    };
    const after = () => {
      if (renames === 2) rmSync(destination, { recursive: true });
    };
    const racing = meanwhile((from, to) => from === destination || to === destination, { before, after });
    const outcome = await around('rename', racing, () => publish(staging, destination, 'replace'));
    assert.is(outcome, 'replaced');
    assert.is(contentOf(destination), 'new');
    staging.held.close();
  });

  publishing('who was overtaken does not try again where nothing is to be replaced', async () => {
    for (const existing of ['error', 'keep'] as const) {
      const { destination, staging } = await finished();
      const before = () => addToTree(destination, { f: 'first' });
      const after = () => rmSync(destination, { recursive: true });
      const racing = meanwhile((_, to) => to === destination, { before, after });
      assert.is(await around('rename', racing, () => publish(staging, destination, existing)), undefined);
      assert.not.ok(existsSync(destination));
      staging.held.close();
    }
  });

  publishing('who is always overtaken gives up, and the last that was there stays', async () => {
    const { destination, staging } = await finished();
    // That its owner may not write to it is not what is in the way.
    chmodSync(staging.tree, 0o500);
    let tries = 0;
    const before = () => {
      // Without root, such a tree moves in two renames.
      if (existsSync(destination)) return;
      tries += 1;
      addToTree(destination, { f: `${tries}` });
    };
    const racing = meanwhile((_, to) => to === destination, { before });
    const error = await around('rename', racing, () => rejection(publish(staging, destination, 'replace')));
    assert.is(error.code, 'ENOTEMPTY');
    assert.is(tries, 101);
    assert.is(contentOf(destination), '101');
    staging.held.close();
  });

  publishing(
    'whose staging directory is taken away in the middle fails, and the destination is as it was',
    async () => {
      const { destination, staging } = await finished();
      addToTree(destination, { f: 'old' });
      const before = () => rmSync(staging.held.path, { recursive: true, force: true });
      const racing = meanwhile((from) => from === destination, { before });
      const error = await around('rename', racing, () => rejection(publish(staging, destination, 'replace')));
      assert.is(error.code, 'ENOENT');
      assert.is(contentOf(destination), 'old');
      staging.held.close();
    },
  );

  publishing('that fails otherwise puts the old tree back', async () => {
    const { destination, staging } = await finished();
    addToTree(destination, { f: 'old' });
    const failure = Object.assign(new Error('EIO: broken'), { code: 'EIO' });
    let failures = 0;
    const failing =
      (original: AsyncCall): AsyncCall =>
      async (from, to) => {
        if (`${from}`.endsWith(`/${TREE}`)) {
          failures += 1;
          throw failure;
        }
        return original(from, to);
      };
    const error = await around('rename', failing, () => rejection(publish(staging, destination, 'replace')));
    assert.is(error, failure);
    assert.is(failures, 1);
    assert.is(contentOf(destination), 'old');
    assert.equal(readdirSync(staging.held.path), [TREE]);
    staging.held.close();
  });
}

publishing(
  'a directory that its owner may not write to is moved all the same, and keeps its mode',
  async () => {
    const { directory, destination, staging } = await finished();
    addToTree(directory, { 'out/': 0o500 });
    chmodSync(staging.tree, 0o1550);
    giveAway(directory);
    chmodSync(staging.tree, 0o1550);
    assert.is(await withoutRights(() => publish(staging, destination, 'replace')), 'replaced');
    assert.is(modeOf(destination), 0o1550);
    assert.is(modeOf(staging.held.path, PREVIOUS), 0o500);
    chmodSync(destination, 0o700);
    chmodSync(join(staging.held.path, PREVIOUS), 0o700);
    staging.held.close();
  },
);

publishing('what cannot be moved keeps its mode, and its place', async () => {
  for (const [mode, most] of [
    [0o500, 2],
    [0o700, 1],
  ] as const) {
    const { directory, destination, staging } = await finished();
    addToTree(directory, { 'out/': mode });
    giveAway(directory);
    chmodSync(directory, 0o500);
    let renames = 0;
    const counting =
      (original: AsyncCall): AsyncCall =>
      (...parameters) => {
        renames += 1;
        return original(...parameters);
      };
    const publishIt = () => rejection(publish(staging, destination, 'replace'));
    const error = await around('rename', counting, () => withoutRights(publishIt));
    chmodSync(directory, 0o700);
    assert.is(error.code, 'EACCES');
    assert.is(modeOf(destination), mode);
    if (isReplaceable) assert.is(renames, most, 'only what is locked is tried again');
    assert.is(readFileSync(join(staging.tree, 'f'), 'utf8'), 'new');
    staging.held.close();
  }
});

publishing.run();

const durable = suite('publish durably');

if (isReplaceable) {
  /** Notes what is synced, and what is moved. */
  async function syncsOf(act: () => Promise<unknown>, onSync = () => {}): Promise<string[]> {
    const noted: string[] = [];
    const nameOf = (fd: number) => readlinkSync(`/proc/self/fd/${fd}`);
    const handle = await fsPromises.open('/', 'r');
    const prototype: { sync(this: { fd: number }): Promise<void> } = Object.getPrototypeOf(handle);
    await handle.close();
    const { fsyncSync } = fs;
    const { sync } = prototype;
    fs.fsyncSync = (fd) => {
      noted.push(`sync ${nameOf(fd)}`);
      fsyncSync(fd);
      onSync();
    };
    prototype.sync = function () {
      noted.push(`sync ${nameOf(this.fd)}`);
      return sync.call(this);
    };
    syncBuiltinESMExports();
    const noting =
      (original: AsyncCall): AsyncCall =>
      (...parameters) => {
        noted.push(`move to ${parameters[1]}`);
        return original(...parameters);
      };
    try {
      await around('rename', noting, act);
    } finally {
      fs.fsyncSync = fsyncSync;
      prototype.sync = sync;
      syncBuiltinESMExports();
    }
    return noted;
  }

  durable('the parent is synced after the move, and let go of', async () => {
    const { directory, destination, staging } = await finished();
    const open = readdirSync('/proc/self/fd').length;
    const noted = await syncsOf(async () => {
      assert.is(await publishDurably(staging, destination, 'error'), 'created');
    });
    assert.equal(noted, [`move to ${destination}`, `sync ${directory}`]);
    assert.is(readdirSync('/proc/self/fd').length, open);
    staging.held.close();
  });

  durable('a tree is synced whole: itself, every directory and every file', async () => {
    const { staging } = await finished();
    addToTree(staging.tree, { 'a/b/g': 'x', 'a/l': '-> b', 'c/': 0o700 });
    const noted = await syncsOf(() => syncTree(staging, undefined));
    const expected = ['', '/f', '/a', '/a/b', '/a/b/g', '/c'].map((path) => `sync ${staging.tree}${path}`);
    assert.equal(noted.sort(), expected.sort());
    assert.equal(openDirectories(), [staging.held.path]);
    staging.held.close();
  });

  durable('a wrapped extractor syncs where it is asked to, before it moves and after', async () => {
    for (const [options, expected] of [
      [{}, 'move'],
      [{ durable: false }, 'move'],
      [{ durable: true }, 'sync sync move sync'],
    ] as const) {
      const extract = wrapExtractor((_: string, to: string) => writeFileSync(join(to, 'f'), ''), {
        manifest: false,
        ...options,
      });
      const noted = await syncsOf(() => extract('archive', join(tempDirectory(), 'out')));
      assert.is(noted.map((what) => what.split(' ')[0]).join(' '), expected);
    }
  });

  durable('an abort ends the syncing with the reason of the signal', async () => {
    const { staging } = await finished();
    addToTree(
      staging.tree,
      Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`f${index}`, 0o600])),
    );
    const controller = new AbortController();
    const reason = new Error('enough');
    const abort = () => {
      controller.abort(reason);
      // It is looked at between slices: this one is over.
      const start = performance.now();
      while (performance.now() < start + 5);
    };
    const noted = await syncsOf(async () => {
      assert.is(await rejection(syncTree(staging, controller.signal)), reason);
    }, abort);
    assert.ok(noted.length < 20, `${noted.length} were synced`);
    assert.equal(openDirectories(), [staging.held.path]);
    staging.held.close();
  });
}

durable('a parent that cannot be synced is refused before anything is moved', async () => {
  const { directory, destination, staging, names } = await finished();
  giveAway(directory);
  chmodSync(directory, 0o300);
  const error = await withoutRights(() => rejection(publishDurably(staging, destination, 'error')));
  chmodSync(directory, 0o700);
  assert.is(error.code, 'EACCES');
  assert.equal(names(), []);
  staging.held.close();
});

durable.run();
