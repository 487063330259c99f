import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, relative, sep } from 'node:path';

/** Nobody's user and group: no rights anywhere. */
const NOBODY = 65534;
const leftOut = new Set(['.git', '.runtimes', '.stryker-tmp', 'coverage', 'reports']);

/** A checkout, and the user that works in it. */
export interface Workplace {
  checkout: string;
  /** User and group of the specs' process; this process's own where it is undefined. */
  user?: number;
  environment: NodeJS.ProcessEnv;
  /** Path at which this user may execute a program. */
  reach(program: string): string;
  remove(): void;
}

/** The checkout as it is, for this process's own user. */
export function ownWorkplace(checkout: string): Workplace {
  return { checkout, environment: ownEnvironment(), reach: (program) => program, remove: () => undefined };
}

/**
 * This process's environment, but for what makes each of a thousand starts slow: the `python3` of a version manager is a
 * script that takes five times as long to find the interpreter as that takes to start, and Node reads certificates that
 * only npm has a use for.
 */
function ownEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: certificates, ...environment } = process.env;
  if (certificates !== undefined) environment.npm_config_cafile ??= certificates;
  const where = ['-c', 'import sys; print(sys.executable)'];
  const { status, stdout } = spawnSync('python3', where, { encoding: 'utf8' });
  if (status === 0) environment.PATH = [dirname(stdout.trim()), process.env.PATH].join(delimiter);
  return environment;
}

/** A copy that belongs to a user without rights, where that user can reach it. */
export function copiedWorkplace(checkout: string): Workplace {
  const parent = mkdtempSync(join(tmpdir(), 'permwalk-runtimes-'));
  const copy = join(parent, 'checkout');
  const temporary = join(parent, 'tmp');
  cpSync(checkout, copy, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !leftOut.has(relative(checkout, path).split(sep)[0] ?? ''),
  });
  mkdirSync(temporary);
  execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, parent]);
  chmodSync(parent, 0o755);
  // What npm says of its user's configuration.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'));
  const environment = Object.fromEntries(own);
  return {
    checkout: copy,
    user: NOBODY,
    environment: { ...environment, HOME: temporary, TMPDIR: temporary },
    reach(program) {
      const path = join(parent, basename(program));
      copyFileSync(program, path);
      chmodSync(path, 0o755);
      return path;
    },
    remove: () => rmSync(parent, { recursive: true, force: true }),
  };
}
