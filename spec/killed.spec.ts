import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Answering } from './helpers/answering.ts';
import { canMount, NOBODY } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { bundledLibrary } from './helpers/library.ts';
import { contentAt, makeVersion } from './helpers/replace-child.js';
import { giveAway } from './helpers/rights.ts';
import { runtime } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';

const child = fileURLToPath(new URL('helpers/replace-child.js', import.meta.url));
const library = bundledLibrary();
/** System calls that change something, or say that somebody is there. */
const CHANGING = ['mkdir', 'rename', 'unlink', 'rmdir', 'chmod', 'fchmodat', 'bind', 'listen', 'utimensat'];
const MODES = [0o755, 0o555, 0o500];
/** The short run kills at some of the calls only. */
const STRIDE = extent({ short: 40, full: 1 });

/** Where the calls after a kill come from. */
const places = ['the same namespace', 'another process namespace', 'another boot'] as const;
type Where = (typeof places)[number];

interface Facts {
  outcome: string;
  content: string;
  mode: number;
  names: string[];
}

/** Another boot id, over the one of the system. */
const bootId = join(tempDirectory(), 'boot_id');
writeFileSync(bootId, 'another boot');
const enter: Record<Where, string[]> = {
  'the same namespace': [],
  'another process namespace': ['unshare', '-p', '-f', '--mount-proc'],
  'another boot': [
    'unshare',
    '-m',
    'sh',
    '-c',
    `mount --bind ${bootId} /proc/sys/kernel/random/boot_id && exec "$@"`,
    'sh',
  ],
};

/** By two renames: to exchange trees is one call, and strace does not know all that native calls make. */
const withoutNative = ['env', 'PERMWALK_NATIVE=0'];

/** Replace the tree in a process that strace runs, and tell whether it came to its end. */
async function runTraced(options: readonly string[], destination: string): Promise<boolean> {
  const task = JSON.stringify({ destination, calls: ['ok'] });
  const call = [...withoutNative, process.execPath, child, library, String(NOBODY), task];
  const running = spawn('strace', ['-f', '-qq', ...options, ...call], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [status] = await once(running, 'close');
  return status === 0;
}

/** Processes that make the calls after a kill, one a place: most of the time of one a kill would be its start. */
const after = new Map(
  places.map((where) => [
    where,
    new Answering(child, [library, String(NOBODY)], { within: [...withoutNative, ...enter[where]] }),
  ]),
);

/** A directory of nobody's with an old tree. */
function makeOld(mode: number): { directory: string; destination: string } {
  const directory = tempDirectory();
  const destination = join(directory, 'cache');
  makeVersion(destination, 'old');
  giveAway(directory);
  chmodSync(destination, mode);
  return { directory, destination };
}

/** How often each system call is made while a tree is replaced. */
async function countCalls(mode: number): Promise<Map<string, number>> {
  const { directory, destination } = makeOld(mode);
  const trace = join(directory, '.trace');
  // Only the calls that are counted stop the process; where one of them kills it, every call has to.
  const filter = ['--seccomp-bpf', '-e', `trace=${CHANGING.join(',')}`];
  assert.ok(await runTraced(['-o', trace, ...filter], destination));
  const counts = new Map<string, number>();
  for (const [, call = ''] of readFileSync(trace, 'utf8').matchAll(/^\d+ +(\w+)\(/gm)) {
    counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  return counts;
}

/** Let the markers of what was left be two days old. */
function age(directory: string): void {
  const time = Date.now() / 1000 - 2 * 24 * 3600;
  for (const name of readdirSync(directory).filter((each) => each.startsWith('.permwalk-'))) {
    for (const entry of readdirSync(join(directory, name))) {
      if (/^(owner|bind)-/.test(entry)) utimesSync(join(directory, name, entry), time, time);
    }
  }
}

/** Kill a replacement at a system call, then call again; what lies at the destination is always whole. */
async function killAt(call: string, count: number, mode: number, where: Where): Promise<boolean> {
  const { directory, destination } = makeOld(mode);
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${count}`];
  if (await runTraced(['-o', '/dev/null', ...inject], destination)) return false;
  const what = `killed at ${call} ${count}, root ${mode.toString(8)}, ${where}`;
  const before = contentAt(destination);
  assert.ok(['absent', 'old', 'new'].includes(before), `${what}: ${before}`);
  const isElsewhere = where === 'another boot';
  const replace = async (calls: string[]) =>
    (await (after.get(where) as Answering).ask<{ facts: Facts[] }>({ destination, calls })).facts;
  const [failed, succeeded] = await replace(isElsewhere ? ['fail'] : ['fail', 'ok']);
  assert.is(failed?.outcome, 'failed', what);
  assert.is(failed?.content, before === 'absent' ? 'old' : before, what);
  assert.is(failed?.mode, failed?.content === 'old' ? mode : 0o555, `${what}: its mode`);
  if (isElsewhere) age(directory);
  else assert.equal(failed?.names, ['cache'], what);
  const [done] = succeeded === undefined ? await replace(['ok']) : [succeeded];
  assert.equal([done?.outcome, done?.content, done?.names], ['replaced', 'new', ['cache']], what);
  rmSync(directory, { recursive: true });
  return true;
}

const test = suite('killed at a system call');
const canTrace = canMount && runtime === 'node' && spawnSync('strace', ['-V']).status === 0;

if (!canTrace) console.log('  skipped: needs Linux, root, Node and strace');
else {
  test.after(async () => {
    await Promise.all([...after.values()].map((process) => process.end()));
  });

  for (const mode of MODES) {
    test(`the old or the new tree is whole, and nothing is left (root ${mode.toString(8)})`, async () => {
      const kills = [...(await countCalls(mode))].flatMap(([call, times]) =>
        Array.from({ length: times }, (_, index) => [call, index + 1] as const),
      );
      assert.ok(kills.length > 20, `${kills.length} calls`);
      const chosen = kills.flatMap(([call, count], index) => {
        if (index % STRIDE !== (8 * MODES.indexOf(mode) + 3) % STRIDE) return [];
        // Each call is met with each mode of a root, and over the three with each place.
        const where = places[(index + MODES.indexOf(mode)) % places.length] as Where;
        return [[call, count, mode, where] as const];
      });
      const meant = chosen.length;
      let killed = 0;
      const lane = async () => {
        for (let next = chosen.pop(); next !== undefined; next = chosen.pop()) {
          const wasKilled = await killAt(...next);
          killed += Number(wasKilled);
        }
      };
      await Promise.all(Array.from({ length: availableParallelism() }, lane));
      console.log(`  ${killed} kills at ${kills.length} calls`);
      assert.ok(meant > 0);
      assert.is(killed, meant);
    });
  }
}

test.run();
