import type { ManifestInput } from '../manifest/manifest.ts';
import { type ApplyOptions, resolveOptions } from '../options.ts';

/** What {@link wrapExtractor} takes: all of {@link ApplyOptions}, and where the tree goes. */
export interface WrapOptions<Archive = unknown> extends Omit<ApplyOptions, 'manifest' | 'dryRun'> {
  /**
   * What must exist. Default: `readManifest(archive)` where the archive is a path, `readZipManifest(archive)` where it
   * is bytes, else none. Or a manifest, a function of the archive that returns one, or `false` for none.
   */
  manifest?:
    | ManifestInput
    | ((archive: Archive) => ManifestInput | PromiseLike<ManifestInput>)
    | false
    | undefined;
  /**
   * `'atomic'` (default): extract into a staging directory beside the destination, run the pass there, then one
   * `rename`: a reader sees nothing or everything. `'in-place'`: the extractor writes to the destination itself.
   */
  publish?: 'atomic' | 'in-place' | undefined;
  /**
   * What happens where the destination is there already. `'error'` (default): reject with code `EEXIST`. `'keep'`: use
   * it, verified by a pass. `'replace'`: put the new tree in its place; `'in-place'`, extract over it.
   */
  existing?: 'error' | 'keep' | 'replace' | undefined;
  /** fsync every file and directory before the rename, and the parent after it. Default false. */
  durable?: boolean | undefined;
}

/** The options of a wrapped extractor, checked. */
export interface WrapSettings<Archive> {
  readonly manifest: WrapOptions<Archive>['manifest'];
  readonly publish: 'atomic' | 'in-place';
  readonly existing: 'error' | 'keep' | 'replace';
  readonly durable: boolean;
  /** What the pass gets, besides the manifest. */
  readonly pass: ApplyOptions;
}

/**
 * Check the options of a wrapped extractor, before there is anything to extract.
 *
 * @throws TypeError for an unknown name or a wrong type, RangeError for a wrong value; both name the option
 */
export function resolveWrapOptions<Archive>(options: WrapOptions<Archive>): WrapSettings<Archive> {
  const { manifest, publish = 'atomic', existing = 'error', durable = false, ...pass } = options;
  if ('dryRun' in pass) throw new TypeError('dryRun: an extraction changes the disk');
  const isInput = manifest !== false && typeof manifest !== 'function';
  // The root is not known yet; any path does.
  resolveOptions('.', isInput ? { ...pass, manifest } : pass);
  check('publish', publish, ['atomic', 'in-place']);
  check('existing', existing, ['error', 'keep', 'replace']);
  check('durable', durable, [true, false]);
  return { manifest, publish, existing, durable, pass };
}

function check(name: string, value: unknown, choices: readonly unknown[]): void {
  if (choices.includes(value)) return;
  const expected = choices.map((choice) => JSON.stringify(choice)).join(', ');
  const fault = `${name}: ${JSON.stringify(value)} is not one of ${expected}`;
  throw typeof value === typeof choices[0] ? new RangeError(fault) : new TypeError(fault);
}
