import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Directory, Listing } from '../lib/directory/directory.ts';
import { encodeName } from '../lib/directory/names.ts';
import { makeCheckDirectory, removeCheckDirectory } from '../lib/directory/native/check-directory.ts';
import { Kernel } from '../lib/directory/native/kernel.ts';
import { isTriedVersion, openKoffi } from '../lib/directory/native/koffi.ts';
import { NativeListing } from '../lib/directory/native/listing.ts';
import { loadWith, type NativeSource, runtimeSource } from '../lib/directory/native/load.ts';
import { Memory } from '../lib/directory/native/memory.ts';
import { openNative } from '../lib/directory/native/native.ts';
import { check } from '../lib/directory/native/self-check.ts';
import { NativeStats } from '../lib/directory/native/statx.ts';
import {
  type CallNumbers,
  callNumbers,
  libraryNames,
  type SystemCall,
} from '../lib/directory/native/system-call.ts';
import { holdDirectory, openTree } from '../lib/directory/open.ts';
import { Place } from '../lib/directory/place.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { runPass } from '../lib/pass/apply.ts';
import type { PermissionReport } from '../lib/report.ts';
import { entriesOf } from './helpers/by-path.ts';
import { extent } from './helpers/extent.ts';
import { type Instead, libcWith, openLibc } from './helpers/native-calls.ts';
import { hasNative, nativePass } from './helpers/passes.ts';
import { canUseByteNames, runtime } from './helpers/runtime.ts';
import { makeTree, modesBelow, type TreeShape, tempDirectory } from './helpers/tree.ts';

const decoding = suite('native: what the kernel writes');

/** A `struct statx` with some fields, by their offset in bytes. */
function statxWith(fields: Record<number, bigint>, mask = 0x17ff): NativeStats {
  const bytes = Buffer.alloc(256);
  bytes.writeUInt32LE(mask, 0);
  for (const [offset, value] of Object.entries(fields)) bytes.writeBigInt64LE(value, Number(offset));
  return new NativeStats(new Uint32Array(bytes.buffer, bytes.byteOffset, 64));
}

decoding('inode numbers are exact', () => {
  for (const ino of [1n, 0xffff_ffffn, 2n ** 53n - 1n]) assert.is(statxWith({ 32: ino }).ino, Number(ino));
  for (const ino of [2n ** 53n, 2n ** 60n + 1n]) assert.is(statxWith({ 32: ino }).ino, ino);
  assert.is(statxWith({ 32: -1n }).ino, 2n ** 64n - 1n);
});

decoding('device numbers are those of makedev(3)', () => {
  const device = (major: bigint, minor: bigint) => statxWith({ 136: major | (minor << 32n) }).dev;
  assert.is(device(254n, 0n), 0xfe00);
  assert.is(device(8n, 17n), 0x811);
  assert.is(device(0n, 0x12345n), 0x1230_0045);
  assert.is(device(0xabcden, 0x12345n), makeDevice(0xabcden, 0x12345n));
});

/** glibc's formula. */
function makeDevice(major: bigint, minor: bigint): bigint {
  return ((major & ~0xfffn) << 32n) | ((major & 0xfffn) << 8n) | ((minor & ~0xffn) << 12n) | (minor & 0xffn);
}

decoding('times before 1970 and after 2038, sizes above 4 GiB, and mounts where they are told', () => {
  const stats = statxWith({ 40: 2n ** 40n + 5n, 96: -2n, 104: 500_000_000n, 112: 2n ** 33n, 144: 27n });
  assert.is(stats.size, 2 ** 40 + 5);
  assert.is(stats.ctimeMs, -1500);
  assert.is(stats.mtimeMs, 2 ** 33 * 1000);
  assert.is(stats.mount, 27);
  assert.is(statxWith({ 144: 27n }, 0x7ff).mount, undefined);
});

/** A `struct linux_dirent64`. */
function record(name: string, type: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil((20 + name.length) / 8) * 8);
  bytes.writeUInt16LE(bytes.length, 16);
  bytes[18] = type;
  bytes.write(name, 19, 'latin1');
  return bytes;
}

/** A listing of records in memory; facts are those that node:fs gives of a directory. */
function listingOf(chunks: Buffer[][], size: number, directory: Pick<Directory, 'lstat'>): NativeListing {
  const records = chunks.map((chunk) => {
    const bytes = Buffer.concat(chunk);
    const memory = new Memory(bytes.length, () => 0);
    bytes.copy(memory.bytes);
    return { memory, end: bytes.length };
  });
  const kernel = { lookAt: () => undefined, know: () => undefined, free: () => undefined };
  const listed = {
    lstat: (name: string) => directory.lstat(name),
    isMountPoint: () => false,
    isBeyond: () => undefined,
  };
  return new NativeListing(records, size, kernel, 0, listed);
}

decoding(
  'kinds that a file system does not tell are looked at, and what is gone is left to whoever looks',
  () => {
    const root = makeTree({ 'd/': 0o755, f: 0o600, l: '-> f' });
    const directory = holdDirectory(root);
    const chunks = [
      [record('.', 4), record('..', 0), record('d', 0), record('f', 0)],
      [record('..', 4)],
      [record('.x', 6), record('gone', 0), record('l', 0), record('..y', 12)],
    ];
    const listing = listingOf(chunks, 6, directory);
    assert.equal(entriesOf(listing), [
      { name: 'd', type: 'directory' },
      { name: 'f', type: 'file' },
      { name: '.x', type: 'other' },
      { name: 'gone', type: 'file' },
      { name: 'l', type: 'symlink' },
      { name: '..y', type: 'other' },
    ]);
    assert.is(listing.next(), false);
    directory.close();
  },
);

decoding('system calls are those of a platform that was tried', () => {
  assert.is(callNumbers('darwin', 'arm64'), undefined);
  assert.is(callNumbers('win32', 'x64'), undefined);
  assert.is(callNumbers('linux', 'riscv64'), undefined);
  assert.is(callNumbers('linux', 'x64')?.statx, 332);
  assert.is(callNumbers('linux', 'arm64')?.statx, 291);
  assert.equal(libraryNames('x64'), ['libc.so.6', 'libc.musl-x86_64.so.1']);
  assert.equal(libraryNames('arm64'), ['libc.so.6', 'libc.musl-aarch64.so.1']);
});

decoding.run();

const loading = suite('native: loading');

loading('versions of koffi that were tried are used, and no others', () => {
  for (const version of ['3.0.0', '3.3.4', '3.99.12']) assert.ok(isTriedVersion(version), version);
  for (const version of ['2.16.3', '4.0.0', '3.4.0-beta.1', '30.0.0', '3', '', undefined]) {
    assert.not.ok(isTriedVersion(version), String(version));
  }
});

loading('what is not there, is another version or does not load is not used, and nothing is said', () => {
  const fake = (version: string) => () => ({ version, load: () => assert.unreachable() });
  const failing = () => {
    throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
  };
  assert.is(
    loadWith(() => openKoffi(fake('2.16.3'))),
    undefined,
  );
  assert.is(
    loadWith(() => openKoffi(failing)),
    undefined,
  );
});

/** Whether there is everything that native calls take. */
function isInstalled(): boolean {
  if (callNumbers() === undefined || process.env.PERMWALK_NATIVE === '0' || runtime === 'deno') return false;
  try {
    if (runtime === 'node') createRequire(import.meta.url).resolve('koffi');
    return true;
  } catch {
    return false;
  }
}

loading('where there is everything that it takes, it is used', () => {
  // What is skipped where there are no native calls would be skipped where they are broken, too.
  if (!isInstalled()) return console.log('  skipped: no koffi here, or no Linux');
  assert.ok(hasNative);
});

loading('it pays after 250 calls, and at once where it is loaded already', async () => {
  const module = new URL('../dist/directory/native/load.js', import.meta.url);
  const text = `const { runtimeSource } = await import('${module}'); const before = runtimeSource.after;
    process.stdout.write(JSON.stringify([before, runtimeSource.load() !== undefined, runtimeSource.after]));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' });
  assert.equal(JSON.parse(output), [250, hasNative, hasNative ? 0 : 250]);
});

if (hasNative) {
  loading('PERMWALK_NATIVE=0 turns it off', async () => {
    const root = makeTree({ f: 0o600 });
    process.env.PERMWALK_NATIVE = '0';
    try {
      assert.is((await nativePass.apply(root, { mode: 'a+r' })).backend, 'anchored');
    } finally {
      delete process.env.PERMWALK_NATIVE;
    }
    assert.is((await nativePass.apply(root, { mode: 'a+r' })).backend, 'native');
  });

  /** What a check says with something else in place of some calls. */
  const checkWith = (instead: Instead) => {
    const numbers = callNumbers();
    if (numbers === undefined) throw new Error('not tried here');
    return check(new Kernel(libcWith(instead), numbers));
  };

  loading('a kernel that says and does what node:fs says is used, as far as it goes', () => {
    assert.equal(
      checkWith(() => undefined),
      { setsModes: true, renames: true },
    );
    const without = (missing: string) => checkWith((name) => (name === missing ? -1 : undefined));
    assert.equal(without('fchmodat2'), { setsModes: false, renames: true });
    assert.equal(without('renameat2'), { setsModes: true, renames: false });
    for (const missing of ['statx', 'getdents64', 'openat', 'pread64'])
      assert.is(without(missing), undefined, missing);
  });

  loading('a kernel that only says so is not', () => {
    // Nothing is written, and nothing is done.
    assert.is(
      checkWith((name) => (name === 'statx' ? 0 : undefined)),
      undefined,
    );
    assert.is(
      checkWith((name) => (name === 'getdents64' ? 0 : undefined)),
      undefined,
    );
    assert.is(
      checkWith((name) => (name === 'pread64' ? 4 : undefined)),
      undefined,
    );
    const idle = checkWith((name) => (name === 'fchmodat2' || name === 'renameat2' ? 0 : undefined));
    assert.equal(idle, { setsModes: false, renames: false });
  });

  /** What a check says with other parameters of one call. */
  const checkWithOther = (
    name: keyof CallNumbers,
    other: (...parameters: Parameters<SystemCall>) => Parameters<SystemCall>,
  ) => {
    const numbers = callNumbers() as CallNumbers;
    const { call, addressOf } = openLibc();
    const otherCall: SystemCall = (...parameters) =>
      call(...(parameters[0] === numbers[name] ? other(...parameters) : parameters));
    return check(new Kernel({ call: otherCall, addressOf }, numbers));
  };

  loading('a kernel that says or does something else is not', () => {
    const temporary = openSync(tmpdir(), constants.O_RDONLY);
    try {
      const AT_EMPTY_PATH = 0x1000;
      const ofAnother = checkWithOther('statx', (number, fd, address, flags, ...rest) => [
        number,
        (flags & AT_EMPTY_PATH) === 0 ? fd : temporary,
        address,
        flags,
        ...rest,
      ]);
      assert.is(ofAnother, undefined);
    } finally {
      closeSync(temporary);
    }
    const RENAME_EXCHANGE = 2;
    const replacing = checkWithOther('renameat2', (number, fd, from, to, target, flag) => {
      return [number, fd, from, to, target, flag & RENAME_EXCHANGE];
    });
    assert.equal(replacing, { setsModes: true, renames: false });
  });

  loading('what is held is closed to programs that are started meanwhile', () => {
    const root = makeTree({ 'a/b/f': 0o600 });
    const tree = nativePass.openTree(root);
    const top = new Place(undefined, '.');
    const directory = tree.goTo(new Place(new Place(top, 'a'), 'b'));
    const file = directory.open('f');
    const targets = execFileSync('sh', ['-c', 'ls -l /proc/self/fd; true'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    assert.is(tree.backend, 'native');
    file.close();
    tree.close();
    assert.not.match(targets, root);
  });

  loading('a check leaves nothing behind', () => {
    const left = () =>
      ['/dev/shm', tmpdir()].flatMap((directory) =>
        existsSync(directory)
          ? readdirSync(directory).filter((name) => name.startsWith('permwalk-check-'))
          : [],
      );
    const before = new Set(left());
    for (const missing of ['statx', 'getdents64', 'openat', 'fchmodat2', 'renameat2', 'nothing']) {
      checkWith((name) => (name === missing ? -1 : undefined));
    }
    // Another process may be checking right now.
    const added = left().filter((name) => !before.has(name));
    assert.equal(
      added.filter((name) => left().includes(name)),
      [],
    );
  });

  loading('a check removes what a process left that was killed within one, and nothing else', () => {
    const folder = tempDirectory();
    const left = makeCheckDirectory([folder]);
    const young = makeCheckDirectory([folder]);
    const open = makeCheckDirectory([folder]);
    const kept = makeCheckDirectory([folder]);
    const aimed = makeTree({ file: 0o600 });
    chmodSync(aimed, 0o700);
    writeFileSync(join(kept, 'more'), '');
    chmodSync(open, 0o755);
    symlinkSync(aimed, join(folder, 'permwalk-check-aimed1'));
    mkdirSync(join(folder, 'permwalk-check-longer'), 0o700);
    for (const path of [left, open, kept, aimed, join(folder, 'permwalk-check-longer')])
      utimesSync(path, 1, 1);
    const made = makeCheckDirectory([folder]);
    const there = [young, open, kept, made].map((path) => basename(path));
    assert.equal(readdirSync(folder).sort(), [...there, 'permwalk-check-aimed1'].sort());
    assert.equal([readdirSync(kept), readdirSync(open).length, readdirSync(aimed)], [['more'], 4, ['file']]);
    removeCheckDirectory(made);
    assert.not.ok(existsSync(made));
  });

  loading('a tree that proves large goes natively from there on, and a small one does not', async () => {
    const shape: TreeShape = {};
    for (let index = 0; index < 40; index += 1) shape[`d${index % 8}/f${index}`] = 0o600;
    const after = async (calls: number): Promise<PermissionReport> => {
      const root = makeTree(shape);
      const source: NativeSource = { after: calls, load: () => runtimeSource.load() };
      const report = await runPass(root, { mode: 'a+r' }, (path) => openTree(path, { native: source }));
      assert.ok(Object.values(modesBelow(root)).every((mode) => mode === '755' || mode === '644'));
      return report;
    };
    assert.is((await after(10_000)).backend, 'anchored');
    for (let calls = 0; calls < 60; calls += extent({ short: 7, full: 1 })) {
      const { backend, counts } = await after(calls);
      assert.is(backend, 'native', `${calls}`);
      assert.is(counts.changed, 40);
    }
  });

  loading(
    'a listing that is bounded goes natively at once on Bun, whose own reads a directory to its end',
    () => {
      const source: NativeSource = { after: 10_000, load: () => runtimeSource.load() };
      const backends = [undefined, 2].map((most) =>
        holding(
          makeTree({ f: 0o600 }),
          (directory) => {
            directory.list(most);
            return directory.backend;
          },
          source,
        ),
      );
      assert.equal(backends, ['anchored', runtime === 'bun' ? 'native' : 'anchored']);
    },
  );
}

loading.run();

const names = suite('native: names and listings');

/** Act on a directory that is held natively. */
function holding<T>(path: string, act: (directory: Directory) => T, source: NativeSource = nativeSource): T {
  const directory = openNative(path, undefined, source);
  if (directory === undefined) throw new Error('no anchored backend here');
  try {
    return act(directory);
  } finally {
    directory.close();
  }
}

const nativeSource: NativeSource = { after: 0, load: () => runtimeSource.load() };

if (hasNative) {
  names('names of any bytes are listed and found, and a listing is read however it is read', () => {
    if (!canUseByteNames()) return;
    const root = tempDirectory();
    const bytes = [
      [0x66],
      [0xff],
      [0x61, 0x80, 0x62],
      [0xc3, 0xa9],
      [0xf0, 0x9f, 0x98, 0x80],
      [0xed, 0xa0, 0x80],
      [0xef, 0xbb, 0xbf, 0x78],
      Array.from({ length: 255 }, () => 0xfe),
      Array.from({ length: 255 }, () => 0x61),
    ];
    for (const name of bytes) writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name)]), '');
    holding(root, (directory) => {
      const listing = directory.list();
      assert.is(listing.size, bytes.length);
      const found: string[] = [];
      while (listing.next()) {
        const before = listing.stats();
        const { name } = listing;
        assert.is(directory.lstat(name)?.ino, before?.ino, name);
        assert.is(directory.lstat(name)?.ino, lstatSync(encodeName(`${root}/${name}`)).ino, name);
        directory.chmod(name, () => 0o640);
        found.push(name);
      }
      const written = found.map((name) => Buffer.from(encodeName(name)).toString('hex')).sort();
      assert.equal(written, bytes.map((name) => Buffer.from(name).toString('hex')).sort());
      for (const name of found) assert.is(directory.lstat(name)?.mode, 0o640, name);
    });
  });

  names('names that are none, are too long or hold a zero are refused as ever', () => {
    const root = makeTree({ f: 0o600 });
    holding(root, (directory) => {
      for (const name of ['', '.', '..', 'a/b']) assert.throws(() => directory.lstat(name), RangeError);
      for (const name of ['..', 'a/b', '']) {
        assert.throws(() => directory.chmod(name, () => 0o600), RangeError);
        assert.throws(() => directory.openDirectory(name), RangeError);
      }
      for (const name of ['x'.repeat(256), '\u20ac'.repeat(200)]) {
        assert.throws(() => directory.lstat(name), /ENAMETOOLONG/);
        assert.throws(() => directory.openDirectory(name), /ENAMETOOLONG/);
      }
      for (const name of ['f\0', '\0', 'f\0f']) {
        assert.throws(() => directory.lstat(name), /null bytes|ERR_INVALID_ARG_VALUE|invalid/i);
      }
    });
  });

  names('a listing longer than its buffer is whole, and no longer than it may be', () => {
    const root = tempDirectory();
    const count = extent({ short: 1200, full: 9000 });
    for (let index = 0; index < count; index += 1)
      writeFileSync(join(root, `${index}-${'x'.repeat(200)}`), '');
    holding(root, (directory) => {
      const found = entriesOf(directory.list()).map(({ name }) => name);
      assert.equal(found.sort(), readdirSync(root).sort());
      const again = directory.list(700);
      assert.is(again.size, 700);
      assert.is(new Set(entriesOf(again).map(({ name }) => name)).size, 700);
      assert.is(entriesOf(directory.list(0)).length, 0);
    });
  });

  names('listings do not disturb each other, read to the end or not', () => {
    const root = makeTree({
      'a/1': 0o600,
      'a/2': 0o600,
      'a/3': 0o600,
      'b/4': 0o600,
      'b/5': 0o600,
      'c/': 0o755,
    });
    holding(root, (directory) => {
      const [a, b] = [directory.openDirectory('a'), directory.openDirectory('b')];
      const rest = (listing: Listing) => entriesOf(listing).map(({ name }) => name);
      const first = a.list();
      first.next();
      const seen = [first.name];
      assert.equal(rest(b.list()).sort(), ['4', '5']);
      assert.equal(rest(directory.list()).sort(), ['a', 'b', 'c']);
      const abandoned = b.list();
      abandoned.next();
      assert.equal(rest(b.list()).sort(), ['4', '5']);
      assert.equal([...seen, ...rest(first)].sort(), ['1', '2', '3']);
      assert.is(first.next(), false);
      assert.equal(rest(a.list()).sort(), ['1', '2', '3']);
      for (const held of [a, b]) held.close();
    });
  });

  names('many passes at once over trees of their own change what each should', async () => {
    const passes = Array.from({ length: extent({ short: 6, full: 24 }) }, async (_, number) => {
      const shape: TreeShape = {};
      for (let index = 0; index < 300; index += 1) shape[`d${index % 7}/é${number}-${index}`] = 0o600;
      const root = makeTree(shape);
      // Names are asked for, and slices end in the middle of a listing.
      const told: string[] = [];
      const options: ApplyOptions = { mode: 0o640 | (number % 8), onChange: ({ path }) => told.push(path) };
      const { counts } = await nativePass.apply(root, { ...options, ignore: '**/é*-299' });
      return { root, counts, told, number };
    });
    for (const { root, counts, told, number } of await Promise.all(passes)) {
      assert.is(counts.ignored, 1);
      assert.is(new Set(told).size, told.length);
      for (const [path, mode] of Object.entries(modesBelow(root))) {
        const isFile = path.includes('é');
        const expected = path.endsWith('-299') ? 0o600 : 0o640 | (number % 8);
        if (isFile) assert.is(mode, expected.toString(8), path);
      }
    }
  });
}

names.run();

const threads = suite('native: in a thread');

if (hasNative) {
  /** Works on a tree by native calls, says so, and ends when it is told to. */
  const work = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.url).then(async ({ applyPermissions, stageTree }) => {
      for (const mode of ['a+x', 'a-x']) await applyPermissions(workerData.root, { mode });
      for (let times = 0; times < 3; times += 1)
        await stageTree(workerData.root + '/app', { existing: 'replace' }, () => undefined);
      const { backend } = await applyPermissions(workerData.root, { mode: 'a+x' });
      parentPort.once('message', () => process.exit());
      parentPort.postMessage(backend);
    });`;

  threads('when it ends, the descriptors of other threads stay open', async () => {
    const shape = Object.fromEntries(
      Array.from({ length: 400 }, (_, index) => [`d${index % 20}/f${index}`, 0o600]),
    );
    const root = makeTree(shape);
    const url = new URL('../dist/index.js', import.meta.url).href;
    const worker = new Worker(work, { eval: true, workerData: { url, root }, stderr: true });
    let warnings = '';
    worker.stderr.setEncoding('utf8').on('data', (text: string) => {
      warnings += text;
    });
    const ended = once(worker, 'exit');
    const [backend] = await once(worker, 'message');
    // They get the numbers that the thread has used.
    const opened = Array.from({ length: 50 }, () => openSync(join(root, 'd0/f0'), 'r'));
    worker.postMessage('end');
    await ended;
    const { ino } = lstatSync(join(root, 'd0/f0'));
    const lost = opened.filter((fd) => {
      try {
        return fstatSync(fd).ino !== ino;
      } catch {
        return true;
      }
    });
    for (const fd of opened) if (!lost.includes(fd)) closeSync(fd);
    assert.is(backend, 'native');
    assert.equal(lost, []);
    assert.is(warnings, '');
  });
}

threads.run();
