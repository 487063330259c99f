import type { Directory } from '../directory/directory.ts';
import { isSameEntry } from '../directory/entry-stats.ts';
import { errorCode, UnsafePathError } from '../directory/errors.ts';
import { Tree } from '../directory/tree.ts';
import type { ApplyOptions } from '../options.ts';
import { runPass } from '../pass/apply.ts';
import { UnresolvedEntriesError } from '../report.ts';
import type { Destination } from './destination.ts';
import type { ExtractionReport } from './extraction-report.ts';

/** How often another process may replace the tree while it is verified. */
const MAX_TRIES = 20;

/**
 * Verify the existing tree, and use it. If another process has replaced it meanwhile, verify the new one.
 *
 * @returns `undefined` where it is gone
 * @throws UnsafePathError where a link has taken its place
 */
export async function keep(
  destination: Destination,
  pass: ApplyOptions,
): Promise<ExtractionReport | undefined> {
  for (let tries = 1; ; tries += 1) {
    if (destination.lstat() === undefined) return undefined;
    // Held while it is compared: the system soon reuses the number of an inode that is gone.
    let root: Directory | undefined;
    const open = () => {
      const opened = destination.openRoot();
      root = opened;
      return new Tree(destination.path, opened, () => {});
    };
    const isReplaced = () => {
      const found = destination.lstat();
      return root === undefined || found === undefined || !isSameEntry(found, root.opened);
    };
    try {
      const report = await runPass(destination.path, pass, open);
      if (!isReplaced() || tries === MAX_TRIES) {
        return { ...report, destination: destination.path, outcome: 'kept' };
      }
    } catch (error) {
      if (!mayBeOfReplacing(error) || !isReplaced() || tries === MAX_TRIES) throw error;
    } finally {
      root?.close();
    }
  }
}

/** Whether an error may come of it that the tree was replaced, and not of the caller, or of a link in its place. */
function mayBeOfReplacing(error: unknown): boolean {
  if (error instanceof UnsafePathError) return error.reason === 'unsafe-path';
  return error instanceof UnresolvedEntriesError || errorCode(error) === 'ENOENT';
}
