/**
 * Removes entries of a directory as one backend does, with the package as it is built: what is mounted for this process, no other can
 * see. Prints as JSON what of each could not be removed and why, and what is left. The directory has another name meanwhile, where it
 * is held.
 *
 *     node removal-child.js BACKEND DIRECTORY NAME…
 */
import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { openChecked } from '../../dist/directory/checked.js';
import { neverNative, runtimeSource } from '../../dist/directory/native/load.js';
import { openTree, treeOf } from '../../dist/directory/open.js';
import { Place } from '../../dist/directory/place.js';
import { removal } from '../../dist/directory/remove.js';

const [, , backend, directory, ...names] = process.argv;
const native = backend === 'native' ? { ...runtimeSource, after: 0 } : neverNative;
const tree = backend === 'path' ? treeOf(directory, openChecked(directory)) : openTree(directory, { native });
const isHeld = backend !== 'path';
if (isHeld) renameSync(directory, `${directory}-moved`);
const failures = {};
for (const name of names) {
  try {
    for (const _step of removal(
      tree.goTo(new Place(undefined, '.')),
      name,
      join(directory, name),
      () => false,
    ));
  } catch ({ code, path }) {
    failures[name] = { code, path };
  }
}
tree.close();
if (isHeld) renameSync(`${directory}-moved`, directory);
const left = readdirSync(directory, { recursive: true }).sort();
process.stdout.write(JSON.stringify({ failures, left }));
