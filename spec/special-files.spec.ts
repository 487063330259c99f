import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, linkSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory } from '../lib/directory/directory.ts';
import { errorCode } from '../lib/directory/errors.ts';
import { Place } from '../lib/directory/place.ts';
import { applyPermissions } from '../lib/index.ts';
import { whileExchanging } from './helpers/exchange.ts';
import { extent } from './helpers/extent.ts';
import { watchCalls } from './helpers/faults.ts';
import { makeFifo } from './helpers/fifo.ts';
import { longPasses } from './helpers/passes.ts';
import { makeTree, modeOf } from './helpers/tree.ts';

// A FIFO stands for devices, too: whoever opens one of those may rewind a tape, or answer a modem.

/** Names that are exchanged under a pass. */
const NAMES = extent({ short: 25, full: 50 });
/** Each must have been met so often: the one moment and the other. */
const MEETINGS = extent({ short: 40, full: 300 });
/** Long enough for a machine that does much else; then nothing was exchanged, and nothing was shown. */
const GIVE_UP_MS = 60_000;

/** Waits in open(2) for somebody who reads the FIFO. */
class Writer {
  readonly #child: ChildProcess;
  #output = '';
  #onOutput = () => {};

  private constructor(fifo: string) {
    const script = `
import os, sys
print("ready", flush=True)
os.open(sys.argv[1], os.O_WRONLY)
print("opened", flush=True)`;
    this.#child = spawn('python3', ['-c', script, fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
      this.#onOutput();
    });
  }

  static async start(fifo: string): Promise<Writer> {
    const writer = new Writer(fifo);
    await writer.#until(() => writer.#output.startsWith('ready\n'));
    return writer;
  }

  /** Whether it got its reader. What a child has printed is there after a turn of the event loop at the latest. */
  get hasReader(): boolean {
    return this.#output.includes('opened');
  }

  /** Open the FIFO for it until it got its reader: it would have been noticed. */
  async release(fifo: string): Promise<void> {
    const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    await this.#until(() => this.hasReader);
    closeSync(fd);
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  #until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onOutput = () => {
        if (isSo()) resolve();
      };
      this.#child.on('close', () => reject(new Error(`the writer ended: ${this.#output}`)));
      this.#onOutput();
    });
  }
}

/** A tree with one file, and a FIFO beside the tree. */
function makeCourse(): { tree: string; file: string; fifo: string } {
  const parent = makeTree({ 'tree/f': 'content' });
  const fifo = join(parent, 'fifo');
  makeFifo(fifo);
  return { tree: join(parent, 'tree'), file: join(parent, 'tree/f'), fifo };
}

/** Do something while a writer waits for a reader of the FIFO, who must not come. */
async function withoutReader(fifo: string, act: () => Promise<void>): Promise<void> {
  const writer = await Writer.start(fifo);
  try {
    await act();
    await new Promise((resolve) => setImmediate(resolve));
    assert.not(writer.hasReader, 'the FIFO was opened for reading');
    await writer.release(fifo);
  } finally {
    writer.end();
  }
}

const root = new Place(undefined, '.');

/** Somebody who opens the FIFO for a reader that waits in open(2), after three seconds, and says so: a spec that fails must end. */
function rescueReader(fifo: string): ChildProcess {
  const script = `
import os, sys, time
time.sleep(3)
os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK))
print("a reader waited", flush=True)`;
  return spawn('python3', ['-c', script, fifo], { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function outputOfKilled(child: ChildProcess): Promise<string> {
  let output = '';
  for await (const chunk of child.stdout ?? []) output += chunk;
  return output;
}

for (const { backend, title, openTree } of longPasses) {
  const test = suite(`special files (${title})`);

  test('a FIFO is not opened', async () => {
    const { tree: path } = makeCourse();
    const fifo = join(path, 'fifo');
    makeFifo(fifo);
    await withoutReader(fifo, async () => {
      const tree = openTree(path);
      const directory = tree.goTo(root);
      for (let times = 0; times < 100; times += 1) {
        assert.throws(
          () => directory.open('fifo'),
          (error: unknown) => errorCode(error) === 'EINVAL',
        );
        directory.sync('fifo');
        directory.chmod('fifo', () => undefined);
        await new Promise((resolve) => setImmediate(resolve));
      }
      tree.close();
    });
  });

  if (backend === 'path') {
    test('a FIFO that takes the place of a file right before it is opened is waited for by nobody', async () => {
      const acts: [code: string, act: (directory: Directory, mode: number) => unknown][] = [
        ['EINVAL', (directory) => directory.open('f').close()],
        ['ERR_PERMWALK_SWAPPED', (directory, mode) => directory.chmod('f', () => mode)],
      ];
      for (const [code, act] of acts) {
        const { tree: path, file, fifo } = makeCourse();
        const tree = openTree(path);
        const directory = tree.goTo(root);
        const watched = watchCalls();
        const rescue = rescueReader(fifo);
        try {
          watched.begin();
          act(directory, 0o644);
          const position = watched.calls.findIndex(({ name }) => name === 'open');
          assert.ok(position > 0);
          watched.begin(position, () => {
            renameSync(file, `${file}-aside`);
            linkSync(fifo, file);
          });
          assert.throws(
            () => act(directory, 0o755),
            (error: unknown) => errorCode(error) === code,
          );
          assert.equal(watched.leaked, []);
        } finally {
          watched.end();
          watched.restore();
          rescue.kill('SIGKILL');
          tree.close();
        }
        assert.is(await outputOfKilled(rescue), '');
        assert.is(modeOf(file), 0o644);
      }
    });
  }

  // By path nothing can be proven before it is opened: there a FIFO in the place of a file is opened, without waiting.
  if (backend !== 'path') {
    test('a FIFO that takes the place of a file between any two moments is not opened', async () => {
      const { tree: path, file, fifo } = makeCourse();
      await withoutReader(fifo, async () => {
        const tree = openTree(path);
        const directory = tree.goTo(root);
        const met = { file: 0, fifo: 0 };
        const end = Date.now() + GIVE_UP_MS;
        await whileExchanging([[file, fifo]], async () => {
          while (met.file < MEETINGS || met.fifo < MEETINGS) {
            assert.ok(Date.now() < end, JSON.stringify(met));
            try {
              directory.open('f').close();
              met.file += 1;
            } catch (error) {
              assert.is(errorCode(error), 'EINVAL');
              met.fifo += 1;
            }
            directory.sync('f');
            if ((met.file + met.fifo) % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
          }
        });
        tree.close();
      });
    });
  }

  test.run();
}

if (process.platform === 'linux') {
  const test = suite('special files (applyPermissions)');

  test('a pass that looks into files opens no FIFO that takes the place of one', async () => {
    const { tree, file, fifo } = makeCourse();
    const pairs: [string, string][] = [[file, fifo]];
    // One FIFO with many names: whoever opens any of them is its reader.
    for (let number = 1; number < NAMES; number += 1) {
      const pair: [string, string] = [`${file}${number}`, `${fifo}${number}`];
      writeFileSync(pair[0], 'content', { mode: 0o644 });
      linkSync(fifo, pair[1]);
      pairs.push(pair);
    }
    await withoutReader(fifo, async () => {
      const met = { file: 0, fifo: 0 };
      const end = Date.now() + GIVE_UP_MS;
      await whileExchanging(pairs, async () => {
        while (met.file < NAMES * MEETINGS || met.fifo < NAMES * MEETINGS) {
          assert.ok(Date.now() < end, JSON.stringify(met));
          const { counts } = await applyPermissions(tree, { detect: true, strict: false, retry: false });
          met.fifo += counts.special;
          met.file += counts.unchanged - 1;
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
    });
  });

  test.run();
}
