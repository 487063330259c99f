import { type Result, skip, underWatch } from '../attack.ts';
import { raceTwoTrees } from '../two-trees.ts';

/** The root itself is exchanged with a link to an outside tree, or with another tree. */
export async function exchangeRoot(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('two trees are told apart by descriptors: Linux');
  return underWatch((watch) => raceTwoTrees(watch, seconds, ''));
}
