export {
  type EntryFacts,
  type EntryType,
  ManifestError,
  UnresolvedEntryError,
  type UnresolvedReason,
} from './errors.ts';
export type { WrapOptions } from './extract/options.ts';
export {
  type ExtractionReport,
  type Extractor,
  type WrappedExtractor,
  wrapExtractor,
} from './extract/wrap.ts';
export type { Manifest, ManifestEntry, ManifestInput, ManifestWarning } from './manifest/manifest.ts';
export { readManifest } from './manifest/read.ts';
export { readRecordManifest } from './manifest/record.ts';
export { readTarManifest } from './manifest/tar.ts';
export { readZipManifest } from './manifest/zip.ts';
export type { ApplyOptions, RetryOptions } from './options.ts';
export { applyPermissions } from './pass/apply.ts';
export type {
  LinkReport,
  PermissionChange,
  PermissionCounts,
  PermissionProgress,
  PermissionReport,
  SettleReport,
} from './report.ts';
export { UnresolvedEntriesError } from './report.ts';
