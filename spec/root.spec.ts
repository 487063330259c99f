import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createPace } from '../lib/pace.ts';
import { type LinkResolution, resolveLink } from '../lib/root/links.ts';
import {
  decodeName,
  encodeName,
  isEntryOf,
  isWithin,
  joinPath,
  nameOf,
  parentOf,
} from '../lib/root/names.ts';
import { openRoot } from '../lib/root/open.ts';
import { typeOf } from '../lib/root/root.ts';
import { walk } from '../lib/root/walk.ts';
import { allPasses } from './helpers/passes.ts';
import { makeTree, modeOf, tempDirectory } from './helpers/tree.ts';

const names = suite('names');

names('bytes become text and the same bytes again, whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = decodeName(bytes);
      assert.equal(Buffer.from(encodeName(text)), Buffer.from(bytes));
    }),
    { numRuns: 2000 },
  );
});

names('bytes that are not UTF-8 leave the characters beside them as they are', () => {
  for (const text of ['é', '日', '🙂', '\ufeffx']) {
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from([0xff]), Buffer.from(text)]);
    assert.is(decodeName(bytes), `${text}\udcff${text}`);
  }
});

names('UTF-8 stays the text that it is', () => {
  assert.is(decodeName(Buffer.from('\ufefff')), '\ufefff', 'a byte order mark is part of the name');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.is(decodeName(Buffer.from(text)), text);
      assert.is(encodeName(text), text);
    }),
  );
});

names('paths are taken apart and put together', () => {
  assert.is(parentOf('a'), '.');
  assert.is(parentOf('a/b/c'), 'a/b');
  assert.is(nameOf('a'), 'a');
  assert.is(nameOf('a/b'), 'b');
  assert.is(joinPath('.', 'a'), 'a');
  assert.is(joinPath('a', 'b'), 'a/b');
  assert.ok(isWithin('.', 'a'));
  assert.ok(isWithin('a', 'a'));
  assert.ok(isWithin('a', 'a/b'));
  assert.not.ok(isWithin('a', 'ab'));
  assert.not.ok(isWithin('a/b', 'a'));
  assert.ok(isEntryOf('.', 'a'));
  assert.ok(isEntryOf('a/b', 'a/b/c'));
  for (const path of ['a', 'b/a', 'a/b/c', 'ab/c']) assert.not.ok(isEntryOf('a', path), path);
  for (const path of ['a/b', './a']) assert.not.ok(isEntryOf('', path) || isEntryOf('b', path), path);
});

names.run();

for (const { title, open } of allPasses) {
  const test = suite(`root (${title})`);

  const resolve = (tree: string, path: string): LinkResolution => {
    const root = open(tree);
    try {
      return resolveLink(root, path, root.readlink(path));
    } finally {
      root.close();
    }
  };

  test('says where a link leads without leaving the root', () => {
    const tree = makeTree({
      'a/b/f': 0o644,
      'a/link': '-> b/f',
      'a/up': '-> ../a/./b//f',
      'a/directory': '-> b/',
      'a/dot': '-> .',
      'a/root': '-> ..',
      'a/above': '-> ../..',
      'a/aboveAndBack': '-> ../../x/a/b/f',
      'a/absolute': '-> /etc/passwd',
      'a/gone': '-> b/no/such',
      'a/throughFile': '-> b/f/x',
      'a/slashFile': '-> b/f/',
      'a/chain': '-> link',
      'a/through': '-> directory/f',
      'a/loop': '-> loop2',
      'a/loop2': '-> ./loop',
      'a/throughOut': '-> absolute/x',
      'a/goneUp': '-> no/../b/f',
    });
    symlinkSync(join(tree, 'a/b'), join(tree, 'inside'));
    symlinkSync(`${tree}/../${tree.split('/').at(-1)}x`, join(tree, 'besides'));
    symlinkSync(`${tree}x`, join(tree, 'prefix'));
    symlinkSync(tree, join(tree, 'self'));
    const expected: Record<string, LinkResolution> = {
      'a/link': { kind: 'inside', path: 'a/b/f' },
      'a/up': { kind: 'inside', path: 'a/b/f' },
      'a/directory': { kind: 'inside', path: 'a/b' },
      'a/dot': { kind: 'inside', path: 'a' },
      'a/root': { kind: 'inside', path: '.' },
      'a/above': { kind: 'outside' },
      'a/aboveAndBack': { kind: 'outside' },
      'a/absolute': { kind: 'outside' },
      'a/gone': { kind: 'dangling', missing: 'a/b/no/such' },
      'a/throughFile': { kind: 'dangling', missing: 'a/b/f/x' },
      'a/slashFile': { kind: 'dangling', missing: 'a/b/f' },
      'a/chain': { kind: 'inside', path: 'a/b/f' },
      'a/through': { kind: 'inside', path: 'a/b/f' },
      'a/loop': { kind: 'loop' },
      'a/throughOut': { kind: 'outside' },
      'a/goneUp': { kind: 'dangling', missing: 'a/b/f' },
      inside: { kind: 'inside', path: 'a/b' },
      besides: { kind: 'outside' },
      prefix: { kind: 'outside' },
      self: { kind: 'inside', path: '.' },
    };
    for (const [path, resolution] of Object.entries(expected))
      assert.equal(resolve(tree, path), resolution, path);
  });

  test('follows forty links and says loop at the next', () => {
    const shape: Record<string, string> = { l0: 'end' };
    for (let index = 1; index <= 41; index += 1) shape[`l${index}`] = `-> l${index - 1}`;
    const tree = makeTree(shape);
    assert.is(resolve(tree, 'l40').kind, 'inside');
    assert.is(resolve(tree, 'l41').kind, 'loop');
  });

  test('chmod decides on the very thing that it changes', () => {
    const tree = makeTree({ 'd/f': 0o600, link: '-> d/f' });
    const root = open(tree);
    try {
      const { before, after } = root.chmod('d/f', (found) => (found.mode & 0o777) | 0o044);
      assert.is(before.mode & 0o777, 0o600);
      assert.is((after ?? 0) & 0o777, 0o644);
      assert.is(root.chmod('d/f', () => undefined).after, undefined);
      const seen: string[] = [];
      root.chmod('link', (found) => {
        seen.push(typeOf(found));
        return undefined;
      });
      assert.equal(seen, ['symlink']);
      assert.throws(() => root.chmod('gone', () => 0o777), /ENOENT.*"gone"/);
      root.enter('d');
      root.chmod('d', () => 0o700);
      root.chmod('.', () => 0o711);
      assert.is(modeOf(tree, 'd'), 0o700);
      assert.is(modeOf(tree), 0o711);
    } finally {
      root.close();
    }
  });

  test('never goes through a link, in any method', () => {
    const outside = makeTree({ f: 0o600, 'd/f': 0o600 });
    const tree = makeTree({ 'd/f': 0o600 });
    symlinkSync(outside, join(tree, 'out'));
    symlinkSync('d', join(tree, 'in'));
    const root = open(tree);
    try {
      for (const through of ['out', 'in']) {
        for (const act of [
          () => root.list(through),
          () => root.enter(through),
          () => root.lstat(`${through}/f`),
          () => root.chmod(`${through}/f`, () => 0o777),
          () => root.read(`${through}/f`, 10),
          () => root.readlink(`${through}/f`),
          () => root.sync(`${through}/f`),
          () => root.enter(`${through}/d`),
        ]) {
          assert.throws(act, (error: { reason?: string }) => error.reason === 'symlink-in-path');
        }
      }
      assert.is(modeOf(outside, 'f'), 0o600);
    } finally {
      root.close();
    }
  });

  test('finds a directory anew after rewind', () => {
    const tree = makeTree({ 'a/f': 0o600 });
    const root = open(tree);
    try {
      root.enter('a');
      renameSync(join(tree, 'a'), join(tree, 'old'));
      mkdirSync(join(tree, 'a'));
      writeFileSync(join(tree, 'a/new'), '');
      root.rewind();
      assert.equal(
        root.list('a').map(({ name }) => name),
        ['new'],
      );
    } finally {
      root.close();
    }
  });

  test('syncs files and directories, and opens nothing else', () => {
    const tree = makeTree({ f: 'content', 'd/f': 'x', l: '-> f', dangling: '-> nowhere' });
    execFileSync('mkfifo', [join(tree, 'fifo')]);
    const root = open(tree);
    try {
      for (const path of ['.', 'f', 'd', 'd/f', 'l', 'dangling', 'fifo', 'gone']) root.sync(path);
      assert.throws(
        () => root.sync('gone/f'),
        (error: { code?: string }) => error.code === 'ENOENT',
      );
    } finally {
      root.close();
    }
  });

  test('reads the start of a file, and of nothing else', () => {
    const tree = makeTree({ f: 'content', 'd/f': 'x', l: '-> f' });
    const root = open(tree);
    try {
      assert.is(Buffer.from(root.read('f', 4)).toString(), 'cont');
      assert.is(Buffer.from(root.read('f', 400)).toString(), 'content');
      assert.throws(() => root.read('d', 4));
      assert.throws(() => root.read('l', 4));
    } finally {
      root.close();
    }
  });

  test.run();
}

const walking = suite('walk');

/** A walk over a tree, with what it met in its order. */
async function walked(tree: string, start = '.', descend = (_path: string) => true): Promise<string[]> {
  const root = openRoot(tree);
  const met: string[] = [];
  const pace = createPace(undefined, () => undefined);
  try {
    const visitor = {
      enter: (path: string) => {
        met.push(`${path}/`);
        return root.list(path);
      },
      descend,
      visit: (path: string) => met.push(path),
    };
    await walk(start, visitor, pace);
  } finally {
    root.close();
  }
  return met;
}

// These are readdirp's own members, replaced by ours: a version that calls others must fail here.
walking('meets everything once, directories before their entries, links as links', async () => {
  const outside = makeTree({ 'never/f': 0o600 });
  const tree = makeTree({ 'a/b/f': 0o600, 'a/g': 0o600, 'c/h': 0o600, link: '-> a', out: `-> ${outside}` });
  const met = await walked(tree);
  assert.equal([...met].sort(), ['./', 'a/', 'a/b/', 'a/b/f', 'a/g', 'c/', 'c/h', 'link', 'out']);
  const position = (path: string) => met.indexOf(path);
  assert.ok(position('a/') < position('a/b/') && position('a/b/') < position('a/b/f'));
  assert.ok(position('a/') < position('a/g'));
});

walking('lists each directory only when it gets there', async () => {
  const tree = makeTree({ 'a/f': 0o600, 'b/': 0o700 });
  const met: string[] = [];
  const root = openRoot(tree);
  const pace = createPace(undefined, () => undefined);
  const visitor = {
    enter: (path: string) => {
      met.push(`list ${path}`);
      return root.list(path);
    },
    descend: () => true,
    visit: (path: string) => {
      met.push(path);
      // What is made in a directory that was found and not yet listed is met.
      for (const name of ['a', 'b'])
        if (!met.includes(`list ${name}`)) writeFileSync(join(tree, name, 'late'), '');
    },
  };
  writeFileSync(join(tree, 'first'), '');
  await walk('.', visitor, pace);
  root.close();
  assert.ok(met.includes('a/late') && met.includes('b/late'), met.join());
});

walking('begins below the root and leaves out what it is told to', async () => {
  const tree = makeTree({ 'a/b/f': 0o600, 'a/c/g': 0o600, 'x/y': 0o600 });
  assert.equal((await walked(tree, 'a')).sort(), ['a/', 'a/b/', 'a/b/f', 'a/c/', 'a/c/g']);
  assert.equal((await walked(tree, '.', (path) => path !== 'a')).sort(), ['./', 'x/', 'x/y']);
});

walking('rejects with the very thing that the visitor or the pace throws', async () => {
  const tree = makeTree({ 'a/f': 0o600, 'b/f': 0o600 });
  const root = openRoot(tree);
  const calm = createPace(undefined, () => undefined);
  const entering = { enter: (path: string) => root.list(path), descend: () => true, visit: () => undefined };
  for (const thrown of [new Error('no'), 'no', null]) {
    const fail = () => {
      throw thrown;
    };
    const hurried = { isOver: () => true, pause: () => Promise.reject(thrown) };
    for (const [visitor, pace] of [
      [{ ...entering, enter: fail }, calm],
      [{ ...entering, visit: fail }, calm],
      [entering, hurried],
    ] as const) {
      let caught: unknown = 'nothing';
      await walk('.', visitor, pace).catch((error: unknown) => {
        caught = error;
      });
      assert.is(caught, thrown);
    }
  }
  root.close();
});

walking('does not hold more than it needs: an emptied directory may be removed behind it', async () => {
  const tree = tempDirectory();
  for (let index = 0; index < 300; index += 1) mkdirSync(join(tree, `d${index}`));
  const root = openRoot(tree);
  const pace = createPace(undefined, () => undefined);
  const visitor = {
    enter: (path: string) => {
      const entries = root.list(path);
      if (path !== '.') rmdirSync(join(tree, path));
      return entries;
    },
    descend: () => true,
    visit: () => undefined,
  };
  await walk('.', visitor, pace);
  root.close();
  assert.equal(readdirSync(tree), []);
});

walking.run();
