import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

/** What else than `lib/directory` touches the file system, with what, and why. */
const allowed: Record<string, { names: string[]; reason: string }> = {
  'cli/batch-file.ts': { names: ['fs.statSync'], reason: 'looks in PATH for the batch file of a command' },
  'cli/program.ts': {
    names: ['readFileSync'],
    reason: 'reads the version from our own package.json, which may lie in an archive of Electron',
  },
  'modes/umask.ts': {
    names: ['fs.lstatSync', 'fs.mkdirSync', 'fs.mkdtempSync', 'fs.readFileSync', 'fs.rmdirSync'],
    reason: 'reads the umask in /proc, or makes a directory of its own to see it',
  },
  'manifest/archive.ts': {
    names: ['constants', 'open'],
    reason:
      'reads the archive that the caller names, as an extractor reads it: also in an archive of Electron',
  },
  'manifest/read.ts': { names: ['stat'], reason: 'asks what kind of source the caller names' },
  'manifest/record.ts': { names: ['stat'], reason: 'asks what kind of source the caller names' },
  'extract/marker.ts': { names: ['fs.readFileSync'], reason: 'reads the boot id in /proc' },
};

const lib = fileURLToPath(new URL('../lib', import.meta.url));

/** Names that a source imports from node:fs and node:fs/promises; types touch nothing. */
function importedFrom(source: string): string[] {
  const names: string[] = [];
  const statement = /^import (type )?(?:\{([^}]*)\}|([\w*, ]+)) from '(?:node:)?fs(?:\/promises)?';$/gm;
  for (const [, type, braced, whole] of source.matchAll(statement)) {
    if (type !== undefined) continue;
    if (whole !== undefined) names.push(whole);
    for (const name of braced?.split(',') ?? []) {
      if (name.trim() !== '' && !name.trim().startsWith('type ')) names.push(name.trim());
    }
  }
  return names.sort();
}

/** What a source does through the one `fs` of `lib/directory`. */
function calledIn(source: string): string[] {
  if (!/^import \{[^}]*\bfs\b[^}]*\} from '[^']*\/fs\.ts';$/m.test(source)) return [];
  return [
    ...new Set([...source.matchAll(/(?<!\/)\bfs\s*\.\s*(\w+)/g)].map(([, name]) => `fs.${name}`)),
  ].sort();
}

const all = readdirSync(lib, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(lib, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
const sources = all.filter((path) => !path.startsWith('directory/'));

const test = suite('imports');

test('nothing but lib/directory touches the file system, but for what is listed', () => {
  const found: Record<string, string[]> = {};
  for (const path of sources) {
    const source = readFileSync(join(lib, path), 'utf8');
    const names = [...importedFrom(source), ...calledIn(source)];
    if (names.length > 0) found[path] = names;
  }
  const expected = Object.entries(allowed).map(([path, { names }]) => [path, names] as const);
  assert.equal(found, Object.fromEntries(expected));
});

test('in lib/directory there is one fs: that of Electron, where it runs there', () => {
  const rest = all.filter((path) => !sources.includes(path) && path !== 'directory/fs.ts');
  const importing = rest.filter((path) => importedFrom(readFileSync(join(lib, path), 'utf8')).length > 0);
  assert.equal(importing, []);
});

test('there is no other way to node:fs than an import that is counted', () => {
  for (const path of sources) {
    const source = readFileSync(join(lib, path), 'utf8');
    const mentions = source.match(/['"`](?:node:)?fs(?:\/promises)?['"`]/g) ?? [];
    const statements = source.match(/^import [^;]*? from '(?:node:)?fs(?:\/promises)?';$/gm) ?? [];
    assert.is(mentions.length, statements.length, path);
    for (const way of ['createRequire', 'getBuiltinModule', 'process.binding']) {
      // Dependencies that were bundled require it; nothing of ours does.
      if (path === 'load.ts' && way === 'getBuiltinModule') continue;
      assert.not(source.includes(way), `${path}: ${way}`);
    }
  }
});

test('a count of imports counts what it should', () => {
  const source = [
    "import { lstatSync, type Stats } from 'node:fs';",
    "import type { Dirent } from 'node:fs';",
    "import {\n  mkdir,\n  rm,\n} from 'node:fs/promises';",
    "import fs from 'fs';",
    "import { join } from 'node:path';",
  ].join('\n');
  assert.equal(importedFrom(source), ['fs', 'lstatSync', 'mkdir', 'rm']);
  assert.equal(calledIn("import { constants, fs } from '../fs.ts';\nfs.a(fs\n  .b());"), ['fs.a', 'fs.b']);
});

test.run();
