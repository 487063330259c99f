/**
 * Run examples one after the other in this process, each with a working directory of its own: to start a process for each
 * would take longer than all of them.
 *
 *     node spec/helpers/run-examples.js <file of [{ directory, script }, …]> <file for results>
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [, , input, output] = process.argv;
const results = [];
for (const { directory, script } of JSON.parse(readFileSync(input, 'utf8'))) {
  process.chdir(directory);
  try {
    await import(pathToFileURL(script).href);
    results.push({});
  } catch (error) {
    results.push({ error: error instanceof Error ? error.stack : String(error) });
  }
}
writeFileSync(output, JSON.stringify(results));
