/**
 * Loaded before everything else (`--import`): the rest of the process believes that it runs on Windows. Of its node:fs this has:
 *
 * - O_NOFOLLOW, O_NONBLOCK and O_DIRECTORY do nothing;
 * - chmod fails (for directories it does there), and is counted;
 * - modes say nothing but whether a file is read-only;
 * - file ids are larger than a number holds, and looks by path tell a volume by 64 bits, looks by descriptor by the lower 32;
 * - the text of a link has backslashes.
 *
 * Paths stay those of this system: what is Windows' own in them is tried under Wine.
 */
import fs, { type BigIntStats, type Stats } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';

type Call = (...parameters: unknown[]) => unknown;
type Options = { bigint?: boolean } | undefined;

// Windows looks there for the temporary directory.
process.env.TEMP = tmpdir();
Object.defineProperty(process, 'platform', { value: 'win32' });

const chmods: string[] = [];
Object.assign(globalThis, { chmodsOnWindows: chmods });

const { O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY, S_IFMT } = fs.constants;
const table = fs as unknown as Record<string, Call>;
const originals = { ...table };

/** Puts something in the place of a function. */
function replace(name: string, make: (original: Call) => Call): void {
  table[name] = make(originals[name] as Call);
}

replace('openSync', (open) => (path, flags = 'r', ...rest) => {
  const served = typeof flags === 'number' ? flags & ~(O_NOFOLLOW | O_NONBLOCK | O_DIRECTORY) : flags;
  return open(path, served, ...rest);
});

for (const name of ['chmodSync', 'fchmodSync', 'lchmodSync']) {
  replace(name, () => (path) => {
    chmods.push(String(path));
    throw Object.assign(new Error(`EPERM: operation not permitted, ${name}`), {
      code: 'EPERM',
      syscall: name.replace('Sync', ''),
      path: String(path),
    });
  });
}

/** Facts as Windows gives them. */
function asOnWindows(stats: BigIntStats, isByPath: boolean, isBigint: boolean): Stats | BigIntStats {
  const isWritable = (stats.mode & 0o200n) !== 0n;
  const mode = (stats.mode & BigInt(S_IFMT)) | (isWritable ? 0o666n : 0o444n);
  const changed = {
    mode,
    ino: stats.ino + (1n << 60n),
    dev: (stats.dev & 0xffffffffn) + (isByPath ? 0x7aaaaaaan << 32n : 0n),
  };
  if (isBigint) return Object.assign(stats, changed);
  const numbers = Object.entries({ ...stats, ...changed }).map(([name, value]) => [
    name,
    typeof value === 'bigint' ? Number(value) : value,
  ]);
  return Object.assign(Object.create(fs.Stats.prototype), Object.fromEntries(numbers));
}

for (const [name, isByPath] of [
  ['lstatSync', true],
  ['statSync', true],
  ['fstatSync', false],
] as const) {
  replace(name, (look) => (what, options) => {
    const stats = look(what, { ...(options as Options), bigint: true }) as BigIntStats | undefined;
    return stats && asOnWindows(stats, isByPath, (options as Options)?.bigint === true);
  });
}

replace('readlinkSync', (read) => (path, options) => {
  const text = String(read(path, 'utf8')).replaceAll('/', '\\');
  return (options as { encoding?: string } | undefined)?.encoding === 'buffer' ? Buffer.from(text) : text;
});

syncBuiltinESMExports();
