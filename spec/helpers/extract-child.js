/**
 * One extraction in a process of its own, with permwalk as it is built: these processes are started by the hundred,
 * and most of their time would be the start-up of a TypeScript loader.
 *
 *     node extract-child.js '{ "archive", "destination", "options", "times", "hang" }'
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';
import { wrapExtractor } from '../../dist/index.js';

const { archive, destination, options, times = 1, hang = false } = JSON.parse(process.argv[2]);

const extract = wrapExtractor(async (path, directory) => {
  process.stdout.write(`extracting ${directory}\n`);
  if (hang) await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  for (const [name, content] of Object.entries(unzipSync(await readFile(path)))) {
    const full = join(directory, name);
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, content);
  }
}, options);

try {
  for (let time = 0; time < times; time += 1) {
    const { outcome } = await extract(archive, destination);
    process.stdout.write(`${outcome}\n`);
  }
} catch (error) {
  process.stdout.write(`${JSON.stringify({ code: error.code, message: error.message })}\n`);
}
