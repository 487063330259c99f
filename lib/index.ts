import { loaded } from './pass/loaded.ts';

export {
  type EntryFacts,
  type EntryType,
  ManifestError,
  UnresolvedEntryError,
  type UnresolvedReason,
} from './errors.ts';
export type { ExtractionReport } from './extract/extraction-report.ts';
export type { StageOptions, WrapOptions } from './extract/options.ts';
export { type FillStage, type Stage, stageTree } from './extract/stage-tree.ts';
export {
  type Extractor,
  type WrappedExtractor,
  wrapExtractor,
} from './extract/wrap.ts';
export type {
  Manifest,
  ManifestDigest,
  ManifestEntry,
  ManifestInput,
  ManifestWarning,
} from './manifest/manifest.ts';
export type { MappingOptions } from './manifest/mapping.ts';
export type { ReadOptions } from './manifest/options.ts';
export { readManifest } from './manifest/read.ts';
export { readRecordManifest } from './manifest/record.ts';
export { readTarManifest } from './manifest/tar.ts';
export { readZipManifest } from './manifest/zip.ts';
export type { ApplyOptions, RetryOptions } from './options.ts';
export { applyPermissions } from './pass/apply.ts';
export { formatManifest } from './record/format.ts';
export type { RecordOptions, RecordProgress } from './record/options.ts';
export { recordManifest } from './record/record.ts';
export type {
  LinkChange,
  LinkReport,
  ModeChange,
  PermissionChange,
  PermissionCounts,
  PermissionProgress,
  PermissionReport,
  SettleReport,
} from './report.ts';
export { UnresolvedEntriesError } from './report.ts';

// Said here, an import that nothing else uses is kept, and stays out of the declarations.
void loaded;
