/**
 * Errors that are ordinary objects: `instanceof Error`, with everything that they say in properties of their own. structuredClone,
 * and with it `postMessage` and Electron's IPC, keeps of a native error no more than its name, message and stack.
 */

/** Makes an ordinary object that inherits from a native error. */
function plain<Native extends Error>(prototype: Native): new (message: string) => Native {
  function construct(this: Native, message: string): void {
    this.message = message;
  }
  construct.prototype = prototype;
  return construct as unknown as new (
    message: string,
  ) => Native;
}

/** As `Error`, without a stack. */
export const PlainError = plain(Error.prototype);

/** As `AggregateError`, without a stack. */
export const PlainAggregateError = plain(AggregateError.prototype);

/**
 * Give an error the stack of whoever made it.
 *
 * @internal
 */
export function captureStack(error: Error): void {
  const holder: { stack?: string } = {};
  Error.captureStackTrace?.(holder, error.constructor);
  // Runtimes begin it with different words.
  const frames = /\n\s+at [\s\S]*$/.exec(holder.stack ?? '')?.[0] ?? '';
  const value = `${error.name}: ${error.message}${frames}`;
  Object.defineProperty(error, 'stack', { value, configurable: true, writable: true });
}
