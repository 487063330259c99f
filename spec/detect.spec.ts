import { chownSync, lstatSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { detectExecutable, isExecutableFile } from '../lib/modes/detect.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { runPass } from '../lib/pass/apply.ts';
import { whenReading } from './helpers/by-path.ts';
import { isRoot, NOBODY, passInChild } from './helpers/child.ts';
import { runCli, runJson } from './helpers/cli.ts';
import { extent } from './helpers/extent.ts';
import { impatient, passes, reasonsOf, rejectedReport } from './helpers/passes.ts';
import { makeTree, modeOf, modesBelow } from './helpers/tree.ts';
import { hasCommand, run } from './helpers/zip.ts';

const script = '#!/bin/sh\n';

/** Whether a file with this content is executable, and how many bytes were asked for at most. */
function examine(content: Uint8Array): [isExecutable: boolean, asked: number] {
  let asked = 0;
  const isExecutable = isExecutableFile((length) => {
    asked = Math.max(asked, length);
    return content.subarray(0, length);
  });
  return [isExecutable, asked];
}

const real = suite('detect: programs and libraries of this machine');

/** Type and interpreter of ELF files as readelf sees them. */
function askReadelf(paths: readonly string[]): Map<string, boolean> {
  const found = new Map<string, boolean>();
  const output = run('sh', ['-c', 'LC_ALL=C readelf -hlW "$@" 2>/dev/null || true', 'sh', ...paths]);
  for (const part of output.split(/^File: /m).slice(1)) {
    const path = part.slice(0, part.indexOf('\n'));
    const type = /^ +Type: +(\w+)/m.exec(part)?.[1];
    const hasInterpreter = /^ +INTERP /m.test(part);
    if (type !== undefined) found.set(path, type === 'EXEC' || (type === 'DYN' && hasInterpreter));
  }
  return found;
}

const hasReadelf = process.platform === 'linux' && hasCommand('readelf');
const withReadelf = hasReadelf ? real : real.skip;
if (!hasReadelf) process.stderr.write('readelf is not installed: the spec of real ELF files is skipped\n');

withReadelf('as readelf sees them', async () => {
  const most = extent({ short: 25, full: 500 });
  const find = [
    `find -L /usr/bin /usr/sbin /usr/libexec /usr/lib/git-core -type f -perm -u+x | head -n ${most}`,
    `find /usr/lib /lib64/ -type f -name "*.so*" | head -n ${most}`,
    'find /usr/lib -type f -name "*.o" | head -n 50',
    `echo ${process.execPath}`,
  ].join('; ');
  const paths = run('sh', ['-c', `(${find}) 2>/dev/null`])
    .trim()
    .split('\n');
  const expected = askReadelf(paths);
  const counts = { true: 0, false: 0 };
  for (const [path, isExecutable] of expected) {
    const handle = await open(path);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1 << 16), 0, 1 << 16, 0);
    await handle.close();
    assert.is(examine(buffer.subarray(0, bytesRead))[0], isExecutable, path);
    counts[`${isExecutable}`] += 1;
  }
  assert.ok(counts.true > most / 5 && counts.false > most / 5, JSON.stringify(counts));
});

real.run();

const forms = suite('detect: forms');

forms('scripts', () => {
  for (const content of ['#!/bin/sh\n', '#! /usr/bin/env python3', '#!python\n', '#!', '#!/']) {
    assert.is(examine(Buffer.from(content))[0], true, content);
  }
  for (const content of [
    '',
    '#',
    '# !/bin/sh',
    ' #!/bin/sh',
    '\ufeff#!/bin/sh',
    '#![allow(dead_code)]\n',
    '//usr/bin/env',
    'MZ\0\0',
  ]) {
    assert.is(examine(Buffer.from(content))[0], false, content);
  }
});

interface ElfForm {
  bits: 32 | 64;
  isLittle: boolean;
  type: number;
  /** Types of its program headers. */
  headers: number[];
  /** Where these begin. */
  start?: number;
  headerLength?: number;
}

const PT_LOAD = 1;
const PT_INTERP = 3;
const [ET_REL, ET_EXEC, ET_DYN, ET_CORE] = [1, 2, 3, 4] as const;

/** An ELF file as small as can be. */
function makeElf({
  bits,
  isLittle,
  type,
  headers,
  start = bits === 64 ? 64 : 52,
  headerLength = bits === 64 ? 56 : 32,
}: ElfForm): Buffer {
  const bytes = Buffer.alloc(start + headers.length * Math.max(headerLength, 4));
  const put16 = (value: number, at: number): void =>
    void (isLittle ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at));
  const put32 = (value: number, at: number): void =>
    void (isLittle ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at));
  bytes.write('\x7fELF', 'latin1');
  bytes[4] = bits / 32;
  bytes[5] = isLittle ? 1 : 2;
  put16(type, 16);
  put32(start, bits === 32 ? 28 : isLittle ? 32 : 36);
  put16(headerLength, bits === 32 ? 42 : 54);
  put16(headers.length, bits === 32 ? 44 : 56);
  for (const [index, header] of headers.entries()) put32(header, start + index * headerLength);
  return bytes;
}

for (const bits of [32, 64] as const) {
  for (const isLittle of [true, false]) {
    const form = { bits, isLittle, headers: [6, PT_INTERP, PT_LOAD] };
    forms(`ELF of ${bits} bits, ${isLittle ? 'little' : 'big'}-endian`, () => {
      assert.equal(examine(makeElf({ ...form, type: ET_DYN })), [true, 4096]);
      assert.equal(examine(makeElf({ ...form, type: ET_DYN, headers: [6, PT_LOAD, PT_LOAD] })), [
        false,
        4096,
      ]);
      assert.is(examine(makeElf({ ...form, type: ET_DYN, headers: [] }))[0], false);
      assert.is(examine(makeElf({ ...form, type: ET_EXEC, headers: [] }))[0], true, 'statically linked');
      for (const type of [0, ET_REL, ET_CORE, 0xfe00])
        assert.is(examine(makeElf({ ...form, type }))[0], false);
      assert.is(
        examine(
          makeElf({ ...form, type: ET_DYN, headers: [...Array(60).fill(PT_LOAD), PT_INTERP], start: 100 }),
        )[0],
        true,
      );
    });

    forms(
      `ELF of ${bits} bits, ${isLittle ? 'little' : 'big'}-endian: program headers far from the start`,
      () => {
        const end = 3 * (bits === 64 ? 56 : 32);
        for (const start of [4090, 20_000, 65_536 - end]) {
          assert.equal(examine(makeElf({ ...form, type: ET_DYN, start })), [true, start + end]);
          assert.equal(
            examine(makeElf({ ...form, type: ET_DYN, start, headers: [PT_LOAD, PT_LOAD, PT_LOAD] })),
            [false, start + end],
          );
          const cut = makeElf({ ...form, type: ET_DYN, start }).subarray(0, start + 8);
          assert.is(examine(cut)[0], false, 'cut off');
        }
        assert.equal(
          examine(makeElf({ ...form, type: ET_DYN, start: 65_537 - end })),
          [false, 4096],
          'too far',
        );
      },
    );
  }
}

forms('ELF that is cut off, or has program headers of another length, is not run', () => {
  for (const bits of [32, 64] as const) {
    const form = { bits, isLittle: true, headers: [PT_INTERP] };
    const [least, step] = bits === 64 ? [64, 56] : [52, 32];
    for (let length = 4; length < least; length += 1) {
      const cut = makeElf({ ...form, type: ET_DYN }).subarray(0, length);
      assert.equal(examine(cut), [false, 4096], `${bits} bits, ${length}`);
      if (length < 52) assert.is(examine(makeElf({ ...form, type: ET_EXEC }).subarray(0, length))[0], false);
    }
    for (const headerLength of [1, 3, 4, step - 1, step + 1]) {
      const found = examine(makeElf({ ...form, type: ET_DYN, headerLength }))[0];
      assert.is(found, false, `${bits} bits, ${headerLength}`);
    }
    assert.equal(
      examine(makeElf({ ...form, type: ET_DYN, start: 4092 })),
      [true, 4096],
      'what is there tells',
    );
  }
});

forms('ELF with program headers of no length, or too many', () => {
  const elf = makeElf({ bits: 64, isLittle: true, type: ET_DYN, headers: [PT_INTERP] });
  assert.is(examine(elf)[0], true);
  elf.writeUInt16LE(0, 54);
  assert.is(examine(elf)[0], false);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt32LE(PT_LOAD, 64);
  elf.writeUInt16LE(0xffff, 56);
  assert.is(examine(elf)[0], false);
  elf.fill(0xff, 32, 40);
  assert.is(examine(elf)[0], false);
});

const [MH_OBJECT, MH_EXECUTE, MH_DYLIB, MH_DYLINKER, MH_BUNDLE] = [1, 2, 6, 7, 8] as const;

/** A Mach-O header. */
function makeMachO(bits: 32 | 64, isLittle: boolean, type: number): Buffer {
  const bytes = Buffer.alloc(bits === 64 ? 32 : 28);
  const words = [bits === 64 ? 0xfeedfacf : 0xfeedface, 0x0100000c, 0, type];
  for (const [index, word] of words.entries()) {
    if (isLittle) bytes.writeUInt32LE(word, 4 * index);
    else bytes.writeUInt32BE(word, 4 * index);
  }
  return bytes;
}

/** A universal binary of programs that begin at these offsets. */
function makeFat(bits: 32 | 64, isLittle: boolean, programs: [offset: number, program: Buffer][]): Buffer {
  const last = programs.at(-1);
  const bytes = Buffer.alloc(Math.max(4096, last === undefined ? 0 : last[0] + last[1].length));
  const length = bits === 64 ? 32 : 20;
  const put32 = (value: number, at: number): void =>
    void (isLittle ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at));
  put32(bits === 64 ? 0xcafebabf : 0xcafebabe, 0);
  put32(programs.length, 4);
  for (const [index, [offset, program]] of programs.entries()) {
    const start = 8 + index * length;
    put32(7, start);
    put32(offset, start + 8 + (bits === 64 && !isLittle ? 4 : 0));
    program.copy(bytes, offset);
  }
  return bytes;
}

for (const bits of [32, 64] as const) {
  for (const isLittle of [true, false]) {
    const kind = `${bits} bits, ${isLittle ? 'little' : 'big'}-endian`;
    forms(`Mach-O of ${kind}`, () => {
      assert.equal(examine(makeMachO(bits, isLittle, MH_EXECUTE)), [true, 4096]);
      for (const type of [0, MH_OBJECT, MH_DYLIB, MH_DYLINKER, MH_BUNDLE]) {
        assert.equal(examine(makeMachO(bits, isLittle, type)), [false, 4096]);
      }
      assert.is(examine(makeMachO(bits, isLittle, MH_EXECUTE).subarray(0, 15))[0], false);
    });

    forms(`universal Mach-O of ${kind}`, () => {
      const program = makeMachO(64, true, MH_EXECUTE);
      const library = makeMachO(64, true, MH_DYLIB);
      assert.equal(
        examine(
          makeFat(bits, isLittle, [
            [1024, program],
            [2048, program],
          ]),
        ),
        [true, 4096],
      );
      assert.equal(
        examine(
          makeFat(bits, isLittle, [
            [1024, library],
            [2048, program],
          ]),
        ),
        [false, 4096],
      );
      for (const offset of [4095, 16_384, 65_520]) {
        assert.equal(examine(makeFat(bits, isLittle, [[offset, program]])), [true, offset + 16]);
        assert.equal(examine(makeFat(bits, isLittle, [[offset, library]])), [false, offset + 16]);
        assert.is(examine(makeFat(bits, isLittle, [[offset, program]]).subarray(0, offset + 10))[0], false);
      }
      assert.equal(examine(makeFat(bits, isLittle, [[65_521, program]])), [false, 4096], 'too far');
      assert.is(examine(makeFat(bits, isLittle, []))[0], false);
      assert.is(
        examine(makeFat(bits, isLittle, [[1024, Buffer.from('!<arch>\n')]]))[0],
        false,
        'static libraries',
      );
      assert.is(examine(makeFat(bits, isLittle, [[0, program.subarray(0, 0)]]))[0], false, 'itself');
    });
  }
}

forms('what has everything of a Mach-O program but the magic number or the count is none', () => {
  const program = makeMachO(64, false, MH_EXECUTE);
  const universal = makeFat(32, false, [[1024, program]]);
  assert.is(examine(program)[0] && examine(universal)[0], true);
  for (const [bytes, position] of [
    [program, 0],
    [program, 3],
    [universal, 0],
    [universal, 3],
    [universal, 7],
    [universal, 1024],
  ] as const) {
    const odd = Buffer.from(bytes);
    odd[position] = 0;
    assert.equal(examine(odd), [false, 4096], `${position} of ${bytes.length}`);
  }
});

forms('Java class files are no universal binaries', () => {
  const program = makeMachO(64, true, MH_EXECUTE);
  for (const [minor, major] of [
    [0, 45],
    [3, 45],
    [0, 52],
    [0, 65],
    [0xffff, 70],
  ] as const) {
    const bytes = makeFat(32, false, [[1024, program]]);
    bytes.writeUInt16BE(minor, 4);
    bytes.writeUInt16BE(major, 6);
    assert.equal(examine(bytes), [false, 4096], `${major}.${minor}`);
  }
});

forms('any bytes are told, or more of them asked for', () => {
  const magics = [
    '7f454c46',
    '7f454c46020101',
    '7f454c46010201',
    'cafebabe',
    'cafebabe00000002',
    'bfbafeca01000000',
    'cafebabf',
    'feedface',
    'cffaedfe',
    '2321',
    '',
  ];
  const bytes = fc
    .tuple(fc.constantFrom(...magics), fc.uint8Array({ maxLength: 200, size: 'max' }))
    .map(([magic, rest]) => Buffer.concat([Buffer.from(magic, 'hex'), rest]));
  const counts = new Map<unknown, number>();
  fc.assert(
    fc.property(bytes, (content) => {
      // Of a larger buffer only the bytes themselves may be read.
      const found = detectExecutable(
        Buffer.concat([Buffer.from('#!'), content, Buffer.alloc(64, 3)]).subarray(2, 2 + content.length),
      );
      assert.is(found, detectExecutable(content));
      if (typeof found === 'number') assert.ok(found > content.length, `${found}`);
      examine(content);
      counts.set(
        typeof found === 'number' ? 'more' : found,
        (counts.get(typeof found === 'number' ? 'more' : found) ?? 0) + 1,
      );
    }),
    { numRuns: extent({ short: 600, full: 3000 }) },
  );
  assert.is(counts.size, 3, [...counts].join(' '));
});

forms.run();

for (const { backend, openTree: openTested, apply } of passes) {
  const test = suite(`detect: in a pass (${backend})`);

  /** A pass, and which files it read. */
  async function applyAndCount(root: string, options: ApplyOptions): Promise<string[]> {
    const read: string[] = [];
    await runPass(root, options, (path) =>
      whenReading(openTested(path), (file, original) => {
        const opened = original();
        const readIt = opened.read.bind(opened);
        return Object.assign(opened, {
          read: (length: number) => {
            read.push(file);
            return readIt(length);
          },
        });
      }),
    );
    return read.sort();
  }

  const shape = {
    'bin/script': { mode: 0o644, content: script },
    'bin/program': { mode: 0o640, content: '' },
    'lib/library.so': { mode: 0o644, content: '' },
    'lib/data': { mode: 0o644, content: 'data' },
    'lib/empty': { mode: 0o644, content: '' },
  };
  /** A tree with executables of every kind, and without exec bits. */
  const makeFiles = (): string => {
    const root = makeTree(shape);
    writeFileSync(
      join(root, 'bin/program'),
      makeElf({ bits: 64, isLittle: true, type: ET_EXEC, headers: [] }),
    );
    writeFileSync(
      join(root, 'lib/library.so'),
      makeElf({ bits: 64, isLittle: true, type: ET_DYN, headers: [] }),
    );
    return root;
  };
  const found = {
    '.': '755',
    bin: '755',
    lib: '755',
    'bin/script': '755',
    'bin/program': '750',
    'lib/library.so': '644',
    'lib/data': '644',
    'lib/empty': '644',
  };

  test('without a manifest, what the walk finds', async () => {
    const root = makeFiles();
    assert.equal(await applyAndCount(root, { umask: 0o022 }), []);
    assert.is(modeOf(root, 'bin/script'), 0o644);
    const read = await applyAndCount(root, { detect: true, umask: 0o022 });
    assert.equal(modesBelow(root), found);
    assert.equal(read, ['bin/program', 'bin/script', 'lib/data', 'lib/empty', 'lib/library.so']);
    const again = await applyAndCount(root, { detect: true, umask: 0o022 });
    assert.equal(
      again,
      ['lib/data', 'lib/empty', 'lib/library.so'],
      'what is executable already is not read',
    );
  });

  test('with a manifest, only files of unknown mode', async () => {
    const root = makeFiles();
    const manifest = [
      { path: 'bin/script', type: 'file', size: 10 },
      { path: 'bin/program' },
      { path: 'lib/library.so' },
      { path: 'lib/data', mode: 0o755 },
      { path: 'lib/empty' },
      'lib/',
    ] as const;
    const read = await applyAndCount(root, { manifest, detect: true, umask: 0o022 });
    assert.equal(modesBelow(root), { ...found, 'lib/data': '755' });
    assert.equal(read, ['bin/program', 'bin/script', 'lib/empty', 'lib/library.so']);
  });

  test('a mode that is known counts, not the content', async () => {
    const root = makeFiles();
    const manifest = [
      { path: 'bin/script', mode: 0o644 },
      { path: 'lib/data', mode: 0o755 },
      { path: 'bin/program', mode: 0 },
    ];
    assert.equal(await applyAndCount(root, { manifest, detect: true, umask: 0o022 }), []);
    assert.is(modeOf(root, 'bin/script'), 0o644);
  });

  test('where no file of a manifest has x, each is looked into, and that is said', async () => {
    const root = makeFiles();
    const manifest = [
      { path: 'bin/script', mode: 0o666 },
      { path: 'bin/program', mode: 0o644 },
      { path: 'lib/library.so', mode: 0 },
      { path: 'lib', type: 'directory', mode: 0o755 },
    ] as const;
    const told: unknown[] = [];
    const look = async (options: ApplyOptions) => {
      const report = await apply(root, { manifest, umask: 0o022, ...options });
      told.push(report.warnings.map(({ code }) => code));
      return modesBelow(root);
    };
    assert.is((await look({}))['bin/script'], '644');
    const modes = await look({ detect: true });
    assert.equal([modes['bin/script'], modes['bin/program'], modes['lib/library.so']], ['755', '750', '644']);
    assert.equal(told, [[], ['no-exec-bits']]);
  });

  test('what the manifest does not name, where the tree is walked', async () => {
    const root = makeFiles();
    const manifest = [
      { path: 'lib/data', mode: 0o644 },
      { path: 'bin/script', mode: 0o755 },
    ];
    const read = await applyAndCount(root, { manifest, detect: true, discover: true, umask: 0o022 });
    assert.equal(modesBelow(root), found);
    assert.is(read.includes('lib/data'), false);
  });

  test('what a glob names or ignores is not read', async () => {
    const root = makeFiles();
    const read = await applyAndCount(root, {
      detect: true,
      executable: 'lib/d*',
      ignore: 'bin',
      umask: 0o022,
    });
    assert.equal(read, ['lib/empty', 'lib/library.so']);
    assert.is(modeOf(root, 'lib/data'), 0o755);
    assert.is(modeOf(root, 'bin/script'), 0o644);
  });

  test('is refused in any other mode', async () => {
    for (const mode of ['manifest', 0o640, 'u+rw'] as const) {
      const root = makeFiles();
      const before = modeOf(root, 'bin/script');
      const failure = await applyAndCount(root, { detect: true, mode, umask: 0o022 }).catch((error) => error);
      assert.instance(failure, RangeError);
      assert.match(failure.message, /^detect: works only in mode 'executable', and mode is /);
      assert.is(modeOf(root, 'bin/script'), before);
    }
  });

  test('x only where there is r, under the umask, and only said in a dry run', async () => {
    const root = makeTree({
      a: { mode: 0o604, content: script },
      b: { mode: 0o200, content: script },
      c: { mode: 0o4644, content: script },
    });
    const changes: unknown[] = [];
    const options: ApplyOptions = { detect: true, umask: 0o027, onChange: (change) => changes.push(change) };
    await apply(root, { ...options, dryRun: true });
    assert.equal(modesBelow(root), { '.': '755', a: '604', b: '200', c: '4644' });
    await apply(root, options);
    assert.equal(modesBelow(root), { '.': '755', a: '704', b: '200', c: '4754' });
    assert.equal(changes.slice(0, 2), changes.slice(2));
    assert.is(changes.length, 4);
  });

  test('a file that is not whole yet is read when it is', async () => {
    const root = makeTree({ late: { mode: 0o644, content: '' } });
    const manifest = [
      { path: 'late', size: script.length },
      { path: 'never', size: 3 },
    ];
    const timer = setTimeout(() => writeFileSync(join(root, 'late'), script), 30);
    const report = await rejectedReport(
      apply(root, {
        manifest,
        detect: true,
        umask: 0o022,
        retry: { retries: 10, minTimeout: 10, maxTimeout: 20, maxRetryTime: 400 },
      }),
    );
    clearTimeout(timer);
    assert.equal(reasonsOf(report), ['never: missing']);
    assert.is(modeOf(root, 'late'), 0o755);
  });

  test("verify 'none' looks into what has no mode", async () => {
    const root = makeTree({
      a: { mode: 0o644, content: script },
      b: { mode: 0o644, content: script },
      c: 0o755,
    });
    const manifest = [
      { path: 'a' },
      { path: 'b', mode: 0o644 },
      { path: 'missing', mode: 0o644 },
      { path: 'c', mode: 0o755 },
    ];
    await apply(root, { manifest, detect: true, verify: 'none', umask: 0o022 });
    assert.equal(modesBelow(root), { '.': '755', a: '755', b: '644', c: '755' });
  });

  test('hard links are dealt with as ever, links and special files are not read', async () => {
    const root = makeTree({ a: { mode: 0o644, content: script }, link: '-> a' });
    run('ln', [join(root, 'a'), join(root, 'b')]);
    run('mkfifo', [join(root, 'fifo')]);
    const report = await rejectedReport(apply(root, { detect: true, hardLinks: 'error', retry: impatient }));
    assert.equal(reasonsOf(report), ['a: hard-linked', 'b: hard-linked']);
    assert.is(report.counts.special, 1);
    await apply(root, { detect: true, umask: 0o022 });
    assert.is(modeOf(root, 'a'), 0o755);
  });

  test('a file that turns into something else before it is read is looked at again', async () => {
    for (const code of ['EINVAL', 'ELOOP']) {
      const root = makeTree({ a: { mode: 0o644, content: script } });
      let reads = 0;
      const report = await runPass(root, { detect: true, umask: 0o022 }, (path) => {
        return whenReading(openTested(path), (_, original) => {
          reads += 1;
          if (reads === 1) throw Object.assign(new Error(code), { code });
          return original();
        });
      });
      assert.is(reads, 2);
      assert.is(report.counts.changed, 1);
      assert.is(modeOf(root, 'a'), 0o755);
    }
  });

  test('a file that cannot be read is unresolved', async () => {
    const root = makeTree({
      closed: { mode: 0o044, content: script },
      open: { mode: 0o644, content: script },
    });
    if (isRoot) for (const name of ['.', 'closed', 'open']) chownSync(join(root, name), NOBODY, NOBODY);
    const options = { detect: true, strict: false, umask: 0o022, retry: false } as const;
    const { report } = await passInChild({ root, options, backend, asNobody: true });
    assert.is(report?.backend, backend);
    assert.equal(reasonsOf(report ?? { unresolved: [] }), ['closed: permission-denied']);
    assert.is(report?.unresolved[0]?.code, 'EACCES');
    assert.is(lstatSync(join(root, 'closed')).mode & 0o777, 0o044);
    assert.is(modeOf(root, 'open'), 0o755);
  });

  test.run();
}

const outside = suite('detect: option and flag');

outside('only true or false', async () => {
  const root = makeTree({ a: { mode: 0o644, content: script } });
  const [pass] = passes;
  for (const detect of ['yes', 1, null]) {
    const refusal = await pass?.apply(root, { detect } as unknown as ApplyOptions).catch((error) => error);
    assert.instance(refusal, TypeError);
    assert.match(refusal.message, /^detect: expected true or false/);
  }
  assert.is(modeOf(root, 'a'), 0o644);
});

outside('--detect', async () => {
  const root = makeTree({ a: { mode: 0o644, content: script }, b: { mode: 0o644, content: 'text' } });
  const without = await runJson(['check', root, '--umask', '022']);
  assert.is(without.report.counts.changed, 0);
  const check = await runCli(['check', root, '--detect', '--umask', '022']);
  assert.is(check.code, 1, check.stderr);
  const { code, report } = await runJson(['apply', root, '--detect', '--umask', '022']);
  assert.is(code, 0);
  assert.is(report.counts.changed, 1);
  assert.equal(modesBelow(root), { '.': '755', a: '755', b: '644' });
  assert.match((await runCli(['apply', '--help'])).stdout, /--detect +for files of unknown mode/);
});

outside.run();
