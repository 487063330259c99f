import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UnresolvedEntriesError, type WrapOptions, wrapExtractor } from '../lib/index.ts';
import { extent } from './helpers/extent.ts';
import {
  type Alone,
  type ArchiveName,
  data,
  executables,
  extractAlone,
  extractAndRunAway,
  extractByHalves,
  extractors,
  hasCommand,
  links,
  macLinks,
  makeArchive,
  makeMacArchive,
  makers,
  type TestedExtractor,
  unpackWithMcpb,
} from './helpers/extractors.ts';
import { reasonsOf } from './helpers/passes.ts';
import { entriesBelow, modeOf, tempDirectory } from './helpers/tree.ts';

const commands = new Set([...Object.values(makers), ...extractors.flatMap(({ command }) => command ?? [])]);
const missing = [...commands].filter((command) => !hasCommand(command));
if (missing.length > 0) {
  process.stderr.write(`not installed, the specs of their extractors are skipped: ${missing.join(', ')}\n`);
}

const archives = new Map<ArchiveName, string>();

/** The archive of that name, made once. */
function archiveOf(name: ArchiveName): string {
  const archive = archives.get(name) ?? makeArchive(name);
  archives.set(name, archive);
  return archive;
}

const linksOf = (archive: ArchiveName) => (archive === 'plain.zip' ? [] : Object.keys(links));
/** Somebody may execute it. */
const hasExecBit = (root: string, path: string) => (modeOf(root, path) & 0o111) !== 0;
/** Whoever may read it may execute it. */
const isExecutable = (root: string, path: string) =>
  (modeOf(root, path) & 0o111) === (modeOf(root, path) & 0o444) >> 2;

/** What an extractor left of its archive. */
function lossOf(root: string, archive: ArchiveName): Alone {
  const flattened = linksOf(archive).filter((path) => lstatSync(join(root, path)).isFile());
  return {
    executables: executables.every((path) => isExecutable(root, path)) ? 'kept' : 'lost',
    links: flattened.length === 0 ? 'kept' : 'flattened',
    data: data.some((path) => modeOf(root, path) & 0o002) ? 'open' : 'kept',
  };
}

/** Everything is there as the archive has it but, perhaps, the links. */
function assertComplete(root: string, archive: ArchiveName, { links: expected }: Alone): void {
  const files = entriesBelow(root).filter(([, entry]) => !entry.isDirectory());
  assert.is(files.length, executables.length + data.length + linksOf(archive).length);
  for (const path of executables) assert.ok(isExecutable(root, path), path);
  for (const path of data) assert.not.ok(hasExecBit(root, path), path);
  assert.is(lstatSync(join(root, 'server/lib/deep/data.bin')).size, 500_000);
  for (const path of linksOf(archive)) {
    const target = links[path as keyof typeof links];
    if (expected === 'kept') assert.is(readlinkSync(join(root, path)), target);
    else assert.is(readFileSync(join(root, path), 'utf8'), target);
  }
}

/** Nothing but the destination is left in its parent. */
function assertNoStaging(parent: string, ...expected: string[]): void {
  assert.equal(readdirSync(parent), expected);
}

/** Extract into a new directory, through permwalk. */
async function extractWrapped({ extract }: TestedExtractor, archive: string, options: WrapOptions<string>) {
  const parent = tempDirectory();
  const wrapped = wrapExtractor(extract, options);
  const report = await wrapped(archive, join(parent, 'out'));
  assertNoStaging(parent, 'out');
  return report;
}

/** The rejection of an extraction that leaves nothing behind. */
async function rejectionOf({ extract }: Pick<TestedExtractor, 'extract'>, archive: string): Promise<Error> {
  const parent = tempDirectory();
  try {
    await wrapExtractor(extract)(archive, join(parent, 'out'));
  } catch (error) {
    assertNoStaging(parent);
    return error as Error;
  }
  throw new Error('expected a rejection');
}

/** Everything that an extractor takes; in the short run one zip and one tar of it. */
function taken({ takes }: TestedExtractor): ArchiveName[] {
  const [zips, tars] = [/zip$/, /t(ar|gz)$/].map((kind) => takes.filter((name) => kind.test(name)));
  const one = [...(zips ?? []).slice(0, 1), ...(tars ?? []).slice(-1)];
  return extent({ short: one, full: [...takes] });
}

/** Those that lose different things; in the full run all. */
const differing = extractors.filter(({ alone }, index) => {
  const alike = extractors.findIndex((other) => isDeepStrictEqual(other.alone, alone));
  return extent({ short: alike === index, full: true });
});

const table = suite('extractors');

for (const extractor of extractors) {
  for (const name of taken(extractor)) {
    const isMissing = missing.includes(extractor.command ?? '') || missing.includes(makers[name]);
    const test = isMissing ? table.skip : table;
    const hasLinks = linksOf(name).length > 0;
    // What is not in the archive cannot be lost.
    const alone: Alone = hasLinks ? extractor.alone : { ...extractor.alone, links: 'kept' };

    test(`${extractor.name} alone, ${name}: ${Object.values(alone).join(', ')}`, async () => {
      const root = await extractAlone(extractor, archiveOf(name));
      assert.equal(lossOf(root, name), alone);
    });

    test(`${extractor.name} wrapped, ${name}`, async () => {
      const report = await extractWrapped(extractor, archiveOf(name), { strict: false, umask: 0o022 });
      assert.is(report.settle.rounds, 0, 'it was waited for');
      assertComplete(report.destination, name, alone);
      const flattened = alone.links === 'flattened' ? linksOf(name) : [];
      assert.equal(
        reasonsOf(report),
        flattened.map((path) => `${path}: link-flattened`),
      );
      assert.is(report.ok, flattened.length === 0);
    });

    if (!differing.includes(extractor)) continue;

    test(`${extractor.name} wrapped, ${name}: exactly the archive's modes`, async () => {
      const options = { strict: false, mode: 'manifest', umask: 0o022 } as const;
      const { destination } = await extractWrapped(extractor, archiveOf(name), options);
      for (const path of executables) assert.is(modeOf(destination, path), 0o755, path);
      for (const path of data) assert.is(modeOf(destination, path), 0o644, path);
    });

    if (alone.links === 'kept') continue;

    test(`${extractor.name} wrapped, ${name}: flattened links restored, the whole tree`, async () => {
      const restoring = { umask: 0o022, flattenedLinks: 'restore', danglingLinks: 'error' } as const;
      const report = await extractWrapped(extractor, archiveOf(name), restoring);
      assertComplete(report.destination, name, { ...alone, links: 'kept' });
      assert.is(report.counts.restored, linksOf(name).length);
    });

    test(`${extractor.name} wrapped, ${name}: strict, nothing is published`, async () => {
      const error = await rejectionOf(extractor, archiveOf(name));
      assert.instance(error, UnresolvedEntriesError);
      const { report } = error as UnresolvedEntriesError;
      assert.equal(
        reasonsOf(report),
        linksOf(name).map((path) => `${path}: link-flattened`),
      );
    });
  }
}

let macZip: string | undefined;

for (const extractor of differing.filter(({ alone }) => alone.links === 'flattened')) {
  const isMissing = missing.includes('zip') || missing.includes(extractor.command ?? '');
  const test = isMissing ? table.skip : table;

  test(`${extractor.name} wrapped: a framework of macOS and libraries of Pillow, whole again`, async () => {
    macZip ??= makeMacArchive('zip');
    const report = await extractWrapped(extractor, macZip, { umask: 0o022, flattenedLinks: 'restore' });
    assert.equal([report.counts.restored, report.links], [Object.keys(macLinks).length, []]);
    for (const [path, target] of Object.entries(macLinks)) {
      assert.is(readlinkSync(join(report.destination, path)), target);
      assert.ok(existsSync(join(report.destination, path)), path);
    }
    assert.ok(isExecutable(report.destination, 'App.framework/Versions/A/App'));
  });
}

const withTar = missing.includes('tar') ? table.skip : table;

withTar('links through links: tar.x does not make them, which is named; tar-fs refuses them', async () => {
  const archive = makeMacArchive('tar');
  const [byTar, byTarFs] = ['tar.x, promise', 'tar-fs'].map(
    (name) => extractors.find((extractor) => extractor.name === name) as TestedExtractor,
  );
  const report = await extractWrapped(byTar as TestedExtractor, archive, { strict: false, retry: false });
  assert.equal(reasonsOf(report), ['App.framework/App: missing', 'App.framework/Resources: missing']);
  assert.match((await rejectionOf(byTarFs as TestedExtractor, archive)).message, 'not a valid symlink');
});

const withZip = missing.includes('zip') ? table.skip : table;

withZip('mcpb unpack fails on entries of directories: its own words, and nothing is published', async () => {
  const error = await rejectionOf({ extract: unpackWithMcpb }, archiveOf('bundle.zip'));
  const { code, exitCode, message } = error as Error & { code?: string; exitCode?: number };
  assert.is(code, 'ERR_PERMWALK_EXTRACTOR');
  assert.is(exitCode, 1);
  assert.match(message, 'EISDIR');
});

withZip('an extractor that returns when its writes have begun', async () => {
  const parent = tempDirectory();
  const destination = join(parent, 'out');
  let hadWritten: string[] = [];
  const extract = wrapExtractor((archive: string, directory: string) => {
    extractAndRunAway(archive, directory);
    hadWritten = executables.filter((path) => existsSync(join(directory, path)));
  });
  const report = await extract(archiveOf('plain.zip'), destination);
  assert.equal(hadWritten, [], 'it returned early');
  assert.ok(report.ok);
  assertComplete(destination, 'plain.zip', { executables: 'lost', links: 'kept', data: 'kept' });
  assertNoStaging(parent, 'out');
});

withZip(
  'an extractor that writes on while the pass waits for it: nobody sees the half of a file',
  async () => {
    const parent = tempDirectory();
    const destination = join(parent, 'out');
    let writeRest = () => {};
    const rest = new Promise<void>((resolve) => {
      writeRest = resolve;
    });
    let pending = 0;
    const extract = wrapExtractor(
      (archive: string, directory: string) => extractByHalves(archive, directory, rest),
      {
        onProgress: (progress) => {
          if (progress.phase !== 'settle' || pending > 0) return;
          pending = progress.pending;
          assert.not.ok(existsSync(destination));
          writeRest();
        },
      },
    );
    const report = await extract(archiveOf('plain.zip'), destination);
    assert.is(pending, executables.length + data.length - 1, 'every file that is not empty was too short');
    assert.is(report.settle.recovered, pending);
    assert.ok(report.ok);
    assertComplete(destination, 'plain.zip', { executables: 'lost', links: 'kept', data: 'kept' });
    assertNoStaging(parent, 'out');
  },
);

table.run();
