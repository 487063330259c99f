/** Exit codes as in a shell: 128 plus the number of the signal. */
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** Abort reason when a person or a supervisor asks the process to stop. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  /** Name of the signal. */
  readonly signalName: keyof typeof exitCodes;
  /** Exit code for it. */
  readonly exitCode: number;

  constructor(signalName: keyof typeof exitCodes) {
    super(`interrupted by ${signalName}`);
    this.signalName = signalName;
    this.exitCode = exitCodes[signalName];
  }
}

/** A watch for Ctrl-C and SIGTERM. */
export interface InterruptWatch {
  /** Aborted with an {@link Interruption} by the first signal. */
  readonly signal: AbortSignal;
  /** Stop watching. */
  release(): void;
}

/** The first signal aborts: work stops between two slices. A second one ends the process at once. */
export function watchInterrupts(beforeExit: () => void): InterruptWatch {
  const controller = new AbortController();
  const listen = (signalName: keyof typeof exitCodes): void => {
    if (controller.signal.aborted) {
      beforeExit();
      process.exit(exitCodes[signalName]);
    }
    controller.abort(new Interruption(signalName));
  };
  process.on('SIGINT', listen);
  process.on('SIGTERM', listen);
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', listen);
      process.off('SIGTERM', listen);
    },
  };
}
