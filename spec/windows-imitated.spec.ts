import { execFileSync, spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readWindowsTarget } from '../lib/directory/link-target.ts';
import { windowsFault } from '../lib/directory/windows-names.ts';
import { scriptCommand, scriptPath } from './helpers/runtime.ts';

const test = suite('rules of Windows');

/** What Python says, whose rules of Windows work on any system. */
function askPython(script: string, input: unknown): unknown {
  const output = execFileSync('python3', ['-W', 'ignore', '-c', script], { input: JSON.stringify(input) });
  return JSON.parse(output.toString());
}

const letters = [
  'a',
  'B',
  '.',
  ' ',
  '1',
  '\u00b2',
  '$',
  'nul',
  'CON',
  'aux',
  'prn',
  'COM',
  'lpt',
  'conin$',
  '~',
  'c:',
  '\\',
  '/',
  '..',
];
const text = fc
  .array(fc.constantFrom(...letters), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''));

test('names are refused that Python takes for devices, or that end with a dot or space', () => {
  const names = fc.sample(text, 3000).filter((name) => !/[\\/:]/.test(name));
  const script = `
import json, sys
from pathlib import PureWindowsPath as P
print(json.dumps([P(name).is_reserved() or name[-1] in '. ' for name in json.load(sys.stdin)]))`;
  const reserved = askPython(script, names) as boolean[];
  for (const [index, name] of names.entries()) {
    if (name === '.') continue;
    assert.is(windowsFault(name) !== undefined, reserved[index], JSON.stringify(name));
    assert.is(windowsFault(`d/${name}/f`) !== undefined, reserved[index], JSON.stringify(name));
  }
  assert.ok(reserved.includes(true) && reserved.includes(false));
});

test('what no name can have is named', () => {
  for (const character of '\\:*?"<>|\u0000\u001f')
    assert.match(windowsFault(`a${character}b`) ?? '', /^contains ".*", which no name/);
  assert.is(windowsFault('d/NUL.txt'), 'has a name that Windows takes for the device NUL');
  assert.is(windowsFault('d./f'), 'has a name that ends with a dot, which Windows drops');
  assert.is(windowsFault('f '), 'has a name that ends with a space, which Windows drops');
  assert.is(windowsFault('.'), undefined);
});

const drive = ['C:', 'Users', 'x'];
const onShare = ['server', 'share', 'x'];
const targets: [text: string, root: string[], says: ReturnType<typeof readWindowsTarget>][] = [
  ['..\\lib/f', drive, { from: 'here', names: ['..', 'lib', 'f'] }],
  ['C:\\Users\\x\\a\\b', drive, { from: 'root', names: ['a', 'b'] }],
  ['c:/Users//./x/a', drive, { from: 'root', names: ['a'] }],
  ['\\\\?\\C:\\Users\\x\\a', drive, { from: 'root', names: ['a'] }],
  ['\\??\\C:\\Users\\x\\a', drive, { from: 'root', names: ['a'] }],
  ['C:\\Users\\x', drive, { from: 'root', names: [] }],
  ['C:\\Users\\x\\..\\y', drive, 'unknown'],
  ['C:\\users\\x\\a', drive, 'unknown'],
  ['C:\\USERS~1\\x\\a', drive, 'unknown'],
  ['C:\\Users\\y\\..\\x', drive, 'unknown'],
  ['C:\\Users\\xx', drive, 'outside'],
  ['C:\\Users', drive, 'outside'],
  ['D:\\Users\\x', drive, 'outside'],
  ['\\\\server\\share\\x', drive, 'outside'],
  ['\\\\server\\share\\x\\a', onShare, { from: 'root', names: ['a'] }],
  ['\\\\?\\UNC\\server\\share\\x\\a', onShare, { from: 'root', names: ['a'] }],
  ['\\\\server\\other\\x', onShare, 'outside'],
  ['UNC\\server\\share\\x', onShare, { from: 'here', names: ['UNC', 'server', 'share', 'x'] }],
  ['\\\\?\\C:\\Users/x\\a', drive, 'unknown'],
  ['\\Users\\x\\a', drive, 'unknown'],
  ['C:a', drive, 'unknown'],
  ['\\\\?\\Volume{0}\\a', drive, 'unknown'],
  ['\\\\.\\pipe\\a', drive, 'unknown'],
  ['a\\..\\b', drive, 'unknown'],
  ['a\\nul', drive, 'unknown'],
  ['a:stream', drive, 'unknown'],
  ['a.', drive, 'unknown'],
  ['a\\..', drive, 'unknown'],
  // What separates names may be there twice, and at the end, where it asks for a directory.
  ['a\\\\b/', drive, { from: 'here', names: ['a', '', 'b', ''] }],
  ['..\\\\.\\..\\b', drive, { from: 'here', names: ['..', '', '.', '..', 'b'] }],
  ['C:\\Users\\x\\a\\', drive, { from: 'root', names: ['a', ''] }],
  // What begins an absolute path begins none in its midst.
  ['C:\\Users\\\\\\?\\x\\a', drive, 'outside'],
  ['\\\\?\\C:\\Users\\x\\UNC\\a', drive, { from: 'root', names: ['UNC', 'a'] }],
  ['a\\C:\\Users\\x', drive, 'unknown'],
  // No server has the name of a drive.
  ['\\\\C:\\Users\\x\\a', drive, 'unknown'],
  ['\\\\\\C:\\Users\\x\\a', drive, 'unknown'],
];

test('targets of links, with drives and backslashes', () => {
  for (const [target, root, says] of targets) assert.equal(readWindowsTarget(target, root), says, target);
});

test('a target leads to the root only where Python says so, too', () => {
  const root = 'C:\\B\\a';
  const parts = ['C:', 'c:', '\\', '/', 'B', 'b', 'a', '..', '.', '\\\\?\\', '\\??\\', 'x~1', 'nul'];
  const start = fc.constantFrom('', '', 'C:\\B\\a', 'c:/B//a', '\\\\?\\C:\\B\\a');
  const rest = fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 7 });
  const given = fc.sample(
    fc.tuple(start, rest).map(([first, all]) => first + all.join('')),
    5000,
  );
  const script = `
import json, ntpath, sys
root = ${JSON.stringify(root)}
def strip(text):
    for prefix in ('\\\\\\\\?\\\\', '\\\\??\\\\'):
        if text.startswith(prefix): text = text[len(prefix):]
    return text
print(json.dumps([ntpath.normpath(strip(text)) for text in json.load(sys.stdin)]))`;
  const normal = askPython(script, given) as string[];
  let inside = 0;
  for (const [index, target] of given.entries()) {
    const read = readWindowsTarget(target, ['C:', 'B', 'a']);
    if (typeof read === 'string') continue;
    const { from, names } = read;
    const path = names.filter((name) => name !== '' && name !== '.').join('\\');
    const meant = (normal[index] ?? '').replace(/^c:/, 'C:');
    if (from === 'root') {
      inside += 1;
      assert.is(meant, path === '' ? root : `${root}\\${path}`, target);
    } else assert.is(meant, path === '' ? '.' : path, target);
  }
  assert.ok(inside > 100);
});

if (process.platform === 'linux') {
  test('everything that is imitated of Windows', () => {
    const [program, ...args] = scriptCommand;
    const command = [
      ...args,
      '--import',
      scriptPath(new URL('helpers/imitate-windows.ts', import.meta.url)),
      scriptPath(new URL('windows/pass.ts', import.meta.url)),
    ];
    const { status, stdout, stderr } = spawnSync(program, command, { encoding: 'utf8' });
    assert.is(status, 0, `${stdout}${stderr}`);
    const count = (name: string) => Number(new RegExp(`${name}: +(\\d+)`).exec(stdout)?.[1]);
    assert.ok(count('Total') > 20 && count('Passed') === count('Total'), stdout);
  });
}

test.run();
