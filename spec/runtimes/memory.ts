import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
/** More than a short run takes at once. */
const ROOM = 2 << 30;

/** A directory in memory for the trees of a run; `undefined` where it has no room for them, or no program may run in it. */
export function directoryInMemory(): string | undefined {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize > ROOM && canRunIn(MEMORY) ? MEMORY : undefined;
  } catch {
    // Not every system has it, and not every user may write to it.
    return undefined;
  }
}

/** Containers often mount it noexec. */
function canRunIn(parent: string): boolean {
  const directory = mkdtempSync(join(parent, 'permwalk-'));
  try {
    const program = join(directory, 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    return spawnSync(program).status === 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
