import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { collectingCommand, scriptPath } from '../helpers/runtime.ts';
import { emptyResult, type Result } from './attack.ts';
import { ofOneLength } from './attacks/index.ts';

const script = scriptPath(new URL('child.ts', import.meta.url));

/**
 * What an attack may take beyond its time: to set up, to prove itself, and to end, on a machine that is at work; and one that
 * does so much, however long that takes.
 */
const graceSeconds = { usual: 240, ofOneLength: 1200 };

/** Run an attack in a process of its own; one that does not end is ended, which is a breach. */
export async function runAttack(name: string, seconds: number): Promise<Result> {
  const [program, ...args] = [...collectingCommand, script, name, String(seconds)];
  const child = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const limit = seconds * 2 + graceSeconds[ofOneLength.has(name) ? 'ofOneLength' : 'usual'];
  let isHung = false;
  const timer = setTimeout(() => {
    isHung = true;
    child.kill('SIGKILL');
  }, limit * 1000);
  const ended = new Promise<number | null>((resolve, reject) =>
    child.on('error', reject).on('close', resolve),
  );
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  clearTimeout(timer);
  if (code === 0) return JSON.parse(output) as Result;
  const breach = isHung ? `did not end within ${limit} s` : `ended with ${code}: ${errors}`;
  return { ...emptyResult(), breaches: [breach] };
}
