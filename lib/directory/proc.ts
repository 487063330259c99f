import { Buffer } from 'node:buffer';
import { isSameEntry } from './entry-stats.ts';
import { fs } from './fs.ts';
import { decodeName } from './names.ts';

/** Linux's O_PATH (open(2)), which `fs.constants` lacks: a descriptor that names an entry, and opens nothing. */
export const O_PATH = 0o10000000;

/** f_type of procfs (statfs(2)). */
const PROC_SUPER_MAGIC = 0x9fa0;

/** `/proc/<this process>`: to follow the link `/proc/self` costs a tenth of each look. */
let ownProcess = '/proc/self';
let ownDescriptors = '/proc/self/fd/';

/** What the kernel resolves to the descriptor itself, without any path. */
export function descriptorPath(fd: number): string {
  return ownDescriptors + fd;
}

/** One line of mountinfo (proc(5)): a mount, the one that it lies on, the device of its file system, and where it lies. */
export interface Mount {
  readonly id: string;
  readonly parent: string;
  readonly device: string;
  readonly path: string;
}

/** What is mounted. */
export function listMounts(): Mount[] {
  const lines = fs.readFileSync(`${ownProcess}/mountinfo`, 'latin1').split('\n').filter(Boolean);
  return lines.map((line) => {
    const [id = '', parent = '', device = '', , path = ''] = line.split(' ');
    return { id, parent, device, path: decodeName(Buffer.from(unescapeMount(path), 'latin1')) };
  });
}

/** `\040` and the like, as the kernel writes blanks in mountinfo. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Which mount an open descriptor is on: the same directory may be reached through several (proc(5), fdinfo). */
export function mountOf(fd: number): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(fs.readFileSync(`${ownProcess}/fdinfo/${fd}`, 'latin1'))?.[1];
}

/**
 * Find where the kernel lists this process's descriptors, for {@link descriptorPath}. False where `/proc` is not procfs itself
 * but something that is mounted over it, or does not know this process.
 */
export function findOwnDescriptors(): boolean {
  try {
    if (process.platform !== 'linux' || fs.statfsSync('/proc').type !== PROC_SUPER_MAGIC) return false;
    // Not process.pid: this procfs may be another process namespace's, which has a number of its own for us.
    ownProcess = `/proc/${fs.readlinkSync('/proc/self')}`;
    ownDescriptors = `${ownProcess}/fd/`;
    return true;
  } catch {
    return false;
  }
}

/** True where a descriptor can be reached through `/proc`. */
export function isReachable(fd: number): boolean {
  try {
    return isSameEntry(fs.statSync(descriptorPath(fd), { bigint: true }), fs.fstatSync(fd, { bigint: true }));
  } catch {
    return false;
  }
}
