import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { say } from '../progress.ts';
import { listTree, type TreeEntry } from './entries.ts';

/** A tree as it was found, and what the results say of where it comes from. */
export interface FoundTree {
  name: string;
  origin: string;
  entries: TreeEntry[];
  /** Packages that were not to be had. */
  missing: string[];
  /** Directory in which what is made of the tree may stay. */
  cache?: string;
}

const python3 =
  'numpy scipy pandas pandas-lib matplotlib sklearn sklearn-lib sympy pil torch django botocore twisted networkx ' +
  'statsmodels astropy plotly notebook ipython setuptools pip azure';
const others = 'ansible ansible-core libpython3.11-stdlib libpython3.11-minimal libpython3.11-testsuite';
const packages = [...python3.split(' ').map((name) => `python3-${name}`), ...others.split(' ')];

const DOWNLOAD_MS = 15 * 60_000;

/** Folder in which downloads and the unpacked tree stay from one run to the next. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'permwalk-bench');
}

/**
 * The large tree: Debian's Python packages, fetched and unpacked once; where there is no apt, the Python that is
 * installed. A `directory` is taken in place of it.
 */
export function findRealTree(directory?: string): FoundTree {
  if (directory !== undefined) {
    return { name: basename(directory), origin: directory, entries: plain(listTree(directory)), missing: [] };
  }
  return findDebianTree() ?? findInstalledPython() ?? fail('neither apt nor Python is here: give --tree');
}

/** What the machine's own Python consists of. */
function findInstalledPython(): FoundTree | undefined {
  const program =
    'import sysconfig; [print(sysconfig.get_path(p)) for p in ("stdlib", "purelib", "platlib")]';
  const { status, stdout } = spawnSync('python3', ['-c', program], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  const directories = [...new Set(stdout.trim().split('\n'))].filter((path) => existsSync(path));
  const topmost = directories.filter((path) => !directories.some((above) => path.startsWith(`${above}/`)));
  const entries: TreeEntry[] = [{ path: '.', type: 'directory', mode: 0o755, size: 0 }];
  for (const [index, path] of topmost.entries()) {
    for (const entry of listTree(path)) {
      entries.push({ ...entry, path: entry.path === '.' ? `${index}` : `${index}/${entry.path}` });
    }
  }
  return {
    name: 'real',
    origin: `the installed Python: ${topmost.join(', ')}`,
    entries: plain(entries),
    missing: [],
  };
}

function findDebianTree(): FoundTree | undefined {
  const cache = cacheFolder();
  const archives = download(join(cache, 'debs'));
  if (archives.length === 0) return undefined;
  const tree = join(cache, 'tree');
  const record = join(cache, 'unpacked.json');
  const wanted = JSON.stringify(archives.map((path) => basename(path)));
  if (!existsSync(record) || readFileSync(record, 'utf8') !== wanted) {
    for (const made of readdirSync(cache))
      if (made !== 'debs') rmSync(join(cache, made), { recursive: true });
    mkdirSync(tree);
    for (const archive of archives) unpack(archive, tree);
    writeFileSync(record, wanted);
  }
  const missing = packages.filter((name) => !archives.some((path) => isOf(name, path)));
  const origin = `${archives.length} Debian Python packages, unpacked with dpkg-deb, without their content`;
  return { name: 'real', origin, entries: plain(listTree(tree)), missing, cache };
}

/** The packages' archives; what is not there yet is fetched, where apt knows it. */
function download(folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  const there = () => packages.flatMap((name) => readdirSync(folder).find((file) => isOf(name, file)) ?? []);
  const lacking = packages.filter((name) => !readdirSync(folder).some((file) => isOf(name, file)));
  const known = lacking.filter(
    (name) => spawnSync('apt-get', ['--print-uris', 'download', name]).status === 0,
  );
  if (known.length > 0) {
    say(`fetching ${known.length} Debian packages into ${folder}`);
    const options = ['-q', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20'];
    const stdio = ['ignore', 'ignore', 'inherit'] as const;
    spawnSync('apt-get', [...options, 'download', ...known], {
      cwd: folder,
      stdio: [...stdio],
      timeout: DOWNLOAD_MS,
    });
  }
  const isUsable = spawnSync('dpkg-deb', ['--version']).status === 0;
  return isUsable ? there().map((file) => join(folder, file)) : [];
}

function isOf(name: string, path: string): boolean {
  return basename(path).startsWith(`${name}_`) && path.endsWith('.deb');
}

/** Unpack one package, and leave only the sizes of its files: their content is never read. */
function unpack(archive: string, tree: string): void {
  say(`unpacking ${basename(archive)}`);
  execFileSync('dpkg-deb', ['-x', archive, tree]);
  for (const { path, type, size } of listTree(tree)) {
    const full = join(tree, path);
    if (type !== 'file' || lstatSync(full).blocks === 0) continue;
    truncateSync(full, 0);
    truncateSync(full, size);
  }
}

/** Permission bits alone: setuid, setgid and sticky are no part of what is measured. */
function plain(entries: TreeEntry[]): TreeEntry[] {
  return entries.map((entry) => ({ ...entry, mode: entry.mode & 0o777 }));
}

function fail(message: string): never {
  throw new Error(message);
}
