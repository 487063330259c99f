import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { chmod, lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { unzipSync } from 'fflate';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ManifestError, readManifest, UnresolvedEntriesError, wrapExtractor } from '../lib/index.ts';
import { around, type Call, systemFailure } from './helpers/around.ts';
import { numberedFiles, writeBundle } from './helpers/bundle.ts';
import { isRoot, NOBODY } from './helpers/child.ts';
import { impatient, reasonsOf } from './helpers/passes.ts';
import { giveAway, withoutRights } from './helpers/rights.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

/** An extractor that loses exec bits, as many do. */
async function unpack(archive: string, directory: string): Promise<void> {
  for (const [name, content] of Object.entries(unzipSync(readFileSync(archive)))) {
    const full = join(directory, name);
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, content, { mode: 0o644 });
  }
}

/** A directory with a bundle; the destination is `out` in it. */
function workspace(version = 'one'): { directory: string; archive: string; destination: string } {
  const directory = tempDirectory();
  const archive = writeBundle(join(directory, `${version}.zip`), numberedFiles(10, version));
  return { directory, archive, destination: join(directory, 'out') };
}

/** What is in a directory besides the archives: a staging directory would be seen here. */
function namesIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => !name.endsWith('.zip'));
}

async function rejection(promise: Promise<unknown>): Promise<NodeJS.ErrnoException & { dest?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

const version = (destination: string) => readFileSync(join(destination, 'VERSION'), 'utf8');
const test = suite('wrapExtractor');

test('extracts, sets modes, and then only publishes', async () => {
  const { directory, archive, destination } = workspace();
  let staged = '';
  const extract = wrapExtractor(async (path: string, to: string) => {
    staged = to;
    await unpack(path, to);
    assert.not.ok(existsSync(destination));
    assert.is(modeOf(dirname(to)), 0o700, 'nobody else looks into what is not finished');
  });
  const report = await extract(archive, destination);
  assert.is(report.outcome, 'created');
  assert.is(report.destination, destination);
  assert.is(report.root, destination);
  assert.is(modeOf(destination, 'bin/run') & 0o100, 0o100);
  assert.is(modeOf(destination, 'VERSION') & 0o111, 0);
  assert.is(modeOf(destination), 0o777 & ~process.umask());
  assert.is(dirname(dirname(staged)), directory, 'the staging directory is a sibling');
  assert.equal(namesIn(directory), ['out']);
});

test('hands on the rest of the arguments', async () => {
  const { archive, destination } = workspace();
  const seen: unknown[] = [];
  const extract = wrapExtractor(async (path: string, to: string, flag: number, rest: { deep: boolean }) => {
    seen.push(flag, rest);
    await unpack(path, to);
  });
  await extract(archive, destination, 7, { deep: true });
  assert.equal(seen, [7, { deep: true }]);
});

test('makes the parents, and follows a destination that is a link', async () => {
  const { directory, archive } = workspace();
  const deep = join(directory, 'a/b/c');
  await wrapExtractor(unpack)(archive, deep);
  assert.is(version(deep), 'one');
  symlinkSync('a/b/c', join(directory, 'link'));
  const other = writeBundle(join(directory, 'two.zip'), numberedFiles(3, 'two'));
  const report = await wrapExtractor(unpack, { existing: 'replace' })(other, join(directory, 'link'));
  assert.is(report.destination, deep);
  assert.is(version(deep), 'two');
});

test('leaves no parents that it has made where nothing is published', async () => {
  const { directory, archive } = workspace();
  const before = readdirSync(directory);
  const deep = join(directory, 'a/b/c');
  const fails = () => {
    throw new Error('full');
  };
  const extract = (to: string) => wrapExtractor(fails)(archive, to);
  assert.is((await rejection(extract(deep))).message, 'full');
  assert.instance(await rejection(wrapExtractor(unpack)(join(directory, 'none.zip'), deep)), ManifestError);
  const inPlace = wrapExtractor(() => undefined, {
    publish: 'in-place',
    manifest: () => Promise.reject(new Error('no manifest')),
  });
  assert.is((await rejection(inPlace(archive, deep))).message, 'no manifest');
  assert.equal(readdirSync(directory), before);
  // What was there, and what others have put there meanwhile, stays.
  mkdirSync(join(directory, 'mine'));
  const joins = wrapExtractor(() => {
    mkdirSync(join(directory, 'mine/a/theirs'));
    throw new Error('full');
  });
  await rejection(extract(join(directory, 'mine/c')));
  await rejection(joins(archive, join(directory, 'mine/a/b/c')));
  assert.equal(readdirSync(join(directory, 'mine'), { recursive: true }).sort(), ['a', 'a/theirs']);
});

test('a parent that another call has made, and removes, is made anew', async () => {
  const { directory, archive } = workspace();
  for (const publish of ['atomic', 'in-place'] as const) {
    const parent = join(directory, publish, 'cache');
    const promises = await readManifest(archive);
    const manifest = () => {
      rmSync(join(directory, publish), { recursive: true });
      return promises;
    };
    const { outcome } = await wrapExtractor(unpack, { publish, manifest })(archive, join(parent, 'app'));
    assert.is(outcome, publish === 'atomic' ? 'created' : 'in-place');
    assert.is(version(join(parent, 'app')), 'one');
  }
});

test('a link that takes the place of a parent is not followed', async () => {
  const { directory, archive } = workspace();
  mkdirSync(join(directory, 'elsewhere'));
  for (const publish of ['atomic', 'in-place'] as const) {
    const parent = join(directory, publish);
    const manifest = () => {
      rmdirSync(parent);
      symlinkSync('elsewhere', parent);
      return ['f'];
    };
    const error = await rejection(wrapExtractor(unpack, { publish, manifest })(archive, join(parent, 'app')));
    assert.is(error.code, 'ERR_PERMWALK_SWAPPED');
    assert.equal(readdirSync(join(directory, 'elsewhere')), []);
  }
});

test('waits for writes that an extractor has not done when it returns', async () => {
  const { archive, destination } = workspace();
  const extract = wrapExtractor((path: string, to: string) => {
    setTimeout(() => unpack(path, to), 30);
  });
  const report = await extract(archive, destination);
  assert.ok(report.settle.recovered > 10);
  assert.is(modeOf(destination, 'bin/run') & 0o100, 0o100);
});

test('publishes nothing that is not as promised', async () => {
  const { directory, archive, destination } = workspace();
  const forgetful = async (path: string, to: string) => {
    await unpack(path, to);
    rmSync(join(to, 'lib/d3/f3'));
  };
  const error = await rejection(wrapExtractor(forgetful, { retry: impatient })(archive, destination));
  assert.instance(error, UnresolvedEntriesError);
  const { report } = error as UnresolvedEntriesError;
  assert.equal(reasonsOf(report), ['lib/d3/f3: missing']);
  assert.is(report.root, destination);
  assert.equal(namesIn(directory), []);
  const lenient = await wrapExtractor(forgetful, { retry: impatient, strict: false })(archive, destination);
  assert.not.ok(lenient.ok);
  assert.is(version(destination), 'one');
});

test('leaves everything as it was when the extractor fails, in whatever way', async () => {
  const failure = new Error('no');
  const failures = [
    () => {
      throw failure;
    },
    async (path: string, to: string) => {
      await unpack(path, to);
      throw failure;
    },
  ];
  for (const existing of ['error', 'replace'] as const) {
    for (const fail of failures) {
      const { directory, archive, destination } = workspace();
      if (existing === 'replace') mkdirSync(join(destination, 'old'), { recursive: true });
      assert.is(await rejection(wrapExtractor(fail, { existing })(archive, destination)), failure);
      assert.equal(namesIn(directory), existing === 'replace' ? ['out'] : []);
    }
  }
});

test("existing 'error' rejects before anything is extracted", async () => {
  const { directory, archive, destination } = workspace();
  mkdirSync(destination);
  let calls = 0;
  const extract = wrapExtractor(() => {
    calls += 1;
  });
  const error = await rejection(extract(archive, destination));
  assert.is(error.code, 'EEXIST');
  assert.is(calls, 0);
  assert.equal(namesIn(directory), ['out']);
});

test("existing 'keep' uses what is there, if it is as promised", async () => {
  const { archive, destination } = workspace();
  let calls = 0;
  const extract = wrapExtractor(
    async (path: string, to: string) => {
      calls += 1;
      await unpack(path, to);
    },
    { existing: 'keep', retry: impatient },
  );
  assert.is((await extract(archive, destination)).outcome, 'created');
  chmodSync(join(destination, 'bin/run'), 0o644);
  const kept = await extract(archive, destination);
  assert.is(kept.outcome, 'kept');
  assert.is(kept.counts.changed, 1, 'a mode that was lost is mended');
  assert.is(calls, 1);
  rmSync(join(destination, 'VERSION'));
  const error = await rejection(extract(archive, destination));
  assert.equal(reasonsOf((error as UnresolvedEntriesError).report), ['VERSION: missing']);
});

test("existing 'replace' takes the old tree away whole, read-only directories and all", async () => {
  const { directory, archive, destination } = workspace();
  mkdirSync(join(destination, 'old/deep'), { recursive: true });
  writeFileSync(join(destination, 'old/deep/f'), '');
  for (const path of ['old/deep', 'old', '.']) chmodSync(join(destination, path), 0o555);
  const extract = wrapExtractor(
    async (path: string, to: string) => {
      await unpack(path, to);
      await chmod(join(to, 'lib/d1'), 0o555);
      await chmod(to, 0o555);
    },
    { existing: 'replace' },
  );
  const report = await extract(archive, destination);
  assert.is(report.outcome, 'replaced');
  assert.is(version(destination), 'one');
  assert.not.ok(existsSync(join(destination, 'old')));
  assert.is(modeOf(destination), 0o555);
  assert.is(modeOf(destination, 'lib/d1'), 0o555);
  assert.equal(namesIn(directory), ['out']);
});

test("publish 'in-place' lets the extractor write to the destination", async () => {
  const { directory, archive, destination } = workspace();
  const places: string[] = [];
  const extract = wrapExtractor(
    async (path: string, to: string) => {
      places.push(to);
      await unpack(path, to);
    },
    { publish: 'in-place', existing: 'replace' },
  );
  const report = await extract(archive, destination);
  assert.is(report.outcome, 'in-place');
  assert.equal(places, [destination]);
  assert.is(modeOf(destination, 'bin/run') & 0o100, 0o100);
  assert.equal(namesIn(directory), ['out']);
});

test('the manifest may be given, made, or left out', async () => {
  const { archive, destination } = workspace();
  const seen: unknown[] = [];
  const made = wrapExtractor(unpack, {
    manifest: async (given) => {
      seen.push(given);
      return [{ path: 'VERSION', mode: 0o755 }];
    },
  });
  await made(archive, destination);
  assert.equal(seen, [archive]);
  assert.is(modeOf(destination, 'VERSION') & 0o100, 0o100);
  assert.is(modeOf(destination, 'bin/run') & 0o100, 0);
  const none = workspace();
  await wrapExtractor(unpack, { manifest: false, executable: 'bin/*' })(none.archive, none.destination);
  assert.is(modeOf(none.destination, 'bin/run') & 0o100, 0o100);
  const bytes = workspace();
  const fromBytes = wrapExtractor((_: Uint8Array, to: string) => unpack(bytes.archive, to));
  await fromBytes(readFileSync(bytes.archive), bytes.destination);
  assert.is(modeOf(bytes.destination, 'bin/run') & 0o100, 0o100);
});

test('a broken archive is refused before anything is extracted', async () => {
  const { directory, destination } = workspace();
  const archive = join(directory, 'broken.zip');
  writeFileSync(archive, readFileSync(join(directory, 'one.zip')).subarray(0, 300));
  let calls = 0;
  const extract = wrapExtractor((_path: string) => {
    calls += 1;
  });
  assert.is((await rejection(extract(archive, destination))).name, 'ManifestError');
  assert.is(calls, 0);
  assert.equal(namesIn(directory), []);
});

test('calls for one destination and archive share one extraction', async () => {
  const { archive, destination } = workspace();
  let calls = 0;
  const extract = wrapExtractor(async (path: string, to: string) => {
    calls += 1;
    await unpack(path, to);
  });
  const reports = await Promise.all([1, 2, 3, 4].map(() => extract(archive, destination)));
  assert.is(calls, 1);
  for (const report of reports) assert.is(report, reports[0]);
  assert.is(
    (await rejection(extract(archive, destination))).code,
    'EEXIST',
    'it is over, and shared no more',
  );
});

test('calls for one destination and other archives take turns', async () => {
  const { directory, archive, destination } = workspace();
  const other = writeBundle(join(directory, 'two.zip'), numberedFiles(10, 'two'));
  let running = 0;
  const extract = wrapExtractor(
    async (path: string, to: string) => {
      running += 1;
      assert.is(running, 1);
      await unpack(path, to);
      running -= 1;
    },
    { existing: 'replace' },
  );
  const reports = await Promise.all(
    [archive, other, archive, other].map((path) => extract(path, destination)),
  );
  assert.equal(
    reports.map(({ outcome }) => outcome),
    ['created', 'replaced', 'created', 'replaced'],
  );
  assert.is(version(destination), 'two');
  assert.equal(namesIn(directory), ['out']);
});

test('a turn comes even after one that failed', async () => {
  const { directory, archive, destination } = workspace();
  const bad = join(directory, 'bad.zip');
  const extract = wrapExtractor(unpack);
  const [first, second] = await Promise.allSettled([
    extract(bad, destination),
    extract(archive, destination),
  ]);
  assert.is(first.status, 'rejected');
  assert.is(second.status, 'fulfilled');
});

test('an abort publishes nothing, and the staging directory goes', async () => {
  const { directory, archive, destination } = workspace();
  const controller = new AbortController();
  const reason = new Error('enough');
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let ended = Promise.resolve();
  const extract = wrapExtractor(
    (path: string, to: string) => {
      ended = unpack(path, to).then(() => {
        controller.abort(reason);
        return held.then(() => unpack(path, to)).catch(() => undefined);
      });
      return ended;
    },
    { signal: controller.signal },
  );
  assert.is(await rejection(extract(archive, destination)), reason);
  // What it wrote is gone; its directory is held until it has ended.
  assert.equal(namesIn(directory).length, 1);
  assert.not.ok(existsSync(join(directory, namesIn(directory)[0] ?? '', 'tree')));
  release();
  await ended;
  // What a late writer made again goes when it has ended; the suite's own patience is the bound.
  while (namesIn(directory).length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.is(await rejection(extract(archive, destination)), reason, 'an aborted signal stays aborted');
});

test('a link in place of the directory is refused: nothing outside is changed, nothing is published', async () => {
  const { directory, archive, destination } = workspace();
  const outside = makeTree({ secret: 0o600 });
  const options = { manifest: false, mode: 0o777 } as const;
  const replacing = (_: string, to: string) => {
    rmSync(to, { recursive: true });
    symlinkSync(outside, to);
  };
  const error = await rejection(wrapExtractor(replacing, options)(archive, destination));
  assert.is(error.code, 'ERR_PERMWALK_SYMLINK_IN_PATH');
  assert.is(modeOf(outside, 'secret'), 0o600);
  assert.equal(namesIn(directory), []);
});

test('rejects with the very reason of a standard signal, and with the very error of an extractor', async () => {
  const { directory } = workspace();
  const controller = new AbortController();
  for (const signal of [AbortSignal.timeout(5), controller.signal]) {
    const destination = join(directory, `aborted-${signal === controller.signal}`);
    const started = wrapExtractor(() => delay(50), { manifest: false, signal })('x', destination);
    controller.abort();
    const error = await rejection(started);
    assert.ok(signal.aborted);
    assert.is(error, signal.reason);
    // The extractor goes on for a while; the suite's own patience is the bound.
    while (namesIn(directory).length > 0) await delay(1);
  }
  const mine = (path: string) => Object.assign(new Error(`ENOENT: open ${path}`), { code: 'ENOENT', path });
  for (const make of [(path: string) => Object.freeze(mine(path)), mine]) {
    let thrown: NodeJS.ErrnoException | undefined;
    let before = '';
    const failing = wrapExtractor(
      (_: string, staging: string) => {
        thrown = make(staging);
        before = JSON.stringify([thrown.message, thrown.path]);
        throw thrown;
      },
      { manifest: false },
    );
    const error = await rejection(failing('x', join(directory, 'failed')));
    assert.is(error, thrown);
    assert.is(JSON.stringify([error.message, error.path]), before, 'it was not written to');
  }
});

test('an abort while the manifest is read, or while others have their turn, starts nothing', async () => {
  const { directory, archive, destination } = workspace();
  const reason = new Error('stop');
  let starts = 0;
  const start = () => {
    starts += 1;
  };
  const controller = new AbortController();
  const manifest = () => {
    controller.abort(reason);
    return ['f'];
  };
  const reading = wrapExtractor(start, { manifest, signal: controller.signal });
  assert.is(await rejection(reading(archive, destination)), reason);

  const hanging = new AbortController();
  const never = wrapExtractor(start, {
    manifest: () => new Promise<never>(() => {}),
    signal: hanging.signal,
  });
  const hung = rejection(never(archive, destination));
  const queued = new AbortController();
  const waiting = rejection(wrapExtractor(start, { signal: queued.signal })(archive, destination));
  await new Promise((resolve) => setTimeout(resolve, 5));
  queued.abort(reason);
  assert.is(await waiting, reason, 'it does not wait for its turn any more');
  hanging.abort(reason);
  assert.is(await hung, reason);
  assert.is(starts, 0);
  assert.equal(namesIn(directory), []);
});

test('an archive that lies in the destination is not replaced with it', async () => {
  const { archive, directory } = workspace();
  const error = await rejection(wrapExtractor(unpack, { existing: 'replace' })(archive, directory));
  assert.instance(error, RangeError);
  assert.ok(existsSync(archive));
});

test('wrong options and destinations are named', async () => {
  const wrong: [string, Record<string, unknown>][] = [
    ['publish', { publish: 'later' }],
    ['existing', { existing: true }],
    ['durable', { durable: 'yes' }],
    ['dryRun', { dryRun: true }],
    ['dryrun', { dryrun: true }],
    ['manifest', { manifest: 'bundle.zip' }],
    ['mode', { mode: 'u+s' }],
  ];
  for (const [name, options] of wrong) {
    assert.throws(
      () => wrapExtractor(unpack, options as never),
      (error: Error) =>
        (error instanceof TypeError || error instanceof RangeError) && error.message.includes(name),
    );
  }
  assert.throws(() => wrapExtractor('unzip' as never), TypeError);
  const { archive, directory } = workspace();
  const extract = wrapExtractor(unpack);
  for (const destination of ['', 'a\0b', '/']) {
    assert.instance(await rejection(extract(archive, destination)), RangeError);
  }
  assert.instance(await rejection(extract(archive, 7 as never)), TypeError);
  writeFileSync(join(directory, 'file'), '');
  assert.is((await rejection(extract(archive, join(directory, 'file')))).code, 'ENOTDIR');
});

test('long names and odd names of destinations work', async () => {
  const { archive, directory } = workspace();
  for (const name of ['x'.repeat(255), 'ü'.repeat(127), ' ', '-rf', 'line\nbreak']) {
    await wrapExtractor(unpack)(archive, join(directory, name));
    assert.is(version(join(directory, name)), 'one');
  }
  assert.is(namesIn(directory).length, 5);
});

test('an extractor may make the directory anew', async () => {
  const { archive, destination, directory } = workspace();
  const extract = wrapExtractor(async (path: string, to: string) => {
    await rm(to, { recursive: true });
    execFileSync('mkdir', [to]);
    await unpack(path, to);
  });
  await extract(archive, destination);
  assert.is(version(destination), 'one');
  assert.equal(namesIn(directory), ['out']);
});

test('calls share one extraction only where all of it is the same', async () => {
  const { archive, destination } = workspace();
  let calls = 0;
  const count = async (path: string, to: string) => {
    calls += 1;
    await unpack(path, to);
  };
  const extract = wrapExtractor(count, { existing: 'replace' });
  const alike = await Promise.all(
    [archive, relative('', archive), join(dirname(archive), '.', basename(archive))].map((path) =>
      extract(path, destination),
    ),
  );
  assert.is(calls, 1, 'a path is the same however it is written');
  assert.is(alike[2], alike[0]);
  const other = wrapExtractor(count, { existing: 'replace' });
  await Promise.all([extract(archive, destination), other(archive, destination)]);
  assert.is(calls, 3, 'another extractor is another extraction');
  const bytes = readFileSync(archive);
  const fromBytes = wrapExtractor((_: Uint8Array, to: string) => count(archive, to), { existing: 'replace' });
  await Promise.all([bytes, bytes, Buffer.from(bytes)].map((given) => fromBytes(given, destination)));
  assert.is(calls, 5, 'bytes are the same where they are the same object');
});

test('who comes while the last of some has its turn waits for that, too', async () => {
  const { archive, destination } = workspace();
  const turns: string[] = [];
  let third: Promise<unknown> = Promise.resolve();
  const extract = wrapExtractor(
    async (name: string, to: string) => {
      // The first has left by now.
      if (name === 'two') third = extract('three', destination);
      await setImmediate();
      await unpack(archive, to);
      turns.push(`${name} is over`);
    },
    {
      existing: 'replace',
      manifest: (name) => {
        turns.push(name);
        return ['VERSION'];
      },
    },
  );
  await Promise.all([extract('one', destination), extract('two', destination)]);
  await third;
  assert.equal(turns, ['one', 'one is over', 'two', 'two is over', 'three', 'three is over']);
});

test('an abort at the last moment publishes nothing, and an abort before the first extracts nothing', async () => {
  const reason = new Error('enough');
  for (const durable of [false, true]) {
    const { directory, archive, destination } = workspace();
    const controller = new AbortController();
    const extract = wrapExtractor(unpack, {
      signal: controller.signal,
      durable,
      onChange: () => controller.abort(reason),
    });
    assert.is(await rejection(extract(archive, destination)), reason);
    assert.equal(namesIn(directory), []);
  }
  const { directory, archive, destination } = workspace();
  let starts = 0;
  const start = () => {
    starts += 1;
  };
  for (const publish of ['atomic', 'in-place'] as const) {
    const extract = wrapExtractor(start, { signal: AbortSignal.abort(reason), publish });
    assert.is(await rejection(extract(archive, destination)), reason);
  }
  assert.is(starts, 0);
  assert.equal(namesIn(directory), []);
});

test('what fails between filling and publishing names the destination, not a descriptor', async () => {
  const { directory, archive, destination } = workspace();
  // A directory that its owner may not write to is noted before it is moved.
  const readOnly = { directoryMode: 0o555 };
  const onNote =
    (original: Call): Call =>
    (...parameters) => {
      if (/lock-\d+-\d+$/.test(`${parameters[0]}`)) throw systemFailure('ENOSPC', 'mkdir');
      return original(...parameters);
    };
  const noted = await around('mkdirSync', onNote, () =>
    rejection(wrapExtractor(unpack, readOnly)(archive, destination)),
  );
  let isFilled = false;
  const fill = async (path: string, to: string) => {
    await unpack(path, to);
    isFilled = true;
  };
  const onSync =
    (original: Call): Call =>
    (...parameters) => {
      if (isFilled) throw systemFailure('EMFILE', 'open');
      return original(...parameters);
    };
  const synced = await around('fsyncSync', onSync, () =>
    rejection(wrapExtractor(fill, { durable: true })(archive, destination)),
  );
  for (const [error, code] of [
    [noted, 'ENOSPC'],
    [synced, 'EMFILE'],
  ] as const) {
    assert.is(error.code, code);
    assert.is(error.path, destination);
    assert.is(error.message, `${code}: broken, extract to ${JSON.stringify(destination)}`);
  }
  assert.equal(namesIn(directory), []);
});

test('an abort ends an extraction in place, too', async () => {
  const { archive, destination } = workspace();
  const controller = new AbortController();
  const reason = new Error('enough');
  const extract = wrapExtractor(
    () => {
      controller.abort(reason);
      return new Promise(() => {});
    },
    { signal: controller.signal, publish: 'in-place' },
  );
  assert.is(await rejection(extract(archive, destination)), reason);
});

test("publish 'in-place' makes the destination, and heeds what is there already", async () => {
  const { archive, destination } = workspace();
  const deep = join(destination, 'a/b');
  const forgetful = wrapExtractor(() => undefined, { publish: 'in-place', manifest: false, strict: false });
  const report = await forgetful(archive, deep);
  assert.is(report.outcome, 'in-place');
  assert.is(report.destination, deep);
  assert.equal(readdirSync(deep), []);
  assert.is((await rejection(forgetful(archive, deep))).code, 'EEXIST');
  const over = wrapExtractor(unpack, { publish: 'in-place', existing: 'replace' });
  assert.is((await over(archive, deep)).outcome, 'in-place');
  assert.is(version(deep), 'one');
  const kept = wrapExtractor(() => assert.unreachable(), {
    publish: 'in-place',
    existing: 'keep',
    manifest: false,
  });
  assert.is((await kept(archive, deep)).outcome, 'kept');
});

test('what another process puts at the destination meanwhile is kept, or an error', async () => {
  for (const existing of ['error', 'keep'] as const) {
    const { directory, archive, destination } = workspace();
    const overtaken = wrapExtractor(
      async (path: string, to: string) => {
        await unpack(path, to);
        await unpack(path, destination);
      },
      { existing },
    );
    const { ino } = statSync(directory);
    if (existing === 'keep') assert.is((await overtaken(archive, destination)).outcome, 'kept');
    else {
      const error = await rejection(overtaken(archive, destination));
      assert.is(error.code, 'EEXIST');
      assert.is(error.path, destination);
      assert.is(error.syscall, 'extract');
      assert.match(error.message, JSON.stringify(destination));
    }
    assert.is(version(destination), 'one');
    assert.is(statSync(directory).ino, ino);
    assert.equal(namesIn(directory), ['out']);
  }
});

test('only what is replaced takes the archive in it away', async () => {
  const { archive, directory } = workspace();
  const kept = wrapExtractor(() => assert.unreachable(), { existing: 'keep', strict: false, retry: false });
  assert.is((await kept(archive, directory)).outcome, 'kept');
  assert.is((await rejection(wrapExtractor(unpack)(archive, directory))).code, 'EEXIST');
  const beside = `${archive.slice(0, -1)}`;
  assert.is((await wrapExtractor(unpack, { existing: 'replace' })(archive, beside)).outcome, 'created');
  const anything = wrapExtractor((_: object, to: string) => unpack(archive, to), {
    existing: 'replace',
    manifest: false,
  });
  assert.is((await anything({}, beside)).outcome, 'replaced');
});

test('an archive that is neither path nor bytes is refused, unless a manifest is given or refused', async () => {
  const { archive, directory } = workspace();
  const destination = join(directory, 'new/none');
  for (const other of [pathToFileURL(archive), { kind: 'other' }, null, undefined, 7, new ArrayBuffer(8)]) {
    const error = await rejection(wrapExtractor<unknown, []>(() => assert.unreachable())(other, destination));
    assert.instance(error, TypeError);
    assert.match(
      error.message,
      /^archive: expected a path or bytes \(Uint8Array\), got .*set the option manifest/,
    );
    assert.is(existsSync(join(directory, 'new')), false, 'nothing was touched');
  }
  const url = await rejection(wrapExtractor<URL, []>(() => undefined)(pathToFileURL(archive), destination));
  assert.match(url.message, /got a URL.*fileURLToPath/);
  const bytes = wrapExtractor((_: Uint8Array, to: string) => unpack(archive, to));
  assert.is(modeOf((await bytes(readFileSync(archive), join(directory, 'bytes'))).root, 'bin/run'), 0o755);
  const made = wrapExtractor((_: URL, to: string) => unpack(archive, to), {
    manifest: () => readManifest(archive),
  });
  assert.is((await made(pathToFileURL(archive), join(directory, 'made'))).outcome, 'created');
});

test('no manifest is made where it is false, and one that is given is the one that counts', async () => {
  const { archive, directory } = workspace();
  const none = wrapExtractor((_: object, to: string) => unpack(archive, to), { manifest: false });
  const report = await none({ kind: 'other' }, join(directory, 'none'));
  assert.ok(report.ok);
  assert.is(modeOf(join(directory, 'none'), 'bin/run') & 0o100, 0);
  const given = wrapExtractor(unpack, {
    manifest: [{ path: 'VERSION', mode: 0o755 }, 'never'],
    retry: impatient,
  });
  const error = await rejection(given(archive, join(directory, 'given')));
  assert.equal(reasonsOf((error as UnresolvedEntriesError).report), ['never: missing']);
});

test('a destination that leads nowhere it can be made is the error of the system', async () => {
  const { archive, directory } = workspace();
  writeFileSync(join(directory, 'file'), '');
  symlinkSync('loop', join(directory, 'loop'));
  const extract = wrapExtractor(unpack);
  assert.is((await rejection(extract(archive, join(directory, 'file/out')))).code, 'ENOTDIR');
  assert.is((await rejection(extract(archive, join(directory, 'loop')))).code, 'ELOOP');
  const file = await rejection(extract(archive, join(directory, 'file')));
  assert.is(
    file.message,
    `ENOTDIR: the destination is not a directory, extract to ${JSON.stringify(join(directory, 'file'))}: remove it, or use another path`,
  );
  assert.is(file.path, join(directory, 'file'));
  assert.is(file.syscall, 'extract');
});

test('errors name paths that the caller knows', async () => {
  const { archive, destination } = workspace();
  const failing =
    (original: Call): Call =>
    (from, to) => {
      if (`${from}`.endsWith('/tree')) throw systemFailure('EXDEV', 'rename');
      return original(from, to);
    };
  const extract = wrapExtractor(unpack);
  const error = await around('renameSync', failing, () => rejection(extract(archive, destination)));
  assert.is(error.code, 'EXDEV');
  assert.is(error.path, destination);
  assert.is(error.syscall, 'rename');
  assert.ok(error.message.startsWith(`EXDEV: broken, extract to ${JSON.stringify(destination)}: `));
});

test('a staging directory that cannot be removed is warned of, and hides nothing', async () => {
  if (!isRoot) return console.log('  skipped: what one may not remove has to belong to somebody else');
  const { archive, directory, destination } = workspace();
  giveAway(directory);
  const warnings: (Error & { code?: string })[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const foreign = async (path: string, to: string) => {
    await unpack(path, to);
    process.seteuid?.(0);
    mkdirSync(join(dirname(to), 'foreign'));
    writeFileSync(join(dirname(to), 'foreign/f'), '');
    process.seteuid?.(NOBODY);
  };
  // Nothing is loaded by who may not reach the checkout.
  const extract = wrapExtractor(foreign, { manifest: false });
  const report = await withoutRights(() => extract(archive, destination));
  await setImmediate();
  process.off('warning', onWarning);
  assert.is(report.outcome, 'created');
  assert.is(version(destination), 'one');
  const left = join(directory, namesIn(directory).find((name) => name !== 'out') ?? '');
  const [warning] = warnings;
  assert.equal([warnings.length, warning?.code], [1, 'ERR_PERMWALK_LEFTOVER']);
  const why = `permwalk could not remove ${JSON.stringify(left)}: Error: EACCES: permission denied, `;
  // Runtimes name the call, and what it was made for, in their own ways; none names a descriptor.
  assert.ok(warning?.message.startsWith(why), warning?.message);
  assert.not.match(warning?.message ?? '', '/proc/');
});

test('a wrapped extractor opens nothing that it does not close', async () => {
  if (!existsSync('/proc/self/fd')) return;
  const { archive, destination } = workspace();
  const held = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(dirname(destination));
      } catch {
        return false;
      }
    });
  await wrapExtractor(unpack)(archive, destination);
  await wrapExtractor(unpack, { existing: 'replace', durable: true })(archive, destination);
  const failing = wrapExtractor(() => Promise.reject(new Error('no')), { existing: 'replace' });
  await rejection(failing(archive, destination));
  assert.equal(held(), []);
});

test('rejects with the very thing that an extractor throws, were it no error', async () => {
  for (const thrown of ['text', undefined, null, 7]) {
    const { directory, archive, destination } = workspace();
    const outcome = await wrapExtractor(() => Promise.reject(thrown))(archive, destination).then(
      () => assert.unreachable(),
      (error: unknown) => ({ error }),
    );
    assert.equal(outcome, { error: thrown });
    assert.equal(namesIn(directory), []);
  }
});

test('an extractor that ends after an abort, and writes nothing more, leaves nothing to do', async () => {
  const { directory, archive, destination } = workspace();
  const controller = new AbortController();
  let release = () => {};
  const ended = new Promise<void>((resolve) => {
    release = resolve;
  });
  const extract = wrapExtractor(
    () => {
      controller.abort();
      return ended;
    },
    { signal: controller.signal },
  );
  const strays: unknown[] = [];
  const onStray = (error: unknown) => strays.push(error);
  process.on('unhandledRejection', onStray);
  await rejection(extract(archive, destination));
  release();
  // One look at the directory, and whatever comes of it.
  for (let turn = 0; turn < 20; turn += 1) await lstat(directory).then(() => setImmediate());
  process.off('unhandledRejection', onStray);
  assert.equal(strays, []);
  assert.equal(namesIn(directory), []);
});

test('what is wrong with a destination is said', async () => {
  const { archive, directory } = workspace();
  const wrong: [unknown, typeof TypeError | typeof RangeError, string][] = [
    [7, TypeError, 'destination: expected a path, got 7'],
    [
      pathToFileURL(directory),
      TypeError,
      'destination: expected a path, got a URL; pass fileURLToPath(url) of node:url',
    ],
    ['', RangeError, 'destination: expected a path, got "", which is empty'],
    ['a\0b', RangeError, 'destination: expected a path, got "a\\u0000b", which has a NUL in it'],
    ['/', RangeError, 'destination: is the root of the file system: name a directory below it'],
    [
      directory,
      RangeError,
      `existing: 'replace' would remove the archive, which is in ${JSON.stringify(directory)}: move it elsewhere`,
    ],
  ];
  for (const [destination, type, message] of wrong) {
    const extract = wrapExtractor(unpack, { existing: 'replace' });
    const error = await rejection(extract(archive, destination as string));
    assert.instance(error, type);
    assert.is(error.message, message);
  }
});

test('what wrong options are called, and what may be given instead', () => {
  const wrong: [Record<string, unknown>, typeof TypeError | typeof RangeError, string][] = [
    [{ publish: 'later' }, RangeError, "publish: \"later\" is not one of 'atomic', 'in-place'"],
    [{ publish: null }, TypeError, "publish: expected one of 'atomic', 'in-place', got null"],
    [{ existing: 'merge' }, RangeError, "existing: \"merge\" is not one of 'error', 'keep', 'replace'"],
    [{ existing: true }, TypeError, "existing: expected one of 'error', 'keep', 'replace', got true"],
    [{ durable: 'yes' }, TypeError, 'durable: expected true or false, got "yes"'],
    [{ dryRun: false }, TypeError, 'dryRun: not for wrapExtractor, because an extraction changes the disk'],
  ];
  for (const [options, type, message] of wrong) {
    assert.throws(
      () => wrapExtractor(unpack, options as never),
      (error: Error) => error instanceof type && error.message === message,
    );
  }
  const misnamed = { strcit: true } as never;
  assert.throws(
    () => wrapExtractor(unpack, misnamed),
    (error: Error) => {
      const known = error.message.split('known are ')[1]?.split(', ') ?? [];
      const listed = ['publish', 'existing', 'durable', 'manifest', 'strict', 'directoryMode'];
      return listed.every((name) => known.includes(name)) && !known.includes('dryRun');
    },
  );
  for (const options of [null, 7, 'x', []]) {
    assert.throws(
      () => wrapExtractor(unpack, options as never),
      (error: Error) =>
        error instanceof TypeError && error.message.startsWith('options: expected an object, got '),
    );
  }
  for (const manifest of [false as const, undefined, () => ['f'], ['f']]) wrapExtractor(unpack, { manifest });
  assert.throws(
    () => wrapExtractor(7 as never),
    (error: Error) =>
      error.message === 'extract: expected a function that extracts an archive to a directory, got 7',
  );
});

test.run();
