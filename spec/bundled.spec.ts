import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import * as tar from 'tar';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeBundle } from './helpers/bundle.ts';
import { extent } from './helpers/extent.ts';
import { canRunOn, javascriptCommand, runtime } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';
import { fetchRuntime, runtimes } from './runtimes/runtimes.ts';

const checkout = fileURLToPath(new URL('..', import.meta.url));
const test = suite('bundled');

/** A program that needs every dependency of the library, and prints what came of it. */
const program = `
async function main({ applyPermissions, readManifest, wrapExtractor, UnresolvedEntriesError }, { chmodr }, fs) {
  const directory = process.argv[2];
  const found = {};
  const manifests = await Promise.all(['a.zip', 'a.tgz', 'RECORD', 'list.txt'].map((name) => readManifest(directory + '/' + name)));
  found.manifests = manifests.map(({ format, entries }) => [format, entries.length]);
  const options = { executable: '**/*.{so,dylib,so.*}', ignore: ['[x]/**'], dryRun: true };
  found.changed = (await applyPermissions(directory + '/tree', options)).counts.changed;
  try {
    await applyPermissions(directory + '/tree', { manifest: ['never'], retry: { retries: 1, minTimeout: 1 } });
  } catch (error) {
    found.error = [error instanceof UnresolvedEntriesError, error.report.unresolved[0].reason];
  }
  fs.rmSync(directory + '/new', { recursive: true, force: true });
  const extract = wrapExtractor((archive, to) => fs.writeFileSync(to + '/f', archive), { manifest: ['f'] });
  found.outcome = (await extract('archive', directory + '/new')).outcome;
  await chmodr(directory + '/new', 0o640);
  found.hasRequire = 'require' in globalThis;
  console.log(JSON.stringify(found));
}
`;
const imports = `
import * as permwalk from 'permwalk';
import * as chmodr from 'permwalk/chmodr';
import fs from 'node:fs';
main(permwalk, chmodr, fs);
`;
const requires = `main(require('permwalk'), require('permwalk/chmodr'), require('node:fs'));`;

const expected = {
  manifests: [
    ['zip', 2],
    ['tar', 4],
    ['record', 2],
    ['list', 1],
  ],
  changed: 1,
  error: [true, 'missing'],
  outcome: 'created',
  hasRequire: false,
};

/** A folder with the program as a module and as CommonJS, permwalk installed, and what it works on. */
function makeProject(): { folder: string; ground: string } {
  const folder = tempDirectory();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(checkout, join(folder, 'node_modules/permwalk'));
  writeFileSync(join(folder, 'program.mjs'), imports + program);
  writeFileSync(join(folder, 'program.cjs'), requires + program);
  const ground = tempDirectory();
  mkdirSync(join(ground, 'tree/lib'), { recursive: true });
  writeFileSync(join(ground, 'tree/lib/a.so'), '');
  writeFileSync(join(ground, 'tree/x'), '');
  writeBundle(join(ground, 'a.zip'), { 'bin/run': '1', x: '2' });
  tar.create({ file: join(ground, 'a.tgz'), cwd: ground, gzip: true, sync: true }, ['tree']);
  writeFileSync(join(ground, 'RECORD'), 'x.py,md5=abc,8\nx-1.dist-info/RECORD,,\n');
  writeFileSync(join(ground, 'list.txt'), 'tree/x\n');
  return { folder, ground };
}

const { folder, ground } = makeProject();

/** What the program prints, in a folder in which no dependency is found. */
function run(command: readonly string[]): unknown {
  const [executable = '', ...args] = command;
  const result = spawnSync(executable, [...args, ground], { encoding: 'utf8', cwd: ground });
  assert.is(result.status, 0, `${result.stdout}${result.stderr}`);
  return JSON.parse(result.stdout);
}

for (const [format, minify] of [
  ['esm', false],
  ['esm', true],
  ['cjs', false],
] as const) {
  test(`esbuild, one file, ${format}${minify ? ', minified' : ''}`, async () => {
    const outfile = join(ground, `bundled.${format === 'esm' ? 'mjs' : 'cjs'}`);
    const { metafile, warnings } = await build({
      entryPoints: [join(folder, 'program.mjs')],
      bundle: true,
      metafile: true,
      platform: 'node',
      format,
      minify,
      outfile,
      logLevel: 'silent',
    });
    // CommonJS has no import.meta, by which koffi and bun:ffi would be found: node:fs does everything there.
    const ids = format === 'cjs' ? ['empty-import-meta'] : [];
    assert.equal([...new Set(warnings.map(({ id }) => id))], ids);
    const inputs = Object.keys(metafile.inputs);
    assert.ok(inputs.some((path) => path.includes('node_modules/micromatch/')));
    assert.equal(
      inputs.filter((path) => /node_modules\/(commander|yocto-spinner|yoctocolors)\/|dist\/cli\//.test(path)),
      [],
      'what the command needs is not in it',
    );
    assert.equal(run([...javascriptCommand, outfile]), expected);
  });
}

test('esbuild, split into several files', async () => {
  const outdir = join(ground, 'split');
  const extensions = { '.js': '.mjs' };
  const entryPoints = [join(folder, 'program.mjs')];
  await build({
    entryPoints,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    outdir,
    outExtension: extensions,
  });
  assert.ok(readdirSync(outdir).length > 3);
  assert.equal(run([...javascriptCommand, join(outdir, 'program.mjs')]), expected);
});

/** Bun, where it is at hand; in the full run it is fetched. */
function findBun(): string | undefined {
  if (runtime === 'bun') return process.execPath;
  const bun = runtimes.find(({ name }) => name === 'bun');
  const kept = join(checkout, '.runtimes');
  if (bun !== undefined && (existsSync(join(kept, 'bun')) || extent({ short: 0, full: 1 }) === 1))
    return fetchRuntime(bun, kept);
  const onPath = (process.env.PATH ?? '').split(delimiter).map((place) => join(place, 'bun'));
  const found = onPath.find((path) => existsSync(path));
  return found && realpathSync(found);
}

test('bun build --compile', () => {
  const bun = findBun();
  if (bun === undefined) {
    console.log('  skipped: no Bun here; npm run test:full fetches it');
    return;
  }
  const outfile = join(ground, 'compiled');
  execFileSync(bun, ['build', '--compile', join(folder, 'program.mjs'), '--outfile', outfile], {
    stdio: 'ignore',
  });
  assert.equal(run([outfile]), { ...expected, hasRequire: false });
});

const requiresModules = canRunOn(['node', 'bun'], 'a script in another directory finds no dependencies')
  ? test
  : test.skip;

requiresModules("require('permwalk'), where the runtime can", () => {
  assert.equal(run([...javascriptCommand, join(folder, 'program.cjs')]), expected);
  assert.equal(run([...javascriptCommand, join(folder, 'program.mjs')]), expected);
});

const seesLoading = canRunOn(['node'], 'what is loaded is seen by NODE_V8_COVERAGE') ? test : test.skip;

seesLoading('the library never loads what the command line needs', () => {
  const coverage = join(ground, 'coverage');
  const env = { ...process.env, NODE_V8_COVERAGE: coverage };
  execFileSync(process.execPath, [join(folder, 'program.mjs'), ground], { env, stdio: 'ignore' });
  const loaded = readdirSync(coverage).flatMap((name) => {
    const text = readFileSync(join(coverage, name), 'utf8');
    return [...text.matchAll(/"url":"([^"]+)"/g)].map(([, url]) => url ?? '');
  });
  assert.ok(loaded.some((url) => url.includes('/dist/pass/apply.js')));
  assert.ok(loaded.some((url) => url.includes('/node_modules/micromatch/')));
  assert.equal(
    loaded.filter((url) => /\/(commander|yocto-spinner|yoctocolors)\/|\/dist\/cli\//.test(url)),
    [],
  );
});

test.run();
