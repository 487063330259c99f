import { Buffer } from 'node:buffer';
import { basename, dirname } from 'node:path';
import type { Listener } from './directory.ts';
import { errorCode, systemError } from './errors.ts';
import { fs } from './fs.ts';
import { isWindows } from './platform.ts';
import type { SystemPath } from './read.ts';

/** Bytes of `sun_path` without the NUL at its end: unix(7) on Linux, else that of the BSDs. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/** Loaded by whoever stages a tree: most passes need no socket. */
const net = () => process.getBuiltinModule('node:net');

/** A path that a socket's address has room for. Runtimes cut a longer one, and would make a socket of another name. */
function socketPath(path: SystemPath, syscall: string): string {
  const isText = typeof path === 'string';
  if (isText && Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  throw systemError('ENAMETOOLONG', 'too long for a Unix socket', syscall, path.toString());
}

/**
 * Windows has no sockets at paths. There it is an empty file, and a named pipe that is called after the directory of the file: the
 * system removes a pipe with the process that made it, however that ends.
 */
function pipeFor(path: SystemPath): string {
  return `\\\\.\\pipe\\permwalk${basename(dirname(path.toString()))}`;
}

/** Make a Unix socket at a path, and listen on it until it is closed. */
export async function listenOn(path: SystemPath): Promise<Listener> {
  const address = isWindows ? pipeFor(path) : socketPath(path, 'bind');
  // Who connects wants to know that somebody listens, and no more.
  const server = net().createServer((socket) => socket.destroy());
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(address, resolve);
  });
  // A connection that cannot be taken (EMFILE) is nothing to the one who listens.
  server.on('error', () => undefined);
  const close = () => void server.close();
  if (isWindows) makeFile(path, close);
  return { close };
}

/** Make an empty file, whose pipe is listened on already. */
function makeFile(path: SystemPath, close: () => void): void {
  try {
    fs.closeSync(fs.openSync(path, 'wx'));
  } catch (error) {
    close();
    throw error;
  }
}

/** Connect to the Unix socket at a path, and hang up. */
export async function connectTo(path: SystemPath): Promise<void> {
  const socket = net().connect(isWindows ? pipeFor(path) : socketPath(path, 'connect'));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject).once('connect', resolve);
    });
  } catch (error) {
    // A socket outlives its owner, a pipe does not.
    if (!isWindows || errorCode(error) !== 'ENOENT') throw error;
    throw systemError('ECONNREFUSED', 'nobody listens', 'connect', path.toString());
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}

/** True where a Unix socket is at a path, or what stands for one on Windows. */
export function isSocketAt(path: SystemPath): boolean {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  return (isWindows ? found?.isFile() : found?.isSocket()) ?? false;
}

/** Set the times of what is at a path to now, without following a link. */
export function touchAt(path: SystemPath): void {
  const now = new Date();
  fs.lutimesSync(path, now, now);
}
