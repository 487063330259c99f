/** The command, on Windows' own Node: extractors of every kind, and what is handed to them. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  batchFiles,
  type Ended,
  files,
  filesIn,
  isWine,
  runNode,
  script,
  tempDirectory,
  writeArchive,
} from './helpers.ts';

const permwalk = fileURLToPath(new URL('../../dist/bin/permwalk.js', import.meta.url));
const unpackChild = script('unpack-child.ts');
const { startOfBatchFile } = batchFiles;
/** However it is written: Windows does not mind, a copy of the environment does. */
const pathName = Object.keys(process.env).find((name) => name.toLowerCase() === 'path') ?? 'Path';
const test = suite('command line');

const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  runNode([permwalk, ...args], { env });

/** A batch file that unpacks an archive, and writes down how it was called. */
function writeBatchFile(directory: string, name = 'extract it.cmd'): string {
  const path = join(directory, name);
  const node = `"${process.execPath}" ${process.execArgv.join(' ')} "${unpackChild}"`;
  writeFileSync(
    path,
    `@echo off\r\n${node} "${join(directory, 'called.json')}" %*\r\nexit /b %errorlevel%\r\n`,
  );
  return path;
}

/** Extract by a batch file; the arguments that the program behind it got. */
async function extractBy(
  command: readonly string[],
  directory: string,
  { archive = writeArchive(directory), env = {} }: { archive?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<{ ended: Ended; called: string[] | undefined; destination: string }> {
  const destination = join(directory, 'tree');
  const ended = await run(['extract', archive, destination, '--', ...command], env);
  const called = join(directory, 'called.json');
  return {
    ended,
    destination,
    called: existsSync(called) ? JSON.parse(readFileSync(called, 'utf8')) : undefined,
  };
}

test('apply, check and record', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const destination = join(directory, 'tree');
  const program = [process.execPath, ...process.execArgv, unpackChild, join(directory, 'called.json')];
  const extracted = await run([
    'extract',
    archive,
    destination,
    '--',
    ...program,
    '{archive}',
    '{destination}',
  ]);
  assert.is(extracted.code, 0, extracted.errors);
  assert.equal(filesIn(destination), files);
  const recorded = await run(['record', destination]);
  assert.is(recorded.code, 0, recorded.errors);
  const manifest = join(directory, 'tree.mtree');
  writeFileSync(manifest, recorded.output);
  const same = await run(['check', '--manifest', manifest, '--no-retry', destination]);
  assert.is(same.code, 0, same.output + same.errors);
  writeFileSync(join(destination, 'bin/run'), 'another size');
  const checked = await run(['check', '--manifest', archive, '--no-retry', destination]);
  assert.is(checked.code, 1);
  assert.match(checked.output + checked.errors, 'size-mismatch');
});

test('a batch file starts by its path, and by its name in PATH', async () => {
  for (const [name, command] of [
    ['extract it.cmd', undefined],
    ['unpack.bat', 'unpack'],
  ] as const) {
    const directory = tempDirectory();
    const tools = join(directory, 'tools & more');
    mkdirSync(tools);
    const file = writeBatchFile(tools, name);
    const env = { [pathName]: [tools, process.env[pathName]].join(delimiter) };
    const words = [command ?? file, '{archive}', '{destination}'];
    const { ended, destination } = await extractBy(words, directory, { env });
    assert.is(ended.code, 0, `${name}: ${ended.errors}`);
    assert.equal(filesIn(destination), files);
    assert.equal(readdirSync(directory).sort(), ['bundle.zip', 'tools & more', 'tree']);
  }
});

test('a batch file is found as Windows finds programs, but not in the working directory', () => {
  const [first, second, third] = [tempDirectory(), tempDirectory(), tempDirectory()];
  writeFileSync(join(second, 'unpack.cmd'), '');
  writeFileSync(join(third, 'unpack.exe'), '');
  const lineOf = (command: string, folders: readonly string[]) =>
    startOfBatchFile(command, [], { Path: folders.join(delimiter) })?.args.at(-1);
  for (const command of ['unpack', 'unpack.CMD']) {
    assert.match(lineOf(command, [first, second, third]) ?? '', second);
    assert.match(lineOf(command, [first, `"${second}"`]) ?? '', second);
  }
  // What Windows runs by itself is left to it.
  assert.is(lineOf('unpack', [third, second]), undefined);
  assert.is(lineOf('unpack.exe', [third, second]), undefined);
  assert.is(lineOf('missing', [first]), undefined);
  const before = process.cwd();
  process.chdir(second);
  try {
    assert.is(lineOf('unpack.cmd', [first]), undefined);
    assert.match(lineOf('.\\unpack', [first]) ?? '', 'unpack.cmd');
  } finally {
    process.chdir(before);
  }
});

/** Run a batch file with words; what the program behind it got. */
function callWith(batchFile: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): string[] {
  const environment = { ...process.env, ...env };
  const started = startOfBatchFile(batchFile, words, environment);
  assert.ok(started);
  const { status, error } = spawnSync(started.program, started.args, {
    windowsVerbatimArguments: true,
    stdio: 'ignore',
    env: environment,
  });
  assert.is(status, 0, String(error));
  return JSON.parse(readFileSync(join(dirname(batchFile), 'called.json'), 'utf8'));
}

test('every word reaches the program behind a batch file as it is', () => {
  const directory = tempDirectory();
  const batchFile = writeBatchFile(directory);
  const archive = writeArchive(directory, files, "it's a&b (1)^ !x!,;=.zip");
  const words = [
    'plain',
    '',
    'a b',
    "it's",
    'a&b',
    'a|b',
    'a^b',
    '^',
    '(a)',
    'a<b>c',
    '!PATH!',
    'a,b;c=d',
    '--x=y z',
    'back\\',
    'back \\',
    'two\\\\',
    '`a`',
    '{a}[b]~',
    'ä€ü',
    '&echo x>proof',
    'a &echo x>proof& rem ',
    // Wine's cmd.exe looks into what it has put in the place of a parameter once more.
    ...(isWine ? [] : ['100%', 'a%20b%20c', '%1', '%*', '%~dp0']),
  ];
  const before = process.cwd();
  process.chdir(directory);
  try {
    const called = callWith(batchFile, [archive, join(directory, 'tree'), ...words]);
    assert.equal(called, [archive, join(directory, 'tree'), ...words]);
    assert.not(existsSync('proof'));
  } finally {
    process.chdir(before);
  }
});

test('what cmd.exe would take for more than text is refused', () => {
  const directory = tempDirectory();
  const batchFile = writeBatchFile(directory);
  const environment = { PERMWALK_TEST: '"&calc&"' };
  const refused = [
    '%PERMWALK_TEST%',
    'a%permwalk_test:x=y%b',
    '%CD%',
    '%=ExitCode%',
    '"&calc&"',
    'a\ncalc',
    'a\rcalc',
    '^"&calc',
    'a\0b',
    'x'.repeat(9000),
  ];
  for (const word of refused) {
    const start = () => startOfBatchFile(batchFile, [word], environment);
    assert.throws(start, /cmd\.exe would not take .* as text/, word);
  }
  // One variable over two words, and the name of the batch file itself.
  assert.throws(() => startOfBatchFile(batchFile, ['%PERMWALK_', 'x%'], { 'permwalk_" "x': '' }), /as text/);
  mkdirSync(join(directory, '%PERMWALK_TEST%'));
  const named = writeBatchFile(join(directory, '%PERMWALK_TEST%'));
  assert.throws(() => startOfBatchFile(named, [], environment), /as text/);
});

test('what is refused is refused before anything is made', async () => {
  const directory = tempDirectory();
  const batchFile = writeBatchFile(directory);
  const archive = writeArchive(directory, files, '%PERMWALK_TEST%.zip');
  const { ended } = await extractBy([batchFile, '{archive}', '{destination}'], directory, {
    archive,
    env: { PERMWALK_TEST: 'x' },
  });
  assert.is(ended.code, 2, ended.errors);
  assert.match(ended.errors, 'Rename what has that name');
  assert.equal(readdirSync(directory).sort(), ['%PERMWALK_TEST%.zip', 'extract it.cmd']);
});

test('exit codes and failures of a batch file', async () => {
  const directory = tempDirectory();
  const failing = join(directory, 'fail.cmd');
  writeFileSync(failing, '@echo off\r\necho it failed 1>&2\r\nexit /b 3\r\n');
  const { ended, destination } = await extractBy([failing, '{archive}', '{destination}'], directory);
  assert.is(ended.code, 1);
  assert.match(ended.errors, 'it failed');
  assert.match(ended.errors, 'ended with code 3: nothing was published');
  assert.not(existsSync(destination));
  const missing = await extractBy(['permwalk-missing.cmd', '{archive}', '{destination}'], directory);
  assert.is(missing.ended.code, 2, missing.ended.errors);
  assert.match(missing.ended.errors, 'there is no such batch file');
});

test('quotation marks that a shell of Windows hands on, and braces that it takes away, are explained', async () => {
  const directory = tempDirectory();
  const single = await extractBy(['unpack', "'{archive}'", "'{destination}'"], directory);
  assert.is(single.ended.code, 2);
  assert.match(single.ended.errors, 'write "{archive}"');
  const bare = await extractBy(['unpack', 'archive', 'destination'], directory);
  assert.is(bare.ended.code, 2);
  assert.match(bare.ended.errors, "in PowerShell, write it in quotation marks: '{destination}'");
});

test('a drive that is not there is refused', async () => {
  const directory = tempDirectory();
  const archive = writeArchive(directory);
  const { code, errors } = await run(['extract', archive, 'Q:\\a\\b', '--', 'x', '{destination}']);
  assert.is(code, 2, errors);
});

test.run();
