import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplyOptions } from '../../../lib/options.ts';
import { whileAttacking } from '../../helpers/exchange.ts';
import { extent } from '../../helpers/extent.ts';
import { attackedPasses, type TestedPass } from '../../helpers/passes.ts';
import { modeOf, tempDirectory } from '../../helpers/tree.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import { mustFool, plainWalkOfSingleLinks } from '../plain.ts';

const attacker = new URL('../attackers/relink.py', import.meta.url);

interface Course {
  root: string;
  canary: string;
  /** What the attacker is told: the name, the file outside, and a name that it needs. */
  names: string[];
}

/**
 * A further link to a file outside is put in place of a file, and taken away again. With `hardLinks: 'apply'` it changes,
 * as the options say; with `'skip'` and `'error'` never.
 */
export async function hardLink(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('the attacker needs Linux');
  return underWatch(async (watch) => {
    await prove(watch);
    const kinds = ['skip', 'error'] as const;
    const races = attackedPasses.flatMap((pass) => kinds.map((kind) => [pass, kind] as const));
    // Each backend and each kind once where it has to be short.
    const chosen = extent({ short: races.filter((_, index) => index % 2 === (index >> 1) % 2), full: races });
    for (const [pass, hardLinks] of chosen) await race(watch, seconds / chosen.length, pass, hardLinks);
  });
}

function makeCourse(): Course {
  const scratch = tempDirectory();
  const [root, canary] = [join(scratch, 'tree'), join(scratch, 'canary')];
  mkdirSync(root);
  for (const path of [canary, join(root, 'name'), join(root, 'calm')])
    writeFileSync(path, '', { mode: 0o600 });
  return { root, canary, names: [join(root, 'name'), canary, join(scratch, 'aside')] };
}

async function prove(watch: Watch): Promise<void> {
  const { root, canary, names } = makeCourse();
  for (let index = 0; index < 100; index += 1) writeFileSync(join(root, `more-${index}`), '');
  await whileAttacking(attacker, names, () => {
    mustFool(
      watch,
      () => plainWalkOfSingleLinks(root),
      () => modeOf(canary) !== 0o600,
    );
  });
}

async function race(
  watch: Watch,
  seconds: number,
  { apply, backend }: TestedPass,
  hardLinks: 'skip' | 'error',
): Promise<void> {
  const { root, canary, names } = makeCourse();
  watch.watching(1);
  let changes = 0;
  let shared = 0;
  const onChange = ({ path }: { path: string }) => {
    if (path === 'name') changes += 1;
  };
  const round = async (number: number) => {
    const mode = number % 2 === 0 ? 0o640 : 0o644;
    const turn: ApplyOptions = number % 4 < 2 ? {} : { manifest: ['name', 'calm'] };
    const options: ApplyOptions = { mode, hardLinks, strict: false, retry: false, onChange, ...turn };
    const { counts, unresolved } = await apply(root, options);
    if (counts.ignored > 0 || unresolved.some(({ reason }) => reason === 'hard-linked')) shared += 1;
    watch.must(modeOf(root, 'calm') === mode, `${backend}: not effective in round ${number}`);
  };
  const isMet = () => changes > 0 && shared > 0;
  watch.exchanged(await whileAttacking(attacker, names, () => watch.rounds(seconds, round, isMet)));
  const mode = modeOf(canary);
  watch.must(
    mode === 0o600,
    `${backend}, '${hardLinks}': the file outside has the mode 0${mode.toString(8)}`,
  );
  watch.must(isMet(), `${backend}: ${changes} changes of the file, ${shared} links met`);
}
