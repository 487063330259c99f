/** Exit codes as a shell counts them: 128 and the signal's number. */
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** The signal's reason when a person or a supervisor asks the process to stop. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  /** Name of the signal. */
  readonly signalName: keyof typeof exitCodes;
  /** What the process must exit with. */
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
  /** Give the signals their usual meaning back. */
  release(): void;
}

/** The first signal aborts, so that work stops between two slices; a second one ends the process at once. */
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
