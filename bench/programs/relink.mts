/** Limit: files that hold the text of a link become that link, a rename each, and nothing is checked. */
import { readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const [, , root = '', listing = ''] = process.argv;
const links: { path: string }[] = JSON.parse(readFileSync(listing, 'utf8'));
for (const { path } of links) {
  const full = join(root, path);
  const beside = `${full}.link`;
  symlinkSync(readFileSync(full, 'utf8'), beside);
  renameSync(beside, full);
}
