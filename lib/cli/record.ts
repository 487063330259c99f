import type { Identity } from '../directory/entry-stats.ts';
import { openTree } from '../directory/open.ts';
import { fstatEntry } from '../directory/read.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { formatManifest } from '../record/format.ts';
import type { RecordOptions } from '../record/options.ts';
import { recordTree } from '../record/record.ts';
import { Interruption, watchInterrupts } from './interrupt.ts';
import { renderWarnings } from './notes.ts';
import { canWriteOut, outDrained, writeError, writeOut } from './output.ts';
import { printableText } from './printable.ts';
import { createProgressLine } from './progress.ts';
import type { RecordFlags } from './record-flags.ts';
import { formatCount } from './words.ts';

/**
 * Record a tree, and print it.
 *
 * @throws whatever keeps it from starting
 */
export async function runRecord(
  root: string,
  { format = 'mtree', ...options }: RecordFlags,
): Promise<number> {
  const progressLine = createProgressLine(false);
  const interrupts = watchInterrupts(() => progressLine?.stop());
  const onProgress: RecordOptions['onProgress'] = ({ entries, bytes }) =>
    progressLine?.show(() => {
      const digested = bytes > 0 ? `, ${formatCount(bytes >> 20)} MiB digested` : '';
      return `recording: ${formatCount(entries)} entries${digested}`;
    });
  let manifest: Manifest;
  try {
    const { signal } = interrupts;
    manifest = await recordTree(root, { ...options, signal, onProgress }, openOurs, outputFile());
  } catch (error) {
    progressLine?.stop();
    return reportRefusal(error);
  } finally {
    progressLine?.stop();
    interrupts.release();
  }
  writeError(renderLeftOut(manifest));
  for (const text of formatManifest(manifest, format)) {
    writeOut(text);
    await outDrained();
    if (!canWriteOut()) return 0;
  }
  return 0;
}

/** What is left out, a line each: the record itself has no place for it. */
function renderLeftOut({ warnings, warningCount }: Manifest): string {
  const lines = warnings.flatMap((warning) => renderWarnings([warning])).map((line) => `${line}\n`);
  const more = warningCount - warnings.length;
  return lines.join('') + (more > 0 ? `note: and ${formatCount(more)} more are left out\n` : '');
}

/** The process is ours, so the recording may move its working directory. */
function openOurs(path: string): ReturnType<typeof openTree> {
  return openTree(path, { lendsWorkingDirectory: true });
}

/** The file that stdout is, if it is one: `permwalk record . > tree.mtree` makes it in the tree, before we are started. */
function outputFile(): Identity | undefined {
  try {
    const stats = fstatEntry(process.stdout.fd);
    return stats.type === 'file' ? stats : undefined;
  } catch {
    // It is closed: there is nothing to be left out.
    return undefined;
  }
}

/** Say why a tree cannot be recorded, where that is neither wrong usage nor a system error. */
function reportRefusal(error: unknown): number {
  if (error instanceof Interruption) {
    writeError(`${error.message}; nothing was printed\n`);
    return error.exitCode;
  }
  if (!(error instanceof Error && 'code' in error && /^ERR_PERMWALK_/.test(String(error.code)))) throw error;
  writeError(`error: ${printableText(error.message.replace(/(?<=with )ignore$/, '--ignore'))}\n`);
  return 1;
}
