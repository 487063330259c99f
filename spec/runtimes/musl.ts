/**
 * Bun for musl, beside a glibc.
 *
 *     node --import ./spec/typescript/register.js spec/runtimes/musl.ts     fetch Bun, and make the C++ library that it takes
 *
 * To make that takes Debian's musl-tools and libstdc++-12-pic.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchPackage } from './runtimes.ts';

const folder = fileURLToPath(new URL('../../.runtimes/musl', import.meta.url));
const bunPackage = '@oven/bun-linux-x64-musl';
/** Starts by the loader that its file names. */
const program = join(folder, 'node_modules', bunPackage, 'bin/bun');
const LOADER = '/lib/ld-musl-x86_64.so.1';
const library = join(folder, 'libstdc++.so.6');

/** What the C++ library of a glibc takes of that. */
const shim = `
  #include <stdint.h>
  #include <pthread.h>
  #include <sys/random.h>
  char __libc_single_threaded = 0;
  int __pthread_key_create(pthread_key_t *key, void (*end)(void *)) { return pthread_key_create(key, end); }
  int _dl_find_object(void *address, void *result) { return -1; }
  uint32_t arc4random(void) { uint32_t value; getrandom(&value, sizeof value, 0); return value; }
`;

/** What is missing to run it here; `undefined` where nothing is. */
export function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'musl is tried on Linux on x64 only';
  return existsSync(LOADER) && existsSync(library)
    ? undefined
    : 'no Bun for musl is there; MUSL=1 .ci/run makes it';
}

/** Run Bun with musl as its libc. */
export function runOnMusl(args: readonly string[], cwd: string) {
  const env = { ...process.env, LD_LIBRARY_PATH: folder };
  return spawnSync(program, args, { cwd, env, encoding: 'utf8', maxBuffer: 1 << 26 });
}

const outputOf = (command: string, args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** Symbols that Bun takes of the C++ library: what is called, and what is copied. */
function symbolsOfBun(): Set<string> {
  const called = outputOf('nm', ['-D', '--undefined-only', program]);
  const copied = outputOf('readelf', ['-rW', program])
    .split('\n')
    .filter((line) => line.includes('_COPY'));
  const words = `${called} ${copied.join(' ')}`.split(/\s+/).map((word) => word.replace(/@.*/, ''));
  const ofMusl = ['__cxa_finalize', '__cxa_thread_atexit_impl'];
  return new Set(
    words.filter(
      (word) =>
        /^(_Z|__cxa|__once|__dynamic_cast|__gxx|__\w*register_frame)/.test(word) && !ofMusl.includes(word),
    ),
  );
}

/** Link what is compiled for a glibc, and is the same for musl but for that shim, to a library for musl. */
function makeLibrary(): void {
  const [source, of] = [
    join(folder, 'shim.c'),
    (name: string) => outputOf('gcc', [`-print-file-name=${name}`]).trim(),
  ];
  writeFileSync(source, shim);
  const wanted = [...symbolsOfBun()].map((symbol) => `-Wl,-u,${symbol}`);
  const archives = [of('libstdc++_pic.a'), of('libgcc_eh.a'), of('libgcc.a')];
  execFileSync(
    'musl-gcc',
    ['-shared', '-fPIC', '-o', library, '-Wl,-soname,libstdc++.so.6', ...wanted, source, ...archives],
    {
      stdio: 'inherit',
    },
  );
}

function setUp(): void {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(program)) fetchPackage(bunPackage, folder, true);
  const alias = join(folder, 'libc.musl-x86_64.so.1');
  if (!existsSync(alias)) symlinkSync(LOADER, alias);
  if (!existsSync(library)) makeLibrary();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp();
