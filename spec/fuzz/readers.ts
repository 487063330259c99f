import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bare } from '../helpers/python.ts';

/** What another reader has of one entry, in its order; what it does not say is absent. */
export interface Listed {
  path: string | null;
  /** True of a last one, without a path, where it stopped at what is no header. */
  isBroken?: boolean;
  type?: 'file' | 'directory' | 'symlink' | 'other';
  mode?: number;
  size?: number;
  linkTarget?: string | null;
  hardLink?: string;
  /** What it says against the entry. */
  fault?: string;
  system?: number;
}

/** What another reader has of an archive. */
export interface Answer {
  entries: Listed[];
  /** What stopped it. */
  error: string | null;
}

/** Readers to compare with: Python's zipfile and tarfile; libarchive, which bsdtar reads with. */
export type ReaderName = 'python' | 'libarchive';

/** A process that reads one archive after the other. One that ends is started again, and says so of what it was asked. */
export class Reader {
  readonly name: ReaderName;
  #process: ChildProcessWithoutNullStreams | undefined;
  #waiting: ((answer: Answer) => void)[] = [];

  constructor(name: ReaderName) {
    this.name = name;
  }

  ask(kind: 'zip' | 'tar', path: string): Promise<Answer> {
    this.#process ??= this.#start();
    this.#process.stdin.write(`${kind} ${path}\n`);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  close(): void {
    this.#process?.stdin.end();
  }

  #start(): ChildProcessWithoutNullStreams {
    const script = fileURLToPath(new URL('oracle.py', import.meta.url));
    const child = spawn('python3', [...bare, script, this.name]);
    let said = '';
    child.stdin.on('error', () => {});
    child.stderr.on('data', (bytes) => {
      said += bytes;
    });
    createInterface(child.stdout).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line) as Answer));
    child.on('close', (code, signal) => {
      this.#process = undefined;
      const error = `ended with ${signal ?? code}: ${said}`;
      for (const resolve of this.#waiting.splice(0)) resolve({ entries: [], error });
    });
    return child;
  }
}
