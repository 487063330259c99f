import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { javascriptCommand, scriptCommand, scriptPath } from './runtime.ts';
import { tempDirectory } from './tree.ts';

/** Nobody's user and group: no rights anywhere. */
export const NOBODY = 65534;
export const isRoot = process.getuid?.() === 0;
/** Mounts in a private namespace: Linux, root, util-linux. */
export const canMount = process.platform === 'linux' && isRoot && existsSync('/usr/bin/unshare');

const checkout = realpathSync(fileURLToPath(new URL('../..', import.meta.url)));

/** What the child prints: the report, or the error that the pass rejected with. */
export interface PassResult {
  report?: PermissionReport;
  error?: { name: string; code?: string; message: string; report?: PermissionReport };
}

export interface PassInChild {
  root: string;
  options?: ApplyOptions;
  backend?: PermissionReport['backend'];
  /** Run it as an unprivileged user; the specs' own user where that is not root. */
  asNobody?: boolean;
  /** Shell commands that run as root in a private mount namespace before the pass; `$1` is the root. */
  setUp?: string;
  /** What it is run by where it has no set-up, such as `unshare` with its options. */
  within?: readonly string[];
  /** Where its standard input comes from: from nowhere, unless a script reads it. */
  stdin?: 'ignore' | 'pipe';
}

/** Run one pass in a process of its own, in its own mount namespace or as another user. */
export async function passInChild(options: PassInChild): Promise<PassResult> {
  const { root, options: applyOptions = {}, backend = 'anchored' } = options;
  const script = scriptPath(new URL('pass-child.ts', import.meta.url));
  const pass = [JSON.stringify({ root, options: applyOptions, backend })];
  const output = await outputOf(startScript(script, pass, options));
  return JSON.parse(output) as PassResult;
}

/** Start a script of the specs, in TypeScript or JavaScript, as nobody or in a private mount namespace. */
export function startScript(
  script: string,
  scriptArguments: string[],
  { root = '', asNobody = false, setUp = '', within = [], stdin = 'ignore' }: Partial<PassInChild> = {},
): ChildProcess {
  const [program, ...args] = script.endsWith('.js') ? javascriptCommand : scriptCommand;
  if (!isRoot || (!asNobody && setUp === '')) {
    const [first = program, ...rest] = [...within, program, ...args, script, ...scriptArguments];
    return spawn(first, rest, { stdio: [stdin, 'pipe', 'pipe'] });
  }
  // The checkout may lie below a directory that only root can search: mounted elsewhere it is in reach.
  const mounted = tempDirectory();
  const drop = asNobody ? `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups` : '';
  const shell = [
    'set -e',
    setUp,
    asNobody ? `chmod 755 "$2"; mount --bind "$3" "$2"; cd "$2"` : '',
    'shift 3',
    `exec ${drop} "$@"`,
  ].join('\n');
  const reachable = [script, ...scriptArguments].map((path) =>
    asNobody && path.startsWith(checkout) ? path.replace(checkout, mounted) : path,
  );
  const command = ['-m', 'sh', '-c', shell, 'sh', root, mounted, checkout, program, ...args, ...reachable];
  return spawn('unshare', command, { stdio: [stdin, 'pipe', 'pipe'] });
}

/** Everything a child prints, once it has ended well. */
export async function outputOf(child: ChildProcess): Promise<string> {
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`child ended with ${code}: ${errors}`);
  return output;
}
