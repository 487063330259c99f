import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ManifestError } from '../lib/errors.ts';
import type { Manifest, ManifestEntry } from '../lib/manifest/manifest.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { extent } from './helpers/extent.ts';
import { installed, normal, type Oracle, type Seen } from './helpers/oracles.ts';
import {
  DIRECTORY,
  DOS_DIRECTORY,
  FAT,
  LINK,
  type RawEntry,
  REGULAR,
  rawZip,
  UNIX,
} from './helpers/raw-zip.ts';
import { askTarfile, type PackedMember, packTar, paxHeader } from './helpers/tar.ts';
import { makeTree, tempDirectory } from './helpers/tree.ts';
import { factsOf, hasCommand, makeWithPython, run } from './helpers/zip.ts';

const RUNS = extent({ short: 8, full: 50 });

const scratch = tempDirectory();
const at = (name: string): string => join(scratch, name);
const programs = { zip: installed('zip'), tar: installed('tar') };

/** What an oracle says that the manifest does not, in words. */
function disagreements(manifest: Manifest, oracle: Oracle, path: string, hasModes: boolean): string[] {
  const seen = new Map<string, Seen>();
  for (const one of oracle.list(path)) {
    const key = normal(one.path);
    // The last entry of a path counts, and stands where it came.
    seen.delete(key);
    seen.set(key, one);
  }
  const faults: string[] = [];
  for (const entry of manifest) {
    const key = seen.has(entry.path) ? entry.path : normal(entry.alternative ?? entry.path);
    const one = seen.get(key);
    seen.delete(key);
    if (one === undefined) {
      // 7z leaves out the root; zipinfo shows what it cannot print as a question mark.
      if (entry.path !== '.') faults.push(`${oracle.name} has no ${JSON.stringify(entry)}`);
    } else if (!agrees(entry, one, hasModes)) {
      faults.push(`${oracle.name} has ${JSON.stringify(one)}, and we ${JSON.stringify(entry)}`);
    }
  }
  for (const one of seen.values()) {
    if (normal(one.path) !== '.') faults.push(`${oracle.name} has ${JSON.stringify(one)} alone`);
  }
  return faults;
}

function agrees(entry: ManifestEntry, seen: Seen, hasModes: boolean): boolean {
  // What is an empty file for some programs is a directory for others, by the DOS attributes.
  const isEmptyDirectory = entry.type === 'directory' && seen.type === 'file' && (seen.size ?? 0) === 0;
  const isHardLink = seen.type === 'hard link';
  const isType = entry.type === undefined || seen.type === undefined || entry.type === seen.type;
  if (!isType && !isEmptyDirectory && !isHardLink) return false;
  if (entry.size !== undefined && seen.size !== undefined && entry.size !== seen.size) return false;
  const areModes = hasModes && entry.mode !== undefined && seen.mode !== undefined;
  if (areModes && !isHardLink && entry.mode !== seen.mode && !isEmptyDirectory) return false;
  const areTargets = entry.linkTarget !== undefined && seen.linkTarget !== undefined;
  return !areTargets || entry.linkTarget === seen.linkTarget;
}

/** Compare what we read with what every program says. */
async function compare(path: string, kind: 'zip' | 'tar', hasModes: boolean): Promise<void> {
  const manifest = await readManifest(path);
  assert.is(manifest.format, kind);
  for (const oracle of programs[kind]) {
    assert.equal(disagreements(manifest, oracle, path, hasModes), [], `${path}: ${oracle.name}`);
  }
}

const makers = suite('archive oracles: what programs make');

const long = 'directory-with-a-long-name/'.repeat(6);
const source = makeTree({
  'bin/run': { mode: 0o755, content: '#!/bin/sh\n' },
  'bin/setuid': { mode: 0o4755, content: 'x' },
  'data/read only': { mode: 0o444, content: 'y'.repeat(5000) },
  'data/private': { mode: 0o600, content: '' },
  'data/empty/': 0o700,
  [`${long}file`]: { mode: 0o640, content: 'z' },
  'naïve/文': 'text',
});
symlinkSync('../bin/run', join(source, 'data/link'));

/** By each maker: its command, and the directory is the working directory. */
const formats: [name: string, command: string, kind: 'zip' | 'tar', line: string][] = [
  ['zip', 'zip', 'zip', 'zip -qry "$1" .'],
  ['zip, without directories', 'zip', 'zip', 'zip -qryD "$1" .'],
  ['bsdtar zip', 'bsdtar', 'zip', 'bsdtar -c --format zip -f "$1" *'],
  ['7z', '7z', 'zip', '7z a -tzip -snl "$1" . >/dev/null'],
  ['python zip', 'python3', 'zip', 'python3 -m zipfile -c "$1" bin data'],
  ...['v7', 'oldgnu', 'gnu', 'ustar', 'posix'].map((form): [string, string, 'tar', string] => [
    `GNU tar ${form}`,
    'tar',
    'tar',
    `tar --format=${form} -cf "$1" ${form === 'v7' ? 'bin data' : '.'}`,
  ]),
  ...['ustar', 'pax', 'gnutar'].map((form): [string, string, 'tar', string] => [
    `bsdtar ${form}`,
    'bsdtar',
    'tar',
    `bsdtar -c --format ${form} -f "$1" .`,
  ]),
  ['python tar', 'python3', 'tar', 'python3 -m tarfile -c "$1" .'],
];
for (const [name, command, kind, line] of formats) {
  makers(name, async () => {
    if (!hasCommand(command)) return console.log(`  (skipped: ${command} is not installed)`);
    const path = at(`${name.replaceAll(/\W+/g, '-')}.${kind}`);
    run('sh', ['-c', line, 'sh', path], source);
    await compare(path, kind, true);
  });
}

makers('hard links', async () => {
  const root = makeTree({ a: { mode: 0o755, content: 'a' } });
  linkSync(join(root, 'a'), join(root, 'b'));
  run('tar', ['-cf', at('hard.tar'), '-C', root, '.']);
  await compare(at('hard.tar'), 'tar', true);
});

/** The archive that CPython tests its tarfile with, where it is installed. */
function findTesttar(): string | undefined {
  const libraries = existsSync('/usr/lib') ? readdirSync('/usr/lib') : [];
  return libraries
    .filter((name) => name.startsWith('python3'))
    .map((name) => join('/usr/lib', name, 'test/testtar.tar'))
    .find((path) => existsSync(path));
}

makers("CPython's testtar.tar", async () => {
  const path = findTesttar();
  if (path === undefined) return console.log('  (skipped: libpython3-testsuite is not installed)');
  assert.equal(factsOf(await readManifest(path)), askTarfile(path));
});

makers('a zip with what Python can say in one', async () => {
  const script = `
with zipfile.ZipFile(path, 'w') as archive:
    archive.comment = b'a comment'
    archive.writestr(entry('./d/', stat.S_IFDIR | 0o1755), b'')
    archive.writestr(entry('d//run', stat.S_IFREG | 0o4755), b'x' * 1000)
    archive.writestr(entry('d/run', stat.S_IFREG | 0o755), b'y' * 10)
    archive.writestr(entry('none'), b'1')
`;
  await compare(makeWithPython(at('python.zip'), script), 'zip', false);
});

makers.run();

const random = suite('archive oracles: odd archives');

const part = fc.constantFrom('a', 'b', 'run.sh', 'dir', 'x y', 'B::C', 'naïve', 'Cafe\u0301', '._a', '-');
const name = fc
  .array(part, { minLength: 1, maxLength: 3 })
  // bsdtar lists one of two oddities otherwise than it extracts them.
  .filter((parts) => parts[0] !== 'B::C' || !parts.includes('Cafe\u0301'))
  .map((parts) => parts.join('/'));
const modes = fc.constantFrom(0, 0o644, 0o755, 0o600, 0o4755, 0o444);
const content = fc.constantFrom('', 'x', 'content '.repeat(40));

/** Names of what is made; those below it have it for a directory, so that every program can read it. */
function distinct<T extends { name: string }>(entries: readonly T[]): T[] {
  const kept: T[] = [];
  for (const entry of entries) {
    const clashes = kept.some(
      (one) => `${entry.name}/`.startsWith(`${one.name}/`) || `${one.name}/`.startsWith(`${entry.name}/`),
    );
    if (!clashes) kept.push(entry);
  }
  return kept;
}

interface ZipCase extends RawEntry {
  name: string;
}

const zipEntry = fc
  .record({
    name,
    kind: fc.constantFrom('file', 'file', 'directory', 'link'),
    mode: modes,
    system: fc.constantFrom(UNIX, UNIX, FAT),
    content,
    isDeflated: fc.boolean(),
    isUtf8: fc.boolean(),
    isTwice: fc.constantFrom(false, false, false, true),
  })
  .map(({ name: given, kind, mode, system, content: text, isDeflated, isUtf8, isTwice }) => {
    const isUnix = system === UNIX;
    const type = kind === 'directory' ? DIRECTORY : kind === 'link' && isUnix ? LINK : REGULAR;
    const one: ZipCase = {
      // Of other names made on FAT, unzip makes what nobody else does.
      name: isUnix ? given : given.normalize('NFD').replaceAll(/[^ -~]/g, ''),
      system,
      mode: isUnix ? type | mode : 0,
      attributes: kind === 'directory' ? DOS_DIRECTORY : 0,
      content: kind === 'directory' ? '' : type === LINK ? 'target' : text,
      isDeflated,
      flags: isUtf8 ? 1 << 11 : 0,
    };
    return { one, isDirectory: kind === 'directory', isTwice };
  });

const zipCase = fc.record({
  entries: fc.array(zipEntry, { minLength: 1, maxLength: 8 }),
  comment: fc.constantFrom('', 'a comment', 'PK\x05'),
  prefix: fc.constantFrom('', '#!/bin/sh\n'),
});

random('zip archives', async () => {
  let index = 0;
  await fc.assert(
    fc.asyncProperty(zipCase, async ({ entries, comment, prefix }) => {
      const kept = distinct(
        entries.map(({ one, isDirectory, isTwice }) => ({ ...one, isDirectory, isTwice })),
      );
      const all = kept.flatMap(({ isDirectory, isTwice, ...entry }) => {
        const named = { ...entry, name: isDirectory ? `${entry.name}/` : entry.name };
        return isTwice ? [{ ...named, mode: named.mode ?? 0, content: named.content ?? '' }, named] : [named];
      });
      index += 1;
      const path = at(`random-${index}.zip`);
      writeFileSync(path, rawZip(all, { comment: Buffer.from(comment), prefix: Buffer.from(prefix) }));
      await compare(
        path,
        'zip',
        kept.every(({ system }) => system === UNIX),
      );
    }),
    { numRuns: RUNS, includeErrorInReport: true },
  );
});

const tarEntry = fc.record({
  name,
  kind: fc.constantFrom('0', '0', '\0', '5', '2', '6', '7'),
  mode: modes,
  content,
  how: fc.constantFrom('plain', 'plain', 'pax', 'long', 'prefix'),
  isGnu: fc.boolean(),
});

random('tar archives', async () => {
  let index = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(tarEntry, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      async (entries, isEnded) => {
        const members = distinct(entries).flatMap(
          ({ name: given, kind, mode, content: text, how, isGnu }) => {
            const isFile = kind === '0' || kind === '\0' || kind === '7';
            const member: PackedMember = {
              name: kind === '5' ? `${given}/` : given,
              flag: kind,
              mode: mode.toString(8).padStart(7, '0'),
              ...(isGnu && { magic: 'ustar  \0' }),
              ...(kind === '2' && { link: 'some/target' }),
              ...(isFile && { content: text }),
            };
            if (how === 'pax')
              return [paxHeader({ path: `${given}-${'n'.repeat(120)}`, comment: 'c' }), member];
            if (how === 'long')
              return [{ name: '././@LongLink', flag: 'L', content: `${given}-${'l'.repeat(120)}\0` }, member];
            if (how === 'prefix' && !isGnu) return [{ ...member, prefix: 'some/prefix' }];
            return [member];
          },
        );
        index += 1;
        const path = at(`random-${index}.tar`);
        const bytes = packTar(members);
        writeFileSync(path, isEnded ? bytes : bytes.subarray(0, -1024));
        await compare(path, 'tar', true);
      },
    ),
    { numRuns: RUNS, includeErrorInReport: true },
  );
});

random('what is unsafe is refused, whatever programs make of it', async () => {
  mkdirSync(at('unsafe'));
  chmodSync(at('unsafe'), 0o755);
  for (const [index, bad] of ['../x', '/x', 'a/../../x', 'a\0b'].entries()) {
    const path = at(`unsafe/${index}.zip`);
    writeFileSync(path, rawZip([{ name: bad, mode: REGULAR | 0o644 }]));
    const error = await readManifest(path).catch((failure: unknown) => failure);
    assert.instance(error, ManifestError, bad);
  }
});

random.run();
