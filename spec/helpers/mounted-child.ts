import { applyPermissions } from '../../lib/apply.ts';
import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { modesBelow } from './tree.ts';

// One pass, and the modes after it as this process sees them: what is mounted for it, no other can see.

export interface MountedChild {
  root: string;
  options: ApplyOptions;
  /** Become this user and group first, by setuid and without exec. */
  become?: number;
}

export interface MountedResult {
  report: PermissionReport;
  modes: Record<string, string>;
}

const { root, options, become } = JSON.parse(process.argv[2] ?? '') as MountedChild;
if (become !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(become);
  process.setuid?.(become);
}
const report = await applyPermissions(root, { ...options, strict: false });
const result: MountedResult = { report, modes: modesBelow(report.root) };
process.stdout.write(JSON.stringify(result));
