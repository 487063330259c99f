import type { Kernel } from './kernel.ts';
import type { NativeSource } from './load.ts';
import type { Abilities } from './self-check.ts';

const none: Abilities = { setsModes: false, renames: false };

/** Whether one tree goes natively: not before it has proved large enough for that to pay. */
export class NativeUse {
  readonly #source: NativeSource;
  #callsLeft: number;
  #kernel: Kernel | undefined;
  #abilities = none;

  constructor(source: NativeSource) {
    this.#source = source;
    this.#callsLeft = source.after;
  }

  /** What makes native calls by now. */
  get kernel(): Kernel | undefined {
    return this.#kernel;
  }

  get abilities(): Abilities {
    return this.#abilities;
  }

  /** Asked before each call: what makes it natively, or `undefined` where node:fs does. */
  next(): Kernel | undefined {
    if (this.#callsLeft < 0) return this.#kernel;
    if (this.#callsLeft > 0) {
      this.#callsLeft -= 1;
      return undefined;
    }
    return this.load();
  }

  /** Go natively from now on, where that is possible. */
  load(): Kernel | undefined {
    if (this.#kernel === undefined && this.#callsLeft >= 0) {
      this.#callsLeft = -1;
      const native = this.#source.load();
      this.#kernel = native?.kernel();
      this.#abilities = native?.abilities ?? none;
    }
    return this.#kernel;
  }
}
