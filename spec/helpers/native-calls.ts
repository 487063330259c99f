import { closeSync } from 'node:fs';
import { openBun } from '../../lib/directory/native/bun.ts';
import { openKoffi } from '../../lib/directory/native/koffi.ts';
import { loadWith, type NativeSource } from '../../lib/directory/native/load.ts';
import {
  type CallNumbers,
  callNumbers,
  type NativeInterface,
} from '../../lib/directory/native/system-call.ts';

/** Name of a system call. */
export type NativeCallName = keyof CallNumbers;

/** What takes the place of a call: its result, or `undefined` to have it made. */
export type Instead = (name: NativeCallName, fd: number) => number | undefined;

/** libc as the runtime offers it. */
export function openLibc(): NativeInterface {
  return 'bun' in process.versions ? openBun() : openKoffi();
}

/** libc with something else in place of some calls. */
export function libcWith(instead: Instead): NativeInterface {
  const { call, addressOf } = openLibc();
  const names = new Map(Object.entries(callNumbers() ?? {}).map(([name, number]) => [number, name]));
  return {
    addressOf,
    call: (number, fd, ...parameters) =>
      instead(names.get(number) as NativeCallName, fd) ?? call(number, fd, ...parameters),
  };
}

/** Native calls under our hands: every call is noted, and one of them may fail. */
export interface WatchedNative {
  readonly source: NativeSource;
  /** What was called since the last {@link WatchedNative.begin}. */
  readonly calls: readonly NativeCallName[];
  /** Note calls from here on. The one at this position (the first is 0) fails, or something is done before it is made. */
  begin(position?: number, event?: 'fails' | (() => void)): void;
  /** From here on all calls of these names fail. */
  failAll(...names: NativeCallName[]): void;
  /** Note nothing more, and let nothing fail. */
  end(): void;
}

/** Put a layer between the code under test and libc. */
export function watchNativeCalls(): WatchedNative {
  const calls: NativeCallName[] = [];
  let isWatching = false;
  let planned: { position: number; event: 'fails' | (() => void) } | undefined;
  let failing: readonly NativeCallName[] = [];
  const watched = libcWith((name, fd) => {
    if (!isWatching) return undefined;
    const position = calls.push(name) - 1;
    const event = planned?.position === position ? planned.event : undefined;
    if (typeof event === 'function') {
      isWatching = false;
      event();
      isWatching = true;
    }
    if (event !== 'fails' && !failing.includes(name)) return undefined;
    // The descriptor is gone, whatever close(2) says.
    if (name === 'close') closeSync(fd);
    return -1;
  });
  const native = loadWith(() => watched);
  return {
    source: { after: 0, load: () => native },
    calls,
    begin(position, event) {
      calls.length = 0;
      failing = [];
      planned = position === undefined || event === undefined ? undefined : { position, event };
      isWatching = true;
    },
    failAll(...failingNames) {
      calls.length = 0;
      failing = failingNames;
      planned = undefined;
      isWatching = true;
    },
    end() {
      isWatching = false;
    },
  };
}
