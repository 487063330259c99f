import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Tools } from './measure/tools.ts';
import type { MeasuredTree } from './results.ts';
import { factsOf, type TreeEntry } from './trees/entries.ts';
import { createContent, generateTree } from './trees/generated.ts';
import { readShape } from './trees/shape.ts';
import { WorkTree } from './trees/work-tree.ts';
import { makeZip } from './trees/zip.ts';

const MAX_SIZE = 64 * 1024;
const FILES = { quick: 1000, full: 20_000 };

/** A tree with content and its zip, in a folder of its own, for what a walk over modes does not show. */
export interface Bundle {
  readonly tools: Tools;
  readonly entries: readonly TreeEntry[];
  readonly tree: WorkTree;
  readonly zip: string;
  /** Where more can be put. */
  readonly folder: string;
  readonly rounds: number;
  readonly isQuick: boolean;
}

/** What a job measures on a bundle. */
export type MeasureBundle = (bundle: Bundle) => MeasuredTree['groups'];

/**
 * Make a bundle of 20,000 files (quick: 1,000) in the measured shape, measure jobs on it, and remove it.
 *
 * @param record takes what each job measured, as soon as it has
 */
export function measureBundles(
  how: Pick<Bundle, 'tools' | 'folder' | 'rounds' | 'isQuick'>,
  jobs: readonly { measure: MeasureBundle; record(trees: MeasuredTree[]): void }[],
): void {
  if (jobs.length === 0) return;
  const shape = readShape();
  const files = how.isQuick ? FILES.quick : FILES.full;
  const size = Math.round((files * shape.entries) / (shape.entries - shape.directories));
  const entries = generateTree(shape, size, { links: false, maxSize: MAX_SIZE });
  mkdirSync(how.folder);
  const tree = WorkTree.make(join(how.folder, 'bundle'), entries, createContent());
  const zip = join(how.folder, 'bundle.zip');
  makeZip(tree.root, zip);
  const origin = 'generated in the measured shape, without links';
  for (const { measure, record } of jobs) {
    const groups = measure({ ...how, entries, tree, zip });
    record([{ name: 'bundle', origin, facts: factsOf(entries), missing: [], groups }]);
  }
  rmSync(how.folder, { recursive: true });
}
