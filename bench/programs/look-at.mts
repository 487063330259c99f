/**
 * Looks at a path again and again until a file tells it to stop, and prints how often it looked, and how often nothing was there.
 *
 *     node look-at.mjs DESTINATION STOP
 */
import { existsSync, lstatSync } from 'node:fs';

const [, , destination = '', stop = ''] = process.argv;
const LOOKS_BETWEEN = 64;

let looks = 0;
let nothing = 0;
process.stdout.write('looking\n');
while (looks % LOOKS_BETWEEN !== 0 || !existsSync(stop)) {
  looks += 1;
  if (lstatSync(destination, { throwIfNoEntry: false }) === undefined) nothing += 1;
}
process.stdout.write(JSON.stringify({ looks, nothing }));
