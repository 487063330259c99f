/**
 * Loaded before everything else (`--import`), after `imitate-macos.ts`: paths of node:fs lead where they lead on a file system that
 * folds case and normalises (APFS). A name that is not there in its spelling is the entry that is there in another.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { lstatSync, readdirSync } = fs;
const fold = (name: string) => name.normalize('NFD').toUpperCase();

/** The path in the spelling on disk, as far as it is there. */
function onDisk(path: string): string {
  let found = '';
  for (const name of path.split('/').slice(1)) {
    const exact = `${found}/${name}`;
    if (name === '' || lstatSync(exact, { throwIfNoEntry: false }) !== undefined) {
      found = exact;
      continue;
    }
    let other: string | undefined;
    try {
      other = readdirSync(found === '' ? '/' : found).find((entry) => fold(entry) === fold(name));
    } catch {
      // Nothing is there in any spelling.
    }
    found = `${found}/${other ?? name}`;
  }
  return found;
}

type Call = (path: unknown, ...rest: unknown[]) => unknown;

const table = fs as unknown as Record<string, Call>;
const names = [
  'openSync',
  'lstatSync',
  'statSync',
  'chmodSync',
  'readlinkSync',
  'readdirSync',
  'opendirSync',
];
for (const name of names) {
  const original = table[name] as Call;
  table[name] = (path, ...rest) =>
    original(typeof path === 'string' && path.startsWith('/') ? onDisk(path) : path, ...rest);
}
syncBuiltinESMExports();
