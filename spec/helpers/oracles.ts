import { posix } from 'node:path';
import { askTarfile } from './tar.ts';
import { askPython, hasCommand, run } from './zip.ts';

/** What another program says of one entry; what it does not say is absent. */
export interface Seen {
  path: string;
  type?: 'file' | 'directory' | 'symlink' | 'other' | 'hard link' | undefined;
  size?: number | undefined;
  mode?: number | undefined;
  linkTarget?: string | undefined;
}

/** A program that lists archives. */
export interface Oracle {
  readonly name: string;
  readonly command: string;
  readonly reads: readonly ('zip' | 'tar')[];
  list(path: string): Seen[];
}

/** Programs print names as they are where the locale is UTF-8. */
process.env.LC_ALL = 'C.UTF-8';

const letters: Record<string, Seen['type']> = {
  '-': 'file',
  d: 'directory',
  l: 'symlink',
  h: 'hard link',
  '?': undefined,
};

/** The nine letters behind the type as permission bits, with setuid, setgid and sticky. */
function bitsOf(letters9: string): number {
  const classes = [letters9.slice(0, 3), letters9.slice(3, 6), letters9.slice(6, 9)];
  const special = [0o4000, 0o2000, 0o1000];
  return classes.reduce((mode, [r, w, x = '-'], index) => {
    const bits = (r === 'r' ? 4 : 0) | (w === 'w' ? 2 : 0) | (/[xst]/.test(x) ? 1 : 0);
    return mode | (bits << (6 - 3 * index)) | (/[sStT]/.test(x) ? (special[index] ?? 0) : 0);
  }, 0);
}

/** bsdtar writes a backslash twice, and what it cannot print as octal digits. */
function unescapeName(name: string): string {
  const short: Record<string, number> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 };
  const parts = name.split(/(\\(?:\\|[0-7]{3}|[abfnrtv]))/);
  const bytes = parts.map((part, index) => {
    if (index % 2 === 0) return Buffer.from(part);
    const code = part.slice(1);
    return Buffer.from([short[code] ?? Number.parseInt(code, 8)]);
  });
  return Buffer.concat(bytes).toString('utf8');
}

function listBsdtar(path: string): Seen[] {
  const line = /^(.)([-rwxsStT]{9})\S?\s+\S+\s+\S+\s+\S+\s+([\d,]+)\s+\S+\s+\S+\s+\S+ (.*)$/;
  return run('bsdtar', ['-tvf', path])
    .split('\n')
    .filter((each) => each !== '')
    .map((each) => {
      const [, letter = '', mode = '', size = '', rest = ''] = line.exec(each) ?? [];
      const type = letter in letters ? letters[letter] : 'other';
      const [name = '', target] = rest.split(type === 'hard link' ? ' link to ' : ' -> ');
      const isHardLink = rest.includes(' link to ');
      return {
        path: unescapeName(
          type === 'symlink' || isHardLink ? (rest.split(/ -> | link to /)[0] ?? name) : rest,
        ),
        type: isHardLink ? 'hard link' : type,
        size: type === 'file' && !isHardLink ? Number(size) : undefined,
        mode: bitsOf(mode),
        linkTarget: type === 'symlink' && target !== undefined ? unescapeName(target) : undefined,
      };
    });
}

function listZipinfo(path: string): Seen[] {
  const line = /^([-dlbcps?])(\S{9}|\S{6}\s{2,3})\s+\S+\s+(\S+)\s+(\d+)\s+\S+\s+\S+\s+\S+\s+\S+ (.*)$/;
  return run('zipinfo', ['-s', '-h-t', path])
    .split('\n')
    .map((each) => line.exec(each))
    .filter((found) => found !== null)
    .map(([, letter = '', mode = '', system, size, name = '']) => ({
      path: name,
      type: name.endsWith('/') ? 'directory' : letter in letters ? letters[letter] : 'other',
      size: letter === '-' ? Number(size) : undefined,
      mode: system === 'unx' ? bitsOf(mode) : undefined,
    }));
}

function list7z(path: string): Seen[] {
  // Of a tar without its end mark it lists everything, and fails.
  const [, listing = ''] = run('sh', ['-c', '7z l -slt "$1" || true', 'sh', path]).split('\n----------\n');
  return listing
    .split('\n\n')
    .map((block) => new Map(block.split('\n').map((each) => each.split(/ = (.*)/s) as [string, string])))
    .filter((facts) => facts.has('Path'))
    .map((facts) => {
      const text = facts.get('Mode') ?? / (\S{10})$/.exec(facts.get('Attributes') ?? '')?.[1] ?? '';
      const isFolder = facts.get('Folder') === '+';
      const letter = text.charAt(0);
      const isHardLink = (facts.get('Hard Link') ?? '') !== '';
      return {
        path: facts.get('Path') ?? '',
        type: isFolder ? 'directory' : isHardLink ? 'hard link' : letters[letter],
        size: isFolder || isHardLink || letter === 'l' ? undefined : Number(facts.get('Size') || 0),
        mode: text.length === 10 ? bitsOf(text.slice(1)) : undefined,
      };
    });
}

export const oracles: readonly Oracle[] = [
  { name: 'Python zipfile', command: 'python3', reads: ['zip'], list: askPython as Oracle['list'] },
  { name: 'Python tarfile', command: 'python3', reads: ['tar'], list: askTarfile as Oracle['list'] },
  { name: 'bsdtar', command: 'bsdtar', reads: ['zip', 'tar'], list: listBsdtar },
  { name: 'zipinfo', command: 'zipinfo', reads: ['zip'], list: listZipinfo },
  { name: '7z', command: '7z', reads: ['zip', 'tar'], list: list7z },
];

/** The oracles that are installed; the others are told of. */
export function installed(kind: 'zip' | 'tar'): Oracle[] {
  return oracles.filter(({ name, command, reads }) => {
    if (!reads.includes(kind)) return false;
    if (hasCommand(command)) return true;
    console.log(`  (not compared with ${name}: ${command} is not installed)`);
    return false;
  });
}

/** A path in its one spelling. */
export function normal(path: string): string {
  return posix.normalize(path).replace(/\/+$/, '') || '.';
}
