import { writeFileSync } from 'node:fs';
import { type Zippable, zipSync } from 'fflate';

const UNIX = 3;

/** Write a zip with Unix modes: every file 0644, those in `bin` 0755. */
export function writeBundle(path: string, contents: Record<string, string | Uint8Array>): string {
  const zippable: Zippable = {};
  for (const [name, content] of Object.entries(contents)) {
    const mode = name.startsWith('bin/') ? 0o100755 : 0o100644;
    zippable[name] = [Buffer.from(content), { os: UNIX, attrs: mode << 16, level: 0 }];
  }
  writeFileSync(path, zipSync(zippable));
  return path;
}

/** Contents of a bundle of so many files, every one of which tells its version. */
export function numberedFiles(count: number, version: string): Record<string, string> {
  const contents: Record<string, string> = { VERSION: version, 'bin/run': version };
  for (let index = 0; index < count; index += 1) contents[`lib/d${index % 20}/f${index}`] = version;
  return contents;
}
