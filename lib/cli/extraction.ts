import { type ChildProcess, spawn } from 'node:child_process';
import type { WrapOptions } from '../extract/options.ts';
import { wrapExtractor } from '../extract/wrap.ts';
import type { ExtractFlags } from './flags.ts';
import { writeError } from './output.ts';
import { runPass } from './pass.ts';

/**
 * Run one extraction, from flags to exit code, and print everything.
 *
 * @param extractor the command and its arguments; `{archive}` and `{destination}` in them are replaced
 * @throws whatever keeps it from starting
 */
export async function runExtraction(
  archive: string,
  destination: string,
  extractor: readonly string[],
  { publish, existing, durable, ...flags }: ExtractFlags,
): Promise<number> {
  if (extractor[0] === '' || !extractor.some((part) => part.includes('{destination}'))) {
    writeError('error: the command must contain {destination}, the directory that it writes to\n');
    return 2;
  }
  const { manifest, ...passFlags } = flags;
  const given = typeof manifest === 'string' ? { ...passFlags, manifest } : passFlags;
  return runPass(destination, given, {
    act: (options) => {
      const wrapOptions: WrapOptions<string> = { ...options, publish, existing, durable };
      if (manifest === false) wrapOptions.manifest = false;
      const run = (path: string, directory: string) => start(extractor, path, directory, options.signal);
      return wrapExtractor(run, wrapOptions)(archive, destination);
    },
  });
}

/** Start the extractor. Its output goes to stderr, because stdout is for the report. */
function start(
  extractor: readonly string[],
  archive: string,
  destination: string,
  signal: AbortSignal | undefined,
): ChildProcess {
  const values: Record<string, string> = { '{archive}': archive, '{destination}': destination };
  const fill = (part: string) => part.replace(/\{archive\}|\{destination\}/g, (name) => values[name] ?? name);
  const [command = '', ...args] = extractor.map(fill);
  const child = spawn(command, args, { stdio: ['inherit', 'pipe', 'pipe'] });
  child.stdout.pipe(process.stderr, { end: false });
  child.stderr.pipe(process.stderr, { end: false });
  signal?.addEventListener('abort', () => child.kill(), { once: true });
  return child;
}
