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
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wrapExtractor } from '../../../lib/index.ts';
import { isRoot, NOBODY } from '../../helpers/child.ts';
import { whileAttacking } from '../../helpers/exchange.ts';
import { extent } from '../../helpers/extent.ts';
import { entriesBelow, modeOf, tempDirectory } from '../../helpers/tree.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import { factsOf } from '../course.ts';

const attacker = new URL('../attackers/beside.py', import.meta.url);
/** Linux's O_PATH, which `fs.constants` lacks. */
const OPEN_DIRECTORY = 0o10000000 | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const fileNames = Array.from({ length: 20 }, (_, index) => `f${index}`);
/** So often the extractor looks for its staging directory while that is exchanged. */
const MAX_TRIES = 200;
/** What the system says of a path that leads elsewhere at the moment. */
const lateCodes = ['ENOENT', 'ENOTDIR', 'ELOOP'];
/** In so many rounds each kind of attack has had its turn, and a few times in the full run. */
const MIN_ROUNDS = extent({ short: 5, full: 12 });

/** A parent of a destination, and what another user can do there. */
interface Parent {
  name: string;
  mode: number;
  /** Places where the attacker has an effect. */
  places: readonly string[];
  /** Whether it can move the destination away. */
  canMove: boolean;
}

const parents: readonly Parent[] = [
  { name: 'plain', mode: 0o755, places: ['below', 'above'], canMove: false },
  { name: '0777', mode: 0o777, places: ['below', 'beside', 'above'], canMove: true },
  { name: 'sticky 1777', mode: 0o1777, places: ['below', 'beside', 'above'], canMove: false },
];

/** Where extractions go, and what lies outside. */
interface Course {
  base: string;
  parent: string;
  outside: string;
  own: string;
}

/**
 * Another user attacks what lies beside, below and above the destination while root makes, replaces and keeps it: nothing outside
 * is changed, removed or made. What lies at the destination is a whole tree after each call; where the attacker cannot move it, it
 * is there.
 */
export async function besideDestination(seconds: number): Promise<Result> {
  if (process.platform !== 'linux' || !isRoot)
    return skip('the attacker is another user: it needs Linux and root');
  return underWatch(async (watch) => {
    for (const where of parents) await race(watch, seconds / parents.length, where);
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
  for (const directory of ['app', 'app/plugins/d', 'app/tree']) {
    for (const name of fileNames) writeFileSync(join(outside, directory, name), 'canary', { mode: 0o600 });
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

/** What is wrong with the tree at the destination: the attacker can make none, nor change another than `plugins`. */
function faultsOf(destination: string): string[] {
  return fileNames.filter((name) => {
    const path = join(destination, name);
    return !existsSync(path) || readFileSync(path, 'utf8') !== 'new' || modeOf(path) !== 0o644;
  });
}

/** Extract as soon as what lies above the staging directory is there, which is exchanged. */
function extractPatiently(directory: string): void {
  for (let tries = 1; ; tries += 1) {
    try {
      return extractCarefully(directory);
    } catch (error) {
      if (tries === MAX_TRIES || !lateCodes.includes((error as NodeJS.ErrnoException).code ?? ''))
        throw error;
    }
  }
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
    for (const name of fileNames) writeFileSync(`${tree}/${name}`, 'new', { mode: 0o600 });
    mkdirSync(`${tree}/plugins`);
    chownSync(`${tree}/plugins`, NOBODY, NOBODY);
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

async function race(watch: Watch, seconds: number, where: Parent): Promise<void> {
  const course = makeCourse(where.mode);
  const { parent, base, outside, own } = course;
  const destination = join(parent, 'app');
  const [go, idle] = [join(own, 'go'), join(own, 'idle')];
  const before = fatesOf(course);
  watch.watching(before.length);
  const outcomes = new Map<string, number>();
  let rounds = 0;
  const isTree = () => lstatSync(destination, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const attackerRests = async () => {
    while (!existsSync(idle)) await sleep(1);
  };
  /** Nothing is a link, and root may name a destination without being led astray by its path. */
  const tidy = async (keepsTree: boolean) => {
    await attackerRests();
    const kept = keepsTree && isTree() ? ['app'] : [];
    for (const entry of readdirSync(parent)) {
      if (!kept.includes(entry)) rmSync(join(parent, entry), { recursive: true, force: true });
    }
    for (const entry of readdirSync(base)) {
      if (!['p', 'outside', 'own'].includes(entry))
        rmSync(join(base, entry), { recursive: true, force: true });
    }
  };
  const round = async (number: number) => {
    await tidy(number % 3 !== 2);
    const wasTree = isTree();
    const existing = number % 5 === 4 ? 'keep' : 'replace';
    const extract = wrapExtractor((_: string, directory: string) => extractPatiently(directory), {
      existing,
      manifest: async () => {
        // From here on the path is resolved, and the attacker is let loose.
        writeFileSync(go, '');
        while (existsSync(idle)) await sleep(1);
        return [...fileNames, 'plugins'];
      },
      mode: 'u+rwX,go+rX',
      retry: false,
      strict: false,
    });
    let outcome: string;
    let isDone = true;
    try {
      outcome = (await extract('archive', destination)).outcome;
    } catch (error) {
      outcome = (error as NodeJS.ErrnoException).code ?? String(error);
      isDone = false;
    }
    rmSync(go, { force: true });
    rounds += 1;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const after = fatesOf(course);
    const changed = after.filter((fate) => !before.includes(fate));
    const gone = before.filter((fate) => !after.includes(fate));
    const what = `${where.name}, ${outcome}`;
    watch.must(changed.length + gone.length === 0, `${what}: changed outside: ${[...changed, ...gone]}`);
    await attackerRests();
    const mustBe = (isDone || wasTree) && !where.canMove;
    watch.must(isTree() || !mustBe, `${what}: no tree at the destination`);
    if (isTree()) {
      const faults = faultsOf(destination);
      watch.must(faults.length === 0, `${what}: the tree is unfinished: ${faults}`);
    }
  };
  const missing = () => where.places.filter((place) => !existsSync(join(own, place)));
  const attackerArguments = [parent, base, outside, own, String(NOBODY)];
  const attacks = await whileAttacking(attacker, attackerArguments, () =>
    watch.rounds(seconds, round, () => rounds >= MIN_ROUNDS && missing().length === 0),
  );
  watch.exchanged(attacks);
  watch.must(missing().length === 0, `${where.name}: the attacker did nothing ${missing()}`);
  watch.figure(`${where.name}: ${[...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ')}`);
}
