/**
 * The command that Stryker runs for every mutant: the specs of the file that is mutated, the quickest first. Without a
 * mutant, which is what it begins with, those of all files that are; all is built for that once.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { uvuArguments } from './helpers/runtime.ts';
import { entriesBelow } from './helpers/tree.ts';
import { buildSpecs } from './typescript/build.ts';

const checkout = fileURLToPath(new URL('..', import.meta.url));

/** Specs by the beginning of a path below `lib`; the first that fits counts. */
const specs: Record<string, readonly string[]> = {
  'modes/detect.ts': ['detect'],
  'modes/mode.ts': ['mode', 'options'],
  'modes/outcomes.ts': ['mode', 'apply'],
  'modes/': ['mode'],
  'pass/settle.ts': ['settle'],
  'directory/move.ts': ['move', 'directory', 'staging'],
  'directory/no-follow.ts': ['no-follow'],
  'directory/anchored.ts': ['directory-faults', 'directory', 'apply', 'hostile', 'working-directory'],
  'directory/checked.ts': ['directory-faults', 'directory', 'apply', 'race', 'hostile'],
  'directory/remove.ts': ['removal', 'directory', 'staging'],
  'directory/read.ts': ['directory-faults', 'directory', 'hostile', 'apply', 'staging'],
  'directory/resolve-link.ts': ['directory', 'windows-imitated', 'flattened', 'settle'],
  'directory/restore-link.ts': [
    'restore-link',
    'flattened',
    'flattened-attacked',
    'restore',
    'flattened-model',
  ],
  'directory/link-target.ts': ['windows-imitated', 'directory', 'flattened'],
  'directory/windows-names.ts': ['windows-imitated', 'manifest-path'],
  'directory/working-directory.ts': ['working-directory', 'descriptors', 'faults'],
  'directory/real-path.ts': ['real-path', 'directory', 'extract'],
  'directory/tree.ts': ['tree', 'directory', 'descriptors'],
  'directory/place.ts': ['directory', 'apply'],
  'directory/names.ts': ['directory', 'hostile'],
  'directory/folding.ts': ['folding', 'windows-imitated'],
  'directory/': ['directory', 'hostile', 'apply', 'settle'],
  'extract/completion.ts': ['completion'],
  'extract/options.ts': ['extract'],
  'extract/queue.ts': ['stage-tree', 'extract'],
  'extract/sharing.ts': ['stage-tree', 'extract'],
  'extract/lifetime.ts': ['stage-tree', 'extract'],
  'extract/stage-tree.ts': ['stage-tree'],
  'extract/stage.ts': ['stage-tree', 'extract', 'attacked', 'publish'],
  'extract/wrap.ts': ['stage-tree', 'extract', 'attacked'],
  'extract/destination.ts': ['stage-tree', 'folding', 'extract', 'attacked', 'publish'],
  'extract/keep.ts': ['attacked', 'stage-tree'],
  'extract/marker.ts': ['staging', 'attacked'],
  'extract/sync.ts': ['staging'],
  'extract/in-use.ts': ['staging', 'publish'],
  'extract/publish.ts': ['staging', 'exchange', 'attacked'],
  'extract/': ['staging', 'extract', 'attacked'],
};

/** A call that every mutated file makes; all mutants are in the code, and this switches to one of them. */
const SWITCH = 'stryMutAct_9fa48("';
const MAX_SECONDS = 60;

/** Files below `lib` that a text is in. */
function filesWith(text: string): string[] {
  const lib = join(checkout, 'lib');
  return entriesBelow(lib).flatMap(([path, entry]) =>
    entry.isFile() && readFileSync(join(lib, path), 'utf8').includes(text) ? [path] : [],
  );
}

/** Give the copy packages of its own, by links: what is built lies beside them. Then build the package and the specs. */
async function build(): Promise<void> {
  const packages = join(checkout, 'node_modules');
  const original = realpathSync(packages);
  rmSync(packages);
  mkdirSync(packages);
  for (const name of readdirSync(original)) {
    if (name !== '.cache') symlinkSync(join(original, name), join(packages, name));
  }
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: checkout, stdio: 'inherit' });
  await buildSpecs(checkout);
}

// Stryker's copy is for its owner only, and some specs are nobody in it.
chmodSync(checkout, 0o755);
const mutant = process.env.__STRYKER_ACTIVE_MUTANT__;
if (mutant === undefined) await build();
const files = filesWith(mutant === undefined ? SWITCH : `${SWITCH}${mutant}")`);
const chosen = files.flatMap(
  (file) => Object.entries(specs).find(([prefix]) => file.startsWith(prefix))?.[1] ?? [],
);
if (chosen.length === 0) throw new Error('nothing is mutated');
for (const name of new Set(chosen)) {
  const { status } = spawnSync(process.execPath, [...uvuArguments([name], true), '-b'], {
    cwd: checkout,
    stdio: 'inherit',
    timeout: MAX_SECONDS * 1000,
    killSignal: 'SIGKILL',
  });
  if (status !== 0) process.exit(1);
}
