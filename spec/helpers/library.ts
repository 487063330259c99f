import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Path of permwalk as it is built, in one file: a child that loads it starts in half the time, and one that is traced makes a tenth of
 * the calls. It is removed when the process ends.
 */
export function bundledLibrary(): string {
  // Below node_modules, where it finds what is not in it.
  const directory = join(checkout, 'node_modules/.cache/permwalk-specs');
  const path = join(directory, `library-${process.pid}.mjs`);
  mkdirSync(directory, { recursive: true });
  buildSync({
    entryPoints: [join(checkout, 'dist/index.js')],
    outfile: path,
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['koffi', 'bun:ffi'],
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    logLevel: 'warning',
  });
  process.once('exit', () => rmSync(path, { force: true }));
  return path;
}
