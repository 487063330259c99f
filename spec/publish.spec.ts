import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { wrapExtractor } from '../lib/index.ts';
import { Answering } from './helpers/answering.ts';
import { numberedFiles, writeBundle } from './helpers/bundle.ts';
import { canMount, NOBODY, outputOf } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { install } from './helpers/installer.ts';
import { bundledLibrary } from './helpers/library.ts';
import { javascriptCommand } from './helpers/runtime.ts';
import { memoryDirectory, modeOf, tempDirectory } from './helpers/tree.ts';

const library = bundledLibrary();
const childScript = fileURLToPath(new URL('helpers/extract-child.js', import.meta.url));

interface ChildTask {
  archive: string;
  destination: string;
  options?: Record<string, unknown>;
  times?: number;
  hang?: boolean;
}

/** Start a process that extracts with permwalk as it is built. */
function startExtraction(task: ChildTask): ChildProcess {
  const [program, ...args] = javascriptCommand;
  return spawn(program, [...args, childScript, library, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** What is in a directory besides archives. */
function namesIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => !name.endsWith('.zip'));
}

/** What lies at a destination: nothing, or a version, complete to the last file. Anything else is a failure. */
function versionAt(destination: string, files: number): string | undefined {
  if (!existsSync(destination)) return undefined;
  const version = readFileSync(join(destination, 'VERSION'), 'utf8');
  let count = 0;
  for (const directory of readdirSync(join(destination, 'lib'))) {
    for (const name of readdirSync(join(destination, 'lib', directory))) {
      assert.is(readFileSync(join(destination, 'lib', directory, name), 'utf8'), version, name);
      count += 1;
    }
  }
  assert.is(count, files);
  assert.is(modeOf(destination, 'bin/run') & 0o100, 0o100);
  return version;
}

/** Which directory lies there. An inode number alone is soon used again. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.ino} ${stats.birthtimeNs} ${stats.ctimeNs}`;
}

/**
 * Look at a destination again and again until told to stop: whoever reads sees nothing or everything. A tree that was
 * replaced while it was read may be half gone, and is not what lies there any more.
 */
async function watch(destination: string, files: number, isOver: () => boolean): Promise<number> {
  let complete = 0;
  while (!isOver()) {
    const before = identityOf(destination);
    try {
      if (versionAt(destination, files) !== undefined) complete += 1;
    } catch (error) {
      if (before !== undefined && before === identityOf(destination)) throw error;
    }
    await sleep(1);
  }
  return complete;
}

const race = suite('concurrent installs');
const FILES = 10;
const MAX_TRIES = 200;
const STARTS = extent({ short: 20, full: 250 });
const PROCESSES = extent({ short: 2, full: 4 });
/** What each of them does. */
const STARTS_EACH = extent({ short: 3, full: 25 });

race('an ordinary installer fails when it is started three times', async () => {
  const directory = tempDirectory();
  const archive = writeBundle(join(directory, 'bundle.zip'), numberedFiles(FILES, 'one'));
  const destination = join(directory, 'cache');
  const started = performance.now();
  await install(archive, destination);
  const whole = performance.now() - started;
  for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
    const starts = [0, 1, 2].map(async (index) => {
      await sleep(index * Math.random() * whole);
      await install(archive, destination);
    });
    const failures = (await Promise.allSettled(starts)).flatMap((result) =>
      result.status === 'rejected' ? [String(result.reason.message)] : [],
    );
    if (failures.some((message) => /ENOENT.*chmod/.test(message))) {
      console.log(`  ENOENT … chmod at try ${tries}`);
      return;
    }
  }
  assert.unreachable(`not once in ${MAX_TRIES} tries`);
});

for (const existing of ['keep', 'replace'] as const) {
  race(
    `the same installer, wrapped with existing '${existing}', never fails in ${STARTS} starts`,
    async () => {
      const directory = tempDirectory();
      const archive = writeBundle(join(directory, 'bundle.zip'), numberedFiles(FILES, 'one'));
      const other = writeBundle(join(directory, 'other.zip'), numberedFiles(FILES, 'two'));
      const destination = join(directory, 'cache');
      // 'keep' verifies what is there, so that there may only be one archive; 'replace' has two to alternate.
      const archives = existing === 'keep' ? [archive] : [archive, other];
      const extract = wrapExtractor(install, { existing });
      let isOver = false;
      const watching = watch(destination, FILES, () => isOver);
      // It is waited for at the end; until then its failure must not end the process.
      watching.catch(() => undefined);
      const outcomes = new Map<string, number>();
      for (let start = 0; start < STARTS; start += 5) {
        const starts = Array.from({ length: 5 }, async (_, index) => {
          for (let turn = 0; turn < index * (start % 20); turn += 1) await nextTurn();
          const { outcome } = await extract(archives[index % archives.length] as string, destination);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        });
        await Promise.all(starts);
        if (start % 100 === 0) rmSync(destination, { recursive: true });
      }
      isOver = true;
      assert.ok((await watching) > 0);
      assert.is(
        [...outcomes.values()].reduce((sum, count) => sum + count, 0),
        STARTS,
      );
      assert.ok(versionAt(destination, FILES));
      assert.equal(namesIn(directory), ['cache']);
    },
  );

  race(
    `${PROCESSES} processes, wrapped with existing '${existing}', never fail in ${PROCESSES * STARTS_EACH} starts`,
    async () => {
      const directory = tempDirectory();
      const archive = writeBundle(join(directory, 'bundle.zip'), numberedFiles(FILES, 'one'));
      const destination = join(directory, 'cache');
      const task = { archive, destination, options: { existing }, times: STARTS_EACH };
      let isOver = false;
      const watching = watch(destination, FILES, () => isOver);
      // It is waited for at the end; until then its failure must not end the process.
      watching.catch(() => undefined);
      const processes = Array.from({ length: PROCESSES }, () => outputOf(startExtraction(task)));
      const outputs = await Promise.all(processes);
      isOver = true;
      assert.ok((await watching) > 0);
      const outcomes = outputs.flatMap((output) =>
        output.split('\n').filter((line) => /^[a-z]+$/.test(line)),
      );
      assert.is(outcomes.length, PROCESSES * STARTS_EACH, outputs.join());
      const allowed = existing === 'keep' ? ['created', 'kept'] : ['created', 'replaced'];
      assert.ok(outcomes.every((outcome) => allowed.includes(outcome)));
      assert.is(versionAt(destination, FILES), 'one');
      assert.equal(namesIn(directory), ['cache']);
    },
  );
}

race.run();

const kill = suite('killed in the middle');
const KILLS = extent({ short: 4, full: 50 });
/** As many at once, each with a destination of its own. */
const LANES = extent({ short: 1, full: 2 });
/** Of so many kills, each has its own part of an extraction to happen in. */
const PARTS = 4;
/** Where chance has not hit both outcomes by then, it goes on up to so many. */
const MOST_KILLS = 200;
const BIG = extent({ short: 100, full: 500 });
/** What one extraction may take, on a machine that is at work. */
const MAX_EXTRACTION_MS = 120_000;
/** More than the trees of all that is killed take at any moment, in bytes. */
const KILL_SPACE = 1 << 30;

/** A staging directory whose process was killed while it extracted. */
async function abandonStaging(archive: string, destination: string): Promise<string> {
  const child = startExtraction({ archive, destination, hang: true });
  const [line] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
  const staging = dirname(line.toString().replace('extracting ', '').trim());
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
  return staging;
}

/**
 * Extract in a process that is killed after so many milliseconds. They count from where permwalk is loaded: a kill before that meets
 * nothing.
 *
 * @returns what it took where it came to its end first
 */
async function extractFor(milliseconds: number, task: ChildTask): Promise<number | undefined> {
  const [program, ...args] = javascriptCommand;
  const child = spawn(program, [...args, childScript, library], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const ask = (asked: Partial<ChildTask>) => child.stdin.write(`${JSON.stringify(asked)}\n`);
  ask({ times: 0 });
  await once(child.stdout, 'data');
  child.stdout.resume();
  const started = performance.now();
  ask(task);
  child.stdin.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
  const [code] = await closed;
  clearTimeout(timer);
  return code === 0 ? performance.now() - started : undefined;
}

/** Kill so many extractions that replace a tree at random moments, and look at the destination after each. */
async function killAtRandom(kills: number): Promise<Record<'absent' | 'old' | 'new', number>> {
  const directory = memoryDirectory(KILL_SPACE);
  const archives = ['one', 'two'].map((version) =>
    writeBundle(join(directory, `${version}.zip`), numberedFiles(BIG, version)),
  );
  const destination = join(directory, 'cache');
  const task = (index: number): ChildTask => ({
    archive: archives[index % 2] as string,
    destination,
    options: { existing: 'replace', retry: false },
  });
  const whole = await extractFor(MAX_EXTRACTION_MS, task(0));
  assert.ok(whole !== undefined, 'one that is not killed ends well');
  // The moments are spread over a whole extraction and a little more, however long it takes on this machine by now.
  let window = 1.3 * whole;
  const seen = { absent: 0, old: 0, new: 0 };
  let before = versionAt(destination, BIG);
  const isMet = (): boolean => seen.old > 0 && seen.new > 0;
  for (let index = 1; index <= kills || (!isMet() && index <= MOST_KILLS); index += 1) {
    const moment = (((index % PARTS) + Math.random()) / PARTS) * window;
    const hasEnded = (await extractFor(moment, task(index))) !== undefined;
    window *= hasEnded ? 0.9 : 1.05;
    const after = versionAt(destination, BIG);
    seen[after === undefined ? 'absent' : after === before ? 'old' : 'new'] += 1;
    before = after;
  }
  await outputOf(startExtraction(task(0)));
  assert.is(versionAt(destination, BIG), 'one');
  assert.equal(namesIn(directory), ['cache'], 'the next call cleans up what is left');
  return seen;
}

kill(`${KILLS} times at a random moment: nothing, the old tree or the new one`, async () => {
  const lanes = await Promise.all(Array.from({ length: LANES }, () => killAtRandom(KILLS / LANES)));
  const seen = lanes.reduce((sum, { absent, old, new: fresh }) => ({
    absent: sum.absent + absent,
    old: sum.old + old,
    new: sum.new + fresh,
  }));
  console.log(`  ${JSON.stringify(seen)}`);
  assert.ok(seen.old > 0 && seen.new > 0);
});

kill('an old tree that was moved aside by a process that died is put back', async () => {
  const directory = tempDirectory();
  const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
  const destination = join(directory, 'cache');
  const staging = await abandonStaging(archive, destination);
  // As it lies between the two renames: the new tree has not moved yet.
  mkdirSync(join(staging, 'old-1/cache'), { recursive: true });
  writeFileSync(join(staging, 'old-1/cache/precious'), '');
  const extract = wrapExtractor(install, { existing: 'error' });
  try {
    await extract(archive, destination);
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'EEXIST');
  }
  assert.equal(readdirSync(destination), ['precious']);
  assert.equal(namesIn(directory), ['cache']);
});

kill('an old tree that had been replaced when the process died stays away', async () => {
  const directory = tempDirectory();
  const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
  const destination = join(directory, 'cache');
  const staging = await abandonStaging(archive, destination);
  // As it lies after both renames, and the user has removed the new tree since.
  rmSync(join(staging, 'tree'), { recursive: true });
  mkdirSync(join(staging, 'gone-1/cache'), { recursive: true });
  writeFileSync(join(staging, 'gone-1/cache/VERSION'), 'old');
  const report = await wrapExtractor(install, { existing: 'keep' })(archive, destination);
  assert.is(report.outcome, 'created');
  assert.is(versionAt(destination, FILES), 'one');
  assert.equal(namesIn(directory), ['cache']);
});

kill.run();

const disk = suite('disks and rights');

/** What the child printed as the error that it ended with. */
function errorIn(output: string): { code?: string; message?: string } {
  return JSON.parse(output.split('\n').find((line) => line.startsWith('{')) ?? '{}');
}

if (!canMount) console.log('  skipped: mounts and other users need Linux and root');
else {
  /** Where what is mounted is seen by the extractions alone, and a user who owns nothing. */
  const mounting = new Answering(childScript, [library], { setUp: ':' });
  const nobody = new Answering(childScript, [library], { asNobody: true });
  disk.after(async () => {
    await Promise.all([mounting.end(), nobody.end()]);
  });

  /** What an extraction by nobody prints. */
  const extractAsNobody = async (task: ChildTask) => (await nobody.ask<{ output: string }>(task)).output;

  disk('a full disk: a clear error, the old tree intact, nothing left', async () => {
    const directory = tempDirectory();
    const archive = writeBundle(join(directory, 'big.zip'), { VERSION: 'two', big: 'x'.repeat(4_000_000) });
    const mounted = join(directory, 'small');
    mkdirSync(mounted);
    const task = { archive, destination: join(mounted, 'cache'), options: { existing: 'replace' } };
    const setUp = `mount -t tmpfs -o size=1m small "$1"; mkdir "$1/cache"; echo -n old > "$1/cache/VERSION"`;
    // The mount is gone with the process: what is left has to be looked at from within.
    const script = `"$@"; ls -A "${mounted}" "${mounted}/cache"; cat "${mounted}/cache/VERSION"`;
    const output = await outputOf(
      spawn(
        'unshare',
        [
          '-m',
          'sh',
          '-c',
          `set -e; set -- "${mounted}" "$@"; ${setUp}; shift; ${script}`,
          'sh',
          ...javascriptCommand,
          childScript,
          library,
          JSON.stringify(task),
        ],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      ),
    );
    assert.is(errorIn(output).code, 'ENOSPC', output);
    assert.match(output, /:\ncache\n\n.*:\nVERSION\nold$/s);
  });

  /** Extract a bundle to `m/cache` in a directory, once shell commands have mounted something; what the child printed. */
  const extractMounted = async (directory: string, setUp: string, options: Record<string, unknown>) => {
    const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
    const task: ChildTask = { archive, destination: join(directory, 'm/cache'), options };
    return (await mounting.ask<{ output: string }>({ ...task, root: directory, setUp })).output;
  };

  disk('a tree of a lower layer of overlayfs: a clear error, the old tree intact, nothing left', async () => {
    const directory = tempDirectory();
    for (const name of ['lower/cache', 'upper', 'work', 'm']) {
      mkdirSync(join(directory, name), { recursive: true });
    }
    writeFileSync(join(directory, 'lower/cache/VERSION'), 'old');
    const layers = 'lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work';
    const setUp = `mount -t overlay none -o "redirect_dir=off,${layers}" "$1/m"`;
    const output = await extractMounted(directory, setUp, { existing: 'replace' });
    assert.is(errorIn(output).code, 'EXDEV', output);
    assert.match(errorIn(output).message ?? '', /lower layer .* set publish to 'in-place'$/);
    assert.equal(readdirSync(join(directory, 'upper')), [], 'nothing was left, nor copied up');
    assert.is(readFileSync(join(directory, 'lower/cache/VERSION'), 'utf8'), 'old');
    const inPlace = await extractMounted(directory, '', { existing: 'replace', publish: 'in-place' });
    assert.match(inPlace, /^in-place$/m);
  });

  disk('a mount point: a clear error before anything is extracted, and in-place as the way out', async () => {
    const directory = tempDirectory();
    mkdirSync(join(directory, 'm/cache'), { recursive: true });
    let setUp = 'mount -t tmpfs none "$1/m/cache"';
    for (const [existing, code] of [
      ['replace', 'EBUSY'],
      ['error', 'EEXIST'],
    ] as const) {
      const output = await extractMounted(directory, setUp, { existing });
      setUp = '';
      assert.is(errorIn(output).code, code, output);
      assert.match(errorIn(output).message ?? '', /is a mount point.* set publish to 'in-place'/);
      assert.not.match(output, 'extracting');
    }
    const output = await extractMounted(directory, '', { existing: 'replace', publish: 'in-place' });
    assert.match(output, /^in-place$/m, output);
    const kept = await extractMounted(directory, '', { existing: 'keep' });
    assert.match(kept, /^kept$/m, kept);
    assert.equal(namesIn(join(directory, 'm')), ['cache']);
  });

  disk('what is mounted below the old tree is not removed with it', async () => {
    for (const bound of [true, false]) {
      const directory = tempDirectory();
      for (const name of ['m/cache/volume', 'volume/d'])
        mkdirSync(join(directory, name), { recursive: true });
      writeFileSync(join(directory, 'volume/d/precious'), '');
      const setUp = `${bound ? '' : 'mount -t tmpfs none "$1/volume"; mkdir "$1/volume/d"; : > "$1/volume/d/precious"'}
        mount --bind "$1/volume" "$1/m/cache/volume"`;
      const output = await extractMounted(directory, setUp, { existing: 'replace' });
      assert.match(output, /^replaced$/m, output);
      assert.is(versionAt(join(directory, 'm/cache'), FILES), 'one');
      if (bound) assert.ok(existsSync(join(directory, 'volume/d/precious')), 'what is mounted is not ours');
    }
  });

  disk('a file system that gives everything to one user is served, and nothing is left', async () => {
    if (spawnSync('bindfs', ['--version']).status !== 0) return console.log('  skipped: needs bindfs');
    const directory = tempDirectory();
    for (const name of ['real', 'm']) mkdirSync(join(directory, name));
    const setUp = 'bindfs --force-user=nobody "$1/real" "$1/m"';
    const output = await extractMounted(directory, setUp, { existing: 'replace', manifest: false });
    assert.match(output, /^created$/m, output);
    assert.equal(namesIn(join(directory, 'real')), ['cache']);
  });

  disk('a parent without write permission: a clear error', async () => {
    const directory = tempDirectory();
    const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
    spawnSync('chmod', ['755', directory]);
    const task = { archive, destination: join(directory, 'cache') };
    const output = await extractAsNobody(task);
    assert.is(errorIn(output).code, 'EACCES', output);
    assert.equal(namesIn(directory), []);
  });

  disk(
    'an old tree that cannot be removed whole does not undo what was published, nor stand in the way later',
    async () => {
      const directory = tempDirectory();
      const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
      const destination = join(directory, 'cache');
      mkdirSync(join(destination, 'foreign'), { recursive: true });
      writeFileSync(join(destination, 'foreign/f'), '');
      for (const path of [directory, destination]) chownSync(path, NOBODY, NOBODY);
      const task = { archive, destination, options: { existing: 'replace' } };
      for (let time = 0; time < 2; time += 1) {
        const output = await extractAsNobody(task);
        assert.match(output, /^replaced$/m, output);
        assert.is(versionAt(destination, FILES), 'one');
      }
    },
  );

  disk("another user's old staging directory is left alone", async () => {
    const directory = tempDirectory();
    const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
    spawnSync('chmod', ['1777', directory]);
    const destination = join(directory, 'cache');
    const foreign = basename(await abandonStaging(archive, destination));
    assert.equal(namesIn(directory), [foreign]);
    const task = { archive, destination };
    const output = await extractAsNobody(task);
    assert.match(output, /^created$/m);
    assert.equal(namesIn(directory).sort(), [foreign, 'cache'].sort());
  });
}

if (spawnSync('strace', ['-V']).status !== 0) console.log('  skipped: durable needs strace to be seen');
else {
  disk('durable: every file and directory is synced before the rename, and the parent after it', async () => {
    const directory = tempDirectory();
    const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
    const destination = join(directory, 'cache');
    const trace = join(directory, 'trace');
    const task = JSON.stringify({ archive, destination, options: { durable: true } });
    const strace = ['-f', '--seccomp-bpf', '-y', '-e', 'trace=fsync,rename,renameat,renameat2', '-o', trace];
    await outputOf(spawn('strace', [...strace, ...javascriptCommand, childScript, library, task]));
    const calls = readFileSync(trace, 'utf8').split('\n');
    const renamed = calls.findIndex((call) => /rename.*[/"]tree"/.test(call));
    assert.ok(renamed > 0);
    const synced = (lines: string[]) => lines.flatMap((call) => /fsync\(\d+<(.*)>/.exec(call)?.[1] ?? []);
    const before = new Set(
      synced(calls.slice(0, renamed)).map((path) => path.replace(/^.*\/tree(?=\/|$)/, '')),
    );
    const tree = readdirSync(destination, { recursive: true }).map((name) => `/${name}`);
    assert.ok(before.delete(directory), 'who cannot sync the parent moves nothing');
    assert.equal([...before].sort(), ['', ...tree].sort());
    assert.ok(synced(calls.slice(renamed)).includes(directory));
  });

  disk('without durable nothing is synced', async () => {
    const directory = tempDirectory();
    const archive = writeBundle(join(directory, 'one.zip'), numberedFiles(FILES, 'one'));
    const trace = join(directory, 'trace');
    const task = JSON.stringify({ archive, destination: join(directory, 'cache') });
    await outputOf(
      spawn('strace', [
        '-f',
        '--seccomp-bpf',
        '-y',
        '-e',
        'trace=fsync',
        '-o',
        trace,
        ...javascriptCommand,
        childScript,
        library,
        task,
      ]),
    );
    // A library of native calls syncs stdout and stderr at the end.
    assert.not.match(readFileSync(trace, 'utf8'), `<${directory}`);
  });
}

disk.run();
