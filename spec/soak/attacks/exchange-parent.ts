import { type Result, skip, underWatch } from '../attack.ts';
import { raceTwoTrees } from '../two-trees.ts';

/** A directory above the root is exchanged with a link to another one, or with that one. */
export async function exchangeParent(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('two trees are told apart by descriptors: Linux');
  return underWatch((watch) => raceTwoTrees(watch, seconds, 'above/root'));
}
