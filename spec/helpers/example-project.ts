/**
 * The project that the examples of the pages run in: a bundle, as a zip and as a tar, and the bundle unpacked by an
 * extractor that loses exec bits.
 *
 *     node --import ./spec/typescript/register.js spec/helpers/example-project.ts <directory>
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Zippable, zipSync } from 'fflate';
import * as tar from 'tar';

const UNIX = 3;
const contents: Record<string, [mode: number, content: string]> = {
  'manifest.json': [0o644, '{ "name": "example" }\n'],
  'server/main.py': [0o644, 'print("hello")\n'],
  'server/run': [0o755, '#!/bin/sh\nexec python3 "$(dirname "$0")/main.py"\n'],
  'deps/PIL/.dylibs/libwebp.7.dylib': [0o755, 'not really a library\n'],
};

/** Make `bundle.mcpb`, `bundle.tgz` and `cache/bundle` in a directory. */
export function makeExampleProject(directory: string): void {
  const zippable: Zippable = {};
  const tree = join(directory, 'cache/bundle');
  for (const [path, [mode, content]] of Object.entries(contents)) {
    zippable[path] = [Buffer.from(content), { os: UNIX, attrs: (0o100000 | mode) << 16 }];
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content, { mode });
  }
  tar.create({ file: join(directory, 'bundle.tgz'), cwd: tree, gzip: true, sync: true }, ['.']);
  for (const path of Object.keys(contents)) chmodSync(join(tree, path), 0o644);
  writeFileSync(join(directory, 'bundle.mcpb'), zipSync(zippable));
}

const [, script = '', directory] = process.argv;
if (directory !== undefined && import.meta.url === pathToFileURL(script).href) makeExampleProject(directory);
