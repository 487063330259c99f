import { isBun, isDeno } from '../platform.ts';
import { openBun } from './bun.ts';
import { Kernel } from './kernel.ts';
import { openKoffi } from './koffi.ts';
import { type Abilities, check } from './self-check.ts';
import { callNumbers, type NativeInterface } from './system-call.ts';

/** What native calls are made with, once they have proved themselves. */
export interface Native {
  /** A kernel for one tree. */
  kernel(): Kernel;
  readonly abilities: Abilities;
}

/** Where native calls come from, and when. */
export interface NativeSource {
  /** So many calls are made by node:fs before: to load it takes as long as they save. */
  readonly after: number;
  /** Loads it, the first time; `undefined` where there is none. */
  load(): Native | undefined;
}

/** Calls by node:fs that take about as long as it takes to load native ones and to check them: 5 ms on Bun, 15 on Node. */
const CALLS_BEFORE = 250;

let loaded: { native: Native | undefined } | undefined;

/** The runtime's own way; `PERMWALK_NATIVE=0` turns it off. */
export const runtimeSource: NativeSource = {
  get after() {
    return loaded === undefined ? CALLS_BEFORE : 0;
  },
  load() {
    if (process.env.PERMWALK_NATIVE === '0' || isDeno) return undefined;
    loaded ??= { native: loadWith(isBun ? openBun : openKoffi) };
    return loaded.native;
  },
};

/** No native calls. */
export const neverNative: NativeSource = { after: 0, load: () => undefined };

/** Load it, and have it prove itself. What is not there or fails is not used: node:fs does everything. */
export function loadWith(open: () => NativeInterface): Native | undefined {
  const numbers = callNumbers();
  if (numbers === undefined) return undefined;
  try {
    const libc = open();
    const kernel = () => new Kernel(libc, numbers);
    const abilities = check(kernel());
    return abilities && { kernel, abilities };
  } catch {
    return undefined;
  }
}
