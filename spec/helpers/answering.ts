import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type PassInChild, startScript } from './child.ts';

/**
 * A process that answers each line of JSON that it is asked with one line of JSON, in their order: for what would be a process each
 * otherwise, most of whose time is its start. It starts with the first question.
 */
export class Answering {
  readonly #script: string;
  readonly #arguments: readonly string[];
  readonly #where: Partial<PassInChild>;
  #child: ChildProcess | undefined;
  #answers: AsyncIterator<string> | undefined;
  #errors = '';

  /** @param where its mount namespace, which shell commands set up, its user, or what it is run by */
  constructor(
    script: string,
    scriptArguments: readonly string[],
    where: Pick<Partial<PassInChild>, 'root' | 'setUp' | 'asNobody' | 'within'> = {},
  ) {
    this.#script = script;
    this.#arguments = scriptArguments;
    this.#where = where;
  }

  /**
   * @typeParam T what it answers
   * @throws Error with the `error` that it answered, or with what it printed where it ended instead
   */
  async ask<T>(question: unknown): Promise<T> {
    this.#child ??= this.#start();
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await (this.#answers as AsyncIterator<string>).next();
    if (done) throw new Error(`the process ended: ${this.#errors}`);
    const answer = JSON.parse(value) as T & { error?: string };
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
    const child = startScript(this.#script, [...this.#arguments], { ...this.#where, stdin: 'pipe' });
    this.#answers = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    // What it ended with is told by the answer that is missing.
    child.stdin?.on('error', () => undefined);
    return child;
  }
}
