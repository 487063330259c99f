/**
 * As `imitate-windows.ts`, and what extractions meet with: a rename takes the place of no directory, only what is open to be written is
 * flushed, a named pipe goes with its process, and there are no users.
 */
import './imitate-windows.ts';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const { renameSync, fsyncSync, lstatSync, readFileSync } = fs;

function failure(code: string, syscall: string, path: unknown): Error {
  return Object.assign(new Error(`${code}: imitated, ${syscall} '${path}'`), {
    code,
    syscall,
    path: String(path),
  });
}

/** Bits of `flags` that say what a descriptor is open for (proc(5), fdinfo). */
const accessOf = (fd: number): number =>
  Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0', 8) &
  3;

Object.assign(fs, {
  renameSync(from: fs.PathLike, to: fs.PathLike) {
    // Of a file it takes the place, even where it is a directory that is renamed.
    if (lstatSync(to, { throwIfNoEntry: false })?.isDirectory()) throw failure('EPERM', 'rename', from);
    renameSync(from, to);
  },
  fsyncSync(fd: number) {
    if (accessOf(fd) === fs.constants.O_RDONLY) throw failure('EPERM', 'fsync', fd);
    fsyncSync(fd);
  },
});
for (const name of ['geteuid', 'getuid', 'getegid', 'getgid'] as const)
  Object.assign(process, { [name]: undefined });

/** An abstract socket of Linux is what a named pipe is: it goes with its process. Who finds none there hears of it otherwise. */
const abstract = (address: unknown): unknown =>
  typeof address === 'string' && address.startsWith('\\\\.\\pipe\\') ? `\0${address}` : address;

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function imitated(this: net.Server, address: unknown, ...rest: unknown[]) {
  return listen.apply(this, [abstract(address), ...rest] as never);
} as typeof listen;
const connect = net.connect;
Object.assign(net, {
  connect(address: unknown, ...rest: unknown[]) {
    const socket = connect(abstract(address) as string, ...(rest as []));
    return socket.prependListener('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') error.code = 'ENOENT';
    });
  },
});
syncBuiltinESMExports();
