import type { Directory } from '../../lib/directory/directory.ts';
import { removal } from '../../lib/directory/remove.ts';

/** Remove an entry with everything below it, in one go. */
export function remove(parent: Directory, name: string, path: string): void {
  for (const _step of removal(parent, name, path, () => false));
}
