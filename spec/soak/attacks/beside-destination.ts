import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wrapExtractor } from '../../../lib/index.ts';
import { isRoot, NOBODY } from '../../helpers/child.ts';
import { whileAttacking } from '../../helpers/exchange.ts';
import { extent } from '../../helpers/extent.ts';
import { entriesBelow, tempDirectory } from '../../helpers/tree.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import { factsOf } from '../course.ts';

const attacker = new URL('../attackers/beside.py', import.meta.url);
/** Linux's O_PATH, which `fs.constants` lacks. */
const OPEN_DIRECTORY = 0o10000000 | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const FILES = 20;
/** In so many rounds each kind of attack has had its turn, and a few times in the full run. */
const MIN_ROUNDS = extent({ short: 5, full: 12 });

/** Parents of a destination: who may write to them. */
const parents: [name: string, mode: number][] = [
  ['plain', 0o755],
  ['0777', 0o777],
  ['sticky 1777', 0o1777],
];

/** Where extractions go, and what lies outside. */
interface Course {
  base: string;
  parent: string;
  outside: string;
  own: string;
}

/**
 * Another user attacks what lies beside and below the destination while root replaces and keeps it: nothing outside is
 * changed, removed or made. What the attacker may not write to is whole after each call.
 */
export async function besideDestination(seconds: number): Promise<Result> {
  if (process.platform !== 'linux' || !isRoot)
    return skip('the attacker is another user: it needs Linux and root');
  return underWatch(async (watch) => {
    for (const [name, mode] of parents) await race(watch, seconds / parents.length, name, mode);
  });
}

function makeCourse(mode: number): Course {
  const base = tempDirectory();
  chmodSync(base, 0o777);
  const [parent, outside, own] = ['p', 'outside', 'own'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [parent, own, join(outside, 'app/plugins/d'), join(outside, 'app/tree')]) {
    mkdirSync(path, { recursive: true });
  }
  for (let index = 0; index < FILES; index += 1) {
    for (const directory of ['app', 'app/plugins/d', 'app/tree']) {
      writeFileSync(join(outside, directory, `f${index}`), 'canary', { mode: 0o600 });
    }
  }
  chownSync(own, NOBODY, NOBODY);
  chmodSync(parent, mode);
  return { base, parent, outside, own };
}

/** Facts of everything outside. */
function fatesOf({ outside }: Course): string[] {
  return entriesBelow(outside)
    .map(([path]) => `${path}: ${factsOf(join(outside, path))}`)
    .sort();
}

/** An extractor that no exchange leads astray: it writes where the staging directory is that it was given, or fails. */
function extractCarefully(directory: string): void {
  const held: number[] = [];
  const open = (path: string) => {
    const fd = openSync(path, OPEN_DIRECTORY);
    held.push(fd);
    return `/proc/self/fd/${fd}`;
  };
  try {
    const staging = dirname(directory);
    const parent = open(dirname(staging));
    const tree = open(`${open(`${parent}/${basename(staging)}`)}/${basename(directory)}`);
    for (let index = 0; index < FILES; index += 1) writeFileSync(`${tree}/f${index}`, 'new');
    mkdirSync(`${tree}/plugins`);
    chownSync(`${tree}/plugins`, NOBODY, NOBODY);
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

async function race(watch: Watch, seconds: number, name: string, mode: number): Promise<void> {
  const course = makeCourse(mode);
  const { parent, base, outside, own } = course;
  const destination = join(parent, 'app');
  const [go, idle] = [join(own, 'go'), join(own, 'idle')];
  const before = fatesOf(course);
  watch.watching(before.length);
  const outcomes = new Map<string, number>();
  let rounds = 0;
  /** The attacker rests: nothing is a link, and root may name a destination without being led astray by its path. */
  const tidy = async () => {
    while (!existsSync(idle)) await sleep(1);
    const isThere = lstatSync(destination, { throwIfNoEntry: false })?.isDirectory() ?? false;
    for (const entry of readdirSync(parent)) {
      if (entry !== 'app' || !isThere) rmSync(join(parent, entry), { recursive: true, force: true });
    }
    for (const entry of readdirSync(base)) {
      if (!['p', 'outside', 'own'].includes(entry))
        rmSync(join(base, entry), { recursive: true, force: true });
    }
  };
  const round = async (number: number) => {
    await tidy();
    const existing = number % 5 === 4 ? 'keep' : 'replace';
    const extract = wrapExtractor((_: string, directory: string) => extractCarefully(directory), {
      existing,
      manifest: async () => {
        // From here on the path is resolved, and the attacker is let loose.
        writeFileSync(go, '');
        while (existsSync(idle)) await sleep(1);
        return ['f0', 'plugins'];
      },
      mode: 'u+rwX,go+rX',
      retry: false,
      strict: false,
    });
    let outcome: string;
    try {
      outcome = (await extract('archive', destination)).outcome;
    } catch (error) {
      outcome = (error as NodeJS.ErrnoException).code ?? String(error);
    }
    rmSync(go, { force: true });
    rounds += 1;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const after = fatesOf(course);
    const changed = after.filter((fate) => !before.includes(fate));
    const gone = before.filter((fate) => !after.includes(fate));
    watch.must(
      changed.length + gone.length === 0,
      `${name}, ${outcome}: changed outside: ${[...changed, ...gone]}`,
    );
  };
  const attackerArguments = [parent, base, outside, own, String(NOBODY)];
  const attacks = await whileAttacking(attacker, attackerArguments, () =>
    watch.rounds(seconds, round, () => rounds >= MIN_ROUNDS),
  );
  watch.exchanged(attacks);
  watch.must(attacks > 0, `${name}: the attacker did nothing`);
  watch.figure(`${name}: ${[...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ')}`);
}
