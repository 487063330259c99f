import { resolve } from 'node:path';

/** A path as it is meant where and when the call is made: the working directory may be another one later. */
export function absolutePath(path: string): string {
  // An empty path names nothing, and must not become the working directory.
  return path === '' ? path : resolve(path);
}
