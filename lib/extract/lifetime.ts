/** The time that one call takes: a signal that is aborted when it is over, however it ends. */
export interface Lifetime {
  readonly signal: AbortSignal;
  /** End it with an error. */
  fail(error: unknown): void;
  /** It is over: what still listens hears of it now. */
  end(): void;
}

/** Begin a call. An abort of the caller's signal ends it, with the same reason. */
export function beginLifetime(given: AbortSignal | undefined): Lifetime {
  const controller = new AbortController();
  const onAbort = () => controller.abort(given?.reason);
  if (given?.aborted) onAbort();
  else given?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    fail: (error) => controller.abort(error),
    end: () => {
      given?.removeEventListener('abort', onAbort);
      controller.abort();
    },
  };
}
