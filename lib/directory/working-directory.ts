import { constants, fs } from './fs.ts';
import { descriptorPath, O_PATH } from './proc.ts';

/**
 * The working directory of a process that lends it: entries are named from there, which takes the kernel half as long as
 * the way through `/proc`. It is a directory, not a path, as a descriptor is.
 */
export class WorkingDirectory {
  static #isLent = false;
  /** Where the process was before. */
  readonly #before: number;
  #fd = -1;

  /** Borrow it: `undefined` where another tree has it, or where it cannot be held open meanwhile. */
  static borrow(): WorkingDirectory | undefined {
    if (WorkingDirectory.#isLent) return undefined;
    try {
      const before = fs.openSync('.', O_PATH | constants.O_DIRECTORY);
      WorkingDirectory.#isLent = true;
      return new WorkingDirectory(before);
    } catch {
      return undefined;
    }
  }

  private constructor(before: number) {
    this.#before = before;
  }

  /** Whether it is the directory with this descriptor. */
  isAt(fd: number): boolean {
    return this.#fd === fd;
  }

  /** Go to an open directory, where that is permitted: it takes x on the directory itself. */
  goTo(fd: number): void {
    if (this.#fd === fd) return;
    try {
      process.chdir(descriptorPath(fd));
      this.#fd = fd;
    } catch {
      // Its entries are named by its descriptor.
    }
  }

  /** A descriptor is closed: its number may be another directory's soon. */
  forget(fd: number): void {
    if (this.#fd === fd) this.#fd = -1;
  }

  /** Give it back as it was. A passing error must not leave the process elsewhere: it is asked for twice. */
  close(): void {
    if (!this.#goBack()) this.#goBack();
    fs.closeSync(this.#before);
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
