import { number, wrongType } from '../checks.ts';
import type { ManifestInput } from '../manifest/manifest.ts';
import type { Signal } from '../options.ts';
import { createCounts, type PermissionProgress } from '../report.ts';
import { completion } from './completion.ts';
import { resolveDestination } from './destination.ts';
import type { ExtractionReport } from './extraction-report.ts';
import type { Lifetime } from './lifetime.ts';
import { resolveStageOptions, type StageOptions } from './options.ts';
import { takeTurn } from './queue.ts';
import { subjectOfKey } from './sharing.ts';
import { extractOnce } from './stage.ts';

/** What the callback of {@link stageTree} gets. */
export interface Stage {
  /** Absolute path of the directory to fill. It exists, and is empty. */
  readonly directory: string;
  /** Real path that the tree will have, for what writes absolute paths into it. */
  readonly destination: string;
  /** Aborted when the call is over, however it ends; if the caller aborts, with the caller's reason. */
  readonly signal: Signal;
  /**
   * Report progress: calls `onProgress` with phase `'fill'`.
   *
   * @param done how much is done, in units of your own
   * @param total how much there is to do, if you know
   * @throws TypeError or RangeError for anything but finite numbers, 0 or more
   */
  readonly progress: (done: number, total?: number) => void;
}

/** Fills a directory by any means. It may return what an {@link Extractor} returns. */
export type FillStage = (stage: Stage) => unknown;

/**
 * Fill a directory beside a destination, set its modes, wait for what the manifest says, and publish it with one rename: readers see
 * the whole tree or none. Everything that the callback writes appears at once.
 *
 * Calls in this process for one destination take turns. Those with the same `key` share one. If the caller whose callback runs
 * aborts, the callback of the next one runs. If any other caller aborts, only its own call ends.
 *
 * @param destination path of the tree; missing parents are made
 * @param options options of the pass without `dryRun`, and `existing`, `durable`, `key`
 * @param fill fills a directory
 * @returns the report of the pass, with `destination` and `outcome`
 * @throws TypeError or RangeError for a wrong option or destination
 * @throws whatever `fill` fails with, and what else a wrapped extractor rejects with ({@link wrapExtractor})
 *
 * @example
 * const archive = await download('https://example.org/bundle.mcpb');
 * const report = await stageTree(
 *   'cache/bundle',
 *   { key: archive.digest, existing: 'replace', manifest: () => readManifest(archive.path) },
 *   async ({ directory }) => {
 *     await extractZip(archive.path, { dir: directory });
 *     await writeFile(join(directory, 'metadata.json'), JSON.stringify({ digest: archive.digest }));
 *   },
 * );
 */
export async function stageTree(
  destination: string,
  options: StageOptions,
  fill: FillStage,
): Promise<ExtractionReport> {
  const settings = resolveStageOptions(options);
  if (typeof fill !== 'function') throw wrongType('fill', fill, 'a function that fills a directory');
  const { manifest, key, pass } = settings;
  const { onProgress } = pass;
  const subject =
    key === undefined
      ? { parts: [Symbol('its own')] }
      : subjectOfKey(key, settings, (manifest ?? false) !== false);
  const target = resolveDestination(destination);
  const run = () =>
    extractOnce({
      destination: target,
      settings,
      isManifestFirst: false,
      manifest: () => promisedBy(manifest),
      fill: async (directory, lifetime) => {
        const { signal } = lifetime;
        const progress = progressOf(lifetime, onProgress);
        await completion(fill({ directory, destination: target.path, signal, progress }));
      },
    });
  try {
    return await takeTurn(target.turn, subject, pass.signal as AbortSignal | undefined, run);
  } finally {
    target.release();
  }
}

async function promisedBy(manifest: StageOptions['manifest']): Promise<ManifestInput | undefined> {
  const promised = typeof manifest === 'function' ? await manifest() : manifest;
  return promised === false ? undefined : promised;
}

/** What says how far filling is. What `onProgress` throws ends the call, for nobody may be there to catch it. */
function progressOf(lifetime: Lifetime, onProgress: StageOptions['onProgress']): Stage['progress'] {
  return (done, total) => {
    if (number('done', done, 0, false) === undefined) throw wrongType('done', done, 'a number');
    number('total', total, 0, false);
    if (lifetime.signal.aborted) return;
    const facts = total === undefined ? { done } : { done, total };
    const progress: PermissionProgress = {
      phase: 'fill',
      ...facts,
      counts: createCounts(),
      pending: 0,
      unresolved: 0,
      list: () => [],
    };
    try {
      onProgress?.(progress);
    } catch (error) {
      lifetime.fail(error);
    }
  };
}
