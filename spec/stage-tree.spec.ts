import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { describeProgress } from '../lib/cli/progress.ts';
import {
  applyPermissions,
  type PermissionProgress,
  readManifest,
  type Stage,
  type StageOptions,
  stageTree,
  UnresolvedEntriesError,
  wrapExtractor,
} from '../lib/index.ts';
import { around, type Call } from './helpers/around.ts';
import { numberedFiles, writeBundle } from './helpers/bundle.ts';
import { impatient, reasonsOf } from './helpers/passes.ts';
import { canRunOn } from './helpers/runtime.ts';
import { addToTree, makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

/** A destination that is not there yet, in a directory of its own. */
const newDestination = (): string => join(tempDirectory(), 'out');

/** What lies beside a destination, and it itself: a staging directory would be seen here. */
const besides = (destination: string): string[] => readdirSync(dirname(destination)).sort();

const contentAt = (destination: string): string => readFileSync(join(destination, 'f'), 'utf8');

/** A callback that writes one file. */
const writes =
  (content: string) =>
  ({ directory }: Stage): void =>
    writeFileSync(join(directory, 'f'), content);

/** A promise, and what fulfils it. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

const test = suite('stageTree');

test('publishes what the callback makes, by any means, all at once', async () => {
  const destination = newDestination();
  let stage: Stage | undefined;
  const report = await stageTree(destination, { executable: 'bin/*' }, async (given) => {
    stage = given;
    mkdirSync(join(given.directory, 'bin'));
    writeFileSync(join(given.directory, 'bin/run'), '', { mode: 0o644 });
    await nextTurn();
    writeFileSync(join(given.directory, 'metadata.json'), '{}');
    assert.not.ok(existsSync(destination));
    assert.not.ok(given.signal.aborted);
  });
  assert.is(report.outcome, 'created');
  assert.is(report.destination, destination);
  assert.is(report.root, destination);
  assert.is(stage?.destination, destination);
  assert.is(modeOf(destination, 'bin/run') & 0o100, 0o100);
  assert.equal(readdirSync(destination).sort(), ['bin', 'metadata.json']);
  assert.ok(stage?.signal.aborted, 'the signal ends with the call');
  assert.equal(besides(destination), ['out']);
});

test('a manifest that is a function is asked for once the callback has run, and not where that fails', async () => {
  const destination = newDestination();
  const order: string[] = [];
  const manifest = () => {
    order.push('manifest');
    return ['f'];
  };
  const failure = new Error('the digest is another one');
  const fail = () => {
    order.push('fill');
    throw failure;
  };
  assert.is(await rejection(stageTree(destination, { manifest }, fail)), failure);
  assert.equal(order, ['fill']);
  await stageTree(destination, { manifest }, (stage) => {
    order.push('fill');
    writes('new')(stage);
  });
  assert.equal(order, ['fill', 'fill', 'manifest']);
  await stageTree(newDestination(), { manifest, existing: 'keep' }, (stage) => {
    order.push('fill');
    writes('new')(stage);
  });
  assert.equal(order.slice(3), ['fill', 'manifest'], "with 'keep', where nothing is there, too");
  const missing = stageTree(
    newDestination(),
    { manifest: async () => ['g'], retry: impatient },
    writes('new'),
  );
  const error = await rejection(missing);
  assert.instance(error, UnresolvedEntriesError);
  assert.equal(reasonsOf((error as UnresolvedEntriesError).report), ['g: missing']);
  for (const none of [false as const, undefined, () => false as const, () => undefined])
    await stageTree(newDestination(), { manifest: none }, writes('new'));
});

test("existing 'keep' does not reject for files that the callback added", async () => {
  const directory = tempDirectory();
  const archive = writeBundle(join(directory, 'one.zip'), { f: 'one' });
  const destination = join(directory, 'out');
  const options: StageOptions = { existing: 'keep', manifest: () => readManifest(archive) };
  let fills = 0;
  const fill = (stage: Stage) => {
    fills += 1;
    writes('one')(stage);
    writeFileSync(join(stage.directory, 'metadata.json'), '{}');
  };
  assert.is((await stageTree(destination, options, fill)).outcome, 'created');
  assert.is((await stageTree(destination, options, fill)).outcome, 'kept');
  assert.is(fills, 1);
  rmSync(join(destination, 'f'));
  const error = await rejection(stageTree(destination, { ...options, retry: false }, fill));
  assert.instance(error, UnresolvedEntriesError);
});

test('calls without a key take turns, those with the same key share one', async () => {
  const destination = newDestination();
  let running = 0;
  let fills = 0;
  const fill = async (stage: Stage) => {
    fills += 1;
    running += 1;
    assert.is(running, 1);
    await nextTurn();
    writes(`${fills}`)(stage);
    running -= 1;
  };
  const call = (options: StageOptions = {}) =>
    stageTree(destination, { existing: 'replace', ...options }, fill);
  await Promise.all([call(), call(), call()]);
  assert.is(fills, 3);
  const reports = await Promise.all(Array.from({ length: 300 }, () => call({ key: 'digest' })));
  assert.is(fills, 4);
  for (const report of reports) assert.is(report, reports[0]);
  await Promise.all([call({ key: 'digest' }), call({ key: 'other' })]);
  assert.is(fills, 6);
  await Promise.all([call({ key: 'digest' }), call({ key: 'digest', strict: false })]);
  assert.is(fills, 8, 'what becomes of the tree is not the same');
  const listeners = [{ onProgress() {} }, { onChange() {} }, { signal: new AbortController().signal }];
  await Promise.all(listeners.map((options) => call({ key: 'digest', ...options })));
  assert.is(fills, 9, 'who listens does not matter');
  await Promise.all([call({ key: 'digest' }), call({ key: 'digest', manifest: ['f'] })]);
  assert.is(fills, 11, 'what is verified is not what is not');
  await Promise.all([call({ key: 'digest' }), call({ key: 'digest', manifest: false })]);
  assert.is(fills, 12, 'there is no manifest either way');
  await Promise.all([call({ key: 'digest' }), call({ key: 'digest', strict: undefined } as StageOptions)]);
  assert.is(fills, 13, 'undefined is not given');
});

test('calls for other destinations do not wait', async () => {
  const parent = tempDirectory();
  const started = gate();
  await Promise.all([
    ...['out', 'other/out'].map((name) =>
      stageTree(join(parent, name), {}, async (stage) => {
        await started.opened;
        writes(name)(stage);
      }),
    ),
    stageTree(join(parent, 'beside'), {}, (stage) => {
      started.open();
      writes('beside')(stage);
    }),
  ]);
  for (const name of ['out', 'other/out', 'beside']) assert.is(contentAt(join(parent, name)), name);
});

test('a link that leads nowhere is what is there, and nothing is made where it leads', async () => {
  const [destination, target] = [newDestination(), newDestination()];
  symlinkSync(target, destination);
  const stage = (existing: StageOptions['existing']) => stageTree(destination, { existing }, writes('new'));
  assert.is((await rejection(stage('error'))).code, 'EEXIST');
  assert.is((await rejection(stage('keep'))).code, 'ERR_PERMWALK_SYMLINK_IN_PATH');
  assert.is(readlinkSync(destination), target);
  assert.is((await stage('replace')).outcome, 'replaced');
  assert.ok(lstatSync(destination).isDirectory());
  assert.is(contentAt(destination), 'new');
  assert.equal(besides(target), []);
});

test("no listener is left on the caller's signal", async () => {
  const { signal } = new AbortController();
  const listeners: unknown[] = [];
  Object.assign(signal, {
    addEventListener: (type: string, listener: () => void, options?: { once?: boolean }) => {
      listeners.push(listener);
      AbortSignal.prototype.addEventListener.call(signal, type, listener, options);
    },
    removeEventListener: (type: string, listener: () => void) => {
      if (type === 'abort' && listeners.includes(listener)) listeners.splice(listeners.indexOf(listener), 1);
      AbortSignal.prototype.removeEventListener.call(signal, type, listener);
    },
  });
  let most = 0;
  await stageTree(newDestination(), { signal }, (stage) => {
    most = listeners.length;
    writes('new')(stage);
  });
  assert.ok(most > 0);
  assert.equal(listeners, []);
});

test('where the caller that fills aborts, the next one fills; any other one that aborts only leaves', async () => {
  const destination = newDestination();
  const controllers = [0, 1, 2, 3].map(() => new AbortController());
  const reasons = controllers.map((_, index) => new Error(`${index} aborts`));
  const started = [gate(), gate(), gate(), gate()];
  const finish = gate();
  const heard: unknown[] = [];
  const calls = controllers.map(({ signal }, index) =>
    stageTree(destination, { key: 'digest', signal }, async (stage) => {
      stage.signal.addEventListener('abort', () => heard.push(stage.signal.reason), { once: true });
      started[index]?.open();
      await (index === 0 ? new Promise(() => {}) : finish.opened);
      writes(`${index}`)(stage);
    }),
  );
  for (const call of calls) call.catch(() => undefined);
  const abort = (index: number) => controllers[index]?.abort(reasons[index]);
  await started[0]?.opened;
  abort(1);
  assert.is(await rejection(calls[1] as Promise<unknown>), reasons[1], 'it leaves at once');
  assert.equal(heard, [], 'and nobody else hears of it');
  abort(0);
  assert.is(await rejection(calls[0] as Promise<unknown>), reasons[0]);
  assert.equal(heard, [reasons[0]]);
  await started[2]?.opened;
  finish.open();
  const [second, third] = await Promise.all(calls.slice(2));
  assert.is(second?.outcome, 'created');
  assert.is(third, second);
  assert.is(contentAt(destination), '2');
});

test('a call that is aborted while it fills has cleaned up when it rejects', async () => {
  for (const options of [{}, { key: 'digest' }]) {
    const destination = newDestination();
    const controller = new AbortController();
    const call = stageTree(destination, { ...options, signal: controller.signal }, async (stage) => {
      writes('new')(stage);
      const aborted = new Promise((_, reject) => {
        stage.signal.addEventListener('abort', () => reject(stage.signal.reason));
      });
      controller.abort(new Error('enough'));
      await aborted;
    });
    assert.is((await rejection(call)).message, 'enough');
    assert.equal(besides(destination), []);
  }
});

test('where all that wait have left, the next call begins anew', async () => {
  const destination = newDestination();
  const hanging = gate();
  const first = stageTree(destination, { existing: 'replace' }, async (stage) => {
    await hanging.opened;
    writes('first')(stage);
  });
  const controller = new AbortController();
  const options = { existing: 'replace', key: 'digest' } as const;
  const left = stageTree(destination, { ...options, signal: controller.signal }, writes('left'));
  controller.abort(new Error('enough'));
  assert.is((await rejection(left)).message, 'enough');
  const last = stageTree(destination, options, writes('last'));
  hanging.open();
  await Promise.all([first, last]);
  assert.is(contentAt(destination), 'last');
  const aborted = stageTree(destination, { ...options, signal: AbortSignal.abort('no') }, writes('no'));
  assert.is(await rejection(aborted), 'no' as never);
});

test('who has aborted before shares nothing', async () => {
  const destination = newDestination();
  const hanging = gate();
  const first = stageTree(destination, { key: 'digest' }, async (stage) => {
    await hanging.opened;
    writes('first')(stage);
  });
  const signal = AbortSignal.abort(new Error('enough'));
  const aborted = rejection(stageTree(destination, { key: 'digest', signal }, writes('no')));
  assert.is(await Promise.race([aborted, nextTurn('it waits')]), signal.reason);
  hanging.open();
  assert.is((await first).outcome, 'created');
});

test('a failure that is no abort is the failure of all that share it', async () => {
  const destination = newDestination();
  const failure = new Error('no');
  let fills = 0;
  const fill = async () => {
    fills += 1;
    await nextTurn();
    throw failure;
  };
  const calls = [1, 2].map(() => rejection(stageTree(destination, { key: 'digest' }, fill)));
  assert.equal(await Promise.all(calls), [failure, failure]);
  assert.is(fills, 1);
  await stageTree(destination, { key: 'digest' }, writes('new'));
  assert.equal(besides(destination), ['out']);
});

test('progress reaches onProgress, and what it throws ends the call', async () => {
  const seen: PermissionProgress[] = [];
  const onProgress = (progress: PermissionProgress) => {
    if (progress.phase === 'fill') seen.push(progress);
  };
  await stageTree(newDestination(), { onProgress }, (stage) => {
    stage.progress(1);
    stage.progress(1500, 3000);
    for (const wrong of [undefined, '1', -1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => stage.progress(wrong as never), /^done: /);
    for (const wrong of ['1', -1, Number.POSITIVE_INFINITY])
      assert.throws(() => stage.progress(1, wrong as never), /^total: /);
    writes('new')(stage);
  });
  assert.equal(
    seen.map((progress) => 'total' in progress),
    [false, true],
  );
  assert.equal(seen[0]?.list(), []);
  await stageTree(newDestination(), {}, (stage) => {
    stage.progress(1);
    writes('new')(stage);
  });
  assert.equal(
    seen.map(({ done, total }) => [done, total]),
    [
      [1, undefined],
      [1500, 3000],
    ],
  );
  assert.equal(
    seen.map((progress) => describeProgress(progress, false)),
    ['filling: 1', 'filling: 1,500 of 3,000 (50 %)'],
  );
  const failure = new Error('no');
  const failing = () => {
    throw failure;
  };
  const destination = newDestination();
  const hanging = stageTree(destination, { onProgress: failing }, async ({ progress, signal }) => {
    progress(1);
    assert.is(signal.reason, failure);
    progress(2);
    await new Promise(() => {});
  });
  assert.is(await rejection(hanging), failure);
});

test("progress of a callback that goes on after its call is nobody's", async () => {
  const controller = new AbortController();
  const seen: (number | undefined)[] = [];
  let stage: Stage | undefined;
  const call = stageTree(
    newDestination(),
    { signal: controller.signal, onProgress: ({ done }) => seen.push(done) },
    async (given) => {
      stage = given;
      given.progress(1);
      controller.abort(new Error('enough'));
      await new Promise(() => {});
    },
  );
  await rejection(call);
  stage?.progress(2);
  assert.equal(seen, [1]);
});

test("what a callback of the caller's throws of another pass is handed on as it is", async () => {
  const options = { manifest: ['gone'], retry: false } as const;
  const other = await rejection(applyPermissions(tempDirectory(), options));
  assert.instance(other, UnresolvedEntriesError);
  const onChange = () => {
    throw other;
  };
  const call = stageTree(newDestination(), { mode: 'a+x', onChange }, writes('new'));
  assert.is(await rejection(call), other);
});

test('opens nothing that it does not close', async () => {
  if (!existsSync('/proc/self/fd')) return;
  const destination = newDestination();
  const held = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(dirname(destination));
      } catch {
        return false;
      }
    });
  await stageTree(destination, { manifest: ['f'] }, writes('new'));
  await rejection(stageTree(destination, {}, writes('new')));
  await stageTree(destination, { existing: 'keep', manifest: ['f'] }, writes('new'));
  assert.equal(held(), []);
});

test("what another process puts there, and takes away again, is waited out with 'keep' only, ten times", async () => {
  for (const [existing, times] of [
    ['keep', 10],
    ['error', 1],
  ] as const) {
    const destination = newDestination();
    let [fills, puttings] = [0, 0];
    const racing =
      (original: Call): Call =>
      (...parameters) => {
        if (!`${parameters[0]}`.endsWith('/tree') || puttings === 20) return original(...parameters);
        puttings += 1;
        addToTree(destination, { f: 'of another process' });
        try {
          return original(...parameters);
        } finally {
          rmSync(destination, { recursive: true });
        }
      };
    const fill = (stage: Stage) => {
      fills += 1;
      writes('new')(stage);
    };
    const error = await around('renameSync', racing, () =>
      rejection(stageTree(destination, { existing }, fill)),
    );
    assert.is(error.code, 'EEXIST');
    assert.not.match(error.message, 'mount point');
    assert.equal([fills, puttings], [times, times]);
    assert.equal(besides(destination), []);
  }
});

test('what is wrong with an option, the key or the callback is said, before anything is touched', async () => {
  const destination = newDestination();
  const wrong: [options: unknown, message: string][] = [
    [{ key: 7 }, 'key: expected a string, got 7'],
    [{ key: '' }, 'key: is empty, and would be the same for everything'],
    [{ publish: 'atomic' }, 'unknown option "publish": known are '],
    [{ dryRun: true }, 'dryRun: not for stageTree, because an extraction changes the disk'],
    [{ existing: 'merge' }, 'existing: "merge" is not one of '],
    [() => {}, 'options: expected an object, got a function'],
  ];
  for (const [options, message] of wrong) {
    const { message: said } = await rejection(stageTree(destination, options as never, writes('new')));
    assert.ok(said.startsWith(message), said);
  }
  const none = await rejection(stageTree(destination, {}, undefined as never));
  assert.is(none.message, 'fill: expected a function that fills a directory, got undefined');
  assert.equal(besides(destination), []);
});

test("existing 'replace' keeps the permission bits of the old root where nothing says another mode", async () => {
  for (const mode of [0o700, 0o750, 0o711]) {
    const destination = newDestination();
    const replace = async (options: StageOptions, fill = writes('new')) => {
      rmSync(destination, { recursive: true, force: true });
      mkdirSync(destination);
      chmodSync(destination, mode);
      await stageTree(destination, { existing: 'replace', umask: 0o022, ...options }, fill);
      return modeOf(destination);
    };
    assert.is(await replace({}), mode);
    assert.is(await replace({ manifest: ['f'], mode: 'manifest', durable: true }), mode);
    assert.is(await replace({ mode: 0o644 }), 0o755);
    assert.is(await replace({ directoryMode: 0o755 }), 0o755);
    const listed = [{ path: '.', type: 'directory', mode: 0o755 } as const, 'f'];
    assert.is(await replace({ manifest: listed, mode: 'manifest' }), 0o755);
    const chosen = (stage: Stage) => {
      writes('new')(stage);
      chmodSync(stage.directory, 0o705);
    };
    assert.is(await replace({}, chosen), 0o705, 'what the callback has set stays');
  }
});

test("existing 'replace' hands no special bit of the old root on", async () => {
  for (const mode of [0o4711, 0o2750, 0o1777]) {
    const destination = newDestination();
    mkdirSync(destination);
    chmodSync(destination, mode);
    await stageTree(destination, { existing: 'replace' }, writes('new'));
    assert.is(modeOf(destination), mode & 0o777);
  }
});

test.run();

const wrapped = suite('what calls of a wrapped extractor share');

/** A bundle in a directory of its own, and an extractor that counts. */
function bundle(version = 'one') {
  const directory = tempDirectory();
  const archive = writeBundle(join(directory, 'a.zip'), { ...numberedFiles(0, version), f: version });
  return { directory, archive, destination: join(directory, 'out') };
}

wrapped('nothing, where a further argument is another one', async () => {
  const { archive, destination } = bundle();
  const seen: unknown[] = [];
  const extract = wrapExtractor(
    async (_: string, directory: string, limits: { max: number }) => {
      seen.push(limits.max);
      await nextTurn();
      if (limits.max < 10) throw new Error('too large');
      for (const name of ['VERSION', 'f']) writeFileSync(join(directory, name), 'one');
      mkdirSync(join(directory, 'bin'));
      writeFileSync(join(directory, 'bin/run'), 'one');
    },
    { existing: 'replace' },
  );
  const limits = { max: 1000 };
  const [first, same, other] = await Promise.allSettled([
    extract(archive, destination, limits),
    extract(archive, destination, limits),
    extract(archive, destination, { max: 1 }),
  ]);
  assert.equal(seen, [1000, 1]);
  assert.equal([first.status, same.status, other.status], ['fulfilled', 'fulfilled', 'rejected']);
  const numbers = wrapExtractor(
    (_: string, directory: string, ...rest: unknown[]) => {
      seen.push(rest.length);
      writeFileSync(join(directory, 'f'), '');
    },
    { existing: 'replace', manifest: false },
  );
  seen.length = 0;
  const rests = [[], [undefined], [Number.NaN], [Number.NaN], [0], [-0]];
  await Promise.all(rests.map((rest) => numbers('archive', destination, ...rest)));
  assert.is(seen.length, 5, 'compared by Object.is');
});

wrapped('nothing, where the file at the path is another one, or was changed', async () => {
  const { directory, archive, destination } = bundle('old');
  const other = writeBundle(join(directory, 'b.zip'), { ...numberedFiles(0, 'new'), f: 'new' });
  const ways: (() => void)[] = [
    () => writeFileSync(archive, readFileSync(other)),
    () => {
      rmSync(archive);
      writeFileSync(archive, readFileSync(other));
    },
  ];
  for (const change of ways) {
    const [isRead, changed] = [gate(), gate()];
    writeBundle(archive, { ...numberedFiles(0, 'old'), f: 'old' });
    const extract = wrapExtractor(
      async (path: string, to: string) => {
        const content = readFileSync(path).includes('new') ? 'new' : 'old';
        isRead.open();
        await changed.opened;
        for (const name of ['VERSION', 'f']) writeFileSync(join(to, name), content);
        mkdirSync(join(to, 'bin'));
        writeFileSync(join(to, 'bin/run'), content);
      },
      { existing: 'replace' },
    );
    const first = extract(archive, destination);
    await isRead.opened;
    change();
    const second = extract(archive, destination);
    changed.open();
    await Promise.all([first, second]);
    assert.is(contentAt(destination), 'new');
  }
});

wrapped('one extraction, where a key says that archives are the same', async () => {
  const directory = tempDirectory();
  const destination = join(directory, 'out');
  const read: string[] = [];
  const keys: unknown[][] = [];
  const extract = wrapExtractor(
    async (archive: string, to: string, _digest: string, _call: number) => {
      read.push(basename(archive));
      await nextTurn();
      writeFileSync(join(to, 'f'), 'one');
    },
    {
      existing: 'replace',
      key: (archive, digest, call) => {
        keys.push([basename(archive), digest, call]);
        return digest;
      },
    },
  );
  const archives = [0, 1, 2].map((index) => writeBundle(join(directory, `${index}.zip`), { f: 'one' }));
  const reports = await Promise.all(
    archives.map((archive, index) => extract(archive, destination, 'digest', index)),
  );
  assert.equal(read, ['0.zip']);
  assert.equal(keys[2], ['2.zip', 'digest', 2]);
  assert.is(reports[2], reports[0]);
  await Promise.all(archives.map((archive, index) => extract(archive, destination, `${index % 2}`, 0)));
  assert.equal(read.slice(1), ['0.zip', '1.zip']);
});

wrapped('one extraction, whichever wrapper has the key, unless only one verifies', async () => {
  const { archive, directory, destination } = bundle();
  const read: string[] = [];
  const manifest = () => ['f'];
  const wrapperOf = (name: string, promised: false | typeof manifest) =>
    wrapExtractor(
      async (_: string, to: string) => {
        read.push(name);
        await nextTurn();
        writeFileSync(join(to, 'f'), 'one');
      },
      { existing: 'replace', key: 'digest', manifest: promised },
    );
  const other = join(directory, 'other');
  const [first, same, unverified] = await Promise.all([
    wrapperOf('first', manifest)(archive, destination),
    wrapperOf('same', manifest)(other, destination),
    wrapperOf('unverified', false)(archive, destination),
  ]);
  assert.equal(read, ['first', 'unverified']);
  assert.is(same, first);
  assert.is.not(unverified, first);
});

wrapped('the manifest of an archive that is no zip is read, too', async () => {
  const directory = makeTree({ 'files/bin/run': 0o755, 'files/f': 'x' });
  const archive = join(directory, 'a.tar');
  execFileSync('tar', ['-cf', archive, '-C', join(directory, 'files'), 'bin', 'f']);
  const forgetful = wrapExtractor(
    (_: string, to: string) => {
      mkdirSync(join(to, 'bin'));
      writeFileSync(join(to, 'bin/run'), '');
    },
    { retry: false, strict: false },
  );
  const report = await forgetful(archive, join(directory, 'out'));
  assert.equal(reasonsOf(report), ['f: missing']);
  assert.is(modeOf(directory, 'out/bin/run') & 0o111, 0o111);
});

wrapped('parameters of a function that makes a key are those of the extractor', async () => {
  const { archive, destination } = bundle();
  const fill = (directory: string) => writeFileSync(join(directory, 'f'), '');
  // Nothing is said of their types here: that it compiles is the test.
  const plain = wrapExtractor((_, directory) => fill(directory), { manifest: false, key: (path) => path });
  await plain(archive, destination);
  const further = wrapExtractor((_, directory, level: number) => fill(`${directory}${'/.'.repeat(level)}`), {
    manifest: false,
    existing: 'replace',
    key: (path, level) => `${path.trim()} ${level.toFixed(1)}`,
  });
  assert.is((await further(archive, destination, 1)).outcome, 'replaced');
});

wrapped('a key that is none is refused', async () => {
  const { archive, destination } = bundle();
  const refused = async (key: unknown) => {
    const extract = wrapExtractor(() => assert.unreachable(), { key: key as never });
    return rejection(extract(archive, destination));
  };
  const promised = await refused(async () => Promise.reject(new Error('late')));
  assert.instance(promised, TypeError);
  assert.match(promised.message, /^key: expected a string, got a promise; a key is needed at once/);
  assert.instance(await refused(() => 7), TypeError);
  for (const none of [undefined, null])
    assert.match((await refused(() => none)).message, /^key: expected a string, got (undefined|null)/);
  assert.instance(await refused(() => ''), RangeError);
  const failure = new Error('no');
  assert.is(
    await refused(() => {
      throw failure;
    }),
    failure,
  );
  for (const key of [7, null, Promise.resolve('x')])
    assert.throws(
      () => wrapExtractor(() => {}, { key: key as never }),
      /^key: expected a string, or a function/,
    );
  assert.not.ok(existsSync(destination));
});

wrapped(
  'the signal of a wrapper stops the reading of a manifest, and ends the wrapper for good',
  async () => {
    if (!canRunOn(['node', 'bun'], 'it reads a small archive within one turn')) return;
    const { archive, destination } = bundle();
    const controller = new AbortController();
    const reason = new Error('enough');
    const extract = wrapExtractor(() => assert.unreachable(), { signal: controller.signal });
    const reading = extract(archive, destination);
    await nextTurn();
    controller.abort(reason);
    assert.is(await rejection(reading), reason);
    assert.is(await rejection(extract(archive, destination)), reason);
  },
);

wrapped.run();
