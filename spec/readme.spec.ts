import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import micromatch from 'micromatch';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli, start } from './helpers/cli.ts';
import { writeCommand } from './helpers/command-in-shell.ts';
import { makeExampleProject } from './helpers/example-project.ts';
import { checkout, faultOf, fileOf, type Page, repositoryPages, shippedPages } from './helpers/pages.ts';
import { javascriptCommand } from './helpers/runtime.ts';
import { modeOf, tempDirectory } from './helpers/tree.ts';

const [readme, ...docs] = shippedPages as [Page, ...Page[]];
const pageOf = (name: string): Page => {
  const page = docs.find(({ path }) => path === `docs/${name}.md`);
  if (page === undefined) throw new Error(`there is no docs/${name}.md`);
  return page;
};

/** The line of the README that makes the files of its examples. */
const makingLine = linesOf(readme).find((line) => line.includes('zipfile -c')) ?? '';
/** Commands of the README that set something up: not run here. `.ci/run` runs the tests' one. */
const setUpCommands = ['npm ci && npm run demo', 'npm ci && npm test', 'npm install permwalk'];
/** What runs, and what only shows something. */
const languages = ['dockerfile', 'js', 'sh', 'text'];

/** Commands of a page: the lines of its shell blocks, and what its images run. */
function linesOf({ blocks }: Page): string[] {
  return blocks.flatMap(({ language, code }) => {
    if (language === 'sh') return code.trim().split(/(?<!\\)\n/);
    return language === 'dockerfile' ? (code.match(/(?<=^RUN )permwalk .*$/gm) ?? []) : [];
  });
}

/** Packages of every project: permwalk as it is built, and extractors. */
const installed = tempDirectory();
symlinkSync(checkout, join(installed, 'permwalk'));
for (const name of ['adm-zip', 'extract-zip', 'fflate', 'tar', 'unzipper', 'yauzl'])
  symlinkSync(join(checkout, 'node_modules', name), join(installed, name));

/** What the examples of README work on, which a line of it makes. */
const madeByReadme = tempDirectory();
execFileSync('sh', ['-c', makingLine], { cwd: madeByReadme });
/** What those of the pages find. */
const found = tempDirectory();
makeExampleProject(found);

/** A project with what the examples of a page work on. */
function projectFor(page: Page): string {
  const project = tempDirectory();
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  symlinkSync(installed, join(project, 'node_modules'));
  cpSync(page === readme ? madeByReadme : found, project, { recursive: true });
  return project;
}

interface Example {
  page: Page;
  name: string;
  code: string;
  directory: string;
  script: string;
}

const examples: Example[] = shippedPages.flatMap((page) =>
  page.blocks
    .filter(({ language }) => language === 'js')
    .map(({ code }, index) => {
      const directory = projectFor(page);
      const script = join(directory, 'example.js');
      writeFileSync(script, code);
      // They extract to where nothing is yet; a loadBundle replaces what is there.
      if (page !== readme && code.includes("await extract('")) {
        rmSync(join(directory, 'cache'), { recursive: true });
      }
      return { page, name: `${page.path}, example ${index + 1}`, code, directory, script };
    }),
);

/** Run all examples; what each of them fails with, in their order. */
async function runExamples(): Promise<{ error?: string }[]> {
  const folder = tempDirectory();
  const [input, output] = [join(folder, 'examples.json'), join(folder, 'results.json')];
  writeFileSync(input, JSON.stringify(examples));
  const [program, ...args] = javascriptCommand;
  const runner = join(checkout, 'spec/helpers/run-examples.js');
  await promisify(execFile)(program, [...args, runner, input, output], { timeout: 120_000 });
  return JSON.parse(readFileSync(output, 'utf8'));
}

interface Ended {
  status: number | undefined;
  stderr: string;
}

interface ShownCommand {
  page: Page;
  command: string;
}

const commands: ShownCommand[] = shippedPages.flatMap((page) =>
  linesOf(page)
    .filter((command) => !setUpCommands.includes(command) && command !== makingLine)
    .map((command) => ({ page, command })),
);

/** Pages begin with the same files: a command that stands on several is run once. */
const keyOf = ({ page, command }: ShownCommand) => `${page === readme ? 'README' : 'docs'}: ${command}`;

/** Run all commands, a subshell and a project each; how each ended. */
async function runCommands(): Promise<Map<string, Ended>> {
  const folder = tempDirectory();
  writeCommand(join(folder, 'permwalk'));
  const distinct = [...new Map(commands.map((shown) => [keyOf(shown), shown])).values()];
  const errorsOf = (index: number) => join(folder, `${index}.stderr`);
  const script = distinct.map(({ page, command }, index) => {
    // Its lines are read as a shell reads them that is given this command alone.
    const subshell = `(\ncd '${projectFor(page)}'\n${command}\n) > /dev/null 2> '${errorsOf(index)}'`;
    return `${subshell}\necho $?\n`;
  });
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  const { code, stdout, stderr } = await start(['sh', '-c', script.join('')], { env }).result;
  if (code !== 0) throw new Error(stderr);
  const codes = stdout.trim().split('\n').map(Number);
  return new Map(
    distinct.map((shown, index) => [
      keyOf(shown),
      { status: codes[index], stderr: readFileSync(errorsOf(index), 'utf8') },
    ]),
  );
}

const test = suite('pages');

test('README is short, and begins with what a new user needs', () => {
  const lines = readme.text.trimEnd().split('\n').length;
  assert.ok(lines >= 150 && lines <= 200, `${lines} lines`);
  const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  assert.ok(scripts.demo && scripts.test);
  for (const command of setUpCommands) assert.ok(linesOf(readme).includes(command), command);
  assert.ok(readme.blocks.some(({ code }) => code === 'npm ci && npm test\n'));
});

test('there is something to run in README and on the pages', () => {
  assert.ok(makingLine.length > 0);
  assert.ok(examples.filter(({ page }) => page === readme).length >= 3);
  assert.ok(examples.length >= 30 && commands.length >= 20);
  for (const { path, blocks } of shippedPages)
    for (const { language } of blocks) assert.ok(languages.includes(language), `${path}: ${language}`);
});

let running: ReturnType<typeof runAll> | undefined;
/** What came of all examples and commands, which are run once. */
const results = () => {
  running ??= runAll();
  return running;
};
const runAll = () => Promise.all([runExamples(), runCommands()]);

for (const [index, { page, name, directory }] of examples.entries()) {
  test(`${name} runs`, async () => {
    const [ofExamples] = await results();
    assert.is(ofExamples[index]?.error, undefined);
    if (page !== readme && page.path !== 'docs/recipes.md') return;
    assert.equal(readdirSync(join(directory, 'cache')), ['bundle']);
    assert.is(modeOf(directory, 'cache/bundle/server/run') & 0o111, 0o111);
    if (page !== readme) assert.is(modeOf(directory, 'cache/bundle/server/main.py') & 0o111, 0);
  });
}

const hasZip = spawnSync('zip', ['-v'], { stdio: 'ignore' }).status === 0;
if (!hasZip) console.log('  commands with zip are skipped: it is not installed');

for (const shown of commands) {
  const { page, command } = shown;
  const testIt = !hasZip && /\bzip -/.test(command) ? test.skip : test;
  testIt(`${page.path}, command runs: ${command}`, async () => {
    const [, ofCommands] = await results();
    const { status, stderr } = ofCommands.get(keyOf(shown)) as Ended;
    const [, expected = '0'] = /# exit (\d)/.exec(command) ?? [];
    assert.is(String(status), expected, stderr);
  });
}

test('every relative link leads somewhere', () => {
  const faults = [...shippedPages, ...repositoryPages].flatMap((page) =>
    page.links.flatMap((link) => {
      const fault = faultOf(link, page);
      return fault === undefined ? [] : [`${page.path}: ${link} ${fault}`];
    }),
  );
  assert.equal(faults, []);
  assert.ok(readme.links.length >= 10);
});

test('a link of a page that the package holds leads to a file that it holds, too', () => {
  const { files } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  // A pattern that leaves something out would match everything else.
  const taken = files.filter((pattern: string) => !pattern.startsWith('!'));
  const shipped = [...taken, 'docs/**', 'README.md', 'LICENSE'];
  const security = repositoryPages.filter(({ path }) => files.includes(path));
  for (const page of [...shippedPages, ...security]) {
    for (const link of page.links) {
      const file = fileOf(link, page);
      assert.ok(
        file === undefined || micromatch.isMatch(file, shipped, { dot: true }),
        `${page.path}: ${link}`,
      );
    }
  }
});

test('README leads to every page', () => {
  for (const { path } of docs) assert.ok(readme.links.includes(path), path);
});

/** Words between quotes or bars in a part of a source. */
function namesIn(file: string, part: RegExp): string[] {
  const source = readFileSync(join(checkout, file), 'utf8');
  return part.exec(source)?.[1]?.match(/[\w-]+/g) ?? [];
}

/** The names that a page has a heading for. */
function namedHeadings(page: Page): string[] {
  return page.headings.flatMap((heading) => /^`([\w-]+)`$/.exec(heading)?.[1] ?? []).sort();
}

test('options.md has a heading for every option, and no other', () => {
  const names = namesIn('lib/settings.ts', /new Set<keyof ApplyOptions>\(\[(.*?)\]/s);
  assert.ok(names.length > 15);
  const ofWrapping = ['publish', 'existing', 'durable', 'key'];
  assert.equal(namedHeadings(pageOf('options')), [...names, ...ofWrapping].sort());
  const wrapOptions = readFileSync(join(checkout, 'lib/extract/options.ts'), 'utf8');
  for (const name of ofWrapping) assert.match(wrapOptions, `${name}?:`);
});

test('report-and-errors.md has a heading for every reason, and no other', () => {
  const names = namesIn('lib/errors.ts', /export type UnresolvedReason =(.*?);/s);
  assert.ok(names.length > 12);
  assert.equal(namedHeadings(pageOf('report-and-errors')), names.sort());
});

test('report-and-errors.md names every count and every field of the report', () => {
  const counts = namesIn('lib/report.ts', /createCounts\(\).*?return \{(.*?)\}/s).filter(
    (name) => name !== '0',
  );
  const [, body = ''] =
    /export interface PermissionReport \{(.*?)\n\}/s.exec(
      readFileSync(join(checkout, 'lib/report.ts'), 'utf8'),
    ) ?? [];
  const fields = [...body.matchAll(/^ {2}(\w+):/gm)].map(([, name = '']) => name);
  assert.ok(counts.length > 6 && fields.length > 6);
  for (const name of [...counts, ...fields]) {
    assert.ok(pageOf('report-and-errors').text.includes(`| \`${name}\` |`), name);
  }
});

test('command-line.md names every flag of every command', async () => {
  const helps = await Promise.all(
    ['apply', 'check', 'extract', 'record'].map((name) => runCli([name, '--help'])),
  );
  const flags = helps.flatMap(({ stdout }) => [...stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)]);
  assert.ok(flags.length > 60);
  const { text } = pageOf('command-line');
  for (const [, flag = ''] of flags) assert.ok(text.includes(`${flag}\``) || text.includes(`${flag} `), flag);
});

test('benchmarks.md shows the table of the results that are there', () => {
  const table = readFileSync(join(checkout, 'bench/results/table.md'), 'utf8');
  assert.ok(table.length > 1000);
  assert.ok(pageOf('benchmarks').text.includes(`\n${table}\n`), 'npm run bench -- --render writes it');
});

test('guarantees.md names specs that there are', () => {
  const specs = [...pageOf('guarantees').text.matchAll(/`(spec\/[\w-]+\.spec\.ts)`/g)];
  for (const [, path = ''] of specs) assert.ok(statSync(join(checkout, path)).isFile(), path);
  const promises = rowsOf(pageOf('guarantees').text, '| promise |');
  assert.ok(promises.length > 30);
  for (const { 3: heldBy = '', 4: macOS = '', 5: windows = '' } of promises) {
    assert.match(heldBy, /^`[\w-]+`(?:, `[\w-]+`)*$/);
    for (const known of [macOS, windows])
      assert.match(known, /^(?:–|not verified|(?:held|imitated) by `[\w-]+`(?:, .*)?)$/);
    for (const [, name = ''] of `${heldBy} ${macOS} ${windows}`.matchAll(/`([\w-]+)`/g))
      assert.ok(statSync(join(checkout, `spec/${name}.spec.ts`)).isFile(), name);
  }
});

/** Cells of the rows of all tables that begin so. */
function rowsOf(text: string, head: string): string[][] {
  const tables = text.split('\n\n').filter((block) => block.startsWith(head));
  const rows = tables.flatMap((table) => table.trim().split('\n').slice(2));
  return rows.map((row) => row.slice(2, -2).split(' | '));
}

/** Phrases that say it in a roundabout way, in parts, so that they do not stand here either; and what is plain. */
const banned: [parts: string[], plain: string][] = [
  [['after all else', 'was done'], 'processes everything it can, then rejects if anything failed'],
  [['brought something', 'begins the retries'], 'progress resets the retry count'],
  [['only what gets a mode', 'is looked at'], 'checks only entries whose mode it sets'],
  [['it did', 'not come'], 'listed in the manifest but never appeared'],
  [['exchanged while', 'it was worked on'], 'replaced during processing'],
  [['whoever was', 'at work'], 'another process'],
  [['the last one', 'whole wins'], 'the last to finish wins'],
  [['were the process', 'killed'], 'even if the process is killed'],
  [['past', 'so many'], 'after this many entries'],
  [['with nothing more', 'changed'], 'stop with an error'],
  [['Taken', ': '], 'Allowed: '],
  [['say what', 'is taken'], 'See permwalk <command> --help'],
  [['nothing must', 'be there'], 'do not verify contents'],
  [['what is', 'not so'], 'what is wrong'],
  [['who is', 'not root'], 'without root'],
  [['whatever', 'lies there'], 'whatever it finds'],
  [['as one', 'likes'], 'as you like'],
];
/** Made by tools, or not the project's own. */
const unwritten = new Set([
  '.git',
  '.runtimes',
  '.stryker-tmp',
  'coverage',
  'dist',
  'node_modules',
  'reports',
]);

/** Texts below a directory of the checkout. */
function* textsBelow(directory: string): Generator<[path: string, text: string], void, undefined> {
  for (const entry of readdirSync(join(checkout, directory), { withFileTypes: true })) {
    if (unwritten.has(entry.name)) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* textsBelow(path);
    else if (entry.isFile()) yield [path, readFileSync(join(checkout, path), 'utf8')];
  }
}

test('nothing is said in a roundabout way', () => {
  const found: string[] = [];
  const patterns = banned.map(([parts, plain]) => {
    const phrase = parts.join(parts.includes(': ') ? '' : ' ');
    return { phrase, plain, pattern: new RegExp(`\\b${phrase}`, /^[A-Z]/.test(phrase) ? '' : 'i') };
  });
  for (const [path, text] of textsBelow('.')) {
    // A phrase may go on in the next line of a comment.
    const flowing = text.replace(/\s*\n\s*(?:\*|\/\/|#)?\s*/g, ' ');
    for (const { phrase, plain, pattern } of patterns)
      if (pattern.test(flowing)) found.push(`${path}: "${phrase}"; say "${plain}"`);
  }
  assert.equal(found, []);
});

test.run();
