import { boolean, checkNames, checkObject, choice } from '../checks.ts';
import type { ManifestInput } from '../manifest/manifest.ts';
import type { ApplyOptions } from '../options.ts';
import { own } from '../own.ts';
import { optionNames, resolveOptions } from '../settings.ts';

/** Options of {@link wrapExtractor}: {@link ApplyOptions} without `dryRun`, and how to publish. */
export interface WrapOptions<Archive = unknown> extends Omit<ApplyOptions, 'manifest' | 'dryRun'> {
  /**
   * What must exist. Default: `readManifest(archive)` if the archive is a path, `readZipManifest(archive)` if it is bytes.
   * Or a manifest, a function of the archive that returns one, or `false` to verify nothing. Required for other archives.
   */
  manifest?:
    | ManifestInput
    | ((archive: Archive) => ManifestInput | PromiseLike<ManifestInput>)
    | false
    | undefined;
  /**
   * `'atomic'` (default): extract to a staging directory beside the destination, run the pass there, then rename it once;
   * readers see the whole tree or none. `'in-place'`: the extractor writes to the destination itself, which serves mount
   * points, lower layers of overlayfs, and extractors that write absolute paths into the tree.
   */
  publish?: 'atomic' | 'in-place' | undefined;
  /**
   * What happens if the destination exists. `'error'` (default): reject with code `EEXIST`. `'keep'`: verify it with a
   * pass and use it; a link in its place is refused. `'replace'`: put the new tree in its place by two renames, between
   * which nothing is there; with `publish: 'in-place'`, extract over it.
   */
  existing?: 'error' | 'keep' | 'replace' | undefined;
  /** fsync every file and directory before the rename, and the parent directory after it. Default false. */
  durable?: boolean | undefined;
}

/**
 * Options of a wrapped extractor, after checking.
 *
 * @internal
 */
export interface WrapSettings<Archive> {
  readonly manifest: WrapOptions<Archive>['manifest'];
  readonly publish: 'atomic' | 'in-place';
  readonly existing: 'error' | 'keep' | 'replace';
  readonly durable: boolean;
  /** Options of the pass, without the manifest. */
  readonly pass: ApplyOptions;
}

/** Options of the pass that make no sense here. */
const foreignNames = ['dryRun'];
const ownNames = ['publish', 'existing', 'durable'];
const wrapNames: ReadonlySet<string> = new Set([
  ...[...optionNames].filter((name) => !foreignNames.includes(name)),
  ...ownNames,
]);

/**
 * Check the options of a wrapped extractor.
 *
 * @throws TypeError for an unknown name or a wrong type, RangeError for a wrong value; both name the option
 * @internal
 */
export function resolveWrapOptions<Archive>(options: WrapOptions<Archive>): WrapSettings<Archive> {
  checkObject('options', options);
  const { manifest, publish, existing, durable, ...pass } = own(options);
  if (Object.hasOwn(pass, 'dryRun'))
    throw new TypeError('dryRun: not for wrapExtractor, because an extraction changes the disk');
  checkNames('option', options, wrapNames);
  const isInput = manifest !== false && typeof manifest !== 'function';
  // The root is not known yet; any path will do.
  resolveOptions('.', isInput ? { ...pass, manifest } : pass);
  return {
    manifest,
    publish: choice('publish', publish, ['atomic', 'in-place']) ?? 'atomic',
    existing: choice('existing', existing, ['error', 'keep', 'replace']) ?? 'error',
    durable: boolean('durable', durable) ?? false,
    pass,
  };
}
