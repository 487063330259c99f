import { spawnSync } from 'node:child_process';
import { isRoot, NOBODY } from './child.ts';

/** Whether a test can do what only root can; where it cannot, the reason is said. */
export function canActAsRoot(reason: string): boolean {
  if (!isRoot) console.log(`  skipped without root's rights: ${reason}`);
  return isRoot;
}

/** Do something without root's rights; who has none does it as it is. */
export async function withoutRights<T>(act: () => T | Promise<T>): Promise<T> {
  if (!isRoot) return act();
  process.seteuid?.(NOBODY);
  try {
    return await act();
  } finally {
    process.seteuid?.(0);
  }
}

/** Give a directory and everything below it to nobody, whom {@link withoutRights} acts as. */
export function giveAway(directory: string): void {
  if (isRoot) spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, directory]);
}
