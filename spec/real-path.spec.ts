/** Real paths where the runtime opens what it resolves, as Bun does: what may not be read is resolved by its directory. */
import { Buffer } from 'node:buffer';
import fs, { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode, systemError } from '../lib/directory/errors.ts';
import { decodeName, encodeName } from '../lib/directory/names.ts';
import { realPath } from '../lib/directory/real-path.ts';
import { canRunOn } from './helpers/runtime.ts';
import { makeTree } from './helpers/tree.ts';

const test = suite('real paths');

/** What a path comes to where realpath(3) fails with a code for some of them: its real path, or a code. */
function resolved(
  path: string,
  fails: (path: string) => boolean,
  code = 'EACCES',
  told: (error: unknown) => string | undefined = errorCode,
): string | undefined {
  const { realpathSync } = fs;
  const { native } = realpathSync;
  const failing = (given: fs.PathLike, options: fs.BufferEncodingOption): Buffer => {
    const text = Buffer.isBuffer(given) ? decodeName(given) : String(given);
    if (fails(text)) throw systemError(code, 'imitated', 'realpath', text);
    return native(given, options);
  };
  realpathSync.native = failing as typeof native;
  try {
    return realPath(path);
  } catch (error) {
    return told(error);
  } finally {
    realpathSync.native = native;
  }
}

const isBelow = (directory: string) => (path: string) => path.startsWith(`${directory}/`);

test('what may not be read has the name that it has in the real path of its directory', () => {
  const tree = makeTree({
    'd/': 0o755,
    'a/b/': 0o755,
    link: '-> d',
    again: '-> ./link',
    'a/up': '-> ../again',
    short: '-> a/b',
  });
  const leading = ['d', 'link', 'again', 'a/up'].map((path) => join(tree, path));
  for (const path of leading) {
    assert.is(
      resolved(path, (given) => leading.includes(given)),
      join(tree, 'd'),
      path,
    );
  }
  symlinkSync(join(tree, 'd'), join(tree, 'a/b/absolute'));
  const through = join(tree, 'short/absolute');
  assert.is(
    resolved(through, (given) => given === through),
    join(tree, 'd'),
  );
  assert.is(resolved(join(tree, 'gone'), isBelow(tree)), 'ENOENT');
  assert.is(
    resolved(join(tree, 'd'), () => true),
    'EACCES',
    'up to the root of the file system',
  );
});

test('an error that says something else is told, not gone around', () => {
  const tree = makeTree({ 'd/': 0o755 });
  for (const code of ['EIO', 'ELOOP']) assert.is(resolved(join(tree, 'd'), isBelow(tree), code), code);
});

test('an error on the way is one line, whatever the name', () => {
  const tree = makeTree({});
  const message = resolved(join(tree, 'a\nb'), isBelow(tree), 'EACCES', (error) => (error as Error).message);
  assert.is(message, `ENOENT: no such file or directory, lstat ${JSON.stringify(join(tree, 'a\nb'))}`);
});

test('forty links are followed, and at the next it is a loop', () => {
  const tree = makeTree({ 'l0/': 0o755, self: '-> self' });
  for (let index = 1; index <= 41; index += 1) symlinkSync(`l${index - 1}`, join(tree, `l${index}`));
  assert.is(resolved(join(tree, 'l40'), isBelow(tree)), join(tree, 'l0'));
  assert.is(resolved(join(tree, 'l41'), isBelow(tree)), 'ELOOP');
  assert.is(resolved(join(tree, 'self'), isBelow(tree)), 'ELOOP');
});

const keepsBytes = canRunOn(['node'], "functions of the others' node:path lose what is not UTF-8");
const withBytes = keepsBytes && process.platform === 'linux' ? test : test.skip;
withBytes('a link to a name that is not UTF-8 is followed', () => {
  const tree = makeTree({});
  const real = `${tree}/d\udcff`;
  mkdirSync(encodeName(real));
  symlinkSync(encodeName('d\udcff'), join(tree, 'link'));
  assert.is(resolved(join(tree, 'link'), isBelow(tree)), real);
});

test.run();
