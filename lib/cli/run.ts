import type { PassFlags } from './flags.ts';
import { setExitCode } from './output.ts';
import type { RecordFlags } from './record-flags.ts';

/** Commands that are one pass. */
export type PassName = 'apply' | 'check';

/** Run one of them, and set the exit code. */
export async function runNamed(name: PassName, root: string, flags: PassFlags): Promise<void> {
  const { runPass } = await import('./pass.ts');
  if (name === 'apply') return setExitCode(await runPass(root, flags));
  const changesNothing = { ...flags, dryRun: true };
  setExitCode(
    await runPass(root, changesNothing, {
      isWell: ({ counts }) => counts.changed + counts.restored === 0,
    }),
  );
}

/** Run `record`, and set the exit code. */
export async function runRecording(root: string, flags: RecordFlags): Promise<void> {
  const { runRecord } = await import('./record.ts');
  setExitCode(await runRecord(root, flags));
}
