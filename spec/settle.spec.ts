import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openTree } from '../lib/directory/open.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { runPass } from '../lib/pass/apply.ts';
import { settle, waitFor } from '../lib/pass/settle.ts';
import type { PermissionProgress } from '../lib/report.ts';
import { extent } from './helpers/extent.ts';
import { impatient, longPasses, reasonsOf, rejectedReport } from './helpers/passes.ts';
import { addToTree, append, makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

/** Something that happens while the pass waits: after so many rounds, so that no clock decides the test. */
function afterRounds(rounds: number, act: () => void): (progress: PermissionProgress) => void {
  let seen = 0;
  return ({ phase }) => {
    if (phase !== 'settle') return;
    seen += 1;
    if (seen === rounds) act();
  };
}

const patient = { retries: 20, minTimeout: 1, factor: 1, maxTimeout: 5, maxRetryTime: 60_000 };

const rounds = suite('settle: rounds');
const isPending = () => true;
const bounds = { ...patient, randomize: false };

rounds('have maxRetryTime together, were they begun anew for what was taken away meanwhile', async () => {
  const root = makeTree({ b: 0o644 });
  let began: number | undefined;
  const waits: number[] = [];
  const onProgress = ({ phase, waitingFor, waitMs }: PermissionProgress) => {
    if (phase !== 'settle') return;
    if (waitingFor === 'b') waits.push(waitMs ?? 0);
    // Some time passes before the first comes, and with it the second goes.
    began ??= performance.now();
    if (waitingFor !== 'a' || performance.now() - began < 100) return;
    writeFileSync(join(root, 'a'), '');
    rmSync(join(root, 'b'), { force: true });
  };
  const retry = {
    retries: 1000,
    minTimeout: 5,
    maxTimeout: 5,
    factor: 1,
    randomize: false,
    maxRetryTime: 400,
  };
  const options = { manifest: ['a', 'b'], retry, onProgress, strict: false };
  const report = await runPass(root, options, openTree);
  assert.equal(reasonsOf(report), ['b: missing']);
  assert.ok(waits.length > 0 && (waits[0] as number) <= 301, `${waits}`);
});

rounds('reject with the very thing that one throws, and are over', async () => {
  for (const thrown of [new Error('broken'), 'text', undefined]) {
    let looks = 0;
    const round = async () => {
      looks += 1;
      throw thrown;
    };
    const outcome = await settle({ round, isPending }, bounds, undefined).then(
      () => 'nothing',
      (error: unknown) => ({ error }),
    );
    assert.equal(outcome, { error: thrown });
    assert.is(looks, 1);
  }
});

rounds('reject with what the retries themselves are refused for', async () => {
  const settling = { round: async () => false, isPending };
  const refusal = await settle(settling, { ...bounds, retries: -1 }, undefined).catch((error) => error);
  assert.match(String(refusal), /retries/);
});

rounds('reject with the reason of the signal, were it aborted while the last of them goes on', async () => {
  const controller = new AbortController();
  const round = async () => {
    controller.abort('enough');
    return false;
  };
  const once = { ...bounds, retries: 1 };
  const outcome = await settle({ round, isPending }, once, controller.signal).catch((error) => error);
  assert.is(outcome, 'enough');
});

rounds('waiting for one thing ends with it', async () => {
  let looks = 0;
  const look = () => {
    looks += 1;
    return looks === 2 ? 'there' : undefined;
  };
  assert.is(await waitFor(look, bounds, undefined), 'there');
  assert.is(looks, 2);
  let misses = 0;
  const miss = () => {
    misses += 1;
    return undefined;
  };
  assert.is(await waitFor(miss, { ...bounds, retries: 2 }, undefined), undefined);
  assert.is(misses, 2, 'the first look was before');
});

rounds.run();

for (const { backend, title, openTree: open, apply } of longPasses) {
  const test = suite(`settle (${title})`);

  for (const delay of extent({ short: [50, 400], full: [50, 400, 2000] })) {
    test(`a path that appears after ${delay} ms is found with the defaults`, async () => {
      const root = makeTree({ 'a/early': 0o644 });
      const manifest = ['a/early', 'b/c/late'].map((path) => ({ path, mode: 0o755, size: 0 }));
      const timer = sleep(delay).then(() => addToTree(root, { 'b/c/late': 0o644 }));
      const report = await apply(root, { manifest, umask: 0o022 });
      await timer;
      assert.is(modeOf(root, 'b/c/late'), 0o755);
      assert.is(modeOf(root, 'a/early'), 0o755);
      assert.is(report.settle.recovered, 1);
      assert.ok(report.settle.rounds >= 1);
      assert.ok(report.settle.waitedMs > 0);
    });
  }

  test('with everything in place nothing waits', async () => {
    const root = makeTree({ 'a/f': 0o644, 'a/l': '-> f' });
    const manifest = [{ path: 'a/f', size: 0 }, 'a/l', 'a/'];
    const report = await apply(root, { manifest });
    assert.equal(report.settle, { rounds: 0, recovered: 0, waitedMs: 0 });
  });

  test('a file that grows for longer than the retries alone allow is waited for', async () => {
    const root = makeTree({ f: 'x' });
    const size = 30;
    const retry = {
      retries: 3,
      minTimeout: 1,
      factor: 1,
      maxTimeout: 1,
      maxRetryTime: 60_000,
      randomize: false,
    };
    let rounds = 0;
    const report = await apply(root, {
      manifest: [{ path: 'f', type: 'file', size, mode: 0o755 }],
      umask: 0,
      retry,
      onProgress: ({ phase, pending }) => {
        if (phase !== 'settle' || pending === 0) return;
        rounds += 1;
        // Two rounds of three bring nothing: fewer than the retries, but far more of them in all.
        if (rounds % 3 === 0) append(join(root, 'f'), 'x');
      },
    });
    assert.is(modeOf(root, 'f'), 0o755);
    assert.is(report.settle.recovered, 1);
    assert.ok(report.settle.rounds > size, `${report.settle.rounds} rounds`);
  });

  test('a path that never appears ends with the retries, attempts and elapsedMs true', async () => {
    const root = makeTree({ f: 0o644 });
    const retry = { retries: 4, minTimeout: 20, factor: 1, maxTimeout: 20, randomize: false };
    const report = await rejectedReport(apply(root, { manifest: ['f', 'never'], retry }));
    const [error] = report.unresolved;
    assert.equal(reasonsOf(report), ['never: missing']);
    assert.is(error?.attempts, 5, 'the first look and four retries');
    assert.is(report.settle.rounds, 4);
    // Timers may fire up to a millisecond early.
    assert.ok((error?.elapsedMs ?? 0) >= 4 * 19, `${error?.elapsedMs} ms`);
    assert.ok((error?.elapsedMs ?? 0) <= report.durationMs + 1);
    assert.ok(report.settle.waitedMs >= 4 * 19);
  });

  test('maxRetryTime bounds the waiting, whatever the retries', async () => {
    const root = makeTree({ f: 0o644 });
    const retry = { retries: 1_000_000, minTimeout: 5, factor: 1, maxRetryTime: 100 };
    const report = await rejectedReport(apply(root, { manifest: ['never'], retry }));
    assert.equal(reasonsOf(report), ['never: missing']);
    assert.ok(report.settle.waitedMs >= 99);
  });

  test('progress without end is bounded by maxRetryTime too', async () => {
    const root = makeTree({ f: 'x' });
    const retry = { retries: 2, minTimeout: 1, factor: 1, maxRetryTime: 100 };
    const onProgress = () => append(join(root, 'f'), 'x');
    const manifest = [{ path: 'f', size: 1_000_000_000 }];
    const report = await rejectedReport(apply(root, { manifest, retry, onProgress }));
    assert.equal(reasonsOf(report), ['f: size-mismatch']);
  });

  test('retry: false looks once', async () => {
    const root = makeTree({ f: 0o644 });
    const report = await rejectedReport(apply(root, { manifest: ['gone'], retry: false }));
    assert.is(report.unresolved[0]?.attempts, 1);
    assert.equal(report.settle, { rounds: 0, recovered: 0, waitedMs: 0 });
  });

  test('a thousand missing paths cost one timer at a time', async () => {
    const root = makeTree({ f: 0o644 });
    const manifest = Array.from({ length: 1000 }, (_, index) => `d${index % 10}/f${index}`);
    const original = globalThis.setTimeout;
    let timers = 0;
    globalThis.setTimeout = Object.assign((...parameters: Parameters<typeof original>) => {
      timers += 1;
      return original(...parameters);
    }, original) as typeof original;
    try {
      const report = await rejectedReport(apply(root, { manifest, retry: impatient }));
      assert.is(report.unresolved.length, 1000);
      assert.ok(timers <= report.settle.rounds + 1, `${timers} timers in ${report.settle.rounds} rounds`);
      assert.ok(timers > 0);
    } finally {
      globalThis.setTimeout = original;
    }
  });

  test('an abort during the backoff ends at once with the reason of the signal', async () => {
    const root = makeTree({ f: 0o644 });
    for (const reason of [new Error('enough'), 'enough', null]) {
      const controller = new AbortController();
      const retry = { retries: 5, minTimeout: 3_600_000, maxTimeout: 3_600_000, maxRetryTime: 36_000_000 };
      const pass = apply(root, {
        manifest: ['never'],
        retry,
        signal: controller.signal,
        onProgress: ({ phase }) => {
          if (phase === 'settle') setImmediate(() => controller.abort(reason));
        },
      });
      let thrown: unknown = 'nothing';
      await pass.catch((error: unknown) => {
        thrown = error;
      });
      assert.is(thrown, reason);
    }
  });

  test('a signal that is aborted before rejects before anything is touched', async () => {
    const root = makeTree({ f: 0o600 });
    const reason = new Error('before');
    const pass = apply(root, { mode: 'a+r', signal: AbortSignal.abort(reason) });
    assert.is(await pass.catch((error: unknown) => error), reason);
    assert.is(modeOf(root, 'f'), 0o600);
  });

  test('a directory that appears gets its mode too, and so do those that are only on the way', async () => {
    const root = makeTree({ f: 0o644 });
    const appear = () => addToTree(root, { 'way/': 0o700, 'way/dir/': 0o700, 'way/dir/run': 0o600 });
    const options: ApplyOptions = { manifest: ['way/dir/', 'way/dir/run'], mode: 'a+rX', retry: patient };
    const report = await apply(root, { ...options, onProgress: afterRounds(3, appear) });
    assert.is(modeOf(root, 'way'), 0o755);
    assert.is(modeOf(root, 'way/dir'), 0o755);
    assert.is(modeOf(root, 'way/dir/run'), 0o644);
    assert.is(report.settle.recovered, 2);
  });

  test('a directory that is removed and made anew in between is found', async () => {
    const root = makeTree({ 'd/f': 0o644 });
    const renew = () => {
      rmSync(join(root, 'd'), { recursive: true });
      addToTree(root, { 'd/f': 0o644, 'd/late': 0o644 });
    };
    const manifest = ['d/f', 'd/late'].map((path) => ({ path, mode: 0o755 }));
    const report = await apply(root, {
      manifest,
      retry: patient,
      umask: 0,
      onProgress: afterRounds(2, renew),
    });
    assert.is(modeOf(root, 'd/late'), 0o755);
    assert.is(modeOf(root, 'd/f'), 0o755, 'what was dealt with before is dealt with again');
    assert.is(report.counts.visited, 4);
  });

  test('what is taken away again while something else is waited for is missing', async () => {
    const root = makeTree({ 'd/f': 0o644, g: 0o644 });
    const exchange = () => {
      rmSync(join(root, 'd'), { recursive: true });
      addToTree(root, { late: 0o644 });
    };
    const manifest = ['d/f', 'g', 'late'];
    const options: ApplyOptions = { manifest, retry: { ...patient, retries: 4 } };
    const report = await rejectedReport(apply(root, { ...options, onProgress: afterRounds(2, exchange) }));
    assert.equal(reasonsOf(report), ['d/f: missing']);
    assert.is(report.counts.visited, 3);
  });

  test('a directory that appears is walked where discover is on', async () => {
    const root = makeTree({ f: 0o644 });
    const appear = () => addToTree(root, { 'd/listed': 0o644, 'd/extra': 0o644 });
    const options: ApplyOptions = { manifest: ['d/listed'], discover: true, executable: '**', umask: 0 };
    const report = await apply(root, { ...options, retry: patient, onProgress: afterRounds(2, appear) });
    assert.is(modeOf(root, 'd/extra'), 0o755);
    assert.is(report.counts.visited, 5);
    assert.is(report.counts.unlisted, 2);
  });

  test('a root that is not there yet is waited for where there is a manifest', async () => {
    const parent = tempDirectory();
    const root = join(parent, 'cache');
    const made = makeTree({ run: 0o644 });
    const timer = sleep(60).then(() => renameSync(made, root));
    const report = await apply(root, { manifest: [{ path: 'run', mode: 0o755 }], umask: 0 });
    await timer;
    assert.is(modeOf(root, 'run'), 0o755);
    assert.ok(report.settle.rounds > 0);
    const never = await rejectedReport(apply(join(parent, 'never'), { manifest: ['run'], retry: impatient }));
    assert.equal(reasonsOf(never), ['.: missing']);
    assert.is(never.root, join(parent, 'never'));
  });

  test('only an error that another moment may not have is waited for', async () => {
    const root = makeTree({ run: 0o644 });
    const options = { manifest: [{ path: 'run', mode: 0o755 }], umask: 0, retry: patient };
    const passWith = (code: string) => {
      let hasFailed = false;
      return runPass(root, options, (path) => {
        if (hasFailed) return open(path);
        hasFailed = true;
        throw Object.assign(new Error(`${code}: injected`), { code });
      });
    };
    for (const code of ['EMFILE', 'ENFILE', 'EAGAIN', 'ESTALE', 'EBUSY', 'EINTR']) {
      const report = await passWith(code);
      assert.ok(report.ok, code);
      assert.is(report.settle.rounds, 1, code);
    }
    for (const code of ['EACCES', 'EIO', '']) {
      const error = await passWith(code).catch((error: NodeJS.ErrnoException) => error);
      assert.is('code' in error && error.code, code);
    }
  });

  test('a link waits for the target that the manifest names', async () => {
    const root = makeTree({ 'lib/libz.so': '-> libz.so.1', 'bin/tool': '-> ../lib/libz.so' });
    const manifest = [
      { path: 'lib/libz.so', type: 'symlink', linkTarget: 'libz.so.1' },
      { path: 'bin/tool', type: 'symlink' },
      { path: 'lib/libz.so.1', type: 'file', size: 3 },
    ] as const;
    const appear = () => writeFileSync(join(root, 'lib/libz.so.1'), 'abc');
    const report = await apply(root, { manifest, retry: patient, onProgress: afterRounds(2, appear) });
    assert.is(report.settle.recovered, 3);
    assert.is(report.counts.links, 2);
    assert.equal(report.links, []);
  });

  test('a link that the walk found waits for a target that the manifest names', async () => {
    const root = makeTree({ link: '-> late' });
    const appear = () => writeFileSync(join(root, 'late'), '');
    const options: ApplyOptions = { manifest: ['late'], discover: true, retry: patient };
    const report = await apply(root, { ...options, onProgress: afterRounds(2, appear) });
    assert.is(report.counts.links, 1);
    assert.equal(report.links, []);
  });

  test('a link is unresolved where the target that the manifest names never comes', async () => {
    const root = makeTree({ link: '-> never' });
    const manifest = [{ path: 'link', type: 'symlink' } as const, 'never'];
    const report = await rejectedReport(apply(root, { manifest, retry: impatient }));
    assert.equal(reasonsOf(report), ['link: dangling-link', 'never: missing']);
    assert.is(report.unresolved[0]?.target, 'never');
  });

  test('nothing waits for a link whose target nothing promises', async () => {
    const root = makeTree({ f: 0o644, link: '-> /nowhere/at/all', other: '-> gone' });
    const manifest = [
      { path: 'link', type: 'symlink' } as const,
      { path: 'other', type: 'symlink' } as const,
      'f',
    ];
    const report = await apply(root, { manifest });
    assert.is(report.settle.rounds, 0);
    assert.equal(report.links, [
      { path: 'link', target: '/nowhere/at/all', kind: 'outside' },
      { path: 'other', target: 'gone', kind: 'dangling' },
    ]);
  });

  test('a link that stops to dangle before the end is not listed', async () => {
    const root = makeTree({ link: '-> late' });
    const appear = () => writeFileSync(join(root, 'late'), '');
    const options: ApplyOptions = { manifest: ['other'], discover: true, strict: false, retry: impatient };
    const report = await apply(root, { ...options, onProgress: afterRounds(1, appear) });
    assert.equal(report.links, []);
    assert.equal(reasonsOf(report), ['other: missing']);
  });

  test("danglingLinks 'error' and 'skip'", async () => {
    const root = makeTree({ link: '-> gone', loop: '-> loop', fine: '-> f', f: 0o644 });
    const error = await rejectedReport(apply(root, { danglingLinks: 'error' }));
    assert.equal(reasonsOf(error), ['link: dangling-link', 'loop: dangling-link']);
    assert.is(error.unresolved[1]?.code, 'ELOOP');
    assert.is(error.counts.links, 1);
    const manifest = [{ path: 'link', type: 'symlink' } as const, 'gone'];
    const skip = await rejectedReport(apply(root, { danglingLinks: 'skip', manifest, retry: impatient }));
    assert.equal(reasonsOf(skip), ['gone: missing']);
    assert.equal(skip.links, [{ path: 'link', target: 'gone', kind: 'dangling' }]);
  });

  test('an entry without a type may be anything but a link that dangles', async () => {
    const root = makeTree({ 'd/f': 0o644, ok: '-> d', out: '-> /', dangling: '-> gone', loop: '-> loop' });
    const manifest = ['d', 'd/f', 'ok', 'out', 'dangling', 'loop'];
    const report = await rejectedReport(apply(root, { manifest, retry: impatient }));
    assert.equal(reasonsOf(report), ['dangling: dangling-link', 'loop: dangling-link']);
  });

  test('a missing entry that comes back as something else is final', async () => {
    const root = makeTree({ f: 0o644 });
    const appear = () => symlinkSync('f', join(root, 'late'));
    const options: ApplyOptions = { manifest: [{ path: 'late', type: 'file' }], retry: patient };
    const report = await rejectedReport(apply(root, { ...options, onProgress: afterRounds(2, appear) }));
    assert.equal(reasonsOf(report), ['late: type-mismatch']);
    assert.is(report.unresolved[0]?.attempts, 2 + 1);
    assert.is(report.settle.recovered, 0);
  });

  test('what no manifest names and disappears is vanished, not missing', async () => {
    const root = makeTree({ 'a/f': 0o600, 'b/f': 0o600, 'c/f': 0o600 });
    let isFirst = true;
    const onChange = ({ path }: { path: string }) => {
      if (!isFirst) return;
      isFirst = false;
      for (const name of ['a', 'b', 'c']) {
        if (!path.startsWith(name)) rmSync(join(root, name), { recursive: true });
      }
    };
    const report = await apply(root, { mode: 'go+r', onChange });
    assert.ok(report.ok);
    assert.is(report.counts.vanished, 2);
    assert.is(report.settle.rounds, 0);
  });

  test('a directory that vanishes is missed where the manifest names something below it', async () => {
    const root = makeTree({ 'a/f': 0o600, 'b/f': 0o600 });
    const onChange = ({ path }: { path: string }) =>
      rmSync(join(root, path[0] === 'a' ? 'b' : 'a'), { recursive: true });
    const options: ApplyOptions = {
      mode: 'go+r',
      manifest: ['a/f', 'b/f'],
      discover: true,
      retry: impatient,
    };
    const report = await rejectedReport(apply(root, { ...options, onChange }));
    assert.match(reasonsOf(report).join(), /^[ab]\/f: missing$/);
  });

  if (backend !== 'path') {
    test('a root that is removed cannot bring what is missing, so nothing waits for it', async () => {
      const root = makeTree({ f: 0o644 });
      const remove = () => rmSync(root, { recursive: true });
      const retry = { retries: 1_000_000, minTimeout: 1, factor: 1, maxRetryTime: 3_600_000 };
      const onProgress = afterRounds(2, remove);
      const report = await rejectedReport(apply(root, { manifest: ['f', 'late'], retry, onProgress }));
      assert.equal(reasonsOf(report), ['.: missing', 'f: missing', 'late: missing']);
    });
  }

  test('attempts and elapsedMs of a root that never comes are true', async () => {
    const retry = { retries: 2, minTimeout: 20, factor: 1, randomize: false };
    const never = join(tempDirectory(), 'never');
    const report = await rejectedReport(apply(never, { manifest: ['f'], retry }));
    assert.is(report.unresolved[0]?.attempts, 3);
    assert.ok((report.unresolved[0]?.elapsedMs ?? 0) >= 38);
  });

  test('modes are given only to what is as promised', async () => {
    const root = makeTree({ f: { content: 'ab', mode: 0o600 } });
    const manifest = [{ path: 'f', size: 3, mode: 0o755 }];
    await rejectedReport(apply(root, { manifest, retry: false }));
    assert.is(modeOf(root, 'f'), 0o600);
  });

  test('onProgress tells what it waits for, for how long, and what would be unresolved', async () => {
    const root = makeTree({ f: 0o600, short: 'x' });
    const manifest = ['f', 'd/late', 'never', { path: 'short', size: 2 }];
    const told: {
      waitingFor: string | undefined;
      waitMs: number | undefined;
      pending: number;
      paths: string[];
    }[] = [];
    const onProgress = (progress: PermissionProgress) => {
      const { phase, waitingFor, waitMs, pending } = structuredClone(progress);
      if (phase !== 'settle') return;
      told.push({ waitingFor, waitMs, pending, paths: progress.list().map(({ path }) => path) });
    };
    const retry = { retries: 2, minTimeout: 5, factor: 2, maxTimeout: 1000, randomize: false };
    const report = await apply(root, { manifest, retry, strict: false, onProgress });
    const unresolved = report.unresolved.map(({ path }) => path);
    assert.ok(told.length >= 3, 'before the first round, and after each');
    for (const { waitingFor, waitMs = -1, pending, paths } of told) {
      assert.ok(paths.includes(waitingFor ?? ''), waitingFor);
      // Directories on the way are none of them.
      assert.is(pending, paths.length);
      assert.equal(paths, unresolved);
      // 5 ms, then 10.
      assert.ok(waitMs >= 0 && waitMs <= 15, String(waitMs));
    }
  });

  test('onProgress tells that it waits for the root', async () => {
    const root = join(tempDirectory(), 'late');
    const told: (string | undefined)[] = [];
    const onProgress = ({ phase, waitingFor, waitMs, list }: PermissionProgress) => {
      assert.type(list, 'function');
      if (phase === 'settle') told.push(waitMs === undefined ? 'no time' : waitingFor);
    };
    const never = await apply(root, { manifest: ['f'], retry: impatient, strict: false, onProgress });
    assert.equal(reasonsOf(never), ['.: missing']);
    assert.ok(told.length > 0);
    assert.equal(new Set(told), new Set(['.']));
  });

  test.run();
}
