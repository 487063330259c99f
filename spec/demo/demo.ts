/**
 * The main job on a real bundle, in three steps: what a plain walk does, what `applyPermissions` does, what
 * `wrapExtractor` does. Every figure comes from the disk or from the report.
 *
 *     npm run demo [-- <bundle.zip|.mcpb>]
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import { createPaint } from '../../lib/cli/output.ts';
import { printableName } from '../../lib/cli/printable.ts';
import { renderReport } from '../../lib/cli/table.ts';
import {
  applyPermissions,
  type Manifest,
  type ManifestEntry,
  ManifestError,
  readManifest,
  wrapExtractor,
} from '../../lib/index.ts';
import { scriptPath } from '../helpers/runtime.ts';

const LATE_MS = [300, 700] as const;
const embedded = fileURLToPath(new URL('../../node_modules/pyodide/python_stdlib.zip', import.meta.url));

const isExecutable = ({ mode = 0, type }: ManifestEntry) => type === 'file' && (mode & 0o111) !== 0;
const indent = (text: string) => text.replace(/^(?=.)/gm, '   ');

/** Of the files that the archive marks executable: how many are so on disk. */
function countExecutable(root: string, { entries }: Manifest): string {
  const wanted = entries.filter(isExecutable);
  const modes = wanted.map(({ path }) => lstatSync(join(root, path), { throwIfNoEntry: false })?.mode ?? 0);
  return `${modes.filter((mode) => (mode & 0o111) !== 0).length} of ${wanted.length}`;
}

/** Extract with fflate, which knows no modes, and leave some files out. */
function extract(archive: string, root: string, leftOut: readonly string[] = []): void {
  for (const [path, content] of Object.entries(unzipSync(readFileSync(archive)))) {
    const full = join(root, path);
    mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (!path.endsWith('/') && !leftOut.includes(path)) writeFileSync(full, content, { mode: 0o644 });
  }
}

/** What a plain walk does: chmod each executable of the archive. It fails at the first that is missing. */
function chmodEach(root: string, { entries }: Manifest): string | undefined {
  try {
    for (const { path } of entries.filter(isExecutable)) chmodSync(join(root, path), 0o755);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The archive's manifest, and two of its files: one for which the demo lets permwalk wait, one that never appears. */
async function readBundle(archive: string): Promise<{ manifest: Manifest; late: string; never: string }> {
  if (!existsSync(archive)) throw new ManifestError(`there is no file ${printableName(archive)}`);
  const manifest = await readManifest(archive);
  const files = manifest.entries.filter(({ type, size = 0 }) => type === 'file' && size > 1);
  const late = files.find(isExecutable) ?? files[0];
  const never = files.findLast((entry) => entry !== late);
  if (manifest.format !== 'zip' || late === undefined || never === undefined) {
    throw new ManifestError(
      `${printableName(archive)}: the demo needs a zip with two files that are not empty`,
    );
  }
  return { manifest, late: late.path, never: never.path };
}

async function main(archive: string, write: (text: string) => void): Promise<void> {
  const print = (text = '') => write(`${text}\n`);
  const { manifest, late, never } = await readBundle(archive);
  const folder = mkdtempSync(join(tmpdir(), 'permwalk-demo-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, 'tree');
  extract(archive, root, [late, never]);
  symlinkSync(late, join(root, 'link-to-the-late-file'));
  symlinkSync('not/in/the/bundle', join(root, 'link-to-nothing'));
  const count = () => `${countExecutable(root, manifest)} executables are executable`;

  print(
    `${basename(archive)}: ${manifest.entries.length} entries, ${manifest.entries.filter(isExecutable).length} executable`,
  );
  print('An extractor that loses exec bits has unpacked it, and returned too early:');
  print(
    `   ${printableName(late)} will appear ${LATE_MS[0]} ms after permwalk begins to wait, and be complete after ${LATE_MS[1]} ms.`,
  );
  print(`   ${printableName(never)} will never appear.`);
  print('   link-to-the-late-file and link-to-nothing dangle.');
  print();

  print('1. A plain walk: chmod every executable that the archive lists.');
  const failure = chmodEach(root, manifest);
  print(`   -> ${failure ?? 'no error, because none of them is missing'}`);
  print(`   ${failure === undefined ? '' : 'It stopped at the first missing file. '}Now ${count()}.`);
  print();

  print('2. applyPermissions, with the archive as the manifest. Its report:');
  print();
  const content = unzipSync(readFileSync(archive))[late] ?? new Uint8Array();
  const half = content.subarray(0, Math.floor(content.length / 2));
  let isWaiting = false;
  const report = await applyPermissions(root, {
    ...{ manifest, discover: true, strict: false, retry: { maxRetryTime: 3000 } },
    // Timed from the first wait: the look before takes longer on some machines than on others.
    onProgress({ phase }) {
      if (isWaiting || phase !== 'settle') return;
      isWaiting = true;
      setTimeout(() => writeFileSync(join(root, late), half), LATE_MS[0]);
      setTimeout(() => writeFileSync(join(root, late), content), LATE_MS[1]);
    },
  });
  print(indent(renderReport(report, createPaint()).trimEnd()));
  print();
  print('   What the lines mean:');
  for (const line of [
    'visited, changed, unchanged: every entry counts once. Only entries with a wrong mode were changed.',
    'symbolic links: permwalk never follows or changes one.',
    'not in the manifest: on disk, but not in the archive; here the two links.',
    `waited: it tried again until ${printableName(late)} was complete ("recovered"), and gave the other file 3 s.`,
    'dangling: this link leads nowhere, and no archive promises its target. That is listed, and is no error.',
    `missing: the archive lists ${printableName(never)}, and it never appeared.`,
  ])
    print(`   - ${line}`);
  print();
  print(`   -> ${count()}. ${report.unresolved.length} entry is unresolved.`);
  print(
    '   That entry is the point of the demo: the file is really missing, so permwalk names it and does not hide it.',
  );
  print();

  print('3. wrapExtractor around the same extractor, this time without faults:');
  const destination = join(folder, 'published');
  let seen = false;
  const wrapped = wrapExtractor((source: string, directory: string) => {
    extract(source, directory);
    seen = existsSync(destination);
  });
  const { outcome, counts } = await wrapped(archive, destination);
  print(
    `   while the extractor ran, the destination ${seen ? 'was visible' : 'did not exist'}: it writes to a staging directory.`,
  );
  print(
    `   ${outcome}: then one rename published the complete tree, ${counts.changed} modes corrected before.`,
  );
  print(`   -> ${countExecutable(destination, manifest)} executables are executable, nothing is missing.`);
  print();
  print('Done. The one unresolved entry of step 2 was the point.');
}

/** Show it; the exit code is 2 for a file that it cannot use. */
export async function showDemo(
  archive: string,
  { out, error }: Record<'out' | 'error', (text: string) => void>,
): Promise<number> {
  try {
    await main(archive, out);
    return 0;
  } catch (fault) {
    if (!(fault instanceof ManifestError)) throw fault;
    error(`demo: ${fault.message}\nUsage: npm run demo [-- <bundle.zip or .mcpb>]\n`);
    return 2;
  }
}

if (process.argv[1] === scriptPath(import.meta.url)) {
  const { stdout, stderr } = process;
  process.exitCode = await showDemo(process.argv[2] ?? embedded, {
    out: (text) => stdout.write(text),
    error: (text) => stderr.write(text),
  });
}
