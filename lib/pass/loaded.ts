import { TreeStream } from './tree-stream.ts';

/**
 * What a pass loads when it first needs it. The library loads it with itself: in a process without a free descriptor it could not be
 * loaded, and Node would give that error to every later pass, too. The command, a process of its own, starts without it.
 */
export const loaded: readonly unknown[] = [TreeStream];
