import { Buffer } from 'node:buffer';
import { fstatSync, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { decodeName } from './names.ts';
import { isSameInode } from './root.ts';

/** f_type of procfs (statfs(2)). */
const PROC_SUPER_MAGIC = 0x9fa0;

/** `/proc/<this process>/fd`: to follow the link `/proc/self` costs a tenth of each look. */
let ownDescriptors = '/proc/self/fd';

/** What the kernel resolves to the descriptor itself, without any path. */
export function descriptorPath(fd: number): string {
  return `${ownDescriptors}/${fd}`;
}

/** `\040` and the like, as the kernel writes blanks in mountinfo (proc(5)). */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Paths below the root on which something is mounted, as they are when the pass begins. */
export function mountPointsBelow(realPath: string): Set<string> {
  const below = new Set<string>();
  const prefix = `${realPath}/`;
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const field = line.split(' ')[4];
    if (field === undefined) continue;
    const mountPoint = decodeName(Buffer.from(unescapeMount(field), 'latin1'));
    if (mountPoint.startsWith(prefix)) below.add(mountPoint.slice(prefix.length));
  }
  return below;
}

/**
 * Find where the kernel lists this process's descriptors, for {@link descriptorPath}. False where `/proc` is not procfs itself
 * but something that is mounted over it, or does not know this process.
 */
export function findOwnDescriptors(): boolean {
  try {
    if (process.platform !== 'linux' || statfsSync('/proc').type !== PROC_SUPER_MAGIC) return false;
    // Not process.pid: this procfs may be another process namespace's, which has a number of its own for us.
    ownDescriptors = `/proc/${readlinkSync('/proc/self')}/fd`;
    return true;
  } catch {
    return false;
  }
}

/** True where a descriptor can be reached through `/proc`. */
export function isReachable(fd: number): boolean {
  try {
    return isSameInode(statSync(descriptorPath(fd)), fstatSync(fd));
  } catch {
    return false;
  }
}
