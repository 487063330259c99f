import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Python without what a site adds to it: that may take longer than a whole script. */
export const bare: readonly string[] = ['-I', '-S'];

/** Runs one script after the other, each with names of its own, and tells what it printed and how it failed. */
const server = `
import contextlib, io, json, runpy, sys, traceback
with open(sys.argv[1], encoding='utf-8') as questions, open(sys.argv[2], 'w', encoding='utf-8') as answers:
    for question in questions:
        kind, what, args = json.loads(question)
        sys.argv = ['-c', *args]
        printed, failure = io.StringIO(), ''
        try:
            with contextlib.redirect_stdout(printed):
                if kind == 'module': runpy.run_module(what, run_name='__main__', alter_sys=False)
                else: exec(compile(what, '<script>', 'exec'), {'__name__': '__main__'})
        except SystemExit as exit:
            if exit.code: failure = 'exit code %s' % exit.code
        except BaseException:
            failure = traceback.format_exc()
        answers.write(json.dumps([failure, printed.getvalue()]) + '\\n')
        answers.flush()
`;

/** How a script ended. */
interface Answer {
  /** Empty where it ended well. */
  failure: string;
  output: string;
}

let ask: ((kind: 'script' | 'module', what: string, args: readonly string[]) => Answer) | undefined;

/**
 * Run a script; its output. All scripts run in one process, because a start takes ten times as long as most of them. Fails where the
 * script does.
 */
export function runPython(script: string, args: readonly string[]): string {
  ask ??= start();
  const { failure, output } = ask('script', script, args);
  if (failure !== '') throw new Error(`python3: ${failure}`);
  return output;
}

/** Run a module as `python3 -m` does. True where it ended well. */
export function runPythonModule(name: string, args: readonly string[]): boolean {
  ask ??= start();
  return ask('module', name, args).failure === '';
}

/** Start the process. It ends with this one: then nobody writes to its questions any more. */
function start(): NonNullable<typeof ask> {
  const directory = mkdtempSync(join(tmpdir(), 'permwalk-python-'));
  const [questions, answers] = [join(directory, 'questions'), join(directory, 'answers')];
  execFileSync('mkfifo', [questions, answers]);
  const args = [...bare, '-c', server, questions, answers];
  spawn('python3', args, { stdio: ['ignore', 'ignore', 'inherit'] }).unref();
  // Each waits for the other side, which opens them in this order.
  const [to, from] = [openSync(questions, 'w'), openSync(answers, 'r')];
  rmSync(directory, { recursive: true });
  return (kind, what, scriptArgs) => {
    writeSync(to, `${JSON.stringify([kind, what, scriptArgs])}\n`);
    const [failure, output] = JSON.parse(readLine(from)) as [string, string];
    return { failure, output };
  };
}

/** Wait for one line; there is never more than one. */
function readLine(from: number): string {
  const parts: Buffer[] = [];
  const part = Buffer.alloc(1 << 16);
  do {
    const length = readSync(from, part);
    if (length === 0) throw new Error('python3 ended');
    parts.push(Buffer.from(part.subarray(0, length)));
  } while (parts.at(-1)?.at(-1) !== 0x0a);
  return Buffer.concat(parts).toString('utf8');
}
