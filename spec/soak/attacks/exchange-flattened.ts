import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ManifestEntry } from '../../../lib/manifest/manifest.ts';
import { whileExchanging } from '../../helpers/exchange.ts';
import { anchoredPass, hasNative, nativePass, type TestedPass } from '../../helpers/passes.ts';
import { entriesBelow, tempDirectory } from '../../helpers/tree.ts';
import { type Result, underWatch, type Watch } from '../attack.ts';

const DIRECTORIES = 40;
const TEXT = 'target';
const names = Array.from({ length: DIRECTORIES }, (_, index) => `d${index}`);
const manifest = names.map(
  (name): ManifestEntry => ({ path: `${name}/l`, type: 'symlink', linkTarget: TEXT }),
);
const preciousIn = (name: string): string => `precious of ${name}`;

interface Course {
  readonly root: string;
  readonly outside: string;
}

/** Files that hold the text of a link, each beside one that must not be lost; and the same outside. */
function makeCourse(): Course {
  const scratch = tempDirectory();
  const [root, outside] = [join(scratch, 'tree'), join(scratch, 'outside')];
  for (const name of names) {
    mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, name, 'precious'), preciousIn(name));
    writeFileSync(join(root, name, 'l'), TEXT);
  }
  mkdirSync(outside);
  writeFileSync(join(outside, 'l'), TEXT);
  symlinkSync(outside, join(scratch, 'link'));
  return { root, outside };
}

/** What is lost, and what is left, by the directories that it was in; flattens what became a link again. */
function lossesIn({ root }: Course): { lost: string[]; left: string[] } {
  const lost: string[] = [];
  for (const name of names) {
    const found = ['l', 'precious'].filter((entry) => {
      const path = join(root, name, entry);
      return lstatSync(path).isFile() && readFileSync(path, 'utf8') === preciousIn(name);
    });
    if (found.length !== 1) {
      lost.push(name);
      writeFileSync(join(root, name, 'new'), preciousIn(name));
      renameSync(join(root, name, 'new'), join(root, name, 'precious'));
    }
    const other = found[0] === 'l' ? 'precious' : 'l';
    writeFileSync(join(root, name, 'new'), TEXT);
    renameSync(join(root, name, 'new'), join(root, name, other));
  }
  const left = entriesBelow(root).flatMap(([path]) => (path.includes('.permwalk-') ? [path] : []));
  return { lost, left };
}

/** Passes that restore links, while each file is exchanged with the one beside it, and one directory with a link that leads out. */
async function attack(watch: Watch, seconds: number, pass: TestedPass): Promise<number> {
  const course = makeCourse();
  const { root, outside } = course;
  const pairs = names.map((name) => [join(root, name, 'l'), join(root, name, 'precious')] as const);
  const directories = [[join(root, 'd0'), join(root, '../link')] as const];
  const named = new Set<string>();
  let [losses, restored, refused] = [0, 0, 0];
  await watch.rounds(
    seconds,
    async (number) => {
      const isOfFiles = number % 2 === 0;
      watch.exchanged(
        await whileExchanging(isOfFiles ? pairs : directories, async () => {
          for (let times = 0; times < 4; times += 1) {
            const options = { manifest, flattenedLinks: 'restore', strict: false, retry: false } as const;
            const { counts, unresolved } = await pass.apply(root, options);
            restored += counts.restored;
            refused += unresolved.length;
            for (const { path } of unresolved) named.add(path);
          }
        }),
      );
      const { lost, left } = lossesIn(course);
      losses += lost.length;
      for (const path of left) {
        watch.must(named.has(path), `${pass.backend}: ${path} is left, and not named`);
        rmSync(join(root, path));
      }
      watch.must(readFileSync(join(outside, 'l'), 'utf8') === TEXT, `${pass.backend}: restored outside`);
      watch.must(entriesBelow(outside).length === 1, `${pass.backend}: made something outside`);
    },
    () => restored > 0 && refused > 0,
  );
  watch.figure(`${pass.backend}: ${restored} restored, ${refused} refused, ${losses} files lost`);
  return losses;
}

/**
 * Files are exchanged while they become links. Where names can be exchanged, nothing is lost but files that hold the text; elsewhere
 * what is exchanged right before the rename may be, which is a figure. Nothing outside is touched.
 */
export function exchangeFlattened(seconds: number): Promise<Result> {
  return underWatch(async (watch) => {
    if (process.platform !== 'linux')
      return watch.figure('skipped: only Linux holds directories by descriptors');
    watch.watching(DIRECTORIES + 1);
    if (hasNative) {
      const losses = await attack(watch, seconds / 2, nativePass);
      watch.must(losses === 0, `native: ${losses} files lost`);
    }
    await attack(watch, seconds / 2, anchoredPass);
  });
}
