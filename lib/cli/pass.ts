import { resolve } from 'node:path';
import { errorCode } from '../directory/errors.ts';
import { openTree } from '../directory/open.ts';
import type { Tree } from '../directory/tree.ts';
import type { UnresolvedEntryError } from '../errors.ts';
import type { ApplyOptions } from '../options.ts';
import { runPass as runPassOver } from '../pass/apply.ts';
import { tellFew } from '../pass/told.ts';
import {
  createCounts,
  type PermissionChange,
  type PermissionCounts,
  type PermissionProgress,
  type PermissionReport,
  UnresolvedEntriesError,
} from '../report.ts';
import { type PassFlags, toApplyOptions } from './flags.ts';
import { Interruption, watchInterrupts } from './interrupt.ts';
import { createLineBuffer, createPaint, type Paint, writeError, writeOut } from './output.ts';
import { printableJson, printableName } from './printable.ts';
import { createProgressLine, type ProgressLine } from './progress.ts';
import {
  type InterruptedPass,
  MAX_LISTED,
  type Remarks,
  renderChange,
  renderInterruption,
  renderReport,
} from './table.ts';

/** As many paths outside the tree are named. */
const MAX_OUTSIDE = 20;

/** What differs between commands. */
interface Command {
  /** What to do with the options. Default: a pass over the root. `say` shows what goes on where no pass does. */
  act?: (options: ApplyOptions, say: (text: string) => void) => Promise<PermissionReport>;
  /** Whether a report without unresolved entries means exit code 0. Default: it does. */
  isWell?: (report: PermissionReport) => boolean;
  /** What became of the destination where it failed; `undefined` where the report says it. */
  leftAs?: () => string | undefined;
}

/**
 * Run one pass, from flags to exit code, and print everything.
 *
 * @throws whatever keeps it from starting
 */
export async function runPass(root: string, flags: PassFlags, command: Command = {}): Promise<number> {
  const {
    act = (options) => applyTo(root, options),
    isWell = () => true,
    leftAs = () => undefined,
  } = command;
  const dryRun = flags.dryRun ?? false;
  // The pass moves the working directory.
  const fullRoot = resolve(root);
  const progressLine = createProgressLine(dryRun);
  const interrupts = watchInterrupts(() => progressLine?.stop());
  const watch = watchPass(flags, progressLine);
  const end = (): void => {
    progressLine?.stop();
    interrupts.release();
    watch.flush();
  };
  let failed = false;
  const run = async (): Promise<PermissionReport> => {
    const options = await readOptions(flags);
    const pass = act({ ...options, ...watch.callbacks, signal: interrupts.signal }, (text) =>
      progressLine?.say(text),
    );
    return pass.catch((error: unknown) => {
      if (!(error instanceof UnresolvedEntriesError)) throw error;
      failed = true;
      return error.report;
    });
  };
  try {
    const report = await run().finally(end);
    const left = failed ? leftAs() : undefined;
    const result = left === undefined ? report : { ...report, published: false };
    print(flags, result, (_, paint) => renderReport(report, paint, { ...watch.remarks(), leftAs: left }));
    const resolved = report.ok || flags.strict === false;
    return resolved && isWell(report) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    const counts = watch.counts();
    const left = leftAs();
    const pass: InterruptedPass = {
      ok: false,
      interrupted: true,
      root: fullRoot,
      dryRun,
      counts,
      unresolved: watch.list(),
    };
    const result = left === undefined ? pass : { ...pass, published: false };
    print(flags, result, (_, paint) => renderInterruption(pass, error.message, paint, left));
    return error.exitCode;
  }
}

/** A pass over a tree; what is a file is changed alone. */
async function applyTo(root: string, options: ApplyOptions): Promise<PermissionReport> {
  try {
    return await runPassOver(root, options, openOurs);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR' || options.manifest !== undefined) throw error;
    const { applyToFile } = await import('./single-file.ts');
    return applyToFile(root, options);
  }
}

/** The process is ours, so the pass may move its working directory. */
function openOurs(path: string): Tree {
  return openTree(path, { lendsWorkingDirectory: true });
}

/** Print a result on stdout, for a program or for a person. */
function print<T>(flags: PassFlags, result: T, render: (result: T, paint: Paint) => string): void {
  writeOut(flags.json ? `${printableJson(result)}\n` : render(result, createPaint()));
}

/** The options, with the manifest read. */
async function readOptions(flags: PassFlags): Promise<ApplyOptions> {
  const options = toApplyOptions(flags);
  const { stripComponents: strip, prefix } = flags;
  if (flags.manifest === undefined) {
    if (strip !== undefined) throw new TypeError('stripComponents: needs --manifest');
    if (prefix !== undefined) throw new TypeError('prefix: needs --manifest');
    return options;
  }
  const { readManifest } = await import('../manifest/read.ts');
  const manifest = await readManifest(flags.manifest, { strip, prefix });
  const outside = manifest.outside ?? [];
  if (outside.length > 0) {
    const names = outside.slice(0, MAX_OUTSIDE).map((path) => `  ${printableName(path)}\n`);
    if (outside.length > MAX_OUTSIDE) names.push(`  and ${outside.length - MAX_OUTSIDE} more\n`);
    const note = 'these paths of the manifest are outside the tree and are left alone';
    writeError(`note: ${note}:\n${names.join('')}`);
  }
  return { ...options, manifest };
}

interface PassWatch {
  callbacks: Required<Pick<ApplyOptions, 'onProgress' | 'onChange'>>;
  /** Print changes that are still buffered. */
  flush(): void;
  /** The last counts reported. */
  counts(): PermissionCounts;
  /** What is unresolved or waited for, as far as is known. */
  list(): UnresolvedEntryError[];
  /** What is to be said besides the report. */
  remarks(): Remarks;
}

/** How many files that have other names are named. */
const MAX_NAMED = 3;

/** Watch a pass: its progress, its changes, and how far it came. */
function watchPass(flags: PassFlags, progressLine: ProgressLine | undefined): PassWatch {
  const lines = createLineBuffer(flags.json ? writeError : writeOut);
  let isListed = flags.dryRun === true && flags.verbose !== true;
  let reported: PermissionProgress | undefined;
  const changes: PermissionChange[] = [];
  const hardLinked: string[] = [];
  const onChange = (change: PermissionChange): void => {
    if (isListed) {
      changes.push(change);
      isListed = changes.length < MAX_LISTED;
      if (!isListed) tellFew(onChange);
    }
    if (change.names !== undefined && hardLinked.length < MAX_NAMED) hardLinked.push(change.path);
    if (flags.verbose) lines.add(renderChange(change));
  };
  if (!isListed && flags.verbose !== true) tellFew(onChange);
  return {
    flush: lines.flush,
    callbacks: {
      onProgress(progress) {
        reported = progress;
        progressLine?.update(progress);
      },
      onChange,
    },
    // Progress is reported before each pause, and nothing but a pause lets a signal in.
    counts: () => reported?.counts ?? createCounts(),
    list: () => reported?.list() ?? [],
    remarks: () => ({ changes, hardLinked }),
  };
}
