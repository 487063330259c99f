import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { defaultPass, pathPass } from './passes.ts';
import { modesBelow } from './tree.ts';

// One pass, and the modes after it as this process sees them: what is mounted for it, no other can see.

export interface MountedChild {
  root: string;
  options: ApplyOptions;
  /** The backend that the platform gets, or the path backend. */
  backend?: 'anchored' | 'path';
  /** Become this user and group first, by setuid and without exec. */
  become?: number;
}

export interface MountedResult {
  report: PermissionReport;
  modes: Record<string, string>;
}

const { root, options, backend, become } = JSON.parse(process.argv[2] ?? '') as MountedChild;
if (become !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(become);
  process.setuid?.(become);
}
const { apply } = backend === 'path' ? pathPass : defaultPass;
const report = await apply(root, { ...options, strict: false });
const result: MountedResult = { report, modes: modesBelow(report.root) };
process.stdout.write(JSON.stringify(result));
