import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import * as tar from 'tar';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { extent } from './helpers/extent.ts';
import { javascriptCommand } from './helpers/runtime.ts';
import { entriesBelow, makeTree, tempDirectory } from './helpers/tree.ts';

interface PackageJson {
  version: string;
  bin: { permwalk: string };
  exports: Record<string, string | { types: string }>;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
}

interface LockedPackage {
  version?: string;
  dev?: boolean;
  hasInstallScript?: boolean;
}

interface Audit {
  /** Said in place of a result by a registry that was not asked or does not answer. */
  message?: string;
  error?: { summary?: string };
  metadata?: { vulnerabilities: Record<string, number> };
}

const checkout = fileURLToPath(new URL('..', import.meta.url));

function readJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}

/** Scripts that npm would run on the machine of who installs the package, also from a repository. */
const installScripts = [
  'preinstall',
  'install',
  'postinstall',
  'prepublish',
  'preprepare',
  'prepare',
  'postprepare',
];

/** The packed tarball, and a project that has it and the types of Node. */
function packed(): { tarball: string; project: string } {
  const project = tempDirectory();
  // prepack would build dist anew, under the specs that run it.
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', project];
  const names = execFileSync('npm', pack, {
    cwd: checkout,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const tarball = join(project, names.trim());
  const installed = join(project, 'node_modules/permwalk');
  mkdirSync(installed, { recursive: true });
  tar.extract({ file: tarball, cwd: installed, strip: 1, sync: true });
  mkdirSync(join(project, 'node_modules/@types'));
  for (const name of ['@types/node', 'undici-types']) {
    symlinkSync(join(checkout, 'node_modules', name), join(project, 'node_modules', name));
  }
  return { tarball, project };
}

const { packages } = readJson(checkout, 'package-lock.json') as { packages: Record<string, LockedPackage> };
/** What is installed with it, by its path in the checkout. */
const atRunTime = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);

const { tarball, project } = packed();
const installed = join(project, 'node_modules/permwalk');
const manifest = readJson(installed, 'package.json') as PackageJson;

/** Run a tool of the checkout; what it prints is the message where it fails. */
function runTool(script: string, args: readonly string[]): void {
  const [program, ...before] = javascriptCommand;
  const result = spawnSync(program, [...before, join(checkout, 'node_modules', script), ...args], {
    cwd: project,
    encoding: 'utf8',
  });
  assert.is(result.status, 0, `${result.stdout}${result.stderr}`);
}

const test = suite('package');

test('the tarball holds what is built from lib but the modules of the command, the pages and their charts', () => {
  const files = entriesBelow(installed).flatMap(([path, entry]) => (entry.isDirectory() ? [] : [path]));
  const sources = entriesBelow(join(checkout, 'lib')).flatMap(([path, entry]) =>
    entry.isDirectory() ? [] : [path.replace(/\.ts$/, '')],
  );
  // The command is in dist/bin, bundled.
  const built = sources.flatMap((name) =>
    name.startsWith('cli/') ? [] : [`dist/${name}.js`, `dist/${name}.d.ts`],
  );
  const pages = readdirSync(join(checkout, 'docs')).map((name) => `docs/${name}`);
  const charts = readdirSync(join(checkout, 'bench/results')).filter((name) => name.endsWith('.svg'));
  const others = ['.github/SECURITY.md', 'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'];
  const command = readdirSync(join(checkout, 'dist/bin')).map((name) => `dist/bin/${name}`);
  const expected = [
    ...built,
    ...command,
    ...pages,
    ...charts.map((name) => `bench/results/${name}`),
    ...others,
  ];
  assert.equal(files.sort(), expected.sort());
  for (const [path, entry] of entriesBelow(installed)) assert.ok(entry.isFile() || entry.isDirectory(), path);
});

test('the command is one bundle of what it is built from, without the packages that it needs', () => {
  const { permwalk } = manifest.bin;
  assert.is(permwalk, 'dist/bin/permwalk.js');
  const root = makeTree({ f: 0o600 });
  const [program, ...before] = javascriptCommand;
  const list = join(tempDirectory(), 'list');
  writeFileSync(list, 'f\n');
  // The packages are found in the checkout's node_modules.
  const call = ['apply', '--json', '--manifest', list, '--executable', 'f', root];
  const { status, stdout, stderr } = spawnSync(program, [...before, join(checkout, permwalk), ...call], {
    encoding: 'utf8',
  });
  assert.is(status, 0, stderr);
  assert.is(JSON.parse(stdout).counts.changed, 1);
  const text = readdirSync(join(installed, 'dist/bin'))
    .map((name) => readFileSync(join(installed, 'dist/bin', name), 'utf8'))
    .join('');
  assert.match(text, /from ?"commander"/);
  assert.not.match(text, /node_modules/);
});

test('nothing refers to a source map that is not there', () => {
  for (const path of entriesBelow(installed).map(([name]) => name)) {
    if (/\.(js|d\.ts)$/.test(path))
      assert.not.match(readFileSync(join(installed, path), 'utf8'), 'sourceMappingURL', path);
  }
});

test('nothing is run when it is installed', () => {
  assert.equal(
    Object.keys(manifest.scripts).filter((name) => installScripts.includes(name)),
    [],
  );
});

test('every dependency is one version, and runs nothing when it is installed either', () => {
  const entries = Object.entries(manifest.dependencies);
  assert.ok(entries.length > 0);
  for (const [name, version] of entries) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
    assert.is(packages[`node_modules/${name}`]?.version, version, name);
  }
  assert.ok(atRunTime.length >= entries.length);
  assert.equal(
    atRunTime.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path),
    [],
  );
});

/** What is promised to who installs it. */
const MOST_PACKAGES = 16;
const MOST_BYTES = 4 * 2 ** 20;

/** Bytes of all files and directories below a directory. */
function bytesBelow(directory: string): number {
  return sum(entriesBelow(directory).map(([path]) => lstatSync(join(directory, path)).size));
}

const sum = (values: readonly number[]): number => values.reduce((one, other) => one + other, 0);

test('it is installed as 16 packages and 4 MiB at most, as the checkout has them', () => {
  assert.ok(atRunTime.length + 1 <= MOST_PACKAGES, `${atRunTime.length + 1} packages`);
  const bytes = sum([installed, ...atRunTime.map(([path]) => join(checkout, path))].map(bytesBelow));
  assert.ok(bytes > 10 ** 6 && bytes <= MOST_BYTES, `${bytes} bytes`);
});

test('publint finds nothing', async () => {
  const { messages, pkg } = await publint({ pkgDir: installed, pack: false, strict: true });
  assert.equal(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  );
});

/** What reads the whole of TypeScript's or Node's types, or asks a registry, is done in the full run. */
const whenFull = extent({ short: test.skip, full: test });
if (whenFull === test.skip)
  console.log("  skipped: what takes long, and the registry's audit: npm run test:full does it");

whenFull('its types are right for who imports it', () => {
  runTool('@arethetypeswrong/cli/dist/index.js', [tarball, '--no-definitely-typed', '--profile', 'esm-only']);
});

/** A consumer with or without the types of Node. */
const consumer = `
  import { applyPermissions, readManifest, wrapExtractor } from 'permwalk';
  import { chmodr } from 'permwalk/chmodr';

  const report = await applyPermissions('tree', { manifest: await readManifest('bundle.mcpb') });
  const extract = wrapExtractor(async (archive: string, directory: string) => chmodr(directory, archive.length));
  report.counts.visited satisfies number;
  (await extract('bundle.mcpb', 'tree')).outcome satisfies string;
  // @ts-expect-error
  await applyPermissions('tree', { verify: 'never' });
`;

whenFull('its types hold where those of Node are checked, too', () => {
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(project, 'consumer.ts'), consumer);
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    'false',
    '--module',
    'nodenext',
    '--target',
    'es2022',
  ];
  runTool('typescript/bin/tsc', [...options, '--types', 'node', 'consumer.ts']);
});

/** The declarations that `exports` names. */
function publicEntries(): string[] {
  return Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === 'string' ? [] : [posix.normalize(entry.types)],
  );
}

/** Everything that the declarations of the package's entries refer to, by its path in the package. */
function publicDeclarations(): Map<string, string> {
  const texts = new Map<string, string>();
  const open = publicEntries();
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (texts.has(path)) continue;
    const text = readFileSync(join(installed, path), 'utf8');
    texts.set(path, text);
    for (const [, name = ''] of withoutComments(text).matchAll(/from '([^']+)'/g)) {
      assert.match(name, /^\.\.?\//, `${path} refers to ${name}`);
      open.push(posix.join(posix.dirname(path), name.replace(/\.[jt]s$/, '.d.ts')));
    }
  }
  return texts;
}

const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, '');

test('its types need neither those of Node nor modules that are not its own', () => {
  const declarations = publicDeclarations();
  const internal = /^dist\/(?:pass\/(?!apply)|directory|globs|modes|cli|settings|checks)/;
  assert.equal(
    [...declarations.keys()].filter((path) => internal.test(path)),
    [],
  );
  for (const [path, text] of declarations) {
    assert.not.match(withoutComments(text), /\bBuffer\b|\bNodeJS\b|reference types/, path);
  }
  const bare = join(project, 'bare');
  mkdirSync(join(bare, 'node_modules'), { recursive: true });
  symlinkSync(installed, join(bare, 'node_modules/permwalk'));
  const options = {
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: [],
    lib: ['es2022'],
    target: 'es2022',
    module: 'nodenext',
  };
  writeFileSync(join(bare, 'package.json'), '{ "type": "module" }');
  writeFileSync(
    join(bare, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['consumer.ts', 'simple.ts'] }),
  );
  writeFileSync(join(bare, 'simple.ts'), consumer);
  writeFileSync(
    join(bare, 'consumer.ts'),
    `
    import { type ApplyOptions, applyPermissions, type Manifest, readManifest, readZipManifest, UnresolvedEntriesError, wrapExtractor } from 'permwalk';
    import { chmodrSync } from 'permwalk/chmodr';

    declare function extractZip(archive: string, options: { dir: string }): Promise<void>;
    // The example of wrapExtractor: nothing has to be said of its parameters.
    const extract = wrapExtractor((archive, directory) => extractZip(archive, { dir: directory }));
    const { outcome } = await extract('bundle.mcpb', 'cache/bundle');
    outcome satisfies 'created' | 'replaced' | 'kept' | 'in-place';
    // @ts-expect-error
    await extract(7, 'cache/bundle');
    const ofBytes = wrapExtractor((archive: Uint8Array, directory, level: number) => [archive.length, directory, level], { existing: 'keep' });
    await ofBytes(new Uint8Array(3), 'tree', 9);
    const named = wrapExtractor((archive, directory) => extractZip(archive, { dir: directory }), { manifest: async () => ['a'] });
    await named('a', 'b');

    // Literals that an editor completes, in a type that takes any string.
    type Known<T, Name> = [Extract<T, Name>] extends [never] ? never : Name;
    'executable' satisfies Known<ApplyOptions['mode'], 'executable'>;
    'manifest' satisfies Known<ApplyOptions['mode'], 'manifest'>;
    'umask' satisfies Known<ApplyOptions['directoryMode'], 'umask'>;
    // @ts-expect-error
    'others' satisfies Known<ApplyOptions['mode'], 'others'>;
    const mode: string = 'u+x';
    const manifest: Manifest = await readManifest('a');
    try {
      await applyPermissions('tree', { mode, manifest, umask: '022', directoryMode: 0o755 });
    } catch (error) {
      if (error instanceof UnresolvedEntriesError) error.errors[0]?.reason satisfies string | undefined;
    }
    await readZipManifest(new Uint8Array(3));
    chmodrSync('tree', '644');
    `,
  );
  runTool('typescript/bin/tsc', ['-p', 'bare/tsconfig.json']);
});

test('every exported function has an example, and no text refers to what is not exported', () => {
  const declarations = publicDeclarations();
  const entries = publicEntries().map((path) => declarations.get(path) ?? '');
  const exported = new Set(
    entries.flatMap((text) => [
      ...[...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(
        ([, names = '']) => names.match(/\w+/g) ?? [],
      ),
      ...[...text.matchAll(/export declare function (\w+)/g)].map(([, name = '']) => name),
    ]),
  );
  assert.ok(exported.size > 20);
  let functions = 0;
  for (const [path, text] of declarations) {
    for (const [, link = ''] of text.matchAll(/\{@link ([\w.]+)/g)) {
      assert.ok(exported.has(link.split('.')[0] ?? ''), `${path} refers to ${link}`);
    }
    for (const [, comment = '', name = ''] of text.matchAll(
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport declare function (\w+)/g,
    )) {
      if (!exported.has(name)) continue;
      functions += 1;
      assert.match(comment, /@example\n/, name);
    }
  }
  assert.ok(functions >= 8);
});

whenFull('npm installs 16 packages and 4 MiB at most, of which none runs anything', () => {
  const empty = tempDirectory();
  writeFileSync(join(empty, 'package.json'), '{ "private": true }');
  const flags = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'];
  execFileSync('npm', ['install', ...flags, tarball], { cwd: empty });
  const { packages } = readJson(empty, 'node_modules/.package-lock.json') as {
    packages: Record<string, LockedPackage>;
  };
  const found = Object.entries(packages);
  assert.ok(found.length > 10 && found.length <= MOST_PACKAGES, `${found.length} packages`);
  assert.equal(
    found.filter(([, { hasInstallScript }]) => hasInstallScript),
    [],
  );
  const bytes = bytesBelow(join(empty, 'node_modules'));
  assert.ok(bytes > 10 ** 6 && bytes <= MOST_BYTES, `${bytes} bytes`);
});

whenFull('no advisory is known for what it depends on', () => {
  const audit = ['audit', '--omit=dev', '--json', '--fetch-retries=0', '--fetch-timeout=20000'];
  const { stdout } = spawnSync('npm', audit, { cwd: checkout, encoding: 'utf8' });
  const { metadata, message, error } = JSON.parse(stdout) as Audit;
  if (metadata === undefined) {
    console.log(`  skipped: the registry does not serve audits (${message || error?.summary})`);
    return;
  }
  assert.is(metadata.vulnerabilities.total, 0, stdout);
});

test.run();
