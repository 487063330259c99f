/**
 * Runs the command for {@link runCli}, one call after the other in this process: to start a process for each takes ten times as long.
 *
 *     fork('spec/helpers/run-commands.js', ['dist/bin/permwalk.js'])
 *
 * A message is `{ args, cwd, env, umask }`, the answer `{ code, signal, stdout, stderr }`. `main` is a module that runs the command once it is
 * loaded: each call loads it anew, while what it imports stays.
 */
import { pathToFileURL } from 'node:url';

const [program, , command] = process.argv;
const streams = ['stdout', 'stderr'];
const signals = ['SIGINT', 'SIGTERM'];
let calls = 0;

async function run({ args, cwd, env, umask }) {
  const written = { stdout: [], stderr: [] };
  const listeners = streams.map((name) => process[name].listeners('error'));
  const write = streams.map((name) => process[name].write);
  for (const name of streams) {
    process[name].write = (chunk) => {
      written[name].push(Buffer.from(chunk));
      return true;
    };
  }
  for (const name of Object.keys(process.env)) delete process.env[name];
  // Once loaded, native calls would stay for every later call; a process of its own is done with most trees before.
  Object.assign(process.env, env, { PERMWALK_NATIVE: '0' });
  process.argv = [program, command, ...args];
  process.exitCode = undefined;
  process.chdir(cwd);
  process.umask(umask);
  calls += 1;
  await import(`${pathToFileURL(command).href}?call=${calls}`);
  // What is written at the end of a slice.
  await new Promise((resolve) => setImmediate(resolve));
  const code = process.exitCode ?? 0;
  process.exitCode = undefined;
  for (const [index, name] of streams.entries()) {
    process[name].write = write[index];
    for (const listener of process[name].listeners('error'))
      if (!listeners[index].includes(listener)) process[name].off('error', listener);
  }
  if (process.cwd() !== cwd)
    throw new Error(`${args.join(' ')} left the working directory at ${process.cwd()}`);
  for (const signal of signals)
    if (process.listenerCount(signal) > 0) throw new Error(`${args.join(' ')} still waits for ${signal}`);
  const [stdout, stderr] = streams.map((name) => Buffer.concat(written[name]).toString());
  return { code, signal: null, stdout, stderr };
}

let last = Promise.resolve();
process.on('message', (call) => {
  last = last.then(async () => process.send(await run(call)));
});
