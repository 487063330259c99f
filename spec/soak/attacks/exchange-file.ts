import { extent } from '../../helpers/extent.ts';
import { allPasses, attackedPasses } from '../../helpers/passes.ts';
import { type Result, underWatch } from '../attack.ts';
import { fileCourse, linkManifestOf, manifestOf } from '../course.ts';
import { proveCourse, race, reset, type Turn, tinyRetry } from '../race.ts';

/** Files are exchanged with links to a file outside: neither backend changes or reads it. */
export function exchangeFile(seconds: number): Promise<Result> {
  return underWatch(async (watch) => {
    await proveCourse(watch, fileCourse());
    const tested = extent({ short: attackedPasses, full: allPasses });
    for (const pass of tested) {
      const course = fileCourse();
      const manifest = manifestOf(course);
      const turns: Turn[] = [
        { options: { mode: 'a+rX' } },
        reset,
        { options: { executable: '**' }, calm: 0o755 },
        { options: { mode: 0o600 }, calm: 0o600 },
        { options: { mode: 'executable', detect: true } },
        { options: { manifest, mode: 'manifest', retry: tinyRetry }, calm: 0o755 },
        { options: { manifest: linkManifestOf(course), ...reset.options, discover: true }, calm: 0o644 },
      ];
      await race(watch, seconds / tested.length, course, pass, turns);
    }
  });
}
