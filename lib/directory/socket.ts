import { Buffer } from 'node:buffer';
import { connect, createServer } from 'node:net';
import type { Listener } from './directory.ts';
import { systemError } from './errors.ts';
import { fs } from './fs.ts';
import type { SystemPath } from './read.ts';

/** Bytes of `sun_path` without the NUL at its end: unix(7) on Linux, else that of the BSDs. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/** A path that a socket's address has room for. Runtimes cut a longer one, and would make a socket of another name. */
function socketPath(path: SystemPath, syscall: string): string {
  const isText = typeof path === 'string';
  if (isText && Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  throw systemError('ENAMETOOLONG', 'too long for a Unix socket', syscall, path.toString());
}

/** Make a Unix socket at a path, and listen on it until it is closed. */
export async function listenOn(path: SystemPath): Promise<Listener> {
  const address = socketPath(path, 'bind');
  // Who connects wants to know that somebody listens, and no more.
  const server = createServer((socket) => socket.destroy());
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(address, resolve);
  });
  // A connection that cannot be taken (EMFILE) is nothing to the one who listens.
  server.on('error', () => undefined);
  return { close: () => void server.close() };
}

/** Connect to the Unix socket at a path, and hang up. */
export async function connectTo(path: SystemPath): Promise<void> {
  const socket = connect(socketPath(path, 'connect'));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject).once('connect', resolve);
    });
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}

/** True where a Unix socket is at a path. */
export function isSocketAt(path: SystemPath): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

/** Set the times of what is at a path to now, without following a link. */
export function touchAt(path: SystemPath): void {
  const now = new Date();
  fs.lutimesSync(path, now, now);
}
