import { closeSync, constants, lstatSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode } from '../../lib/directory/errors.ts';
import { holdDirectory, treeOf } from '../../lib/directory/open.ts';
import type { Tree } from '../../lib/directory/tree.ts';
import { runPass } from '../../lib/pass/apply.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { whileExchanging } from '../helpers/exchange.ts';
import { anchoredPass, pathPass } from '../helpers/passes.ts';
import { tempDirectory } from '../helpers/tree.ts';
import type { Watch } from './attack.ts';
import { names, type Pair } from './course.ts';
import { mustFool, plainWalk } from './plain.ts';

const NAMES = names.slice(0, 50);
/** What the system says of a path that is not any more what it was when it was resolved. */
const lateCodes = ['ENOENT', 'ENOTDIR', 'ELOOP'];
const modes = [0o600, 0o640, 0o604] as const;
type Mode = (typeof modes)[number];

/** Two trees, one of which is found at the path of the root, by turns. */
interface TwoTrees {
  /** The path that a pass is given. */
  root: string;
  /** The tree that is there at first, and the one that is there by turns. */
  trees: [HeldTree, HeldTree];
  pair: Pair;
}

/** A tree that is looked at by a descriptor, wherever it has its name. */
interface HeldTree {
  /** Where it lies when nothing is exchanged. */
  path: string;
  fd: number;
}

/**
 * @param below path of the root below the name that is exchanged; empty where that is the root itself
 * @param isLink whether that name is exchanged with a link to the other tree, or with the other tree
 */
function makeTwoTrees(below: string, isLink: boolean): TwoTrees {
  const scratch = tempDirectory();
  const [here, there, link] = ['here', 'there', 'link'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  const trees = [join(here, below), join(there, below)].map(makeTree) as [HeldTree, HeldTree];
  if (isLink) symlinkSync(there, link);
  return { root: join(here, below), trees, pair: [here, isLink ? link : there] };
}

function makeTree(path: string): HeldTree {
  mkdirSync(join(path, 'd'), { recursive: true });
  for (const name of NAMES) writeFileSync(join(path, 'd', name), '', { mode: 0o644 });
  return { path, fd: openSync(path, constants.O_RDONLY | constants.O_DIRECTORY) };
}

/** Modes and times of change of what is in a tree. */
function factsOf({ fd }: HeldTree): string[] {
  return NAMES.map((name) => {
    const { mode, ctimeNs } = lstatSync(`/proc/self/fd/${fd}/d/${name}`, { bigint: true });
    return `${mode.toString(8)} ${ctimeNs}`;
  });
}

function hasMode({ fd }: HeldTree, mode: Mode): boolean {
  return NAMES.every((name) => (lstatSync(`/proc/self/fd/${fd}/d/${name}`).mode & 0o7777) === mode);
}

/** Which of the trees are other than they were; asks again for what they are. */
function changesSince({ trees }: TwoTrees): () => [boolean, boolean] {
  const before = trees.map((tree) => String(factsOf(tree)));
  return () => trees.map((tree, index) => String(factsOf(tree)) !== before[index]) as [boolean, boolean];
}

/**
 * What is exchanged is the root, or a directory above it. A pass of the anchored backend works on one of the two trees,
 * to the end, and says on which; where a link is refused, only on the first.
 */
export async function raceTwoTrees(watch: Watch, seconds: number, below: string): Promise<void> {
  await prove(watch, below);
  for (const isLink of [true, false]) {
    await anchoredRace(watch, seconds * 0.3, makeTwoTrees(below, isLink), isLink);
    await pathRace(watch, seconds * 0.1, makeTwoTrees(below, isLink));
  }
  await unlinkedRace(watch, seconds * 0.2, makeTwoTrees(below, true));
}

async function prove(watch: Watch, below: string): Promise<void> {
  const course = makeTwoTrees(below, true);
  await whileExchanging([course.pair], () => {
    let isMixed = false;
    const walk = () => {
      const changes = changesSince(course);
      plainWalk(course.root);
      isMixed = changes().every(Boolean);
    };
    mustFool(watch, walk, () => isMixed);
  });
  close(course);
}

async function anchoredRace(watch: Watch, seconds: number, course: TwoTrees, isLink: boolean): Promise<void> {
  watch.watching(2 * NAMES.length);
  const [here, there] = course.trees;
  const whole = [0, 0];
  let refused = 0;
  const round = async (number: number) => {
    const mode = modes[number % modes.length] as Mode;
    const changes = changesSince(course);
    const report = await passOrRefusal(watch, () =>
      anchoredPass.apply(course.root, { mode, strict: false, umask: 0 }),
    );
    const [isHereChanged, isThereChanged] = changes();
    watch.must(!(isHereChanged && isThereChanged), 'one pass changed both trees');
    if (report === undefined) {
      refused += 1;
      watch.must(!isHereChanged && !isThereChanged, 'a pass that was refused changed something');
      return;
    }
    watch.must(report.ok && report.counts.visited === NAMES.length + 2, 'a pass did not do all of a tree');
    const [isHere, isThere] = [hasMode(here, mode), hasMode(there, mode)];
    watch.must(isHere || isThere, 'a pass left neither tree as it should be');
    whole[isHere ? 0 : 1] = (whole[isHere ? 0 : 1] ?? 0) + 1;
    if (!isLink) return;
    const isNamed = report.root === there.path;
    watch.must(
      isNamed ? isThere && !isHereChanged : isHere && !isThereChanged,
      `worked not on ${report.root}`,
    );
  };
  const isMet = () => whole.every((times) => times > 0);
  watch.exchanged(await whileExchanging([course.pair], () => watch.rounds(seconds, round, isMet)));
  const figure = `${whole[0]} passes on the one tree, ${whole[1]} on the other, ${refused} refused`;
  watch.figure(`${isLink ? 'link' : 'directory'}: ${figure}`);
  watch.must(
    whole.every((times) => times > 0),
    `the exchange was never met: ${figure}`,
  );
  close(course);
}

/** Hold a tree by its name in its parent, as a staging directory is held. */
function openUnlinked(path: string): Tree {
  const parent = holdDirectory(dirname(path));
  try {
    return treeOf(path, parent.openDirectory(basename(path)));
  } finally {
    parent.close();
  }
}

/** A link at the root is refused, as in a staging directory: the tree that it leads to is never touched. */
async function unlinkedRace(watch: Watch, seconds: number, course: TwoTrees): Promise<void> {
  const changes = changesSince(course);
  let done = 0;
  let refused = 0;
  const round = async (number: number) => {
    const mode = modes[number % modes.length] as Mode;
    const options = { mode, strict: false, umask: 0 };
    const report = await passOrRefusal(watch, () => runPass(course.root, options, openUnlinked));
    if (report === undefined) refused += 1;
    else done += 1;
  };
  const isMet = () => done > 0 && refused > 0;
  watch.exchanged(await whileExchanging([course.pair], () => watch.rounds(seconds, round, isMet)));
  watch.must(!changes()[1], 'what a link at the root leads to was changed');
  watch.must(isMet(), `${done} passes, ${refused} refused`);
  close(course);
}

/** The path backend refuses what it notices, and ends. */
async function pathRace(watch: Watch, seconds: number, course: TwoTrees): Promise<void> {
  let mixed = 0;
  const round = async (number: number) => {
    const mode = modes[number % modes.length] as Mode;
    const changes = changesSince(course);
    await passOrRefusal(watch, () => pathPass.apply(course.root, { mode, strict: false, umask: 0 }));
    if (changes().every(Boolean)) mixed += 1;
  };
  watch.exchanged(await whileExchanging([course.pair], () => watch.rounds(seconds, round)));
  watch.figure(`path, which does not promise it: ${mixed} passes changed both trees`);
  close(course);
}

/** The report; `undefined` where the root was exchanged while it was opened, which is an error of the system's. */
async function passOrRefusal(
  watch: Watch,
  pass: () => Promise<PermissionReport>,
): Promise<PermissionReport | undefined> {
  try {
    return await pass();
  } catch (error) {
    const code = errorCode(error) ?? '';
    watch.must(lateCodes.includes(code) || code === 'ERR_PERMWALK_SYMLINK_IN_PATH', `rejected with ${error}`);
    return undefined;
  }
}

function close({ trees }: TwoTrees): void {
  for (const { fd } of trees) closeSync(fd);
}
