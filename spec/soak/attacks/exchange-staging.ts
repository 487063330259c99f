import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { wrapExtractor } from '../../../lib/index.ts';
import { whileAttacking } from '../../helpers/exchange.ts';
import { modeOf, tempDirectory } from '../../helpers/tree.ts';
import { packZip } from '../../helpers/zip.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import { factsOf } from '../course.ts';
import { mustFool } from '../plain.ts';

const attacker = new URL('../attackers/staging.py', import.meta.url);
/** Linux's O_PATH, which `fs.constants` lacks. */
const OPEN_DIRECTORY = 0o10000000 | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const FILES = 20;
/** So many extractions are attacked at least. */
const MIN_ROUNDS = 10;

/** Where extractions go, and what lies beside. */
interface Course {
  directory: string;
  destination: string;
  archives: Buffer[];
  /** Directory outside with trees of the names that a staging directory has. */
  outside: string;
  canaries: string[];
  /** What the attacker is told. */
  attackerArguments: string[];
}

/**
 * The staging directory is exchanged, while it is in use, with a link to a directory outside and with a directory that
 * holds another tree. What is published is the whole right tree, or there is an error and the destination is as it was;
 * nothing outside changes, vanishes or is moved.
 */
export async function exchangeStaging(seconds: number): Promise<Result> {
  if (process.platform !== 'linux') return skip('the attacker needs Linux');
  return underWatch(async (watch) => {
    await prove(watch);
    await race(watch, seconds / 2, 'error');
    await race(watch, seconds / 2, 'replace');
  });
}

function makeCourse(): Course {
  const directory = tempDirectory();
  const outside = join(tempDirectory(), 'outside');
  const canaries = ['tree', 'old-1/app', 'gone-1'].flatMap((tree) =>
    ['a', 'b/c'].map((name) => join(outside, tree, name)),
  );
  for (const path of canaries) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'canary', { mode: 0o600 });
  }
  const [link, foreign] = [join(directory, 'link'), join(directory, 'foreign')];
  symlinkSync(outside, link);
  return {
    directory,
    destination: join(directory, 'app'),
    archives: ['one', 'two'].map((version) =>
      packZip(
        Object.fromEntries(
          Array.from({ length: FILES }, (_, index) => [`d/f${index}`, { mode: 0o100755, content: version }]),
        ),
      ),
    ),
    outside,
    canaries,
    attackerArguments: [directory, link, foreign],
  };
}

/** An extractor that no exchange leads astray: it writes where the staging directory is that it was given, or fails. */
function extractCarefully(version: string, directory: string): void {
  const staging = openSync(dirname(directory), OPEN_DIRECTORY);
  try {
    const tree = openSync(`/proc/self/fd/${staging}/${basename(directory)}`, OPEN_DIRECTORY);
    try {
      const path = `/proc/self/fd/${tree}/d`;
      mkdirSync(path);
      for (let index = 0; index < FILES; index += 1) writeFileSync(`${path}/f${index}`, version);
    } finally {
      closeSync(tree);
    }
  } finally {
    closeSync(staging);
  }
}

/** What lies at the destination: nothing, a version that is whole, or what must never be. */
function versionAt(destination: string): string {
  if (!existsSync(destination)) return 'nothing';
  const names = readdirSync(destination, { recursive: true });
  const versions = new Set<string>();
  for (let index = 0; index < FILES; index += 1) {
    const path = join(destination, `d/f${index}`);
    if (!existsSync(path) || modeOf(path) !== 0o755) return `a foreign tree: ${names}`;
    versions.add(readFileSync(path, 'utf8'));
  }
  return names.length === FILES + 1 && versions.size === 1 ? String([...versions]) : `a mixture: ${names}`;
}

/** An installer that trusts the names in its own staging directory. */
function installPlainly({ directory, destination }: Course): void {
  // What it left when it stumbled would keep the attacker busy.
  for (const name of readdirSync(directory)) {
    if (name.startsWith('.permwalk-')) rmSync(join(directory, name), { recursive: true, force: true });
  }
  const staging = join(directory, `.permwalk-${Math.random()}`);
  mkdirSync(join(staging, 'tree'), { recursive: true });
  for (let index = 0; index < FILES; index += 1) {
    writeFileSync(join(staging, 'tree', `f${index}`), '');
    chmodSync(join(staging, 'tree', `f${index}`), 0o755);
  }
  rmSync(staging, { recursive: true, force: true });
  rmSync(destination, { recursive: true, force: true });
}

/** What became of the canaries. */
function fatesOf({ canaries }: Course): string[] {
  return canaries.map(factsOf);
}

async function prove(watch: Watch): Promise<void> {
  const course = makeCourse();
  const tree = join(course.outside, 'tree');
  const names = readdirSync(tree).length;
  await whileAttacking(attacker, course.attackerArguments, () => {
    mustFool(
      watch,
      () => installPlainly(course),
      // It may even remove all of what the link leads to.
      () => !existsSync(tree) || readdirSync(tree).length !== names,
    );
  });
}

async function race(watch: Watch, seconds: number, existing: 'error' | 'replace'): Promise<void> {
  const course = makeCourse();
  const { destination, archives } = course;
  const before = fatesOf(course);
  watch.watching(before.length);
  const versions = new Map(archives.map((archive, index) => [archive, index === 0 ? 'one' : 'two']));
  const umask = 0o022;
  const careful = (archive: Buffer, directory: string) =>
    extractCarefully(versions.get(archive) ?? '', directory);
  const extract = wrapExtractor(careful, { existing, umask, retry: false });
  const outcomes = new Map<string, number>();
  let isMet = false;
  let rounds = 0;
  const round = async (number: number) => {
    const archive = archives[number % archives.length] as Buffer;
    const was = versionAt(destination);
    let outcome: string;
    try {
      outcome = (await extract(archive, destination)).outcome;
      const is = versionAt(destination);
      watch.must(is === versions.get(archive), `'${existing}', ${outcome}: published ${is}`);
    } catch (error) {
      outcome = (error as NodeJS.ErrnoException).code ?? String(error);
      isMet = true;
      const is = versionAt(destination);
      watch.must(is === was, `'${existing}', ${outcome}: the destination was ${was} and is ${is}`);
    }
    rounds += 1;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (existing === 'error') rmSync(destination, { recursive: true, force: true });
  };
  const exchanges = await whileAttacking(attacker, course.attackerArguments, () =>
    watch.rounds(seconds, round, () => isMet && rounds >= MIN_ROUNDS),
  );
  watch.must(isMet, `'${existing}': no exchange was ever met`);
  watch.exchanged(exchanges);
  watch.figure(`'${existing}': ${[...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ')}`);
  const after = fatesOf(course);
  const changed = course.canaries.filter((_, index) => after[index] !== before[index]);
  watch.must(changed.length === 0, `'${existing}': changed, moved or removed outside: ${changed}`);
}
