import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplyOptions } from '../../../lib/options.ts';
import { isRoot } from '../../helpers/child.ts';
import { whileExchanging } from '../../helpers/exchange.ts';
import { extent } from '../../helpers/extent.ts';
import { attackedPasses, type TestedPass } from '../../helpers/passes.ts';
import { modeOf } from '../../helpers/tree.ts';
import { type Result, skip, underWatch, type Watch } from '../attack.ts';
import { addDirectory, type Course, calmCourse, neglected } from '../course.ts';
import { mustFool, plainWalk } from '../plain.ts';

/** Of each kind. */
const FILES = extent({ short: 2, full: 5 });

interface SpecialCourse extends Course {
  /** FIFOs, sockets and devices, by the names that they have when nothing is exchanged. */
  specials: string[];
}

/**
 * Files are exchanged with FIFOs, sockets and devices, which nobody reads from or writes to: no pass ever waits for one,
 * or changes it.
 */
export async function specialFile(seconds: number): Promise<Result> {
  if (process.platform === 'win32') return skip('there are no FIFOs');
  return underWatch(async (watch) => {
    await prove(watch);
    for (const pass of attackedPasses) await race(watch, seconds / attackedPasses.length, pass);
  });
}

const makers: readonly ((watch: Watch, paths: readonly string[]) => void)[] = [
  (_watch, paths) => execFileSync('mkfifo', ['-m', '600', ...paths]),
  (_watch, paths) => {
    const script = 'import socket, sys\nfor path in sys.argv[1:]: socket.socket(socket.AF_UNIX).bind(path)';
    execFileSync('python3', ['-c', script, ...paths]);
  },
  (watch, paths) => {
    if (!isRoot) return watch.figure('no devices: only root may make them');
    try {
      // /dev/zero: whoever reads it to its end never stops.
      const script = 'for path; do mknod -m 600 "$path" c 1 5; done';
      execFileSync('sh', ['-e', '-c', script, 'sh', ...paths], { stdio: 'ignore' });
    } catch {
      watch.figure('no devices: none may be made here');
    }
  },
];

function makeCourse(watch: Watch): SpecialCourse {
  const course: SpecialCourse = { ...calmCourse(), specials: [] };
  const specials = join(course.root, '../specials');
  mkdirSync(specials);
  for (const [kind, make] of makers.entries()) {
    const names = Array.from({ length: FILES }, (_, index) => `${kind}-${index}`);
    addDirectory(course, `kind-${kind}`, names);
    make(
      watch,
      names.map((name) => join(specials, name)),
    );
    for (const name of names) {
      const special = join(specials, name);
      if (modeOrUndefined(special) === undefined) continue;
      course.specials.push(special);
      course.pairs.push([join(course.root, `kind-${kind}`, name), special]);
    }
  }
  return course;
}

function modeOrUndefined(path: string): number | undefined {
  try {
    return modeOf(path);
  } catch {
    return undefined;
  }
}

/** Modes of what is special, wherever it lies: a socket has another than 0600, by its maker's umask. */
function specialModes({ pairs, specials }: SpecialCourse): string {
  return specials.map((path, index) => `${pairs[index]?.[1]} ${modeOf(path).toString(8)}`).join(', ');
}

async function prove(watch: Watch): Promise<void> {
  const course = makeCourse(watch);
  const before = specialModes(course);
  let after = before;
  for (let tries = 0; tries < 20 && after === before; tries += 1) {
    await whileExchanging(course.pairs, () => {
      for (let walks = 0; walks < 100; walks += 1) tryPlainWalk(course.root);
    });
    after = specialModes(course);
  }
  mustFool(
    watch,
    () => undefined,
    () => after !== before,
  );
}

function tryPlainWalk(root: string): void {
  try {
    plainWalk(root, 0o777);
  } catch {
    // It stumbles over what has just been exchanged.
  }
}

async function race(watch: Watch, seconds: number, { apply, backend }: TestedPass): Promise<void> {
  const course = makeCourse(watch);
  const before = specialModes(course);
  watch.watching(course.specials.length);
  const paths = course.pairs.map(([path]) => path.slice(course.root.length + 1));
  const links = paths.map((path) => ({ path, type: 'symlink' as const, linkTarget: 'iiiiiiiiii' }));
  const turns: ApplyOptions[] = [
    { mode: 0o600 },
    { mode: 0o640 },
    // Reads files, to see what they are.
    { detect: true },
    { manifest: links, mode: 0o600, discover: true },
    { manifest: paths, mode: 0o640, discover: true },
  ];
  let special = 0;
  let rounds = 0;
  const round = async (number: number) => {
    const options = turns[number % turns.length] as ApplyOptions;
    // Whoever has our rights can have a native chmod by name change something else: hard links are proven by descriptor.
    const hardLinks = backend === 'native' ? 'skip' : 'apply';
    const { counts } = await apply(course.root, { ...options, hardLinks, strict: false, retry: false });
    special += counts.special;
    rounds += 1;
    if (typeof options.mode === 'number')
      watch.must(
        neglected(course, options.mode).length === 0,
        `${backend}: not effective in round ${number}`,
      );
  };
  const isMet = () => special > 0 && rounds >= turns.length;
  watch.exchanged(await whileExchanging(course.pairs, () => watch.rounds(seconds, round, isMet)));
  const after = specialModes(course);
  watch.must(after === before, `${backend}: modes were ${before} and are ${after}`);
  watch.must(special > 0, `${backend}: never met anything special`);
}
