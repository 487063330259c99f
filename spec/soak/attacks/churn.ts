import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplyOptions } from '../../../lib/options.ts';
import { whileAttacking } from '../../helpers/exchange.ts';
import { attackedPasses, type TestedPass } from '../../helpers/passes.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import { type Course, calmCourse, canaries, changedCanaries, neglected } from '../course.ts';
import { mustFool, plainWalk } from '../plain.ts';

const attacker = new URL('../attackers/churn.py', import.meta.url);
const NAMES = 20;

/**
 * Names are created and removed at full speed, as files, links to what is outside, directories and FIFOs. That they
 * vanish is no error, what they lead to is never touched, and everything else is done.
 */
export async function churn(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('the attacker needs Linux');
  return underWatch(async (watch) => {
    await prove(watch);
    for (const pass of attackedPasses) await race(watch, seconds / attackedPasses.length, pass);
  });
}

function makeCourse(): Course {
  const course = calmCourse();
  mkdirSync(join(course.root, 'churned'));
  return course;
}

function argumentsOf({ root, outside }: Course): string[] {
  return [join(root, 'churned'), String(NAMES), join(outside, 'c000'), outside];
}

async function prove(watch: Watch): Promise<void> {
  const course = makeCourse();
  const before = canaries(course);
  let hasDied = false;
  await whileAttacking(attacker, argumentsOf(course), () => {
    const walk = () => {
      try {
        plainWalk(course.root);
      } catch {
        hasDied = true;
      }
    };
    mustFool(watch, walk, () => hasDied || changedCanaries(course, before).length > 0);
  });
}

async function race(watch: Watch, seconds: number, { apply, backend }: TestedPass): Promise<void> {
  const course = makeCourse();
  const before = canaries(course);
  watch.watching(before.size);
  let vanished = 0;
  let visited = 0;
  const round = async (number: number) => {
    const mode = number % 2 === 0 ? 0o600 : 0o640;
    const manifest = number % 4 < 2 ? {} : { manifest: course.paths, discover: true };
    const options: ApplyOptions = { mode, retry: false, strict: false, ...manifest };
    const { counts, unresolved } = await apply(course.root, options);
    vanished += counts.vanished;
    visited += counts.visited - course.paths.length - 2;
    for (const { path, reason } of unresolved) {
      // Exchanged under our hands more often than we care to look.
      const isTolerable = path.startsWith('churned/') && ['unsafe-path', 'symlink-in-path'].includes(reason);
      watch.must(isTolerable, `${backend}: ${path} is ${reason}`);
    }
    watch.must(neglected(course, mode).length === 0, `${backend}: not effective in round ${number}`);
  };
  const isMet = () => vanished > 0 && visited > 0;
  const attack = () => watch.rounds(seconds, round, isMet);
  watch.exchanged(await whileAttacking(attacker, argumentsOf(course), attack));
  const changed = changedCanaries(course, before);
  watch.must(changed.length === 0, `${backend}: changed outside: ${changed}`);
  watch.must(isMet(), `${backend}: ${vanished} vanished, ${visited} visited`);
}
