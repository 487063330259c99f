/** Renames and removals that fail while another process has something open, as a scanner does, imitated. */
import fs, { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RetryOptions } from '../../lib/options.ts';
import { failureOf, filesIn, permwalk, tempDirectory, versionOf, writeFiles } from './helpers.ts';

const { stageTree } = permwalk;
const { renameSync: rename } = fs;
const test = suite('in use');
const forever = 1_000_000;
const quick: RetryOptions = { minTimeout: 1, maxTimeout: 5, retries: 20 };

/** Which of the renames of a replacement it is. */
type Step = 'aside' | 'publish' | 'put back' | 'retire' | 'other';

function stepOf(from: string, to: string): Step {
  const [source, target] = [basename(dirname(from)), basename(dirname(to))];
  if (basename(from) === 'tree' && source.startsWith('.permwalk-')) return 'publish';
  if (target.startsWith('old-')) return 'aside';
  if (source.startsWith('old-')) return 'put back';
  return basename(to).startsWith('gone-') ? 'retire' : 'other';
}

/** Codes by which steps fail, and how often; `before` is called before each step, whether it fails or not. */
interface Faults {
  codes?: readonly string[];
  times: Partial<Record<Step, number>>;
  before?: (step: Step, from: string) => void;
}

/** Replace `old` by `new` while renames fail. */
async function replace(
  { codes = ['EPERM', 'EACCES', 'EBUSY'], times, before }: Faults,
  options: Parameters<typeof stageTree>[1] = { retry: quick },
): Promise<{ directory: string; destination: string; steps: Step[]; result: Promise<string> }> {
  const directory = tempDirectory();
  const destination = join(directory, 'out');
  writeFiles(destination, versionOf('old'));
  const steps: Step[] = [];
  const left = { ...times };
  fs.renameSync = (from, to) => {
    const step = stepOf(String(from), String(to));
    before?.(step, String(from));
    steps.push(step);
    const remaining = left[step] ?? 0;
    if (remaining === 0) return rename(from, to);
    left[step] = remaining - 1;
    const code = codes[remaining % codes.length] ?? '';
    throw Object.assign(new Error(`${code}: imitated, rename '${from}' -> '${to}'`), {
      code,
      syscall: 'rename',
      path: String(from),
      dest: String(to),
    });
  };
  syncBuiltinESMExports();
  const published = stageTree(destination, { existing: 'replace', ...options }, (stage) =>
    writeFiles(stage.directory, versionOf('new')),
  );
  const result = published
    .then(({ outcome }) => outcome)
    .finally(() => {
      fs.renameSync = rename;
      syncBuiltinESMExports();
    });
  await result.catch(() => undefined);
  return { directory, destination, steps, result };
}

const count = (steps: readonly Step[], step: Step) => steps.filter((each) => each === step).length;

test('each rename is tried again, and the old tree is there in between', async () => {
  for (const failing of ['aside', 'publish'] as const) {
    const present: boolean[] = [];
    const { directory, destination, steps, result } = await replace({
      times: { [failing]: 4 },
      before: (step, from) => {
        if (step === 'aside') present.push(existsSync(from));
      },
    });
    assert.is(await result, 'replaced', failing);
    assert.equal(present, Array(5).fill(true));
    assert.is(count(steps, failing), 5);
    assert.is(count(steps, 'put back'), failing === 'publish' ? 4 : 0);
    assert.equal(filesIn(destination), versionOf('new'));
    assert.equal(readdirSync(directory), ['out']);
  }
});

test('retry is the bound: so often, and not at all where it is false', async () => {
  for (const [retry, tries] of [
    [{ ...quick, retries: 3 }, 4],
    [false, 1],
  ] as const) {
    const times = { publish: forever };
    const { directory, destination, steps, result } = await replace({ codes: ['EPERM'], times }, { retry });
    const error = await failureOf(result);
    assert.is(error.code, 'EPERM');
    assert.is(error.path, destination);
    assert.match(error.message, 'another process has something open in it');
    assert.match(error.message, 'retry.maxRetryTime');
    assert.is(count(steps, 'publish'), tries);
    assert.equal(filesIn(destination), versionOf('old'));
    assert.equal(readdirSync(directory), ['out']);
  }
});

test('waiting ends with maxRetryTime', async () => {
  const retry = { retries: Number.MAX_SAFE_INTEGER, minTimeout: 1, maxTimeout: 5, maxRetryTime: 100 };
  const { destination, result } = await replace({ times: { aside: forever } }, { retry });
  assert.ok(['EPERM', 'EACCES', 'EBUSY'].includes((await failureOf(result)).code ?? ''));
  assert.equal(filesIn(destination), versionOf('old'));
});

test('an abort ends the waiting', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const { destination, result } = await replace(
    {
      times: { publish: forever },
      before: (step) => {
        if (step === 'put back') controller.abort(reason);
      },
    },
    { retry: { retries: 1000 }, signal: controller.signal },
  );
  assert.is(await failureOf(result), reason);
  assert.equal(filesIn(destination), versionOf('old'));
});

test('other errors are not tried again', async () => {
  const { steps, result } = await replace({ codes: ['EIO'], times: { publish: forever } });
  assert.is((await failureOf(result)).code, 'EIO');
  assert.is(count(steps, 'publish'), 1);
});

test('what is published is looked at before each try', async () => {
  const { destination, result } = await replace({
    times: { publish: 3 },
    before: (step, from) => {
      if (step !== 'put back') return;
      // Somebody puts another tree in the place of ours.
      const staging = dirname(dirname(from));
      rename(join(staging, 'tree'), join(staging, 'moved'));
      mkdirSync(join(staging, 'tree'));
    },
  });
  assert.is((await failureOf(result)).code, 'ERR_PERMWALK_SWAPPED');
  assert.equal(filesIn(destination), versionOf('old'));
});

test('the old tree is put back as soon as that succeeds', async () => {
  const { directory, destination, steps, result } = await replace({ times: { publish: 1, 'put back': 6 } });
  assert.is(await result, 'replaced');
  assert.is(count(steps, 'put back'), 7);
  assert.equal(filesIn(destination), versionOf('new'));
  assert.equal(readdirSync(directory), ['out']);
});

test('where it cannot be put back, the error says where it lies', async () => {
  for (const retry of [{ ...quick, retries: 2 }, false] as const) {
    const { destination, result } = await replace(
      { times: { publish: forever, 'put back': forever } },
      { retry },
    );
    const { message } = await failureOf(result);
    const [, old = ''] = /the old tree could not be put back, and is in "(.*?)": move it/.exec(message) ?? [];
    assert.not(existsSync(destination));
    assert.equal(filesIn(JSON.parse(`"${old}"`)), versionOf('old'));
  }
});

test('a tree that another process publishes meanwhile is not taken for one in use', async () => {
  let others = 2;
  const { directory, destination, steps, result } = await replace(
    {
      times: {},
      before: (step, from) => {
        if (step !== 'publish' || others === 0) return;
        others -= 1;
        writeFiles(join(dirname(dirname(from)), 'out'), versionOf('of another'));
      },
    },
    { retry: false },
  );
  assert.is(await result, 'replaced');
  assert.is(count(steps, 'publish'), 3);
  assert.equal(filesIn(destination), versionOf('new'));
  assert.equal(readdirSync(directory), ['out']);
});

test('once the new tree is there, nothing else makes the call fail', async () => {
  const { directory, destination, result } = await replace({ times: { retire: forever } });
  assert.is(await result, 'replaced');
  assert.equal(filesIn(destination), versionOf('new'));
  assert.equal(readdirSync(directory), ['out']);
});

test('what is not needed any more is removed as soon as that succeeds', async () => {
  const { unlinkSync } = fs;
  let left = 5;
  fs.unlinkSync = (path) => {
    if (left === 0) return unlinkSync(path);
    left -= 1;
    throw Object.assign(new Error(`EBUSY: imitated, unlink '${path}'`), {
      code: 'EBUSY',
      syscall: 'unlink',
      path,
    });
  };
  syncBuiltinESMExports();
  // The clock stands still: on a slow machine one try takes longer than all of them may take together.
  const { now } = performance;
  performance.now = () => 0;
  const { directory, result } = await replace({ times: {} });
  performance.now = now;
  fs.unlinkSync = unlinkSync;
  syncBuiltinESMExports();
  assert.is(await result, 'replaced');
  assert.is(left, 0);
  assert.equal(readdirSync(directory), ['out']);
});

test.run();
