import { createRequire } from 'node:module';
import { libraryNames, type NativeInterface, type SystemCall } from './system-call.ts';

/** What is used of `bun:ffi`. */
interface BunFfi {
  dlopen(
    name: string,
    symbols: { syscall: { args: readonly string[]; returns: string } },
  ): { readonly symbols: { readonly syscall: SystemCall } };
  ptr(bytes: Uint8Array): number;
}

/** `ptr` takes a number as it is, and is the fastest of the types that hold a register. */
const SIGNATURE = { args: ['i32', 'i32', 'ptr', 'ptr', 'ptr', 'ptr'], returns: 'i32' } as const;

/**
 * libc through Bun's own `bun:ffi`.
 *
 * @throws whatever keeps it from being loaded
 */
export function openBun(load: (name: string) => unknown = createRequire(import.meta.url)): NativeInterface {
  const { dlopen, ptr } = load('bun:ffi') as BunFfi;
  let failure: unknown;
  for (const name of libraryNames()) {
    try {
      const { syscall } = dlopen(name, { syscall: SIGNATURE }).symbols;
      return { call: syscall, addressOf: ptr };
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
