import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionReport } from '../../lib/report.ts';
import { type PassInChild, startScript } from './child.ts';

const script = fileURLToPath(new URL('mounted-child.js', import.meta.url));

export interface MountedPass {
  root: string;
  options?: ApplyOptions;
  /** One backend; the one that the platform gets where it is undefined. */
  backend?: PermissionReport['backend'] | undefined;
  /** Become this user and group first, by setuid and without exec. */
  become?: number;
  /** A name that is changed for another at the pass's first change. */
  rename?: [from: string, to: string];
}

export interface MountedResult {
  report: PermissionReport;
  modes: Record<string, string>;
}

/** A process of its own, in which passes run that are not strict, one after the other; started with the first of them. */
export class MountedProcess {
  readonly #where: Partial<PassInChild>;
  #child: ChildProcess | undefined;
  #answers: AsyncIterator<string> | undefined;
  #errors = '';

  /** @param where its mount namespace, which shell commands set up, or its user */
  constructor(where: Pick<PassInChild, 'setUp' | 'asNobody'> & { root?: string } = {}) {
    this.#where = where;
  }

  /**
   * A pass, and the modes after it as that process sees them.
   *
   * @param setUp shell commands before it; `$1` is the root. What they mount stays mounted for later passes
   */
  async run(pass: MountedPass, setUp = ''): Promise<MountedResult> {
    this.#child ??= this.#start();
    this.#child.stdin?.write(`${JSON.stringify({ setUp, pass })}\n`);
    // Asked in order, answered in order.
    const { value, done } = await (this.#answers as AsyncIterator<string>).next();
    if (done) throw new Error(`the process ended: ${this.#errors}`);
    const answer = JSON.parse(value) as MountedResult & { error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  /** End it, and with it its mounts. */
  async end(): Promise<void> {
    if (this.#child === undefined) return;
    const closed = once(this.#child, 'close');
    this.#child.stdin?.end();
    await closed;
  }

  #start(): ChildProcess {
    const child = startScript(script, [], { ...this.#where, stdin: 'pipe' });
    this.#answers = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    // What it ended with is told by the answer that is missing.
    child.stdin?.on('error', () => undefined);
    return child;
  }
}

/** One pass in a process that runs no other. */
export async function mountedAlone(
  pass: MountedPass,
  where: Pick<PassInChild, 'setUp' | 'asNobody'> = {},
): Promise<MountedResult> {
  const alone = new MountedProcess({ ...where, root: pass.root });
  try {
    return await alone.run(pass);
  } finally {
    await alone.end();
  }
}
