import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Directory } from '../directory/directory.ts';
import { errorCode } from '../directory/errors.ts';
import { fs } from '../directory/fs.ts';
import { isWindows } from '../directory/platform.ts';
import { isOwn } from './private.ts';

/** Before the host in the name of the socket that says whose a staging directory is. */
const OWNER = 'owner-';
/** The same until it is listened on: who connects between bind(2) and listen(2) is refused as by a dead process. */
const BOUND = 'bind-';
/** Milliseconds between looks at a socket that is bound: bind(2) and listen(2) come right after one another. */
const BINDING_DELAYS_MS = [1, 10, 100];
const TOUCH_MS = 60_000;
/** How old the marker of another host must be for its owner to be dead. */
const DEAD_AFTER_MS = 24 * 3600 * 1000;
/** Hexadecimal digits that say which host it is. */
const HOST_LENGTH = 12;
/** Where Linux says which boot of which machine this is: the same in every container (random(4)). */
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Errors of making a socket that say that too much is in use. Any other means that none can be made there. */
const exhausted: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOBUFS',
  'ENOSPC',
  'EDQUOT',
  'ENOENT',
]);

/** A sign of life in a staging directory, as long as its owner lives. */
export interface Marker {
  /** Name of its entry. */
  readonly name: string;
  /** No more sign of life. The entry stays. */
  close(): void;
}

/** What a marker says of the owner of a staging directory. */
export type Owner =
  /** There is no marker: it is not ours. */
  | 'unmarked'
  /** It listens. */
  | 'alive'
  /** Nobody listens, or, on another host, has touched the marker for a day. */
  | 'dead'
  /** It is another host's, or was made before the system was started anew, or nobody could listen. */
  | 'elsewhere';

/** Whether a marker may have this name. */
export function isMarkerName(name: string): boolean {
  return name.startsWith(OWNER);
}

/**
 * Which host and which boot of it this is: only there does a socket tell whether a process lives.
 *
 * @param file what holds the boot id; without it the host's name counts
 */
export function hostId(file = BOOT_ID): string {
  let host: string;
  try {
    // On Windows, anybody may create that path.
    if (isWindows) throw new Error('no boot id');
    host = fs.readFileSync(file, 'utf8');
  } catch {
    host = hostname();
  }
  return createHash('sha256').update(host.trim()).digest('hex').slice(0, HOST_LENGTH);
}

/**
 * Mark a staging directory with a Unix socket on which this process listens. A connection tells whether the owner lives, in every
 * process and network namespace, and archives cannot plant a socket.
 *
 * On Windows the mark is a file with a named pipe. If no pipe can be made, it is the mark of another host, whose age counts.
 *
 * @returns `undefined` where the file system has no sockets, or the path is too long for one
 */
export async function setMarker(directory: Directory, host = hostId()): Promise<Marker | undefined> {
  // A pipe is listened on before its file is there.
  const bound = (isWindows ? OWNER : BOUND) + host;
  const listener = await directory.listen(bound).catch((error: unknown) => {
    if (exhausted.has(errorCode(error) ?? '')) throw error;
    return undefined;
  });
  if (listener === undefined) return isWindows ? setAgeingMarker(directory) : undefined;
  const name = OWNER + host;
  if (name !== bound) {
    try {
      directory.rename(bound, directory, name);
    } catch (error) {
      listener.close();
      throw error;
    }
  }
  return keepAlive(directory, name, () => listener.close());
}

/** A marker that nobody listens on: only its age says whether its owner lives. */
function setAgeingMarker(directory: Directory): Marker {
  const name = OWNER + randomBytes(HOST_LENGTH / 2).toString('hex');
  directory.makeDirectory(name, 0o700);
  return keepAlive(directory, name, () => undefined);
}

/** Touch a marker until it is closed. */
function keepAlive(directory: Directory, name: string, close: () => void): Marker {
  const touching = setInterval(() => touch(directory, name), TOUCH_MS);
  touching.unref();
  return {
    name,
    close: () => {
      clearInterval(touching);
      close();
    },
  };
}

/** What its marker says of the owner of a staging directory, which is held. */
export async function ownerOf(directory: Directory, host = hostId()): Promise<Owner> {
  for (const wait of [...BINDING_DELAYS_MS, undefined]) {
    const names = markersIn(directory);
    const name = names.find((each) => each.startsWith(OWNER)) ?? names[0];
    if (name === undefined) return 'unmarked';
    if (!name.endsWith(`-${host}`)) {
      const found = directory.lstat(name);
      return found !== undefined && Date.now() - found.mtimeMs > DEAD_AFTER_MS ? 'dead' : 'elsewhere';
    }
    try {
      await directory.connect(name);
      return 'alive';
    } catch (error) {
      // Any other error can also come from an owner that is busy, or has just renamed the socket.
      if (errorCode(error) !== 'ECONNREFUSED') return 'alive';
    }
    if (name.startsWith(OWNER)) return 'dead';
    // Its owner may be about to listen.
    if (wait !== undefined) await delay(wait);
  }
  return 'dead';
}

/** Names of markers of ours. */
function markersIn(directory: Directory): string[] {
  const names: string[] = [];
  const listing = directory.list();
  while (listing.next()) {
    const { name } = listing;
    if ((name.startsWith(OWNER) || name.startsWith(BOUND)) && isMarker(directory, name)) names.push(name);
  }
  return names;
}

/** Whether an entry is what its name says. */
function isMarker(directory: Directory, name: string): boolean {
  const found = directory.lstat(name);
  if (found === undefined || !isOwn(found)) return false;
  return directory.isSocket(name) || (isWindows && found.type === 'directory');
}

function touch(directory: Directory, name: string): void {
  try {
    directory.touch(name);
  } catch {
    // The age matters only to another host, and only after a day.
  }
}
