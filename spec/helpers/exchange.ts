import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process that exchanges names; `stop` ends it with everything back in its place. */
interface Exchange {
  stop(): Promise<number>;
}

/**
 * Do something while another process exchanges the two names of each pair, as fast as it can.
 *
 * @returns the number of exchanges that it made
 */
export async function whileExchanging(
  pairs: readonly (readonly [string, string])[],
  work: () => Promise<void> | void,
): Promise<number> {
  const exchange = await startExchange(pairs.flat());
  try {
    await work();
  } catch (error) {
    await exchange.stop();
    throw error;
  }
  return exchange.stop();
}

async function startExchange(names: readonly string[]): Promise<Exchange> {
  const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const plain = [...process.execArgv, script('exchange-plain.ts')];
  const exchange =
    (await started('python3', [script('exchange.py'), ...names], 'ignore')) ??
    (await started(process.execPath, [...plain, ...names], 'inherit'));
  if (exchange === undefined) throw new Error('nothing here can exchange names');
  return exchange;
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
  const stop = async () => {
    child.stdin.end();
    const code = await ended;
    if (code !== 0) throw new Error(`the exchange ended with ${code}`);
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
