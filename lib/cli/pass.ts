import { resolve } from 'node:path';
import { openTree } from '../directory/open.ts';
import type { Tree } from '../directory/tree.ts';
import type { ApplyOptions } from '../options.ts';
import { runPass as runPassOver } from '../pass/apply.ts';
import {
  createCounts,
  type PermissionCounts,
  type PermissionReport,
  UnresolvedEntriesError,
} from '../report.ts';
import { type PassFlags, toApplyOptions } from './flags.ts';
import { Interruption, watchInterrupts } from './interrupt.ts';
import { renderNotes } from './notes.ts';
import { createLineBuffer, createPaint, type Paint, writeError, writeOut } from './output.ts';
import { printableJson, printableName } from './printable.ts';
import { createProgressLine, type ProgressLine } from './progress.ts';
import { type InterruptedPass, renderChange, renderInterruption, renderReport } from './table.ts';

/** What differs between commands. */
interface Command {
  /** What to do with the options. Default: a pass over the root. */
  act?: (options: ApplyOptions) => Promise<PermissionReport>;
  /** Whether a report without unresolved entries means exit code 0. Default: it does. */
  isWell?: (report: PermissionReport) => boolean;
}

/**
 * Run one pass, from flags to exit code, and print everything.
 *
 * @throws whatever keeps it from starting
 */
export async function runPass(root: string, flags: PassFlags, command: Command = {}): Promise<number> {
  const { act = (options) => runPassOver(root, options, openOurs), isWell = () => true } = command;
  // The pass moves the working directory.
  const fullRoot = resolve(root);
  const progressLine = createProgressLine();
  const interrupts = watchInterrupts(() => progressLine?.stop());
  const watch = watchPass(flags, progressLine);
  const end = (): void => {
    progressLine?.stop();
    interrupts.release();
    watch.flush();
  };
  const run = async (): Promise<PermissionReport> => {
    const options = await readOptions(flags);
    const pass = act({ ...options, ...watch.callbacks, signal: interrupts.signal });
    return pass.catch((error: unknown) => {
      if (error instanceof UnresolvedEntriesError) return error.report;
      throw error;
    });
  };
  try {
    const report = await run().finally(end);
    writeError(renderNotes(report.warnings));
    print(flags, report, renderReport);
    const resolved = report.ok || flags.strict === false;
    return resolved && isWell(report) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    const dryRun = flags.dryRun ?? false;
    const pass: InterruptedPass = { interrupted: true, root: fullRoot, dryRun, counts: watch.counts() };
    print(flags, pass, (_, paint) => renderInterruption(pass, error.message, paint));
    return error.exitCode;
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
  if (flags.manifest === undefined) return options;
  const { readManifest } = await import('../manifest/read.ts');
  const manifest = await readManifest(flags.manifest);
  const outside = manifest.outside ?? [];
  if (outside.length > 0) {
    const names = outside.map((path) => `  ${printableName(path)}\n`).join('');
    writeError(`note: these paths of the manifest are outside the tree and are left alone:\n${names}`);
  }
  return { ...options, manifest };
}

interface PassWatch {
  callbacks: Required<Pick<ApplyOptions, 'onProgress' | 'onChange'>>;
  /** Print changes that are still buffered. */
  flush(): void;
  /** The last counts reported, plus every change since. */
  counts(): PermissionCounts;
}

/** Watch a pass: its progress, its changes, and how far it came. */
function watchPass(flags: PassFlags, progressLine: ProgressLine | undefined): PassWatch {
  const lines = createLineBuffer(flags.json ? writeError : writeOut);
  let reported: Readonly<PermissionCounts> = createCounts();
  let changed = 0;
  return {
    flush: lines.flush,
    callbacks: {
      onProgress(progress) {
        reported = progress.counts;
        progressLine?.update(progress);
      },
      onChange(change) {
        changed += 1;
        if (flags.verbose) lines.add(renderChange(change));
      },
    },
    counts() {
      const since = Math.max(0, changed - reported.changed);
      return { ...reported, visited: reported.visited + since, changed: reported.changed + since };
    },
  };
}
