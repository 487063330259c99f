import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runProcess } from './measure/process.ts';
import type { Tools } from './measure/tools.ts';
import { WrongResultError } from './measure/turn.ts';
import type { ReplaceRequest, ReplaceResult } from './programs/replace.mts';
import { say } from './progress.ts';

/** What a reader saw while a tree was replaced. */
export interface MeasuredReplacing extends ReplaceResult {
  /** Empty for plain Node. */
  runtime: string;
  times: number;
}

const TIMES = { quick: 20, full: 500 };

/** J11: a tree is replaced again and again while another process looks at it without a pause. */
export function measureReplacing(tools: Tools, folder: string, isQuick: boolean): MeasuredReplacing[] {
  const times = isQuick ? TIMES.quick : TIMES.full;
  return tools.runtimes.map(({ label, program, environment }) => {
    say(`J11 ${label}`);
    mkdirSync(folder);
    const [destination, stop] = [join(folder, 'out'), join(folder, 'stop')];
    const reader = tools.program('look-at', destination, stop);
    const request: ReplaceRequest = { dist: tools.index, destination, stop, reader, times };
    const line = tools.program('replace', JSON.stringify(request)).slice(1);
    const run = runProcess(tools, [program, ...line], environment);
    if (run.code !== 0) throw new WrongResultError(`J11: ended with ${run.code}: ${run.stderr}`);
    rmSync(folder, { recursive: true });
    const result: ReplaceResult = JSON.parse(run.stdout);
    return { runtime: label, times, ...result };
  });
}
