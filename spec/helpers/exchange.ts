import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process that exchanges names, again and again. */
export interface Exchange {
  /** End it with everything back in its place. Resolves with the number of exchanges that it made. */
  stop(): Promise<number>;
}

/** Exchange the two names of each pair as fast as another process can, from now on. */
export async function startExchange(pairs: readonly (readonly [string, string])[]): Promise<Exchange> {
  const names = pairs.flat();
  const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  return (
    (await started('python3', [script('exchange.py'), ...names], 'ignore')) ??
    (await started(
      process.execPath,
      [...process.execArgv, script('exchange-plain.ts'), ...names],
      'inherit',
    )) ??
    Promise.reject(new Error('nothing here can exchange names'))
  );
}

/** The running process once it has exchanged, or `undefined` where it ended without. */
function started(
  command: string,
  args: string[],
  stderr: 'ignore' | 'inherit',
): Promise<Exchange | undefined> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', stderr] });
  let output = '';
  const ended = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  return new Promise((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.startsWith('ready\n')) resolve({ stop: () => stopped(child, ended, () => output) });
    });
    ended.then(() => resolve(undefined));
  });
}

async function stopped(
  child: ChildProcess,
  ended: Promise<number | null>,
  output: () => string,
): Promise<number> {
  child.stdin?.end();
  const code = await ended;
  if (code !== 0) throw new Error(`the exchange ended with ${code}`);
  return Number(output().split('\n')[1]);
}
