import { boolean, checkNames, checkObject, choice, wrongType } from '../checks.ts';
import type { ManifestInput } from '../manifest/manifest.ts';
import type { ApplyOptions } from '../options.ts';
import { own } from '../own.ts';
import { optionNames, type RetrySettings, resolveOptions } from '../settings.ts';

/** A value, or a promise of it. */
type Promised<T> = T | PromiseLike<T>;

/** Options of {@link stageTree}: {@link ApplyOptions} without `dryRun`, and how to publish. */
export interface StageOptions extends Omit<ApplyOptions, 'manifest' | 'dryRun'> {
  /**
   * What must exist: a manifest, or a function that returns one. Default, also for `undefined` and `false`: nothing has to exist.
   * The function is called after the callback has run, and for each tree that is kept.
   */
  manifest?: ManifestInput | (() => Promised<ManifestInput | false | undefined>) | false | undefined;
  /**
   * What happens if the destination exists. `'error'` (default): reject with code `EEXIST`. `'keep'`: verify it with a
   * pass and use it; a link in its place is refused. `'replace'`: put the new tree in its place. With native calls one rename
   * exchanges both; elsewhere it takes two renames, and between them the destination does not exist.
   */
  existing?: 'error' | 'keep' | 'replace' | undefined;
  /** fsync every file and directory before the rename, and the parent directory after it; on Windows files alone. Default false. */
  durable?: boolean | undefined;
  /**
   * A name for what the tree is made of, such as a digest. Calls in this process for one destination that have the same key, and
   * the same other options, share one extraction. Default: none, no call shares.
   */
  key?: string | undefined;
}

/** Options of {@link wrapExtractor}: {@link ApplyOptions} without `dryRun`, and how to publish. */
export interface WrapOptions<Archive = unknown, Rest extends unknown[] = unknown[]>
  extends Omit<StageOptions, 'manifest' | 'key'> {
  /**
   * What must exist. Default: `readManifest(archive)` if the archive is a path, `readZipManifest(archive)` if it is bytes.
   * It can also be a manifest, a function of the archive that returns one, or `false` to verify nothing. For any other archive it
   * is required.
   */
  manifest?: ManifestInput | ((archive: Archive) => Promised<ManifestInput>) | false | undefined;
  /**
   * `'atomic'` (default): extract to a staging directory beside the destination, run the pass there, then rename it once;
   * readers see the whole tree or none. `'in-place'`: the extractor writes to the destination itself. Use it for mount points,
   * lower layers of overlayfs, and extractors that write absolute paths into the tree.
   */
  publish?: 'atomic' | 'in-place' | undefined;
  /**
   * A name for what an archive holds, such as a digest: a string, or a function of the archive and the further arguments. Calls
   * in this process for one destination that have the same key, and the same other options, share one extraction. Default:
   * calls share one if extractor, archive and every further argument are the same.
   */
  key?: string | ((archive: Archive, ...rest: Rest) => string) | undefined;
}

/**
 * How to publish, after checking.
 *
 * @internal
 */
export interface StageSettings {
  readonly publish: 'atomic' | 'in-place';
  readonly existing: 'error' | 'keep' | 'replace';
  readonly durable: boolean;
  /** How long to try what another process has in use. */
  readonly retry: RetrySettings | false;
  /** Options of the pass, without the manifest. */
  readonly pass: ApplyOptions;
}

/**
 * Options of a wrapped extractor, after checking.
 *
 * @internal
 */
export interface WrapSettings<Archive, Rest extends unknown[]> extends StageSettings {
  readonly manifest: WrapOptions<Archive, Rest>['manifest'];
  readonly key: WrapOptions<Archive, Rest>['key'];
}

/** Options of the pass that make no sense here. */
const foreignNames = ['dryRun'];
const passNames = [...optionNames].filter((name) => !foreignNames.includes(name));
const stageNames: ReadonlySet<string> = new Set([...passNames, 'existing', 'durable', 'key']);
const wrapNames: ReadonlySet<string> = new Set([...stageNames, 'publish']);

/**
 * Check the options of a wrapped extractor.
 *
 * @throws TypeError for an unknown name or a wrong type, RangeError for a wrong value; both name the option
 * @internal
 */
export function resolveWrapOptions<Archive, Rest extends unknown[]>(
  options: WrapOptions<Archive, Rest>,
): WrapSettings<Archive, Rest> {
  checkObject('options', options);
  const { publish, key, ...others } = own(options);
  const rest = own(others);
  const settings = resolveCommon('wrapExtractor', rest, options, wrapNames);
  if (typeof key !== 'function') checkKey(key, keyOfArchive);
  return {
    ...settings,
    manifest: rest.manifest,
    key,
    publish: choice('publish', publish, ['atomic', 'in-place']) ?? 'atomic',
  };
}

/**
 * Check the options of {@link stageTree}.
 *
 * @throws TypeError for an unknown name or a wrong type, RangeError for a wrong value; both name the option
 * @internal
 */
export function resolveStageOptions(
  options: StageOptions,
): StageSettings & Pick<StageOptions, 'manifest' | 'key'> {
  checkObject('options', options);
  const { key, ...others } = own(options);
  const rest = own(others);
  const settings = resolveCommon('stageTree', rest, options, stageNames);
  checkKey(key, 'a string');
  return { ...settings, publish: 'atomic', manifest: rest.manifest, key };
}

/** What both check. */
function resolveCommon(
  name: string,
  given: Omit<StageOptions, 'manifest' | 'key'> & { manifest?: unknown },
  options: object,
  known: ReadonlySet<string>,
): Omit<StageSettings, 'publish'> {
  const { manifest, existing, durable, ...pass } = own(given);
  if (Object.hasOwn(pass, 'dryRun'))
    throw new TypeError(`dryRun: not for ${name}, because an extraction changes the disk`);
  checkNames('option', options, known);
  // The root is not known yet, nor is a manifest that is still to be read; any path and any manifest will do.
  const isRead = typeof manifest === 'function' || (manifest === undefined && known === wrapNames);
  const input = manifest === false ? undefined : (manifest as ManifestInput | undefined);
  const { retry } = resolveOptions('.', { ...pass, manifest: isRead ? [] : input });
  return {
    existing: choice('existing', existing, ['error', 'keep', 'replace']) ?? 'error',
    durable: boolean('durable', durable) ?? false,
    retry,
    pass: own(pass),
  };
}

const keyOfArchive = 'a string, or a function of the archive that returns one';

/**
 * Check a key, and what a function of an archive returned as one.
 *
 * @throws TypeError for anything but a string, RangeError for an empty one
 * @internal
 */
export function checkKey(key: unknown, expected: string): asserts key is string | undefined {
  if (key === undefined || (typeof key === 'string' && key !== '')) return;
  if (key === '') throw new RangeError('key: is empty, and would be the same for everything');
  throw wrongType('key', key, expected);
}
