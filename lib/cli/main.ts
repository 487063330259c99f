#!/usr/bin/env node
import { reportFailure } from './failure.ts';
import { guardStreams, setExitCode } from './output.ts';
import { readPlainCall } from './plain-call.ts';
import { runNamed, runRecording } from './run.ts';

guardStreams();
const args = process.argv.slice(2);
try {
  const call = readPlainCall(args);
  if (call?.name === 'record') await runRecording(call.root, call.flags);
  else if (call !== undefined) await runNamed(call.name, call.root, call.flags);
  else {
    // What parses all that there is takes as long to load as a small tree takes.
    const { runProgram } = await import('./program.ts');
    await runProgram(args);
  }
} catch (error) {
  const end = args.indexOf('--');
  setExitCode(reportFailure(error, args.slice(0, end === -1 ? args.length : end).includes('--json')));
}
