import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { canRunOn } from './runtime.ts';

/** A function of node:fs/promises. */
export type AsyncCall = (...parameters: unknown[]) => Promise<unknown>;

/** Elsewhere what takes the place of a function is not seen by those who import it by name. */
export const canReplace = (): boolean =>
  canRunOn(['node'], 'the functions of its node:fs cannot be replaced');

/** Put something around a function of node:fs/promises while something else is done. */
export async function around<T>(
  name: 'rename' | 'mkdtemp' | 'rm' | 'lstat' | 'readdir',
  wrap: (original: AsyncCall) => AsyncCall,
  act: () => Promise<T>,
): Promise<T> {
  const table = fsPromises as unknown as Record<string, AsyncCall>;
  const original = table[name] as AsyncCall;
  table[name] = wrap(original);
  syncBuiltinESMExports();
  try {
    return await act();
  } finally {
    table[name] = original;
    syncBuiltinESMExports();
  }
}
