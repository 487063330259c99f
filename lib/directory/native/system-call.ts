/**
 * libc's `syscall` (syscall(2)): every call that is made natively goes through this one function, which glibc and musl both have,
 * with the same arguments. Each of them takes a whole register, so a number may stand where the kernel wants an address.
 *
 * @param number which call
 * @param fd descriptor of the directory that a name is in
 * @param address of the name, or of the buffer
 * @returns -1 where the call failed; why is never asked, for it is made again by node:fs
 */
export type SystemCall = (
  number: number,
  fd: number,
  address: number,
  third: number,
  fourth: number,
  fifth: number,
) => number;

/** The way into libc that a runtime offers. */
export interface NativeInterface {
  readonly call: SystemCall;
  /** Address of the first byte. Whoever asks keeps the bytes referenced as long as the address is used. */
  addressOf(bytes: Uint8Array): number;
}

/** Numbers of the system calls. */
export interface CallNumbers {
  readonly openat: number;
  readonly close: number;
  readonly getdents64: number;
  readonly pread64: number;
  readonly statx: number;
  readonly renameat2: number;
  readonly fchmodat2: number;
}

/** Since Linux 5.1 new calls have one number on every architecture. */
const fchmodat2 = 452;

/** Numbers by architecture, from the kernel's `syscall_64.tbl` and `asm-generic/unistd.h`. */
const numbers: Readonly<Record<string, CallNumbers>> = {
  x64: { openat: 257, close: 3, getdents64: 217, pread64: 17, statx: 332, renameat2: 316, fchmodat2 },
  arm64: { openat: 56, close: 57, getdents64: 61, pread64: 67, statx: 291, renameat2: 276, fchmodat2 },
};

/** Numbers of the system calls of this process; `undefined` on a platform that was not tried. */
export function callNumbers(
  platform = process.platform,
  arch: string = process.arch,
): CallNumbers | undefined {
  return platform === 'linux' ? numbers[arch] : undefined;
}

/** Names of libc, in the order in which they are tried: glibc's, then musl's. */
export function libraryNames(arch: string = process.arch): readonly string[] {
  return ['libc.so.6', `libc.musl-${arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`];
}
