/**
 * Loaded before everything else (`--import`): the rest of the process believes that it runs in Electron, whose node:fs shows a file
 * `*.asar` as a directory (lib/node/asar-fs-wrapper.ts of Electron 37): a good one has contents, a broken one is `null` for the
 * looks that do not throw, and an error without a code for the others. Modules are loaded from archives, too. `original-fs` is
 * node:fs as it was; with `ELECTRON_LACKS_ORIGINAL_FS` there is none.
 */
import fs, { type Stats } from 'node:fs';
import { createRequire, register, syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Asar } from './asar.ts';
import { scriptPath } from './runtime.ts';

type Call = (...parameters: never[]) => unknown;

const original = {
  ...fs,
  realpathSync: Object.assign(fs.realpathSync.bind(undefined), { native: fs.realpathSync.native }),
  promises: { ...fs.promises },
} as typeof fs;

/** Paths in archives, and archives, that node:fs was called with since it was asked last. */
const asked: string[] = [];
Object.assign(globalThis, { askedOfPatchedFs: () => asked.splice(0) });

Object.defineProperty(process.versions, 'electron', { value: '37.0.0', enumerable: true });

if (process.env.ELECTRON_LACKS_ORIGINAL_FS === undefined) {
  const { getBuiltinModule } = process;
  process.getBuiltinModule = ((name: string) =>
    name === 'original-fs' ? original : getBuiltinModule(name)) as typeof getBuiltinModule;
  // What an extractor of a host does: require('original-fs').
  const Module = createRequire(import.meta.url)('node:module') as { _load: (name: string) => unknown };
  const { _load } = Module;
  Module._load = (name, ...rest) => (name === 'original-fs' ? original : _load(name, ...rest));
}

/** The archive that a path is, or lies in, and what it names in it. */
function splitPath(path: unknown): { asar: string; inside: string } | undefined {
  if ((process as { noAsar?: boolean }).noAsar) return undefined;
  const text = Buffer.isBuffer(path) ? path.toString() : path instanceof URL ? fileURLToPath(path) : path;
  if (typeof text !== 'string' || !/\.asar/i.test(text)) return undefined;
  const names = normalize(text).replace(/\/$/, '').split('/');
  for (let count = names.length; count > 1; count -= 1) {
    const asar = names.slice(0, count).join('/');
    if (!asar.endsWith('.asar') || original.lstatSync(asar, { throwIfNoEntry: false })?.isDirectory())
      continue;
    asked.push(text);
    return { asar, inside: names.slice(count).join('/') };
  }
  return undefined;
}

function invalid(asar: string): Error {
  return new Error(`Invalid package ${asar}`);
}

function notFound(asar: string, inside: string): Error {
  return Object.assign(new Error(`ENOENT, ${inside} not found in ${asar}`), { code: 'ENOENT', errno: -2 });
}

/** Something about what a path names in an archive. */
function within<T>(
  { asar, inside }: { asar: string; inside: string },
  find: (archive: Asar, inside: string) => T | undefined,
): T {
  const archive = Asar.open(asar, original.readFileSync);
  if (archive === undefined) throw invalid(asar);
  const found = find(archive, inside);
  if (found === undefined) throw notFound(asar, inside);
  return found;
}

let inode = 0;

function statsIn(archive: Asar, inside: string): Stats | undefined {
  const size = archive.read(inside)?.length;
  if (size === undefined && archive.list(inside) === undefined) return undefined;
  inode += 1;
  const type = size === undefined ? fs.constants.S_IFDIR : fs.constants.S_IFREG;
  const stats = original.statSync(process.execPath);
  return Object.assign(stats, { dev: 1, ino: inode, nlink: 1, mode: type | 0o644, size: size ?? 0 });
}

/** Copy a file out of an archive, and name the copy. */
function copyOut(archive: Asar, inside: string): string | undefined {
  const content = archive.read(inside);
  if (content === undefined) return undefined;
  const path = join(
    original.mkdtempSync(join(process.env.ASAR_COPIES ?? tmpdir(), 'asar-')),
    basename(inside),
  );
  original.writeFileSync(path, content);
  return path;
}

type Answer = (
  place: { asar: string; inside: string },
  options: { throwIfNoEntry?: boolean; withFileTypes?: boolean; encoding?: BufferEncoding } | undefined,
  parameters: unknown[],
) => unknown;

function look(place: { asar: string; inside: string }, options: Parameters<Answer>[1]): Stats | null {
  try {
    return within(place, statsIn);
  } catch (error) {
    if (options?.throwIfNoEntry === false) return null;
    throw error;
  }
}

function list(place: { asar: string; inside: string }, options: Parameters<Answer>[1]): unknown {
  const names = within(place, (archive, inside) => archive.list(inside));
  if (options?.withFileTypes !== true) return names;
  return names.map((name) => {
    const stats = within({ ...place, inside: join(place.inside, name) }, statsIn);
    return Object.assign(Object.create(stats), { name });
  });
}

const answers: Record<string, Answer> = {
  lstat: look,
  stat: look,
  readdir: list,
  realpath: (place) =>
    join(
      original.realpathSync(place.asar),
      within(place, (_, inside) => inside),
    ),
  readFile: (place, options) => {
    const content = within(place, (archive, inside) => archive.read(inside));
    const encoding = typeof options === 'string' ? options : options?.encoding;
    return encoding === undefined ? content : content.toString(encoding as BufferEncoding);
  },
  access: (place) => void within(place, statsIn),
};

/** Puts an answer in the place of a call, where it is about an archive. */
function patch(table: Record<string, Call>, name: string, answer: Answer): void {
  const call = table[name] as (...parameters: unknown[]) => unknown;
  table[name] = (...parameters: unknown[]) => {
    const place = splitPath(parameters[0]);
    if (place === undefined) return call(...parameters);
    return answer(place, parameters[1] as Parameters<Answer>[1], parameters);
  };
}

const table = fs as unknown as Record<string, Call>;
const promises = fs.promises as unknown as Record<string, Call>;
const { native } = fs.realpathSync;
for (const [name, answer] of Object.entries(answers)) {
  patch(table, `${name}Sync`, answer);
  patch(promises, name, async (...parameters) => answer(...parameters));
}
const realpathTable = { native } as unknown as Record<string, Call>;
patch(realpathTable, 'native', answers.realpath as Answer);
Object.assign(fs.realpathSync, realpathTable);
for (const [names, name, open] of [
  [table, 'openSync', original.openSync],
  [promises, 'open', original.promises.open],
] as const) {
  patch(names, name, (place, _, [, ...rest]) =>
    (open as (...parameters: unknown[]) => unknown)(within(place, copyOut), ...rest),
  );
}
patch(table, 'existsSync', (place) => Asar.open(place.asar)?.list(place.inside) !== undefined);
syncBuiltinESMExports();

// Modules are read from archives by a thread of their own.
register(pathToFileURL(scriptPath(new URL('./asar-hooks.ts', import.meta.url))));
