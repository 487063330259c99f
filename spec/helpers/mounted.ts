import { fileURLToPath } from 'node:url';
import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { Answering } from './answering.ts';
import type { PassInChild } from './child.ts';

const script = fileURLToPath(new URL('mounted-child.js', import.meta.url));

export interface MountedPass {
  root: string;
  options?: ApplyOptions;
  /** One backend; the one that the platform gets where it is undefined. */
  backend?: PermissionReport['backend'] | undefined;
  /** Become this user and group first, by setuid and without exec. */
  become?: number;
  /** A name that is changed for another at the pass's first change. */
  rename?: [from: string, to: string];
  /** Whether the process lends its working directory, which is the root then. */
  lent?: boolean;
  /** Shell commands before the pass; `$1` is the root. What they mount stays mounted for later passes of the process. */
  setUp?: string;
}

export interface MountedResult {
  report: PermissionReport;
  modes: Record<string, string>;
}

/** Passes that are not strict, and the modes after each as their process sees them. */
export function passesIn(where: Pick<PassInChild, 'setUp' | 'asNobody'>): Answering {
  return new Answering(script, [], where);
}

/** One such pass in a process that runs no other. */
export async function mountedAlone(
  pass: MountedPass,
  where: Pick<PassInChild, 'setUp' | 'asNobody'> = {},
): Promise<MountedResult> {
  const alone = new Answering(script, [], { ...where, root: pass.root });
  try {
    return await alone.ask(pass);
  } finally {
    await alone.end();
  }
}
