/**
 * The main job on a real bundle: unpack it with an extractor that loses exec bits and returns before all of its
 * writes are done, then let permwalk bring the tree in order. Every figure comes from the disk or from the report.
 *
 *     npm run demo [-- <bundle.zip|.mcpb>]
 */
import {
  chmodSync,
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
import { applyPermissions, type ManifestEntry, readManifest } from '../../lib/index.ts';

const LATE_MS = [300, 700] as const;
const embedded = fileURLToPath(new URL('../../node_modules/pyodide/python_stdlib.zip', import.meta.url));

const isExecutable = ({ mode = 0, type }: ManifestEntry) => type === 'file' && (mode & 0o111) !== 0;
const print = (text = '') => process.stdout.write(`${text}\n`);

/** Of the files that the archive marks executable: how many are so on disk. */
function countExecutable(root: string, entries: readonly ManifestEntry[]): string {
  const wanted = entries.filter(isExecutable);
  const modes = wanted.map(({ path }) => lstatSync(join(root, path), { throwIfNoEntry: false })?.mode ?? 0);
  return `${modes.filter((mode) => (mode & 0o111) !== 0).length} of ${wanted.length}`;
}

/** What a plain walker does: chmod each executable of the archive, and die at the first that is not there. */
function chmodEach(root: string, entries: readonly ManifestEntry[]): string {
  try {
    for (const { path } of entries.filter(isExecutable)) chmodSync(join(root, path), 0o755);
    return 'no error';
  } catch (error) {
    return (error as Error).message;
  }
}

const archive = process.argv[2] ?? embedded;
const manifest = await readManifest(archive);
const { entries } = manifest;
const executables = entries.filter(isExecutable);
const files = entries.filter(({ type, size = 0 }) => type === 'file' && size > 1);
const late = executables.find(({ size = 0 }) => size > 1) ?? files[0];
const never = files.findLast((entry) => entry !== late);
if (late === undefined || never === undefined)
  throw new Error(`${archive}: two files with content are needed`);

const root = mkdtempSync(join(tmpdir(), 'permwalk-demo-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

const contents = unzipSync(readFileSync(archive));
for (const { path, type } of entries) {
  const full = join(root, path);
  mkdirSync(type === 'directory' ? full : dirname(full), { recursive: true });
  const content = contents[path];
  if (type !== 'directory' && content !== undefined && path !== late.path && path !== never.path) {
    writeFileSync(full, content);
  }
}
const content = contents[late.path] ?? new Uint8Array();
const half = Math.floor(content.length / 2);
symlinkSync(late.path, join(root, 'link-to-the-late-file'));
symlinkSync('not/in/the/bundle', join(root, 'link-to-nothing'));

print(`${basename(archive)}: ${entries.length} entries, ${executables.length} executable`);
print(`unpacked with fflate, which returned while these were missing:`);
print(`  ${printableName(late.path)}  lands after ${LATE_MS[0]} ms, is whole after ${LATE_MS[1]} ms`);
print(`  ${printableName(never.path)}  never comes`);
print(`  link-to-the-late-file, link-to-nothing  dangle`);
print();
print(`a plain walker now`);
print(`  ${chmodEach(root, entries)}`);
for (const { path } of executables) {
  if (path !== late.path && path !== never.path) chmodSync(join(root, path), 0o644);
}
print();
print(`before   ${countExecutable(root, entries)} executables are executable`);
const options = { manifest, discover: true, strict: false, retry: { maxRetryTime: 3000 } };
// From here on: what comes before takes longer on some machines than on others.
setTimeout(() => writeFileSync(join(root, late.path), content.subarray(0, half)), LATE_MS[0]);
setTimeout(() => writeFileSync(join(root, late.path), content), LATE_MS[1]);
const report = await applyPermissions(root, options);
print(`after    ${countExecutable(root, entries)}`);
print();
print(renderReport(report, createPaint()).trimEnd());
