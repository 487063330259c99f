import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { collectingCommand, scriptPath } from '../helpers/runtime.ts';
import { emptyResult, type Result } from './attack.ts';

const script = scriptPath(new URL('child.ts', import.meta.url));

/** What one attack may take, on a machine that is at work. */
const LIMIT_SECONDS = 240;

/**
 * Run attacks one after the other in one process, which takes a tenth of what a process each does. Where one does not end, or
 * ends the process, that is a breach, of that one and of those after it.
 *
 * @returns the results, in the order of the names
 */
export async function* runTogether(names: readonly string[], seconds: number): AsyncGenerator<Result> {
  const [program, ...args] = [...collectingCommand, script, names.join(), String(seconds)];
  const child = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) =>
    child.on('error', reject).on('close', resolve),
  );
  const errors = text(child.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let breach = '';
  for (const name of names) {
    const timer = setTimeout(() => {
      breach = `${name} did not end within ${LIMIT_SECONDS} s`;
      child.kill('SIGKILL');
    }, LIMIT_SECONDS * 1000);
    const { value, done } = await lines.next();
    clearTimeout(timer);
    if (done) breach ||= `${name} ended the process with ${await ended}: ${await errors}`;
    yield done ? { ...emptyResult(), breaches: [breach] } : (JSON.parse(value) as Result);
  }
  const code = await ended;
  if (breach === '' && code !== 0) throw new Error(`the attacks ended with ${code}: ${await errors}`);
}
