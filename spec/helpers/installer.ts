import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { openPromise } from 'yauzl';

/**
 * An ordinary installer: remove the cache folder, unzip entry by entry, then chmod each file. Two of them at once for
 * one folder remove the files under each other's chmod.
 */
export async function install(archive: string, directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  const zip = await openPromise(archive);
  const files: string[] = [];
  for await (const entry of zip.eachEntry()) {
    const path = join(directory, entry.fileName);
    await mkdir(dirname(path), { recursive: true });
    const content = await zip.openReadStreamPromise(entry);
    await writeFile(path, await buffer(content as Readable));
    files.push(path);
  }
  for (const path of files) await chmod(path, 0o755);
}
