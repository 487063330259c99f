import { extent } from '../../helpers/extent.ts';
import { heldPasses, pathPass } from '../../helpers/passes.ts';
import { type Result, underWatch } from '../attack.ts';
import { directoryCourse, linkManifestOf, manifestOf } from '../course.ts';
import { proveCourse, race, reset, type Turn, tinyRetry, unpromisedRace } from '../race.ts';

/**
 * Directories are exchanged with links to a directory outside. The anchored backend changes and reads nothing outside;
 * the path backend refuses what it notices.
 */
export function exchangeDirectory(seconds: number): Promise<Result> {
  return underWatch(async (watch) => {
    await proveCourse(watch, directoryCourse());
    const course = directoryCourse();
    const manifest = manifestOf(course);
    const walks: Turn[] = [
      { options: {} },
      reset,
      { options: { executable: ['**/c*'] }, calm: 0o755 },
      reset,
      { options: { mode: 'a+rX', danglingLinks: 'error' }, calm: 0o644 },
      { options: { mode: 0o640, retry: tinyRetry }, calm: 0o640 },
    ];
    const manifests: Turn[] = [
      { options: { manifest, ...reset.options }, calm: 0o644 },
      { options: { manifest }, calm: 0o755 },
      { options: { manifest, mode: 'manifest', verify: 'none' }, calm: 0o755 },
      { options: { manifest, mode: 0o600, verify: 'presence' }, calm: 0o600 },
      { options: { manifest, mode: 'a+rX', retry: tinyRetry }, calm: 0o644 },
      { options: { manifest, ...reset.options, discover: true }, calm: 0o644 },
      {
        options: { manifest: course.paths, mode: 'u+x', executable: '**', discover: true },
        calm: 0o755,
      },
      { options: { manifest: linkManifestOf(course), discover: true, ...reset.options }, calm: 0o644 },
    ];
    if (process.platform === 'linux') {
      const isLong = extent({ short: false, full: true });
      const held = extent({ short: heldPasses.slice(0, 1), full: heldPasses });
      for (const pass of held) {
        await race(watch, (seconds * 0.8) / (2 * held.length), course, pass, walks);
        if (isLong) await race(watch, (seconds * 0.8) / (2 * held.length), course, pass, manifests);
      }
    }
    await unpromisedRace(watch, seconds * 0.2, directoryCourse(), pathPass, [...walks, ...manifests]);
  });
}
