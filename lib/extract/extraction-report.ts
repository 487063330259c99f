import type { PermissionReport } from '../report.ts';

/** Result of {@link stageTree} and of a wrapped extractor: the report of the pass, and where the tree is now. */
export interface ExtractionReport extends PermissionReport {
  /** Real path of the extracted tree; the same as `root`. */
  destination: string;
  /**
   * `'created'`: nothing was there before. `'replaced'`: the new tree took the place of an old one. `'kept'`: a tree was
   * there, or another process was first; it was verified. `'in-place'`: the extractor wrote to the destination itself.
   */
  outcome: 'created' | 'replaced' | 'kept' | 'in-place';
}
