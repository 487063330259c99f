import { closeSync, constants, openSync } from 'node:fs';
import { O_PATH, type OpenDirectory } from './open-directory.ts';
import { descriptorPath } from './proc.ts';

/**
 * The working directory of a process that lends it: entries are named from there, which takes the kernel half as long as
 * the way through `/proc`. It is a directory, not a path, as a descriptor is.
 */
export class WorkingDirectory {
  static #isLent = false;
  /** Where the process was before. */
  readonly #before: number;
  #directory: OpenDirectory | undefined;

  /** Borrow it: `undefined` where another root has it, or where it cannot be held open meanwhile. */
  static borrow(): WorkingDirectory | undefined {
    if (WorkingDirectory.#isLent) return undefined;
    try {
      const before = openSync('.', O_PATH | constants.O_DIRECTORY);
      WorkingDirectory.#isLent = true;
      return new WorkingDirectory(before);
    } catch {
      return undefined;
    }
  }

  private constructor(before: number) {
    this.#before = before;
  }

  /** Whether it is this one. */
  isAt(directory: OpenDirectory): boolean {
    return this.#directory === directory;
  }

  /** Go to an open directory, where that is permitted: it takes x on the directory itself. */
  goTo(directory: OpenDirectory): void {
    if (this.#directory === directory) return;
    try {
      process.chdir(descriptorPath(directory.fd));
      this.#directory = directory;
    } catch {
      // Its entries are named by its descriptor.
    }
  }

  /** Give it back as it was. A passing error must not leave the process elsewhere: it is asked for twice. */
  close(): void {
    if (!this.#goBack()) this.#goBack();
    closeSync(this.#before);
    WorkingDirectory.#isLent = false;
  }

  /** False where there is no way back: the pass may have taken x from it, and nothing is named from there any more. */
  #goBack(): boolean {
    try {
      process.chdir(descriptorPath(this.#before));
      return true;
    } catch {
      return false;
    }
  }
}
