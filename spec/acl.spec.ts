import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { NOBODY } from './helpers/child.ts';
import { passes } from './helpers/passes.ts';
import { makeTree, modesBelow } from './helpers/tree.ts';
import { hasCommand, run } from './helpers/zip.ts';

const suiteOf = suite('access control lists');

/** Another user may do something with everything in it, and with what is made in it. */
function treeWithLists(): string {
  const root = makeTree({ 'd/f': 0o640, 'd/run': 0o755, f: 0o600 });
  for (const user of [NOBODY, 1]) {
    execFileSync('setfacl', ['-R', '-m', `u:${user}:rwX,g:${user}:r`, root], { stdio: 'ignore' });
  }
  execFileSync('setfacl', ['-d', '-m', `u:${NOBODY}:rwx`, join(root, 'd')], { stdio: 'ignore' });
  return root;
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'GNU chmod is asked';
  if (!hasCommand('setfacl')) return 'no setfacl (Debian: acl)';
  try {
    treeWithLists();
    return undefined;
  } catch {
    return 'no access control lists on this file system';
  }
}

const reason = whyNot();
if (reason !== undefined) console.log(`  skipped: ${reason}`);
const test = reason === undefined ? suiteOf : suiteOf.skip;

/** Lists of everything, with the masks that the group bits of the modes are. */
const listsBelow = (root: string): string => run('sh', ['-c', 'cd "$1" && getfacl -R -n .', 'sh', root]);

for (const { title, apply } of passes) {
  // The masks have what `g=u` gives already.
  test(`a mode leaves them as GNU chmod does: its group bits are their mask (${title})`, async () => {
    const before = listsBelow(treeWithLists());
    for (const mode of ['a+rX', 'go-w', 'g=u', 'u=rwX,go=rX', 'g-rwx', 'a+x']) {
      const [ours, theirs] = [treeWithLists(), treeWithLists()];
      execFileSync('chmod', ['-R', mode, theirs]);
      await apply(ours, { mode });
      assert.is(listsBelow(ours), listsBelow(theirs), mode);
      assert.equal(modesBelow(ours), modesBelow(theirs), mode);
      assert.is(listsBelow(ours) === before, mode === 'g=u', mode);
    }
  });
}

suiteOf.run();
