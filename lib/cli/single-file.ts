import { basename, dirname } from 'node:path';
import type { Directory } from '../directory/directory.ts';
import type { EntryStats } from '../directory/entry-stats.ts';
import { errorCode, located } from '../directory/errors.ts';
import { holdDirectory } from '../directory/open.ts';
import { realPath } from '../directory/real-path.ts';
import { UnresolvedEntryError, type UnresolvedReason } from '../errors.ts';
import { compileGlobs } from '../globs/compile.ts';
import { isExecutableFile, readerOf } from '../modes/detect.ts';
import type { ApplyOptions } from '../options.ts';
import {
  createCounts,
  type PermissionCounts,
  type PermissionReport,
  UnresolvedEntriesError,
} from '../report.ts';
import { resolveOptions, type Settings } from '../settings.ts';

const reasons: ReadonlyMap<string, UnresolvedReason> = new Map([
  ['EPERM', 'permission-denied'],
  ['EACCES', 'permission-denied'],
  ['EROFS', 'read-only'],
]);

/**
 * Set the mode of one file, as chmod does with an argument that is a file: globs are matched against its name.
 *
 * @throws UnresolvedEntriesError when `strict` and it could not be changed; the system's error where it is no file
 */
export async function applyToFile(path: string, options: ApplyOptions): Promise<PermissionReport> {
  const started = performance.now();
  const settings = resolveOptions(path, options);
  const real = realPath(path);
  const name = basename(real);
  const ignored = (await compileGlobs('ignore', settings.ignore))?.matches(name) === true;
  const matched = (await compileGlobs('executable', settings.executable))?.matches(name) === true;
  const report: PermissionReport = {
    root: real,
    ok: true,
    backend: 'path',
    modes: settings.modes,
    dryRun: settings.dryRun,
    counts: createCounts(),
    links: [],
    unlisted: [],
    unresolved: [],
    settle: { rounds: 0, recovered: 0, waitedMs: 0 },
    warnings: [],
    durationMs: 0,
  };
  const directory = holdDirectory(dirname(real));
  try {
    report.backend = directory.backend;
    if (ignored) report.counts.ignored = 1;
    else fail(change(directory, name, settings, matched, report.counts), {}, report);
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (!/^E[A-Z0-9]+$/.test(code)) throw error;
    fail(reasons.get(code) ?? 'io-error', { code, cause: located(error, real) }, report);
  } finally {
    directory.close();
  }
  report.durationMs = Math.round(performance.now() - started);
  if (settings.strict && !report.ok) throw new UnresolvedEntriesError(report);
  return report;
}

/** Change the file and count it; returns why it could not be changed. */
function change(
  directory: Directory,
  name: string,
  settings: Settings,
  isMatched: boolean,
  counts: PermissionCounts,
): UnresolvedReason | undefined {
  const { hardLinks, dryRun, modeRule, onChange } = settings;
  const isExecutable = isMatched || (settings.detect && detect(directory, name));
  const isSpared = (found: EntryStats) => found.nlink > 1 && hardLinks !== 'apply';
  let target = 0;
  const { before, after } = directory.chmod(name, (found) => {
    target = modeRule(found.mode, false, undefined, isExecutable);
    const isLeft = found.type !== 'file' || target === found.mode || dryRun || isSpared(found);
    return isLeft ? undefined : target;
  });
  const isFile = before.type === 'file';
  const isChanged = isFile && target !== before.mode;
  if (isChanged && isSpared(before)) {
    if (hardLinks === 'error') return 'hard-linked';
    counts.ignored = 1;
    return undefined;
  }
  if (isChanged) {
    const isShared = before.nlink > 1;
    const told = { path: name, from: before.mode, to: after ?? target };
    onChange?.(isShared ? { ...told, names: before.nlink } : told);
    if (after !== undefined && after !== target) return 'not-applied';
    counts.hardLinked = Number(isShared);
  }
  counts.visited = 1;
  counts[isFile ? (isChanged ? 'changed' : 'unchanged') : 'special'] = 1;
  return undefined;
}

function detect(directory: Directory, name: string): boolean {
  const file = directory.open(name);
  try {
    return isExecutableFile(readerOf(file));
  } finally {
    file.close();
  }
}

function fail(
  reason: UnresolvedReason | undefined,
  facts: { code?: string; cause?: unknown },
  report: PermissionReport,
): void {
  if (reason === undefined) return;
  report.ok = false;
  report.unresolved = [new UnresolvedEntryError({ path: '.', reason, ...facts, attempts: 1, elapsedMs: 0 })];
}
