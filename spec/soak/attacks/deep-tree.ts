import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ManifestEntry } from '../../../lib/manifest/manifest.ts';
import { extent } from '../../helpers/extent.ts';
import { anchoredPass } from '../../helpers/passes.ts';
import { tempDirectory } from '../../helpers/tree.ts';
import { type Result, skip, underWatch } from '../attack.ts';

const maker = fileURLToPath(new URL('../attackers/deepen.py', import.meta.url));
/** Deeper than a path may be long. */
const DEPTH = extent({ short: 2100, full: 10_000 });

/** Thousands of directories in one another, each with a file: the anchored backend does all of it, walked and by manifest. */
export async function deepTree(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('only the anchored backend goes deeper than a path: Linux');
  return underWatch(async (watch) => {
    const root = tempDirectory();
    execFileSync('python3', ['-B', maker, root, String(DEPTH)]);
    const levels = [1, 100, DEPTH / 2, DEPTH].map((level) => 'd/'.repeat(level - 1));
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
      const walked = await anchoredPass.apply(root, { mode });
      watch.must(walked.counts.visited === 2 * DEPTH + 1, `visited ${walked.counts.visited}`);
      watch.must(number === 0 || walked.counts.changed === 2 * DEPTH + 1, `changed ${walked.counts.changed}`);
      const listed = await anchoredPass.apply(root, { manifest, umask: 0 });
      watch.must(listed.counts.changed === levels.length, `changed ${listed.counts.changed} that are listed`);
    };
    await watch.rounds(seconds, round, () => rounds >= 2);
  });
}
