import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManifestError, readManifest } from '../../../lib/index.ts';
import type { ManifestInput } from '../../../lib/manifest/manifest.ts';
import { extent } from '../../helpers/extent.ts';
import { attackedPasses } from '../../helpers/passes.ts';
import { packTar, paxHeader } from '../../helpers/tar.ts';
import { modeOf, tempDirectory } from '../../helpers/tree.ts';
import { packZip } from '../../helpers/zip.ts';
import { type Result, underWatch } from '../attack.ts';
import { calmCourse, neglected } from '../course.ts';

/** Longer than any manifest path may be. */
const TOO_LONG = 100_000;
/** Longer than any name may be, and no longer than a manifest path may be. */
const LONG = extent({ short: 6000, full: 60_000 });

/**
 * Names of 100,000 characters in a manifest, as one name and as many: refused before anything is touched. Names that are
 * shorter, and longer than any file system has them, are unresolved, and the rest is done.
 */
export function longNames(seconds: number): Promise<Result> {
  return underWatch(async (watch) => {
    const course = calmCourse();
    const directory = tempDirectory();
    const sources = (name: string): (() => Promise<ManifestInput> | ManifestInput)[] => {
      const files: [string, string | Buffer][] = [
        ['lines', `${name}\ncalm/c000\n`],
        ['nul', `${name}\0calm/c000\0`],
        ['json', JSON.stringify([name, { path: 'calm/c000' }])],
        ['tar', packTar([paxHeader({ path: name }), { name: 'x' }, { name: 'calm/c000' }])],
        ['record', `${name},,1\ncalm/c000,,\nx.dist-info/RECORD,,\n`],
      ];
      // A zip archive has 16 bits for the length of a name.
      if (name.length < 1 << 16) files.push(['zip', packZip({ [name]: {}, 'calm/c000': {} })]);
      return [
        () => [name, 'calm/c000'],
        ...files.map(([kind, content]) => () => {
          const path = join(directory, kind);
          writeFileSync(path, content);
          return readManifest(path);
        }),
      ];
    };
    const tooLong = ['n'.repeat(TOO_LONG), 'd/'.repeat(TOO_LONG / 2), `calm/${'n'.repeat(TOO_LONG)}`];
    const long = ['n'.repeat(LONG), `${'d/'.repeat(LONG / 2)}n`, `calm/${'n'.repeat(LONG)}`];
    const round = async (number: number) => {
      const mode = number % 2 === 0 ? 0o600 : 0o640;
      for (const { apply, backend } of attackedPasses) {
        for (const source of tooLong.flatMap(sources)) {
          const options = { mode: 0o777, strict: false, retry: false } as const;
          const error = await attempt(async () =>
            apply(course.root, { ...options, manifest: await source() }),
          );
          watch.must(
            error instanceof ManifestError,
            `${backend}: a name too long: ${String(error).slice(0, 200)}`,
          );
          watch.must(modeOf(course.root, 'calm/c000') !== 0o777, `${backend}: touched what it refuses`);
        }
        for (const source of long.flatMap(sources)) {
          const options = { mode, verify: 'presence', strict: false, retry: false, discover: true } as const;
          const { unresolved } = await apply(course.root, { ...options, manifest: await source() });
          watch.must(unresolved.length > 0, `${backend}: a long name is there`);
          watch.must(neglected(course, mode).length === 0, `${backend}: not effective`);
        }
      }
    };
    await watch.rounds(seconds, round);
  });
}

/** What an attempt is rejected with; `undefined` where it is not. */
async function attempt(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}
