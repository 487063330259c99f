/**
 * Extractions with permwalk as it is built, most of whose time would be the start-up of a TypeScript loader.
 *
 *     node extract-child.js LIBRARY '{ "archive", "destination", "options", "times", "hang" }'
 *
 * prints what comes of one; without a task it is asked for one after the other, and answers with what each would print.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';
import { answerAll } from './answer.js';

const [, , library, task] = process.argv;
const { wrapExtractor } = await import(library);

async function run({ archive, destination, options, times = 1, hang = false }, print) {
  const extract = wrapExtractor(async (path, directory) => {
    print(`extracting ${directory}\n`);
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
      print(`${outcome}\n`);
    }
  } catch (error) {
    print(`${JSON.stringify({ code: error.code, message: error.message })}\n`);
  }
}

if (task !== undefined) await run(JSON.parse(task), (text) => process.stdout.write(text));
else {
  await answerAll(async (asked) => {
    let output = '';
    await run(asked, (text) => {
      output += text;
    });
    return { output };
  });
}
