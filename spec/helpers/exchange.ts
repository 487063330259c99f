import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { scriptPath } from './runtime.ts';

/** A process that attacks; `stop` ends it and says how often it did what it does. */
interface Attacker {
  stop(): Promise<number>;
}

/**
 * Do something while another process exchanges the two names of each pair, as fast as it can. At the end everything is
 * back in its place.
 *
 * @returns the number of exchanges that it made
 */
export async function whileExchanging(
  pairs: readonly (readonly [string, string])[],
  work: () => Promise<void> | void,
): Promise<number> {
  return whileAtWork(await startExchange(pairs.flat()), work);
}

/**
 * Do something while a Python script attacks, as fast as it can.
 *
 * @param script goes on until its input ends, and prints `ready` when it has begun and at the end how often it did
 * what it does, as `until_told` of exchange.py has it
 * @returns that number
 */
export async function whileAttacking(
  script: URL,
  scriptArguments: readonly string[],
  work: () => Promise<void> | void,
): Promise<number> {
  const attacker = await startPython(script, scriptArguments, 'inherit');
  if (attacker === undefined) throw new Error(`${script.pathname} did not start: is there a python3?`);
  return whileAtWork(attacker, work);
}

async function whileAtWork(attacker: Attacker, work: () => Promise<void> | void): Promise<number> {
  try {
    await work();
  } catch (error) {
    await attacker.stop();
    throw error;
  }
  return attacker.stop();
}

async function startExchange(names: readonly string[]): Promise<Attacker> {
  const plain = scriptPath(new URL('exchange-plain.ts', import.meta.url));
  const exchange =
    (await startPython(new URL('exchange.py', import.meta.url), names, 'ignore')) ??
    (await started(process.execPath, [...process.execArgv, plain, ...names], 'inherit'));
  if (exchange === undefined) throw new Error('nothing here can exchange names');
  return exchange;
}

function startPython(
  script: URL,
  scriptArguments: readonly string[],
  stderr: 'ignore' | 'inherit',
): Promise<Attacker | undefined> {
  // -B: no compiled modules beside the sources.
  return started('python3', ['-B', fileURLToPath(script), ...scriptArguments], stderr);
}

/** The running process once it has begun, or `undefined` where it ended without. */
function started(
  command: string,
  args: string[],
  stderr: 'ignore' | 'inherit',
): Promise<Attacker | undefined> {
  const helpers = fileURLToPath(new URL('.', import.meta.url));
  const env = { ...process.env, PYTHONPATH: helpers };
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', stderr], env });
  let output = '';
  const ended = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  const stop = async () => {
    child.stdin.end();
    const code = await ended;
    if (code !== 0) throw new Error(`the attacker ended with ${code}`);
    return Number(output.split('\n')[1]);
  };
  return new Promise((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.startsWith('ready\n')) resolve({ stop });
    });
    ended.then(() => resolve(undefined));
  });
}
