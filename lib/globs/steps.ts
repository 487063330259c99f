import { quoted } from '../printable.ts';

/** Steps that all paths of a pass may take together, whatever they are: some seconds. */
const FREE = 10 ** 9;
/** Steps besides for each character of a path that is asked, and as many again as the globs have characters. */
const PER_CHARACTER = 256;

/**
 * What matching costs, summed over all paths of a pass. Names, and how many there are, may have been chosen to make it take long,
 * so the sum is bounded by what is asked: it grows with the length of paths times that of the globs.
 */
export class Steps {
  /** Steps that were taken so far; of a regular expression, those that it may have needed at worst. */
  taken = 0;
  readonly #option: string;
  readonly #perCharacter: number;
  #allowed = FREE;

  /** @param option name of the option, for the error */
  constructor(option: string, globs: readonly string[]) {
    this.#option = option;
    this.#perCharacter = PER_CHARACTER + globs.reduce((sum, glob) => sum + glob.length, 0);
  }

  /** How many steps may be taken for what was asked so far. */
  get allowed(): number {
    return this.#allowed;
  }

  /** Note that a name or path of so many characters is asked. */
  ask(characters: number): void {
    this.#allowed += this.#perCharacter * (characters + 1);
  }

  /**
   * Take so many steps.
   *
   * @throws RangeError with code `ERR_PERMWALK_GLOB_STEPS` past what is allowed, before they are taken
   */
  take(steps: number, glob: string): void {
    if (this.taken + steps > this.#allowed) {
      const message =
        `${this.#option}: glob ${quoted(glob)} may take more than ${Math.round(this.#allowed)} steps to match the ` +
        'paths of this tree; nothing more was changed. It needs fewer wildcards, or none of "[!(\\"';
      throw Object.assign(new RangeError(message), { code: 'ERR_PERMWALK_GLOB_STEPS' });
    }
    this.taken += steps;
  }
}
