import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ManifestEntry } from '../../../lib/manifest/manifest.ts';
import { defaultPass, pathPass } from '../../helpers/passes.ts';
import { tempDirectory } from '../../helpers/tree.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';

const maker = fileURLToPath(new URL('../attackers/deepen.py', import.meta.url));
const DEPTH = 10_000;
/** How many times as long the path backend may take for the part of the tree that it can reach. */
const SLOWNESS = 10;

/**
 * 10,000 directories in one another, each with a file. The anchored backend does all of it, walked and by manifest; the
 * path backend does what a path can name, says of the rest that it is too long, and ends.
 */
export async function deepTree(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('only the anchored backend goes deeper than a path: Linux');
  return underWatch(async (watch) => {
    const root = tempDirectory();
    execFileSync('python3', ['-B', maker, root, String(DEPTH)]);
    const levels = [1, 100, 5000, DEPTH].map((level) => 'd/'.repeat(level - 1));
    const manifest: ManifestEntry[] = levels.map((above) => ({
      path: `${above}f`,
      type: 'file',
      size: 0,
      mode: 0o755,
    }));
    let rounds = 0;
    const round = async (number: number) => {
      rounds += 1;
      const mode = number % 2 === 0 ? 0o600 : 0o640;
      const started = performance.now();
      const walked = await defaultPass.apply(root, { mode });
      watch.must(walked.counts.visited === 2 * DEPTH + 1, `visited ${walked.counts.visited}`);
      watch.must(number === 0 || walked.counts.changed === 2 * DEPTH + 1, `changed ${walked.counts.changed}`);
      const listed = await defaultPass.apply(root, { manifest, umask: 0 });
      watch.must(listed.counts.changed === levels.length, `changed ${listed.counts.changed} that are listed`);
      const patience = Math.ceil(SLOWNESS * (performance.now() - started));
      await shallowPass(watch, root, AbortSignal.timeout(patience));
    };
    await watch.rounds(seconds, round, () => rounds >= 2);
  });
}

/** A pass of the path backend. */
async function shallowPass(watch: Watch, root: string, signal: AbortSignal): Promise<void> {
  try {
    const { counts, unresolved } = await pathPass.apply(root, { mode: 'go+r', strict: false, signal });
    const codes = [...new Set(unresolved.map(({ code }) => code))];
    watch.must(String(codes) === 'ENAMETOOLONG', `path: unresolved with ${codes}`);
    watch.must(counts.visited > 1000, `path: visited ${counts.visited}`);
  } catch (error) {
    watch.must(!signal.aborted, `path: takes more than ${SLOWNESS} times as long for a part of the tree`);
    if (!signal.aborted) throw error;
  }
}
