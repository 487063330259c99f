import { createRequire } from 'node:module';
import type { NativeInterface, SystemCall } from './system-call.ts';

/** What is used of koffi; it is not ours, and may not be there, so its types are not imported. */
interface Koffi {
  readonly version: string;
  load(path: string | null): { func(name: string, result: string, parameters: string[]): SystemCall };
  address(value: Uint8Array): bigint;
}

/** Numbers as wide as a register hold flags and addresses alike, and are passed as numbers. */
const PARAMETERS = ['int', 'int', 'uint64', 'uint64', 'uint64', 'uint64'];

/** Versions that were tried: koffi 3, from 3.0.0. */
const MAJOR = 3;

/** Whether a version of koffi is one that was tried; a prerelease is not. */
export function isTriedVersion(version: unknown): boolean {
  const [, major] = /^(\d+)\.\d+\.\d+$/.exec(String(version)) ?? [];
  return Number(major) === MAJOR;
}

/**
 * libc through koffi, where it is installed beside permwalk.
 *
 * @throws whatever keeps it from being loaded
 */
export function openKoffi(load: (name: string) => unknown = createRequire(import.meta.url)): NativeInterface {
  const koffi = load('koffi') as Koffi;
  if (!isTriedVersion(koffi.version)) throw new Error(`koffi ${koffi.version} was not tried`);
  // The library that this process has already, under whatever name: glibc or musl.
  const libc = koffi.load(null);
  return {
    call: libc.func('syscall', 'int', PARAMETERS),
    addressOf: (bytes) => Number(koffi.address(bytes)),
  };
}
