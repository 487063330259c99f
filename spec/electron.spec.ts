import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeAsar } from './helpers/asar.ts';
import { writeBundle } from './helpers/bundle.ts';
import { canRunOn, scriptPath } from './helpers/runtime.ts';
import { addToTree, modesBelow, tempDirectory } from './helpers/tree.ts';

const test = suite('Electron, imitated');
const checkout = fileURLToPath(new URL('..', import.meta.url));
const imitation = scriptPath(new URL('helpers/imitate-electron.ts', import.meta.url));
const child = fileURLToPath(new URL('helpers/electron-child.js', import.meta.url));
const built = join(checkout, 'dist');

/** What a step of the child came to. */
interface Outcome {
  error?: string;
  message?: string;
  /** What was asked of the patched node:fs about archives. */
  asked: string[];
  outcome?: string;
  counts?: { visited: number; changed: number };
  entries?: { path: string; type: string; size?: number; digest?: { value: string } }[];
}
type Step = 'pass' | 'file' | 'record' | 'created' | 'replaced' | 'shipped';

/** Command of a script in the imitated Electron. */
const command = (...args: string[]) => [...process.execArgv, '--import', imitation, ...args];

/** The permwalk that was built, as it lies in the archive of an application. */
function packedLibrary(): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  // A build for coverage names source maps, which are not shipped, and which Node would look for.
  const add = (path: string) => {
    const text = readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
    files[`node_modules/permwalk/${relative(checkout, path)}`] = Buffer.from(text);
  };
  add(join(checkout, 'package.json'));
  for (const entry of readdirSync(built, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.name.endsWith('.js')) add(join(entry.parentPath, entry.name));
  }
  return files;
}

/** A tree and a bundle with archives, good and broken, and an application that has permwalk in its own archive. */
function makeGround(): string {
  const ground = tempDirectory();
  mkdirSync(join(ground, 'copies'));
  const good = join(ground, 'good.asar');
  writeAsar(good, { 'package.json': '{}', 'lib/main.js': 'main' });
  const contents = {
    'bin/run': '#!/bin/sh\n',
    'resources/app.asar': readFileSync(good, 'utf8'),
    'resources/broken.asar': 'no archive',
    'resources/real.asar/file': 'a directory of that name',
  };
  writeBundle(join(ground, 'bundle.zip'), contents);
  addToTree(
    join(ground, 'tree'),
    Object.fromEntries(
      Object.entries(contents).map(([path, content]) => [
        path,
        { content, mode: path === 'bin/run' ? 0o700 : 0o600 },
      ]),
    ),
  );
  const shipped = readFileSync(join(ground, 'bundle.zip'));
  writeAsar(join(ground, 'app.asar'), { ...packedLibrary(), 'shipped.zip': shipped });
  return ground;
}

/** What the child prints, and the modes of the tree after it; a command is run in the same process, and says its version. */
function run(
  url: URL | string,
  { environment = {}, command: path }: { environment?: NodeJS.ProcessEnv; command?: string } = {},
) {
  const ground = makeGround();
  const at = (where: string) => pathToFileURL(join(ground, where)).href;
  const library = typeof url === 'string' ? at(url) : url.href;
  const args = [library, ground, ...(path === undefined ? [] : [at(path)])];
  const output = execFileSync(process.execPath, command(child, ...args), {
    env: {
      ...process.env,
      ...environment,
      ASAR_COPIES: join(ground, 'copies'),
      // Node asks for source maps where it counts coverage.
      NODE_V8_COVERAGE: undefined,
    },
    encoding: 'utf8',
  });
  const [document = '', version] = output.split('\n');
  const outcomes = JSON.parse(document) as Record<Step, Outcome>;
  return { ground, outcomes, version, modes: modesBelow(join(ground, 'tree')) };
}

const paths = ['bin/run', 'resources/app.asar', 'resources/broken.asar', 'resources/real.asar/file'];

function checkOutcomes({ ground, outcomes, modes }: ReturnType<typeof run>): void {
  const { file, ...rest } = outcomes;
  const { pass, record, created, replaced, shipped } = rest;
  assert.is(file.error, 'Error ENOTDIR');
  for (const [step, { error, message }] of Object.entries(rest))
    assert.is(error, undefined, `${step}: ${message}`);
  for (const { asked } of [pass, file, record, created, replaced]) assert.equal(asked, []);
  assert.is(modes['bin/run'], '755');
  for (const path of paths.slice(1)) assert.is(modes[path], '644', path);
  assert.is(modes['resources/real.asar'], '755');
  // The root, bin, resources, real.asar and four files.
  assert.is(pass.counts?.visited, 8);
  const files = record.entries?.filter(({ type }) => type === 'file') ?? [];
  assert.equal(
    files.map(({ path }) => path),
    paths,
  );
  assert.ok(files.every(({ digest }) => digest !== undefined));
  assert.equal([created.outcome, replaced.outcome], ['created', 'replaced']);
  assert.equal(readdirSync(ground).sort(), [
    'app.asar',
    'bundle.zip',
    'copies',
    'extracted',
    'good.asar',
    'tree',
  ]);
  assert.equal(modesBelow(join(ground, 'extracted')), { ...modes, '.': '755' });
  // What an application ships in its archive is read as its extractor reads it.
  assert.equal(
    shipped.entries?.map(({ path }) => path),
    paths,
  );
}

if (canRunOn(['node'], 'the hooks that load modules from an archive are of Node')) {
  const inArchive = 'app.asar/node_modules/permwalk/dist';
  test('archives are files to a pass, a record and an extraction, from inside the archive of an application', () => {
    const ran = run(`${inArchive}/index.js`, { command: `${inArchive}/bin/permwalk.js` });
    checkOutcomes(ran);
    // The command runs from inside it, too.
    assert.is(ran.version, JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')).version);
  });

  test('the same of an application that is bundled into one file', async () => {
    const outfile = join(tempDirectory(), 'application.cjs');
    const entryPoints = [join(built, 'index.js')];
    await build({ entryPoints, bundle: true, platform: 'node', format: 'cjs', outfile, logLevel: 'error' });
    checkOutcomes(run(pathToFileURL(outfile)));
  });

  test('without original-fs, what is imitated shows a pass what Electron shows', () => {
    const { outcomes } = run(pathToFileURL(join(built, 'index.js')), {
      environment: { ELECTRON_LACKS_ORIGINAL_FS: '1' },
    });
    assert.ok(outcomes.pass.error?.startsWith('TypeError'), JSON.stringify(outcomes.pass));
    assert.ok(outcomes.pass.asked.some((path) => path.endsWith('broken.asar')));
  });
}

test.run();
