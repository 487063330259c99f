import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { suite, type Test } from 'uvu';

/** A function of node:fs. */
export type Call = (...parameters: unknown[]) => unknown;

/** A suite of what is done by node:fs alone: native calls are off while it runs. */
export function nodeSuite(name: string): Test {
  const test = suite(name);
  const { PERMWALK_NATIVE } = process.env;
  test.before(() => {
    process.env.PERMWALK_NATIVE = '0';
  });
  test.after(() => restoreNative(PERMWALK_NATIVE));
  return test;
}

function restoreNative(before: string | undefined): void {
  if (before === undefined) delete process.env.PERMWALK_NATIVE;
  else process.env.PERMWALK_NATIVE = before;
}

/** Put something around a function of node:fs while something else is done. Native calls, which would go past it, are off meanwhile. */
export async function around<T>(
  name:
    | 'renameSync'
    | 'mkdirSync'
    | 'symlinkSync'
    | 'unlinkSync'
    | 'rmdirSync'
    | 'readdirSync'
    | 'chmodSync'
    | 'fchmodSync'
    | 'fsyncSync',
  wrap: (original: Call) => Call,
  act: () => T | Promise<T>,
): Promise<T> {
  const table = fs as unknown as Record<string, Call>;
  const original = table[name] as Call;
  const { PERMWALK_NATIVE } = process.env;
  process.env.PERMWALK_NATIVE = '0';
  table[name] = wrap(original);
  syncBuiltinESMExports();
  try {
    return await act();
  } finally {
    table[name] = original;
    syncBuiltinESMExports();
    restoreNative(PERMWALK_NATIVE);
  }
}

/** An error of a system call. */
export function systemFailure(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: broken, ${syscall} 'somewhere'`), {
    code,
    syscall,
    path: 'somewhere',
  });
}
