import { execFileSync } from 'node:child_process';
import { chmodSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { modulesCommand, runCli, sharesProcess } from './cli.ts';
import { tempDirectory } from './tree.ts';

const inOwnProcess = `exec ${modulesCommand.map((word) => `"${word}"`).join(' ')} "$@"`;

let calls: string | undefined;

/** A named pipe: who writes the path of a command to it is answered in the command's own pipe. */
function pipeOfCalls(): string {
  const path = join(tempDirectory(), 'calls');
  execFileSync('mkfifo', [path]);
  // Open for both, it never ends.
  const pipe = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), readable: true });
  let text = '';
  pipe.setEncoding('utf8').on('data', (more: string) => {
    const lines = (text + more).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) void answer(line);
  });
  // A shell that waits for an answer keeps this process alive.
  pipe.unref();
  return path;
}

async function answer(command: string): Promise<void> {
  const [cwd = '', ...args] = readFileSync(`${command}.call`, 'utf8').split('\0').slice(0, -1);
  const { code, stdout, stderr } = await runCli(args, { cwd });
  writeFileSync(`${command}.stdout`, stdout);
  writeFileSync(`${command}.stderr`, stderr);
  // The shell reads it, or will in a moment.
  writeFileSync(`${command}.code`, `${code}\n`);
}

/**
 * Write `permwalk` for a shell that runs one command at a time.
 *
 * In the short run it hands its arguments to the process that runs many commands. A record of the working directory is left to a process
 * of its own: it leaves out the file that it writes to, by its descriptor.
 */
export function writeCommand(path: string): void {
  writeFileSync(path, `#!/bin/sh\n${sharesProcess ? handedOn(path) : inOwnProcess}\n`);
  chmodSync(path, 0o755);
}

function handedOn(path: string): string {
  calls ??= pipeOfCalls();
  execFileSync('mkfifo', [`${path}.code`]);
  return `
case "$*" in record*' .') ${inOwnProcess};; esac
printf '%s\\0' "$PWD" "$@" > "$0.call"
echo "$0" > '${calls}'
read -r code < "$0.code"
cat "$0.stdout"
cat "$0.stderr" >&2
exit "$code"`;
}
