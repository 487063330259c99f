/**
 * Looks at a destination again and again until a file tells it to stop, and prints how often it was there, how often it was not, and
 * which versions it had.
 *
 *     node look-child.js DESTINATION STOP
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const [, , destination, stop] = process.argv;
const LOOKS_BETWEEN = 64;

/** Which directory lies there; `undefined` where none does. */
const identity = () => {
  const found = statSync(destination, { bigint: true, throwIfNoEntry: false });
  return found && `${found.ino} ${found.birthtimeNs}`;
};

let looks = 0;
let absent = 0;
let broken = 0;
const versions = new Set();
process.stdout.write('looking\n');
while (looks % LOOKS_BETWEEN !== 0 || !existsSync(stop)) {
  looks += 1;
  const before = identity();
  if (before === undefined) {
    absent += 1;
    continue;
  }
  try {
    versions.add(readFileSync(join(destination, 'f'), 'utf8'));
  } catch {
    // An old tree may be half gone as soon as it is no longer there.
    if (before === identity()) broken += 1;
  }
}
process.stdout.write(`${JSON.stringify({ looks, absent, broken, versions: versions.size })}\n`);
