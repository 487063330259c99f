import { spawnSync } from 'node:child_process';
import { type ZipOptions, type Zippable, zipSync } from 'fflate';
import * as assert from 'uvu/assert';
import { ManifestError } from '../../lib/errors.ts';
import type { Manifest, ManifestEntry } from '../../lib/manifest/manifest.ts';
import { runPython } from './python.ts';

/** One entry of an archive that {@link packZip} makes. */
export interface PackedEntry {
  /** All 16 bits of the Unix mode. Default: none, as on a system without Unix modes. */
  mode?: number;
  content?: string;
  /** 0: stored. Default: deflated. */
  level?: 0 | 6;
  /** Extra fields by their number. */
  extra?: Record<number, Uint8Array>;
}

/** A small archive made in this process. A name that ends in `/` is a directory. */
export function packZip(entries: Record<string, PackedEntry>): Buffer {
  const files: Zippable = {};
  for (const [name, { mode, content = '', level = 6, extra }] of Object.entries(entries)) {
    const options: ZipOptions = { os: mode === undefined ? 0 : 3, level, mtime: '2024-01-01' };
    if (mode !== undefined) options.attrs = mode * 0x10000;
    if (extra !== undefined) options.extra = extra;
    files[name] = [Buffer.from(content), options];
  }
  return Buffer.from(zipSync(files));
}

/** Where the records of an archive without zip64 begin. */
export interface Records {
  /** End of central directory record. */
  end: number;
  /** Headers of the central directory. */
  headers: number[];
}

export function findRecords(bytes: Buffer): Records {
  const end = bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  const headers: number[] = [];
  for (let start = bytes.readUInt32LE(end + 16); bytes.readUInt32LE(start) === 0x02014b50; ) {
    headers.push(start);
    const [name, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(start + field));
    start += 46 + (name ?? 0) + (extra ?? 0) + (comment ?? 0);
  }
  return { end, headers };
}

/**
 * A copy of an archive with other bytes.
 *
 * @param change gets the copy, its end record's offset, and the offset of its first header
 */
export function alter(
  bytes: Buffer,
  change: (copy: Buffer, end: number, header: number, headers: number[]) => void,
): Buffer {
  const copy = Buffer.from(bytes);
  const { end, headers } = findRecords(copy);
  change(copy, end, headers[0] ?? end, headers);
  return copy;
}

/** What is known of each entry, without the keys of what is not. */
export function allFactsOf(manifest: Manifest): ManifestEntry[] {
  return JSON.parse(JSON.stringify(manifest.entries)) as ManifestEntry[];
}

/** The same without what every file of a zip has: its CRC-32. */
export function factsOf(manifest: Manifest): ManifestEntry[] {
  return allFactsOf(manifest).map(({ digest, ...entry }) =>
    digest === undefined || digest.algorithm === 'crc32' ? entry : { ...entry, digest },
  );
}

/** The error that reading a broken manifest rejects with. */
export async function failureOf(reading: Promise<Manifest>): Promise<ManifestError> {
  try {
    await reading;
  } catch (error) {
    assert.instance(error, ManifestError, `${error}`);
    return error as ManifestError;
  }
  return assert.unreachable('it was read') as never;
}

const commands = new Map<string, boolean>();

/** True where a command is installed. */
export function hasCommand(name: string): boolean {
  let known = commands.get(name);
  if (known === undefined) {
    known = spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
    commands.set(name, known);
  }
  return known;
}

/** Run a command; its output. Fails where the command does. */
export function run(command: string, args: readonly string[], cwd?: string): string {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.is(result.status, 0, `${command} ${args[0]}: ${result.stderr}`);
  return result.stdout;
}

const pythonPrelude = `
import stat, sys, warnings, zipfile
warnings.simplefilter('ignore')
path = sys.argv[1]

def entry(name, mode=None, system=3, flag=0, encoding=None, method=zipfile.ZIP_DEFLATED):
    info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
    info.create_system = system
    info.compress_type = method
    info.external_attr = (mode or 0) << 16
    if encoding:
        class Encoded(zipfile.ZipInfo):
            __slots__ = ()
            def _encodeFilenameFlags(self):
                return self.filename.encode(encoding), self.flag_bits
        info.__class__ = Encoded
    return info
`;

/** Make an archive with Python's zipfile; `path` and `entry()` are at hand in the script. */
export function makeWithPython(path: string, script: string): string {
  runPython(pythonPrelude + script, [path]);
  return path;
}

const pythonOracle = `
import json, stat, sys, zipfile
facts = []
with zipfile.ZipFile(sys.argv[1]) as archive:
    for info in archive.infolist():
        word = info.external_attr >> 16
        mode = word if info.create_system in (3, 19) or stat.S_ISREG(word) else 0
        is_link = info.create_system not in (3, 19) and stat.S_ISLNK(word)
        one = {'path': info.filename.rstrip('/')}
        if stat.S_ISLNK(mode): one['type'] = 'symlink'
        elif stat.S_ISDIR(mode) or info.is_dir(): one['type'] = 'directory'
        elif (stat.S_ISREG(mode) or stat.S_IFMT(mode) == 0) and not is_link: one['type'] = 'file'
        if mode: one['mode'] = stat.S_IMODE(mode)
        if one.get('type') == 'file':
            one['size'] = info.file_size
            one['digest'] = {'algorithm': 'crc32', 'value': '%08x' % info.CRC}
        if one.get('type') == 'symlink': one['linkTarget'] = archive.read(info).decode()
        facts.append(one)
print(json.dumps(facts))
`;

/** What Python's zipfile says of every entry of an archive, in its order. */
export function askPython(path: string): ManifestEntry[] {
  return JSON.parse(runPython(pythonOracle, [path])) as ManifestEntry[];
}
