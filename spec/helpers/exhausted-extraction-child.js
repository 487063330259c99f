/**
 * Extractions whose extractor opens all that this process may open, and then fails or ends well. With permwalk as it is built: nothing
 * else may be loaded meanwhile. Prints what came of each, and what is beside the destination then.
 *
 *     node exhausted-extraction-child.js <parent>
 */
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { wrapExtractor } from '../../dist/index.js';

const [, , parent] = process.argv;
const taken = [];

async function outcome(end, destination) {
  const extract = wrapExtractor(
    (_archive, directory) => {
      mkdirSync(`${directory}/d`);
      writeFileSync(`${directory}/d/f`, '');
      end();
    },
    { manifest: false, retry: false },
  );
  try {
    return (await extract('none', `${parent}/${destination}`)).outcome;
  } catch ({ message }) {
    return message;
  } finally {
    for (const fd of taken.splice(0)) closeSync(fd);
  }
}

const outcomes = [await outcome(() => {}, 'first')];
outcomes.push(
  await outcome(() => {
    try {
      for (;;) taken.push(openSync('/dev/null'));
    } catch {
      throw new Error('nothing is left');
    }
  }, 'second'),
);
process.stdout.write(JSON.stringify({ outcomes, left: readdirSync(parent) }));
