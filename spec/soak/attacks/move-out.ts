import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { whileAttacking } from '../../helpers/exchange.ts';
import { attackedPasses, type TestedPass } from '../../helpers/passes.ts';
import { modeOf } from '../../helpers/tree.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import {
  addDeepDirectories,
  addDirectory,
  type Course,
  calmCourse,
  canaries,
  changedCanaries,
  deepSwapped,
  factsOf,
  neglected,
} from '../course.ts';
import { changingWalk, mustFool } from '../plain.ts';

const attacker = new URL('../attackers/move-out.py', import.meta.url);

const siblings = Array.from({ length: 12 }, (_, index) => `s${index}`);

/**
 * A directory is moved out of the root and back while it is walked. It is still the directory that was in the root, so
 * that what is in it may get its mode wherever it lies; what lies beside it outside is never touched.
 */
export async function moveOut(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('the attacker needs Linux');
  return underWatch(async (watch) => {
    await prove(watch);
    for (const pass of attackedPasses) await race(watch, seconds / attackedPasses.length, pass);
  });
}

function makeCourse(): Course {
  const course = calmCourse();
  addDeepDirectories(course);
  // Beside what is moved, wherever it lies, are directories of the same names: whoever comes back by `..` goes on there.
  for (const name of siblings) {
    addDirectory(course, join(dirname(deepSwapped), name), ['f']);
    mkdirSync(join(course.outside, name), { mode: 0o700 });
    writeFileSync(join(course.outside, name, 'f'), '', { mode: 0o600 });
  }
  return course;
}

/** What shows that something beside what was moved was touched. */
function factsBeside(course: Course): string[] {
  const { outside } = course;
  const modes = siblings.map(
    (name) => `${name} ${modeOf(outside, name)} ${factsOf(join(outside, name, 'f'))}`,
  );
  return [...canaries(course).values(), ...modes];
}

/** The two names of what is moved. */
function namesOf({ root, outside }: Course): [string, string] {
  return [join(root, deepSwapped), join(outside, 'moved')];
}

async function prove(watch: Watch): Promise<void> {
  const course = makeCourse();
  const before = canaries(course);
  await whileAttacking(attacker, namesOf(course), () => {
    mustFool(
      watch,
      () => changingWalk(course.root),
      () => changedCanaries(course, before).length > 0,
    );
  });
}

async function race(watch: Watch, seconds: number, { apply, backend }: TestedPass): Promise<void> {
  const course = makeCourse();
  const before = factsBeside(course);
  watch.watching(before.length);
  let changesOfMoved = 0;
  const round = async (number: number) => {
    const mode = number % 2 === 0 ? 0o600 : 0o640;
    const manifest = number % 4 < 2 ? {} : { manifest: course.paths, discover: number % 8 < 4 };
    const onChange = ({ path }: { path: string }) => {
      if (path.startsWith(deepSwapped)) changesOfMoved += 1;
    };
    await apply(course.root, { mode, ...manifest, onChange, strict: false, retry: false });
    watch.must(neglected(course, mode).length === 0, `${backend}: not effective in round ${number}`);
  };
  const attack = () => watch.rounds(seconds, round, () => changesOfMoved > 0);
  watch.exchanged(await whileAttacking(attacker, namesOf(course), attack));
  const changed = factsBeside(course).filter((facts, index) => facts !== before[index]);
  watch.must(changed.length === 0, `${backend}: changed beside what was moved: ${changed}`);
  watch.must(modeOf(course.outside) === 0o700, `${backend}: changed the directory that it was moved to`);
  watch.must(changesOfMoved > 0, `${backend}: never got into what is moved`);
}
