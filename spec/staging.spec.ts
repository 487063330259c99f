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
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Directory } from '../lib/directory/directory.ts';
import { openTreeIn } from '../lib/directory/open.ts';
import { Destination } from '../lib/extract/destination.ts';
import { clearLeftovers } from '../lib/extract/leftovers.ts';
import { hostId, ownerOf, setMarker } from '../lib/extract/marker.ts';
import { type Existing, type Published, publish, publishDurably } from '../lib/extract/publish.ts';
import { createStaging, removeStaging, type Staging, TREE } from '../lib/extract/staging.ts';
import { syncTree } from '../lib/extract/sync.ts';
import { wrapExtractor } from '../lib/index.ts';
import { around, type Call, nodeSuite, systemFailure } from './helpers/around.ts';
import { isRoot, NOBODY } from './helpers/child.ts';
import { elsewhere } from './helpers/elsewhere.ts';
import { deadSocket, leftover, MARKER } from './helpers/leftover.ts';
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

/** An object with another value for one of its properties. */
function withProperty<T extends object, K extends keyof T>(object: T, name: K, value: T[K]): T {
  return new Proxy(object, {
    get(target, property) {
      if (property === name) return value;
      const found: unknown = Reflect.get(target, property, target);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}

/** Directories of this process that are open and lie in staging directories, or are some. */
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

/** Warnings of permwalk while something is done. */
async function warningsOf(act: () => unknown): Promise<(Error & { code?: string })[]> {
  const warnings: (Error & { code?: string })[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  try {
    await act();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('warning', onWarning);
  }
  return warnings;
}

// What native calls do in place of node:fs, whose functions are replaced here, is spec/exchange.spec.ts's.
/** Ways to hold the parent of a destination. */
const backends: [backend: 'anchored' | 'path', hold: (path: string) => Destination][] = [
  [process.platform === 'linux' ? 'anchored' : 'path', (path) => new Destination(path)],
];
if (process.platform === 'linux') {
  backends.push(['path', (path) => elsewhere(() => new Destination(path))]);
}

for (const [backend, hold] of backends) {
  /** Hold the parent of a destination in a directory while something is done. */
  async function at<T>(directory: string, act: (destination: Destination) => T | Promise<T>): Promise<T> {
    const destination = hold(join(directory, 'out'));
    try {
      return await act(destination);
    } finally {
      destination.release();
    }
  }

  const clear = (directory: string) => at(directory, clearLeftovers);

  const staging = nodeSuite(`staging (${backend})`);

  staging('lies beside the destination, is private and marked, and has an empty tree', async () => {
    const directory = tempDirectory();
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      assert.is(dirname(made.path), directory);
      assert.match(basename(made.path), /^\.permwalk-[\w-]{8}$/);
      assert.is(modeOf(made.path), 0o700);
      assert.is(made.treePath, join(made.path, 'tree'));
      assert.is(modeOf(made.treePath), 0o777 & ~process.umask());
      assert.equal(readdirSync(made.path).sort(), [MARKER, 'tree']);
      assert.equal(readdirSync(made.treePath), []);
      const other = await createStaging(destination);
      assert.is.not(other.name, made.name);
      for (const each of [made, other]) await removeStaging(each, undefined);
    });
    assert.equal(readdirSync(directory), []);
    assert.equal(openDirectories(), []);
  });

  staging('whoever has bound its marker, and is about to listen, is not taken for dead', async () => {
    const directory = tempDirectory();
    const bound = join(directory, `bind-${hostId()}`);
    const listening = join(directory, 'listening');
    await deadSocket(bound);
    const server = createServer().unref();
    await new Promise<void>((resolve) => server.listen(listening, resolve));
    await at(directory, async ({ parent }) => {
      assert.is(await ownerOf(parent), 'dead', 'who was killed right there never listens');
      const asked = ownerOf(parent);
      renameSync(listening, join(directory, MARKER));
      rmSync(bound);
      assert.is(await asked, 'alive');
    });
    server.close();
  });

  staging('who listens is alive, whatever else is bound there', async () => {
    const directory = tempDirectory();
    await deadSocket(join(directory, `bind-${hostId()}`));
    const server = createServer().unref();
    await new Promise<void>((resolve) => server.listen(join(directory, MARKER), resolve));
    await deadSocket(join(directory, 'bind-0123456789ab'));
    await at(directory, async ({ parent }) => assert.is(await ownerOf(parent), 'alive'));
    server.close();
  });

  staging('whose marker refuses nobody, and cannot be connected to, is not taken for dead', async () => {
    const directory = tempDirectory();
    await deadSocket(join(directory, MARKER));
    giveAway(directory);
    const owner = () => withoutRights(() => at(directory, ({ parent }) => ownerOf(parent)));
    assert.is(await owner(), 'dead');
    chmodSync(join(directory, MARKER), 0);
    assert.is(await owner(), 'alive');
  });

  staging('has its marker touched every minute, as long as it lives', async () => {
    const directory = tempDirectory();
    const timers: [act: () => void, every: number][] = [];
    const ended: unknown[] = [];
    const { setInterval: begin, clearInterval: end } = globalThis;
    const timer = { unref: () => timer };
    Object.assign(globalThis, {
      setInterval: (act: () => void, every: number) => {
        timers.push([act, every]);
        return timer;
      },
      clearInterval: (given: unknown) => ended.push(given),
    });
    try {
      await at(directory, async ({ parent }) => {
        const marker = await setMarker(parent);
        const path = join(directory, marker?.name ?? '');
        const [[touch, every] = []] = timers.splice(0);
        assert.is(every, 60_000);
        fs.lutimesSync(path, 1, 1);
        touch?.();
        assert.ok(Date.now() - fs.lstatSync(path).mtimeMs < 60_000);
        marker?.close();
        assert.ok(ended.includes(timer));
      });
    } finally {
      Object.assign(globalThis, { setInterval: begin, clearInterval: end });
    }
  });

  staging(
    'goes without a marker where there can be no socket, but not where there are too many',
    async () => {
      await at(tempDirectory(), async ({ parent }) => {
        const failing = (code: string | undefined) =>
          withProperty(parent, 'listen', async () => {
            throw code === undefined ? new Error('no socket') : systemFailure(code, 'listen');
          });
        for (const code of ['EOPNOTSUPP', 'ENAMETOOLONG', 'EACCES', undefined])
          assert.is(await setMarker(failing(code)), undefined, code);
        for (const code of ['EMFILE', 'ENFILE', 'ENOSPC'])
          assert.is((await rejection(setMarker(failing(code)))).code, code);
      });
    },
  );

  staging('its marker answers as long as it is there', async () => {
    const directory = tempDirectory();
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      const socket = connect(join(made.path, MARKER));
      await new Promise((resolve, reject) => socket.once('error', reject).once('connect', resolve));
      socket.destroy();
      const marker = join(directory, 'moved');
      renameSync(join(made.path, MARKER), marker);
      await removeStaging(made, undefined);
      const dead = connect(marker);
      const error = await new Promise<NodeJS.ErrnoException>((resolve) => dead.once('error', resolve));
      assert.is(error.code, 'ECONNREFUSED');
    });
  });

  staging('that something else takes the place of before it is held is refused, and that stays', async () => {
    const exchanges: [string, (path: string) => void][] = [
      ['another empty directory of ours', (path) => mkdirSync(path, { mode: 0o777 })],
      ['a directory that is not empty', (path) => addToTree(path, { planted: 'x' })],
      [
        'a private directory that is not empty',
        (path) =>
          addToTree(dirname(path), { [`${basename(path)}/planted`]: 'x', [`${basename(path)}/`]: 0o700 }),
      ],
      ['a link', (path) => symlinkSync(tempDirectory(), path)],
    ];
    if (isRoot) {
      exchanges.push([
        "somebody else's private directory",
        (path) => {
          mkdirSync(path, { mode: 0o700 });
          chownSync(path, NOBODY, NOBODY);
        },
      ]);
    }
    for (const [name, put] of exchanges) {
      const directory = tempDirectory();
      let exchanged = '';
      const exchanging =
        (original: Call): Call =>
        (path, mode) => {
          original(path, mode);
          if (exchanged !== '' || !`${path}`.includes('.permwalk-')) return;
          exchanged = join(directory, basename(`${path}`));
          renameSync(exchanged, join(directory, 'moved'));
          put(exchanged);
          chmodSync(join(directory, 'moved'), 0o700);
        };
      const error = await at(directory, (destination) =>
        around('mkdirSync', exchanging, () => rejection(createStaging(destination))),
      );
      assert.match(error.code ?? '', /^ERR_PERMWALK_S/, name);
      assert.ok(lstatSync(exchanged), name);
      assert.equal(openDirectories(), [], name);
    }
  });

  staging('that is exchanged for a private one before it is held is refused, and that stays', async () => {
    const directory = tempDirectory();
    const precious = join(directory, 'precious');
    mkdirSync(precious, { mode: 0o700 });
    let exchanged = '';
    const error = await at(directory, (destination) => {
      const { parent } = destination;
      const openDirectory: Directory['openDirectory'] = (name) => {
        if (exchanged === '') {
          exchanged = join(directory, name);
          renameSync(exchanged, join(directory, 'moved'));
          renameSync(precious, exchanged);
        }
        return parent.openDirectory(name);
      };
      const exchanging = withProperty(parent, 'openDirectory', openDirectory);
      return rejection(createStaging(withProperty(destination, 'parent', exchanging)));
    });
    assert.is(error.code, 'ERR_PERMWALK_SWAPPED');
    assert.equal(readdirSync(exchanged), []);
    assert.equal(openDirectories(), []);
  });

  staging(
    'that another process takes for a leftover before it is marked is made anew, eight times',
    async () => {
      for (const [times, isMade] of [
        [7, true],
        [8, false],
      ] as const) {
        const directory = tempDirectory();
        let removed = 0;
        const removing =
          (original: Call): Call =>
          (path, mode) => {
            original(path, mode);
            if (removed === times || !basename(`${path}`).startsWith('.permwalk-')) return;
            rmSync(`${path}`, { recursive: true });
            removed += 1;
          };
        await at(directory, async (destination) => {
          const making = around('mkdirSync', removing, () => createStaging(destination));
          if (isMade) await removeStaging(await making, undefined);
          else assert.is((await rejection(making)).code, 'ENOENT');
        });
        assert.is(removed, times);
        assert.equal(readdirSync(directory), []);
      }
    },
  );

  staging('leaves nothing where making it fails half-way', async () => {
    for (const [call, count] of [
      ['mkdirSync', 2],
      ['renameSync', 1],
    ] as const) {
      const directory = tempDirectory();
      let calls = 0;
      const failing =
        (original: Call): Call =>
        (...parameters) => {
          calls += 1;
          if (calls === count) throw systemFailure('ENOSPC', 'mkdir');
          return original(...parameters);
        };
      const error = await at(directory, (destination) =>
        around(call, failing, () => rejection(createStaging(destination))),
      );
      assert.is(error.code, 'ENOSPC');
      assert.is(error.path, join(directory, 'out'));
      assert.equal(readdirSync(directory), [], call);
      assert.equal(openDirectories(), []);
    }
  });

  staging('in a parent that may not be written to says what to do', async () => {
    const directory = tempDirectory();
    giveAway(directory);
    chmodSync(directory, 0o500);
    const error = await withoutRights(() =>
      at(directory, (destination) => rejection(createStaging(destination))),
    );
    assert.is(error.code, 'EACCES');
    assert.is(error.path, join(directory, 'out'));
    assert.match(error.message, /must be writable: make it so, or set publish to 'in-place'$/);
  });

  staging('is removed with everything in it, whatever its modes', async () => {
    const directory = tempDirectory();
    giveAway(directory);
    await withoutRights(() =>
      at(directory, async (destination) => {
        const made = await createStaging(destination);
        addToTree(made.treePath, { 'a/': 0o000, 'a/b/': 0o500, 'a/b/f': 0o400 });
        addToTree(made.path, { 'stray/': 0o500, 'stray/d/': 0o100, 'stray/d/f': 0o400, other: 0o000 });
        await removeStaging(made, undefined);
      }),
    );
    assert.equal(readdirSync(directory), []);
  });

  staging('whose name has become the name of something else is emptied, and that stays', async () => {
    const directory = tempDirectory();
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      renameSync(made.path, join(directory, 'moved'));
      mkdirSync(made.path);
      await removeStaging(made, undefined);
      assert.equal(readdirSync(directory).sort(), [made.name, 'moved']);
      // By its path it is not found again; what has its name is never taken for it.
      if (backend === 'anchored') assert.equal(readdirSync(join(directory, 'moved')), []);
    });
    assert.equal(openDirectories(), []);
  });

  staging('that is filled again while it is removed is emptied again, eight times in all', async () => {
    for (const [most, left] of [
      [7, []],
      [20, ['late']],
    ] as const) {
      const directory = tempDirectory();
      await at(directory, async (destination) => {
        const made = await createStaging(destination);
        let fillings = 0;
        const filling =
          (original: Call): Call =>
          (...parameters) => {
            if (basename(`${parameters[0]}`) === made.name && fillings < most) {
              fillings += 1;
              writeFileSync(join(made.path, 'late'), '');
            }
            return original(...parameters);
          };
        const warnings = await warningsOf(() =>
          around('rmdirSync', filling, () => removeStaging(made, undefined)),
        );
        assert.is(warnings.length, left.length);
        assert.is(fillings, Math.min(most, 8));
        assert.equal(existsSync(made.path) ? readdirSync(made.path) : [], left);
      });
    }
  });

  staging('that another process has removed is not warned of', async () => {
    const directory = tempDirectory();
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      rmSync(made.path, { recursive: true });
      assert.equal(await warningsOf(() => removeStaging(made, undefined)), []);
    });
    assert.equal(openDirectories(), []);
  });

  staging('that another process removes at the last moment is not warned of', async () => {
    const directory = tempDirectory();
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      const removing =
        (original: Call): Call =>
        (path) => {
          if (basename(`${path}`) === made.name) original(path);
          return original(path);
        };
      const remove = () => around('rmdirSync', removing, () => removeStaging(made, undefined));
      assert.equal(await warningsOf(remove), []);
      assert.not.ok(existsSync(made.path));
    });
    assert.equal(openDirectories(), []);
  });

  staging('that cannot be listed is warned of', async () => {
    const directory = tempDirectory();
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      const failing = (): Call => () => {
        throw systemFailure('EIO', 'scandir');
      };
      const warnings = await warningsOf(() =>
        around('readdirSync', failing, () => removeStaging(made, undefined)),
      );
      assert.match(warnings[0]?.message ?? '', 'EIO');
      assert.ok(existsSync(made.treePath));
    });
  });

  staging('is held until an extractor that goes on has ended, and nothing else goes then', async () => {
    const directory = tempDirectory();
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      addToTree(made.path, { 'tree/f': 'x', stray: 'x' });
      let release = () => {};
      const running = new Promise<void>((resolve) => {
        release = resolve;
      });
      await removeStaging(made, running);
      assert.equal(readdirSync(made.path), [MARKER], 'what it wrote is gone');
      // A late writer makes it again, and somebody else takes the name.
      addToTree(made.path, { 'tree/late': 'x' });
      renameSync(made.path, join(directory, 'moved'));
      addToTree(made.path, { precious: 'x' });
      release();
      const isOver = () => backend === 'path' || readdirSync(join(directory, 'moved')).length === 0;
      do await new Promise((resolve) => setTimeout(resolve, 5));
      while (!isOver());
      assert.equal(readdirSync(made.path), ['precious']);
    });
  });

  staging('that cannot be emptied is warned of', async () => {
    if (!isRoot) return console.log('  skipped: what one may not remove has to belong to somebody else');
    const directory = tempDirectory();
    giveAway(directory);
    await at(directory, async (destination) => {
      const made = await withoutRights(() => createStaging(destination));
      addToTree(made.treePath, { 'foreign/f\x1b[31m': 'x', mine: 'x' });
      chownSync(join(made.treePath, 'mine'), NOBODY, NOBODY);
      const [warning, ...others] = await warningsOf(() =>
        withoutRights(() => removeStaging(made, undefined)),
      );
      assert.equal(others, []);
      assert.is(warning?.code, 'ERR_PERMWALK_LEFTOVER');
      assert.match(
        warning?.message ?? '',
        `permwalk could not remove ${JSON.stringify(made.path)}: Error: EACCES`,
      );
      assert.ok(warning?.message.endsWith('/foreign/f\\u001b[31m"'), warning?.message);
      assert.equal(readdirSync(made.treePath), ['foreign'], 'the rest is gone');
      assert.equal(readdirSync(made.path).sort(), [MARKER, 'tree'], 'but the mark, for the next call');
    });
  });

  staging.run();

  const leftovers = nodeSuite(`leftovers of processes that died (${backend})`);

  /** Another boot of this host, or another host. */
  const ELSEWHERE = 'owner-0123456789ab';
  const DAY_SECONDS = 24 * 3600;

  leftovers('the host is known by its boot id', () => {
    const files = ['one\n', 'one', 'two'].map((content) => join(makeTree({ id: content }), 'id'));
    const [one, same, other] = files.map((file) => hostId(file));
    assert.is(one, same);
    assert.is.not(one, other);
    assert.match(one ?? '', /^[0-9a-f]{12}$/);
    assert.is(hostId('/nowhere'), hostId('/nowhere'), 'without one by its name');
  });

  leftovers('go, and nothing else does', async () => {
    const directory = tempDirectory();
    await leftover(directory, { 'tree/f': 'x', stray: 'y', 'gone-1/out/f': 'x' });
    await leftover(directory, {}, MARKER.replace('owner', 'bind'));
    await leftover(directory, {}, '');
    const kept = [
      await leftover(directory, { 'tree/f': 'x' }, ''),
      await leftover(directory, { 'tree/f': 'x' }, ELSEWHERE),
      await leftover(directory, { 'tree/f': 'x', [MARKER]: 'no socket' }, ''),
      await leftover(directory, { 'tree/f': 'x', [`${MARKER}/`]: 0o700 }, ''),
      await leftover(directory, { 'tree/f': 'x' }, `of-a-program-${hostId()}`),
    ];
    addToTree(directory, { '.permwalk-0123456789abcdef-4000000-xxxxxx/tree/f': 'x', '.permwalk-file': 'x' });
    symlinkSync(kept[0] as string, join(directory, '.permwalk-abcdefgh'));
    writeFileSync(join(directory, '.permwalk-a-file-0'), 'x', { mode: 0o600 });
    mkdirSync(join(directory, 'private'), { mode: 0o700 });
    await at(directory, async (destination) => {
      const alive = await createStaging(destination);
      assert.equal(await warningsOf(() => clearLeftovers(destination)), []);
      const expected = [
        '.permwalk-0123456789abcdef-4000000-xxxxxx',
        '.permwalk-a-file-0',
        '.permwalk-abcdefgh',
        '.permwalk-file',
        'private',
        ...[...kept, alive.path].map((path) => basename(path)),
      ];
      assert.equal(readdirSync(directory).sort(), expected.sort());
      assert.ok(existsSync(alive.treePath));
      await removeStaging(alive, undefined);
    });
    for (const path of kept) assert.ok(existsSync(join(path, 'tree/f')));
    assert.equal(openDirectories(), []);
  });

  leftovers('that another process removes meanwhile are not warned of', async () => {
    const directory = tempDirectory();
    for (let count = 0; count < 2; count += 1) await leftover(directory, { 'tree/f': 'x' });
    const removing =
      (original: Call): Call =>
      (...parameters) => {
        for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
        return original(...parameters);
      };
    const warnings = await warningsOf(() => around('unlinkSync', removing, () => clear(directory)));
    assert.equal(warnings, []);
    assert.equal(readdirSync(directory), []);
  });

  leftovers('that are none, because their owner is about to mark them, stay', async () => {
    const directory = tempDirectory();
    const made = await leftover(directory, {}, '');
    const marking =
      (original: Call): Call =>
      (path) => {
        writeFileSync(join(made, 'marker'), '');
        return original(path);
      };
    assert.equal(await warningsOf(() => around('rmdirSync', marking, () => clear(directory))), []);
    assert.equal(readdirSync(made), ['marker']);
  });

  leftovers('where what is there cannot be listed, that is said', async () => {
    const directory = tempDirectory();
    const failing = (): Call => () => {
      throw systemFailure('EIO', 'scandir');
    };
    const error = await around('readdirSync', failing, () => rejection(clear(directory)));
    assert.equal([error.code, error.path], ['EIO', directory]);
  });

  leftovers('what others can write to, or own, stays', async () => {
    const directory = tempDirectory();
    const open = await leftover(directory, { 'tree/f': 'x' });
    chmodSync(open, 0o777);
    const kept = [open];
    if (isRoot) {
      const foreign = await leftover(directory, { 'tree/f': 'x', 'old-1/out/f': 'x' });
      chownSync(foreign, NOBODY, NOBODY);
      const planted = await leftover(directory, { 'tree/f': 'x', 'old-1/out/f': 'x' });
      chownSync(join(planted, MARKER), NOBODY, NOBODY);
      kept.push(foreign, planted);
    }
    await clear(directory);
    assert.equal(readdirSync(directory).sort(), kept.map((path) => basename(path)).sort());
    for (const path of kept) assert.ok(existsSync(join(path, 'tree/f')));
  });

  leftovers('an old tree that was moved aside is put back where nothing has taken its place', async () => {
    const cases: [
      name: string,
      shape: Record<string, string>,
      taken: boolean,
      expected: string | undefined,
    ][] = [
      ['moved aside, the new one not yet moved', { 'old-1/out/f': 'old', 'tree/f': 'new' }, false, 'old'],
      ['replaced, and removed since', { 'gone-1/out/f': 'old' }, false, undefined],
      ['another is there', { 'old-1/out/f': 'old', 'tree/f': 'new' }, true, 'another'],
      ['the new tree is gone', { 'old-1/out/f': 'old' }, false, 'old'],
      ['nothing was moved aside', { 'tree/f': 'new', 'old-1/': '' }, false, undefined],
      [
        'two were moved aside',
        { 'old-1/out/f': 'first', 'old-2/out/f': 'second', 'old-10/out/f': 'last', 'tree/f': 'new' },
        false,
        'last',
      ],
    ];
    for (const [name, shape, taken, expected] of cases) {
      const directory = tempDirectory();
      const destination = join(directory, 'out');
      await leftover(directory, shape);
      if (taken) addToTree(destination, { f: 'another' });
      await clear(directory);
      const content = existsSync(destination) ? readFileSync(join(destination, 'f'), 'utf8') : undefined;
      assert.is(content, expected, name);
      assert.equal(readdirSync(directory), expected === undefined ? [] : ['out'], name);
    }
  });

  leftovers('of a destination beside are put back, too', async () => {
    const directory = tempDirectory();
    await leftover(directory, { 'old-1/other/f': 'old', 'tree/f': 'new' });
    await clear(directory);
    assert.is(readFileSync(join(directory, 'other/f'), 'utf8'), 'old');
    assert.equal(readdirSync(directory), ['other']);
  });

  leftovers('an old tree that its owner may not write to is put back, and keeps its mode', async () => {
    for (const mode of [0o555, 0o500]) {
      const directory = tempDirectory();
      const path = await leftover(directory, { 'old-1/out/f': 'old', 'old-1/out/': mode, 'tree/f': 'new' });
      giveAway(directory);
      assert.ok(existsSync(path));
      await withoutRights(() => clear(directory));
      assert.is(modeOf(directory, 'out'), mode);
      assert.equal(readdirSync(directory), ['out']);
    }
  });

  leftovers('a root that was given w to move it gets its mode back, wherever it is by now', async () => {
    for (const isMoved of [true, false]) {
      const directory = tempDirectory();
      addToTree(directory, { 'out/f': 'old', 'out/': 0o755, 'other/': 0o755 });
      const { ino } = lstatSync(join(directory, 'out'));
      const path = await leftover(directory, {
        [`lock-555-${ino}/`]: 0o700,
        'old-1/': 0o700,
        'tree/f': 'new',
      });
      if (isMoved) renameSync(join(directory, 'out'), join(path, 'old-1/out'));
      await clear(directory);
      assert.is(modeOf(directory, 'out'), 0o555, isMoved ? 'moved aside' : 'not yet moved');
      assert.is(modeOf(directory, 'other'), 0o755);
      assert.equal(readdirSync(directory).sort(), ['other', 'out']);
    }
  });

  leftovers('a root that was given another mode since keeps that', async () => {
    const directory = tempDirectory();
    addToTree(directory, { 'out/f': 'old', 'out/': 0o750 });
    const { ino } = lstatSync(join(directory, 'out'));
    await leftover(directory, { [`lock-555-${ino}/`]: 0o700 });
    await clear(directory);
    assert.is(modeOf(directory, 'out'), 0o750);
  });

  leftovers('of another boot: the old tree is put back at once, the rest goes after a day', async () => {
    const directory = tempDirectory();
    const path = await leftover(directory, { 'old-1/out/f': 'old', 'tree/f': 'new' }, ELSEWHERE);
    const setAge = (seconds: number) => {
      const time = Date.now() / 1000 - seconds;
      utimesSync(join(path, ELSEWHERE), time, time);
    };
    setAge(DAY_SECONDS - 60);
    await clear(directory);
    assert.is(readFileSync(join(directory, 'out/f'), 'utf8'), 'old');
    assert.ok(existsSync(join(path, 'tree/f')));
    setAge(DAY_SECONDS + 60);
    await clear(directory);
    assert.equal(readdirSync(directory), ['out']);
  });

  leftovers('a link in one leads nowhere', async () => {
    const directory = tempDirectory();
    const outside = makeTree({ 'out/f': 'x', f: 'x' });
    await leftover(directory, {
      'old-1': `-> ${outside}`,
      tree: `-> ${outside}`,
      'old-2/out': `-> ${outside}`,
    });
    await clear(directory);
    assert.equal(readdirSync(directory), ['out']);
    assert.is(readlinkSync(join(directory, 'out')), outside, 'what was moved aside was a link');
    assert.equal(readdirSync(outside).sort(), ['f', 'out']);
    assert.ok(existsSync(join(outside, 'out/f')));
  });

  leftovers('whose old tree cannot be put back stay as they are, and are warned of once', async () => {
    const directory = tempDirectory();
    const path = await leftover(directory, { 'old-1/out/f': 'old', 'tree/f': 'new' });
    const failing = (): Call => () => {
      throw systemFailure('EIO', 'rename');
    };
    const warnings = await warningsOf(async () => {
      for (let times = 0; times < 2; times += 1) await around('renameSync', failing, () => clear(directory));
    });
    assert.is(readFileSync(join(path, 'old-1/out/f'), 'utf8'), 'old');
    assert.ok(existsSync(join(path, 'tree/f')));
    assert.is(warnings.length, 1);
    assert.match(warnings[0]?.message ?? '', `permwalk could not remove ${JSON.stringify(path)}`);
    assert.equal(openDirectories(), []);
    await clear(directory);
    assert.equal(readdirSync(directory), ['out']);
  });

  leftovers('hide no mistake', async () => {
    const directory = tempDirectory();
    await leftover(directory, { 'tree/f': 'new' });
    const mistake = new TypeError('not a path');
    let calls = 0;
    const failing =
      (original: Call): Call =>
      (...parameters) => {
        calls += 1;
        if (calls > 1) throw mistake;
        return original(...parameters);
      };
    assert.is(await around('readdirSync', failing, () => rejection(clear(directory))), mistake);
  });

  leftovers('are not looked for where nobody may look', async () => {
    const directory = tempDirectory();
    giveAway(directory);
    chmodSync(directory, 0o300);
    await withoutRights(() => clear(directory));
    chmodSync(directory, 0o700);
  });

  leftovers(
    'an old tree that is being removed is not put back any more, were nothing in its place by then',
    async () => {
      const directory = tempDirectory();
      const path = await leftover(directory, {
        'old-1/out/f': 'old',
        'old-1/out/g': 'old',
        'tree/f': 'new',
      });
      addToTree(directory, { 'out/f': 'another' });
      let seen: string[] = [];
      const looking =
        (original: Call): Call =>
        (...parameters) => {
          if (seen.length === 0) seen = readdirSync(path);
          return original(...parameters);
        };
      await around('unlinkSync', looking, () => clear(directory));
      assert.equal(seen.sort(), ['gone-1', MARKER, 'tree']);
      assert.is(readFileSync(join(directory, 'out/f'), 'utf8'), 'another');
    },
  );

  leftovers('of a process that listens without end are its own', async () => {
    const directory = tempDirectory();
    const path = await leftover(directory, { 'tree/f': 'x' }, '');
    await deadSocket(join(path, 'owner-other'));
    await at(directory, async (destination) => {
      const alive = await createStaging(destination);
      // The marker of a living owner counts, wherever its directory is.
      renameSync(join(path, 'owner-other'), join(path, 'other'));
      renameSync(join(alive.path, MARKER), join(path, MARKER));
      await clearLeftovers(destination);
      assert.ok(existsSync(join(path, 'tree/f')));
      await removeStaging(alive, undefined);
      await clearLeftovers(destination);
    });
    assert.equal(readdirSync(directory), []);
  });

  leftovers.run();

  const publishing = nodeSuite(`publish (${backend})`);

  interface Finished {
    directory: string;
    path: string;
    destination: Destination;
    staging: Staging;
    publish(existing: Existing, durably?: boolean): Promise<Published>;
    names(): string[];
  }

  /** Do something with a staging directory that has a finished tree for `out` in a directory; then it goes. */
  async function withFinished(
    act: (finished: Finished) => unknown,
    { directory = tempDirectory(), mode = 0o755 } = {},
  ): Promise<void> {
    await at(directory, async (destination) => {
      const made = await createStaging(destination);
      writeFileSync(join(made.treePath, 'f'), 'new');
      chmodSync(made.treePath, mode);
      const identity = lstatSync(made.treePath);
      await act({
        directory,
        path: destination.path,
        destination,
        staging: made,
        publish: (existing, durably = false) =>
          (durably ? publishDurably : publish)(made, identity, existing, { retry: false }),
        names: () => readdirSync(directory).filter((name) => !name.startsWith('.permwalk-')),
      });
      await removeStaging(made, undefined);
    });
    assert.equal(openDirectories(), []);
  }

  const contentOf = (destination: string) => readFileSync(join(destination, 'f'), 'utf8');

  publishing('where nothing is there', async () => {
    for (const existing of ['error', 'keep', 'replace'] as const) {
      await withFinished(async ({ path, staging: made, publish }) => {
        assert.is(await publish(existing), 'created');
        assert.is(contentOf(path), 'new');
        assert.equal(readdirSync(made.path), [MARKER]);
      });
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
          await withFinished(async ({ path, staging: made, publish }) => {
            make(path);
            const { ino } = lstatSync(path);
            assert.is(await publish(existing), undefined, name);
            assert.is(lstatSync(path).ino, ino, name);
            assert.ok(existsSync(join(made.treePath, 'f')), name);
          });
        }
        const directory = tempDirectory();
        await withFinished(
          async ({ path, staging: made, publish }) => {
            make(path);
            const { ino } = lstatSync(path);
            assert.is(await publish('replace'), 'replaced', name);
            assert.is(contentOf(path), 'new', name);
            assert.is(lstatSync(join(made.path, 'gone-1/out')).ino, ino, name);
          },
          { directory },
        );
        assert.equal(readdirSync(directory), ['out'], name);
      }
    },
  );

  publishing('only the directory that was finished', async () => {
    for (const [code, make] of [
      ['ERR_PERMWALK_SYMLINK_IN_PATH', (path: string) => symlinkSync('/', path)],
      ['ERR_PERMWALK_SYMLINK_IN_PATH', (path: string) => writeFileSync(path, 'no tree')],
      ['ERR_PERMWALK_SWAPPED', (path: string) => addToTree(path, { f: 'another' })],
      ['ERR_PERMWALK_SWAPPED', () => {}],
    ] as const) {
      await withFinished(async ({ directory, path, staging: made, publish, names }) => {
        addToTree(path, { f: 'old' });
        renameSync(made.treePath, join(directory, '.permwalk-elsewhere'));
        make(made.treePath);
        const error = await rejection(publish('replace'));
        assert.is(error.code, code);
        assert.is(error.path, made.treePath);
        assert.equal(names(), ['out']);
        assert.is(contentOf(path), 'old');
        rmSync(join(directory, '.permwalk-elsewhere'), { recursive: true });
      });
    }
  });

  publishing('only from the staging directory that was made, and as it was made', async () => {
    const exchanges: [string, (path: string) => void][] = [
      [
        'another one',
        (path) => {
          renameSync(path, `${path}-moved`);
          addToTree(path, { 'tree/f': 'planted' });
          chmodSync(path, 0o700);
        },
      ],
      ['another mode', (path) => chmodSync(path, 0o777)],
      ['gone', (path) => renameSync(path, `${path}-moved`)],
    ];
    if (isRoot) exchanges.push(['another owner', (path) => chownSync(path, NOBODY, NOBODY)]);
    for (const [name, exchange] of exchanges) {
      await withFinished(async ({ path, staging: made, publish, names }) => {
        addToTree(path, { f: 'old' });
        exchange(made.path);
        const error = await rejection(publish('replace'));
        assert.is(error.code, 'ERR_PERMWALK_SWAPPED', name);
        assert.is(error.path, made.path, name);
        assert.is(contentOf(path), 'old', name);
        assert.equal(names(), ['out'], name);
      });
    }
  });

  publishing('only where the path still leads to the directory that was held', async () => {
    const base = tempDirectory();
    addToTree(base, { 'p/out/f': 'old', 'sys/out/f': 'important' });
    await withFinished(
      async ({ publish }) => {
        renameSync(join(base, 'p'), join(base, 'q'));
        symlinkSync('sys', join(base, 'p'));
        const error = await rejection(publish('replace'));
        assert.is(error.code, 'ERR_PERMWALK_SWAPPED');
        assert.is(error.path, join(base, 'p/out'));
        assert.match(error.message, 'nothing was published');
      },
      { directory: join(base, 'p') },
    );
    assert.is(contentOf(join(base, 'q/out')), 'old');
    if (backend === 'anchored') {
      assert.equal(readdirSync(join(base, 'q')), ['out'], 'its own staging directory is gone');
    }
    assert.equal(readdirSync(join(base, 'sys')), ['out']);
    assert.is(contentOf(join(base, 'sys/out')), 'important');
  });

  /** Do something before, or after, the renames to or from the destination: `out` in the parent's descriptor. */
  const meanwhile =
    (
      isMeant: (from: string, to: string) => boolean,
      event: { before?: (count: number) => void; after?: (count: number) => void },
    ): ((original: Call) => Call) =>
    (original) => {
      let count = 0;
      return (...parameters) => {
        const [from, to] = parameters.map(String) as [string, string];
        if (!isMeant(from, to)) return original(...parameters);
        count += 1;
        event.before?.(count);
        try {
          return original(...parameters);
        } finally {
          event.after?.(count);
        }
      };
    };
  const isAside = (from: string, to: string) => from.endsWith('/out') && to.endsWith('/out');
  const isNew = (from: string) => from.endsWith(`/${TREE}`);

  publishing('what another process puts there first is kept, or replaced', async () => {
    for (const existing of ['error', 'keep', 'replace'] as const) {
      for (const make of [
        (path: string) => addToTree(path, { f: 'first' }),
        (path: string) => writeFileSync(path, 'first'),
      ]) {
        await withFinished(async ({ path, publish }) => {
          const before = (count: number) => count === 1 && make(path);
          const outcome = await around('renameSync', meanwhile(isNew, { before }), () => publish(existing));
          assert.is(outcome, existing === 'replace' ? 'replaced' : undefined);
          const isReplaced = lstatSync(path).isDirectory() && contentOf(path) === 'new';
          assert.is(isReplaced, existing === 'replace');
        });
      }
    }
  });

  publishing('what another process puts there between the two renames is replaced, too', async () => {
    const directory = tempDirectory();
    await withFinished(
      async ({ path, staging: made, publish }) => {
        addToTree(path, { f: 'old' });
        const before = (count: number) => count < 3 && addToTree(path, { f: `${count}` });
        const outcome = await around('renameSync', meanwhile(isNew, { before }), () => publish('replace'));
        assert.is(outcome, 'replaced');
        assert.is(contentOf(path), 'new');
        const old = [1, 2, 3].map((number) => contentOf(join(made.path, `gone-${number}/out`)));
        assert.equal(old, ['old', '1', '2']);
      },
      { directory },
    );
    assert.equal(readdirSync(directory), ['out']);
  });

  publishing('what goes away before it is moved aside needs not be', async () => {
    await withFinished(async ({ path, publish }) => {
      addToTree(path, { f: 'old' });
      const before = () => rmSync(path, { recursive: true });
      assert.is(
        await around('renameSync', meanwhile(isAside, { before }), () => publish('replace')),
        'replaced',
      );
      assert.is(contentOf(path), 'new');
    });
  });

  publishing('who was overtaken does not try again where nothing is to be replaced', async () => {
    for (const existing of ['error', 'keep'] as const) {
      await withFinished(async ({ path, publish }) => {
        const before = () => addToTree(path, { f: 'first' });
        const after = () => rmSync(path, { recursive: true });
        const racing = meanwhile(isNew, { before, after });
        assert.is(await around('renameSync', racing, () => publish(existing)), undefined);
        assert.not.ok(existsSync(path));
      });
    }
  });

  publishing('who is always overtaken gives up, and the last that was there stays', async () => {
    const directory = tempDirectory();
    let last = 0;
    const warnings = await warningsOf(() =>
      withFinished(
        async ({ path, publish }) => {
          const before = (count: number) => {
            last = count;
            addToTree(path, { f: `${count}` });
          };
          const racing = meanwhile(isNew, { before });
          const error = await around('renameSync', racing, () => rejection(publish('replace')));
          assert.is(error.code, 'ENOTEMPTY');
          assert.is(error.path, path);
          assert.is(last, 101);
          assert.is(contentOf(path), '101');
        },
        { directory },
      ),
    );
    // What it had moved aside is not its to remove: its own tree is not there.
    assert.match(warnings[0]?.message ?? '', /could not put back the old tree, which is in .*: move it to /);
    await clear(directory);
    assert.equal(readdirSync(directory), ['out']);
  });

  publishing('that fails puts the old tree back, however often it has to try', async () => {
    for (const mode of [0o755, 0o555]) {
      for (const failures of [0, 1, 3]) {
        const directory = tempDirectory();
        await withFinished(
          async ({ path, staging: made, publish }) => {
            addToTree(directory, { 'out/f': 'old', 'out/': mode });
            giveAway(path);
            let puttings = 0;
            const failing =
              (original: Call): Call =>
              (from, to) => {
                if (isNew(`${from}`)) throw systemFailure('EIO', 'rename');
                if (`${from}`.endsWith('/out') && existsSync(join(made.path, 'old-1/out'))) {
                  puttings += 1;
                  if (puttings <= failures) throw systemFailure('EIO', 'rename');
                }
                return original(from, to);
              };
            const { ino } = lstatSync(path);
            const error = await around('renameSync', failing, () => rejection(publish('replace')));
            assert.is(error.code, 'EIO');
            assert.is(error.path, path);
            assert.is(contentOf(path), 'old');
            assert.equal([lstatSync(path).ino, modeOf(path)], [ino, mode]);
          },
          { directory },
        );
        assert.equal(readdirSync(directory), ['out']);
      }
    }
  });

  publishing('that cannot move the old tree aside says why, and leaves it there', async () => {
    await withFinished(async ({ path, publish }) => {
      addToTree(path, { f: 'old' });
      const failing =
        (original: Call): Call =>
        (from, to) => {
          if (isAside(`${from}`, `${to}`)) throw systemFailure('EIO', 'rename');
          return original(from, to);
        };
      const error = await around('renameSync', failing, () => rejection(publish('replace')));
      assert.is(error.code, 'EIO');
      assert.is(contentOf(path), 'old');
    });
  });

  publishing(
    'an old tree that was moved aside, and keeps the w that it got for that, is put back',
    async () => {
      const directory = tempDirectory();
      addToTree(directory, { 'out/f': 'old', 'out/': 0o500 });
      const { ino } = lstatSync(join(directory, 'out'));
      giveAway(directory);
      await withoutRights(() =>
        withFinished(
          async ({ path, publish }) => {
            let changes = 0;
            const failing =
              (original: Call): Call =>
              (...parameters) => {
                changes += 1;
                if (changes === 2) throw systemFailure('EIO', 'chmod');
                return original(...parameters);
              };
            const change = backend === 'anchored' ? 'chmodSync' : 'fchmodSync';
            const error = await around(change, failing, () => rejection(publish('replace')));
            assert.is(error.code, 'EIO');
            assert.is(lstatSync(path).ino, ino);
            assert.is(contentOf(path), 'old');
          },
          { directory },
        ),
      );
      assert.equal(readdirSync(directory), ['out']);
    },
  );

  publishing('a directory that gets w to move it is noted before, and nothing else is', async () => {
    const cases: [noted: string[], make: (path: string) => void, mode?: number][] = [
      [['lock-500'], (path) => addToTree(dirname(path), { 'out/': 0o500 })],
      [['lock-1550'], (path) => addToTree(path, { f: 'old' }), 0o1550],
      [[], (path) => addToTree(path, { f: 'old' })],
      [[], (path) => writeFileSync(path, 'old', { mode: 0o400 })],
    ];
    for (const [noted, make, mode = 0o755] of cases) {
      const directory = tempDirectory();
      giveAway(directory);
      await withoutRights(() =>
        withFinished(
          async ({ path, staging: made, publish }) => {
            make(path);
            const inos = [path, made.treePath].map((each) => lstatSync(each).ino);
            let seen: string[] = [];
            const looking = meanwhile(() => true, {
              before: () => {
                seen = readdirSync(made.path).filter((name) => name.startsWith('lock-'));
              },
            });
            await around('renameSync', looking, () => publish('replace'));
            assert.equal(
              seen,
              noted.map((name) => `${name}-${inos[mode === 0o755 ? 0 : 1]}`),
            );
          },
          { directory, mode },
        ),
      );
    }
  });

  publishing('a directory that cannot be noted is not moved', async () => {
    const directory = tempDirectory();
    await withFinished(
      async ({ path, publish }) => {
        addToTree(directory, { 'out/f': 'old', 'out/': 0o500 });
        const failing =
          (original: Call): Call =>
          (...parameters) => {
            if (`${parameters[0]}`.includes('/lock-')) throw systemFailure('ENOSPC', 'mkdir');
            return original(...parameters);
          };
        const error = await around('mkdirSync', failing, () => rejection(publish('replace')));
        assert.is(error.code, 'ENOSPC');
        assert.is(contentOf(path), 'old');
      },
      { directory },
    );
  });

  publishing(
    'who was overtaken by what is gone again replaces the old tree that it had put back',
    async () => {
      const directory = tempDirectory();
      giveAway(directory);
      await withoutRights(() =>
        withFinished(
          async ({ path, publish }) => {
            addToTree(directory, { 'out/f': 'old', 'out/': 0o500 });
            const racing = meanwhile(isNew, {
              before: (count) => count === 1 && addToTree(path, { f: 'first' }),
              after: (count) => count === 1 && rmSync(path, { recursive: true }),
            });
            assert.is(await around('renameSync', racing, () => publish('replace')), 'replaced');
            assert.is(contentOf(path), 'new');
          },
          { directory },
        ),
      );
      assert.equal(readdirSync(directory), ['out']);
    },
  );

  publishing('whose new tree vanishes between the two renames puts the old one back', async () => {
    const directory = tempDirectory();
    await withFinished(
      async ({ path, staging: made, publish }) => {
        addToTree(path, { f: 'old' });
        const after = () => rmSync(made.treePath, { recursive: true });
        const racing = meanwhile(isAside, { after: (count) => count === 1 && after() });
        const error = await around('renameSync', racing, () => rejection(publish('replace')));
        assert.is(error.code, 'ENOENT');
        assert.is(contentOf(path), 'old');
      },
      { directory },
    );
    assert.equal(readdirSync(directory), ['out']);
  });

  publishing('whose new tree vanishes right after it was published puts the old one back', async () => {
    const directory = tempDirectory();
    await withFinished(
      async ({ path, publish }) => {
        addToTree(path, { f: 'old' });
        const after = () => rmSync(path, { recursive: true });
        const racing = meanwhile(isNew, { after });
        const error = await around('renameSync', racing, () => rejection(publish('replace')));
        assert.is(error.code, 'ERR_PERMWALK_SWAPPED');
        assert.is(contentOf(path), 'old');
      },
      { directory },
    );
    assert.equal(readdirSync(directory), ['out']);
  });

  publishing(
    'whose new tree is replaced right after it was published is over, and so is the old one',
    async () => {
      const directory = tempDirectory();
      await withFinished(
        async ({ path, publish }) => {
          addToTree(path, { f: 'old' });
          const after = () => {
            renameSync(path, join(directory, '.permwalk-of-another-process'));
            // Between its two renames nothing is there.
            setTimeout(() => addToTree(path, { f: 'newer' }), 5);
          };
          const racing = meanwhile(isNew, { after });
          assert.is(await around('renameSync', racing, () => publish('replace')), 'replaced');
          assert.is(contentOf(path), 'newer');
        },
        { directory },
      );
      rmSync(join(directory, '.permwalk-of-another-process'), { recursive: true });
      assert.equal(readdirSync(directory), ['out']);
    },
  );

  publishing(
    'an old tree that cannot be put back is never removed, and put back by the next call',
    async () => {
      const directory = tempDirectory();
      const failing =
        (original: Call): Call =>
        (from, to) => {
          if (isNew(`${from}`) || `${from}`.includes('/old-') || existsSync(join(directory, 'failing'))) {
            throw systemFailure('EIO', 'rename');
          }
          const result = original(from, to);
          if (isAside(`${from}`, `${to}`)) writeFileSync(join(directory, 'failing'), '');
          return result;
        };
      const warnings = await warningsOf(() =>
        withFinished(
          async ({ path, staging: made, publish }) => {
            addToTree(path, { f: 'old' });
            const error = await around('renameSync', failing, () => rejection(publish('replace')));
            assert.match(error.message, JSON.stringify(join(made.path, 'old-1/out')), 'where it lies');
            assert.not.ok(existsSync(path));
          },
          { directory },
        ),
      );
      rmSync(join(directory, 'failing'));
      assert.equal(
        warnings.map(({ code }) => code),
        ['ERR_PERMWALK_LEFTOVER'],
      );
      const [left] = readdirSync(directory);
      assert.match(warnings[0]?.message ?? '', JSON.stringify(join(directory, left ?? '')));
      assert.is(contentOf(join(directory, left ?? '', 'old-1/out')), 'old');
      assert.equal(readdirSync(join(directory, left ?? '')).sort(), ['old-1', MARKER], 'the rest is gone');
      await clear(directory);
      assert.equal(readdirSync(directory), ['out']);
      assert.is(contentOf(join(directory, 'out')), 'old');
    },
  );

  publishing('a link that takes the destination right after the rename is not followed', async () => {
    const outside = makeTree({ 'd/f': 0o600, 'd/': 0o700 });
    giveAway(outside);
    const directory = tempDirectory();
    giveAway(directory);
    await withoutRights(() =>
      withFinished(
        async ({ path, publish }) => {
          const after = () => {
            if (!existsSync(path)) return;
            renameSync(path, join(directory, 'moved'));
            symlinkSync(join(outside, 'd'), path);
          };
          const outcome = await around('renameSync', meanwhile(isNew, { after }), () =>
            publish('error').catch((error: Error & { code?: string }) => error.code),
          );
          // By its path the directory is not found again to give it its mode back: the link is refused.
          assert.is(outcome, backend === 'anchored' ? 'created' : 'ERR_PERMWALK_SYMLINK_IN_PATH');
        },
        { directory, mode: 0o555 },
      ),
    );
    assert.is(modeOf(outside, 'd'), 0o700);
    if (backend === 'anchored') assert.is(modeOf(directory, 'moved'), 0o555);
  });

  publishing('errors name the cause and the way out, and no descriptor', async () => {
    const cases: [code: string, message: RegExp][] = [
      ['EXDEV', /lower layer of overlayfs .*, or set publish to 'in-place'$/],
      ['EBUSY', /is a mount point, .* set publish to 'in-place'$/],
      ['EPERM', /run as its owner, or set publish to 'in-place'$/],
      ['EROFS', /mounted read-only: remount it read-write$/],
      ['EIO', /extract to "[^"]*out"$/],
    ];
    for (const [code, message] of cases) {
      await withFinished(async ({ path, publish }) => {
        addToTree(path, { f: 'old' });
        const failing = (): Call => () => {
          throw systemFailure(code, 'rename');
        };
        const error = await around('renameSync', failing, () =>
          rejection(publish('replace', code === 'EXDEV')),
        );
        assert.is(error.code, code);
        assert.is(error.path, path);
        assert.ok(error.message.startsWith(`${code}: `) && error.message.includes(JSON.stringify(path)));
        assert.match(error.message, message);
        assert.not.match(error.message, '/proc/');
        assert.is(contentOf(path), 'old');
      });
    }
  });

  publishing(
    'a directory that its owner may not write to is moved all the same, and keeps its mode',
    async () => {
      const directory = tempDirectory();
      giveAway(directory);
      await withoutRights(() =>
        withFinished(
          async ({ path, publish, staging: made }) => {
            addToTree(directory, { 'out/': 0o500 });
            assert.is(await publish('replace'), 'replaced');
            assert.is(modeOf(path), 0o1550);
            assert.is(modeOf(made.path, 'gone-1/out'), 0o500);
          },
          { directory, mode: 0o1550 },
        ),
      );
      assert.equal(readdirSync(directory), ['out']);
      chmodSync(join(directory, 'out'), 0o700);
    },
  );

  publishing('what cannot be moved keeps its mode, and its place', async () => {
    for (const mode of [0o500, 0o700]) {
      const directory = tempDirectory();
      giveAway(directory);
      await withoutRights(() =>
        withFinished(
          async ({ path, publish, staging: made }) => {
            addToTree(directory, { 'out/': mode });
            chmodSync(directory, 0o500);
            const error = await rejection(publish('replace'));
            assert.is(error.code, 'EACCES');
            assert.is(modeOf(path), mode);
            assert.is(readFileSync(join(made.treePath, 'f'), 'utf8'), 'new');
            chmodSync(directory, 0o700);
          },
          { directory },
        ),
      );
    }
  });

  publishing.run();

  const durable = nodeSuite(`publish durably (${backend})`);

  /** Notes what is synced, and what is moved. */
  async function syncsOf(act: () => Promise<unknown>, onSync = () => {}): Promise<string[]> {
    const noted: string[] = [];
    const { fsyncSync } = fs;
    fs.fsyncSync = (fd) => {
      noted.push(`sync ${readlinkSync(`/proc/self/fd/${fd}`)}`);
      fsyncSync(fd);
      onSync();
    };
    syncBuiltinESMExports();
    const noting =
      (original: Call): Call =>
      (...parameters) => {
        const [from] = parameters;
        if (!basename(`${from}`).startsWith('bind-')) noted.push(`move ${basename(`${from}`)}`);
        return original(...parameters);
      };
    try {
      await around('renameSync', noting, act);
    } finally {
      fs.fsyncSync = fsyncSync;
      syncBuiltinESMExports();
    }
    return noted;
  }

  durable('the parent is synced after the move', async () => {
    await withFinished(async ({ directory, publish }) => {
      const noted = await syncsOf(() => publish('error', true));
      assert.equal(noted, [`sync ${directory}`, 'move tree', `sync ${directory}`]);
    });
  });

  durable('a tree is synced whole: itself, every directory and every file', async () => {
    await withFinished(async ({ staging: { treePath, directory } }) => {
      addToTree(treePath, { 'a/b/g': 'x', 'a/l': '-> b', 'c/': 0o700 });
      const tree = openTreeIn(directory, TREE, treePath);
      const noted = await syncsOf(() => syncTree(tree, undefined));
      tree.close();
      const expected = ['', '/f', '/a', '/a/b', '/a/b/g', '/c'].map((path) => `sync ${treePath}${path}`);
      assert.equal(noted.sort(), expected.sort());
    });
  });

  durable('a wrapped extractor syncs where it is asked to, before it moves and after', async () => {
    for (const [options, expected] of [
      [{}, 'move'],
      [{ durable: false }, 'move'],
      [{ durable: true }, 'sync sync sync move sync'],
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
    await withFinished(async ({ staging: { treePath, directory } }) => {
      addToTree(treePath, Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`f${index}`, 0o600])));
      const controller = new AbortController();
      const reason = new Error('enough');
      const abort = () => {
        controller.abort(reason);
        // It is looked at between slices: this one is over.
        const start = performance.now();
        while (performance.now() < start + 5);
      };
      const tree = openTreeIn(directory, TREE, treePath);
      const noted = await syncsOf(async () => {
        assert.is(await rejection(syncTree(tree, controller.signal)), reason);
      }, abort);
      tree.close();
      assert.ok(noted.length < 20, `${noted.length} were synced`);
    });
  });

  durable('a parent that cannot be synced is refused before anything is moved', async () => {
    const directory = tempDirectory();
    giveAway(directory);
    await withoutRights(() =>
      withFinished(
        async ({ publish, names }) => {
          chmodSync(directory, 0o300);
          const error = await rejection(publish('error', true));
          chmodSync(directory, 0o700);
          assert.is(error.code, 'EACCES');
          assert.is(error.path, directory);
          assert.equal(names(), []);
        },
        { directory },
      ),
    );
  });

  durable.run();
}
